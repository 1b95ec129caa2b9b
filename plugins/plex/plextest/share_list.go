package plextest

import "fmt"

func (c *call) ownedAccepted() reply {
	return c.owned(func(s *share) bool {
		return s.State == ShareAccepted || s.State == ShareLeft && c.f.switches.ListLeft
	})
}

func (c *call) ownedPending() reply {
	return c.owned(func(s *share) bool { return s.State == SharePending })
}

func (c *call) owned(fits func(*share) bool) reply {
	var out []*element
	for _, s := range c.f.shares {
		if s.Owner == c.who.ID && fits(s) {
			out = append(out, c.f.shareElement(s, true))
		}
	}
	return array("sharedServers", out)
}

// invite is what one owner has sent one invitee and is not yet answered.
type invite struct {
	owner   int64
	invited int64
	email   string
	home    bool
	friend  bool
	shares  []*share
	first   *share // of the shares; nil for a home invite alone
	homeRow *homeInvite
}

// invites groups the pending shares by owner and invitee. Home invites join
// their person's group when withHome is set.
func (f *Fake) invites(withHome bool, fits func(owner, invited int64, s *share) bool) []*invite {
	var out []*invite
	group := func(owner, invited int64, email string) *invite {
		for _, in := range out {
			if in.owner == owner && in.invited == invited && in.email == email {
				return in
			}
		}
		in := &invite{owner: owner, invited: invited, email: email}
		out = append(out, in)
		return in
	}
	for _, s := range f.shares {
		if s.State != SharePending || !fits(s.Owner, s.InvitedID, s) {
			continue
		}
		in := group(s.Owner, s.InvitedID, s.InvitedEmail)
		in.shares = append(in.shares, s)
		in.friend = in.friend || !s.SkipFriendship
		if in.first == nil {
			in.first = s
		}
	}
	if !withHome {
		return out
	}
	for _, h := range f.homes {
		for i := range h.invites {
			if row := &h.invites[i]; fits(h.admin, row.invited, nil) {
				in := group(h.admin, row.invited, row.email)
				in.home, in.homeRow = true, row
			}
		}
	}
	return out
}

func (f *Fake) inviteElement(in *invite, owned bool) *element {
	var invitedID, invitedEmail any
	var invited *element
	settings := f.settingsOf(keyFor(in.owner, in.invited, in.email))
	if a := f.account(in.invited); a != nil {
		invitedID, invited = a.ID, f.invitedElement(a, in.owner, settings)
	} else {
		invitedEmail = in.email
	}
	var shares []*element
	for _, s := range in.shares {
		shares = append(shares, f.shareElement(s, owned))
	}
	return el("invite",
		at("id", in.first.ID+1_000_000_000), at("createdAt", iso(in.first.InvitedAt)), at("friend", in.friend), at("home", in.home),
		at("server", true), at("invitedId", invitedID), at("invitedEmail", invitedEmail),
	).one("owner", f.ownerElement(in.owner, !owned && f.switches.OwnerUsernameOnly)).one("invited", invited).
		list("sharedServers", shares...)
}

func (c *call) invitesOwned() reply {
	var out []*element
	for _, in := range c.f.invites(false, func(owner, _ int64, _ *share) bool { return owner == c.who.ID }) {
		out = append(out, c.f.inviteElement(in, true))
	}
	return array("invites", out)
}

func (c *call) invitesReceived() reply {
	var out []*element
	for _, in := range c.f.invites(false, func(_, _ int64, s *share) bool { return s.visibleTo(c.who) }) {
		out = append(out, c.f.inviteElement(in, false))
	}
	return array("invites", out)
}

// usersV1 is /api/users: friends, home members and everybody with an accepted
// share of the caller, never the caller himself.
func (c *call) usersV1() reply {
	f := c.f
	var users []*element
	for _, a := range f.accounts {
		if a.ID == c.who.ID {
			continue
		}
		listed := f.friends[friendship(c.who.ID, a.ID)] || f.sameHome(c.who.ID, a.ID)
		var rows []*share
		for _, s := range f.shares {
			if s.Owner == c.who.ID && s.InvitedID == a.ID && s.State == ShareAccepted {
				rows = append(rows, s)
			}
		}
		for _, g := range f.ghosts {
			if g.owner == c.who.ID && g.user == a.ID && f.now().Before(g.until) {
				listed = true
				if g.share != nil {
					rows = append(rows, g.share)
				}
			}
		}
		if listed || len(rows) > 0 {
			users = append(users, f.userV1(c.who, a, rows))
		}
	}
	return okXML(container(
		at("machineIdentifier", plexTVIdentifier), at("totalSize", len(users)), at("size", len(users)),
	).inline("User", users...))
}

// plexTVIdentifier is what plex.tv calls itself in v1 answers.
const plexTVIdentifier = "3dff4c4da3b1229a649aa574a9e2b419a684a20e"

func (f *Fake) userV1(owner, a *Account, rows []*share) *element {
	settings := f.settingsOf(keyFor(owner.ID, a.ID, ""))
	attrs := []attribute{
		at("id", a.ID), at("title", a.Title), at("username", a.Username), at("email", a.Email),
		at("recommendationsPlaylistId", ""), at("thumb", a.thumb()), at("protected", a.PIN != ""),
		at("home", f.sameHome(owner.ID, a.ID)),
	}
	attrs = append(attrs, settings.flags()...)
	attrs = append(attrs, settings.filters()...)
	user := el("User", append(attrs, at("restricted", a.Restricted))...)
	for _, s := range rows {
		user.inline("Server", el("Server",
			at("id", s.ID), at("serverId", s.server.spec.ID), at("machineIdentifier", s.server.spec.MachineIdentifier),
			at("name", s.server.spec.Name), at("lastSeenAt", epoch(f.now())), at("numLibraries", len(s.shared())),
			at("allLibraries", s.AllLibraries), at("owned", true), at("pending", false)))
	}
	return user
}

func inviteKey(in *invite) string {
	if in.invited != 0 {
		return fmt.Sprint(in.invited)
	}
	return in.email
}
