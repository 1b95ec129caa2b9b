package registry

import (
	"context"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// Session is one running version of a plugin: a process, or a plugin in this
// one.
type Session interface {
	// Open gives the client for one server and a func to call when the call on
	// it is over. It is local. The server's secrets are lent with it.
	Open(ctx context.Context, ref sdk.ServerRef) (sdk.MediaClient, func(), error)
	// Lend tells of further secrets that a call carries or brought, so that
	// they can be kept out of the plugin's log lines.
	Lend(secrets ...string)
	// Calling tells which operation starts, for the crash record.
	Calling(op string)
}

// Offer is what a plugin brings to the table.
type Offer struct {
	Plugin          string
	Description     sdk.Description
	SDKVersion      string
	ProtocolVersion int
	Rank            Rank
}

// Rank orders plugins that claim one server type: the installation's own before
// dropped ones, then by time of approval, then by name. The outcome does not
// depend on who registers first (P7).
type Rank struct {
	Installation bool
	ApprovedAt   time.Time
}

func (o Offer) before(other Offer) bool {
	switch a, b := o.Rank, other.Rank; {
	case a.Installation != b.Installation:
		return a.Installation
	case !a.ApprovedAt.Equal(b.ApprovedAt):
		return a.ApprovedAt.Before(b.ApprovedAt)
	default:
		return o.Plugin < other.Plugin
	}
}

// Down says why nobody answers for a type.
type Down struct {
	// Reason in words for an admin: "it is starting".
	Reason string
	// Final says that waiting does not help.
	Final bool
	// RetryAt is when it will be tried again; zero when unknown.
	RetryAt time.Time
}

// Seat is a plugin's claim on a server type.
type Seat struct {
	registry   *Registry
	serverType string
	evicted    chan struct{}
}

// Served is a Session that answers, or answered, for a type.
type Served struct {
	registry *Registry
	session  Session
	calls    int  // guarded by registry.mu
	current  bool // guarded by registry.mu
	// suspectUntil follows a call that found the process gone: until then nobody
	// is sent there, since its end is about to be noticed. Guarded by
	// registry.mu.
	suspectUntil time.Time
	drained      chan struct{}
}

// Register claims the server type of an offer for its plugin. A plugin that
// comes earlier by rank, or that is this one, takes the type over and its
// holder is told through Evicted; otherwise the error is a *TypeTakenError. The
// type is listed at once, and nobody answers until Serve.
func (r *Registry) Register(o Offer) (*Seat, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := o.Description.ServerType
	e, ok := r.types[name]
	if !ok {
		e = &entry{changed: make(chan struct{})}
		r.types[name] = e
	}
	if e.seat != nil {
		if err := e.taken(o); err != nil {
			return nil, err
		}
		e.seat.evict()
	}
	e.seat = &Seat{registry: r, serverType: name, evicted: make(chan struct{})}
	e.offer = o
	e.retire()
	e.down = Down{Reason: "it is starting"}
	e.tell()
	return e.seat, nil
}

// MayRegister gives the error that Register would give now, and claims nothing.
func (r *Registry) MayRegister(o Offer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.types[o.Description.ServerType]; ok {
		return e.taken(o)
	}
	return nil
}

// taken gives the *TypeTakenError for a plugin that may not have the type, or
// nil. It needs r.mu.
func (e *entry) taken(o Offer) error {
	if e.offer.Plugin == o.Plugin || e.seat.vacated() || o.before(e.offer) {
		return nil
	}
	return &TypeTakenError{ServerType: o.Description.ServerType, Holder: e.offer.Plugin}
}

// Mention lists a type whose plugin does not run, as if its seat had been
// vacated; a type that is listed already stays as it is.
func (r *Registry) Mention(o Offer, reason string) *Seat {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := o.Description.ServerType
	seat := &Seat{registry: r, serverType: name, evicted: make(chan struct{})}
	seat.evict()
	if _, ok := r.types[name]; !ok {
		r.types[name] = &entry{seat: seat, offer: o, down: Down{Reason: reason, Final: true}, changed: make(chan struct{})}
	}
	return seat
}

// ServerType gives the type that the seat is for.
func (s *Seat) ServerType() string { return s.serverType }

// Evicted is closed when the seat was lost: another plugin took the type, or
// this one gave it up.
func (s *Seat) Evicted() <-chan struct{} { return s.evicted }

// Serve makes a session the one that answers from now on, in one step: a call
// that starts later never reaches the session before it. The one before goes on
// with the calls it has; see Served.Drained. A seat that was lost gives nil.
func (s *Seat) Serve(o Offer, session Session) *Served {
	e, unlock := s.hold()
	defer unlock()
	if e == nil {
		return nil
	}
	e.retire()
	e.offer = o
	e.current = &Served{registry: s.registry, session: session, current: true, drained: make(chan struct{})}
	e.down = Down{}
	e.tell()
	return e.current
}

// Down says that nobody answers for the type, and why.
func (s *Seat) Down(why Down) {
	e, unlock := s.hold()
	defer unlock()
	if e == nil {
		return
	}
	e.retire()
	e.down = why
	e.tell()
}

// Vacate gives the type up, so that any plugin may claim it. Until one does, it
// stays listed as this plugin's.
func (s *Seat) Vacate(reason string) {
	e, unlock := s.hold()
	defer unlock()
	if e == nil {
		return
	}
	e.retire()
	e.down = Down{Reason: reason, Final: true}
	s.evict()
	e.tell()
}

// Unregister gives the type up and takes it off the list, unless another plugin
// has claimed it since.
func (s *Seat) Unregister() {
	r := s.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.types[s.serverType]
	if e == nil || e.seat != s {
		return
	}
	e.retire()
	s.evict()
	delete(r.types, s.serverType)
	e.tell()
}

// hold locks the registry and gives the seat's entry, or nil when the seat was
// lost.
func (s *Seat) hold() (*entry, func()) {
	s.registry.mu.Lock()
	e := s.registry.types[s.serverType]
	if e == nil || e.seat != s || s.vacated() {
		e = nil
	}
	return e, s.registry.mu.Unlock
}

func (s *Seat) vacated() bool {
	select {
	case <-s.evicted:
		return true
	default:
		return false
	}
}

func (s *Seat) evict() {
	if !s.vacated() {
		close(s.evicted)
	}
}

// retire takes the current session off the entry.
func (e *entry) retire() {
	if e.current == nil {
		return
	}
	e.current.current = false
	e.current.settle()
	e.current = nil
}

// Drained is closed once the session answers no more and its last call is over.
func (s *Served) Drained() <-chan struct{} { return s.drained }

// Calls gives how many calls are in flight.
func (s *Served) Calls() int {
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	return s.calls
}

// settle needs registry.mu.
func (s *Served) settle() {
	if s.calls == 0 && !s.current {
		close(s.drained)
	}
}

// done ends one call; gone says that it found the process gone.
func (s *Served) done(gone bool) {
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	if gone {
		s.suspectUntil = time.Now().Add(suspicion)
	}
	s.calls--
	s.settle()
}

// suspicion is longer than it takes to notice that a process has ended.
const suspicion = 300 * time.Millisecond
