package plextest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Config says how a Fake starts. The zero value is a deterministic Fake with
// default switches, a standing clock, and no control API.
type Config struct {
	// Seed feeds the generator of ids and tokens; 0 means 1.
	Seed uint64
	// Start is where the clock stands first; zero means noon on 15 October 2026 UTC.
	Start time.Time
	// RealTime lets the clock run with the machine's, from now on.
	RealTime bool
	// Switches replace [DefaultSwitches] when not nil.
	Switches *Switches
	// Control opens the listener of the control API.
	Control bool
	// CloudAddr and ControlAddr are listen addresses; empty means a free port
	// on 127.0.0.1.
	CloudAddr, ControlAddr string
}

// Fake is plex.tv, its media servers and their state. Its methods may be
// called from any goroutine, before and after Start.
type Fake struct {
	config Config

	mu sync.Mutex
	state
	faults    []*liveFault
	lastFault int
	requests  []Request
	started   bool
	listeners []*listener
	// ownListeners counts those of the cloud and the control API, which come
	// first; the others are media servers'.
	ownListeners int

	cloudURL, controlURL string
	cloudMux             *http.ServeMux
}

// state is everything that Reset forgets.
type state struct {
	switches Switches
	start    time.Time
	offset   time.Duration
	random   *random

	accounts    []*Account
	tokens      []*token
	devices     []*device
	pins        []*pin
	servers     []*Server
	shares      []*share
	settings    map[settingsKey]*Settings
	friends     map[pair]bool
	connected   map[pair]bool // owner, invitee: a share was accepted and the tie not severed
	homes       []*home
	ghosts      []ghost
	nonces      map[string]time.Time
	deviceKeys  map[string]deviceKey
	signingSeed []byte
}

type listener struct {
	server *http.Server
	done   chan struct{}
	err    error
}

// New makes a Fake that holds nothing yet. It opens no port; see Start.
func New(config Config) *Fake {
	if config.Seed == 0 {
		config.Seed = 1
	}
	if config.Start.IsZero() {
		config.Start = time.Date(2026, time.October, 15, 12, 0, 0, 0, time.UTC)
	}
	f := &Fake{config: config, state: newState(config)}
	f.cloudMux = f.cloudRoutes()
	return f
}

func newState(config Config) state {
	s := state{
		switches:   DefaultSwitches(),
		start:      config.Start.UTC(),
		random:     newRandom(config.Seed),
		settings:   map[settingsKey]*Settings{},
		friends:    map[pair]bool{},
		connected:  map[pair]bool{},
		nonces:     map[string]time.Time{},
		deviceKeys: map[string]deviceKey{},
	}
	if config.Switches != nil {
		s.switches = *config.Switches
	}
	s.signingSeed = []byte(s.random.word(32, tokenAlphabet))
	return s
}

// Start opens the listeners: the cloud, the control API if asked for, and one
// for each server that exists; servers added later get theirs at once.
func (f *Fake) Start() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.started {
		return errors.New("plextest: started twice")
	}
	f.started = true
	url, err := f.listen(f.config.CloudAddr, f.CloudHandler())
	if err != nil {
		return err
	}
	f.cloudURL = url
	if f.config.Control {
		if f.controlURL, err = f.listen(f.config.ControlAddr, f.ControlHandler()); err != nil {
			return err
		}
	}
	f.ownListeners = len(f.listeners)
	for _, s := range f.servers {
		if s.url, err = f.listen(s.spec.Addr, s.Handler()); err != nil {
			return err
		}
	}
	return nil
}

func (f *Fake) listen(addr string, h http.Handler) (string, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return "", fmt.Errorf("plextest: listen on %s: %w", addr, err)
	}
	li := &listener{
		server: &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)},
		done:   make(chan struct{}),
	}
	f.listeners = append(f.listeners, li)
	go func() {
		defer close(li.done)
		li.err = li.server.Serve(l)
	}()
	return "http://" + l.Addr().String(), nil
}

// Close lets hanging requests go, closes the listeners and every connection,
// and waits for the serving goroutines to end. The state stays readable.
func (f *Fake) Close() error {
	f.ClearFaults()
	f.mu.Lock()
	listeners := f.listeners
	f.listeners = nil
	f.mu.Unlock()
	return closeAll(listeners)
}

func closeAll(listeners []*listener) error {
	var errs []error
	for _, li := range listeners {
		errs = append(errs, li.server.Close())
		<-li.done
		if !errors.Is(li.err, http.ErrServerClosed) {
			errs = append(errs, li.err)
		}
	}
	return errors.Join(errs...)
}

// Reset forgets accounts, servers, faults, switches and the request log, and
// starts the clock and the generator over. The cloud and the control API stay
// where they are; the ports of the media servers close.
func (f *Fake) Reset() error {
	f.ClearFaults()
	f.mu.Lock()
	f.state = newState(f.config)
	f.requests = nil
	var orphaned []*listener
	if len(f.listeners) > f.ownListeners {
		orphaned = f.listeners[f.ownListeners:]
		f.listeners = f.listeners[:f.ownListeners:f.ownListeners]
	}
	f.mu.Unlock()
	return closeAll(orphaned)
}

// CloudURL is the base URL of the cloud, for plex.tv and clients.plex.tv alike.
func (f *Fake) CloudURL() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cloudURL
}

// AuthURL is the page that stands in for https://app.plex.tv/auth.
func (f *Fake) AuthURL() string { return f.CloudURL() + "/auth" }

// ControlURL is the base URL of the control API; empty without [Config.Control].
func (f *Fake) ControlURL() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.controlURL
}

// Now is the time on the Fake's clock, in UTC.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now()
}

// Advance moves the clock forward.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.offset += d
}

func (f *Fake) now() time.Time {
	if f.config.RealTime {
		return time.Now().UTC().Add(f.offset)
	}
	return f.start.Add(f.offset)
}
