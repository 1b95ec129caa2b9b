package jellyfintest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// callerKind is what the token of a request turned out to be.
type callerKind int

const (
	anonymous callerKind = iota // no token
	stranger                    // a token that is unknown or revoked
	keyHolder                   // an API key
	member                      // a user's token
	disabled                    // the token of a disabled user
	orphan                      // the token of a user whose row is gone
)

// caller is who makes a request.
type caller struct {
	kind   callerKind
	token  string
	entry  *entry // of a member
	device *device
	key    *apiKey
	header authHeader
}

// id is the caller's user id: all zeros for a key.
func (w *caller) id() string {
	if w.kind == member {
		return w.entry.rec.Load().id
	}
	return zeroID
}

// admin says whether the caller has the administrator's role.
func (w *caller) admin() bool {
	return w.kind == keyHolder || (w.kind == member && w.entry.rec.Load().policy.IsAdministrator)
}

// authHeader is what stands in the Authorization header.
type authHeader struct{ Token, Client, Device, DeviceID, Version string }

// parseAuthHeader reads `Scheme key="value", …`. A header without a space, or
// of a scheme that does not count, is as good as none.
func parseAuthHeader(text string, allowEmby bool) (authHeader, bool) {
	scheme, rest, found := strings.Cut(text, " ")
	counts := strings.EqualFold(scheme, "MediaBrowser") || (allowEmby && strings.EqualFold(scheme, "Emby"))
	if !found || !counts {
		return authHeader{}, false
	}
	var h authHeader
	for _, part := range splitOutsideQuotes(rest) {
		key, value, found := strings.Cut(part, "=")
		if !found {
			continue
		}
		value = strings.Trim(strings.TrimSpace(value), `"`)
		if plain, err := url.QueryUnescape(value); err == nil {
			value = plain
		}
		switch strings.TrimSpace(key) { // keys are case-sensitive
		case "Token":
			h.Token = value
		case "Client":
			h.Client = value
		case "Device":
			h.Device = value
		case "DeviceId":
			h.DeviceID = value
		case "Version":
			h.Version = value
		}
	}
	return h, true
}

func splitOutsideQuotes(text string) []string {
	quoted := false
	return strings.FieldsFunc(text, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ',' && !quoted
	})
}

// legacy says whether the old ways to send a token are open.
func (s *Server) legacy() bool {
	if s.profile.legacySwitch && s.cfg.LegacyAuth != nil {
		return *s.cfg.LegacyAuth
	}
	return s.profile.legacyDefault
}

// credentials finds the header and the token of a request, in the order of the
// version.
func (s *Server) credentials(c *call) authHeader {
	legacy := s.legacy()
	first, second := c.r.Header.Get("Authorization"), ""
	if legacy {
		second = c.r.Header.Get("X-Emby-Authorization")
		if s.profile.legacyHeaderWins {
			first, second = second, first
		}
	}
	text := first
	if text == "" {
		text = second
	}
	h, _ := parseAuthHeader(text, legacy)

	sources := []string{h.Token}
	if legacy {
		sources = append(sources, c.r.Header.Get("X-Emby-Token"), c.r.Header.Get("X-MediaBrowser-Token"))
	}
	sources = append(sources, c.query["apikey"])
	if legacy {
		sources = append(sources, c.query["api_key"])
	}
	h.Token = ""
	if i := slices.IndexFunc(sources, func(t string) bool { return t != "" }); i >= 0 {
		h.Token = sources[i]
	}
	return h
}

// identify finds out who calls, and notes that they were here.
func (s *Server) identify(c *call) caller {
	h := s.credentials(c)
	who := caller{token: h.Token, header: h}
	if h.Token == "" {
		return who
	}
	if i := slices.IndexFunc(s.state.keys, func(k *apiKey) bool { return k.token == h.Token }); i >= 0 {
		who.kind, who.key = keyHolder, s.state.keys[i]
		who.key.used = s.now()
		return who
	}
	d := s.state.devices[h.Token]
	if d == nil {
		who.kind = stranger
		return who
	}
	who.device = d
	e := s.state.entries[d.userID]
	switch {
	case e == nil:
		who.kind = orphan
	case e.rec.Load().policy.IsDisabled:
		who.kind = disabled
	default:
		who.kind, who.entry = member, e
		s.state.touch(e, d, h, s.now(), c.remoteAddress())
	}
	return who
}

// touch notes a user's activity. A header that describes the device rewrites
// what is stored of it.
func (st *state) touch(e *entry, d *device, h authHeader, now time.Time, remote string) {
	if h.Device != "" {
		d.name = h.Device
	}
	if h.Version != "" {
		d.version = h.Version
	}
	d.activity = now
	st.sessionOf(d, remote).activity = now
	if u := e.rec.Load(); now.Sub(u.activity) > time.Minute {
		stored := e.saved == u
		next := *u
		next.activity = now
		st.put(e, &next, stored)
	}
}

// refuse decides whether the caller may use a route.
func (c *call) refuse(a access) (reply, bool) {
	who := &c.who
	if who.kind == orphan && c.p.orphanBreaksAll {
		return thrown(http.StatusInternalServerError), true
	}
	if a == open || (!c.st.wizardDone && (a == setupOrAny || a == setupOrElevated)) {
		return reply{}, false
	}
	needsAdmin := a == elevated || a == setupOrElevated
	switch who.kind {
	case anonymous, stranger, disabled:
		return empty(http.StatusUnauthorized), true
	case orphan:
		if needsAdmin {
			return empty(http.StatusForbidden), true
		}
		return thrown(http.StatusNotFound), true
	case keyHolder:
		return reply{}, false
	}
	if needsAdmin && !who.admin() {
		return empty(http.StatusForbidden), true
	}
	if (!needsAdmin || c.p.elevatedChecksMore) && !c.admitted(who.entry.rec.Load()) {
		return empty(http.StatusForbidden), true
	}
	return reply{}, false
}

// admitted says whether a user may call from where and when they call.
func (c *call) admitted(u *user) bool {
	if !u.policy.EnableRemoteAccess && !c.local() {
		return false
	}
	return u.policy.allowsAt(c.s.now())
}

// maySet is Jellyfin's AssertCanUpdateUser: administrators may change anybody,
// others only themselves, and not even that without EnableUserPreferenceAccess.
func (c *call) maySet(id string) bool {
	who := &c.who
	if who.kind != member {
		return who.admin()
	}
	own, policy := who.id() == id, who.entry.rec.Load().policy
	if policy.IsAdministrator && c.p.providersChecked {
		return true
	}
	return (own || policy.IsAdministrator) && policy.EnableUserPreferenceAccess
}
