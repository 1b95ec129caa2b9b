package api

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

// same compares a member of two resources.
func same(t testing.TB, before, after object, but ...string) {
	t.Helper()
	for name := range before {
		if name != "updated_at" && !slices.Contains(but, name) && !reflect.DeepEqual(before[name], after[name]) {
			t.Errorf("%s was %v and is %v", name, before[name], after[name])
		}
	}
}

// made checks a 201: the resource can be had at its Location, and is the same.
func (w *world) made(a answer) object {
	w.t.Helper()
	at := a.want(http.StatusCreated).header.Get("Location")
	again := w.get(at).want(http.StatusOK).object()
	same(w.t, again, a.object(), "key", "last_used_at")
	return a.object()
}

func TestServerLife(t *testing.T) { // R6.1, R6.2
	hosttest.EachDB(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		body := w.serverBody()
		body["url"], body["public_url"] = w.home.URL()+"/", "https://tv.example.org/"
		s := w.made(w.post("/api/v1/servers", body))
		id := s["id"].(string)
		for name, want := range map[string]any{
			"name": "Living room", "server_type": sdktest.FakeType, "url": w.home.URL(), "public_url": "https://tv.example.org", "enabled": true,
			"settings": object{}, "secrets_set": []any{"api_key"}, "tls": object{"ca_pem": nil, "skip_verify": false}, "product": "Fake Media Server",
			"external_server_id": "fake-home", "join_flow": "password", "library_count": 2.0,
		} {
			if !reflect.DeepEqual(s[name], want) {
				t.Errorf("%s is %v, want %v", name, s[name], want)
			}
		}
		if at(s, "health", "state") != "ok" || at(s, "account_rules", "password", "min_length") != 8.0 || at(s, "account_rules", "email", "use") != "optional" {
			t.Errorf("created %v", s)
		}
		p := w.post("/api/v1/servers", w.serverBody()).refused(http.StatusConflict, fault.CodeServerAlreadyAdded)
		p.blames(t, "body.url", fault.FieldDuplicate)

		libraries := w.get("/api/v1/servers/" + id + "/libraries").items()
		if len(libraries) != 2 || libraries[0]["name"] != "Films" || libraries[0]["library_type"] != "movies" || libraries[0]["state"] != "present" || libraries[0]["server_id"] != id {
			t.Errorf("libraries are %v", libraries)
		}
		run := w.post("/api/v1/servers/"+id+"/sync-libraries", nil).want(http.StatusOK).object()
		if run["state"] != "completed" || run["scope"] != "libraries" || at(run, "counts", "unchanged") != 2.0 || run["error"] != nil || run["finished_at"] == nil {
			t.Errorf("the run is %v", run)
		}
		if tested := w.post("/api/v1/servers/"+id+"/test", nil).want(http.StatusOK).object(); tested["id"] != id {
			t.Errorf("tested %v", tested)
		}
		w.delete("/api/v1/servers/" + id).want(http.StatusNoContent)
		for _, path := range []string{"", "/libraries"} {
			w.get("/api/v1/servers/"+id+path).refused(http.StatusNotFound, fault.CodeNotFound)
		}
		w.delete("/api/v1/servers/"+id).refused(http.StatusNotFound, fault.CodeNotFound)
	})
}

func TestServerConnectionTest(t *testing.T) { // R6.3, P10
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	body := w.serverBody()
	delete(body, "name")
	told := w.post("/api/v1/servers/test", body).want(http.StatusOK).object()
	if told["external_server_id"] != "fake-home" || told["server_name"] != "home" || told["warnings"] == nil || told["join_flow"] != "password" {
		t.Errorf("told %v", told)
	}
	// It takes what create takes, but for the name.
	whole := w.serverBody()
	delete(whole, "name")
	whole["public_url"], whole["enabled"] = "https://tv.example.org", false
	w.post("/api/v1/servers/test", whole).want(http.StatusOK)
	whole["public_url"] = nil
	w.post("/api/v1/servers/test", whole).want(http.StatusOK)
	whole["public_url"], whole["url"] = "https://me:hunter2@tv.example.org", "home"
	p := w.post("/api/v1/servers/test", whole).refused(http.StatusBadRequest, fault.CodeInvalidInput)
	p.blames(t, "body.public_url", fault.FieldInvalid)
	p.blames(t, "body.url", fault.FieldInvalid)
	w.post("/api/v1/servers/test", w.serverBody()).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "body.name", fault.FieldUnknown)
	for reason, want := range map[sdk.Reason]struct {
		status int
		code   string
	}{
		sdk.ReasonCredentialsRejected: {400, fault.CodeServerCredentialsRejected}, sdk.ReasonNotAdmin: {400, fault.CodeServerNotAdmin},
		sdk.ReasonVersionUnsupported: {400, fault.CodeServerVersionUnsupported}, sdk.ReasonWrongProduct: {400, fault.CodeServerWrongProduct},
		sdk.ReasonUnavailable: {502, fault.CodeServerUnreachable}, sdk.ReasonServerError: {502, fault.CodeServerError}, sdk.ReasonRateLimited: {502, fault.CodeServerRateLimited},
	} {
		w.home.Fault("TestConnection", sdktest.Fault{Err: sdk.Errorf(reason, "because")})
		w.post("/api/v1/servers/test", body).refused(want.status, want.code)
		w.post("/api/v1/servers", w.serverBody()).refused(want.status, want.code)
	}
	if n := len(w.get("/api/v1/servers").items()); n != 0 {
		t.Errorf("%d servers are stored", n)
	}
}

