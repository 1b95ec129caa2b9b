package jellyfintest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// authenticateByName signs a user in.
func authenticateByName(c *call) reply {
	d := c.decode("request")
	username, password := d.strOr("Username", ""), d.strOr("Pw", "")
	if r, bad := c.invalid(); bad {
		return r
	}
	h := c.who.header
	whole := h.Client != "" && h.Device != "" && h.DeviceID != "" && h.Version != ""
	if !whole && c.p.strictLogin {
		return thrown(http.StatusBadRequest)
	}
	if strings.TrimSpace(username) == "" {
		return thrown(http.StatusBadRequest)
	}
	found := c.st.named(username)
	if len(found) == 0 {
		return thrown(http.StatusUnauthorized)
	}
	e := found[0]
	ok, refused := c.verify(e, password)
	if refused != nil {
		return *refused
	}
	if !ok || e.gone {
		return thrown(http.StatusUnauthorized)
	}
	u := e.rec.Load()
	if !c.st.deviceAllowed(u, h.DeviceID) || !c.st.sessionFree(u) {
		return thrown(http.StatusForbidden)
	}
	if !whole {
		// 10.8 looks for other sign-ins with the device's id before it checks
		// that there is one. Without, every device on the server matches.
		c.commit(func() { c.st.revokeDevice(h.DeviceID) })
		return thrown(http.StatusBadRequest)
	}
	return c.signIn(e, h)
}

// verify is Jellyfin's AuthenticateUser: disabled accounts are told apart
// before the verdict on the password, which then counts as a try.
func (c *call) verify(e *entry, password string) (ok bool, refused *reply) {
	u := e.rec.Load()
	if provider, known := c.st.providerOf(u); known && !provider.Foreign {
		c.unlocked(func() { ok = c.s.matches(u, password) })
	} else if known {
		ok = provider.Passwords[u.name] != "" && provider.Passwords[u.name] == password
	}
	if u = e.rec.Load(); u.policy.IsDisabled || !c.admitted(u) {
		r := thrown(http.StatusForbidden)
		return false, &r
	}
	now := c.s.now()
	c.commit(func() {
		if ok {
			c.st.change(e, func(u *user) {
				policy := *u.policy
				policy.InvalidLoginAttemptCount = 0
				u.policy, u.login, u.activity = &policy, now, now
			})
			return
		}
		c.st.countFailure(e)
	})
	return ok, nil
}

// countFailure notes a wrong password. What too many of them do has changed
// from version to version.
func (st *state) countFailure(e *entry) {
	u := st.change(e, func(u *user) {
		policy := *u.policy
		policy.InvalidLoginAttemptCount++
		u.policy = &policy
	})
	limit := u.policy.LoginAttemptsBeforeLockout
	if limit < 0 || u.policy.InvalidLoginAttemptCount < limit || st.profile.lockout == lockoutNone {
		return
	}
	next := *u
	policy := *u.policy
	policy.IsDisabled = true
	next.policy = &policy
	st.put(e, &next, st.profile.lockout == lockoutSaved)
}

// deviceAllowed applies the list of allowed devices. It exempts administrators
// and clients that said that their id does not last.
func (st *state) deviceAllowed(u *user, deviceID string) bool {
	if u.policy.IsAdministrator || u.policy.EnableAllDevices || slices.Contains(u.policy.EnabledDevices, deviceID) {
		return true
	}
	persistent, told := st.features[deviceID]
	return told && !persistent
}

func (st *state) sessionFree(u *user) bool {
	if u.policy.MaxActiveSessions < 1 {
		return true
	}
	n := 0
	for _, d := range st.byUser[u.id] {
		if _, live := st.sessions[d.sessionID]; live {
			n++
		}
	}
	return n < u.policy.MaxActiveSessions
}

// signIn gives a token for a device. 10.8 reissues the old one of the same
// user and device, and signs out whoever else used the device; later versions
// replace the old one.
func (c *call) signIn(e *entry, h authHeader) reply {
	u := e.rec.Load()
	now := c.s.now()
	d := &device{
		token: randomHex(16), userID: u.id, deviceID: h.DeviceID,
		client: h.Client, name: h.Device, version: h.Version, created: now, activity: now,
	}
	remote := c.remoteAddress()
	var sess *session
	c.commit(func() {
		old := c.st.deviceOf(u.id, h.DeviceID)
		switch {
		case c.p.strictLogin && old != nil:
			c.st.revoke(old)
		case !c.p.strictLogin:
			for _, other := range c.st.devicesWithID(h.DeviceID) {
				if other != old {
					c.st.revoke(other)
				}
			}
			if old != nil {
				d = old
				break
			}
		}
		c.st.addDevice(d)
		sess = c.st.sessionOf(d, remote)
	})
	if sess == nil { // the server only pretends to store it
		sess = newSession(d, u, remote, now)
	}
	return encoded(func(enc *encoder) {
		enc.open()
		enc.key("User")
		c.encodeUser(enc, u)
		enc.key("SessionInfo")
		sess.encode(enc, c.st)
		enc.str("AccessToken", d.token)
		enc.str("ServerId", c.st.serverID)
		enc.close()
	})
}

// forgotPassword makes a PIN, which the real server writes to a file on its
// disk and never sends. PendingPIN reads it.
func forgotPassword(c *call) reply {
	d := c.decode("forgotPasswordRequest")
	name := d.str("EnteredUsername")
	if len(c.errs) == 0 && !c.unsupported && (name == nil || *name == "") {
		c.errs.required("EnteredUsername")
	}
	if r, bad := c.invalid(); bad {
		return r
	}
	found := c.st.named(*name)
	known := len(found) > 0 && c.local()
	action, file := "PinCode", "/config/passwordreset"+randomHex(16)+".json"
	if !known && !c.p.forgotAlwaysPin {
		action, file = "InNetworkRequired", ""
	}
	if known {
		c.commit(func() { c.st.pins[strings.ToUpper(randomHex(4))] = found[0].rec.Load().id })
	}
	return encoded(func(e *encoder) {
		e.open()
		e.str("Action", action)
		e.str("PinFile", file)
		if file != "" {
			e.date("PinExpirationDate", c.s.now().Add(30*time.Minute))
		}
		e.close()
	})
}

// redeemPin makes the PIN the user's password.
func redeemPin(c *call) reply {
	d := c.decode("forgotPasswordPinRequest")
	pin := d.str("Pin")
	if len(c.errs) == 0 && !c.unsupported && (pin == nil || *pin == "") {
		c.errs.required("Pin")
	}
	if r, bad := c.invalid(); bad {
		return r
	}
	id, known := c.st.pins[strings.ToUpper(strings.ReplaceAll(*pin, "-", ""))]
	e := c.st.entries[id]
	if !known || e == nil {
		return thrown(http.StatusNotFound)
	}
	name := e.rec.Load().name
	c.commit(func() {
		delete(c.st.pins, *pin)
		c.st.change(e, func(u *user) { *u = *c.s.withPassword(u, *pin) })
	})
	return encoded(func(enc *encoder) {
		enc.open()
		enc.boolean("Success", true)
		enc.strs("UsersReset", []string{name})
		enc.close()
	})
}
