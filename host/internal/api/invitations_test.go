package api

import (
	"net/http"
	"reflect"
	"regexp"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

func TestInvitationLife(t *testing.T) { // R6.4
	hosttest.EachDB(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		server := w.addServer()
		films := w.get("/api/v1/servers/" + server + "/libraries").items()[0]["id"]
		grant := object{
			"server_id": server, "libraries": object{"access": "only", "library_ids": []any{films}},
			"permissions": object{"download": "deny"}, "limits": object{"max_sessions": 2}, "options": object{"theme": "dark"},
		}
		i := w.made(w.post("/api/v1/invitations", object{"servers": []any{grant}, "label": "Family", "expires_at": "2040-01-01T00:00:00.1234567+02:00"}))
		for name, want := range map[string]any{
			"label": "Family", "note": nil, "enabled": true, "state": "active", "state_message": nil, "expires_at": "2039-12-31T22:00:00.123456Z",
			"max_uses": 1.0, "use_count": 0.0, "duration_days": nil, "on_expiry": "disable", "email": "optional", "profile_id": nil,
			"url": "https://join.example.org/j/" + i["code"].(string),
		} {
			if !reflect.DeepEqual(i[name], want) {
				t.Errorf("%s is %v, want %v", name, i[name], want)
			}
		}
		if !regexp.MustCompile(`^[2-9A-HJKMNP-Z]{12}$`).MatchString(i["code"].(string)) {
			t.Errorf("the code is %v", i["code"])
		}
		target := i["servers"].([]any)[0].(object)
		for name, want := range grant {
			if got := target[name]; string(encode(t, got)) != string(encode(t, want)) {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		if target["server_name"] != "Living room" || target["available"] != true || len(target["warnings"].([]any)) != 0 {
			t.Errorf("the target is %v", target)
		}
		if by := i["created_by"].(object); by["kind"] != "api_key" || by["name"] != "laptop" || by["id"] == nil {
			t.Errorf("created by %v", by)
		}
		w.delete("/api/v1/invitations/" + i["id"].(string)).want(http.StatusNoContent)
		w.get("/api/v1/invitations/"+i["id"].(string)).refused(http.StatusNotFound, fault.CodeNotFound)
	})
}

func TestInvitationPatch(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		server, other := w.addServer(), w.addServers("cellar")[0]
		before := w.invite(server, object{"code": "family", "note": "n", "max_uses": 3, "duration_days": 30, "expires_at": "2040-01-01T00:00:00Z"})
		if before["code"] != "FAMILY" {
			t.Errorf("the code is %v", before["code"])
		}
		path := "/api/v1/invitations/" + before["id"].(string)
		change := func(body object) object {
			t.Helper()
			return w.patch(path, body).want(http.StatusOK).object()
		}
		same(t, before, change(object{}))
		for member, v := range map[string]any{
			"label": "Friends", "note": "m", "enabled": false, "expires_at": "2041-01-01T00:00:00Z", "max_uses": 4.0, "duration_days": 7.0, "on_expiry": "delete", "email": "required",
		} {
			after := change(object{member: v})
			if !reflect.DeepEqual(after[member], v) {
				t.Errorf("%s is %v, want %v", member, after[member], v)
			}
			same(t, before, after, member, "state", "state_message")
			same(t, before, change(object{member: before[member]}))
		}
		for _, member := range []string{"note", "expires_at", "max_uses", "duration_days"} {
			if after := change(object{member: nil}); after[member] != nil {
				t.Errorf("%s is %v after null", member, after[member])
			}
		}
		for _, member := range []string{"label", "enabled", "on_expiry", "email", "servers"} {
			w.patch(path, object{member: nil}).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "body."+member, fault.FieldRequired)
		}
		for _, member := range []string{"id", "code", "use_count", "state", "url", "created_at", "created_by", "updated_at", "profile_id"} {
			w.patch(path, object{member: before[member]}).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "body."+member, fault.FieldReadOnly)
		}
		after := change(object{"servers": []any{everything(other)}})
		if targets := after["servers"].([]any); len(targets) != 1 || at(targets[0], "server_id") != other {
			t.Errorf("servers are %v: arrays are replaced whole", after["servers"])
		}
	})
}

