package plextest

import (
	"errors"
	"fmt"
	"net/http"
)

// shareElement is the v2 share object, as its owner or its invitee sees it.
func (f *Fake) shareElement(s *share, owned bool) *element {
	settings := f.settingsOf(keyFor(s.Owner, s.InvitedID, s.InvitedEmail))
	var invitedID, invitedEmail any
	var invited *element
	if a := f.account(s.InvitedID); a != nil {
		invitedID, invited = a.ID, f.invitedElement(a, s.Owner, settings)
		status := "accepted"
		if s.State == SharePending {
			status = "pending_sent"
		}
		invited.attrs = append(invited.attrs, at("status", status))
	} else {
		invitedEmail = s.InvitedEmail
	}
	libraries := libraryElements("library", s.shared())
	return el("sharedServer",
		at("id", s.ID), at("name", s.server.spec.Name), at("ownerId", s.Owner), at("invitedId", invitedID),
		at("invitedEmail", invitedEmail), at("serverId", s.server.spec.ID), at("accepted", s.State == ShareAccepted),
		at("acceptedAt", isoOrNil(s.AcceptedAt)), at("deletedAt", isoOrNil(s.DeletedAt)), at("leftAt", isoOrNil(s.LeftAt)),
		at("owned", owned), at("inviteToken", s.InviteToken), at("machineIdentifier", s.server.spec.MachineIdentifier),
		at("lastSeenAt", isoOrNil(s.seenAt)), at("numLibraries", len(libraries)), at("searchEnabled", false),
		at("allLibraries", s.AllLibraries),
	).one("owner", f.ownerElement(s.Owner, false)).one("invited", invited).
		one("sharingSettings", settings.element()).list("libraries", libraries...)
}

func (f *Fake) invitedElement(a *Account, owner int64, settings Settings) *element {
	return el("invited",
		at("id", a.ID), at("uuid", a.UUID), at("title", a.Title), at("username", a.Username), at("restricted", a.Restricted),
		at("email", a.Email), at("friendlyName", a.FriendlyName), at("thumb", a.thumb()), at("home", f.sameHome(owner, a.ID)),
	).one("sharingSettings", settings.element())
}

func (f *Fake) ownerElement(id int64, usernameOnly bool) *element {
	a := f.account(id)
	if usernameOnly {
		return el("owner", at("username", a.Username))
	}
	return el("owner", at("id", a.ID), at("uuid", a.UUID), at("title", a.Title), at("username", a.Username),
		at("email", a.Email), at("friendlyName", a.FriendlyName), at("thumb", a.thumb()))
}

func (c *call) createShareV2() reply {
	if c.f.switches.V2CreateGone {
		return gone()
	}
	server := c.f.server(c.fields.text("machineIdentifier"))
	if server == nil || server.spec.Unclaimed || server.spec.Owner != c.who.ID {
		return notFoundV2()
	}
	in := invitation{server: server, skipFriendship: c.fields.truth("skipFriendship")}
	sections, valid := c.fields.numbers("librarySectionIds")
	if !valid {
		return notFoundV2()
	}
	in.sections = sections
	if c.fields.has("settings") {
		set := readSettings(c.fields.sub("settings"))
		in.settings = &set
	}
	var err error
	in.invited, in.email, err = c.f.invitee(c.who, c.fields.text("invitedId"), c.fields.text("invitedEmail"))
	if err != nil {
		return c.refuseV2(err)
	}
	s, err := c.f.share(in)
	if err != nil {
		return c.refuseV2(err)
	}
	return created(c.f.shareElement(s, true))
}

func (c *call) refuseV2(err error) reply {
	const unprocessable = http.StatusUnprocessableEntity
	switch {
	case !c.f.switches.V2RefusalWords && (errors.Is(err, errDuplicate) || errors.Is(err, errSelfInvite)):
		return invalidV2(unprocessable, "")
	case errors.Is(err, errDuplicate):
		return invalidV2(unprocessable, "You're already sharing this server with this user")
	case errors.Is(err, errSelfInvite):
		return invalidV2(unprocessable, "You cannot share with yourself")
	case errors.Is(err, errLimit):
		return invalidV2(c.f.switches.ShareLimitStatus, "You have reached the maximum number of users for this server")
	case errors.Is(err, errNeedsPass):
		return needsPassV2()
	case errors.Is(err, errRefused):
		return invalidV2(unprocessable, "No libraries were given")
	default: // an unknown person or section
		return notFoundV2()
	}
}

// findShare finds a share by the id of the path.
func (c *call) findShare(fits func(*share) bool) *share {
	for _, s := range c.f.shares {
		if fmt.Sprint(s.ID) == c.r.PathValue("id") && fits(s) {
			return s
		}
	}
	return nil
}

func (c *call) ownedShare() *share {
	return c.findShare(func(s *share) bool { return s.Owner == c.who.ID && s.live() })
}

func (c *call) updateShareV2() reply {
	s := c.ownedShare()
	if s == nil {
		return notFoundV2()
	}
	ids, valid := c.fields.numbers("librarySectionIds")
	if !valid {
		return notFoundV2()
	}
	libraries := c.fields.has("librarySectionIds")
	if libraries {
		if err := c.f.checkSections(s, ids); err != nil {
			return c.refuseV2(err)
		}
	}
	if c.fields.has("settings") && !c.f.storeSettings(c.who, s.InvitedID, s.InvitedEmail, readSettings(c.fields.sub("settings"))) {
		return needsPassV2()
	}
	if libraries {
		c.f.setSections(s, ids)
	}
	return ok(c.f.shareElement(s, true))
}

// deleteShareV2 is 405 in production, yet others use it: a switch.
func (c *call) deleteShareV2() reply {
	if c.f.switches.V2ShareDelete != http.StatusNoContent {
		return errorsV2(http.StatusMethodNotAllowed, codeNotFound, "Method not allowed").withHeader("Allow", "OPTIONS, POST")
	}
	s := c.ownedShare()
	if s == nil {
		return notFoundV2()
	}
	c.f.unshare(s)
	return noContent()
}

// acceptShareV2 is for the invited account alone, once it can see the invite.
func (c *call) acceptShareV2() reply {
	s := c.findShare(func(s *share) bool { return s.visibleTo(c.who) })
	if s == nil {
		return notFoundV2()
	}
	if c.who.Unconfirmed {
		return errorsV2(http.StatusBadRequest, codeInvalid, "Please verify your email address first")
	}
	c.f.accept(s)
	if c.f.switches.AcceptStatus == http.StatusNoContent {
		return noContent()
	}
	return ok(c.f.shareElement(s, false))
}

// visibleTo says whether a pending invite has reached the account it is for.
func (s *share) visibleTo(a *Account) bool {
	return s.State == SharePending && s.InvitedID == a.ID && !s.server.f.now().Before(s.VisibleAt)
}
