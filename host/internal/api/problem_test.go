package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/host/internal/pluginhost"
	"github.com/zondarr/zondarr/host/internal/registry"
	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

// What a caller sends is in no error and in no line of the log, wherever it was put
// and however it looks (P13; the shape of the errors is checked with every answer).
func TestErrorsRepeatNothing(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	server := w.addServer()
	code := w.invite(server, nil)["code"].(string)
	d := theDocument(t)
	dressed := []string{"%s", "SELECT * FROM users WHERE key = '%s'", "/root/.ssh/%s.go:12", "http://me:%s@home.fake.test", "postgres://u:%s@db/z", "goroutine 1 [%s]", "pq: %s", "<b>%s</b>", "\"}%s{\""}
	calls, refused := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		canary := "canary" + rapid.StringMatching(`[a-z]{12}`).Draw(rt, "canary")
		text := fmt.Sprintf(rapid.SampledFrom(dressed).Draw(rt, "dress"), canary)
		op := rapid.SampledFrom(d.ops).Draw(rt, "operation")
		r := request{method: op.method, path: op.url(map[string]string{"code": code})}
		if op.body != nil {
			r.body = d.fill(op.body, text, "a")
			if o := r.body.(object); o["server_type"] != nil {
				o["server_type"] = sdktest.FakeType
				if rapid.Bool().Draw(rt, "reachable") {
					o["url"], o["secrets"], o["settings"] = w.home.URL(), object{"api_key": text}, object{}
					delete(o, "tls")
					delete(o, "public_url")
				}
			}
			if rapid.Bool().Draw(rt, "wrong member") {
				properties, _ := op.body["properties"].(object)
				name := rapid.SampledFrom(append(sortedKeys(properties), "nothing")).Draw(rt, "member")
				values := []any{object{"a": text}, []any{text}}
				if name != "server_type" { // an unknown one is named (R4.4)
					values = append(values, text)
				}
				r.body.(object)[name] = rapid.SampledFrom(values).Draw(rt, "value")
			}
		}
		switch rapid.SampledFrom([]string{"body", "query", "path", "key", "header", "json"}).Draw(rt, "where") {
		case "query":
			names := []string{"nothing"}
			for _, p := range op.params {
				if p.in == "query" {
					names = append(names, p.name)
				}
			}
			r.path += "?" + rapid.SampledFrom(names).Draw(rt, "parameter") + "=" + url.QueryEscape(text)
		case "path":
			r.path = "/api/v1/join/" + url.PathEscape(canary)
		case "key":
			r.key = canary
		case "header":
			r.header = http.Header{"Content-Type": {"text/" + canary}, "Cookie": {canary}, "User-Agent": {canary}, "Accept": {canary}}
		case "json":
			r.body = `{"password":"` + canary + `",}`
		}
		a := w.do(r)
		calls++
		if a.status >= 400 {
			if refused++; strings.Contains(string(a.body), canary) {
				rt.Fatalf("%s %s: the error repeats what was sent: %s", r.method, r.path, a.body)
			}
		}
		for name, values := range a.header {
			if name != "Location" && strings.Contains(strings.Join(values, " "), canary) {
				rt.Fatalf("%s %s: the header %s repeats what was sent: %v", r.method, r.path, name, values)
			}
		}
		if strings.Contains(w.log.text(), canary) {
			rt.Fatalf("%s %s: the log repeats what was sent", r.method, r.path)
		}
	})
	if refused < calls/2 {
		t.Errorf("only %d of %d calls were refused", refused, calls)
	}
	if strings.Contains(w.log.text(), w.key) || strings.Contains(w.log.text(), code) {
		t.Error("the log has the key of the API or the code of an invitation")
	}
}

// The correlation id is the caller's where it is sane, and on every line (R7.6, R9.5).
func TestCorrelation(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	for id, kept := range map[string]bool{
		"0123456789abcdef": true, uuid.NewString(): true, "short": false, strings.Repeat("x", 65): false, "with space": false, "line\nbreak": false, "": false,
	} {
		a := w.do(request{method: "GET", path: "/api/v1/servers/" + uuid.NewString(), header: http.Header{correlationHeader: {id}}})
		got := a.header.Get(correlationHeader)
		if (got == id) != kept {
			t.Errorf("%q became %q", id, got)
		}
		lines := w.log.with(got)
		if len(lines) < 2 || !slices.ContainsFunc(lines, func(l object) bool { return l["msg"] == "request" && l["status"] == 404.0 }) {
			t.Errorf("the log has %v under %q", lines, got)
		}
	}
}

