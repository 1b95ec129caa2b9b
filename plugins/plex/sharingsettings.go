package plex

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/zondarr/zondarr/sdk"
)

// sharing is what an owner allows one person, on all of the owner's servers. A
// write replaces the whole set, so what is not understood here is kept and
// written back.
type sharing struct {
	AllowSync          bool
	AllowCameraUpload  bool
	AllowChannels      bool
	AllowSubtitleAdmin bool
	// AllowTuners: 0 none, 1 live TV, 2 live TV and recording.
	AllowTuners int
	// Filters by their name on the wire; a nil value is null there.
	Filters map[string]*string
	rest    map[string]json.RawMessage
}

// filterNames are the content filters that Plex knows.
func filterNames() []string {
	return []string{"filterAll", "filterMovies", "filterMusic", "filterPhotos", "filterTelevision"}
}

// UnmarshalJSON reads a sharingSettings object.
func (s *sharing) UnmarshalJSON(data []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	*s = sharing{}
	if all == nil {
		return nil
	}
	take := func(name string, into any) error {
		raw, ok := all[name]
		delete(all, name)
		if !ok {
			return nil
		}
		return json.Unmarshal(raw, into)
	}
	flags := map[string]*bool{
		"allowSync": &s.AllowSync, "allowCameraUpload": &s.AllowCameraUpload,
		"allowChannels": &s.AllowChannels, "allowSubtitleAdmin": &s.AllowSubtitleAdmin,
	}
	for name, into := range flags {
		if err := take(name, (*flag)(into)); err != nil {
			return err
		}
	}
	if err := take("allowTuners", (*number)(&s.AllowTuners)); err != nil {
		return err
	}
	for _, name := range filterNames() {
		if _, ok := all[name]; !ok {
			continue
		}
		var text *string
		if err := take(name, &text); err != nil {
			return err
		}
		if s.Filters == nil {
			s.Filters = map[string]*string{}
		}
		s.Filters[name] = text
	}
	s.rest = all
	return nil
}

// MarshalJSON writes the full set.
func (s sharing) MarshalJSON() ([]byte, error) {
	out := map[string]any{
		"allowSync": s.AllowSync, "allowCameraUpload": s.AllowCameraUpload, "allowChannels": s.AllowChannels,
		"allowSubtitleAdmin": s.AllowSubtitleAdmin, "allowTuners": s.AllowTuners,
	}
	for _, name := range filterNames() {
		if text := s.Filters[name]; text != nil {
			out[name] = *text
		} else if name == "filterPhotos" || name == "filterAll" {
			out[name] = nil
		} else {
			out[name] = ""
		}
	}
	for name, raw := range s.rest {
		out[name] = raw
	}
	return json.Marshal(out)
}

// older gives the set for the calls of the older API: flags are 0 and 1, and it
// knows only some of them.
func (s sharing) older() map[string]string {
	out := map[string]string{
		"allowSync": zeroOne(s.AllowSync), "allowCameraUpload": zeroOne(s.AllowCameraUpload), "allowChannels": zeroOne(s.AllowChannels),
	}
	for _, name := range []string{"filterMovies", "filterTelevision", "filterMusic"} {
		out[name] = s.filter(name)
	}
	return out
}

