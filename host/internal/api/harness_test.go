package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/zondarr/zondarr/host/internal/auth"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/identity"
	"github.com/zondarr/zondarr/host/internal/invitation"
	"github.com/zondarr/zondarr/host/internal/job"
	"github.com/zondarr/zondarr/host/internal/mediaserver"
	"github.com/zondarr/zondarr/host/internal/pluginhost"
	"github.com/zondarr/zondarr/host/internal/redeem"
	"github.com/zondarr/zondarr/host/internal/registry"
	"github.com/zondarr/zondarr/host/internal/secret"
	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

// world is a host without processes: real services on a real database, a simulated
// media server, and the handler of everything that is served.
type world struct {
	t    testing.TB
	api  *API
	db   *database.DB
	fake *sdktest.Fake
	home *sdktest.FakeServer
	// seat is where the fake plugin serves.
	seat *registry.Seat
	// key is an API key that the world's calls carry.
	key     string
	log     *logLines
	handler http.Handler
}

// in is the same world for a subtest.
func (w *world) in(t testing.TB) *world {
	c := *w
	c.t = t
	return &c
}

// newWorld makes a world on a database. change is done before the handler is made.
func newWorld(t testing.TB, db *database.DB, change ...func(*world)) *world {
	t.Helper()
	w := &world{t: t, db: db, fake: sdktest.NewFake(), log: &logLines{}}
	box, err := secret.New(strings.Repeat("k", 32), "")
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(w.log.handler())
	clients := registry.New()
	if w.seat, err = clients.RegisterLocal(w.fake); err != nil {
		t.Fatal(err)
	}
	w.home = w.fake.AddServer("home")
	t.Cleanup(w.home.Close)
	pause := &job.Pause{DB: db}
	servers := &mediaserver.Service{DB: db, Registry: clients, Box: box, InstallationID: "installation-of-a-test", Now: database.Now}
	invitations := &invitation.Service{DB: db, Types: clients, Now: database.Now}
	identities := &identity.Service{DB: db, Servers: servers, Clients: clients, Box: box, Pause: pause, Log: logger, Now: database.Now}
	redemptions := &redeem.Service{
		DB: db, Invitations: invitations, Identities: identities, Servers: servers, Clients: clients, Box: box, Pause: pause,
		Policy: redeem.DefaultPolicy(), Owner: uuid.NewString(), BaseURL: "https://join.example.org", Log: logger, Now: database.Now,
	}
	plugins := pluginhost.New(pluginhost.Config{
		Dirs: []string{t.TempDir()}, DataDir: t.TempDir(), DB: db, Registry: clients, Logger: logger, Policy: pluginhost.DefaultPolicy(),
	})
	if err := plugins.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.api = &API{
		Keys: &auth.Service{DB: db, Log: slog.New(slog.DiscardHandler), Now: database.Now}, Servers: servers, Invitations: invitations, Redemptions: redemptions, Identities: identities,
		Pause: pause, Registry: clients, Database: db, Version: "test", BaseURL: "https://join.example.org", Logger: logger, Now: database.Now,
		Plugins: plugins,
	}
	if _, w.key, err = w.api.Keys.Create(t.Context(), "laptop", "system"); err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(w)
	}
	w.handler = w.api.Handler()
	redemptions.Start(t.Context())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		redemptions.Stop(ctx)
		if err := plugins.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return w
}

// request is one call. The zero value of each member is what most calls want.
type request struct {
	method string
	path   string
	// body is sent as JSON, a string or []byte as it is; nil is no body.
	body any
	// key replaces the world's; "none" sends none.
	key    string
	header http.Header
	// from is the address of the peer.
	from string
}

// answer is what came back.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
}

// do makes a call and checks what holds for every answer (see check).
func (w *world) do(r request) answer {
	w.t.Helper()
	a := w.raw(r)
	w.check(r, a)
	return a
}

// raw makes a call.
func (w *world) raw(r request) answer {
	w.t.Helper()
	var body io.Reader
	switch b := r.body.(type) {
	case nil:
	case string:
		body = strings.NewReader(b)
	case []byte:
		body = bytes.NewReader(b)
	case io.Reader:
		body = b
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		body = bytes.NewReader(raw)
	}
	req := httptest.NewRequestWithContext(context.WithoutCancel(w.t.Context()), r.method, r.path, body)
	for name, values := range r.header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	if r.body != nil && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	switch {
	case r.key == "":
		req.Header.Set("Authorization", "Bearer "+w.key)
	case r.key != "none":
		req.Header.Set("Authorization", "Bearer "+r.key)
	}
	if r.from != "" {
		req.RemoteAddr = r.from
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, req)
	return answer{t: w.t, status: rec.Code, header: rec.Header(), body: rec.Body.Bytes()}
}

