package plextest

import "net/http"

// invitesRequested is the sender's side of v1 invites.
func (c *call) invitesRequested() reply {
	if c.f.switches.V1RequestedGone {
		return gone()
	}
	root := container(at("machineIdentifier", plexTVIdentifier))
	rows := c.f.invites(true, func(owner, _ int64, _ *share) bool { return owner == c.who.ID })
	root.attrs = append(root.attrs, at("size", len(rows)))
	for _, in := range rows {
		root.inline("Invite", c.f.inviteV1(in, inviteKey(in), c.f.account(in.invited)))
	}
	return okXML(root)
}

// inviteRequests is the receiver's side; the id is the sender's.
func (c *call) inviteRequests() reply {
	if c.f.switches.V1RequestsGone {
		return gone()
	}
	root := container(at("machineIdentifier", plexTVIdentifier))
	rows := c.received()
	root.attrs = append(root.attrs, at("size", len(rows)))
	for _, in := range rows {
		owner := c.f.account(in.owner)
		root.inline("Invite", c.f.inviteV1(in, inviteKey(&invite{invited: owner.ID}), owner))
	}
	return okXML(root)
}

func (c *call) received() []*invite {
	return c.f.invites(true, func(_, invited int64, s *share) bool {
		return invited == c.who.ID && (s == nil || s.visibleTo(c.who))
	})
}

func (f *Fake) inviteV1(in *invite, id string, person *Account) *element {
	username, email, thumb, friendlyName := "", in.email, "", in.email
	if person != nil {
		username, email, thumb, friendlyName = person.Username, person.Email, person.thumb(), person.Title
	}
	created := f.now()
	if in.first != nil {
		created = in.first.InvitedAt
	} else if in.homeRow != nil {
		created = in.homeRow.sentAt
	}
	row := el("Invite", at("id", id), at("createdAt", epoch(created)), at("friend", in.friend), at("home", in.home),
		at("server", len(in.shares) > 0), at("username", username), at("email", email), at("thumb", thumb), at("friendlyName", friendlyName))
	for _, s := range in.shares {
		row.inline("Server", el("Server", at("name", s.server.spec.Name), at("numLibraries", len(s.shared()))))
	}
	return row
}

// cancelRequested withdraws what the flags name: the shares, the home invite.
func (c *call) cancelRequested() reply {
	if c.f.switches.V1RequestedGone {
		return gone()
	}
	for _, in := range c.f.invites(true, func(owner, _ int64, _ *share) bool { return owner == c.who.ID }) {
		if inviteKey(in) != c.r.PathValue("id") {
			continue
		}
		done := false
		if truth(c.query("server")) {
			for _, s := range in.shares {
				c.f.cancel(s)
				done = true
			}
		}
		if truth(c.query("home")) && in.homeRow != nil {
			c.f.dropHomeInvite(in.owner, in.homeRow.id)
			done = true
		}
		if done {
			return reply{status: http.StatusOK, forms: asIs}
		}
	}
	return notFoundV1()
}

// acceptRequest accepts what the flags name from one sender.
func (c *call) acceptRequest() reply {
	if c.f.switches.V1RequestsGone {
		return gone()
	}
	for _, in := range c.received() {
		if inviteKey(&invite{invited: in.owner}) != c.r.PathValue("id") {
			continue
		}
		if c.who.Unconfirmed {
			return response(http.StatusBadRequest, "Please verify your email address first")
		}
		done := false
		if truth(c.query("server")) {
			for _, s := range in.shares {
				c.f.accept(s)
				done = true
			}
		}
		if truth(c.query("home")) && in.homeRow != nil {
			done = c.f.joinHome(in.owner, c.who.ID) || done
		}
		if done {
			return reply{status: http.StatusOK, forms: asIs}
		}
	}
	return notFoundV1()
}