func zeroOne(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func (s sharing) filter(name string) string {
	if text := s.Filters[name]; text != nil {
		return *text
	}
	return ""
}

// clone gives a set that can be changed.
func (s sharing) clone() sharing {
	s.Filters = maps.Clone(s.Filters)
	s.rest = maps.Clone(s.rest)
	return s
}

// differences names, for people, what differs in another set. The two flags of
// features that Plex has retired may get lost there, but not appear.
func (s sharing) differences(other sharing) []string {
	var out []string
	add := func(differs bool, name string) {
		if differs {
			out = append(out, name)
		}
	}
	add(s.AllowSync != other.AllowSync, "downloads")
	add(s.AllowTuners != other.AllowTuners, "live TV")
	add(!s.AllowCameraUpload && other.AllowCameraUpload, "camera upload")
	add(!s.AllowChannels && other.AllowChannels, "channels")
	add(s.AllowSubtitleAdmin != other.AllowSubtitleAdmin, "subtitle administration")
	for _, name := range filterNames() {
		add(s.filter(name) != other.filter(name), "the content filter "+strings.TrimPrefix(name, "filter"))
	}
	return out
}

// invitee is who a share is with: an account, or an e-mail address that nobody
// has registered yet.
type invitee struct {
	id    string
	email string
}

func (i invitee) key() string {
	if i.id != "" {
		return i.id
	}
	return strings.ToLower(i.email)
}

// readSharing asks for what the owner allows an account. found is false when
// Plex keeps nothing about the two.
func (c *client) readSharing(ctx context.Context, id string) (set sharing, found bool, err error) {
	out, err := c.wire.send(ctx, request{
		method: http.MethodGet, at: atClients, path: "/api/v2/sharing_settings", query: url.Values{"invitedId": {id}}, as: c.owner,
	})
	switch {
	case err == nil:
		err = out.json(&set)
		return set, err == nil, err
	case absent(err):
		return sharing{}, false, nil
	case gone(err):
		return c.readSharingV1(ctx, id)
	}
	return sharing{}, false, err
}

// friendRow is a person in the older list of everybody the owner is connected
// with.
type friendRow struct {
	ID                 string `xml:"id,attr"`
	Title              string `xml:"title,attr"`
	Username           string `xml:"username,attr"`
	Email              string `xml:"email,attr"`
	AllowSync          flag   `xml:"allowSync,attr"`
	AllowCameraUpload  flag   `xml:"allowCameraUpload,attr"`
	AllowChannels      flag   `xml:"allowChannels,attr"`
	AllowSubtitleAdmin flag   `xml:"allowSubtitleAdmin,attr"`
	AllowTuners        number `xml:"allowTuners,attr"`
	FilterAll          string `xml:"filterAll,attr"`
	FilterMovies       string `xml:"filterMovies,attr"`
	FilterMusic        string `xml:"filterMusic,attr"`
	FilterPhotos       string `xml:"filterPhotos,attr"`
	FilterTelevision   string `xml:"filterTelevision,attr"`
}

// connections lists everybody the owner is connected with. People who are gone
// linger there, so it says who somebody is, never who has access.
func (c *client) connections(ctx context.Context) ([]friendRow, error) {
	out, err := c.wire.send(ctx, request{method: http.MethodGet, at: atCloud, path: "/api/users", as: c.owner})
	if err != nil {
		return nil, err
	}
	var answer struct {
		XMLName xml.Name    `xml:"MediaContainer"`
		Users   []friendRow `xml:"User"`
	}
	err = out.xml(&answer)
	return answer.Users, err
}

func (c *client) readSharingV1(ctx context.Context, id string) (sharing, bool, error) {
	rows, err := c.connections(ctx)
	if err != nil {
		return sharing{}, false, err
	}
	for _, r := range rows {
		if r.ID == id {
			return r.sharing(), true, nil
		}
	}
	return sharing{}, false, nil
}

func (r friendRow) sharing() sharing {
	filters := map[string]*string{
		"filterAll": &r.FilterAll, "filterMovies": &r.FilterMovies, "filterMusic": &r.FilterMusic,
		"filterPhotos": &r.FilterPhotos, "filterTelevision": &r.FilterTelevision,
	}
	for name, text := range filters {
		if *text == "" {
			filters[name] = nil
		}
	}
	return sharing{
		AllowSync: bool(r.AllowSync), AllowCameraUpload: bool(r.AllowCameraUpload), AllowChannels: bool(r.AllowChannels),
		AllowSubtitleAdmin: bool(r.AllowSubtitleAdmin), AllowTuners: int(r.AllowTuners), Filters: filters,
	}
}

// writeSharing replaces what the owner allows a person.
func (c *client) writeSharing(ctx context.Context, who invitee, set sharing) error {
	body := map[string]any{"settings": set}
	if who.id != "" {
		body["invitedId"] = json.Number(who.id)
	} else {
		body["invitedEmail"] = who.email
	}
	_, err := c.wire.send(ctx, request{
		method: http.MethodPost, at: atClients, path: "/api/v2/sharing_settings", as: c.owner, body: body, repeat: true,
	})
	if err == nil || !goneOrAbsent(err) || who.id == "" {
		return err
	}
	query := url.Values{"allowSubtitleAdmin": {zeroOne(set.AllowSubtitleAdmin)}, "allowTuners": {strconv.Itoa(set.AllowTuners)}}
	for name, value := range set.older() {
		query.Set(name, value)
	}
	for _, name := range filterNames() {
		query.Set(name, set.filter(name))
	}
	_, older := c.wire.send(ctx, request{
		method: http.MethodPut, at: atCloud, path: "/api/v2/sharings/{}", args: []string{who.id}, query: query, as: c.owner, repeat: true,
	})
	return older
}

// wishes is what a grant asks of the sharing settings.
type wishes struct {
	download, liveTV sdk.Tri
}

// wishesOf reads the permissions of a request, and refuses what Plex has not.
func wishesOf(permissions map[string]sdk.Tri, limits map[string]int64, options map[string]any) (wishes, error) {
	var w wishes
	for name, value := range permissions {
		switch name {
		case sdk.PermissionDownload:
			w.download = value
		case sdk.PermissionLiveTV:
			w.liveTV = value
		default:
			if value != sdk.Unset {
				return w, unsupported("permissions", "Plex has no permission %q for a person", name)
			}
		}
	}
	for name := range limits {
		return w, unsupported("limits", "Plex has no limit %q for a person", name)
	}
	for name := range options {
		return w, unsupported("options", "Plex has no option %q", name)
	}
	return w, nil
}

func unsupported(field, format string, args ...any) error {
	err := sdk.Errorf(sdk.ReasonUnsupported, format, args...)
	err.Fields = []sdk.FieldProblem{{Field: field, Code: "unsupported", Message: err.Message + "."}}
	return err
}

// apply changes a set as it is wished, and nothing else in it. A member who may
// record keeps that when live TV is allowed.
func (w wishes) apply(set sharing) sharing {
	set = set.clone()
	switch w.download {
	case sdk.Allow:
		set.AllowSync = true
	case sdk.Deny:
		set.AllowSync = false
	case sdk.Unset:
	}
	switch w.liveTV {
	case sdk.Allow:
		set.AllowTuners = max(set.AllowTuners, 1)
	case sdk.Deny:
		set.AllowTuners = 0
	case sdk.Unset:
	}
	return set
}

// orDefaults fills in what the plugin declares for a new person.
func (w wishes) orDefaults() wishes {
	if w.download == sdk.Unset {
		w.download = sdk.Deny
	}
	if w.liveTV == sdk.Unset {
		w.liveTV = sdk.Deny
	}
	return w
}

func needsPass() error {
	return unsupported("permissions", "Plex allows downloads only with Plex Pass on the account of the server's owner")
}

func needsHome() error {
	return unsupported("permissions", "Plex offers Live TV to members of the owner's Plex Home only")
}
