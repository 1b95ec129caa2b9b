package jellyfintest

import (
	"net/http"
	"strings"
)

// encodeUser writes a UserDto.
func (c *call) encodeUser(e *encoder, u *user) {
	encodeUser(e, c.p, c.st.serverID, u, false)
}

func encodeUser(e *encoder, p *profile, serverID string, u *user, justCreated bool) {
	has := u.hash != nil
	switch {
	case p.hasPasswordAlways:
		has = true
	case justCreated && p.createReplyStale:
		has = false
	}
	e.open()
	e.str("Name", u.name)
	e.str("ServerId", serverID)
	e.str("Id", u.id)
	e.optStr("PrimaryImageTag", u.avatar)
	e.boolean("HasPassword", has)
	e.boolean("HasConfiguredPassword", has)
	e.boolean("HasConfiguredEasyPassword", false)
	e.boolean("EnableAutoLogin", false)
	e.optDate("LastLoginDate", u.login)
	e.optDate("LastActivityDate", u.activity)
	e.key("Configuration")
	u.config.encode(e, p)
	e.key("Policy")
	u.policy.encode(e, p)
	e.close()
}

// listUsers streams all users. The lock is not held while it does.
func listUsers(c *call) reply {
	hidden, disabled := c.queryBool("isHidden"), c.queryBool("isDisabled")
	if r, bad := c.invalid(); bad {
		return r
	}
	return c.userList(func(u *user) bool {
		return (hidden == nil || u.policy.IsHidden == *hidden) &&
			(disabled == nil || u.policy.IsDisabled == *disabled)
	})
}

// listPublicUsers is what the login screen shows.
func listPublicUsers(c *call) reply {
	local, ready := c.local(), c.st.wizardDone
	return c.userList(func(u *user) bool {
		return !u.policy.IsHidden && !u.policy.IsDisabled && (!ready || local || u.policy.EnableRemoteAccess)
	})
}

func (c *call) userList(keep func(u *user) bool) reply {
	users, serverID := c.st.byName(), c.st.serverID
	const piece = 64 << 10
	return reply{status: http.StatusOK, contentType: typeJSON, stream: func(write func([]byte) error) error {
		e := &encoder{b: make([]byte, 0, piece+8<<10)}
		e.openList()
		for _, entry := range users {
			u := entry.rec.Load()
			if !keep(u) {
				continue
			}
			encodeUser(e, c.p, serverID, u, false)
			if len(e.b) >= piece {
				if err := write(e.b); err != nil {
					return err
				}
				e.b = e.b[:0]
			}
		}
		e.closeList()
		return write(e.b)
	}}
}

func getUser(c *call) reply {
	id := c.pathID()
	if r, bad := c.invalid(); bad {
		return r
	}
	if id == zeroID {
		return thrown(http.StatusBadRequest)
	}
	e := c.st.entries[id]
	if e == nil {
		return said(http.StatusNotFound, "User not found")
	}
	return encoded(func(enc *encoder) { c.encodeUser(enc, e.rec.Load()) })
}

// getMe is the caller's own account; a key has none.
func getMe(c *call) reply {
	if c.who.kind != member {
		return c.p.problem(http.StatusBadRequest)
	}
	return encoded(func(e *encoder) { c.encodeUser(e, c.who.entry.rec.Load()) })
}

// createUser checks the name, then inserts, then sets the password: three
// steps in the real server too, between which others may come.
func createUser(c *call) reply {
	d := c.decode("request")
	rawName, sent := d.raw("Name")
	name := d.str("Name")
	password := d.strOr("Password", "")
	if c.p.providersChecked && len(c.errs) == 0 && !c.unsupported {
		switch {
		case !sent:
			c.errs.add("$", "JSON deserialization for type 'Jellyfin.Api.Models.UserDtos.CreateUserByName' was missing required properties including: 'Name'.")
			c.errs.required("request")
		case isNull(rawName), strings.TrimSpace(*name) == "":
			c.errs.required("Name")
		}
	}
	if r, bad := c.invalid(); bad {
		return r
	}
	if name == nil || strings.TrimSpace(*name) == "" || !c.p.validName(*name) || len(c.st.named(*name)) > 0 {
		return thrown(http.StatusBadRequest)
	}

	u := c.s.newUser(*name)
	hashed := u
	c.unlocked(func() { hashed = c.s.withPassword(u, password) }) // others may come in between
	if c.meets(LoseRace) {
		rival := *name
		if c.fault.Rival != "" {
			rival = c.fault.Rival
		}
		c.st.insert(c.s.withPassword(c.s.newUser(rival), "rival"), true) // faster by both its writes
	}
	if c.st.conflicts(*name, nil) {
		if c.p.ghosts {
			c.st.insert(u, false) // added to the cache before the save failed
		}
		return thrown(http.StatusInternalServerError)
	}
	if c.meets(NoPassword) {
		c.st.insert(u, true)
		return thrown(http.StatusInternalServerError)
	}
	c.commit(func() { c.st.insert(hashed, true) })
	return encoded(func(e *encoder) { encodeUser(e, c.p, c.st.serverID, hashed, true) })
}

// deleteUser removes an account. What it does first, it does even when it then
// refuses: the last administrator is logged out by the attempt.
func deleteUser(c *call) reply {
	id := c.pathID()
	if r, bad := c.invalid(); bad {
		return r
	}
	if id == zeroID {
		return thrown(http.StatusBadRequest)
	}
	e := c.st.entries[id]
	if e == nil {
		if c.p.nullUserBreaks {
			return thrown(http.StatusInternalServerError)
		}
		return c.p.problem(http.StatusNotFound)
	}
	c.commit(func() { c.st.revokeAll(id, "") })
	switch {
	case len(c.st.entries) == 1:
		return thrown(http.StatusInternalServerError)
	case e.rec.Load().policy.IsAdministrator && c.st.admins == 1:
		return thrown(http.StatusBadRequest)
	case e.ghost():
		return thrown(http.StatusInternalServerError) // there is no row to delete
	}
	c.commit(func() { c.st.remove(e) })
	return empty(http.StatusNoContent)
}
