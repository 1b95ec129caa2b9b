package plextest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
)

func TestSwitchUsersLag(t *testing.T) {
	w := newWorld(t, func(s *plextest.Switches) { s.UsersLag = time.Minute })
	sh := w.shared("Movies")
	users := func() []*node { return w.get("/api/users").is(200).xml().find("User") }
	w.do("DELETE", w.cloud(fmt.Sprintf("%s/%d", v1Shares(w.home), sh.ID)), nil).is(200)
	if u := users(); len(u) != 1 || len(u[0].find("Server")) != 1 {
		t.Errorf("the share does not linger: %+v", u)
	}
	w.do("DELETE", w.cloud(fmt.Sprintf("/api/v2/sharings/%d", w.alice.ID)), nil).is(204)
	if len(users()) != 1 {
		t.Error("the friend does not linger")
	}
	w.f.Advance(time.Minute)
	if len(users()) != 0 {
		t.Error("the friend stays")
	}
}

func TestSwitchPartialSections(t *testing.T) {
	w := newWorld(t)
	count := func() int {
		return len(w.get("/api/v2/servers/" + w.home.ID()).is(200).object().objects("librarySections"))
	}
	for _, n := range []int{0, 1, 2, 9} {
		w.f.Set(func(s *plextest.Switches) { s.PartialSections = true; s.PartialCount = n })
		if got := count(); got != min(n, 3) {
			t.Errorf("%d of at most %d", got, n)
		}
	}
	if n := len(w.get("/api/servers/" + w.home.ID()).is(200).xml().find("Section")); n != 3 {
		t.Errorf("v1 is short too: %d", n)
	}
	w.f.Set(func(s *plextest.Switches) { s.PartialSections = false })

	hidden := w.home.AddSection(plextest.Section{Title: "Late", Hidden: time.Minute})
	if count() != 3 {
		t.Error("plex.tv knows a new library at once")
	}
	w.createV2(m{"machineIdentifier": w.home.ID(), "invitedId": w.alice.ID, "librarySectionIds": []int64{hidden.ID}}).is(404)
	w.f.Advance(time.Minute)
	if count() != 4 {
		t.Error("plex.tv never learns of it")
	}
	w.home.RemoveSection(hidden.ID)
	if count() != 3 {
		t.Error("a removed library stays")
	}
}

func TestSwitchLeft(t *testing.T) {
	w := newWorld(t)
	sh := w.shared("Movies")
	if !w.f.Leave(sh.ID) {
		t.Fatal("could not leave")
	}
	list := func() []object { return w.get(v2Shares + "/owned/accepted").is(200).list() }
	if len(list()) != 0 {
		t.Error("listed")
	}
	w.f.Set(func(s *plextest.Switches) { s.ListLeft = true })
	if l := list(); len(l) != 1 || l[0].at("leftAt") == nil || l[0].truth("accepted") {
		t.Errorf("%v", l)
	}
	w.do("GET", w.home.URL()+"/", nil, as(sh.AccessToken)).is(401)
	w.createV2(w.invite(w.alice.ID, "Movies")).is(201) // takes the place of the one that was left
	if l := list(); len(l) != 1 || l[0].number("id") == sh.ID {
		t.Errorf("%v", l)
	}
}

func TestSwitchOwnerUsernameOnly(t *testing.T) {
	w := newWorld(t, func(s *plextest.Switches) { s.InviteDelay = 0; s.OwnerUsernameOnly = true })
	w.createV2(w.invite(w.alice.ID, "Movies")).is(201)
	owner := w.get(v2Shares+"/invites/received/pending", as(w.aliceToken())).is(200).list()[0].object("owner")
	if owner.text("username") != "owner" || owner.m["id"] != nil {
		t.Errorf("owner %v", owner.m)
	}
}

