package plextest

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

var fourDigits = regexp.MustCompile(`^[0-9]{4}$`)

func (c *call) homeUsersV1() reply {
	root := container(at("machineIdentifier", plexTVIdentifier), at("guestUserID", nil))
	h := c.f.homeOf(c.who.ID)
	if h == nil {
		root.attrs = append(root.attrs, at("size", 1))
		return okXML(root.inline("User", c.f.homeUserV1(&home{admin: c.who.ID}, c.who)))
	}
	root.attrs = append(root.attrs, at("size", len(h.members)))
	for _, id := range h.members {
		root.inline("User", c.f.homeUserV1(h, c.f.account(id)))
	}
	return okXML(root)
}

func (f *Fake) homeUserV1(h *home, a *Account) *element {
	return el("User",
		at("id", a.ID), at("uuid", a.UUID), at("admin", h.admin == a.ID), at("guest", false), at("restricted", a.Restricted),
		at("restrictionProfile", a.RestrictionProfile), at("hasPassword", !a.NoPassword && !a.Restricted), at("protected", a.PIN != ""),
		at("title", a.Title), at("username", a.Username), at("email", a.Email), at("thumb", a.thumb()))
}

func (c *call) homeUsersV2() reply {
	h := c.f.homeOf(c.who.ID)
	if h == nil {
		h = &home{admin: c.who.ID, members: []int64{c.who.ID}}
	}
	admin := c.f.account(h.admin)
	var users []*element
	for _, id := range h.members {
		users = append(users, c.f.homeUserV2(h, c.f.account(id)))
	}
	return ok(el("home", at("id", h.id), at("name", admin.Title+"'s home"), at("guestUserID", nil), at("guestUserUUID", nil),
		at("guestEnabled", false), at("subscription", c.f.hasPass(admin))).list("users", users...))
}

func (f *Fake) homeUserV2(h *home, a *Account) *element {
	return el("user",
		at("id", a.ID), at("uuid", a.UUID), at("title", a.Title), at("username", a.Username), at("email", a.Email),
		at("friendlyName", a.FriendlyName), at("thumb", a.thumb()), at("hasPassword", !a.NoPassword && !a.Restricted),
		at("restricted", a.Restricted), at("updatedAt", epoch(a.CreatedAt)), at("restrictionProfile", a.RestrictionProfile),
		at("admin", h.admin == a.ID), at("guest", false), at("protected", a.PIN != ""))
}

// adminHome gives the home that the caller may change: his own, made when he
// has none; nil for a member of somebody else's.
func (c *call) adminHome() *home {
	if h := c.f.homeOf(c.who.ID); h != nil && h.admin != c.who.ID {
		return nil
	}
	if c.who.Restricted {
		return nil
	}
	return c.f.ensureHome(c.who.ID)
}

func (h *home) full() bool { return len(h.members)+len(h.invites) >= maxHomeSize }

// addHomeUserV1 makes a managed user (?title=) or invites an account (?invitedEmail=).
func (c *call) addHomeUserV1() reply {
	h := c.adminHome()
	if h == nil {
		return response(http.StatusForbidden, "Only the home admin can add users")
	}
	if h.full() {
		return response(http.StatusBadRequest, "Your Plex Home is full")
	}
	if address := c.arg("invitedEmail"); address != "" {
		return c.inviteHome(h, address)
	}
	title := c.arg("title")
	if title == "" {
		return response(http.StatusBadRequest, "A title is required")
	}
	return okXML(c.f.homeUserV1(h, c.f.newManaged(h, title, "")))
}

func (c *call) inviteHome(h *home, address string) reply {
	if !c.f.hasPass(c.who) {
		return response(http.StatusBadRequest, "Invite a user requires a Plex Pass")
	}
	a := c.f.byAddress(address)
	row := homeInvite{id: c.f.random.id(8), sentAt: c.f.now()}
	attrs := []attribute{at("home", true), at("email", address)}
	switch {
	case a == nil && !isEmail(address):
		return response(http.StatusNotFound, "We couldn't find a user with that name")
	case a == nil:
		row.email = address
	case c.f.homeOf(a.ID) != nil:
		return response(http.StatusBadRequest, "This user is already in a Plex Home")
	case slices.ContainsFunc(h.invites, func(i homeInvite) bool { return i.invited == a.ID }):
		return response(http.StatusBadRequest, "This user is already invited")
	default:
		row.invited = a.ID
		attrs = append(attrs, at("id", a.ID), at("username", a.Username))
	}
	h.invites = append(h.invites, row)
	return okXML(el("Invite", attrs...))
}

func (f *Fake) dropHomeInvite(admin, id int64) {
	for _, h := range f.homes {
		if h.admin == admin {
			h.invites = slices.DeleteFunc(h.invites, func(i homeInvite) bool { return i.id == id })
		}
	}
}

func (f *Fake) newManaged(h *home, title, profile string) *Account {
	a := &Account{
		ID: f.random.id(8), UUID: f.random.hex(16), Title: title, CreatedAt: f.now(),
		Restricted: true, RestrictionProfile: profile, NoPassword: true,
	}
	f.accounts = append(f.accounts, a)
	h.members = append(h.members, a.ID)
	return a
}

