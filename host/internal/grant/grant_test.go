package grant

import (
	"slices"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/sdk"
)

var (
	desc = sdk.Description{
		Permissions: []sdk.PermissionInfo{{Name: "download", Default: sdk.Deny}, {Name: "stream", Default: sdk.Allow}},
		Limits:      []sdk.LimitInfo{{Name: "max_sessions", Label: "Streams", Unit: "sessions", Min: 2, Max: 10}},
		Traits:      sdk.Traits{LibraryModes: []sdk.LibraryMode{sdk.LibraryAll, sdk.LibraryOnly}},
	}.WithCapabilities([]sdk.Capability{sdk.CapProvision, sdk.CapLibraryAccess, sdk.CapPermissions, sdk.CapLimits})
	able = AbilitiesOf(desc, nil)
)

func TestAnyDifferenceIsFound(t *testing.T) {
	asked := sdk.Grant{
		Libraries:   sdk.LibraryAccess{Mode: sdk.LibraryOnly, IDs: []string{"a", "b"}},
		Permissions: map[string]sdk.Tri{"download": sdk.Allow},
		Limits:      map[string]int64{"max_sessions": 2},
		Options:     map[string]any{"theme": "dark", "n": 2},
	}
	told := func(change func(*sdk.User)) sdk.User {
		u := sdk.User{
			Status: sdk.StatusActive, Libraries: &sdk.LibraryAccess{Mode: sdk.LibraryOnly, IDs: []string{"b", "a"}},
			Permissions: map[string]sdk.Tri{"download": sdk.Allow, "stream": sdk.Allow}, Limits: map[string]int64{"max_sessions": 2},
			Options: map[string]any{"theme": "dark", "n": 2.0, "of its own": true},
		}
		change(&u)
		return u
	}
	for name, tc := range map[string]struct {
		change func(*sdk.User)
		same   bool
	}{
		"Same":               {func(*sdk.User) {}, true},
		"LibraryMissing":     {func(u *sdk.User) { u.Libraries.IDs = []string{"a"} }, false},
		"LibraryMore":        {func(u *sdk.User) { u.Libraries.IDs = []string{"a", "b", "c"} }, false},
		"LibraryOther":       {func(u *sdk.User) { u.Libraries.IDs = []string{"a", "c"} }, false},
		"AllInsteadOfOnly":   {func(u *sdk.User) { u.Libraries = &sdk.LibraryAccess{Mode: sdk.LibraryAll} }, false},
		"LibrariesUntold":    {func(u *sdk.User) { u.Libraries = nil }, false},
		"PermissionOther":    {func(u *sdk.User) { u.Permissions["download"] = sdk.Deny }, false},
		"PermissionUntold":   {func(u *sdk.User) { delete(u.Permissions, "download") }, false},
		"DefaultNotApplied":  {func(u *sdk.User) { u.Permissions["stream"] = sdk.Deny }, false},
		"DefaultUntold":      {func(u *sdk.User) { delete(u.Permissions, "stream") }, true},
		"LimitOther":         {func(u *sdk.User) { u.Limits["max_sessions"] = 3 }, false},
		"LimitUntold":        {func(u *sdk.User) { u.Limits = nil }, false},
		"OptionOther":        {func(u *sdk.User) { u.Options["theme"] = "light" }, false},
		"OptionUntold":       {func(u *sdk.User) { u.Options = nil }, true},
		"Administrator":      {func(u *sdk.User) { u.Protected = true }, false},
		"PendingMayBeSilent": {func(u *sdk.User) { *u = sdk.User{Status: sdk.StatusPending} }, true},
		"PendingMayNotLie": {func(u *sdk.User) {
			*u = sdk.User{Status: sdk.StatusPending, Libraries: &sdk.LibraryAccess{Mode: sdk.LibraryAll}}
		}, false},
	} {
		if got := Differs(asked, told(tc.change), desc, able); (got == "") != tc.same {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestOnlyWhatTheServerCanDoIsSent(t *testing.T) {
	films, gone := uuid.New(), uuid.New()
	g := Grant{
		Access: sdk.LibraryOnly, LibraryIDs: []uuid.UUID{films, gone},
		Permissions: map[string]string{"download": Allow, "fly": Allow}, Limits: map[string]int64{"max_sessions": 3, "wings": 2},
	}
	got := g.ForPlugin(able, map[uuid.UUID]string{films: "ext-films"})
	if !slices.Equal(got.Libraries.IDs, []string{"ext-films"}) || len(got.Permissions) != 1 || got.Permissions["download"] != sdk.Allow || len(got.Limits) != 1 {
		t.Errorf("sent %+v", got)
	}
}

func TestLimits(t *testing.T) {
	for n, ok := range map[int64]bool{-1: false, 0: true, 1: false, 2: true, 10: true, 11: false} {
		target := Target{Location: "body.servers[0]", ServerName: "home", Description: desc, Abilities: able, Grant: Grant{
			Access: sdk.LibraryAll, Limits: map[string]int64{"max_sessions": n},
		}}
		if err := Check([]Target{target}); (err == nil) != ok {
			t.Errorf("%d: %v", n, err)
		}
	}
}

// Whatever two servers are asked for: what is accepted can be given by at least
// one of them, the others warn, and no server is accepted that would have to give
// other libraries than asked.
func TestCheckPromisesNothingThatNobodyCanGive(t *testing.T) {
	names := []string{"download", "stream", "fly"}
	rapid.Check(t, func(r *rapid.T) {
		var targets []Target
		for i := range 2 {
			facts := &sdk.ServerFacts{
				JoinFlow: sdk.JoinPassword, Capabilities: []sdk.Capability{sdk.CapProvision},
				Permissions:  rapid.SliceOfDistinct(rapid.SampledFrom(names[:2]), rapid.ID).Draw(r, "can"),
				LibraryModes: rapid.SliceOfDistinct(rapid.SampledFrom([]sdk.LibraryMode{sdk.LibraryAll, sdk.LibraryNone, sdk.LibraryOnly}), rapid.ID).Draw(r, "modes"),
			}
			if rapid.Bool().Draw(r, "sets libraries") {
				facts.Capabilities = append(facts.Capabilities, sdk.CapLibraryAccess)
			}
			g := Grant{Access: rapid.SampledFrom([]sdk.LibraryMode{sdk.LibraryAll, sdk.LibraryNone}).Draw(r, "access"), Permissions: map[string]string{}}
			for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID).Draw(r, "asked") {
				g.Permissions[name] = Deny
			}
			targets = append(targets, Target{Location: string(rune('a' + i)), ServerName: string(rune('A' + i)), Description: desc, Abilities: AbilitiesOf(desc, facts), Grant: g})
		}
		// The model.
		accepted := true
		for _, t := range targets {
			if t.Abilities.Has(sdk.CapLibraryAccess) && !slices.Contains(t.Abilities.Modes, t.Grant.Access) || !t.Abilities.Has(sdk.CapLibraryAccess) && t.Grant.Access != sdk.LibraryAll {
				accepted = false
			}
			for name := range t.Grant.Permissions {
				some := false
				for _, o := range targets {
					some = some || o.Grant.Permissions[name] != "" && slices.Contains(o.Abilities.Permissions, name)
				}
				accepted = accepted && some
			}
		}
		err := Check(targets)
		if (err == nil) != accepted {
			r.Fatalf("%v, want accepted %v: %+v", err, accepted, targets)
		}
		if err != nil {
			if len(fault.As(err).Fields) == 0 {
				r.Fatal("a refusal that blames nothing")
			}
			return
		}
		for _, t := range targets {
			warned := map[string]bool{}
			for _, w := range t.Warnings() {
				warned[w.Name] = true
			}
			for name := range t.Grant.Permissions {
				if warned[name] == slices.Contains(t.Abilities.Permissions, name) {
					r.Fatalf("%s on %s: warned is %v", name, t.ServerName, warned[name])
				}
			}
		}
	})
}

func TestFactsMayBeMissing(t *testing.T) {
	for _, raw := range []string{"", "null", "{"} {
		if f := Facts([]byte(raw)); f != nil {
			t.Errorf("%q gives %+v", raw, f)
		}
	}
	if f := Facts([]byte(`{"Product":"x"}`)); f == nil || f.Product != "x" {
		t.Errorf("facts %+v", f)
	}
}
