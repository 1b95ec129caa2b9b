package jellyfintest

import (
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// ServeHTTP answers one request, with whatever fault it meets.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.control != nil && strings.HasPrefix(r.URL.Path, controlPrefix+"/") {
		s.control.ServeHTTP(w, r)
		return
	}
	out := &output{w: w, r: r, began: time.Now()}
	seen := newRequest(r, s.now())
	defer func() { // also when a fault cuts the connection
		seen.Status, seen.ResponseBytes = out.status, out.written
		s.record(seen)
	}()

	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 30_000_000)) // Kestrel's limit
	if err != nil {
		out.write(empty(http.StatusRequestEntityTooLarge))
		return
	}
	path, inside := s.inside(r.URL.EscapedPath())
	if !inside {
		out.write(s.toWebClient())
		return
	}
	seen.place(path)
	c := &call{s: s, st: &s.state, p: &s.profile, r: r, body: body, query: foldQuery(r)}
	c.fault, c.freed = s.meet(r.Method, path)
	if c.fault == nil {
		out.write(s.answer(c, path, seen))
		return
	}
	s.suffer(c, out, path, seen)
}

// inside strips the base path and the prefixes of old clients; false when the
// request is not for this server's base path.
func (s *Server) inside(path string) (string, bool) {
	if s.base != "" {
		if len(path) < len(s.base) || !strings.EqualFold(path[:len(s.base)], s.base) {
			return "", false
		}
		path = path[len(s.base):]
		if path != "" && path[0] != '/' {
			return "", false
		}
	}
	if s.profile.oldPrefixes {
		for _, prefix := range []string{"/emby/", "/mediabrowser/"} {
			if len(path) > len(prefix) && strings.EqualFold(path[:len(prefix)], prefix) {
				path = path[len(prefix)-1:]
				break
			}
		}
	}
	return path, true
}

// toWebClient sends the caller to the web client, as the server does with
// every path that it does not own.
func (s *Server) toWebClient() reply {
	return reply{status: http.StatusFound, header: map[string]string{"Location": s.base + "/web/"}}
}

// answer routes, authorises and handles a request.
func (s *Server) answer(c *call, path string, seen *Request) reply {
	s.lock()
	defer s.mu.Unlock()

	if len(segments(path)) == 0 {
		return s.toWebClient()
	}
	starting := c.meets(Starting)
	if starting && s.profile.setupServer {
		return setupServerReply(c, path)
	}
	route, params, allow := s.routes.find(c.r.Method, path)
	if route == nil {
		switch {
		case starting:
			return loading()
		case allow != nil:
			return reply{status: http.StatusMethodNotAllowed, header: map[string]string{"Allow": strings.Join(allow, ", ")}}
		default:
			return empty(http.StatusNotFound)
		}
	}
	seen.Route = route.method + " " + route.path
	c.params = params
	c.who = s.identify(c)
	if r, refused := c.refuse(route.access); refused {
		return r
	}
	if starting && !strings.EqualFold(route.path, "/System/Ping") {
		return loading()
	}
	return route.handle(c)
}

// lock takes the server's lock and lets overdue reverts happen.
func (s *Server) lock() {
	s.mu.Lock()
	s.revertDue()
}

func foldQuery(r *http.Request) map[string]string {
	folded := map[string]string{}
	for name, values := range r.URL.Query() {
		if name = strings.ToLower(name); folded[name] == "" {
			folded[name] = strings.Join(values, ",")
		}
	}
	return folded
}

// remoteAddress is who calls, as the server believes.
func (c *call) remoteAddress() string {
	if c.s.cfg.BehindProxy {
		if forwarded := c.r.Header.Get("X-Forwarded-For"); forwarded != "" {
			hops := strings.Split(forwarded, ",")
			return strings.TrimSpace(hops[len(hops)-1])
		}
	}
	host, _, err := net.SplitHostPort(c.r.RemoteAddr)
	if err != nil {
		return c.r.RemoteAddr
	}
	return host
}

// local says whether the caller is in the local network.
func (c *call) local() bool {
	ip := net.ParseIP(c.remoteAddress())
	return ip == nil || ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast()
}
