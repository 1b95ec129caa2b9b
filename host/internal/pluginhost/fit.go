package pluginhost

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zondarr/zondarr/sdk"
)

// misfits says which stored servers a new version of a plugin would no longer
// serve as the old one did: its type, every capability, and settings that the
// new schema accepts.
func misfits(before, after sdk.Description, stored []sdk.ServerRef) []Misfit {
	var out []Misfit
	for _, ref := range stored {
		if ref.ServerType != before.ServerType {
			continue
		}
		var problems []string
		if after.ServerType != before.ServerType {
			problems = append(problems, fmt.Sprintf("The new version serves the type %s, not %s.", after.ServerType, before.ServerType))
		}
		for _, c := range before.Capabilities() {
			if !after.Has(c) {
				problems = append(problems, fmt.Sprintf("The new version cannot %s any more.", strings.ReplaceAll(string(c), "_", " ")))
			}
		}
		problems = append(problems, settingsProblems(after.SettingsSchema, ref)...)
		if len(problems) > 0 {
			out = append(out, Misfit{ServerID: ref.ID, ServerURL: ref.URL, Problems: problems})
		}
	}
	return out
}

func settingsProblems(schema sdk.Schema, ref sdk.ServerRef) []string {
	values := map[string]any{}
	for name, v := range ref.Settings {
		values[name] = v
	}
	for name, v := range ref.Secrets {
		values[name] = v
	}
	var out []string
	for _, p := range schema.Check(values) {
		out = append(out, fmt.Sprintf("Setting %s: %s", p.Field, p.Message))
	}
	// A value on the wrong side would be shown where it was hidden.
	for _, p := range schema.Properties {
		_, plain := ref.Settings[p.Name]
		_, secret := ref.Secrets[p.Name]
		if plain && p.Secret {
			out = append(out, fmt.Sprintf("Setting %s: it is secret in the new version, but stored in the open.", p.Name))
		}
		if secret && !p.Secret {
			out = append(out, fmt.Sprintf("Setting %s: it is not secret in the new version.", p.Name))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// tellMisfits puts them in one sentence each.
func tellMisfits(all []Misfit) string {
	var b strings.Builder
	for _, m := range all {
		fmt.Fprintf(&b, " Server %s (%s): %s", m.ServerID, m.ServerURL, strings.Join(m.Problems, " "))
	}
	return strings.TrimSpace(b.String())
}