func TestSwitchDeadEndpoints(t *testing.T) {
	w := newWorld(t, func(s *plextest.Switches) { s.InviteDelay = 0; s.V2CreateGone = true })
	w.createV2(w.invite(w.alice.ID, "Movies")).is(410)
	w.createV1(w.inviteV1("alice", "Movies")).is(200)
	alice := as(w.aliceToken())

	w.get("/api/invites/requests", alice).is(410)
	accept := w.cloud(fmt.Sprintf("/api/invites/requests/%d?friend=1&home=0&server=1", w.owner.ID))
	w.do("PUT", accept, nil, alice).is(410)
	w.f.Set(func(s *plextest.Switches) { s.V1RequestedGone = true })
	w.get("/api/invites/requested").is(410)
	w.do("DELETE", w.cloud(fmt.Sprintf("/api/invites/requested/%d?server=1", w.alice.ID)), nil).is(410)

	w.f.Set(func(s *plextest.Switches) { s.V1RequestsGone = false })
	row := w.get("/api/invites/requests", alice).is(200).xml().find("Invite")
	if len(row) != 1 || row[0].attr("id") != fmt.Sprint(w.owner.ID) || row[0].attr("username") != "owner" || row[0].attr("server") != "1" {
		t.Errorf("received %+v", row)
	}
	w.f.Edit(w.alice.ID, func(a *plextest.Account) { a.Unconfirmed = true })
	w.do("PUT", accept, nil, alice).is(400)
	w.f.Edit(w.alice.ID, func(a *plextest.Account) { a.Unconfirmed = false })
	w.do("PUT", accept, nil, alice).is(200)
	w.do("PUT", accept, nil, alice).is(404)
	if sh, found := w.f.ShareOf(w.home.ID(), w.alice.ID); !found || sh.State != plextest.ShareAccepted {
		t.Errorf("share %+v", sh)
	}
}

func TestSwitchV2Deletes(t *testing.T) {
	w := newWorld(t)
	sh := w.shared("Movies")
	if a := w.do("DELETE", w.cloud(sharePath(sh.ID)), nil).is(405); a.header.Get("Allow") == "" || len(w.f.LiveShares()) != 1 {
		t.Error("405 without Allow, or it deleted")
	}
	w.f.Set(func(s *plextest.Switches) { s.V2ShareDelete = 204 })
	w.do("DELETE", w.cloud(sharePath(sh.ID)), nil, as(w.aliceToken())).is(404)
	w.do("DELETE", w.cloud(sharePath(sh.ID)), nil).is(204)
	w.do("DELETE", w.cloud(sharePath(sh.ID)), nil).is(404)

	friend := w.cloud(fmt.Sprintf("/api/v2/friends/%d", w.alice.ID))
	w.do("DELETE", friend, nil).is(410)
	w.f.Set(func(s *plextest.Switches) { s.V2FriendDelete = 404 })
	w.do("DELETE", friend, nil).is(404)
	if !w.f.Friends(w.owner.ID, w.alice.ID) {
		t.Error("a dead endpoint worked")
	}
	w.f.Set(func(s *plextest.Switches) { s.V2FriendDelete = 204 })
	w.do("DELETE", friend, nil).is(204)
	if w.f.Friends(w.owner.ID, w.alice.ID) {
		t.Error("still friends")
	}
}

func TestSwitchEmptyUpdate(t *testing.T) {
	for reading, c := range map[string]struct {
		v1, v2 int
		opens  []string
	}{
		"all":    {200, 200, []string{"Movies", "Shows", "Music"}},
		"none":   {200, 200, []string{}},
		"refuse": {400, 422, []string{"Movies"}},
	} {
		t.Run(reading, func(t *testing.T) {
			for _, v := range []string{"v1", "v2"} {
				w := newWorld(t, func(s *plextest.Switches) { s.EmptyUpdate = reading })
				sh := w.shared("Movies")
				if v == "v1" {
					body := m{"server_id": w.home.ID(), "shared_server": m{"library_section_ids": []int64{}}}
					w.do("PUT", w.cloud(fmt.Sprintf("%s/%d", v1Shares(w.home), sh.ID)), body).is(c.v1)
				} else {
					w.do("POST", w.cloud(sharePath(sh.ID)), m{"librarySectionIds": []int64{}}).is(c.v2)
				}
				if got, _ := w.f.Access(w.home.ID(), w.alice.ID); !slices.Equal(got, c.opens) {
					t.Errorf("%s: opens %v", v, got)
				}
			}
		})
	}
	t.Run("absent changes nothing", func(t *testing.T) {
		w := newWorld(t)
		sh := w.shared("Movies")
		w.do("POST", w.cloud(sharePath(sh.ID)), m{"settings": m{"allowSync": true}}).is(200)
		if got, _ := w.f.Access(w.home.ID(), w.alice.ID); !slices.Equal(got, []string{"Movies"}) {
			t.Errorf("opens %v", got)
		}
	})
}