func TestInvitationStates(t *testing.T) { // R6.5, R6.6
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	server := w.addServer()
	state := func(id any) object { return w.get("/api/v1/invitations/" + id.(string)).want(http.StatusOK).object() }
	off := w.invite(server, object{"enabled": false})
	expired := w.invite(server, object{"expires_at": time.Now().Add(-time.Second).Format(time.RFC3339Nano)})
	used := w.invite(server, nil)
	w.post("/api/v1/join/"+used["code"].(string), object{"username": "bob", "password": "correct horse"}).want(http.StatusCreated)
	for want, i := range map[string]object{"disabled": off, "expired": expired, "exhausted": used} {
		if s := state(i["id"]); s["state"] != want || s["state_message"] == nil {
			t.Errorf("%s is %v", want, s)
		}
		code := i["code"].(string)
		if seen := w.get("/api/v1/join/" + code).want(http.StatusOK).object(); seen["state"] != want || seen["error_code"] != "invitation_"+want || seen["message"] == nil {
			t.Errorf("invitees see %v", seen)
		}
		w.post("/api/v1/join/"+code, object{"username": "eve", "password": "correct horse"}).refused(http.StatusConflict, "invitation_"+want)
	}
	w.patch("/api/v1/invitations/"+used["id"].(string), object{"max_uses": 1, "label": "x"}).want(http.StatusOK)
	more := w.invite(server, object{"max_uses": nil})
	w.patch("/api/v1/servers/"+server, object{"enabled": false}).want(http.StatusOK)
	if s := state(more["id"]); s["state"] != "no_server" || s["max_uses"] != nil || at(s["servers"].([]any)[0], "available") != false {
		t.Errorf("without a server: %v", s)
	}
	w.post("/api/v1/join/"+more["code"].(string), object{"username": "eve", "password": "correct horse"}).refused(http.StatusConflict, fault.CodeInvitationNoServer)
}

