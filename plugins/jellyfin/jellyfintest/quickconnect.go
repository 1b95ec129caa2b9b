package jellyfintest

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// codeLife is how long a quick connect code can be used.
const codeLife = 10 * time.Minute

// quickRequest is a device that asks to be let in by somebody's confirmation.
type quickRequest struct {
	secret, code string
	header       authHeader
	added        time.Time
	userID       string // set once confirmed
}

func (st *state) quickBy(now time.Time, match func(q *quickRequest) bool) *quickRequest {
	for secret, q := range st.quick {
		if now.Sub(q.added) > codeLife {
			delete(st.quick, secret)
		} else if match(q) {
			return q
		}
	}
	return nil
}

func quickConnectEnabled(c *call) reply {
	text := "false"
	if c.st.quickOn {
		text = "true"
	}
	return reply{status: http.StatusOK, contentType: typeJSON, body: []byte(text)}
}

func quickConnectInitiate(c *call) reply {
	if !c.st.quickOn {
		return said(http.StatusUnauthorized, "Quick connect is disabled")
	}
	h := c.who.header
	if h.Client == "" || h.Device == "" || h.DeviceID == "" || h.Version == "" {
		return thrown(http.StatusBadRequest)
	}
	q := &quickRequest{secret: randomHex(32), code: fmt.Sprintf("%06d", rand.IntN(1_000_000)), header: h, added: c.s.now()}
	c.commit(func() { c.st.quick[q.secret] = q })
	return encoded(q.encode)
}

func (q *quickRequest) encode(e *encoder) {
	e.open()
	e.boolean("Authenticated", q.userID != "")
	e.str("Secret", q.secret)
	e.str("Code", q.code)
	e.str("DeviceId", q.header.DeviceID)
	e.str("DeviceName", q.header.Device)
	e.str("AppName", q.header.Client)
	e.str("AppVersion", q.header.Version)
	e.date("DateAdded", q.added)
	e.close()
}

func quickConnectState(c *call) reply {
	secret := c.query["secret"]
	if secret == "" {
		c.errs.required("secret")
		return c.p.validation(c.errs)
	}
	if !c.st.quickOn {
		return said(http.StatusUnauthorized, "Quick connect is disabled")
	}
	q := c.st.quickBy(c.s.now(), func(q *quickRequest) bool { return q.secret == secret })
	if q == nil {
		return said(http.StatusNotFound, "Unknown secret")
	}
	return encoded(q.encode)
}

// quickConnectAuthorize lets a device in as a user, without a password and
// without looking at whether the user is disabled.
func quickConnectAuthorize(c *call) reply {
	userID, given := "", false
	if c.p.byQuery { // 10.8 knows the caller alone
		userID, given = c.queryID("userId")
	}
	code := c.query["code"]
	if code == "" {
		c.errs.required("code")
	}
	if r, bad := c.invalid(); bad {
		return r
	}
	if !given {
		userID = c.who.id()
	}
	if !c.st.quickOn {
		return thrown(http.StatusUnauthorized)
	}
	if userID != c.who.id() && !c.who.admin() {
		return thrown(http.StatusForbidden)
	}
	q := c.st.quickBy(c.s.now(), func(q *quickRequest) bool { return q.code == code })
	switch {
	case q == nil:
		return thrown(http.StatusNotFound)
	case q.userID != "":
		return thrown(http.StatusInternalServerError)
	case c.st.entries[userID] == nil: // a key without userId among them
		return thrown(http.StatusBadRequest)
	}
	c.commit(func() { q.userID = userID })
	return reply{status: http.StatusOK, contentType: typeJSON, body: []byte("true")}
}

func authenticateWithQuickConnect(c *call) reply {
	secret := c.decode("request").strOr("Secret", "")
	if len(c.errs) == 0 && !c.unsupported && secret == "" {
		c.errs.required("Secret")
	}
	if r, bad := c.invalid(); bad {
		return r
	}
	q := c.st.quickBy(c.s.now(), func(q *quickRequest) bool { return q.secret == secret })
	if q == nil || q.userID == "" {
		return thrown(http.StatusNotFound)
	}
	e := c.st.entries[q.userID]
	if e == nil {
		return thrown(http.StatusUnauthorized)
	}
	c.commit(func() { delete(c.st.quick, secret) })
	return c.signIn(e, q.header)
}
