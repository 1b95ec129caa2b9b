package jellyfintest

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"slices"
	"strings"
)

// newUser makes an account with the defaults of Users/New and no password.
func (s *Server) newUser(name string) *user {
	return &user{id: randomHex(16), name: name, policy: s.profile.newUserPolicy(), config: defaultConfiguration()}
}

// withPassword copies a user with another password; an empty one means none.
func (s *Server) withPassword(u *user, password string) *user {
	next := *u
	next.hash = nil
	if password != "" {
		_, _ = rand.Read(next.salt[:]) // never fails since Go 1.24
		next.hash = s.hash(next.salt, password)
	}
	return &next
}

func (s *Server) hash(salt [16]byte, password string) []byte {
	sum := sha256.Sum256(append(salt[:], password...))
	for range max(s.cfg.HashRounds, 1) - 1 {
		sum = sha256.Sum256(sum[:])
	}
	return sum[:]
}

// matches says whether the password is the user's. An account without one
// lets anybody in who sends none.
func (s *Server) matches(u *user, password string) bool {
	if u.hash == nil {
		return password == ""
	}
	return bytes.Equal(u.hash, s.hash(u.salt, password))
}

// providerOf finds the provider that a user signs in with.
func (st *state) providerOf(u *user) (Provider, bool) {
	i := slices.IndexFunc(st.providers, func(p Provider) bool {
		return strings.EqualFold(p.ID, u.policy.AuthenticationProviderId)
	})
	if i < 0 {
		return Provider{}, false
	}
	return st.providers[i], true
}

// updatePassword changes a password, or blanks it.
func updatePassword(c *call) reply {
	id, given := c.userID()
	d := c.decode("request")
	currentPw, newPw := d.strOr("CurrentPw", ""), d.strOr("NewPw", "")
	d.str("CurrentPassword") // once a hash; read and ignored
	reset := false
	d.boolean("ResetPassword", &reset)
	e, r, done := c.settable(id, "User is not allowed to update the password.", true)
	if done {
		return r
	}
	if reset {
		return c.setPassword(e, "") // and signs nobody out
	}
	own := given && c.who.id() == id && c.p.providersChecked
	if !c.who.admin() || own {
		ok, refused := c.verify(e, currentPw)
		if refused != nil {
			return *refused
		}
		if !ok {
			return said(http.StatusForbidden, "Invalid user or password entered.")
		}
	}
	r = c.setPassword(e, newPw)
	if r.status == http.StatusNoContent {
		c.commit(func() { c.st.revokeAll(id, c.who.token) })
	}
	return r
}

// setPassword stores a password through the user's provider.
func (c *call) setPassword(e *entry, password string) reply {
	u := e.rec.Load()
	if u.policy.IsAdministrator && strings.TrimSpace(password) == "" && c.p.adminNeedsPassword {
		return thrown(http.StatusBadRequest)
	}
	provider, known := c.st.providerOf(u)
	switch {
	case !known: // the stand-in for a missing provider accepts and does nothing
		return empty(http.StatusNoContent)
	case provider.Foreign: // LDAP and its like cannot change passwords
		return thrown(http.StatusInternalServerError)
	}
	var next *user
	c.unlocked(func() { next = c.s.withPassword(u, password) })
	c.commit(func() {
		c.st.change(e, func(u *user) { u.salt, u.hash = next.salt, next.hash })
	})
	return empty(http.StatusNoContent)
}

// updateEasyPassword is the PIN of old: 10.8 takes it, 10.9 to 10.11 refuse.
func updateEasyPassword(c *call) reply {
	if !c.p.easyWorks {
		return empty(http.StatusForbidden)
	}
	id, _ := c.userID()
	c.decode("request")
	if _, r, done := c.settable(id, "User is not allowed to update the easy password.", true); done {
		return r
	}
	return empty(http.StatusNoContent)
}
