package plextest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
)

// ctl calls the control API, which takes no token.
func (w *world) ctl(method, path string, body any) answer {
	w.t.Helper()
	return w.do(method, w.f.ControlURL()+"/_fake"+path, body, nobody)
}

func TestControlRunsAWholeStory(t *testing.T) {
	w := newWorld(t)
	w.ctl("POST", "/reset", nil).is(204)
	owner := w.ctl("POST", "/accounts", m{"username": "olga", "plex_pass": true}).is(200).object()
	w.ctl("POST", "/accounts", m{"username": "ines"}).is(200)
	w.ctl("POST", "/accounts", m{"username": "ines"}).is(400) // taken
	w.ctl("POST", "/accounts", m{"user": "typo"}).is(400)
	server := w.ctl("POST", "/servers", m{
		"owner_name": "olga", "name": "Attic", "sections": []m{{"title": "Movies"}, {"title": "Shows", "type": "show"}},
	}).is(200).object()
	mid, url := server.text("machine_identifier"), server.text("url")
	w.ctl("POST", "/servers", m{"owner_name": "nobody"}).is(404)
	w.do("GET", url+"/identity", nil, nobody).is(200)
	w.token = w.ctl("POST", "/accounts/olga/tokens", m{"client_id": "z"}).is(200).object().text("token")
	if w.get("/api/v2/user").is(200).object().number("id") != owner.number("id") {
		t.Error("not olga's token")
	}
	sections := w.get("/api/v2/servers/" + mid).is(200).object().objects("librarySections")
	movies := sections[0].number("id")

	p := w.pin("join", true)
	w.ctl("POST", "/pins/"+p.text("code")+"/approve", m{"account": "nobody"}).is(404)
	w.ctl("POST", "/pins/unknown/approve", m{"account": "ines"}).is(404)
	w.ctl("POST", "/pins/"+p.text("code")+"/approve", m{"account": "ines"}).is(204)
	w.ctl("POST", "/pins/"+p.text("code")+"/deny", nil).is(400) // answered already
	token := w.poll(p, "join").is(200).object().text("authToken")

	w.ctl("PATCH", "/switches", m{"invite_delay": "10s"}).is(200)
	w.ctl("PATCH", "/switches", m{"no_such_switch": true}).is(400)
	id := w.createV2(m{"machineIdentifier": mid, "invitedEmail": "ines", "librarySectionIds": []int64{movies}}).is(201).object().number("id")
	accept := w.cloud(sharePath(id) + "/accept")
	w.do("POST", accept, nil, as(token)).is(404)
	w.ctl("POST", "/advance", m{"duration": "10s"}).is(200)
	w.do("POST", accept, nil, as(token)).is(200)

	shares := w.ctl("GET", "/shares", nil).is(200).list()
	if len(shares) != 1 || shares[0].text("state") != "accepted" || shares[0].number("id") != id {
		t.Errorf("shares %v", shares)
	}
	access := w.ctl("GET", "/servers/"+mid+"/access/ines", nil).is(200)
	if got := strings.TrimSpace(string(access.body)); got != `{"access":true,"libraries":["Movies"]}` {
		t.Errorf("access %s", got)
	}
	w.ctl("DELETE", fmt.Sprintf("/shares/%d", id), nil).is(204)
	w.ctl("DELETE", fmt.Sprintf("/shares/%d", id), nil).is(404)
	if n := len(w.ctl("GET", "/shares", nil).is(200).list()); n != 0 {
		t.Errorf("%d live shares", n)
	}
	if n := len(w.ctl("GET", "/shares?all=1", nil).is(200).list()); n != 1 {
		t.Errorf("%d shares in all", n)
	}

	fault := w.ctl("POST", "/faults", m{"kind": "rateLimit", "path": "/api/v2/user", "times": 1, "retry_after": "3"}).is(200).object()
	w.get("/api/v2/user").is(429)
	w.get("/api/v2/user").is(200)
	if hits := strings.TrimSpace(string(w.ctl("GET", fmt.Sprintf("/faults/%d/hits", fault.number("id")), nil).is(200).body)); hits != "1" {
		t.Errorf("hits %s", hits)
	}
	w.ctl("POST", "/faults", m{"kind": "nonsense"}).is(400)
	w.ctl("POST", fmt.Sprintf("/faults/%d/release", fault.number("id")), nil).is(204)
	w.ctl("DELETE", "/faults", nil).is(204)

	w.ctl("PUT", "/servers/"+mid+"/identity", m{"machine_identifier": "ffff"}).is(204)
	if c := w.do("GET", url+"/identity", nil).is(200).object().object("MediaContainer"); c.text("machineIdentifier") != "ffff" {
		t.Errorf("identity %v", c.m)
	}
	w.ctl("PATCH", "/servers/"+mid, m{"unclaimed": true, "lag": "1m"}).is(200)
	if spec := w.f.Server(mid).Spec(); !spec.Unclaimed || spec.Lag != time.Minute || len(spec.Sections) != 2 {
		t.Errorf("spec %+v", spec)
	}
	w.ctl("PATCH", "/servers/"+mid, m{"unclaimed": false}).is(200)
	late := w.ctl("POST", "/servers/"+mid+"/sections", m{"title": "Late", "hidden": "1h"}).is(200).object()
	w.ctl("DELETE", fmt.Sprintf("/servers/%s/sections/%d", mid, late.number("id")), nil).is(204)
	w.ctl("POST", "/servers/none/sections", m{"title": "x"}).is(404)

	w.ctl("PATCH", "/accounts/ines", m{"unconfirmed": true}).is(200)
	if a, _ := w.f.Account("ines"); !a.Unconfirmed || a.Username != "ines" {
		t.Errorf("ines %+v", a)
	}
	w.ctl("DELETE", "/accounts/ines/tokens", nil).is(204)
	w.get("/api/v2/user", as(token)).is(401)

	secrets := string(w.ctl("GET", "/secrets", nil).is(200).body)
	for _, secret := range []string{token, w.token, p.text("code")} {
		if !strings.Contains(secrets, secret) {
			t.Error("a secret is missing from /_fake/secrets")
		}
	}
	overview := w.ctl("GET", "/", nil).is(200).object()
	if overview.text("cloud_url") != w.f.CloudURL() || overview.text("auth_url") != w.f.AuthURL() || len(overview.objects("servers")) != 1 {
		t.Errorf("overview %v", overview.m)
	}
	w.ctl("GET", "/nowhere", nil).is(404)
}

