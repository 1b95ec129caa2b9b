package jellyfintest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Action is what goes wrong.
type Action string

// What a Fault can do. Those marked † may also happen after the change was
// stored (Fault.AfterCommit).
const (
	// Locked answers 500 as a locked SQLite database makes the server do. †
	Locked Action = "locked"
	// Starting answers as the version does while it starts.
	Starting Action = "starting"
	// Redirect answers 302 to the web client, as a wrong base path does. †
	Redirect Action = "redirect"
	// Blocked answers as the server's address filter does: 200 with an empty
	// body on 10.8, 503 from 10.9 on.
	Blocked Action = "blocked"
	// Empty answers 200 without a body, whatever the version. †
	Empty Action = "empty"
	// HTML answers Status (200 if 0) with a web page, as a proxy does. †
	HTML Action = "html"
	// RateLimited answers 429 with Retry-After, as a proxy does. †
	RateLimited Action = "rate_limited"
	// Unauthorized answers 401, empty, as for a revoked key. †
	Unauthorized Action = "unauthorized"
	// Slow sends the body in pieces of Bytes (64 if 0) with Delay between.
	Slow Action = "slow"
	// Hang waits until Release, or until the client has gone. Released, it
	// goes on as if nothing had been. †
	Hang Action = "hang"
	// Delay waits, and then goes on even when the client has gone: a change
	// that arrives late. After the commit, the answer is what comes late. †
	Delay Action = "delay"
	// Cut closes the connection without an answer. †
	Cut Action = "cut"
	// CutBody closes the connection after Bytes (1 if 0) of the body.
	CutBody Action = "cut_body"
	// Forget says yes and stores nothing.
	Forget Action = "forget"
	// RevertPolicy stores a policy, says 204, and puts the old one back: at
	// once, or Delay later.
	RevertPolicy Action = "revert_policy"
	// Conflict is a concurrent write that wins: 500, nothing stored, but up to
	// 10.11.8 the change shows until Restart.
	Conflict Action = "conflict"
	// LoseRace lets another create of the same name in between the check and
	// the insert.
	LoseRace Action = "lose_race"
	// NoPassword breaks a create between its two writes: 500, and the account
	// stays, without a password.
	NoPassword Action = "no_password"
)

// Fault is a rule for requests that are to go wrong.
type Fault struct {
	// Method is the verb; empty means any.
	Method string
	// Path is without the base path, in any case, such as /Users/*/Policy.
	// A * stands for one segment. Empty means any.
	Path string
	// Skip lets so many matching requests pass first.
	Skip int
	// Count is how many requests it hits after those; 0 means all of them.
	Count int
	// Action is what happens to them.
	Action Action
	// AfterCommit lets the request take effect before it fails.
	AfterCommit bool
	// Delay is the length of Delay, RevertPolicy, and each pause of Slow.
	Delay time.Duration
	// RetryAfter is the header of RateLimited, in seconds; 0 means 1.
	RetryAfter int
	// Status is for HTML.
	Status int
	// Bytes is for Slow and CutBody.
	Bytes int
	// Rival is the name that wins in LoseRace; empty means the same name.
	Rival string
}

// known says whether there is such an action.
func (a Action) known() bool {
	return slices.Contains([]Action{
		Locked, Starting, Redirect, Blocked, Empty, HTML, RateLimited, Unauthorized, Slow, Hang, Delay,
		Cut, CutBody, Forget, RevertPolicy, Conflict, LoseRace, NoPassword,
	}, a)
}

type activeFault struct {
	Fault
	pattern []string
	seen    int
	hits    int
}

// AddFault makes matching requests fail from now on. When several faults match
// a request, the oldest that is due happens, and all count the request.
// It panics at an action that does not exist: a fault that never happens would
// make a test pass for the wrong reason.
func (s *Server) AddFault(f Fault) {
	if !f.Action.known() {
		panic("jellyfintest: unknown action " + string(f.Action))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &activeFault{Fault: f, pattern: segments(f.Path)})
}

// ClearFaults ends all faults; what hangs keeps hanging until Release.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// FaultHits says how many requests the faults at hand have hit.
func (s *Server) FaultHits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, f := range s.faults {
		n += f.hits
	}
	return n
}

// Release lets all requests go on that hang or are delayed.
func (s *Server) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.gate)
	s.gate = make(chan struct{})
}

func (s *Server) released() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gate
}

// meet counts a request and gives the fault that it meets.
func (s *Server) meet(method, path string) *Fault {
	parts := segments(path)
	s.mu.Lock()
	defer s.mu.Unlock()
	var met *Fault
	for _, f := range s.faults {
		if !f.matches(method, parts) {
			continue
		}
		f.seen++
		due := f.seen > f.Skip && (f.Count == 0 || f.seen <= f.Skip+f.Count)
		if due && met == nil {
			f.hits++
			found := f.Fault
			met = &found
		}
	}
	return met
}

