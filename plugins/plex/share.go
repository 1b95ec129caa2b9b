package plex

import (
	"cmp"
	"context"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"slices"
	"strings"

	"github.com/zondarr/zondarr/sdk"
)

// share is one server shared with one person: what this plugin calls a user. It
// is read from the newer lists, or from the older one.
type share struct {
	ID       string
	Machine  string
	Name     string // of the server
	Who      invitee
	Username string
	Title    string
	Email    string
	Accepted bool
	// All says that libraries to come are shared too.
	All      bool
	Sections []string
	Home     bool
	Managed  bool
	// Set is nil where the list does not tell all of it.
	Set *sharing
	// Download and Tuners are told by every list.
	Download bool
	Tuners   int
	// short says that the list names fewer libraries than it counts.
	short bool
}

// sharedServer is a share in the newer lists.
type sharedServer struct {
	ID           ident    `json:"id"`
	Machine      string   `json:"machineIdentifier"`
	Name         string   `json:"name"`
	InvitedID    ident    `json:"invitedId"`
	InvitedEmail string   `json:"invitedEmail"`
	Accepted     flag     `json:"accepted"`
	AcceptedAt   stamp    `json:"acceptedAt"`
	DeletedAt    stamp    `json:"deletedAt"`
	LeftAt       stamp    `json:"leftAt"`
	All          flag     `json:"allLibraries"`
	Count        number   `json:"numLibraries"`
	Set          *sharing `json:"sharingSettings"`
	Invited      *struct {
		ID           ident    `json:"id"`
		Username     string   `json:"username"`
		Title        string   `json:"title"`
		FriendlyName string   `json:"friendlyName"`
		Email        string   `json:"email"`
		Home         flag     `json:"home"`
		Restricted   flag     `json:"restricted"`
		Set          *sharing `json:"sharingSettings"`
	} `json:"invited"`
	Libraries []section `json:"libraries"`
}

// share gives the plain form; false for a row that is no share any more.
func (s sharedServer) share() (share, bool) {
	if s.DeletedAt.set || s.LeftAt.set {
		return share{}, false
	}
	out := share{
		ID: string(s.ID), Machine: s.Machine, Name: s.Name, Who: invitee{id: string(s.InvitedID)}, Email: s.InvitedEmail,
		Accepted: bool(s.Accepted) || s.AcceptedAt.set, All: bool(s.All), Set: s.Set,
	}
	if p := s.Invited; p != nil {
		out.Who.id = cmp.Or(out.Who.id, string(p.ID))
		out.Username, out.Title = p.Username, cmp.Or(p.FriendlyName, p.Title)
		out.Email = cmp.Or(p.Email, out.Email)
		out.Home, out.Managed = bool(p.Home), bool(p.Restricted)
		if out.Set == nil {
			out.Set = p.Set
		}
	}
	if out.Who.id == "" {
		out.Who.email = out.Email
	}
	for _, l := range s.Libraries {
		out.Sections = append(out.Sections, string(l.ID))
	}
	out.short = !out.All && len(out.Sections) < int(s.Count)
	if out.Set != nil {
		out.Download, out.Tuners = out.Set.AllowSync, out.Set.AllowTuners
	}
	return out, true
}

// decodeShares reads one of the newer lists.
func decodeShares(r reply) ([]share, error) {
	var rows []sharedServer
	if err := r.json(&rows); err != nil {
		return nil, err
	}
	if rows == nil { // null is not an empty list
		return nil, r.unreadable()
	}
	out := make([]share, 0, len(rows))
	for _, row := range rows {
		sh, live := row.share()
		if !live {
			continue
		}
		if sh.ID == "" || sh.Machine == "" || sh.Who.key() == "" || !namedByNumber(sh.Sections) {
			return nil, r.unreadable()
		}
		out = append(out, sh)
	}
	return out, nil
}

func namedByNumber(ids []string) bool {
	return !slices.ContainsFunc(ids, func(id string) bool { return !digits(id) })
}

// sharedServerRow is a share in the older list, which also keeps rows of invites
// that were withdrawn.
type sharedServerRow struct {
	ID         string `xml:"id,attr"`
	Name       string `xml:"name,attr"`
	UserID     string `xml:"userID,attr"`
	Username   string `xml:"username,attr"`
	Email      string `xml:"email,attr"`
	Accepted   string `xml:"accepted,attr"`
	AcceptedAt stamp  `xml:"acceptedAt,attr"`
	LeftAt     stamp  `xml:"leftAt,attr"`
	DeletedAt  stamp  `xml:"deletedAt,attr"`
	All        flag   `xml:"allLibraries,attr"`
	AllowSync  flag   `xml:"allowSync,attr"`
	Tuners     number `xml:"allowTuners,attr"`
	Sections   []struct {
		ID     string `xml:"id,attr"`
		Shared flag   `xml:"shared,attr"`
	} `xml:"Section"`
}