func (w *world) get(path string) answer {
	w.t.Helper()
	return w.do(request{method: "GET", path: path})
}
func (w *world) post(path string, body any) answer {
	w.t.Helper()
	return w.do(request{method: "POST", path: path, body: body})
}
func (w *world) patch(path string, body any) answer {
	w.t.Helper()
	return w.do(request{method: "PATCH", path: path, body: body})
}
func (w *world) delete(path string) answer {
	w.t.Helper()
	return w.do(request{method: "DELETE", path: path})
}

// want ends the test unless the answer has the status.
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// object is the body of an answer.
type object = map[string]any

func (a answer) object() object {
	a.t.Helper()
	var out object
	if err := json.Unmarshal(a.body, &out); err != nil {
		a.t.Fatalf("not an object: %v: %s", err, a.body)
	}
	return out
}

// str gives a member of the body that is a text.
func (a answer) str(name string) string {
	a.t.Helper()
	s, ok := a.object()[name].(string)
	if !ok {
		a.t.Fatalf("%s is no text in %s", name, a.body)
	}
	return s
}

// items gives the entries of a list.
func (a answer) items() []object {
	a.t.Helper()
	list, ok := a.want(http.StatusOK).object()["items"].([]any)
	if !ok {
		a.t.Fatalf("no items in %s", a.body)
	}
	out := make([]object, len(list))
	for i, item := range list {
		out[i] = item.(object)
	}
	return out
}

// problem gives the body of an error.
func (a answer) problem() Problem {
	a.t.Helper()
	var p Problem
	if err := json.Unmarshal(a.body, &p); err != nil {
		a.t.Fatalf("not a problem: %v: %s", err, a.body)
	}
	return p
}

// refused ends the test unless the answer is a problem with the status and code.
func (a answer) refused(status int, code string) Problem {
	a.t.Helper()
	p := a.want(status).problem()
	if p.ErrorCode != code {
		a.t.Fatalf("error_code %q, want %q: %s", p.ErrorCode, code, a.body)
	}
	return p
}

// blames reports an error unless the problem blames an input with a code.
func (p Problem) blames(t testing.TB, location, code string) {
	t.Helper()
	for _, e := range p.Errors {
		if e.Location == location && e.Code == code {
			if e.Message == "" {
				t.Errorf("%s is blamed without a word", location)
			}
			return
		}
	}
	t.Errorf("errors are %+v, want %s at %s", p.Errors, code, location)
}

// serverBody creates a server at the world's media server.
func (w *world) serverBody() object {
	return object{"name": "Living room", "server_type": sdktest.FakeType, "url": w.home.URL(), "secrets": object{"api_key": sdktest.FakeKey}}
}

// addServer adds the world's media server and gives its id.
func (w *world) addServer() string {
	w.t.Helper()
	return w.post("/api/v1/servers", w.serverBody()).want(http.StatusCreated).str("id")
}

// addServers adds further media servers, and gives their ids.
func (w *world) addServers(names ...string) []string {
	w.t.Helper()
	var ids []string
	for _, name := range names {
		fs := w.fake.AddServer(name)
		w.t.Cleanup(fs.Close)
		body := w.serverBody()
		body["name"], body["url"] = name, fs.URL()
		ids = append(ids, w.post("/api/v1/servers", body).want(http.StatusCreated).str("id"))
	}
	return ids
}

// everything grants all libraries of a server.
func everything(serverID string) object {
	return object{"server_id": serverID, "libraries": object{"access": "all"}}
}

// invite makes an invitation and gives it; change replaces members.
func (w *world) invite(serverID string, change object) object {
	w.t.Helper()
	body := object{"servers": []any{everything(serverID)}}
	for name, v := range change {
		body[name] = v
	}
	return w.post("/api/v1/invitations", body).want(http.StatusCreated).object()
}

// logLines keeps what was logged.
type logLines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write keeps a line.
func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if os.Getenv("ZONDARR_TEST_LOG") != "" {
		_, _ = os.Stderr.Write(p)
	}
	return l.buf.Write(p)
}

func (l *logLines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// handler logs everything, with the correlation id as the host does (R7.6).
func (l *logLines) handler() slog.Handler {
	return correlated{slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})}
}

// with gives the lines that carry a correlation id.
func (l *logLines) with(id string) []object {
	var out []object
	for line := range strings.Lines(l.text()) {
		var o object
		if strings.Contains(line, id) && json.Unmarshal([]byte(line), &o) == nil && o["correlation_id"] == id {
			out = append(out, o)
		}
	}
	return out
}

type correlated struct{ slog.Handler }

// Handle adds the correlation id.
func (h correlated) Handle(ctx context.Context, r slog.Record) error {
	if id := sdk.CorrelationID(ctx); id != "" {
		r.AddAttrs(slog.String("correlation_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs keeps the wrapping.
func (h correlated) WithAttrs(attrs []slog.Attr) slog.Handler {
	return correlated{h.Handler.WithAttrs(attrs)}
}