// RFC 7396: absent keeps, null clears, objects merge by key.
func TestServerPatch(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		body := w.serverBody()
		body["settings"] = object{sdktest.FakeSettingCloud: "https://cloud.example.org"}
		before := w.post("/api/v1/servers", body).want(http.StatusCreated).object()
		path := "/api/v1/servers/" + before["id"].(string)
		change := func(body object) object {
			t.Helper()
			return w.patch(path, body).want(http.StatusOK).object()
		}
		same(t, before, change(object{}))
		same(t, before, change(object{"name": "Cellar"}), "name")
		same(t, before, change(object{"name": "Living room"}))
		if s := change(object{"public_url": "https://tv.example.org"}); s["public_url"] != "https://tv.example.org" {
			t.Errorf("public_url is %v", s["public_url"])
		}
		same(t, before, change(object{"public_url": nil}))
		if s := change(object{"enabled": false}); s["enabled"] != false {
			t.Error("still enabled")
		}
		same(t, before, change(object{"enabled": true}))

		if s := change(object{"settings": object{}}); len(s["settings"].(object)) != 1 {
			t.Errorf("settings are %v: an empty object keeps all", s["settings"])
		}
		if s := change(object{"settings": object{sdktest.FakeSettingCloud: nil}}); len(s["settings"].(object)) != 0 {
			t.Errorf("settings are %v: null clears a key", s["settings"])
		}
		if s := change(object{"tls": object{"skip_verify": true}}); at(s, "tls", "skip_verify") != true {
			t.Errorf("tls is %v", s["tls"])
		}
		pem := certificate(t)
		if s := change(object{"tls": object{"ca_pem": pem}}); at(s, "tls", "skip_verify") != true || at(s, "tls", "ca_pem") != pem {
			t.Errorf("tls is %v: its members merge", s["tls"])
		}
		if s := change(object{"tls": object{"ca_pem": nil}}); at(s, "tls", "skip_verify") != true || at(s, "tls", "ca_pem") != nil {
			t.Errorf("tls is %v: null clears a member", s["tls"])
		}

		// Secrets are kept without being sent, replaced, and never shown.
		w.home.SetKey("another-key-0002")
		w.patch(path, object{"settings": object{}}).refused(http.StatusBadRequest, fault.CodeServerCredentialsRejected)
		w.patch(path, object{"secrets": object{"api_key": "wrong-key-0003"}}).refused(http.StatusBadRequest, fault.CodeServerCredentialsRejected).
			blames(t, "body.secrets.api_key", fault.FieldRejected)
		if a := w.patch(path, object{"secrets": object{"api_key": "another-key-0002"}}).want(http.StatusOK); strings.Contains(string(a.body), "another-key") {
			t.Error("the answer shows the secret")
		}
		w.patch(path, object{"secrets": object{"api_key": nil}}).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "body.secrets.api_key", fault.FieldRequired)
		for _, member := range []string{"settings", "secrets", "tls", "name", "url", "enabled"} {
			w.patch(path, object{member: nil}).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "body."+member, fault.FieldRequired)
		}
		for _, member := range []string{"id", "server_type", "created_at", "updated_at", "secrets_set", "health", "product", "external_server_id", "library_count"} {
			w.patch(path, object{member: before[member]}).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "body."+member, fault.FieldReadOnly)
		}
		w.do(request{method: "PATCH", path: path, body: object{"name": "Attic"}, header: http.Header{"Content-Type": {"application/merge-patch+json"}}}).want(http.StatusOK)
	})
}

