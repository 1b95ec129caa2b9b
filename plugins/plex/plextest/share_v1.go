package plextest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// rowV1 is a <SharedServer>: every section of the server, marked if shared.
func (f *Fake) rowV1(s *share) *element {
	var username, email, thumb string
	var userID, acceptedAt any
	email = s.InvitedEmail
	if a := f.account(s.InvitedID); a != nil {
		username, email, userID, thumb = a.Username, a.Email, a.ID, a.thumb()
	}
	if s.State == ShareAccepted {
		acceptedAt = epoch(s.AcceptedAt)
	}
	settings := f.settingsOf(keyFor(s.Owner, s.InvitedID, s.InvitedEmail))
	attrs := []attribute{
		at("id", s.ID), at("username", username), at("email", email), at("userID", userID), at("thumb", thumb),
		at("accessToken", s.AccessToken), at("name", s.server.spec.Name), at("accepted", s.State == ShareAccepted),
		at("acceptedAt", acceptedAt), at("invitedAt", epoch(s.InvitedAt)),
	}
	attrs = append(attrs, settings.flags()...)
	attrs = append(attrs, settings.filters()...)
	attrs = append(attrs, at("owned", true), at("allLibraries", s.AllLibraries))
	row := el("SharedServer", attrs...)
	for _, section := range s.server.published() {
		row.inline("Section", el("Section",
			at("id", section.ID), at("key", section.Key), at("title", section.Title), at("type", section.Type),
			at("shared", s.AllLibraries || slices.Contains(s.Sections, section.ID))))
	}
	return row
}

func (f *Fake) rowsV1(server *Server, rows ...*share) reply {
	root := container(at("machineIdentifier", server.spec.MachineIdentifier), at("size", len(rows)))
	for _, s := range rows {
		root.inline("SharedServer", f.rowV1(s))
	}
	return okXML(root)
}

func (s *share) hasRowV1() bool { return s.live() || s.Orphan }

func (c *call) listSharesV1() reply {
	server := c.ownServer()
	if server == nil {
		return notFoundV1()
	}
	var rows []*share
	for _, s := range c.f.shares {
		if s.server == server && s.hasRowV1() {
			rows = append(rows, s)
		}
	}
	return c.f.rowsV1(server, rows...)
}

// shareOfPath finds the row of the path on the caller's own server.
func (c *call) shareOfPath() *share {
	server := c.ownServer()
	if server == nil {
		return nil
	}
	for _, s := range c.f.shares {
		if s.server == server && s.hasRowV1() && fmt.Sprint(s.ID) == c.r.PathValue("id") {
			return s
		}
	}
	return nil
}

func (c *call) getShareV1() reply {
	s := c.shareOfPath()
	if s == nil {
		return notFoundV1()
	}
	return c.f.rowsV1(s.server, s)
}

func (c *call) createShareV1() reply {
	server := c.ownServer()
	if server == nil {
		return notFoundV1()
	}
	in := invitation{server: server, skipFriendship: c.fields.truth("shared_server", "skipFriendship")}
	sections, valid := c.fields.numbers("shared_server", "library_section_ids")
	if !valid {
		return response(http.StatusBadRequest, "Invalid library sections")
	}
	in.sections = sections
	if c.fields.has("sharing_settings") {
		set := readSettings(c.fields.sub("sharing_settings"))
		in.settings = &set
	}
	address := c.fields.text("shared_server", "invited_email")
	var err error
	in.invited, in.email, err = c.f.invitee(c.who, c.fields.text("shared_server", "invited_id"), address)
	if err != nil {
		return c.refuseV1(err, address)
	}
	if in.invited != nil && address == "" {
		address = in.invited.Username
	}
	s, err := c.f.share(in)
	if err != nil {
		return c.refuseV1(err, address)
	}
	return c.f.rowsV1(server, s)
}

func (c *call) refuseV1(err error, address string) reply {
	switch {
	case errors.Is(err, errDuplicate):
		return response(http.StatusBadRequest, "You're already sharing this server with "+address+". Please edit your existing share.")
	case errors.Is(err, errSelfInvite):
		if c.f.switches.V1SelfInvite == "errors" {
			return errorsV1(http.StatusBadRequest, "You cannot share with yourself")
		}
		return response(http.StatusBadRequest, "You cannot share with yourself")
	case errors.Is(err, errLimit):
		return response(http.StatusBadRequest, "You have reached the maximum number of users for this server")
	case errors.Is(err, errNeedsPass):
		return response(http.StatusBadRequest, "This setting requires a Plex Pass")
	case errors.Is(err, errUnknown):
		return response(http.StatusNotFound, "We couldn't find a user with that name")
	default:
		return response(http.StatusBadRequest, "Invalid library sections")
	}
}

func (c *call) updateShareV1() reply {
	s := c.shareOfPath()
	if s == nil || s.Orphan {
		return notFoundV1()
	}
	if c.fields.has("shared_server", "library_section_ids") {
		ids, valid := c.fields.numbers("shared_server", "library_section_ids")
		if !valid {
			return response(http.StatusBadRequest, "Invalid library sections")
		}
		if err := c.f.checkSections(s, ids); err != nil {
			return c.refuseV1(err, "")
		}
		c.f.setSections(s, ids)
	}
	return c.f.rowsV1(s.server, s)
}

func (c *call) deleteShareV1() reply {
	s := c.shareOfPath()
	if s == nil {
		return notFoundV1()
	}
	c.f.unshare(s)
	return reply{status: http.StatusOK, forms: asIs}
}
