package plex

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

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
	// Servers are the owner's servers that the person has accepted.
	Servers []struct {
		ShareID string `xml:"id,attr"`
		Machine string `xml:"machineIdentifier,attr"`
	} `xml:"Server"`
}

// connections lists everybody the owner is connected with. People who are gone
// linger there, so it says who somebody is, and who may use another server, never
// who has access to this one.
func (c *client) connections(ctx context.Context) ([]friendRow, error) {
	out, err := c.wire.send(ctx, request{method: http.MethodGet, at: atCloud, path: "/api/users", as: c.owner, always: true})
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
