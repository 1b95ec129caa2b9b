package api

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/host/internal/pluginhost"
)

// oneThatCrashed is a plugin host with one plugin of which everything is known. (What
// real plugins do is tested in pluginhost; here it is how they are shown.)
type oneThatCrashed struct {
	pluginHost
	status pluginhost.Status
}

func (p *oneThatCrashed) List() []pluginhost.Status { return []pluginhost.Status{p.status} }

func (p *oneThatCrashed) Get(name string) (pluginhost.Status, error) {
	if name != p.status.Name {
		return pluginhost.Status{}, fault.Missing("plugin", name)
	}
	return p.status, nil
}

func (p *oneThatCrashed) Approve(_ context.Context, name, sha256, by string) (pluginhost.Status, error) {
	if sha256 != p.status.Pending.SHA256 {
		return pluginhost.Status{}, fault.New(fault.Conflict, fault.CodePluginChanged, "The file is another by now.")
	}
	p.status.ApprovedBy, p.status.ApprovedAt, p.status.Pending = by, time.Now(), nil
	return p.Get(name)
}

func TestPluginsAreShown(t *testing.T) {
	now := time.Now()
	build := &pluginhost.Build{GoVersion: "go1.26.1", Module: "m", ModuleVersion: "v1.4.0", VCSRevision: "3f2a"}
	plugins := &oneThatCrashed{status: pluginhost.Status{
		Name: "jellyfin", Version: "1.4.0", SDKVersion: "1.2.0", ProtocolVersion: 1, ServerType: "jellyfin", Origin: pluginhost.OriginDirectory,
		FileName: "zondarr-plugin-jellyfin", SHA256: strings.Repeat("9c", 32), SizeBytes: 12, Build: build, State: pluginhost.StateReady, StateSince: now,
		PID: 4711, StartedAt: now, Restarts: 1, MemoryBytes: 19, LastCrash: &pluginhost.Crash{At: now, ExitCode: -1, Signal: "SIGKILL", LastCall: "CreateUser", OutputTail: "last words"},
		Pending: &pluginhost.Pending{SHA256: strings.Repeat("77", 32), SizeBytes: 13, FoundAt: now, Misfits: []pluginhost.Misfit{{ServerID: "x", Problems: []string{"too old"}}}},
	}}
	w := newWorld(t, hosttest.NewDB(t, database.SQLite), func(w *world) { w.api.Plugins = plugins })
	listed := w.get("/api/v1/plugins").items()[0]
	one := w.get("/api/v1/plugins/jellyfin").want(http.StatusOK).object()
	for name, want := range map[string]any{
		"name": "jellyfin", "state": "ready", "pid": 4711.0, "origin": "directory", "restarts": 1.0, "memory_bytes": 19.0, "error_code": nil, "message": nil, "approved_at": nil, "approved_by": nil,
	} {
		if one[name] != want || listed[name] != want {
			t.Errorf("%s is %v, and %v in the list", name, one[name], listed[name])
		}
	}
	if at(one, "last_crash", "output_tail") != "last words" || at(listed, "last_crash", "output_tail") != nil || at(one, "last_crash", "exit_code") != nil || at(one, "last_crash", "signal") != "SIGKILL" {
		t.Errorf("the crash is %v, and %v in the list", one["last_crash"], listed["last_crash"])
	}
	if at(one, "pending", "sha256") != plugins.status.Pending.SHA256 || at(one, "pending", "build") != nil || at(one, "build", "go_version") != "go1.26.1" {
		t.Errorf("pending is %v", one["pending"])
	}
	w.post("/api/v1/plugins/jellyfin/approve", object{}).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "body.sha256", fault.FieldRequired)
	w.post("/api/v1/plugins/jellyfin/approve", object{"sha256": "77AA"}).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "body.sha256", fault.FieldPattern)
	w.post("/api/v1/plugins/jellyfin/approve", object{"sha256": strings.Repeat("00", 32)}).refused(http.StatusConflict, fault.CodePluginChanged)
	approved := w.post("/api/v1/plugins/jellyfin/approve", object{"sha256": strings.Repeat("77", 32)}).want(http.StatusOK).object()
	if at(approved, "approved_by", "name") != "laptop" || approved["approved_at"] == nil || approved["pending"] != nil {
		t.Errorf("approved: %v", approved)
	}
	w.get("/api/v1/plugins/plex").refused(http.StatusNotFound, fault.CodeNotFound)
}
