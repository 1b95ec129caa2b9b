package jellyfin

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/zondarr/zondarr/sdk"
)

// policy is a user's policy as the server gave it, member by member and unread:
// what is not known here must survive a change.
type policy map[string]json.RawMessage

// policyFields are the members that are known here. A pointer is nil when the
// server did not tell.
type policyFields struct {
	IsAdministrator                  bool
	IsDisabled                       bool
	EnableAllFolders                 *bool
	EnabledFolders                   []string
	EnableMediaPlayback              *bool
	EnableContentDownloading         *bool
	EnableVideoPlaybackTranscoding   *bool
	EnableAudioPlaybackTranscoding   *bool
	EnablePlaybackRemuxing           *bool
	EnableLiveTvAccess               *bool
	EnableLiveTvManagement           *bool
	EnableRemoteAccess               *bool
	EnableSyncTranscoding            *bool
	EnablePublicSharing              *bool
	EnableContentDeletion            *bool
	EnableContentDeletionFromFolders []string
	EnableCollectionManagement       *bool
	EnableSubtitleManagement         *bool
	MaxActiveSessions                *int64
	RemoteClientBitrateLimit         *int64
	AuthenticationProviderID         string `json:"AuthenticationProviderId"`
}

// overlay is what a change writes over a policy: members and their values, each
// a bool, an int64 or a list of ids.
type overlay map[string]any

// over gives the policy with the overlay on top, all else as it was. The channels of
// extensions are in no library: whoever gets all libraries gets all of those, and loses
// them with all libraries. Channels that were picked one by one stay.
func (o overlay) over(p policy) (policy, error) {
	out := maps.Clone(p)
	if out == nil {
		out = policy{}
	}
	if all, named := o["EnableAllFolders"].(bool); named && !holds(p["EnableAllFolders"], all) {
		out["EnableAllChannels"] = json.RawMessage(strconv.FormatBool(all))
	}
	for member, value := range o {
		raw, err := json.Marshal(value)
		if err != nil {
			return nil, sdk.Errorf(sdk.ReasonInternal, "the policy cannot be written: %w", err)
		}
		out[member] = raw
	}
	return out, nil
}

// lostIn names the first member that the policy does not hold as written, or "".
func (o overlay) lostIn(p policy) string {
	for _, member := range slices.Sorted(maps.Keys(o)) {
		if uncheckedMembers[member] {
			continue
		}
		if !holds(p[member], o[member]) {
			return member
		}
	}
	return ""
}

// uncheckedMembers may change between a write and its read back: the counter
// counts the sign-ins that failed meanwhile.
var uncheckedMembers = map[string]bool{"InvalidLoginAttemptCount": true}

func holds(raw json.RawMessage, want any) bool {
	switch want := want.(type) {
	case bool:
		var got *bool
		return json.Unmarshal(raw, &got) == nil && got != nil && *got == want
	case int64:
		var got *int64
		return json.Unmarshal(raw, &got) == nil && got != nil && *got == want
	case []string:
		var got []string
		return json.Unmarshal(raw, &got) == nil && sameIDs(got, want)
	default:
		return false
	}
}

func sameIDs(a, b []string) bool {
	return slices.Equal(idSet(a), idSet(b))
}

func idSet(ids []string) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = normalID(id)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// libraryOverlay says which libraries a user sees. The list is emptied when it
// does not count, so that no later switch brings an old one back.
func libraryOverlay(access sdk.LibraryAccess) (overlay, error) {
	ids := []string{}
	switch access.Mode {
	case sdk.LibraryAll, sdk.LibraryNone:
		if len(access.IDs) > 0 {
			return nil, invalid("libraries", "The libraries %q name none.", access.Mode)
		}
	case sdk.LibraryOnly:
		if len(access.IDs) == 0 {
			return nil, invalid("libraries", "Name at least one library.")
		}
		for _, id := range access.IDs {
			if _, ok := parseID(id); !ok {
				return nil, noSuchLibrary()
			}
		}
		ids = idSet(access.IDs)
	default:
		return nil, invalid("libraries", "The libraries must be all, none or only some.")
	}
	return overlay{"EnableAllFolders": access.Mode == sdk.LibraryAll, "EnabledFolders": ids}, nil
}

