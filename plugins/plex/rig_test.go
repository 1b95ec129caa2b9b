package plex

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
	"github.com/zondarr/zondarr/sdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a Plex with an owner, two servers and some people, and a client of the
// plugin for the first server. Waiting moves the Plex's clock, so nothing sleeps.
type rig struct {
	t      testing.TB
	fake   *plextest.Fake
	owner  plextest.Account
	alice  plextest.Account
	bob    plextest.Account
	server *plextest.Server // Movies, Shows, Music
	second *plextest.Server // Films
	token  string
	c      *client
	log    *lockedBuffer
	errs   []error
	// before is called with each request of the client before it is sent.
	before func(*http.Request)
}

// RoundTrip lets before see a request.
func (h hooked) RoundTrip(req *http.Request) (*http.Response, error) {
	if h.r.before != nil {
		h.r.before(req)
	}
	return h.next.RoundTrip(req)
}

type hooked struct {
	r    *rig
	next http.RoundTripper
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newRig(t testing.TB, change ...func(*plextest.Switches)) *rig {
	t.Helper()
	switches := plextest.DefaultSwitches()
	for _, c := range change {
		c(&switches)
	}
	f := plextest.New(plextest.Config{Switches: &switches})
	if err := f.Start(); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, fake: f, log: &lockedBuffer{}}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		r.noSecrets()
	})
	r.owner = f.MustAddAccount(plextest.Account{Username: "owner", PlexPass: true})
	r.alice = f.MustAddAccount(plextest.Account{Username: "alice"})
	r.bob = f.MustAddAccount(plextest.Account{Username: "bob"})
	r.server = f.MustAddServer(plextest.ServerSpec{Owner: r.owner.ID, Name: "Home", Sections: []plextest.Section{
		{Title: "Movies", Type: "movie"}, {Title: "Shows", Type: "show"}, {Title: "Music", Type: "artist"},
	}})
	r.second = f.MustAddServer(plextest.ServerSpec{Owner: r.owner.ID, Name: "Second", Sections: []plextest.Section{{Title: "Films"}}})
	r.token = f.Token(r.owner.ID, "owner-device")
	r.c = r.open(nil)
	return r
}

// open makes a client for the first server; change may edit what it is opened with.
func (r *rig) open(change func(*sdk.OpenRequest)) *client {
	r.t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	req := sdk.OpenRequest{
		Server: sdk.ServerRef{
			ID: "s1", ServerType: "plex", Revision: 1, URL: r.server.URL(), ExternalID: r.server.ID(), InstallationID: "installation",
			Settings: map[string]any{"cloud_url": r.fake.CloudURL(), "clients_url": r.fake.CloudURL(), "app_url": r.fake.CloudURL()},
			Secrets:  map[string]string{"token": r.token},
		},
		HTTP: &http.Client{Transport: hooked{r, transport}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		// Everything the client says is kept and searched for secrets at the end.
		Logger: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&req)
	}
	opened, err := New().Open(r.t.Context(), req)
	if err != nil {
		r.t.Fatal(err)
	}
	c := opened.(*client)
	c.now = r.fake.Now
	c.wire.timeout = 2 * time.Second
	c.wire.sleep = func(ctx context.Context, d time.Duration) error {
		r.fake.Advance(d)
		return ctx.Err()
	}
	r.t.Cleanup(func() {
		if err := c.Close(); err != nil {
			r.t.Error(err)
		}
		transport.CloseIdleConnections()
	})
	return c
}

// saw keeps an error for the search at the end.
func (r *rig) saw(err error) error {
	if err != nil {
		r.errs = append(r.errs, err)
	}
	return err
}

// on runs something once, just before a call is sent.
func (r *rig) on(method, path string, do func()) {
	done := false
	r.before = func(req *http.Request) {
		if !done && req.Method == method && strings.HasSuffix(req.URL.Path, path) {
			done = true
			do()
		}
	}
}

// noSecrets proves that no token, code or invite token is in anything that was
// said: every error, what it wraps and blames, and every log line.
func (r *rig) noSecrets() {
	r.t.Helper()
	said := r.log.String()
	for _, err := range r.errs {
		said += "\n" + words(err)
	}
	for _, secret := range r.fake.Secrets() {
		if strings.Contains(said, secret) {
			r.t.Errorf("a secret of Plex is in an error or a log line:\n%s", strings.ReplaceAll(said, secret, "<SECRET>"))
		}
	}
}

// words is everything that an error could show.
func words(err error) string {
	text := fmt.Sprintf("%v\n%+v", err, err)
	if e, ok := errors.AsType[*sdk.Error](err); ok {
		for _, f := range e.Fields {
			text += "\n" + f.Field + f.Code + f.Message
		}
		if e.Err != nil {
			text += "\n" + words(e.Err)
		}
	}
	return text
}

