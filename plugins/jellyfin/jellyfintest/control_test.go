package jellyfintest

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// The set-up by another process.
func TestControl(t *testing.T) {
	d := newDouble(t, Config{Control: true, BasePath: "/jf", APIKey: "seeded"})
	call := func(method, path, body string, status int) []byte {
		t.Helper()
		r, _ := http.NewRequestWithContext(t.Context(), method, d.ControlURL()+path, strings.NewReader(body))
		res, err := d.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body)
		if res.StatusCode != status {
			t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, text)
		}
		return text
	}
	read := func(path string, into any) {
		t.Helper()
		if err := json.Unmarshal(call("GET", path, "", 200), into); err != nil {
			t.Fatal(err)
		}
	}

	var state struct {
		Version, URL string
		ServerID     string `json:"server_id"`
		APIKey       string `json:"api_key"`
		Users        int
	}
	call("POST", "/state", `{"server_id":"`+someID+`","quick_connect":false}`, 204)
	read("/state", &state)
	if state.Version != "10.11.6" || state.URL != d.URL() || state.ServerID != someID || state.APIKey != "seeded" || state.Users != 1 {
		t.Fatalf("%+v", state)
	}

	call("POST", "/users", `{"name":"bob","password":"pw","policy":{"MaxActiveSessions":2,"EnabledFolders":["`+someID+`"]}}`, 200)
	call("POST", "/users", `{"name":"root","password":"pw","admin":true}`, 200)
	call("POST", "/users", `{"name":"BOB"}`, 400)
	call("POST", "/users", `{"username":"x"}`, 400) // a slip must not pass for a set-up
	call("POST", "/users", `{"name":"x","policy":{"IsDisabled":"no"}}`, 400)
	call("POST", "/users/bulk", `{"prefix":"many","count":3}`, 204)
	call("POST", "/users/bulk", `{"prefix":"many","count":3}`, 400)
	call("POST", "/users/bob/policy", `{"EnableAllFolders":false}`, 204)
	call("POST", "/users/nobody/policy", `{}`, 404)
	var users []User
	read("/users", &users)
	if len(users) != 6 || users[1].Name != "bob" || users[1].Policy.EnableAllFolders || users[1].Policy.MaxActiveSessions != 2 || !users[1].HasPassword {
		t.Fatalf("%+v", users)
	}
	var one User
	read("/users/"+users[1].ID, &one)
	if one.Name != "bob" || one.Policy.EnabledFolders[0] != someID {
		t.Fatalf("%+v", one)
	}
	call("GET", "/users/nobody", "", 404)
	call("POST", "/users/bob/sign-in", `{"password":"pw"}`, 204)
	call("POST", "/users/bob/sign-in", `{"password":"x"}`, 403)
	call("POST", "/users/nobody/sign-in", `{"password":"x"}`, 404)
	call("DELETE", "/users/root", "", 204)
	call("DELETE", "/users/root", "", 404)

	var key struct{ Key string }
	if err := json.Unmarshal(call("POST", "/keys", `{"name":"e2e"}`, 200), &key); err != nil {
		t.Fatal(err)
	}
	d.check(d.as(key.Key, "GET", "/Auth/Providers", ""), "200")
	call("DELETE", "/keys/"+key.Key, "", 204)
	d.check(d.as(key.Key, "GET", "/Auth/Providers", ""), "401")

	call("POST", "/libraries", `{"name":"Films","type":"movies"}`, 200)
	var libraries []Library
	read("/libraries", &libraries)
	if len(libraries) != 1 || libraries[0].Type != "movies" {
		t.Fatalf("%+v", libraries)
	}
	call("DELETE", "/libraries/films", "", 204)
	call("DELETE", "/libraries/films", "", 404)

	call("DELETE", "/requests", "", 204)
	call("POST", "/faults", `{"method":"GET","path":"/Users","skip":1,"count":1,"action":"locked","delay":"1ms"}`, 204)
	call("POST", "/faults", `{"action":"explode"}`, 400)
	call("POST", "/faults", `{"action":"slow","delay":"soon"}`, 400)
	d.check(d.do("GET", "/Users", ""), "200")
	d.check(d.do("GET", "/Users", ""), "500 A")
	var hits struct{ Hits int }
	if read("/faults", &hits); hits.Hits != 1 {
		t.Fatal(hits)
	}
	call("DELETE", "/faults", "", 204)
	call("POST", "/release", "", 204)
	var log struct {
		Count    int
		Requests []Request
	}
	read("/requests", &log)
	if log.Count != 2 || len(log.Requests) != 2 || log.Requests[1].Status != 500 || log.Requests[0].Route != "GET /Users" || log.Requests[0].Path != "/Users" {
		t.Fatalf("%+v", log)
	}
	var some struct{ Count int }
	if read("/requests?method=GET&path=/users", &some); some.Count != 2 {
		t.Fatal(some)
	}
	if read("/requests?method=POST", &some); some.Count != 0 {
		t.Fatal(some)
	}

	call("POST", "/sessions", `{"client":"TV","user":"bob","playing":"Film"}`, 200)
	call("POST", "/sessions", `{"client":"TV","user":"nobody"}`, 404)
	var sessions []Session
	if read("/sessions", &sessions); len(sessions) != 1 || sessions[0].Client != "TV" || sessions[0].Playing != "Film" {
		t.Fatalf("%+v", sessions)
	}
	call("POST", "/restart", "", 204)
	if read("/sessions", &sessions); len(sessions) != 0 {
		t.Fatalf("%+v", sessions)
	}

	// Without the switch there is nothing of it.
	plain := newDouble(t, Config{})
	plain.check(plain.bare("GET", "/_control/users", ""), "404")
}
