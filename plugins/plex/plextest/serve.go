package plextest

import (
	"context"
	"io"
	"net/http"
	"strings"
)

const maxBody = 1 << 20

// call is one request on its way through a handler. Handlers run one at a
// time, under the Fake's lock, and decide a reply; they never write it.
type call struct {
	f      *Fake
	r      *http.Request
	body   []byte
	fields fields
	token  *token   // cloud: the live token of the caller
	who    *Account // cloud: its account
	server *Server  // PMS
	role   pmsRole  // PMS
	viewer *share   // PMS: the share of a caller who is a friend
	reply  reply
}

type handler func(c *call) reply

type callKey struct{}

// endpoint lets http.ServeMux do the matching; the reply travels back in the call.
type endpoint handler

func (e endpoint) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	c := r.Context().Value(callKey{}).(*call)
	c.r = r
	c.reply = e(c)
}

func (c *call) query(name string) string { return c.r.URL.Query().Get(name) }

// arg reads a parameter that may come in the query or in the body.
func (c *call) arg(name string) string {
	if v := c.query(name); v != "" {
		return v
	}
	return c.fields.text(name)
}

// plexHeader reads an X-Plex-* value, which may be a header or in the query.
func plexHeader(r *http.Request, name string) string {
	if v := r.Header.Get("X-Plex-" + name); v != "" {
		return v
	}
	return r.URL.Query().Get("X-Plex-" + name)
}

func (c *call) clientID() string { return plexHeader(c.r, "Client-Identifier") }

func wantsJSON(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "json") }

// serve is the one adapter: it reads the request, lets a fault strike, runs
// the handler, logs, and renders the reply. target is "cloud" or a machine
// identifier; fallback answers what the mux does not know.
func (f *Fake) serve(w http.ResponseWriter, r *http.Request, target string, mux http.Handler, c *call, fallback func(*http.Request) reply) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "body too large", http.StatusRequestEntityTooLarge)
		return
	}
	r = trimSlash(r)
	c.f, c.r, c.body = f, r, body

	f.mu.Lock()
	lf := f.strike(target, r.Method, r.URL.Path)
	seq := f.record(target, r, body)
	f.mu.Unlock()

	if lf != nil && lf.Kind == FaultDropRequest {
		panic(http.ErrAbortHandler)
	}
	if lf != nil && lf.Kind == FaultHang && !f.hang(r.Context(), lf, 0) {
		return
	}

	f.mu.Lock()
	out, struck := reply{}, false
	if lf != nil {
		out, struck = lf.instead()
	}
	if !struck {
		out = f.dispatch(r, mux, c, fallback)
	}
	style := xmlStyle{boolWords: f.switches.BoolWords}
	f.answered(seq, out.status)
	f.mu.Unlock()

	if lf != nil && lf.Kind == FaultDropResponse {
		panic(http.ErrAbortHandler)
	}
	if lf != nil && lf.Kind == FaultHangResponse && !f.hang(r.Context(), lf, 0) {
		return
	}
	f.write(w, r, target, out, style, lf)
}

func (f *Fake) dispatch(r *http.Request, mux http.Handler, c *call, fallback func(*http.Request) reply) reply {
	parsed, valid := parseFields(r, c.body)
	if !valid {
		return errorsV2(http.StatusBadRequest, codeInvalid, "The request body could not be read")
	}
	c.fields = parsed
	mux.ServeHTTP(nothing{}, r.WithContext(context.WithValue(r.Context(), callKey{}, c)))
	if c.reply.status == 0 {
		return fallback(r)
	}
	return c.reply
}

// trimSlash lets /api/users/ mean /api/users.
func trimSlash(r *http.Request) *http.Request {
	if len(r.URL.Path) < 2 || !strings.HasSuffix(r.URL.Path, "/") {
		return r
	}
	r = r.Clone(r.Context())
	r.URL.Path = strings.TrimSuffix(r.URL.Path, "/")
	r.URL.RawPath = strings.TrimSuffix(r.URL.RawPath, "/")
	return r
}

func (f *Fake) write(w http.ResponseWriter, r *http.Request, target string, out reply, style xmlStyle, lf *liveFault) {
	contentType, body := render(r, target, out, style)
	for name, values := range out.header {
		w.Header()[name] = values
	}
	if contentType != "" {
		w.Header().Set("Content-Type", contentType)
	}
	halved := lf != nil && len(body) > 1 && (lf.Kind == FaultSlowBody || lf.Kind == FaultTruncate)
	w.WriteHeader(out.status)
	if !halved {
		w.Write(body) //nolint:errcheck // a client that left is no error here
		return
	}
	half := len(body) / 2
	w.Write(body[:half])                  //nolint:errcheck // a client that left is no error here
	http.NewResponseController(w).Flush() //nolint:errcheck // the client may have left
	if lf.Kind == FaultTruncate {
		panic(http.ErrAbortHandler)
	}
	if f.hang(r.Context(), lf, lf.Delay) {
		w.Write(body[half:]) //nolint:errcheck // a client that left is no error here
	}
}

func render(r *http.Request, target string, out reply, style xmlStyle) (string, []byte) {
	if out.forms == asIs {
		return out.contentType, out.raw
	}
	if out.forms == negotiated && wantsJSON(r) {
		const contentType = "application/json; charset=utf-8"
		switch {
		case out.name != "":
			return contentType, renderJSONArray(out.list)
		case out.wrap != "":
			return contentType, renderJSON(el("").one(out.wrap, out.body))
		default:
			return contentType, renderJSON(out.body)
		}
	}
	contentType := "application/xml; charset=utf-8"
	if target != "cloud" {
		contentType = "text/xml;charset=utf-8"
	}
	root := out.body
	if out.name != "" {
		root = el(out.name).with(children{items: out.list})
	}
	return contentType, style.render(root)
}

// nothing swallows what http.ServeMux itself would write (redirects, 404, 405).
type nothing struct{}

// Header gives a header that nobody reads.
func (nothing) Header() http.Header { return http.Header{} }

func (nothing) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader does nothing.
func (nothing) WriteHeader(int) {}