func str(n int64) string { return strconv.FormatInt(n, 10) }

// section gives the external id of a library of the first server.
func (r *rig) section(title string) string { return str(r.server.Section(title).ID) }

func (r *rig) only(titles ...string) sdk.LibraryAccess {
	a := sdk.LibraryAccess{Mode: sdk.LibraryOnly}
	for _, title := range titles {
		a.IDs = append(a.IDs, r.section(title))
	}
	return a
}

// link signs an account in, as an invitee does, and gives the linked account.
func (r *rig) link(a plextest.Account) sdk.LinkedAccount {
	r.t.Helper()
	begun, err := r.c.BeginLink(r.t.Context(), sdk.BeginLinkRequest{ReturnURL: "https://join.example.org/j/CODE"})
	if err != nil {
		r.t.Fatal(r.saw(err))
	}
	if err := r.fake.Approve(codeOf(r.t, begun.State), a.ID); err != nil {
		r.t.Fatal(err)
	}
	polled, err := r.c.PollLink(r.t.Context(), sdk.PollLinkRequest{State: begun.State})
	if err != nil {
		r.t.Fatal(r.saw(err))
	}
	if polled.Status != sdk.LinkApproved {
		r.t.Fatalf("link is %s, want approved", polled.Status)
	}
	out := *polled.Account
	out.State = polled.State
	return out
}

func codeOf(t testing.TB, state []byte) string {
	t.Helper()
	l, err := readLink(state)
	if err != nil {
		t.Fatal(err)
	}
	return l.Code
}

func (r *rig) create(a plextest.Account, grant sdk.Grant) (sdk.CreateUserResponse, error) {
	r.t.Helper()
	linked := r.link(a)
	return r.createLinked(linked, grant)
}

func (r *rig) createLinked(linked sdk.LinkedAccount, grant sdk.Grant) (sdk.CreateUserResponse, error) {
	out, err := r.c.CreateUser(r.t.Context(), sdk.CreateUserRequest{OperationID: "op", Link: &linked, Grant: grant})
	return out, r.saw(err)
}

// mustCreate shares some libraries with an account and gives the user.
func (r *rig) mustCreate(a plextest.Account, titles ...string) sdk.User {
	r.t.Helper()
	out, err := r.create(a, sdk.Grant{Libraries: r.only(titles...)})
	if err != nil {
		r.t.Fatal(err)
	}
	return out.User
}

// wantUndone says that the host need not look for what the call may have made.
func wantUndone(t *testing.T, err error) {
	t.Helper()
	if e, ok := errors.AsType[*sdk.Error](err); !ok || !e.Undone {
		t.Errorf("%v does not say that nothing is left", err)
	}
}

// want fails unless an error has the reason, and shows its words.
func (r *rig) want(err error, reason sdk.Reason, contains ...string) {
	r.t.Helper()
	_ = r.saw(err)
	if sdk.ReasonOf(err) != reason {
		r.t.Fatalf("error is %q (%v), want %q", sdk.ReasonOf(err), err, reason)
	}
	for _, c := range contains {
		if !strings.Contains(err.Error(), c) {
			r.t.Errorf("error %q does not say %q", err, c)
		}
	}
}

// access says which libraries of the first server an account can open.
func (r *rig) access(a plextest.Account) []string {
	titles, _ := r.fake.Access(r.server.ID(), a.ID)
	return titles
}

func (r *rig) wantAccess(a plextest.Account, titles ...string) {
	r.t.Helper()
	if got := r.access(a); !slices.Equal(got, titles) {
		r.t.Errorf("%s can open %v, want %v", a.Username, got, titles)
	}
}

// writes lists the calls that could have changed something at the cloud.
func (r *rig) writes() []string {
	var out []string
	for _, req := range r.fake.Requests() {
		if req.Method != http.MethodGet && !strings.HasPrefix(req.Path, "/api/v2/pins") && !strings.HasPrefix(req.Path, "/api/v2/users/signout") {
			out = append(out, req.Method+" "+req.Path)
		}
	}
	return out
}

func (r *rig) wantNoWrites() {
	r.t.Helper()
	if w := r.writes(); len(w) > 0 {
		r.t.Errorf("something was written: %v", w)
	}
}

func (r *rig) get(id string) (sdk.User, error) {
	out, err := r.c.GetUser(r.t.Context(), sdk.GetUserRequest{ID: id})
	return out.User, r.saw(err)
}

func (r *rig) list() ([]sdk.User, error) {
	var users []sdk.User
	err := r.c.ListUsers(r.t.Context(), sdk.ListUsersRequest{}, func(u sdk.User) error {
		users = append(users, u)
		return nil
	})
	return users, r.saw(err)
}

// quiet is a log for servers whose complaints are expected.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

func noWait(ctx context.Context, _ time.Duration) error { return ctx.Err() }
