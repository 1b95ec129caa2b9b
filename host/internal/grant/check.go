package grant

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/sdk"
)

// Target is one server's grant with all that is needed to judge it.
type Target struct {
	ServerID   uuid.UUID
	ServerName string
	// Location of the grant in the request: "body.servers[0]".
	Location    string
	Grant       Grant
	Description sdk.Description
	Abilities   Abilities
	// Libraries are all stored libraries of the server, missing ones included.
	Libraries []Library
}

// Warning codes.
const (
	WarnPermissionUnsupported = "permission_unsupported"
	WarnLimitUnsupported      = "limit_unsupported"
	WarnLibraryGone           = "library_gone"
)

// Warning tells an admin what a server will not do.
type Warning struct {
	Code string
	// Name is the permission, limit or library it is about.
	Name    string
	Message string
}

// Check judges grants when they are written: what none of the servers that were
// asked can do is refused, what only some can is a warning there (see Warnings).
// Library access is never a warning, since giving more than was asked is the
// one thing that must not happen. The error is fault.Invalid:
// library_access_unsupported where that is all, else invalid_input.
func Check(targets []Target) error {
	var fields []fault.Field
	unsupportedAccess := false
	for _, t := range targets {
		fs, access := t.check(targets)
		unsupportedAccess = unsupportedAccess || access != nil
		fields = append(fields, fs...)
		if access != nil {
			fields = append(fields, *access)
		}
	}
	if len(fields) == 0 {
		return nil
	}
	err := fault.InvalidInput(fields...)
	if unsupportedAccess && len(fields) == 1 {
		err.Code = fault.CodeLibraryAccessUnsupported
	}
	return err
}

func (t Target) check(all []Target) (fields []fault.Field, access *fault.Field) {
	add := func(at, code, format string, args ...any) {
		fields = append(fields, fault.Field{Location: t.Location + at, Code: code, Message: fmt.Sprintf(format, args...)})
	}
	if !t.Abilities.Has(sdk.CapProvision) || t.Abilities.JoinFlow == sdk.JoinNone {
		add(".server_id", fault.FieldUnsupported, "%s", sentence("Zondarr cannot make accounts on "+t.ServerName, t.Abilities.Why(string(sdk.CapProvision))))
	}
	access = t.checkLibraries(add)
	for _, name := range slices.Sorted(maps.Keys(t.Grant.Permissions)) {
		at := ".permissions." + name
		if word := t.Grant.Permissions[name]; word != Allow && word != Deny {
			add(at, fault.FieldInvalid, "A permission is allow or deny; leave it out for the default.")
		} else if !slices.ContainsFunc(all, func(o Target) bool { return o.Grant.Permissions[name] != "" && o.can(o.Abilities.Permissions, name) }) {
			add(at, fault.FieldUnsupported, "%s", sentence(t.ServerName+" does not know this permission", t.Abilities.Why(name)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Grant.Limits)) {
		at := ".limits." + name
		supported := slices.ContainsFunc(all, func(o Target) bool {
			_, asked := o.Grant.Limits[name]
			return asked && o.can(o.Abilities.Limits, name)
		})
		if !supported {
			add(at, fault.FieldUnsupported, "%s", sentence(t.ServerName+" does not know this limit", t.Abilities.Why(name)))
		} else if msg := t.limitRange(name); msg != "" {
			add(at, fault.FieldOutOfRange, "%s", msg)
		}
	}
	for _, p := range t.Description.OptionsSchema.Check(t.Grant.Options) {
		add(".options."+p.Field, p.Code, "%s", p.Message)
	}
	return fields, access
}

func (t Target) can(names []string, name string) bool { return slices.Contains(names, name) }

func (t Target) checkLibraries(add func(at, code, format string, args ...any)) *fault.Field {
	g := t.Grant
	switch g.Access {
	case sdk.LibraryAll, sdk.LibraryNone:
		if len(g.LibraryIDs) > 0 {
			add(".libraries.library_ids", fault.FieldConflict, "Libraries are listed only with access \"only\".")
		}
	case sdk.LibraryOnly:
		if len(g.LibraryIDs) == 0 {
			add(".libraries.library_ids", fault.FieldRequired, "Access \"only\" needs at least one library.")
		}
		for i, id := range g.LibraryIDs {
			lib, ok := find(t.Libraries, id)
			at := fmt.Sprintf(".libraries.library_ids[%d]", i)
			switch {
			case !ok:
				add(at, fault.FieldNotFound, "%s has no library with this id.", t.ServerName)
			case lib.Missing:
				add(at, fault.FieldNotFound, "%s no longer has this library.", t.ServerName)
			}
		}
	case "":
		add(".libraries.access", fault.FieldRequired, "Say which libraries: all, none or only.")
		return nil
	default:
		add(".libraries.access", fault.FieldInvalid, "Library access is all, none or only.")
		return nil
	}
	if t.Abilities.CanGive(g.Access) {
		return nil
	}
	why := t.Abilities.Why(string(g.Access))
	if why == "" {
		why = t.Abilities.Why(string(sdk.CapLibraryAccess))
	}
	return &fault.Field{
		Location: t.Location + ".libraries.access", Code: fault.FieldUnsupported,
		Message: sentence(fmt.Sprintf("%s cannot give the library access %q", t.ServerName, g.Access), why),
	}
}

func find(libs []Library, id uuid.UUID) (Library, bool) {
	i := slices.IndexFunc(libs, func(l Library) bool { return l.ID == id })
	if i < 0 {
		return Library{}, false
	}
	return libs[i], true
}

// limitRange says what would be right, or "".
func (t Target) limitRange(name string) string {
	n := t.Grant.Limits[name]
	i := slices.IndexFunc(t.Description.Limits, func(l sdk.LimitInfo) bool { return l.Name == name })
	if i < 0 {
		if n < 0 {
			return "A limit is 0 (none) or more."
		}
		return ""
	}
	l := t.Description.Limits[i]
	if n == 0 || n >= max(l.Min, 0) && (l.Max == 0 || n <= l.Max) {
		return ""
	}
	if l.Max == 0 {
		return fmt.Sprintf("%s: 0 for no limit, or at least %d %s.", l.Label, max(l.Min, 1), l.Unit)
	}
	return fmt.Sprintf("%s: 0 for no limit, or %d to %d %s.", l.Label, max(l.Min, 1), l.Max, l.Unit)
}

// Warnings tells what this server will not do of a grant that was accepted.
func (t Target) Warnings() []Warning {
	out := []Warning{}
	for _, name := range slices.Sorted(maps.Keys(t.Grant.Permissions)) {
		if !t.can(t.Abilities.Permissions, name) {
			out = append(out, Warning{
				Code: WarnPermissionUnsupported, Name: name,
				Message: sentence(t.ServerName+" does not know this permission and leaves it out", t.Abilities.Why(name)),
			})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Grant.Limits)) {
		if !t.can(t.Abilities.Limits, name) {
			out = append(out, Warning{
				Code: WarnLimitUnsupported, Name: name,
				Message: sentence(t.ServerName+" does not know this limit and leaves it out", t.Abilities.Why(name)),
			})
		}
	}
	for _, id := range t.Grant.LibraryIDs {
		if lib, ok := find(t.Libraries, id); ok && lib.Missing {
			out = append(out, Warning{
				Code: WarnLibraryGone, Name: lib.Name, Message: t.ServerName + " no longer has this library.",
			})
		}
	}
	return out
}

// sentence joins a statement and its reason.
func sentence(text, why string) string {
	if why = strings.TrimRight(strings.TrimSpace(why), "."); why == "" {
		return text + "."
	}
	return text + ": " + why + "."
}
