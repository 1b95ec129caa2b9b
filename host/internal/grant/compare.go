package grant

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/zondarr/zondarr/sdk"
)

// Differs says in what way a user, as the server tells it, differs from the
// grant that was asked for, in words for the admin, or "". It holds no value.
//
// A server that should tell and does not counts as different, since access that
// nobody can see may have been widened; only an account that still waits for the
// person to accept may be silent.
func Differs(asked sdk.Grant, user sdk.User, desc sdk.Description, a Abilities) string {
	if user.Protected {
		return "the account that was made is protected (an administrator or owner)"
	}
	silent := user.Status == sdk.StatusPending
	if d := librariesDiffer(asked.Libraries, user.Libraries, silent || !a.Has(sdk.CapLibraryAccess)); d != "" {
		return d
	}
	for _, name := range slices.Sorted(maps.Keys(asked.Permissions)) {
		want := asked.Permissions[name]
		told, ok := user.Permissions[name]
		switch {
		case want == sdk.Unset, !ok && silent:
		case !ok:
			return fmt.Sprintf("the server does not tell the permission %s", name)
		case told != want:
			return fmt.Sprintf("the permission %s is %s, not %s", name, told, want)
		}
	}
	// What was not asked for has the declared default, never the server's own.
	for _, p := range desc.Permissions {
		told, ok := user.Permissions[p.Name]
		if asked.Permissions[p.Name] == sdk.Unset && p.Default != sdk.Unset && ok && told != p.Default && slices.Contains(a.Permissions, p.Name) {
			return fmt.Sprintf("the permission %s is %s, not the declared default %s", p.Name, told, p.Default)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(asked.Limits)) {
		told, ok := user.Limits[name]
		switch {
		case !ok && (silent || asked.Limits[name] == 0):
		case !ok:
			return fmt.Sprintf("the server does not tell the limit %s", name)
		case told != asked.Limits[name]:
			return fmt.Sprintf("the limit %s is %d, not %d", name, told, asked.Limits[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(asked.Options)) {
		if told, ok := user.Options[name]; ok && !sameJSON(told, asked.Options[name]) {
			return fmt.Sprintf("the option %s was not applied", name)
		}
	}
	return ""
}

func librariesDiffer(asked sdk.LibraryAccess, told *sdk.LibraryAccess, mayBeSilent bool) string {
	if told == nil {
		if mayBeSilent {
			return ""
		}
		return "the server does not tell the library access"
	}
	if told.Mode != asked.Mode {
		return fmt.Sprintf("the library access is %s, not %s", told.Mode, asked.Mode)
	}
	if asked.Mode == sdk.LibraryOnly && !slices.Equal(sorted(asked.IDs), sorted(told.IDs)) {
		return fmt.Sprintf("the account sees %d libraries, which are not the %d that were asked for", len(told.IDs), len(asked.IDs))
	}
	return ""
}

func sorted(ids []string) []string {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return slices.Compact(ids)
}

// sameJSON compares values that may have been through a wire, where 2 and 2.0
// are one number.
func sameJSON(a, b any) bool {
	x, errA := json.Marshal(a)
	y, errB := json.Marshal(b)
	return errA == nil && errB == nil && string(x) == string(y)
}
