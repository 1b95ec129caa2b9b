package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/sdk"
)

// While plugins start, health checks are answered and nothing else is.
func TestWhileStarting(t *testing.T) {
	var started atomic.Bool
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	w.api.Started = started.Load
	w.handler = w.api.Handler()
	for _, path := range []string{"/health", "/health/live", "/health/ready"} {
		w.get(path).want(http.StatusOK)
	}
	w.get("/api/v1/servers").refused(http.StatusServiceUnavailable, fault.CodeStarting)
	started.Store(true)
	w.get("/api/v1/servers").want(http.StatusOK)
}

// What would be ignored is refused (R9.2).
func TestActionsTakeNoBody(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	for _, path := range []string{"/api/v1/plugins/rescan", "/api/v1/resume"} {
		w.post(path, `{}`).want(http.StatusOK)
		w.post(path, `{"url":"http://elsewhere"}`).refused(http.StatusBadRequest, fault.CodeInvalidInput)
	}
}

// W3C trace context of a caller reaches the author of a plugin; what is none does
// not.
func TestTraceContextReachesThePlugin(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for header, want := range map[string]string{parent: parent, "00-none": "", parent + "-x": ""} {
		a := &API{}
		var got, state string
		a.correlate(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got, state = sdk.TraceParent(r.Context()), sdk.TraceState(r.Context())
		})).ServeHTTP(httptest.NewRecorder(), &http.Request{Header: http.Header{"Traceparent": {header}, "Tracestate": {"a=1"}}})
		if got != want || want != "" && state != "a=1" {
			t.Errorf("of %q %q arrives, with state %q; want %q", header, got, state, want)
		}
	}
}

func TestMissingDocumentationPageIsAProblem(t *testing.T) { // R9.1
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	w.get("/docs/nothing.js").refused(http.StatusNotFound, fault.CodeNotFound)
}

// A method is a stranger's text: it must not become a label of a metric or fill the log.
func TestMadeUpMethodsAreOne(t *testing.T) {
	methods := map[string]bool{}
	w := newWorld(t, hosttest.NewDB(t, database.SQLite), func(w *world) {
		w.api.Observe = func(method, _ string, _ int, _ time.Duration) { methods[method] = true }
	})
	for i := range 20 {
		w.raw(request{method: fmt.Sprintf("MADEUP%d", i), path: "/api/v1/servers"})
	}
	w.raw(request{method: "GET", path: "/api/v1/servers"})
	if len(methods) != 2 || !methods["OTHER"] || !methods["GET"] || strings.Contains(w.log.text(), "MADEUP") {
		t.Errorf("observed %v", methods)
	}
}
