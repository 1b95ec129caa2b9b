package plextest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
)

func TestMalformedRequests(t *testing.T) {
	w := newWorld(t)
	sh := w.shared("Movies")
	before := fmt.Sprint(w.f.Shares())
	w.do("POST", w.cloud(v2Shares), "{not json", header("Content-Type", "application/json")).is(400)
	w.createV2(m{"machineIdentifier": w.home.ID(), "invitedId": w.bob.ID, "librarySectionIds": []string{"Movies"}}).is(404)
	w.createV1(m{"shared_server": m{"library_section_ids": "1", "invited_email": "bob"}}).is(400)
	w.do("POST", w.cloud(sharePath(sh.ID)), m{"librarySectionIds": "all"}).is(404)
	w.do("PUT", w.cloud(fmt.Sprintf("%s/%d", v1Shares(w.home), sh.ID)), m{"shared_server": m{"library_section_ids": "all"}}).is(400)
	w.do("DELETE", w.cloud("/api/v2/sharings/alice"), nil).is(404)
	w.do("PUT", w.cloud("/api/v2/sharings/alice?allowSync=1"), nil).is(404)
	w.get("/api/v2/user", client("")).is(400)
	w.get("/api/v2/resources", client("")).is(400)
	if body := string(w.get("/nowhere").is(404).body); !strings.Contains(body, "<h1>404 Not Found</h1>") {
		t.Errorf("%s", body)
	}
	if body := w.get("/users/account.json", as("dead")).is(422).object(); body.text("error") != "Invalid token" {
		t.Errorf("%v", body.m)
	}
	w.do("GET", w.home.URL()+"/accounts/77", nil).is(404)
	w.createV1(w.inviteV1("nobody", "Movies")).is(404)
	w.do("POST", w.cloud(v1Shares(w.home)), nil, as(w.aliceToken())).is(404)
	w.get(v1Shares(w.home), as(w.aliceToken())).is(404)
	if after := fmt.Sprint(w.f.Shares()); after != before {
		t.Errorf("something changed: %s", after)
	}
	if err := w.f.Start(); err == nil {
		t.Error("started twice")
	}
}

func TestOlderSettingsCallWritesEachFlag(t *testing.T) {
	w := newWorld(t)
	w.shared("Movies")
	w.f.AddHome(w.owner.ID, w.alice.ID)
	want := plextest.Settings{
		AllowSync: true, AllowChannels: true, AllowCameraUpload: true, AllowSubtitleAdmin: true, AllowTuners: 2,
		FilterMovies: "label=a", FilterTelevision: "label=b", FilterMusic: "label=c", FilterPhotos: "label=d", FilterAll: "label=e",
	}
	path := fmt.Sprintf("/api/v2/sharings/%d?", w.alice.ID) + query("allowSync", "1", "allowChannels", "1", "allowCameraUpload", "1",
		"allowSubtitleAdmin", "1", "allowTuners", "2", "filterMovies", "label=a", "filterTelevision", "label=b", "filterMusic", "label=c",
		"filterPhotos", "label=d", "filterAll", "label=e")
	o := w.do("PUT", w.cloud(path), nil).is(200).object()
	if got := w.f.SharingSettings(w.owner.ID, w.alice.ID); got != want || o.text("filterPhotos") != "label=d" {
		t.Errorf("%+v", got)
	}
	w.f.SetSharingSettings(w.owner.ID, w.alice.ID, plextest.Settings{})
	if got := w.f.SharingSettings(w.owner.ID, w.alice.ID); got != (plextest.Settings{}) {
		t.Errorf("%+v", got)
	}
}

func TestOnlyTheAdminChangesAHome(t *testing.T) {
	w := newWorld(t)
	alone := w.get(homeUsers, as(w.aliceToken())).is(200).xml().find("User")
	if attrs(alone, "title") != "alice" || attrs(alone, "admin") != "1" {
		t.Errorf("without a home: %+v", alone)
	}
	if users := w.get("/api/v2/home/users", as(w.aliceToken())).is(200).object().objects("users"); len(users) != 1 {
		t.Errorf("%d users", len(users))
	}
	w.f.AddHome(w.owner.ID, w.alice.ID)
	kid := w.f.AddManagedUser(w.owner.ID, "Kid")
	member := as(w.aliceToken())
	w.do("POST", w.cloud(homeUsers+"?title=Another"), nil, member).is(403)
	w.do("POST", w.cloud("/api/v2/home/users/restricted?friendlyName=Another"), nil, member).is(403)
	w.do("DELETE", w.cloud(fmt.Sprintf("%s/%d", homeUsers, kid.ID)), nil, member).is(404)
	w.do("POST", w.cloud(homeUsers), nil).is(400) // neither title nor invitedEmail
	token := w.do("POST", w.cloud(fmt.Sprintf("%s/%d/switch", homeUsers, kid.ID)), nil, member).is(200).xml().attr("authenticationToken")
	w.do("POST", w.cloud(homeUsers+"?title=Another"), nil, as(token)).is(403)
	if n := len(w.f.HomeMembers(w.owner.ID)); n != 3 || w.f.HomeMembers(w.bob.ID) != nil {
		t.Errorf("%d members", n)
	}
}

func TestSeedsThatClash(t *testing.T) {
	w := newWorld(t)
	for name, err := range map[string]error{
		"username":           second(w.f.AddAccount(plextest.Account{Username: "Alice", Email: "x@example.com"})),
		"e-mail":             second(w.f.AddAccount(plextest.Account{Username: "x", Email: "ALICE@example.com"})),
		"id":                 second(w.f.AddAccount(plextest.Account{Username: "x", ID: w.alice.ID})),
		"server":             second(w.f.AddServer(plextest.ServerSpec{Owner: w.owner.ID, MachineIdentifier: w.home.ID()})),
		"owner":              second(w.f.AddServer(plextest.ServerSpec{Owner: 1})),
		"address":            second(w.f.AddServer(plextest.ServerSpec{Owner: w.owner.ID, Addr: strings.TrimPrefix(w.home.URL(), "http://")})),
		"share's server":     second(w.f.AddShare(plextest.ShareSpec{Server: "none", Invited: "alice", AllLibraries: true})),
		"share's person":     second(w.f.AddShare(plextest.ShareSpec{Server: w.home.ID(), Invited: "nobody", AllLibraries: true})),
		"share without any":  second(w.f.AddShare(plextest.ShareSpec{Server: w.home.ID(), Invited: "alice"})),
		"share's library":    second(w.f.AddShare(plextest.ShareSpec{Server: w.home.ID(), Invited: "alice", Sections: []int64{1}})),
		"accepted by nobody": second(w.f.AddShare(plextest.ShareSpec{Server: w.home.ID(), Invited: "n@example.com", AllLibraries: true, Accepted: true})),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if w.f.Edit(1, func(*plextest.Account) {}) || w.f.Leave(1) || w.f.Accept(1) || w.f.Unshare(1) || w.f.Server("none") != nil {
		t.Error("something unknown was found")
	}
}

func second[T any](_ T, err error) error { return err }
