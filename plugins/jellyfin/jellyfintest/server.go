package jellyfintest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config says what server to simulate. The zero value is a fresh 10.11.6 whose
// wizard is done, with one administrator.
type Config struct {
	// Version is three numbers; "12.0" means 12.0.0. Empty means 10.11.6.
	Version string
	// ServerName is shown to people. Empty means "Jellyfin".
	ServerName string
	// ServerID is 32 hex digits. Empty means a random one.
	ServerID string
	// BasePath is the server's BaseUrl setting, such as "/jellyfin". All other
	// paths are redirected to its web client.
	BasePath string
	// LegacyAuth overrides EnableLegacyAuthorization, from 10.11 on.
	LegacyAuth *bool
	// FirstRun starts before the wizard: no user yet, set-up routes open.
	FirstRun bool
	// Admin and AdminPassword name the administrator that the wizard made.
	// Empty means "admin" and "admin-password".
	Admin, AdminPassword string
	// APIKey is a key to begin with. Empty means none; see CreateAPIKey.
	APIKey string
	// HashRounds makes passwords costlier to store and check. 0 means 1; the
	// real server spends about 0.1 s of CPU.
	HashRounds int
	// BehindProxy makes the server believe X-Forwarded-For, so that a test can
	// call from outside the local network.
	BehindProxy bool
	// Control opens /_control/ for other processes; controlRoutes lists it.
	Control bool
	// Now is the server's clock; nil means time.Now. Access schedules are read
	// in the location of the times it gives.
	Now func() time.Time
}

// Server is a simulated Jellyfin. It is an http.Handler; Start also puts it on
// a port. All methods may be called from any goroutine.
type Server struct {
	cfg     Config
	profile profile
	base    string // "" or "/jellyfin"
	routes  *routeTable
	control http.Handler // nil unless enabled
	now     func() time.Time

	mu     sync.Mutex // guards all below; handlers run under it
	state  state
	faults []*activeFault
	gate   chan struct{} // closed and replaced by Release
	log    requestLog

	listener net.Listener
	http     *http.Server
	served   chan struct{} // closed when the listener's loop has ended
}

// New makes a server. It panics when the version is not a version: a mistake
// in the test itself.
func New(cfg Config) *Server {
	if cfg.Version == "" {
		cfg.Version = "10.11.6"
	}
	v, err := parseVersion(cfg.Version)
	if err != nil {
		panic(err)
	}
	if cfg.ServerName == "" {
		cfg.ServerName = "Jellyfin"
	}
	if cfg.ServerID == "" {
		cfg.ServerID = randomHex(16)
	}
	if cfg.Admin == "" {
		cfg.Admin = "admin"
	}
	if cfg.AdminPassword == "" {
		cfg.AdminPassword = "admin-password"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{
		cfg:     cfg,
		profile: newProfile(v),
		now:     cfg.Now,
		gate:    make(chan struct{}),
	}
	if base := strings.Trim(cfg.BasePath, "/"); base != "" {
		s.base = "/" + base
	}
	s.state = newState(&s.profile, cfg)
	s.routes = newRouteTable(&s.profile)
	if cfg.Control {
		s.control = s.controlRoutes()
	}
	if !cfg.FirstRun {
		s.AddAdmin(cfg.Admin, cfg.AdminPassword)
	}
	if cfg.APIKey != "" {
		s.state.addKey(cfg.APIKey, "seeded", s.now())
	}
	return s
}

// Start serves on a free port of 127.0.0.1 until Close.
func (s *Server) Start() error { return s.StartOn("127.0.0.1:0") }

// StartOn serves on the given address until Close.
func (s *Server) StartOn(addr string) error {
	if s.listener != nil {
		return errors.New("jellyfintest: started already")
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	s.listener = listener
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	s.served = make(chan struct{})
	go func() {
		defer close(s.served)
		_ = s.http.Serve(listener) // ends with ErrServerClosed at Close
	}()
	return nil
}

// Close lets hung requests go, cuts all connections and frees the port. It
// waits until the requests under way have ended, at most 5 s.
func (s *Server) Close() {
	s.ClearFaults()
	s.Release()
	if s.http == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close() // a client that does not read is not waited for
	}
	<-s.served
}

// URL is where the server answers, base path included, without a trailing
// slash. It is empty before Start.
func (s *Server) URL() string {
	if s.listener == nil {
		return ""
	}
	return "http://" + s.listener.Addr().String() + s.base
}

// ControlURL is where the control handler answers, without a trailing slash.
func (s *Server) ControlURL() string {
	if s.listener == nil {
		return ""
	}
	return "http://" + s.listener.Addr().String() + controlPrefix
}

// Version is what the server reports: three numbers.
func (s *Server) Version() string { return s.profile.version.String() }

// ID is the server's own id, 32 hex digits.
func (s *Server) ID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.serverID
}

// SetID gives the server another id, as a reinstallation does.
func (s *Server) SetID(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.serverID = id
}

// Restart forgets what the real server holds in memory only: sessions, quick
// connect codes, users that lost a name race and changes that were never saved.
func (s *Server) Restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.restart()
	s.faults = slices.DeleteFunc(s.faults, func(f *activeFault) bool { return f.UntilRestart })
}
