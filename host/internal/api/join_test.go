package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/host/internal/redeem"
	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

// as makes a call of an invitee, who has no key.
func (w *world) as(method, path string, body any, header http.Header) answer {
	w.t.Helper()
	return w.do(request{method: method, path: path, body: body, key: "none", header: header})
}

func TestJoin(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		body := w.serverBody()
		body["public_url"] = "https://tv.example.org"
		server := w.post("/api/v1/servers", body).want(http.StatusCreated).str("id")
		films := w.get("/api/v1/servers/" + server + "/libraries").items()[0]["id"]
		inv := w.invite(server, object{
			"label": "secret label", "note": "secret note", "duration_days": 30,
			"servers": []any{object{"server_id": server, "libraries": object{"access": "only", "library_ids": []any{films}}}},
		})
		path := "/api/v1/join/" + inv["code"].(string)

		a := w.as("GET", path, nil, nil).want(http.StatusOK)
		seen := a.object()
		target := seen["servers"].([]any)[0].(object)
		if seen["state"] != "active" || seen["duration_days"] != 30.0 || target["name"] != "Living room" || target["libraries"].([]any)[0] != "Films" || target["join_flow"] != "password" {
			t.Errorf("invitees see %v", seen)
		}
		for _, inside := range []string{"secret", w.home.URL(), "use_count"} {
			if strings.Contains(string(a.body), inside) {
				t.Errorf("invitees see %s: %s", inside, a.body)
			}
		}
		fields := map[string]any{}
		for _, f := range seen["fields"].([]any) {
			fields[at(f, "name").(string)] = at(f, "required")
		}
		if fields["username"] != true || fields["password"] != true || fields["email"] != false {
			t.Errorf("asked for %v", fields)
		}

		p := w.as("POST", path, object{"username": "", "password": "short"}, nil).refused(http.StatusBadRequest, fault.CodeInvalidInput)
		p.blames(t, "body.username", fault.FieldRequired)
		p.blames(t, "body.password", fault.FieldTooShort)
		w.home.AddUser(sdk.User{Username: "alice", Status: sdk.StatusActive}, "another password")
		p = w.as("POST", path, object{"username": "alice", "password": "correct horse"}, nil).refused(http.StatusConflict, fault.CodeUsernameTaken)
		p.blames(t, "body.username", fault.FieldTaken)

		key := http.Header{"Idempotency-Key": {"one"}}
		join := object{"username": "bob", "password": "correct horse", "email": nil, "display_name": nil, "link_ids": []any{}}
		done := w.as("POST", path, join, key).want(http.StatusCreated)
		result := done.object()
		user := result["users"].([]any)[0].(object)
		if result["state"] != "completed" || user["username"] != "bob" || user["status"] != "active" || user["sign_in_url"] != "https://tv.example.org" || user["expires_at"] == nil {
			t.Errorf("joined %v", result)
		}
		if done.header.Get("Location") != result["status_url"] {
			t.Errorf("Location %s, status_url %v", done.header.Get("Location"), result["status_url"])
		}
		if again := w.as("GET", result["status_url"].(string), nil, nil).want(http.StatusOK); string(encode(t, again.object())) != string(encode(t, result)) {
			t.Errorf("asked again: %s", again.body)
		}
		if again := w.as("POST", path, join, key).want(http.StatusCreated); string(encode(t, again.object())) != string(encode(t, result)) {
			t.Errorf("the same key again: %s", again.body)
		}
		join["username"] = "eve"
		w.as("POST", path, join, key).refused(http.StatusConflict, fault.CodeIdempotencyKeyReused)
		w.as("POST", path, join, nil).refused(http.StatusConflict, fault.CodeInvitationExhausted)

		red := w.get("/api/v1/redemptions?invitation_id=" + inv["id"].(string)).items()
		if len(red) != 2 || red[0]["state"] != "completed" || red[0]["client_address"] != "192.0.2.1" || red[1]["state"] != "failed" || at(red[1], "error", "error_code") != fault.CodeUsernameTaken {
			t.Errorf("redemptions are %v", red)
		}
		if red[0]["correlation_id"] != done.header.Get(correlationHeader) {
			t.Errorf("the redemption is kept under %v", red[0]["correlation_id"])
		}
		if logged := w.log.text(); strings.Contains(logged, "correct horse") || strings.Contains(logged, inv["code"].(string)) {
			t.Error("the log has the password or the code")
		}
	})
}