func TestControlPeopleAndHomes(t *testing.T) {
	w := newWorld(t)
	w.ctl("POST", "/friends", m{"a": "owner", "b": "bob"}).is(204)
	if !w.f.Friends(w.owner.ID, w.bob.ID) {
		t.Error("not friends")
	}
	w.ctl("POST", "/homes/owner/members", m{"account": "alice"}).is(204)
	kid := w.ctl("POST", "/homes/owner/managed", m{"title": "Kid"}).is(200).object()
	if members := w.f.HomeMembers(w.owner.ID); len(members) != 3 || members[2] != kid.number("id") {
		t.Errorf("members %v", members)
	}
	w.ctl("POST", "/homes/owner/accept", m{"account": "bob"}).is(404) // not invited
	share := w.ctl("POST", "/shares", m{"server": w.home.ID(), "invited": "x@example.com", "sections": w.ids("Movies")}).is(200).object()
	w.ctl("POST", "/shares", m{"server": w.home.ID(), "invited": "bob"}).is(400) // neither sections nor all
	w.ctl("POST", fmt.Sprintf("/shares/%d/accept", share.number("id")), nil).is(404)
	mine := w.ctl("POST", "/shares", m{"server": w.home.ID(), "invited": "bob", "all_libraries": true}).is(200).object()
	w.ctl("POST", fmt.Sprintf("/shares/%d/leave", mine.number("id")), nil).is(204)
	w.ctl("POST", "/servers/"+w.home.ID()+"/sessions", m{"account": w.bob.ID, "title": "A film"}).is(200)
	w.ctl("POST", "/accounts/bob/tokens", m{"client_id": "c", "jwt": true}).is(200)
	if n := len(w.ctl("GET", "/tokens", nil).is(200).list()); n != 2 {
		t.Errorf("%d tokens", n)
	}
	if n := len(w.ctl("GET", "/devices", nil).is(200).list()); n != 1 {
		t.Errorf("%d devices", n)
	}
	if n := len(w.ctl("GET", "/accounts", nil).is(200).list()); n != 4 {
		t.Errorf("%d accounts", n)
	}
}

