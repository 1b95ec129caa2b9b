package plextest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
)

func TestInvariant01TokensAndClientIDs(t *testing.T) {
	w := newWorld(t)
	v2 := []struct{ method, path string }{
		{"GET", "/api/v2/user"}, {"GET", "/api/v2/ping"}, {"GET", "/api/v2/resources"}, {"GET", "/api/v2/servers/" + w.home.ID()},
		{"POST", v2Shares}, {"GET", v2Shares}, {"GET", v2Shares + "/owned/accepted"}, {"GET", v2Shares + "/owned/pending"},
		{"GET", v2Shares + "/invites/owned/pending"}, {"GET", v2Shares + "/invites/received/pending"}, {"POST", v2Shares + "/1"},
		{"POST", v2Shares + "/1/accept"}, {"DELETE", v2Shares + "/1"}, {"GET", "/api/v2/sharing_settings"}, {"POST", "/api/v2/sharing_settings"},
		{"PUT", "/api/v2/sharings/1"}, {"DELETE", "/api/v2/sharings/1"}, {"GET", "/api/v2/home/users"}, {"POST", "/api/v2/home/users/restricted"},
		{"POST", "/api/v2/home/users/restricted/1"}, {"POST", "/api/v2/home/users/x/switch"}, {"DELETE", "/api/v2/users/signout"},
		{"PUT", "/api/v2/pins/link"},
	}
	for _, c := range v2 {
		for _, token := range []string{"", "dead"} {
			a := w.do(c.method, w.cloud(c.path), nil, as(token)).is(401)
			if a.errorCode() != 1001 {
				t.Errorf("%s %s: %s", c.method, c.path, a.body)
			}
			e := w.do(c.method, w.cloud(c.path), nil, as(token), asXML).is(401).xml()
			if e.XMLName.Local != "errors" || e.Kids[0].attr("code") != "1001" || e.Kids[0].attr("status") != "401" {
				t.Errorf("%s %s in XML: %+v", c.method, c.path, e)
			}
		}
	}
	v1 := []struct{ method, path string }{
		{"GET", "/api/users"}, {"GET", "/devices.xml"}, {"DELETE", "/devices/1.xml"}, {"GET", "/api/servers/" + w.home.ID()},
		{"GET", v1Shares(w.home)}, {"POST", v1Shares(w.home)}, {"PUT", v1Shares(w.home) + "/1"}, {"DELETE", v1Shares(w.home) + "/1"},
		{"GET", "/api/invites/requested"}, {"DELETE", "/api/invites/requested/1"}, {"GET", "/api/invites/requests"},
		{"PUT", "/api/invites/requests/1"}, {"GET", "/api/home/users"}, {"POST", "/api/home/users"}, {"DELETE", "/api/home/users/1"},
	}
	for _, c := range v1 { // XML whatever Accept says
		if e := w.do(c.method, w.cloud(c.path), nil, as("dead")).is(401).xml(); e.Kids[0].attr("code") != "1001" {
			t.Errorf("%s %s: %+v", c.method, c.path, e)
		}
	}
	if body := string(w.get("/users/account", as("dead")).is(422).body); !strings.Contains(body, "Invalid token") {
		t.Errorf("users/account: %s", body)
	}
	for _, c := range []struct{ method, path string }{{"POST", "/api/v2/pins"}, {"GET", "/api/v2/pins/1"}} {
		if a := w.do(c.method, w.cloud(c.path), nil, nobody, client("")).is(400); a.errorCode() != 1000 {
			t.Errorf("%s %s: %s", c.method, c.path, a.body)
		}
	}
	if a := w.get("/api/v2/nothing/here").is(404); a.errorCode() != 1002 {
		t.Errorf("unknown path: %s", a.body)
	}
	if a := w.get("/api/v2/servers/"+w.home.ID(), as(w.aliceToken())).is(404); a.errorCode() != 1002 {
		t.Errorf("foreign server: %s", a.body)
	}
	w.get("/api/v2/user?X-Plex-Token="+w.token+"&X-Plex-Client-Identifier=c", nobody, client("")).is(200) // both may be in the query
}

// pin makes one and gives its JSON.
func (w *world) pin(clientID string, strong bool) object {
	w.t.Helper()
	return w.do("POST", w.cloud(fmt.Sprintf("/api/v2/pins?strong=%v", strong)), nil, nobody, client(clientID)).is(201).object()
}

func (w *world) poll(p object, clientID string) answer {
	w.t.Helper()
	return w.get(fmt.Sprintf("/api/v2/pins/%d", p.number("id")), nobody, client(clientID))
}

