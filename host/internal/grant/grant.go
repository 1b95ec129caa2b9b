// Package grant is what somebody may do on one media server, in Zondarr's own
// terms: libraries by Zondarr's ids, permissions, limits and options.
//
// Invitations, profiles, redemption steps and users all speak of the same four
// members, so what they mean, what a server can express, and how it is told to a
// plugin is written once, here. The package knows no database and no plugin
// process: it is given the type's description, the server's facts and its
// libraries.
package grant

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/sdk"
)

// The words of a permission; an absent name is unset.
const (
	Allow = "allow"
	Deny  = "deny"
)

// Grant is what a user may do on one server.
type Grant struct {
	// Access has no default: the caller says it.
	Access sdk.LibraryMode
	// LibraryIDs are Zondarr's ids: at least one with LibraryOnly, none else.
	LibraryIDs []uuid.UUID
	// Permissions: name to Allow or Deny.
	Permissions map[string]string
	// Limits: name to number in the declared unit; 0 is no limit.
	Limits map[string]int64
	// Options are what only this server type has.
	Options map[string]any
}

// Library is a stored library, as far as a grant is concerned.
type Library struct {
	ID         uuid.UUID
	ExternalID string
	Name       string
	// Missing says that the media server no longer has it.
	Missing bool
}

// Normalize gives the grant with empty maps for nil ones and with each library
// once, so that it is stored and shown in one form.
func (g Grant) Normalize() Grant {
	ids := make([]uuid.UUID, 0, len(g.LibraryIDs))
	for _, id := range g.LibraryIDs {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	g.LibraryIDs = ids
	if g.Permissions == nil {
		g.Permissions = map[string]string{}
	}
	if g.Limits == nil {
		g.Limits = map[string]int64{}
	}
	if g.Options == nil {
		g.Options = map[string]any{}
	}
	return g
}

// Tri gives the plugin's form of "allow", "deny" or anything else.
func Tri(word string) sdk.Tri {
	switch word {
	case Allow:
		return sdk.Allow
	case Deny:
		return sdk.Deny
	default:
		return sdk.Unset
	}
}

// Words gives permissions as they are stored; unset ones are left out.
func Words(permissions map[string]sdk.Tri) map[string]string {
	out := make(map[string]string, len(permissions))
	for name, t := range permissions {
		if t != sdk.Unset {
			out[name] = t.String()
		}
	}
	return out
}

// Facts reads stored facts; nil for a server that was never tested.
func Facts(raw []byte) *sdk.ServerFacts {
	var f *sdk.ServerFacts
	if len(raw) == 0 || json.Unmarshal(raw, &f) != nil {
		return nil
	}
	return f
}

// Abilities is what one server can do: its facts, or where there are none yet,
// what its type declares.
type Abilities struct {
	Capabilities []sdk.Capability
	Permissions  []string
	Limits       []string
	Modes        []sdk.LibraryMode
	JoinFlow     sdk.JoinFlow
	Rules        sdk.AccountRules
	missing      []sdk.Missing
}

// AbilitiesOf gives what a server can do. facts may be nil.
func AbilitiesOf(desc sdk.Description, facts *sdk.ServerFacts) Abilities {
	if facts != nil {
		return Abilities{
			Capabilities: facts.Capabilities, Permissions: facts.Permissions, Limits: facts.Limits, Modes: facts.LibraryModes,
			JoinFlow: facts.JoinFlow, Rules: facts.AccountRules, missing: facts.Missing,
		}
	}
	a := Abilities{
		Capabilities: desc.Capabilities(), Modes: desc.Traits.LibraryModes, JoinFlow: desc.JoinFlow, Rules: desc.AccountRules,
	}
	for _, p := range desc.Permissions {
		a.Permissions = append(a.Permissions, p.Name)
	}
	for _, l := range desc.Limits {
		a.Limits = append(a.Limits, l.Name)
	}
	return a
}

// Has says whether the server supports a capability.
func (a Abilities) Has(c sdk.Capability) bool { return slices.Contains(a.Capabilities, c) }

// CanGive says whether the server can give a library access mode. A server that
// cannot set library access gives everything, and only that.
func (a Abilities) CanGive(mode sdk.LibraryMode) bool {
	if !a.Has(sdk.CapLibraryAccess) {
		return mode == sdk.LibraryAll
	}
	return slices.Contains(a.Modes, mode)
}

// Why gives the server's reason for lacking something, or "".
func (a Abilities) Why(name string) string {
	for _, m := range a.missing {
		if m.Name == name {
			return m.Reason
		}
	}
	return ""
}

// ForPlugin gives the grant as the plugin takes it: external library ids, and of
// the rest only what the server can do.
func (g Grant) ForPlugin(a Abilities, external map[uuid.UUID]string) sdk.Grant {
	out := sdk.Grant{
		Libraries:   sdk.LibraryAccess{Mode: g.Access},
		Permissions: map[string]sdk.Tri{}, Limits: map[string]int64{}, Options: maps.Clone(g.Options),
	}
	for _, id := range g.LibraryIDs {
		if ext, ok := external[id]; ok {
			out.Libraries.IDs = append(out.Libraries.IDs, ext)
		}
	}
	for name, word := range g.Permissions {
		if slices.Contains(a.Permissions, name) {
			out.Permissions[name] = Tri(word)
		}
	}
	for name, n := range g.Limits {
		if slices.Contains(a.Limits, name) {
			out.Limits[name] = n
		}
	}
	return out
}