// changeOverlay writes the permissions and limits that are named, and nothing
// else.
func changeOverlay(v version, perms map[string]sdk.Tri, lims map[string]int64, options map[string]any) (overlay, error) {
	o := overlay{}
	for name, answer := range perms {
		i := slices.IndexFunc(permissions, func(p permission) bool { return p.info.Name == name })
		switch {
		case i < 0:
			return nil, invalid("permissions."+name, "Jellyfin has no such permission.")
		case answer == sdk.Unset:
		case !v.atLeast(permissions[i].since):
			return nil, unsupported("permissions."+name, "needs Jellyfin "+permissions[i].since.short()+" or newer")
		default:
			permissions[i].set(o, answer == sdk.Allow)
		}
	}
	for name, n := range lims {
		i := slices.IndexFunc(limits, func(l limit) bool { return l.info.Name == name })
		switch {
		case i < 0:
			return nil, invalid("limits."+name, "Jellyfin has no such limit.")
		case n < 0 || n > limits[i].info.Max:
			return nil, invalid("limits."+name, "Give a number from 0 (no limit) to %d.", limits[i].info.Max)
		default:
			o[limits[i].member] = n
		}
	}
	for name := range options {
		return nil, invalid("options."+name, "Jellyfin has no such option.")
	}
	return o, nil
}

// set writes a permission. Denying to delete also empties the list of libraries
// that deleting was allowed in, which would go on to count.
func (p permission) set(o overlay, allowed bool) {
	o[p.member] = allowed
	if p.info.Name == sdk.PermissionDeleteMedia {
		o["EnableContentDeletionFromFolders"] = []string{}
	}
}

// grantOverlay writes a whole grant for a new user: what it leaves open gets the
// declared default, whatever the server's own is.
func grantOverlay(v version, g sdk.Grant) (overlay, error) {
	o, err := libraryOverlay(g.Libraries)
	if err != nil {
		return nil, err
	}
	for _, p := range permissions {
		if v.atLeast(p.since) {
			p.set(o, p.info.Default == sdk.Allow)
		}
	}
	for _, l := range limits {
		o[l.member] = l.info.Default
	}
	named, err := changeOverlay(v, g.Permissions, g.Limits, g.Options)
	if err != nil {
		return nil, err
	}
	maps.Copy(o, named)
	o["IsAdministrator"], o["IsDisabled"] = false, false
	o["EnableAllChannels"], o["EnabledChannels"] = g.Libraries.Mode == sdk.LibraryAll, []string{}
	return o, nil
}

func invalid(field, format string, args ...any) *sdk.Error {
	e := sdk.Errorf(sdk.ReasonInvalid, "%s is not valid", strings.ReplaceAll(field, ".", " "))
	e.Fields = []sdk.FieldProblem{{Field: field, Code: "invalid", Message: fmt.Sprintf(format, args...)}}
	return e
}

func unsupported(field, reason string) *sdk.Error {
	e := sdk.Errorf(sdk.ReasonUnsupported, "%s %s", strings.ReplaceAll(field, ".", " "), reason)
	e.Fields = []sdk.FieldProblem{{Field: field, Code: "unsupported", Message: "It " + reason + "."}}
	return e
}

func noSuchLibrary() *sdk.Error {
	e := sdk.Errorf(sdk.ReasonLibraryNotFound, "Jellyfin has no such library; it may have been removed since the last sync")
	e.Fields = []sdk.FieldProblem{{Field: "libraries", Code: "not_found", Message: "Choose libraries that the server has."}}
	return e
}