func TestInvariant02Pins(t *testing.T) {
	w := newWorld(t)
	p := w.pin("join", true)
	if len(p.text("code")) != 25 || p.at("authToken") != nil || p.number("expiresIn") != 1800 || p.text("clientIdentifier") != "join" {
		t.Errorf("pin %v", p.m)
	}
	if short := w.pin("join", false); len(short.text("code")) != 4 || short.number("expiresIn") != 900 {
		t.Errorf("short pin %v", short.m)
	}
	if a := w.poll(p, "other").is(404); a.errorCode() != 1020 {
		t.Errorf("other client: %s", a.body)
	}
	if w.poll(p, "join").is(200).object().at("authToken") != nil {
		t.Error("a token before anybody approved")
	}
	earlier := w.f.Token(w.alice.ID, "join")
	elsewhere := w.f.Token(w.alice.ID, "another client")
	if err := w.f.Approve(p.text("code"), w.alice.ID); err != nil {
		t.Fatal(err)
	}
	token := w.poll(p, "join").is(200).object().text("authToken")
	if again := w.poll(p, "join").is(200).object().text("authToken"); again != token {
		t.Error("one pin gave two tokens")
	}
	if w.get("/api/v2/user", as(token)).is(200).object().number("id") != w.alice.ID {
		t.Error("not alice")
	}
	w.get("/api/v2/user", as(earlier)).is(401) // rotated
	w.get("/api/v2/user", as(elsewhere)).is(200)
	if err := w.f.Approve(p.text("code"), w.bob.ID); err == nil {
		t.Error("a pin was claimed twice")
	}
	w.f.Advance(time.Hour)
	if a := w.poll(p, "join").is(404); a.errorCode() != 1020 {
		t.Errorf("expired: %s", a.body)
	}

	denied := w.pin("join", true)
	if err := w.f.Deny(denied.text("code")); err != nil {
		t.Fatal(err)
	}
	if w.poll(denied, "join").is(200).object().at("authToken") != nil || w.f.Approve(denied.text("code"), w.alice.ID) == nil {
		t.Error("a denied pin was claimed")
	}
	if e := w.do("POST", w.cloud("/api/v2/pins?strong=True"), nil, nobody, asXML).is(201).xml(); e.XMLName.Local != "pin" ||
		e.attr("authToken") != "" || len(e.attr("code")) != 25 {
		t.Errorf("pin in XML: %+v", e)
	}
}

func TestLinkAndSignOut(t *testing.T) {
	w := newWorld(t)
	p := w.pin("tv", false)
	w.do("PUT", w.cloud("/api/v2/pins/link"), "code="+p.text("code"), as(w.aliceToken())).is(204)
	token := w.poll(p, "tv").is(200).object().text("authToken")
	if a := w.do("PUT", w.cloud("/api/v2/pins/link"), "code=XXXX").is(404); a.errorCode() != 1020 {
		t.Errorf("bad code: %s", a.body)
	}
	devices := func() []*node { return w.get("/devices.xml", as(w.aliceToken())).is(200).xml().find("Device") }
	if n := len(devices()); n != 0 {
		t.Errorf("%d devices show at once", n)
	}
	w.f.Advance(3 * time.Second)
	list := devices()
	if attrs(list, "clientIdentifier") != "alice-client,tv" || list[1].attr("token") != token {
		t.Fatalf("devices %s", attrs(list, "clientIdentifier"))
	}
	w.do("DELETE", w.cloud("/api/v2/users/signout"), nil, as(token)).is(204)
	w.get("/api/v2/user", as(token)).is(401)
	if list := devices(); len(list) != 2 || list[1].attr("token") != "" {
		t.Error("a sign-out keeps the device entry, without its token")
	}
	fresh := w.f.Token(w.alice.ID, "tv")
	path := w.cloud("/devices/" + list[1].attr("id") + ".xml")
	w.do("DELETE", path, nil).is(404) // the owner's token: not his device
	w.do("DELETE", path, nil, as(w.aliceToken())).is(200)
	w.get("/api/v2/user", as(fresh)).is(401)
	if len(devices()) != 1 {
		t.Error("the device is still there")
	}
}

