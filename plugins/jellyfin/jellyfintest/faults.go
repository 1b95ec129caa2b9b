package jellyfintest

import (
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
	// UntilRestart ends the fault at Restart, as with a cache that is broken.
	UntilRestart bool
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

// meet counts a request and gives the fault that it meets, with the channel
// that the next Release closes.
func (s *Server) meet(method, path string) (*Fault, <-chan struct{}) {
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
	return met, s.gate
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
