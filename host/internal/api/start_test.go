package api

import (
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/hosttest"
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

func TestMissingDocumentationPageIsAProblem(t *testing.T) { // R9.1
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	w.get("/docs/nothing.js").refused(http.StatusNotFound, fault.CodeNotFound)
}