func (r sharedServerRow) share(machine string) share {
	out := share{
		ID: r.ID, Machine: machine, Name: r.Name, Username: r.Username, Email: r.Email, All: bool(r.All),
		Accepted: r.AcceptedAt.set && r.Accepted != "0" && r.Accepted != "false",
		Download: bool(r.AllowSync), Tuners: int(r.Tuners),
	}
	if r.UserID != "" && r.UserID != "0" {
		out.Who.id = r.UserID
	} else {
		out.Who.email = r.Email
	}
	for _, s := range r.Sections {
		if s.Shared {
			out.Sections = append(out.Sections, s.ID)
		}
	}
	return out
}

// decodeSharesV1 reads the older list, or one row of it.
func decodeSharesV1(r reply, machine string) ([]share, error) {
	var answer struct {
		XMLName xml.Name          `xml:"MediaContainer"`
		Rows    []sharedServerRow `xml:"SharedServer"`
	}
	if err := r.xml(&answer); err != nil {
		return nil, err
	}
	out := make([]share, 0, len(answer.Rows))
	for _, row := range answer.Rows {
		if row.LeftAt.set || row.DeletedAt.set {
			continue
		}
		sh := row.share(machine)
		if !digits(sh.ID) || sh.Who.key() == "" || !namedByNumber(sh.Sections) {
			return nil, r.unreadable()
		}
		out = append(out, sh)
	}
	return out, nil
}

// sortedSections gives the ids of the shared libraries, each once.
func (s share) sortedSections() []string {
	ids := slices.Clone(s.Sections)
	slices.Sort(ids)
	return slices.Compact(ids)
}

// selection gives the libraries of the share in the form that is sent.
func (s share) selection() (selection, error) {
	if s.All {
		return everyLibrary(), nil
	}
	return theseLibraries(s.Sections)
}

// is says whether the share is with the person of an external id.
func (s share) is(id string) bool {
	return s.Who.id == id && id != "" || s.Who.id == "" && strings.EqualFold(s.Who.email, id)
}

// whole fills in the libraries of a share that a list has cut short.
func (c *client) whole(ctx context.Context, sh share) (share, error) {
	if !sh.short {
		return sh, nil
	}
	out, err := c.wire.send(ctx, request{
		method: http.MethodGet, at: atCloud, path: "/api/servers/{}/shared_servers/{}", args: []string{sh.Machine, sh.ID}, as: c.owner,
	})
	if err != nil {
		return share{}, err
	}
	rows, err := decodeSharesV1(out, sh.Machine)
	if err != nil {
		return share{}, err
	}
	if len(rows) != 1 || rows[0].ID != sh.ID {
		return share{}, out.unreadable()
	}
	sh.All, sh.Sections, sh.short = rows[0].All, rows[0].Sections, false
	return sh, nil
}

// pluginState is what Resume needs beyond the grant.
type pluginState struct {
	Version  int      `json:"v"`
	Settings *sharing `json:"settings,omitempty"`
}

const stateVersion = 1

// user is a share as the host sees it.
func (s share) user() sdk.User {
	u := sdk.User{
		ID: s.Who.key(), Username: cmp.Or(s.Username, s.Email, s.Title), DisplayName: s.Title, Email: s.Email,
		Kind: kindFriend, Status: sdk.StatusPending,
		Permissions: map[string]sdk.Tri{sdk.PermissionDownload: sdk.TriOf(s.Download), sdk.PermissionLiveTV: sdk.Deny},
	}
	if s.Accepted {
		u.Status = sdk.StatusActive
	}
	if s.Home {
		u.Kind = kindHome
		u.Permissions[sdk.PermissionLiveTV] = sdk.TriOf(s.Tuners > 0)
	}
	if s.Managed {
		u.Kind = kindManaged
	}
	switch {
	case s.All:
		u.Libraries = &sdk.LibraryAccess{Mode: sdk.LibraryAll}
	case s.short, len(s.Sections) == 0 && s.Home:
		// Plex may show a Home member without any shared library all of them.
	case len(s.Sections) == 0:
		u.Libraries = &sdk.LibraryAccess{Mode: sdk.LibraryNone}
	default:
		u.Libraries = &sdk.LibraryAccess{Mode: sdk.LibraryOnly, IDs: s.sortedSections()}
	}
	return u
}

// userWithState adds what Resume will need.
func (s share) userWithState() (sdk.User, error) {
	u := s.user()
	state, err := json.Marshal(pluginState{Version: stateVersion, Settings: s.Set})
	if err != nil {
		return sdk.User{}, sdk.Errorf(sdk.ReasonInternal, "the state of a share could not be written")
	}
	u.PluginState = state
	return u, nil
}