// A redemption that takes long answers 202, with the same body and where to ask.
func TestJoinInTheBackground(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite), func(w *world) {
		p := redeem.DefaultPolicy()
		p.Wait = 50 * time.Millisecond
		w.api.Redemptions.Policy = p
	})
	code := w.invite(w.addServer(), nil)["code"].(string)
	w.home.Fault("CreateUser", sdktest.Fault{Delay: 300 * time.Millisecond, Times: 1})
	a := w.as("POST", "/api/v1/join/"+code, object{"username": "bob", "password": "correct horse"}, nil).want(http.StatusAccepted)
	if a.str("state") != "in_progress" || a.header.Get("Location") != a.str("status_url") || len(a.object()["users"].([]any)) != 0 {
		t.Fatalf("meanwhile: %s", a.body)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		switch now := w.as("GET", a.str("status_url"), nil, nil).want(http.StatusOK); {
		case now.str("state") == "completed":
			return
		case time.Now().After(deadline):
			t.Fatalf("it never ends: %s", now.body)
		}
	}
}

func TestJoinWithALinkedAccount(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, func(w *world) { w.fake.JoinFlow = sdk.JoinLinkedAccount })
		server := w.addServers("cloudy")[0]
		path := "/api/v1/join/" + w.invite(server, nil)["code"].(string)
		seen := w.as("GET", path, nil, nil).object()
		asked := seen["links"].([]any)
		if len(asked) != 1 || at(asked[0], "realm") != sdktest.FakeRealm || at(asked[0], "label") != "Fake Cloud" {
			t.Fatalf("asked for %v", seen)
		}
		w.as("POST", path+"/links", object{"realm": "elsewhere"}, nil).refused(http.StatusBadRequest, fault.CodeInvalidInput)
		a := w.as("POST", path+"/links", object{"realm": sdktest.FakeRealm}, nil).want(http.StatusCreated)
		link := a.object()
		if link["state"] != "pending" || link["account"] != nil || link["authorize_url"] == "" || link["poll_after_ms"].(float64) <= 0 {
			t.Fatalf("begun %v", link)
		}
		if again := w.as("GET", a.header.Get("Location"), nil, nil).want(http.StatusOK); again.str("id") != link["id"] {
			t.Errorf("at its Location there is %s", again.body)
		}
		w.as("POST", path, object{"link_ids": []any{link["id"]}}, nil).refused(http.StatusConflict, fault.CodeLinkNotApproved)
		if !w.fake.Approve(w.fake.Links()[0], sdk.LinkedAccount{ID: "7", Username: "bob"}) {
			t.Fatal("the fake does not know the sign-in")
		}
		var polled object
		for deadline := time.Now().Add(20 * time.Second); at(polled, "state") != "approved"; time.Sleep(50 * time.Millisecond) {
			if polled = w.as("GET", a.header.Get("Location"), nil, nil).want(http.StatusOK).object(); time.Now().After(deadline) {
				t.Fatalf("never approved: %v", polled)
			}
		}
		if at(polled, "account", "name") != "bob" {
			t.Errorf("signed in as %v", polled["account"])
		}
		w.as("POST", path, object{"link_ids": []any{link["id"]}}, nil).want(http.StatusCreated)
		w.as("GET", path+"/links/AAAAAAAAAAAAAAAAAAAAAA", nil, nil).refused(http.StatusNotFound, fault.CodeLinkNotFound)
	})
}

