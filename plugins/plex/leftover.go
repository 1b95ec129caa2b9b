package plex

import (
	"context"
	"encoding/xml"
	"net/http"
	"slices"
)

// openInvite is an invite of the owner that nobody has answered yet. The older
// list of them does not say which servers it is about by anything but their name.
type openInvite struct {
	who    invitee
	shares []share // nil in the older list
}

// covers says whether a row may belong to the invite.
func (o openInvite) covers(row share) bool {
	same := row.is(o.who.key())
	if o.shares == nil {
		return same
	}
	return slices.ContainsFunc(o.shares, func(sh share) bool {
		return sh.ID == row.ID || sh.Machine == row.Machine && (same || row.is(sh.Who.key()))
	})
}

// sortOut finds out what the rows are that only the older list has: leftovers of
// withdrawn invites, or invites that the newer list does not show at the moment.
// Plex is asked for the invites that are open; where it no longer tells, a row is
// taken for an invite, which is never removed but by its own name.
func (c *client) sortOut(ctx context.Context, r *roster) error {
	if len(r.leftovers) == 0 {
		return nil
	}
	open, err := c.openInvites(ctx)
	if err != nil && !goneOrAbsent(err) {
		return err
	}
	rows := r.leftovers
	r.leftovers = nil
	for _, row := range rows {
		if err != nil || slices.ContainsFunc(open, func(o openInvite) bool { return o.covers(row) }) {
			r.shares = append(r.shares, row)
		} else {
			r.leftovers = append(r.leftovers, row)
		}
	}
	return nil
}

// openInvites lists the owner's open invites.
func (c *client) openInvites(ctx context.Context) ([]openInvite, error) {
	out, err := c.wire.send(ctx, request{
		method: http.MethodGet, at: atClients, path: "/api/v2/shared_servers/invites/owned/pending", as: c.owner,
	})
	if goneOrAbsent(err) {
		return c.openInvitesV1(ctx)
	}
	if err != nil {
		return nil, err
	}
	return decodeOpenInvites(out)
}

func decodeOpenInvites(r reply) ([]openInvite, error) {
	var rows []struct {
		InvitedID    ident          `json:"invitedId"`
		InvitedEmail string         `json:"invitedEmail"`
		Servers      []sharedServer `json:"sharedServers"`
	}
	if err := r.json(&rows); err != nil {
		return nil, err
	}
	if rows == nil { // null is not an empty list
		return nil, r.unreadable()
	}
	out := make([]openInvite, 0, len(rows))
	for _, row := range rows {
		inv := openInvite{who: invitee{id: string(row.InvitedID), email: row.InvitedEmail}, shares: []share{}}
		for _, s := range row.Servers {
			if sh, live := s.share(); live {
				inv.shares = append(inv.shares, sh)
			}
		}
		out = append(out, inv)
	}
	return out, nil
}

// inviteV1 is an open invite in the older lists, of the owner and of the invitee.
type inviteV1 struct {
	// ID is that of the account at the other end, or the e-mail address that was
	// invited.
	ID      string `xml:"id,attr"`
	Friend  flag   `xml:"friend,attr"`
	Server  flag   `xml:"server,attr"`
	Servers []struct {
		Name string `xml:"name,attr"`
	} `xml:"Server"`
}

// requestedInvites gives what the owner has sent.
func (c *client) requestedInvites(ctx context.Context) ([]inviteV1, error) {
	return c.invitesV1(ctx, request{method: http.MethodGet, at: atCloud, path: "/api/invites/requested", as: c.owner})
}

// invitesV1 reads one of the older lists.
func (c *client) invitesV1(ctx context.Context, list request) ([]inviteV1, error) {
	out, err := c.wire.send(ctx, list)
	if err != nil {
		return nil, err
	}
	var answer struct {
		XMLName xml.Name   `xml:"MediaContainer"`
		Invites []inviteV1 `xml:"Invite"`
	}
	if err := out.xml(&answer); err != nil {
		return nil, err
	}
	return answer.Invites, nil
}

func (c *client) openInvitesV1(ctx context.Context) ([]openInvite, error) {
	rows, err := c.requestedInvites(ctx)
	if err != nil {
		return nil, err
	}
	var out []openInvite
	for _, row := range rows {
		if row.Server {
			out = append(out, openInvite{who: personOf(row.ID)})
		}
	}
	return out, nil
}

// sweep removes the leftover of a person, if there is one. It gives nobody access,
// but stands in the way of a new invite.
func (c *client) sweep(ctx context.Context, r roster, who invitee) (found bool, err error) {
	row, found := pick(r.leftovers, func(sh share) bool { return sh.is(who.key()) })
	if !found {
		return false, nil
	}
	_, err = c.wire.send(ctx, request{
		method: http.MethodDelete, at: atCloud, path: sharePath, args: []string{row.Machine, row.ID}, as: c.owner, repeat: true,
	})
	if absent(err) {
		err = nil
	}
	return true, err
}
