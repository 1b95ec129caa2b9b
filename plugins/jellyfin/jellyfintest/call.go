package jellyfintest

import (
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// call is one request on its way through a handler. Handlers run under the
// server's lock; unlocked lets go of it for slow work.
type call struct {
	s      *Server
	st     *state
	p      *profile
	r      *http.Request
	params map[string]string
	query  map[string]string // by lower-case name
	body   []byte
	who    caller
	fault  *Fault          // the fault that this request meets, or nil
	freed  <-chan struct{} // closed by Release, from that meeting on

	errs        fieldErrors
	unsupported bool // a body of a type that nothing reads
}

// param gives a segment of the path, unescaped.
func (c *call) param(name string) string {
	v := c.params[name]
	if plain, err := url.PathUnescape(v); err == nil {
		return plain
	}
	return v
}

// unlocked runs fn without the server's lock. What was read before must be
// read again after.
func (c *call) unlocked(fn func()) {
	c.s.mu.Unlock()
	defer c.s.mu.Lock()
	fn()
}

// commit stores a change, unless the server is to lie about it.
func (c *call) commit(fn func()) {
	if c.fault == nil || c.fault.Action != Forget {
		fn()
	}
}

// meets says whether this request meets the given fault.
func (c *call) meets(a Action) bool { return c.fault != nil && c.fault.Action == a }

// pathID reads the user's Guid from the path.
func (c *call) pathID() string {
	id, ok := parseID(c.param("userId"))
	if !ok {
		c.errs.add("userId", "The value '"+c.param("userId")+"' is not valid.")
	}
	return id
}

// queryID reads a Guid from the query; set says whether it was there.
func (c *call) queryID(name string) (id string, set bool) {
	text := c.query[strings.ToLower(name)]
	if text == "" {
		return "", false
	}
	id, ok := parseID(text)
	if !ok {
		c.errs.add(name, "The value '"+text+"' is not valid.")
	}
	return id, true
}

// userID reads the id from the path, where the route has one, else from the
// query, else it is the caller's own: all zeros for an API key.
func (c *call) userID() (id string, given bool) {
	if _, ok := c.params["userId"]; ok {
		return c.pathID(), true
	}
	if id, ok := c.queryID("userId"); ok {
		return id, true
	}
	return c.who.id(), false
}

// queryBool reads a boolean from the query; nil when it is not there.
func (c *call) queryBool(name string) *bool {
	text := c.query[strings.ToLower(name)]
	if text == "" {
		return nil
	}
	v := strings.EqualFold(text, "true")
	if !v && !strings.EqualFold(text, "false") {
		c.errs.add(name, "The value '"+text+"' is not valid.")
	}
	return &v
}

// decode reads the body into a decoder. A mistake in it is reported under its
// path and under the parameter's name, as the framework does.
func (c *call) decode(parameter string) *decoder {
	fail := func(key, message string) {
		c.errs.add(key, message)
		c.errs.required(parameter)
	}
	if !isJSON(c.r.Header.Get("Content-Type")) {
		c.unsupported = true
		return newDecoder([]byte("{}"), false, fail)
	}
	if len(strings.TrimSpace(string(c.body))) == 0 || isNull(c.body) {
		fail("", "A non-empty request body is required.")
		return newDecoder([]byte("{}"), false, func(string, string) {})
	}
	return newDecoder(c.body, c.p.boolsFromNumbers, fail)
}

func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || media == "text/json" ||
		strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
}

// invalid says that the request cannot be bound, and how that is answered.
func (c *call) invalid() (reply, bool) {
	switch {
	case c.unsupported:
		return c.p.problem(http.StatusUnsupportedMediaType), true
	case len(c.errs) > 0:
		return c.p.validation(c.errs), true
	default:
		return reply{}, false
	}
}
