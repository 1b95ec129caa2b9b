package jellyfin

import (
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/zondarr/zondarr/plugins/jellyfin/jellyfintest"
	"github.com/zondarr/zondarr/sdk"
)

// versions are those that the double has a tested profile of.
var versions = []string{"10.8.13", "10.10.7", "10.11.6", "10.11.11", "12.0.0"}

const password = "correct horse battery"

// upstream is a simulated server with a client that is open to it.
type upstream struct {
	*jellyfintest.Server

	t                    *testing.T
	ref                  sdk.ServerRef
	movies, shows, music string
}

// start simulates a server with three libraries.
func start(t *testing.T, cfg jellyfintest.Config) *upstream {
	t.Helper()
	if cfg.APIKey == "" {
		cfg.APIKey = "0123456789abcdef0123456789abcdef"
	}
	s := jellyfintest.New(cfg)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	u := &upstream{Server: s, t: t}
	u.movies = s.AddLibrary(jellyfintest.Library{Name: "Movies", Type: "movies"})
	u.shows = s.AddLibrary(jellyfintest.Library{Name: "Shows", Type: "tvshows"})
	u.music = s.AddLibrary(jellyfintest.Library{Name: "Music", Type: "music"})
	u.ref = sdk.ServerRef{
		ID: "11111111-1111-1111-1111-111111111111", ServerType: "jellyfin", URL: s.URL(),
		Secrets: map[string]string{apiKey: cfg.APIKey}, InstallationID: "installation",
	}
	return u
}

// meet makes clients know the server as a host does that has tested it.
func (u *upstream) meet() { u.ref.ExternalID, u.ref.Version = u.ID(), u.Version() }

// open opens a client whose pauses are short.
func (u *upstream) open() *client { return openAt(u.t, u.ref) }

func openAt(t *testing.T, ref sdk.ServerRef) *client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	mc, err := New().Open(t.Context(), sdk.OpenRequest{Server: ref, HTTP: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	c := mc.(*client)
	c.waits = waits{retry: []time.Duration{time.Millisecond, 2 * time.Millisecond}, reread: time.Millisecond, settle: time.Millisecond, late: 20 * time.Millisecond}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// after calls fn once, when the first request with this path has its answer, or has
// lost it.
func (c *client) after(path string, fn func()) {
	c.http.Transport = &interlude{next: c.http.Transport, path: path, fn: sync.OnceFunc(fn)}
}

type interlude struct {
	next http.RoundTripper
	path string
	fn   func()
}

func (i *interlude) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := i.next.RoundTrip(r)
	if r.URL.Path == i.path {
		i.fn()
	}
	return resp, err
}

// only is a grant of some libraries and the defaults.
func only(ids ...string) sdk.Grant {
	return sdk.Grant{Libraries: sdk.LibraryAccess{Mode: sdk.LibraryOnly, IDs: ids}}
}

func newBob(g sdk.Grant) sdk.CreateUserRequest {
	return sdk.CreateUserRequest{OperationID: "op", Username: "bob", Password: password, Grant: g}
}

// wantReason fails unless the error has the reason, the words and the source
// that people need, and none of the secrets.
func wantReason(t *testing.T, err error, reasons ...sdk.Reason) {
	t.Helper()
	e, ok := err.(*sdk.Error) //nolint:errorlint // the contract: every failure is one
	if !ok {
		t.Fatalf("error is %T %v, want *sdk.Error %q", err, err, reasons)
	}
	if !slices.Contains(reasons, e.Kind()) {
		t.Fatalf("reason is %q (%v), want %q", e.Kind(), e, reasons)
	}
	if e.Message == "" {
		t.Fatalf("%q has no words", e.Kind())
	}
}

// failer is a test, or a case of a property.
type failer interface {
	Helper()
	Fatalf(string, ...any)
}

func must[T any](v T, err error) func(t failer) T {
	return func(t failer) T {
		t.Helper()
		if err != nil {
			t.Fatalf("%v", err)
		}
		return v
	}
}

// eachVersion runs a test against every version profile.
func eachVersion(t *testing.T, fn func(t *testing.T, u *upstream, c *client)) {
	t.Helper()
	for _, v := range versions {
		t.Run(v, func(t *testing.T) {
			u := start(t, jellyfintest.Config{Version: v})
			fn(t, u, u.open())
		})
	}
}

// problem gives the error as what the contract says it is.
func problem(err error) *sdk.Error {
	e, _ := errors.AsType[*sdk.Error](err)
	return e
}

// useToken makes clients use a user's access token in the key's place.
func (u *upstream) useToken(idOrName string) {
	u.t.Helper()
	token, err := u.SignInDevice(idOrName, "browser")
	if err != nil {
		u.t.Fatal(err)
	}
	u.ref.Secrets = map[string]string{apiKey: token}
}

// mustHave gives a user as the server has it.
func mustHave(t failer, u *upstream, idOrName string) jellyfintest.User {
	t.Helper()
	have, ok := u.User(idOrName)
	if !ok {
		t.Fatalf("the server has no user %q", idOrName)
	}
	return have
}

func idOf(t *testing.T, s string) guid {
	t.Helper()
	id, ok := parseID(s)
	if !ok {
		t.Fatalf("%q is no id", s)
	}
	return id
}