func TestPendingKeepsItsLibraries(t *testing.T) {
	w := newWorld(t)
	id := w.createV2(w.invite(w.alice.ID, "Movies")).is(201).object().number("id")
	w.do("POST", w.cloud(sharePath(id)), m{"librarySectionIds": w.ids("Shows")}).is(200)
	if got := w.f.Shares()[0].Sections; !slices.Equal(got, w.ids("Movies")) {
		t.Errorf("sections %v", got)
	}
}

func TestSwitchNotOwnerStatus(t *testing.T) {
	w := newWorld(t)
	alice := as(w.aliceToken())
	for status, code := range map[int]int{404: 1002, 401: 1001, 403: 1001} {
		w.f.Set(func(s *plextest.Switches) { s.NotOwnerStatus = status })
		if a := w.get("/api/v2/servers/"+w.home.ID(), alice).is(status); a.errorCode() != code {
			t.Errorf("%s", a.body)
		}
		w.get("/api/servers/"+w.home.ID(), alice).is(404)
	}
}

func TestSwitchShareLimit(t *testing.T) {
	for _, status := range []int{422, 403, 400} {
		w := newWorld(t, func(s *plextest.Switches) { s.ShareLimit = 1; s.ShareLimitStatus = status })
		w.createV2(w.invite(w.alice.ID, "Movies")).is(201)
		w.createV2(w.invite(w.bob.ID, "Movies")).is(status)
		w.createV1(w.inviteV1("bob", "Movies")).is(400)
		if len(w.f.Shares()) != 1 {
			t.Error("past the limit")
		}
	}
}

func TestSwitchV2RefusalWords(t *testing.T) {
	for _, words := range []bool{false, true} {
		w := newWorld(t, func(s *plextest.Switches) { s.V2RefusalWords = words })
		w.createV2(w.invite(w.alice.ID, "Movies")).is(201)
		for id, says := range map[int64]string{w.alice.ID: "already sharing", w.owner.ID: "with yourself"} {
			a := w.createV2(w.invite(id, "Movies")).is(422)
			if a.errorCode() != 1999 || strings.Contains(string(a.body), says) != words || strings.Contains(string(a.body), "message") != words {
				t.Errorf("words %t: %s", words, a.body)
			}
		}
	}
}

func TestJWTTokens(t *testing.T) {
	w := newWorld(t)
	legacy := w.f.Token(w.owner.ID, "jwt-client")
	jwt := w.f.JWT(w.owner.ID, "jwt-client")
	w.get("/api/v2/user", as(legacy)).is(401) // issuing a JWT kills it
	w.get("/api/v2/user", as(jwt)).is(200)
	w.do("GET", w.home.URL()+"/", nil, as(jwt)).is(401)
	w.f.Set(func(s *plextest.Switches) { s.JWTOnPMS = true })
	w.do("GET", w.home.URL()+"/", nil, as(jwt)).is(200)
	w.f.Set(func(s *plextest.Switches) { s.JWTExpired = true })
	w.get("/api/v2/user", as(jwt)).is(498)
	w.f.Set(func(s *plextest.Switches) { s.JWTExpired = false })
	w.f.Advance(7*24*time.Hour - time.Second)
	w.get("/api/v2/user", as(jwt)).is(200)
	w.f.Advance(time.Second)
	w.get("/api/v2/user", as(jwt)).is(498)
	w.f.SignOutEverywhere(w.owner.ID)
	w.get("/api/v2/user").is(401)
}

func TestSwitchPinTTL(t *testing.T) {
	w := newWorld(t, func(s *plextest.Switches) { s.PinTTL = 10 * time.Second })
	p := w.pin("c", true)
	w.f.Advance(19 * time.Second)
	w.poll(p, "c").is(200)
	w.f.Advance(time.Second)
	w.poll(p, "c").is(404)
}