// addManagedUser is the v2 way, which takes the sharing settings along.
func (c *call) addManagedUser() reply {
	name, profile := c.arg("friendlyName"), c.arg("restrictionProfile")
	h := c.adminHome()
	switch {
	case h == nil:
		return errorsV2(http.StatusForbidden, codeInvalid, "Only the home admin can add users")
	case name == "", profile != "" && !slices.Contains([]string{"little_kid", "older_kid", "teen"}, profile):
		return errorsV2(http.StatusBadRequest, codeInvalid, "friendlyName or restrictionProfile is invalid")
	case h.full():
		return errorsV2(http.StatusBadRequest, codeInvalid, "Your Plex Home is full")
	}
	a := c.f.newManaged(h, name, profile)
	var set Settings
	for key, values := range c.r.URL.Query() {
		if inner, found := strings.CutPrefix(key, "sharingSettings["); found {
			set.set(strings.TrimSuffix(inner, "]"), values[0])
		}
	}
	c.f.storeSettings(c.who, a.ID, "", set) // refused ones stay at their zero
	return created(c.f.homeUserV2(h, a))
}

// managedPIN sets (?pin=) or removes (?removePin=1) the PIN of a managed user.
func (c *call) managedPIN() reply {
	h := c.f.homeOf(c.who.ID)
	a := c.f.findAccount(c.r.PathValue("id"))
	if h == nil || h.admin != c.who.ID || a == nil || !a.Restricted || !slices.Contains(h.members, a.ID) {
		return notFoundV2()
	}
	switch newPIN := c.arg("pin"); {
	case truth(c.arg("removePin")):
		a.PIN = ""
	case fourDigits.MatchString(newPIN):
		a.PIN = newPIN
	default:
		return errorsV2(http.StatusBadRequest, codeInvalid, "A PIN has four digits")
	}
	return created(c.f.homeUserV2(h, a))
}

// ownPIN changes the caller's own PIN; an empty one removes it.
func (c *call) ownPIN() reply {
	newPIN := c.arg("pin")
	switch {
	case c.r.PathValue("id") != fmt.Sprint(c.who.ID):
		return notFoundV1()
	case c.who.PIN != c.arg("currentPin"):
		return response(http.StatusUnauthorized, "Incorrect PIN")
	case newPIN != "" && !fourDigits.MatchString(newPIN):
		return response(http.StatusBadRequest, "A PIN has four digits")
	}
	c.who.PIN = newPIN
	return reply{status: http.StatusOK, forms: asIs}
}

// removeHomeUser ends a membership; a managed user is gone for good, with
// every share. Only the admin may, and he cannot remove himself.
func (c *call) removeHomeUser() reply {
	h := c.f.homeOf(c.who.ID)
	a := c.f.findAccount(c.r.PathValue("id"))
	if h == nil || h.admin != c.who.ID || a == nil || a.ID == h.admin || !slices.Contains(h.members, a.ID) {
		return notFoundV1()
	}
	h.members = slices.DeleteFunc(h.members, func(id int64) bool { return id == a.ID })
	if a.Restricted {
		c.f.sever(c.who.ID, a.ID)
		for _, t := range c.f.tokens {
			t.Revoked = t.Revoked || t.Account == a.ID
		}
		c.f.ghosts = slices.DeleteFunc(c.f.ghosts, func(g ghost) bool { return g.user == a.ID })
		c.f.accounts = slices.DeleteFunc(c.f.accounts, func(x *Account) bool { return x == a })
	}
	return reply{status: http.StatusOK, forms: asIs}
}

func (c *call) switchV1() reply {
	a := c.f.findAccount(c.r.PathValue("id"))
	t, refused := c.switchUser(a)
	if t == nil {
		refused.forms = alwaysXML
		return refused
	}
	return okXML(el("user", at("id", a.ID), at("uuid", a.UUID), at("title", a.Title), at("username", a.Username), at("email", a.Email),
		at("authenticationToken", t.Value), at("authToken", t.Value)))
}

func (c *call) switchV2() reply {
	if c.r.PathValue("verb") != "switch" {
		return notFoundV2()
	}
	var a *Account
	for _, other := range c.f.accounts {
		if other.UUID == c.r.PathValue("uuid") {
			a = other
		}
	}
	t, refused := c.switchUser(a)
	if t == nil {
		return refused
	}
	return created(c.f.userElement(a, t.Value))
}

func (c *call) switchUser(a *Account) (*token, reply) {
	switch {
	case a == nil || !c.f.sameHome(c.who.ID, a.ID):
		return nil, notFoundV2()
	case a.PIN != "" && c.arg("pin") != a.PIN:
		return nil, errorsV2(c.f.switches.HomeWrongPin, codeUnauthenticated, "Invalid PIN")
	}
	return c.f.signIn(a.ID, c.clientID(), plexHeader(c.r, "Product")), reply{}
}
