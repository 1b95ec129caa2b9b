package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/zondarr/zondarr/host/internal/auth"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/host/internal/pluginhost"
)

// pinged is a database that answers or not.
type pinged struct{ err error }

func (p *pinged) Ping(context.Context) error { return p.err }

// shown is a plugin host that shows what it is told to.
type shown struct {
	pluginHost
	plugins []pluginhost.Status
}

func (s *shown) List() []pluginhost.Status { return s.plugins }

func TestHealthAgreesWithTheDependencies(t *testing.T) { // P12, R8
	ping, plugins := &pinged{}, &shown{}
	w := newWorld(t, hosttest.NewDB(t, database.SQLite), func(w *world) { w.api.Database, w.api.Plugins = ping, plugins })
	states := []pluginhost.State{
		pluginhost.StateAwaitingApproval, pluginhost.StateVerifying, pluginhost.StateStarting, pluginhost.StateReady, pluginhost.StateBackingOff,
		pluginhost.StateDraining, pluginhost.StateStopped, pluginhost.StateDisabled, pluginhost.StateFailed,
	}
	rapid.Check(t, func(rt *rapid.T) {
		ping.err = rapid.SampledFrom([]error{nil, nil, errors.New("dial tcp 10.1.2.3:5432: connection refused"), context.DeadlineExceeded}).Draw(rt, "database")
		plugins.plugins = rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) pluginhost.Status {
			return pluginhost.Status{
				Name: rapid.StringMatching(`[a-z]{1,8}`).Draw(rt, "name"), State: rapid.SampledFrom(states).Draw(rt, "state"),
				ServerType: rapid.SampledFrom([]string{"", "jellyfin", "plex"}).Draw(rt, "type"), Message: rapid.SampledFrom([]string{"", "It crashed."}).Draw(rt, "message"),
			}
		}), 0, 4).Draw(rt, "plugins")
		up := ping.err == nil
		status := map[bool]int{true: http.StatusOK, false: http.StatusServiceUnavailable}[up]

		whole := w.do(request{method: "GET", path: "/health", key: "none"})
		body := whole.object()
		if whole.status != status || (body["status"] == "healthy") != up || (body["status"] == "degraded") == up { // R8.4, R8.5
			rt.Fatalf("database up is %v: %d %s", up, whole.status, whole.body)
		}
		if (at(body, "database", "state") == "ok") != up || strings.Contains(string(whole.body), "10.1.2.3") {
			rt.Fatalf("the database is shown as %v: %s", body["database"], whole.body)
		}
		listed := body["plugins"].([]any)
		if len(listed) != len(plugins.plugins) { // R8.8
			rt.Fatalf("%d plugins are shown as %v", len(plugins.plugins), listed)
		}
		for i, p := range plugins.plugins {
			got := listed[i].(object)
			if got["name"] != p.Name || got["state"] != string(p.State) || (got["server_type"] == nil) != (p.ServerType == "") {
				rt.Fatalf("%+v is shown as %v", p, got)
			}
		}
		if a := w.do(request{method: "GET", path: "/health/live", key: "none"}); a.status != http.StatusOK || a.str("status") != "live" { // R8.6
			rt.Fatalf("live is %d %s", a.status, a.body)
		}
		ready := w.do(request{method: "GET", path: "/health/ready", key: "none"})
		if ready.status != status || (ready.str("status") == "ready") != up { // R8.7
			rt.Fatalf("database up is %v: ready is %d %s", up, ready.status, ready.body)
		}
	})
}

func TestHealthOfARealDatabase(t *testing.T) { // R8
	hosttest.EachDialect(t, func(t *testing.T, dialect database.Dialect) {
		db, err := database.Open(t.Context(), database.Options{URL: hosttest.URL(t, dialect)})
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, hosttest.NewDB(t, dialect), func(w *world) { w.api.Database = db })
		for _, path := range []string{"/health", "/health/live", "/health/ready"} {
			w.do(request{method: "GET", path: path, key: "none"}).want(http.StatusOK)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		w.do(request{method: "GET", path: "/health", key: "none"}).want(http.StatusServiceUnavailable)
		w.do(request{method: "GET", path: "/health/ready", key: "none"}).want(http.StatusServiceUnavailable)
		w.do(request{method: "GET", path: "/health/live", key: "none"}).want(http.StatusOK)
	})
}

// A database that goes away is 503 for every operation, in whichever query it is
// noticed: that of the key, or a later one.
func TestDatabaseAway(t *testing.T) { // R9.4
	hosttest.EachDialect(t, func(t *testing.T, dialect database.Dialect) {
		for _, when := range []string{"BeforeTheKey", "AfterTheKey"} {
			t.Run(when, func(t *testing.T) {
				db, err := database.Open(t.Context(), database.Options{URL: hosttest.URL(t, dialect)})
				if err != nil {
					t.Fatal(err)
				}
				w := newWorld(t, db)
				if when == "AfterTheKey" {
					keys := &auth.Service{DB: hosttest.NewDB(t, dialect), Now: database.Now}
					if _, w.key, err = keys.Create(t.Context(), "laptop", "system"); err != nil {
						t.Fatal(err)
					}
					w.api.Keys = keys
				}
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				away := 0
				eachOperation(t, func(t *testing.T, d *document, op operation) {
					w, r := w.in(t), d.request(op)
					r.body = d.known(op, r.body)
					a := w.do(r)
					if strings.HasPrefix(op.path, "/health") {
						return
					}
					if when == "AfterTheKey" && slices.Contains(withoutDatabase, op.name()) {
						if a.status >= 400 && a.problem().ErrorCode == fault.CodeInternal {
							t.Errorf("%d: %s", a.status, a.body)
						}
						return
					}
					p := a.refused(http.StatusServiceUnavailable, fault.CodeDatabaseUnavailable)
					if !p.Retryable || p.RetryAfterS == nil {
						t.Errorf("nobody is told to try again: %s", a.body)
					}
					away++
				})
				if away < 30 {
					t.Errorf("only %d operations need the database", away)
				}
			})
		}
	})
}

// withoutDatabase are the operations that need it for nothing but the key.
var withoutDatabase = []string{
	"GET /api/v1/server-types", "GET /api/v1/server-types/{server_type}", "GET /api/v1/plugins", "GET /api/v1/plugins/{name}", "POST /api/v1/plugins/rescan",
	"POST /api/v1/plugins/{name}/approve", "POST /api/v1/plugins/{name}/disable", "POST /api/v1/plugins/{name}/restart", "POST /api/v1/servers/test",
	"GET /api/v1/api-keys", "POST /api/v1/api-keys", "GET /api/v1/api-keys/{id}", "DELETE /api/v1/api-keys/{id}",
}
