package plex

import (
	"cmp"
	"context"
	"encoding/json"
	"encoding/xml"
	"net/http"

	"github.com/zondarr/zondarr/sdk"
)

// member is somebody in the owner's Plex Home: a full account, or a managed user
// who can sign in nowhere else.
type member struct {
	ID           ident  `json:"id" xml:"id,attr"`
	Title        string `json:"title" xml:"title,attr"`
	FriendlyName string `json:"friendlyName" xml:"friendlyName,attr"`
	Username     string `json:"username" xml:"username,attr"`
	Email        string `json:"email" xml:"email,attr"`
	Restricted   flag   `json:"restricted" xml:"restricted,attr"`
}

// members lists the owner's Plex Home without the owner. The Home of somebody
// else, which the owner only belongs to, gives nobody access to the owner's
// servers.
func (c *client) members(ctx context.Context, owner account) ([]member, error) {
	if !owner.leadsHome() {
		return nil, nil
	}
	list, err := c.membersV2(ctx)
	if goneOrAbsent(err) {
		list, err = c.membersV1(ctx)
	}
	if err != nil {
		return nil, err
	}
	others := make([]member, 0, len(list))
	for _, m := range list {
		if m.ID != owner.ID {
			others = append(others, m)
		}
	}
	return others, nil
}

func (c *client) membersV2(ctx context.Context) ([]member, error) {
	out, err := c.wire.send(ctx, request{method: http.MethodGet, at: atClients, path: "/api/v2/home/users", as: c.owner})
	if err != nil {
		return nil, err
	}
	return decodeMembers(out)
}

// decodeMembers reads both forms that were seen: an object with users, and a
// bare array.
func decodeMembers(r reply) ([]member, error) {
	var list []member
	if json.Unmarshal(r.body, &list) != nil {
		var home struct {
			Users []member `json:"users"`
		}
		if err := r.json(&home); err != nil {
			return nil, err
		}
		list = home.Users
	}
	return checkMembers(r, list)
}

func (c *client) membersV1(ctx context.Context) ([]member, error) {
	out, err := c.wire.send(ctx, request{method: http.MethodGet, at: atCloud, path: "/api/home/users", as: c.owner, always: true})
	if err != nil {
		return nil, err
	}
	var answer struct {
		XMLName xml.Name `xml:"MediaContainer"`
		Users   []member `xml:"User"`
	}
	if err := out.xml(&answer); err != nil {
		return nil, err
	}
	return checkMembers(out, answer.Users)
}

// checkMembers refuses a list that cannot be right: a Home has its admin in it.
func checkMembers(r reply, list []member) ([]member, error) {
	for _, m := range list {
		if !digits(string(m.ID)) {
			return nil, r.unreadable()
		}
	}
	if len(list) == 0 {
		return nil, r.unreadable()
	}
	return list, nil
}

func (m member) title() string { return cmp.Or(m.FriendlyName, m.Title) }

func (m member) kind() string {
	if m.Restricted {
		return kindManaged
	}
	return kindHome
}

// user is a member with whom this server is not shared: as good as suspended, and
// resumed by sharing. Some Plex apps have shown such a member every library, so
// no libraries are told.
func (m member) user() sdk.User {
	return sdk.User{
		ID: string(m.ID), Username: cmp.Or(m.Username, m.Email, m.title()), DisplayName: m.title(), Email: m.Email,
		Kind: m.kind(), Status: sdk.StatusSuspended,
	}
}