// A media server that fails is a 502 with its id and name, a plugin that is down a
// 503 (R9.7).
func TestMediaServerAndPluginFailures(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	id := w.addServer()
	for _, path := range []string{"/test", "/sync-libraries"} {
		w.home.Fault("TestConnection", sdktest.Fault{Err: sdk.Errorf(sdk.ReasonUnavailable, "no answer")})
		p := w.post("/api/v1/servers/"+id+path, nil).refused(http.StatusBadGateway, fault.CodeServerUnreachable)
		if p.Server.value == nil || *p.Server.value != (ProblemServer{ID: id, Name: "Living room"}) {
			t.Errorf("%s blames %+v", path, p.Server.value)
		}
		w.home.ClearFaults()
	}
	w.home.SetKey("another-key-0002")
	p := w.post("/api/v1/servers/"+id+"/test", nil).refused(http.StatusBadGateway, fault.CodeServerCredentialsRejected)
	if p.Server.value == nil || len(p.Errors) != 0 {
		t.Errorf("a stored key that is refused: %+v", p)
	}
	health := w.get("/api/v1/servers/" + id).object()["health"].(object)
	if health["state"] != "unauthorized" || health["error_code"] != fault.CodeServerCredentialsRejected || health["message"] == nil {
		t.Errorf("the health of the server is %v", health)
	}
	body := w.serverBody()
	delete(body, "name")
	w.post("/api/v1/servers/test", body).refused(http.StatusBadRequest, fault.CodeServerCredentialsRejected).blames(t, "body.secrets.api_key", fault.FieldRejected)
	w.home.SetKey(sdktest.FakeKey)

	w.seat.Down(registry.Down{Reason: "it crashed", RetryAt: time.Now().Add(time.Hour)})
	if types := w.get("/api/v1/server-types").items(); len(types) != 1 || types[0]["available"] != false {
		t.Errorf("types while the plugin is down: %v", types)
	}
	for _, path := range []string{"/test", "/sync-libraries"} {
		a := w.post("/api/v1/servers/"+id+path, nil)
		if p := a.refused(http.StatusServiceUnavailable, fault.CodePluginUnavailable); !p.Retryable || p.Plugin == nil || *p.Plugin != sdktest.FakeType || p.RetryAfterS == nil {
			t.Errorf("%s without its plugin: %s", path, a.body)
		}
	}
	w.seat.Unregister() // as if its file were gone
	w.post("/api/v1/servers/"+id+"/test", nil).refused(http.StatusServiceUnavailable, fault.CodePluginUnavailable)
	w.post("/api/v1/invitations", object{"servers": []any{everything(id)}}).refused(http.StatusServiceUnavailable, fault.CodePluginUnavailable)
	w.post("/api/v1/servers", w.serverBody()).refused(http.StatusBadRequest, fault.CodeUnknownServerType).blames(t, "body.server_type", fault.FieldUnknown)
	w.get("/api/v1/servers/" + id).want(http.StatusOK)
	w.get("/api/v1/invitations").want(http.StatusOK)
}

// panicking is a plugin host with a bug.
type panicking struct {
	pluginHost
	value any
}

func (p panicking) List() []pluginhost.Status { panic(p.value) }

func TestPanicsSayNothing(t *testing.T) { // R9.4
	for name, value := range map[string]any{"error": errors.New("secret-canary"), "text": "secret-canary", "runtime": 7} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, hosttest.NewDB(t, database.SQLite), func(w *world) { w.api.Plugins = panicking{value: value} })
			a := w.get("/api/v1/plugins")
			if p := a.refused(http.StatusInternalServerError, fault.CodeInternal); strings.Contains(string(a.body), "canary") || p.Retryable {
				t.Errorf("the body is %s", a.body)
			}
			lines := w.log.with(a.header.Get(correlationHeader))
			if !slices.ContainsFunc(lines, func(l object) bool {
				return l["msg"] == "panic" && strings.Contains(l["stack"].(string), "problem_test.go")
			}) {
				t.Errorf("the log has no stack: %v", lines)
			}
			if !slices.ContainsFunc(lines, func(l object) bool { return l["msg"] == "request" && l["status"] == 500.0 }) {
				t.Errorf("the log has no line of the request: %v", lines)
			}
			w.get("/api/v1/servers").want(http.StatusOK)
		})
	}
	w := newWorld(t, hosttest.NewDB(t, database.SQLite), func(w *world) { w.api.Plugins = panicking{value: http.ErrAbortHandler} })
	defer func() {
		if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // the very value, by its documentation
			t.Errorf("recovered %v; aborting a response must reach net/http", v)
		}
	}()
	w.raw(request{method: "GET", path: "/api/v1/plugins"})
}

// Every kind of fault has its status, and what is none is ours.
func TestKindsOfFault(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	for kind, status := range map[fault.Kind]int{
		fault.Invalid: 400, fault.Unauthenticated: 401, fault.Forbidden: 403, fault.NotFound: 404, fault.Conflict: 409, fault.RateLimited: 429,
		fault.Upstream: 502, fault.Unavailable: 503, fault.Internal: 500, "no kind at all": 500,
	} {
		cause := errors.New("SELECT secret")
		p := w.api.problem(t.Context(), fmt.Errorf("wrapped: %w", fault.New(kind, "some_code", "Said.").Wrap(cause)))
		if p.Status != status || strings.Contains(string(encode(t, p)), "SELECT") {
			t.Errorf("%s is %+v", kind, p)
		}
		if status != 500 && (p.ErrorCode != "some_code" || p.Detail != "Said." || p.Title != "Some code") {
			t.Errorf("%s is %+v", kind, p)
		}
	}
	if p := w.api.problem(t.Context(), errors.New("SELECT secret")); p.Status != 500 || p.ErrorCode != fault.CodeInternal || strings.Contains(p.Detail, "SELECT") {
		t.Errorf("an error without a kind is %+v", p)
	}
	if !strings.Contains(w.log.text(), "SELECT secret") {
		t.Error("the log does not have the cause")
	}
}