func TestRequestLogHoldsNoSecrets(t *testing.T) {
	w := newWorld(t)
	p := w.pin("join", true)
	if err := w.f.Approve(p.text("code"), w.alice.ID); err != nil {
		t.Fatal(err)
	}
	token := w.poll(p, "join").is(200).object().text("authToken")
	w.get("/api/v2/user?X-Plex-Token="+token+"&code="+p.text("code"), nobody).is(200)
	w.get("/api/v2/nothing/" + token).is(404)
	w.do("POST", w.cloud("/api/v2/sharing_settings"), m{"oops": token}).is(404)
	sh := w.shared("Movies")
	w.do("GET", w.home.URL()+"/library/sections", nil, as(sh.AccessToken), header("X-Plex-Product", "Zondarr")).is(200)
	w.ctl("DELETE", "/friends", nil).is(405) // the control API is not in the log

	log := fmt.Sprintf("%+v", w.f.Requests())
	for _, secret := range w.f.Secrets() {
		if strings.Contains(log, secret) {
			t.Errorf("%s is in the log", secret)
		}
	}
	requests := w.f.Requests()
	last := requests[len(requests)-1]
	if last.Target != w.home.ID() || last.Account != w.alice.ID || last.Status != 200 || last.Product != "Zondarr" || last.Seq != len(requests) {
		t.Errorf("last %+v", last)
	}
	if n := len(w.ctl("GET", "/requests?target=cloud&method=post&path=/api/v2/pins", nil).is(200).list()); n != 1 {
		t.Errorf("%d pins asked for", n)
	}
	w.f.ClearRequests()
	if len(w.f.Requests()) != 0 {
		t.Error("the log is not empty")
	}
	for _, list := range []string{"/shares?all=1", "/servers", "/accounts", "/requests", "/"} {
		body := string(w.ctl("GET", list, nil).is(200).body)
		for _, secret := range w.f.Secrets() {
			if strings.Contains(body, secret) {
				t.Errorf("%s shows a secret", list)
			}
		}
	}
}

func TestDeterministicAndRealTime(t *testing.T) {
	run := func(seed uint64) string {
		f := plextest.New(plextest.Config{Seed: seed})
		owner := f.MustAddAccount(plextest.Account{Username: "o"})
		f.MustAddAccount(plextest.Account{Username: "i"})
		s := f.MustAddServer(plextest.ServerSpec{Owner: owner.ID, Sections: []plextest.Section{{Title: "Movies"}}})
		f.MustAddShare(plextest.ShareSpec{Server: s.ID(), Invited: "i", AllLibraries: true, Accepted: true})
		return fmt.Sprint(f.Accounts(), s.Spec(), f.Shares(), f.Token(owner.ID, "c"), f.Secrets(), f.Now())
	}
	if run(0) != run(1) || run(1) == run(2) {
		t.Error("the seed does not decide")
	}
	f := plextest.New(plextest.Config{RealTime: true})
	if d := time.Since(f.Now()); d < -time.Minute || d > time.Minute {
		t.Errorf("off by %v", d)
	}
	f.Advance(time.Hour)
	if d := time.Until(f.Now()); d < 59*time.Minute {
		t.Errorf("not advanced: %v", d)
	}
}