func (f *activeFault) matches(method string, parts []string) bool {
	if f.Method != "" && !strings.EqualFold(f.Method, method) {
		return false
	}
	if f.Path == "" {
		return true
	}
	if len(parts) != len(f.pattern) {
		return false
	}
	for i, want := range f.pattern {
		if want != "*" && !strings.EqualFold(want, parts[i]) {
			return false
		}
	}
	return true
}

// suffer answers a request that meets a fault.
func (s *Server) suffer(c *call, out *output, path string, seen *Request) {
	f := c.fault
	if !f.AfterCommit {
		if r, instead := s.instead(c); instead {
			out.write(r)
			return
		}
		if !s.interrupt(c) {
			return
		}
	}
	r := s.answer(c, path, seen)
	if f.AfterCommit {
		if other, instead := s.instead(c); instead {
			out.write(other)
			return
		}
		if !s.interrupt(c) {
			return
		}
	}
	switch f.Action {
	case Slow:
		out.piece = max(f.Bytes, 1)
		if f.Bytes == 0 {
			out.piece = 64
		}
		out.pace = func(r *http.Request) bool { return s.wait(r, f.Delay) }
	case CutBody:
		out.cutAfter = int64(max(f.Bytes, 1))
	}
	out.write(r)
}

// instead gives the answer that takes the place of the real one.
func (s *Server) instead(c *call) (reply, bool) {
	switch c.fault.Action {
	case Locked:
		return thrown(http.StatusInternalServerError), true
	case Redirect:
		return s.toWebClient(), true
	case Blocked:
		if s.profile.blockedIs200 {
			return empty(http.StatusOK), true
		}
		return empty(http.StatusServiceUnavailable), true
	case Empty:
		return empty(http.StatusOK), true
	case Unauthorized:
		return empty(http.StatusUnauthorized), true
	case HTML:
		status := c.fault.Status
		if status == 0 {
			status = http.StatusOK
		}
		return page(status, "An answer from the proxy in front.", true), true
	case RateLimited:
		r := page(http.StatusTooManyRequests, "Too many requests.", true)
		r.header = map[string]string{"Retry-After": itoa(max(c.fault.RetryAfter, 1))}
		return r, true
	default:
		return reply{}, false
	}
}

// interrupt cuts, hangs or delays. False means that nothing more is to be done.
func (s *Server) interrupt(c *call) bool {
	switch c.fault.Action {
	case Cut:
		panic(http.ErrAbortHandler) // the sanctioned way to cut a connection
	case Hang:
		select {
		case <-s.released():
		case <-c.r.Context().Done():
			return false
		}
	case Delay:
		timer := time.NewTimer(c.fault.Delay)
		defer timer.Stop()
		select { // not the client's context: the change happens all the same
		case <-timer.C:
		case <-s.released():
		}
	}
	return true
}

// wait pauses; false means that the client has gone.
func (s *Server) wait(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.released():
	case <-r.Context().Done():
		return false
	}
	return true
}

// loading is what up to 10.10 everything answers while the server starts.
func loading() reply {
	return page(http.StatusServiceUnavailable, "Jellyfin Server is loading. Please try again shortly.", false)
}

// setupServerReply is the answer of the small server that from 10.11 on stands
// in while the real one starts.
func setupServerReply(c *call, path string) reply {
	switch strings.ToLower(strings.Trim(path, "/")) {
	case "health":
		return reply{status: http.StatusOK, contentType: typeText, body: []byte("Degraded")}
	case "system/info/public":
		// It speaks camelCase, and says that the wizard is not done, whatever
		// is true.
		return encoded(func(e *encoder) {
			e.open()
			e.str("localAddress", c.localAddress())
			e.str("serverName", c.st.serverName)
			e.str("version", c.p.version.String())
			e.str("productName", "Jellyfin Server")
			e.str("operatingSystem", "")
			e.str("id", c.st.serverID)
			e.boolean("startupWizardCompleted", false)
			e.close()
		})
	default:
		r := page(http.StatusServiceUnavailable, "Jellyfin is still starting. Please wait.", false)
		r.header = map[string]string{"Retry-After": "005"}
		return r
	}
}

func page(status int, text string, foreign bool) reply {
	return reply{
		status: status, contentType: typeHTML, foreign: foreign,
		body: []byte("<!DOCTYPE html><html><head><title>" + text + "</title></head><body>" + text + "</body></html>"),
	}
}