func TestInvariant15MediaServerAccess(t *testing.T) {
	w := newWorld(t)
	sh := w.shared("Movies")
	pms := func(path string, options ...option) answer {
		t.Helper()
		return w.do("GET", w.home.URL()+path, nil, options...)
	}
	pms("/identity", nobody).is(200)
	pms("/identity", as("dead")).is(200)
	ownerToken := w.get("/api/v2/resources").is(200).list()[0].text("accessToken")
	for _, token := range []string{w.token, ownerToken} {
		for _, path := range []string{"/", "/library", "/library/sections", "/accounts", "/accounts/1", "/status/sessions", "/myplex/account"} {
			pms(path, as(token)).is(200)
		}
	}
	for _, path := range []string{"/library", "/accounts", "/accounts/1", "/status/sessions", "/myplex/account"} {
		a := pms(path, as(sh.AccessToken)).is(403)
		if !strings.Contains(string(a.body), "<h1>403 Forbidden</h1>") || a.header.Get("Content-Type") != "text/html" {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	pms("/", as(sh.AccessToken)).is(200)
	seen := pms("/library/sections", as(sh.AccessToken)).is(200).object().object("MediaContainer").objects("Directory")
	if titlesOf(seen) != "Movies" {
		t.Errorf("alice sees %s", titlesOf(seen))
	}
	if got := w.home.LocalAccounts(); len(got) != 1 || got[0] != w.alice.ID {
		t.Errorf("local accounts %v", got)
	}
	rows := pms("/accounts").is(200).object().object("MediaContainer").objects("Account")
	if len(rows) != 3 || rows[1].number("id") != 1 || rows[1].text("name") != "owner" || rows[2].number("id") != w.alice.ID {
		t.Errorf("rows %v", rows)
	}
	second := w.f.MustAddShare(plextest.ShareSpec{Server: w.second.ID(), Invited: "bob", AllLibraries: true, Accepted: true})
	for name, token := range map[string]string{
		"none": "", "dead": "dead", "friend's account token": w.aliceToken(), "other server": second.AccessToken,
		"stranger": w.f.Token(w.bob.ID, "bob-client"), "owner of another server": w.second.OwnerToken(),
	} {
		a := pms("/library/sections", as(token)).is(401)
		if !strings.Contains(string(a.body), "<h1>401 Unauthorized</h1>") {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	if body := string(pms("/", nobody).is(401).body); !strings.Contains(body, "web/index.html") {
		t.Errorf("401 at / is %s", body)
	}
	if body := string(pms("/nowhere").is(404).body); !strings.Contains(body, "<h1>404 Not Found</h1>") {
		t.Errorf("404 is %s", body)
	}
	w.f.Set(func(s *plextest.Switches) { s.FriendTokenOnPMS = true })
	pms("/library/sections", as(w.aliceToken())).is(200)
}

func TestInvariant15MediaServerLag(t *testing.T) {
	w := newWorld(t)
	sh := w.shared("Movies", "Shows")
	w.home.Change(func(s *plextest.ServerSpec) { s.Lag = time.Minute })
	sees := func() string {
		t.Helper()
		a := w.do("GET", w.home.URL()+"/library/sections", nil, as(sh.AccessToken))
		if a.status == 401 {
			return "nothing"
		}
		return titlesOf(a.is(200).object().object("MediaContainer").objects("Directory"))
	}
	if got := sees(); got != "nothing" {
		t.Errorf("before the server learns of the share: %s", got)
	}
	w.f.Advance(time.Minute)
	if got := sees(); got != "Movies,Shows" {
		t.Errorf("then: %s", got)
	}
	w.do("POST", w.cloud(sharePath(sh.ID)), m{"librarySectionIds": w.ids("Shows")}).is(200)
	if got := sees(); got != "Movies,Shows" {
		t.Errorf("narrowed at once: %s", got)
	}
	w.f.Advance(time.Minute)
	if got := sees(); got != "Shows" {
		t.Errorf("narrowed: %s", got)
	}
	w.do("DELETE", w.cloud(fmt.Sprintf("%s/%d", v1Shares(w.home), sh.ID)), nil).is(200)
	if got := sees(); got != "Shows" {
		t.Errorf("removed at once: %s", got)
	}
	w.f.Advance(time.Minute)
	if got := sees(); got != "nothing" {
		t.Errorf("removed: %s", got)
	}
}

func TestMediaServerKinds(t *testing.T) {
	w := newWorld(t)
	unclaimed := w.f.MustAddServer(plextest.ServerSpec{Name: "New", Unclaimed: true})
	if c := w.do("GET", unclaimed.URL()+"/identity", nil, nobody).is(200).object().object("MediaContainer"); c.truth("claimed") {
		t.Error("claimed")
	}
	w.do("GET", unclaimed.URL()+"/library/sections", nil, nobody).is(200)
	w.get("/api/v2/servers/" + unclaimed.ID()).is(404)
	if n := len(w.get("/api/v2/resources").is(200).list()); n != 2 {
		t.Errorf("%d resources", n)
	}
	w.second.Change(func(s *plextest.ServerSpec) { s.OpenNetwork = true })
	w.do("GET", w.second.URL()+"/", nil, as("dead")).is(200)
	w.home.SetIdentity("0000000000000000000000000000000000000000")
	if c := w.do("GET", w.home.URL()+"/identity", nil, nobody).is(200).object().object("MediaContainer"); c.text("machineIdentifier") == w.home.ID() {
		t.Error("the identity did not change")
	}
	w.get("/api/v2/servers/" + w.home.ID()).is(200)

	old := w.token
	w.token = w.f.Rotate(w.owner.ID, "owner-client")
	w.do("GET", w.home.URL()+"/", nil, as(old)).is(401)
	w.f.Set(func(s *plextest.Switches) { s.StaleTokenOnPMS = true })
	w.do("GET", w.home.URL()+"/", nil, as(old)).is(200)
	w.get("/api/v2/user", as(old)).is(401)
}

func TestMediaServerSessionsAndTokens(t *testing.T) {
	w := newWorld(t)
	if c := w.do("GET", w.home.URL()+"/status/sessions", nil).is(200).object().object("MediaContainer"); c.m["Metadata"] != nil || c.number("size") != 0 {
		t.Errorf("no sessions: %v", c.m)
	}
	w.home.AddSession(plextest.Session{Account: w.owner.ID, Title: "A film"})
	session := w.home.AddSession(plextest.Session{Account: w.alice.ID, Title: "Another", Remote: true})
	list := w.do("GET", w.home.URL()+"/status/sessions", nil).is(200).object().object("MediaContainer").objects("Metadata")
	if len(list) != 2 || list[0].object("User").text("id") != "1" || list[1].object("User").text("id") != fmt.Sprint(w.alice.ID) ||
		list[1].object("Session").text("location") != "wan" {
		t.Errorf("sessions %v", list)
	}
	end := w.home.URL() + "/status/sessions/terminate?sessionId="
	w.do("POST", end, nil).is(403)
	w.do("POST", end+"none", nil).is(404)
	w.do("POST", end+session.ID+"&reason=late", nil).is(200)
	if len(w.home.Sessions()) != 1 {
		t.Error("the session goes on")
	}
	w.f.Set(func(s *plextest.Switches) { s.NoPlexPass = true })
	w.do("POST", end+"any", nil).is(401)

	security := w.home.URL() + "/security/token?type=delegation&scope="
	w.do("POST", security+"all", nil, nobody).is(403)
	w.do("POST", security+"some", nil).is(400)
	transient := w.do("POST", security+"all", nil).is(200).object().object("MediaContainer").text("token")
	w.do("GET", w.home.URL()+"/accounts", nil, as(transient)).is(200)
	w.home.Restart()
	w.do("GET", w.home.URL()+"/accounts", nil, as(transient)).is(401)
}

func TestInvariant16WireFormats(t *testing.T) {
	w := newWorld(t)
	w.f.Edit(w.alice.ID, func(a *plextest.Account) { a.Title = `A & "B" <c>` })
	sh := w.shared("Movies")
	users := w.get("/api/users").is(200).xml()
	if users.attr("size") != "1" || users.attr("totalSize") != "1" || users.find("User")[0].attr("title") != `A & "B" <c>` {
		t.Errorf("users %+v", users)
	}
	if id := users.find("User")[0].attr("id"); id != fmt.Sprint(w.alice.ID) {
		t.Errorf("id %s", id)
	}
	for range 2 { // stable
		first := w.get(v2Shares + "/owned/accepted").is(200).list()[0]
		if first.number("id") != sh.ID || first.number("invitedId") != w.alice.ID || first.number("ownerId") != w.owner.ID ||
			first.at("invitedEmail") != nil || first.text("acceptedAt") != "2026-10-15T12:00:00Z" || first.at("leftAt") != nil {
			t.Errorf("share %v", first.m)
		}
		if lib := first.objects("libraries")[0]; lib.number("key") != 1 || lib.number("id") != w.home.Section("Movies").ID {
			t.Errorf("library %v", lib.m)
		}
	}
	inXML := w.get(v2Shares+"/owned/accepted", asXML).is(200).xml()
	row := inXML.find("sharedServer")
	if inXML.XMLName.Local != "sharedServers" || len(row) != 1 || row[0].attr("leftAt") != "" || row[0].attr("accepted") != "1" ||
		len(row[0].find("invited")) != 1 || len(row[0].find("sharingSettings")) != 2 || len(row[0].find("library")) != 1 {
		t.Errorf("in XML: %+v", inXML)
	}
	w.f.Set(func(s *plextest.Switches) { s.BoolWords = true })
	if got := w.get(v2Shares+"/owned/accepted", asXML).is(200).xml().find("sharedServer")[0].attr("accepted"); got != "true" {
		t.Errorf("accepted=%s", got)
	}
	directory := w.do("GET", w.home.URL()+"/library/sections", nil).is(200).object().object("MediaContainer").objects("Directory")[0]
	if directory.text("key") != "1" {
		t.Error("PMS keys are strings")
	}
	page := w.do("GET", w.home.URL()+"/library/sections", nil, header("X-Plex-Container-Start", "1"), header("X-Plex-Container-Size", "1")).is(200)
	if page.header.Get("X-Plex-Container-Total-Size") != "3" || titlesOf(page.object().object("MediaContainer").objects("Directory")) != "Shows" {
		t.Errorf("page %s", page.body)
	}
}