func TestServerIsKnownAgain(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	path := "/api/v1/servers/" + w.addServer()
	other := w.fake.AddServer("other")
	t.Cleanup(other.Close)
	w.patch(path, object{"url": other.URL()}).refused(http.StatusConflict, fault.CodeServerIdentityChanged).blames(t, "body.url", fault.FieldConflict)
	w.patch(path, object{"url": other.URL(), "confirm_external_server_id": ""}).refused(http.StatusBadRequest, fault.CodeInvalidInput).
		blames(t, "body.confirm_external_server_id", fault.FieldTooShort)
	s := w.patch(path, object{"url": other.URL(), "confirm_external_server_id": "fake-other"}).want(http.StatusOK).object()
	if s["url"] != other.URL() || s["external_server_id"] != "fake-other" {
		t.Errorf("confirmed %v", s)
	}
}

// The libraries come by name, page by page; a cursor belongs to its server.
func TestLibrariesArePaged(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	w.home.AddLibrary("Art", sdk.LibraryMovies)
	path := "/api/v1/servers/" + w.addServer() + "/libraries"
	first := w.get(path + "?limit=2")
	if items := first.items(); len(items) != 2 || items[0]["name"] != "Art" || items[1]["name"] != "Films" {
		t.Errorf("the first page has %v", items)
	}
	rest := "/libraries?limit=2&cursor=" + first.object()["next_cursor"].(string)
	last := w.get(strings.Replace(path, "/libraries", rest, 1))
	if items := last.items(); len(items) != 1 || items[0]["name"] != "Series" || last.object()["next_cursor"] != nil {
		t.Errorf("the last page is %s", last.body)
	}
	w.get("/api/v1/servers/"+w.addServers("attic")[0]+rest).refused(http.StatusBadRequest, fault.CodeInvalidCursor)
	w.get(path+"?sort=state").refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "query.sort", fault.FieldUnsupported)
	w.get("/api/v1/servers/"+uuid.NewString()+"/libraries?limit=2").refused(http.StatusNotFound, fault.CodeNotFound)
}

// Settings that the media server's plugin refuses are the caller's only where the caller
// sent them.
func TestRefusedSettings(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	path := "/api/v1/servers/" + w.addServer()
	w.home.Fault("TestConnection", sdktest.Fault{Err: &sdk.Error{
		Reason: sdk.ReasonInvalid, Message: "the cloud is another", Fields: []sdk.FieldProblem{{Field: "settings.cloud_url", Code: fault.FieldRejected, Message: "Name the server's own cloud."}},
	}})
	w.patch(path, object{"settings": object{}}).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "body.settings.cloud_url", fault.FieldRejected)
	for _, verb := range []string{"/test", "/sync-libraries"} {
		p := w.post(path+verb, object{}).refused(http.StatusBadGateway, fault.CodeInvalidInput)
		if len(p.Errors) != 0 || p.Detail != "The cloud is another." || p.Server.value == nil {
			t.Errorf("%s: %+v", verb, p)
		}
	}
	if health := w.get(path).object()["health"]; at(health.(object), "state") != "settings_invalid" {
		t.Errorf("the health is %v", health)
	}
}

func TestServerTypes(t *testing.T) { // R4.3
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	types := w.get("/api/v1/server-types").items()
	one := w.get("/api/v1/server-types/" + sdktest.FakeType).want(http.StatusOK).object()
	if len(types) != 1 || !reflect.DeepEqual(types[0], one) {
		t.Fatalf("the list has %v", types)
	}
	for name, want := range map[string]any{"server_type": "fake", "display_name": "Fake", "plugin": "fake", "available": true, "join_flow": "password", "realm": sdktest.FakeRealm} {
		if one[name] != want {
			t.Errorf("%s is %v", name, one[name])
		}
	}
	if got := at(one, "settings_schema", "properties", "api_key", "writeOnly"); got != true {
		t.Errorf("the schema is %v", one["settings_schema"])
	}
	if caps := one["capabilities"].([]any); !slices.Contains(caps, any("library_access")) || !slices.IsSortedFunc(caps, func(a, b any) int { return strings.Compare(a.(string), b.(string)) }) {
		t.Errorf("capabilities are %v", caps)
	}
}

// The JSON of a server that is not there is the same for every verb.
func TestMissingServer(t *testing.T) { // R9.3
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	id := uuid.NewString()
	p := w.get("/api/v1/servers/"+id).refused(http.StatusNotFound, fault.CodeNotFound)
	if p.Resource.value == nil || *p.Resource.value != (ProblemResource{Type: "server", ID: id}) || p.Server.value != nil {
		t.Errorf("missing is %+v", p)
	}
}