func TestInvitationInput(t *testing.T) { // R9.2
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	server := w.addServer()
	w.invite(server, object{"code": "TAKEN"})
	for name, tc := range map[string]struct {
		body           object
		status         int
		code, location string
		field          string
	}{
		"NoServer":        {object{}, 400, fault.CodeInvalidInput, "body.servers", fault.FieldRequired},
		"NoAccess":        {object{"servers": []any{object{"server_id": server, "libraries": object{}}}}, 400, fault.CodeInvalidInput, "body.servers[0].libraries.access", fault.FieldRequired},
		"NoGrant":         {object{"servers": []any{object{"server_id": server}}}, 400, fault.CodeInvalidInput, "body.servers[0].libraries", fault.FieldRequired},
		"OnlyNone":        {object{"servers": []any{object{"server_id": server, "libraries": object{"access": "only"}}}}, 400, fault.CodeInvalidInput, "body.servers[0].libraries.library_ids", fault.FieldRequired},
		"UnknownServer":   {object{"servers": []any{everything(uuid.NewString())}}, 400, fault.CodeInvalidInput, "body.servers[0].server_id", fault.FieldNotFound},
		"ServerTwice":     {object{"servers": []any{everything(server), everything(server)}}, 400, fault.CodeInvalidInput, "body.servers[1].server_id", fault.FieldDuplicate},
		"UnknownLibrary":  {object{"servers": []any{object{"server_id": server, "libraries": object{"access": "only", "library_ids": []any{uuid.NewString()}}}}}, 400, fault.CodeInvalidInput, "body.servers[0].libraries.library_ids[0]", fault.FieldNotFound},
		"NoLibraryID":     {object{"servers": []any{object{"server_id": server, "libraries": object{"access": "only", "library_ids": []any{"films"}}}}}, 400, fault.CodeInvalidInput, "body.servers[0].libraries.library_ids[0]", fault.FieldInvalid},
		"Permission":      {object{"servers": []any{object{"server_id": server, "libraries": object{"access": "all"}, "permissions": object{"download": "maybe"}}}}, 400, fault.CodeInvalidInput, "body.servers[0].permissions.download", fault.FieldInvalid},
		"NoPermission":    {object{"servers": []any{object{"server_id": server, "libraries": object{"access": "all"}, "permissions": object{"fly": "allow"}}}}, 400, fault.CodeInvalidInput, "body.servers[0].permissions.fly", fault.FieldUnsupported},
		"Limit":           {object{"servers": []any{object{"server_id": server, "libraries": object{"access": "all"}, "limits": object{"max_sessions": 101}}}}, 400, fault.CodeInvalidInput, "body.servers[0].limits.max_sessions", fault.FieldOutOfRange},
		"Option":          {object{"servers": []any{object{"server_id": server, "libraries": object{"access": "all"}, "options": object{"theme": "pink"}}}}, 400, fault.CodeInvalidInput, "body.servers[0].options.theme", ""},
		"Code":            {object{"code": "a b c", "servers": []any{everything(server)}}, 400, fault.CodeInvalidInput, "body.code", fault.FieldPattern},
		"CodeTooShort":    {object{"code": "", "servers": []any{everything(server)}}, 400, fault.CodeInvalidInput, "body.code", fault.FieldTooShort},
		"CodeTaken":       {object{"code": "taken", "servers": []any{everything(server)}}, 409, fault.CodeCodeTaken, "body.code", fault.FieldTaken},
		"UnknownProfile":  {object{"profile_id": uuid.NewString()}, 400, fault.CodeInvalidInput, "body.profile_id", fault.FieldNotFound},
		"NoTime":          {object{"expires_at": "tomorrow", "servers": []any{everything(server)}}, 400, fault.CodeInvalidInput, "body.expires_at", fault.FieldInvalid},
		"BeyondAllYears":  {object{"expires_at": "9999-12-31T23:59:59-10:00", "servers": []any{everything(server)}}, 400, fault.CodeInvalidInput, "body.expires_at", fault.FieldOutOfRange},
		"BeforeAllYears":  {object{"expires_at": "0000-01-01T00:00:00+10:00", "servers": []any{everything(server)}}, 400, fault.CodeInvalidInput, "body.expires_at", fault.FieldOutOfRange},
		"NoInt":           {object{"max_uses": 1.5, "servers": []any{everything(server)}}, 400, fault.CodeInvalidInput, "body.max_uses", fault.FieldInvalid},
		"Zero":            {object{"max_uses": 0, "servers": []any{everything(server)}}, 400, fault.CodeInvalidInput, "body.max_uses", fault.FieldOutOfRange},
		"LimitBeyondInts": {object{"servers": []any{object{"server_id": server, "libraries": object{"access": "all"}, "limits": object{"max_sessions": 1e30}}}}, 400, fault.CodeInvalidInput, "body.servers.limits", fault.FieldInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			p := w.in(t).post("/api/v1/invitations", tc.body).refused(tc.status, tc.code)
			if tc.field == "" {
				tc.field = p.Errors[0].Code
			}
			p.blames(t, tc.location, tc.field)
		})
	}
	if n := len(w.get("/api/v1/invitations").items()); n != 1 {
		t.Errorf("%d invitations are stored", n)
	}
	// JSON numbers that are whole are whole, however they are written.
	w.do(request{method: "POST", path: "/api/v1/invitations", body: `{"max_uses":1e1,"servers":[{"server_id":"` + server + `","libraries":{"access":"all"}}]}`}).want(http.StatusBadRequest)
}
