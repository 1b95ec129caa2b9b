package sdktest

import (
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// Fault is what a FakeServer does wrong in one verb ("CreateUser"). The zero value
// does nothing wrong.
type Fault struct {
	// Err is answered in place of success.
	Err *sdk.Error
	// Hang never answers; the caller's deadline ends it.
	Hang bool
	// Delay waits before answering. The server goes on although the caller has
	// gone, as servers do.
	Delay time.Duration
	// Commit does what was asked before it fails, hangs or waits; without it
	// nothing was done, or not yet. The client undoes nothing of it: it is as if
	// the plugin had died.
	Commit bool
	// Lie answers success and does something else. It goes with Times and nothing else.
	Lie Lie
	// Stale answers FindUser from a list that was kept from before there was anybody:
	// where MaxAge allows it, ReasonNotFound with Error.Stale, although the user may
	// exist. Without it a Fake asks its server each time. A call with MaxAge 0 is
	// answered truly, and counts towards Times like any other.
	Stale bool
	// Answer changes the user that the verb answers, and the client believes it.
	// What is stored stays.
	Answer func(*sdk.User)
	// Hook is called when the fault strikes, after a Commit.
	Hook func()
	// Times is how often it strikes before it goes away; 0 for always.
	Times int

	told int // how often the lie was begun
}

// Lie is a way of saying yes without doing it. An honest plugin finds out by reading
// back.
type Lie int

// The lies.
const (
	NoLie Lie = iota
	// LieStoreNothing says yes and stores nothing.
	LieStoreNothing
	// LieRevert shows the new state in the answer and then falls back.
	LieRevert
	// LieIgnoreKey ignores one of the permissions, limits and options that are set,
	// or for library access one of the libraries.
	LieIgnoreKey
	// LieInactive creates users that are not active.
	LieInactive
	// LieNoSignIn creates users that look right and cannot sign in.
	LieNoSignIn
)

// Lies lists every lie.
func Lies() []Lie {
	return []Lie{LieStoreNothing, LieRevert, LieIgnoreKey, LieInactive, LieNoSignIn}
}

// String names a lie.
func (l Lie) String() string {
	return [...]string{"tells no lie", "says yes and stores nothing", "stores and falls back", "ignores one key", "creates inactive users", "creates users that cannot sign in"}[l]
}

// Fault makes a verb go wrong from its next call on, and replaces the verb's earlier
// fault.
func (s *FakeServer) Fault(op string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[op] = &f
}

// ClearFaults makes every verb go right again.
func (s *FakeServer) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.faults)
}

// strike gives the fault of a verb at one of its requests, counting it off when it
// strikes now: at the first request, or at the last where it commits before.
func (s *FakeServer) strike(op string, first, last bool) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if first {
		s.calls[op]++
	}
	f := s.faults[op]
	if f == nil {
		return Fault{}
	}
	late := f.Commit || f.Answer != nil
	if f.Lie != NoLie { // for the whole verb, which may end before its last request
		if first {
			f.told++
		}
		if f.Times > 0 && f.told > f.Times {
			delete(s.faults, op)
			return Fault{}
		}
		return *f
	}
	if !late && !first || late && !last {
		return Fault{}
	}
	out := *f
	if f.Times > 0 {
		if f.Times--; f.Times == 0 {
			delete(s.faults, op)
		}
	}
	return out
}