func TestPause(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	path := "/api/v1/join/" + w.invite(w.addServer(), nil)["code"].(string)
	if err := w.api.Pause.Set(t.Context(), "for the test"); err != nil {
		t.Fatal(err)
	}
	if p := w.get("/api/v1/pause").want(http.StatusOK).object(); p["paused"] != true {
		t.Errorf("paused is %v", p)
	}
	w.as("POST", path, object{"username": "bob", "password": "correct horse"}, nil).refused(http.StatusServiceUnavailable, fault.CodePaused)
	w.as("GET", path, nil, nil).want(http.StatusOK)
	if p := w.post("/api/v1/resume", nil).want(http.StatusOK).object(); p["paused"] != false {
		t.Errorf("resumed is %v", p)
	}
	w.as("POST", path, object{"username": "bob", "password": "correct horse"}, nil).want(http.StatusCreated)
	if !strings.Contains(w.log.text(), `"msg":"resumed"`) {
		t.Error("the log does not say who resumed")
	}
}

// What goes wrong on a server is told in the invitee's words, and nothing else is.
func TestJoinFailuresAreForInvitees(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	server := w.addServer()
	for reason, want := range map[sdk.Reason]struct {
		status int
		code   string
	}{
		sdk.ReasonUsernameTaken: {409, fault.CodeUsernameTaken}, sdk.ReasonEmailTaken: {409, fault.CodeEmailTaken}, sdk.ReasonUsernameInvalid: {400, fault.CodeInvalidInput},
		sdk.ReasonPasswordRejected: {400, fault.CodeInvalidInput}, sdk.ReasonAlreadyMember: {409, fault.CodeAlreadyMember}, sdk.ReasonLimitReached: {502, fault.CodeServerLimitReached},
		sdk.ReasonCredentialsRejected: {502, fault.CodeServerError}, sdk.ReasonRateLimited: {502, fault.CodeServerRateLimited},
	} {
		inv := w.invite(server, nil)
		w.home.Fault("CreateUser", sdktest.Fault{Err: sdk.Errorf(reason, "canary upstream said so"), Times: 1})
		a := w.as("POST", "/api/v1/join/"+inv["code"].(string), object{"username": string(reason), "password": "correct horse"}, nil)
		a.refused(want.status, want.code)
		if strings.Contains(string(a.body), "canary") {
			t.Errorf("%s: the invitee reads what is for the admin: %s", reason, a.body)
		}
		red := w.get("/api/v1/redemptions?invitation_id=" + inv["id"].(string)).items()[0]
		if !strings.Contains(at(red, "error", "detail").(string), "canary") {
			t.Errorf("%s: the admin reads %v", reason, red["error"])
		}
		if n := w.get("/api/v1/invitations/" + inv["id"].(string)).object()["use_count"]; n != 0.0 {
			t.Errorf("%s: the use was not given back: %v", reason, n)
		}
	}
}

func TestRedemptionActions(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	ids := w.oneOfEach()
	path := "/api/v1/redemptions/" + ids["redemptions"]
	red := w.get(path).want(http.StatusOK).object()
	if steps := red["steps"].([]any); len(steps) != 1 || at(steps[0], "state") != "done" || at(steps[0], "user_id") != ids["users"] {
		t.Errorf("the steps are %v", red["steps"])
	}
	for _, body := range []any{nil, object{}} {
		w.post(path+"/retry", body).refused(http.StatusConflict, fault.CodeRedemptionFinished)
	}
	resolve := path + "/steps/" + ids["servers"] + "/resolve"
	w.post(resolve, object{"action": "forget"}).want(http.StatusConflict)
	w.post(resolve, object{"action": "explode"}).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "body.action", fault.FieldInvalid)
	w.delete("/api/v1/invitations/" + red["invitation_id"].(string)).want(http.StatusNoContent)
	if kept := w.get(path).want(http.StatusOK).object(); kept["invitation_id"] != nil || kept["code"] != red["code"] {
		t.Errorf("the invitation is gone, and the redemption says %v", kept)
	}
}

func TestPeople(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		ids := w.oneOfEach()
		person, account := "/api/v1/identities/"+ids["identities"], "/api/v1/users/"+ids["users"]
		before, user := w.get(person).want(http.StatusOK).object(), w.get(account).want(http.StatusOK).object()
		if before["display_name"] != "bob" || before["state"] != "active" || at(before["users"].([]any)[0], "id") != ids["users"] {
			t.Errorf("the person is %v", before)
		}
		if user["origin"] != "redemption" || user["redemption_id"] != ids["redemptions"] || at(user, "libraries", "access") != "all" || user["protected"] != false || user["identity_id"] != ids["identities"] {
			t.Errorf("the account is %v", user)
		}
		for member, v := range map[string]any{"display_name": "Bob", "email": "bob@example.org", "note": "n", "expires_at": "2040-01-01T00:00:00Z"} {
			after := w.patch(person, object{member: v}).want(http.StatusOK).object()
			if after[member] != v {
				t.Errorf("%s is %v", member, after[member])
			}
			same(t, before, after, member, "users")
			if before[member] == nil {
				after = w.patch(person, object{member: nil}).want(http.StatusOK).object()
			} else {
				after = w.patch(person, object{member: before[member]}).want(http.StatusOK).object()
			}
			same(t, before, after)
		}
		if off := w.patch(person, object{"enabled": false}).want(http.StatusOK).object(); off["state"] != "disabled" {
			t.Errorf("disabled: %v", off)
		}
		if w.get(account).object()["status"] != "suspended" {
			t.Error("the account of a disabled person is not suspended")
		}
		w.patch(person, object{"enabled": true}).want(http.StatusOK)
		if off := w.patch(account, object{"enabled": false}).want(http.StatusOK).object(); off["status"] != "suspended" || off["enabled"] != false {
			t.Errorf("disabled: %v", off)
		}
		w.patch(account, object{"enabled": true, "expires_at": "2040-01-01T00:00:00Z", "on_expiry": "delete"}).want(http.StatusOK)
		if u := w.patch(account, object{"expires_at": nil}).want(http.StatusOK).object(); u["expires_at"] != nil || u["on_expiry"] != "delete" {
			t.Errorf("cleared: %v", u)
		}
		for _, member := range []string{"username", "status", "libraries", "permissions", "identity_id", "protected"} {
			w.patch(account, object{member: user[member]}).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "body."+member, fault.FieldReadOnly)
		}
		w.delete(account+"?account=perhaps").refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "query.account", fault.FieldInvalid)
		w.delete(account + "?account=delete").want(http.StatusNoContent)
		if slices.ContainsFunc(w.home.Users(), func(u sdk.User) bool { return u.Username == "bob" }) {
			t.Error("the account is still on the media server")
		}
		w.get(account).refused(http.StatusNotFound, fault.CodeNotFound)
		w.delete(person).want(http.StatusNoContent)
		w.get(person).refused(http.StatusNotFound, fault.CodeNotFound)
	})
}

func TestAPIKeys(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		a := w.post("/api/v1/api-keys", object{"name": "phone"})
		made := w.made(a)
		key := a.str("key")
		if !strings.HasPrefix(key, "zdr_") || !strings.HasPrefix(key, made["prefix"].(string)) || at(made, "created_by", "name") != "laptop" {
			t.Errorf("made %v", made)
		}
		for _, k := range w.get("/api/v1/api-keys").items() {
			if _, shown := k["key"]; shown {
				t.Errorf("a key is shown twice: %v", k)
			}
		}
		w.do(request{method: "GET", path: "/api/v1/servers", key: key}).want(http.StatusOK)
		w.delete("/api/v1/api-keys/" + made["id"].(string)).want(http.StatusNoContent)
		w.do(request{method: "GET", path: "/api/v1/servers", key: key}).refused(http.StatusUnauthorized, fault.CodeUnauthenticated)
		revoked := w.get("/api/v1/api-keys/" + made["id"].(string)).want(http.StatusOK).object()
		if revoked["revoked_at"] == nil || revoked["last_used_at"] == nil {
			t.Errorf("revoked: %v", revoked)
		}
		w.post("/api/v1/api-keys", object{"name": " "}).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "body.name", fault.FieldRequired)
	})
}
