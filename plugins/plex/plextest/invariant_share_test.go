package plextest_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
)

func (w *world) createV2(body m) answer {
	w.t.Helper()
	return w.do("POST", w.cloud(v2Shares), body)
}

func (w *world) createV1(body m) answer {
	w.t.Helper()
	return w.do("POST", w.cloud(v1Shares(w.home)), body)
}

func TestInvariant03OneShareEach(t *testing.T) {
	for name, prepare := range map[string]func(w *world){
		"pending":  func(w *world) { w.createV2(w.invite(w.alice.ID, "Movies")).is(201) },
		"accepted": func(w *world) { w.shared("Movies") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			prepare(w)
			before := w.f.Shares()
			if a := w.createV2(w.invite(w.alice.ID, "Shows")).is(422); a.errorCode() != 1999 {
				t.Errorf("v2: %s", a.body)
			}
			e := w.do("POST", w.cloud(v2Shares), w.invite(w.alice.ID, "Shows"), asXML).is(422).xml()
			if e.Kids[0].attr("code") != "1999" || e.Kids[0].attr("field") != "base" || e.Kids[0].attr("status") != "400" || len(e.Kids[0].Attrs) != 3 {
				t.Errorf("v2 in XML: %+v", e)
			}
			for _, address := range []string{"alice", "ALICE@example.com"} {
				e := w.createV1(w.inviteV1(address, "Shows")).is(400).xml()
				if e.XMLName.Local != "Response" || e.attr("code") != "400" ||
					e.attr("status") != "You're already sharing this server with "+address+". Please edit your existing share." {
					t.Errorf("v1: %+v", e)
				}
			}
			if after := w.f.Shares(); len(after) != 1 || !slices.Equal(after[0].Sections, before[0].Sections) {
				t.Errorf("the refused creates changed something: %v", after)
			}
		})
	}
	t.Run("an address twice", func(t *testing.T) {
		w := newWorld(t)
		w.createV1(w.inviteV1("new@example.com", "Movies")).is(200)
		w.createV1(w.inviteV1("New@Example.com", "Movies")).is(400)
		w.createV2(m{"machineIdentifier": w.home.ID(), "invitedEmail": "new@example.com", "librarySectionIds": w.ids("Movies")}).is(422)
	})
	t.Run("the owner", func(t *testing.T) {
		w := newWorld(t)
		w.createV2(w.invite(w.owner.ID, "Movies")).is(422)
		for _, address := range []string{"owner", "owner@example.com"} {
			w.createV2(m{"machineIdentifier": w.home.ID(), "invitedEmail": address, "librarySectionIds": w.ids("Movies")}).is(422)
			if e := w.createV1(w.inviteV1(address, "Movies")).is(400).xml(); e.XMLName.Local != "Response" {
				t.Errorf("v1: %+v", e)
			}
		}
		w.f.Set(func(s *plextest.Switches) { s.V1SelfInvite = "errors" })
		if e := w.createV1(w.inviteV1("owner", "Movies")).is(400).xml(); e.XMLName.Local != "errors" {
			t.Errorf("the other reading: %+v", e)
		}
		if len(w.f.Shares()) != 0 {
			t.Error("a share was made")
		}
	})
	t.Run("another server is another share", func(t *testing.T) {
		w := newWorld(t)
		w.shared("Movies")
		w.createV2(m{"machineIdentifier": w.second.ID(), "invitedId": w.alice.ID, "librarySectionIds": []int64{w.second.Section("Films").ID}}).is(201)
	})
}

func TestInvariant04Endpoints(t *testing.T) {
	w := newWorld(t)
	if e := w.createV1(w.inviteV1("alice", "Movies")).is(200).xml(); e.XMLName.Local != "MediaContainer" || e.attr("size") != "1" ||
		e.attr("friendlyName") != "myPlex" || e.attr("machineIdentifier") != w.home.ID() || len(e.find("SharedServer")) != 1 {
		t.Errorf("v1 create: %+v", e)
	}
	if o := w.createV2(w.invite(w.bob.ID, "Movies")).is(201).object(); o.number("invitedId") != w.bob.ID {
		t.Errorf("v2 create: %v", o.m)
	}
	film := []int64{w.second.Section("Films").ID}
	inXML := w.do("POST", w.cloud(v2Shares), m{"machineIdentifier": w.second.ID(), "invitedId": w.bob.ID, "librarySectionIds": film}, asXML)
	if e := inXML.is(201).xml(); e.XMLName.Local != "sharedServer" {
		t.Errorf("v2 create in XML: %+v", e)
	}
	if a := w.get(v2Shares).is(405); a.header.Get("Allow") != "OPTIONS, POST" {
		t.Errorf("Allow: %s", a.header.Get("Allow"))
	}
	w.get("/api/v2/sharings").is(404)
	w.get("/api/v2/friends").is(410)
	for _, method := range []string{"PUT", "DELETE"} {
		e := w.do(method, w.cloud(fmt.Sprintf("/api/friends/%d", w.alice.ID)), nil).is(410).xml()
		if e.XMLName.Local != "Response" || e.attr("code") != "410" || e.attr("status") != "This endpoint was deprecated and removed" {
			t.Errorf("death notice: %+v", e)
		}
	}
	w.get("/pms/friends/all").is(410)
	if a := w.do("DELETE", w.cloud(v1Shares(w.home)), nil).is(404); !strings.Contains(string(a.body), "<html>") {
		t.Errorf("a share id forgotten: %s", a.body)
	}
}

func TestInvariant05SectionIDs(t *testing.T) {
	w := newWorld(t)
	sh := w.shared("Movies")
	foreign := w.second.Section("Films").ID
	for name, ids := range map[string][]int64{"PMS key": {1}, "foreign": {foreign}, "mixed": {w.home.Section("Movies").ID, 2}} {
		if a := w.createV2(m{"machineIdentifier": w.home.ID(), "invitedId": w.bob.ID, "librarySectionIds": ids}).is(404); a.errorCode() != 1002 {
			t.Errorf("%s, v2: %s", name, a.body)
		}
		body := m{"server_id": w.home.ID(), "shared_server": m{"library_section_ids": ids, "invited_email": "bob"}}
		if e := w.createV1(body).is(400).xml(); e.XMLName.Local != "Response" {
			t.Errorf("%s, v1: %+v", name, e)
		}
		w.do("POST", w.cloud(sharePath(sh.ID)), m{"librarySectionIds": ids}).is(404)
		w.do("PUT", w.cloud(fmt.Sprintf("%s/%d", v1Shares(w.home), sh.ID)), m{"shared_server": m{"library_section_ids": ids}}).is(400)
	}
	if got := w.f.LiveShares(); len(got) != 1 || !slices.Equal(got[0].Sections, w.ids("Movies")) {
		t.Errorf("something changed: %v", got)
	}
	w.createV2(m{"machineIdentifier": "unknown", "invitedId": w.bob.ID, "librarySectionIds": w.ids("Movies")}).is(404)
	w.createV2(m{"machineIdentifier": w.home.ID(), "invitedId": 1, "librarySectionIds": w.ids("Movies")}).is(404)
	if a := w.createV2(m{"machineIdentifier": w.home.ID(), "invitedEmail": "nobody", "librarySectionIds": w.ids("Movies")}).is(404); a.errorCode() != 1002 {
		t.Errorf("unknown username: %s", a.body)
	}
}

func TestInvariant06EmptyMeansAll(t *testing.T) {
	w := newWorld(t)
	w.f.Befriend(w.owner.ID, w.alice.ID)
	w.f.Befriend(w.owner.ID, w.bob.ID)
	all := w.createV2(w.invite(w.alice.ID)).is(201).object()
	explicit := w.createV2(w.invite(w.bob.ID, "Movies", "Shows", "Music")).is(201).object()
	if !all.truth("allLibraries") || explicit.truth("allLibraries") || len(all.objects("libraries")) != 3 {
		t.Errorf("all %v, explicit %v", all.m, explicit.m)
	}
	w.home.AddSection(plextest.Section{Title: "Photos", Type: "photo"})
	hers, _ := w.f.Access(w.home.ID(), w.alice.ID)
	his, _ := w.f.Access(w.home.ID(), w.bob.ID)
	if !slices.Equal(hers, []string{"Movies", "Shows", "Music", "Photos"}) || !slices.Equal(his, []string{"Movies", "Shows", "Music"}) {
		t.Errorf("alice opens %v, bob %v", hers, his)
	}
	if e := w.createV1(w.inviteV1("late@example.com")).is(200).xml().find("SharedServer")[0]; e.attr("allLibraries") != "1" ||
		attrs(e.find("Section"), "shared") != "1,1,1,1" {
		t.Errorf("v1: %+v", e)
	}
}

func TestInvariant07PendingUntilAccepted(t *testing.T) {
	w := newWorld(t)
	alice := as(w.aliceToken())
	created := w.createV2(w.invite(w.alice.ID, "Movies")).is(201).object()
	id := created.number("id")
	if created.truth("accepted") || created.at("acceptedAt") != nil || created.object("invited").text("status") != "pending_sent" {
		t.Errorf("created %v", created.m)
	}
	if got := shareIDs(w.get(v2Shares + "/owned/pending").is(200).list()); !slices.Equal(got, []int64{id}) {
		t.Errorf("owned/pending %v", got)
	}
	if got := w.get(v2Shares + "/invites/owned/pending").is(200).list(); len(got) != 1 || !slices.Equal(shareIDs(got[0].objects("sharedServers")), []int64{id}) {
		t.Errorf("invites/owned/pending %v", got)
	}
	requested := w.get("/api/invites/requested").is(200).xml().find("Invite")
	if len(requested) != 1 || requested[0].attr("id") != fmt.Sprint(w.alice.ID) || requested[0].attr("server") != "1" ||
		requested[0].attr("friend") != "1" || requested[0].attr("home") != "0" || attrs(requested[0].find("Server"), "numLibraries") != "1" {
		t.Errorf("v1 requested %+v", requested)
	}
	row := w.get(v1Shares(w.home)).is(200).xml().find("SharedServer")
	if len(row) != 1 || row[0].attr("accepted") != "0" || row[0].attr("acceptedAt") != "" || row[0].attr("accessToken") != "" ||
		attrs(row[0].find("Section"), "shared") != "1,0,0" {
		t.Errorf("v1 row %+v", row)
	}
	received := func() []object { return w.get(v2Shares+"/invites/received/pending", alice).is(200).list() }
	if len(received()) != 0 {
		t.Error("received at once")
	}
	w.do("POST", w.cloud(sharePath(id)+"/accept"), nil, alice).is(404) // not there yet
	w.f.Advance(2 * time.Second)
	got := received()
	if len(got) != 1 || got[0].object("owner").number("id") != w.owner.ID || got[0].objects("sharedServers")[0].number("id") != id ||
		got[0].objects("sharedServers")[0].text("machineIdentifier") != w.home.ID() {
		t.Errorf("received %v", got)
	}
	if n := len(w.get("/api/users").is(200).xml().find("User")); n != 0 {
		t.Errorf("%d users", n)
	}
	if n := len(w.get(v2Shares + "/owned/accepted").is(200).list()); n != 0 {
		t.Errorf("%d accepted", n)
	}
	if n := len(w.get("/api/v2/resources", alice).is(200).list()); n != 0 {
		t.Errorf("%d resources", n)
	}
	if _, access := w.f.Access(w.home.ID(), w.alice.ID); access {
		t.Error("access before acceptance")
	}
}

func TestInvariant07AcceptedAtOnceWhenConnected(t *testing.T) {
	for name, connect := range map[string]func(w *world){
		"friend":      func(w *world) { w.f.Befriend(w.owner.ID, w.alice.ID) },
		"home member": func(w *world) { w.f.AddHome(w.owner.ID, w.alice.ID) },
		"earlier accepted share": func(w *world) {
			sh := w.f.MustAddShare(plextest.ShareSpec{
				Server: w.home.ID(), Invited: "alice", AllLibraries: true, SkipFriendship: true, Accepted: true,
			})
			w.f.Unshare(sh.ID)
		},
		"share of another server": func(w *world) {
			w.f.MustAddShare(plextest.ShareSpec{Server: w.second.ID(), Invited: "alice", AllLibraries: true, Accepted: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			connect(w)
			if o := w.createV2(w.invite(w.alice.ID, "Movies")).is(201).object(); !o.truth("accepted") {
				t.Errorf("pending: %v", o.m)
			}
			if n := len(w.get(v2Shares + "/owned/pending").is(200).list()); n != 0 {
				t.Errorf("%d pending", n)
			}
		})
	}
}

func TestInvariant08UnregisteredAddress(t *testing.T) {
	w := newWorld(t)
	const address = "new+1@example.com"
	o := w.createV2(m{
		"machineIdentifier": w.home.ID(), "invitedEmail": address, "librarySectionIds": w.ids("Movies"), "settings": m{"allowSync": true},
	}).is(201).object()
	if o.at("invitedId") != nil || o.text("invitedEmail") != address || o.at("invited") != nil || o.truth("accepted") {
		t.Errorf("created %v", o.m)
	}
	row := w.get("/api/invites/requested").is(200).xml().find("Invite")
	if len(row) != 1 || row[0].attr("id") != address || row[0].attr("username") != "" || row[0].attr("email") != address {
		t.Errorf("v1 %+v", row)
	}
	newcomer := w.f.MustAddAccount(plextest.Account{Username: "newcomer", Email: address})
	bound := w.get(v2Shares + "/owned/pending").is(200).list()[0]
	if bound.number("invitedId") != newcomer.ID || bound.number("id") != o.number("id") || !bound.object("sharingSettings").truth("allowSync") {
		t.Errorf("bound %v", bound.m)
	}
	w.f.Advance(2 * time.Second)
	w.do("POST", w.cloud(sharePath(o.number("id"))+"/accept"), nil, as(w.f.Token(newcomer.ID, "c"))).is(200)

	other := w.createV1(w.inviteV1("other@example.com", "Shows")).is(200).xml().find("SharedServer")[0]
	if other.attr("userID") != "" || other.attr("username") != "" || other.attr("email") != "other@example.com" {
		t.Errorf("v1 %+v", other)
	}
	path := "/api/invites/requested/" + url.PathEscape("other@example.com")
	w.do("DELETE", w.cloud(path+"?friend=1&home=0&server=1"), nil).is(200)
	w.do("DELETE", w.cloud(path+"?friend=1&home=0&server=1"), nil).is(404)
}

func TestInvariant09Accept(t *testing.T) {
	w := newWorld(t)
	id := w.createV2(w.invite(w.alice.ID, "Movies")).is(201).object().number("id")
	w.f.Advance(2 * time.Second)
	accept := w.cloud(sharePath(id) + "/accept")
	w.do("POST", accept, nil).is(404)                                        // the owner
	w.do("POST", accept, nil, as(w.f.Token(w.bob.ID, "bob-client"))).is(404) // somebody else
	w.f.Edit(w.alice.ID, func(a *plextest.Account) { a.Unconfirmed = true })
	w.do("POST", accept, nil, as(w.aliceToken())).is(400)
	w.f.Edit(w.alice.ID, func(a *plextest.Account) { a.Unconfirmed = false })
	alice := as(w.aliceToken())
	w.do("POST", accept, nil, alice).is(200)
	w.do("POST", accept, nil, alice).is(404) // again

	accepted := w.get(v2Shares + "/owned/accepted").is(200).list()
	if len(accepted) != 1 || accepted[0].number("id") != id || !accepted[0].truth("accepted") || accepted[0].text("acceptedAt") != "2026-10-15T12:00:02Z" {
		t.Errorf("accepted %v", accepted)
	}
	if n := len(w.get(v2Shares + "/owned/pending").is(200).list()); n != 0 {
		t.Errorf("%d pending", n)
	}
	user := w.get("/api/users").is(200).xml().find("User")
	if len(user) != 1 || attrs(user[0].find("Server"), "id") != fmt.Sprint(id) || attrs(user[0].find("Server"), "machineIdentifier") != w.home.ID() ||
		attrs(user[0].find("Server"), "pending") != "0" {
		t.Errorf("users %+v", user)
	}
	token := w.get(v1Shares(w.home)).is(200).xml().find("SharedServer")[0].attr("accessToken")
	mine := w.get("/api/v2/resources", alice).is(200).list()
	if len(mine) != 1 || mine[0].truth("owned") || mine[0].number("ownerId") != w.owner.ID || mine[0].text("sourceTitle") != "owner" ||
		mine[0].text("accessToken") != token || token == "" {
		t.Errorf("resources %v", mine)
	}
	if !w.f.Friends(w.owner.ID, w.alice.ID) || len(w.home.LocalAccounts()) != 0 {
		t.Error("not friends, or a local row before the first use")
	}
	w.do("GET", w.home.URL()+"/", nil, as(token)).is(200)
	if !slices.Equal(w.home.LocalAccounts(), []int64{w.alice.ID}) {
		t.Errorf("local rows %v", w.home.LocalAccounts())
	}

	t.Run("without friendship", func(t *testing.T) {
		w := newWorld(t, func(s *plextest.Switches) { s.InviteDelay = 0; s.AcceptStatus = 204 })
		body := w.inviteV1("alice", "Movies")
		body["shared_server"].(m)["skipFriendship"] = true
		id := w.createV1(body).is(200).xml().find("SharedServer")[0].attr("id")
		w.do("POST", w.cloud(v2Shares+"/"+id+"/accept"), nil, as(w.aliceToken())).is(204)
		if w.f.Friends(w.owner.ID, w.alice.ID) {
			t.Error("friends")
		}
		if n := len(w.get("/api/users").is(200).xml().find("User")); n != 1 {
			t.Errorf("%d users: who only shares is listed too", n)
		}
	})
}

func TestInvariant10UpdateReplaces(t *testing.T) {
	w := newWorld(t)
	sh := w.shared("Movies", "Shows")
	w.f.MustAddShare(plextest.ShareSpec{Server: w.second.ID(), Invited: "alice", AllLibraries: true})
	v1Path := w.cloud(fmt.Sprintf("%s/%d", v1Shares(w.home), sh.ID))
	e := w.do("PUT", v1Path, m{"server_id": w.home.ID(), "shared_server": m{"library_section_ids": w.ids("Music")}}).is(200).xml()
	if attrs(e.find("Section"), "shared") != "0,0,1" {
		t.Errorf("v1 update: %+v", e)
	}
	settings := m{"allowSync": true, "allowCameraUpload": true, "filterMovies": "contentRating=G%2CPG"}
	o := w.do("POST", w.cloud(sharePath(sh.ID)), m{"librarySectionIds": w.ids("Shows"), "settings": settings}).is(200).object()
	if o.number("id") != sh.ID || titlesOf(o.objects("libraries")) != "Shows" || !o.object("sharingSettings").truth("allowSync") {
		t.Errorf("v2 update: %v", o.m)
	}
	list := w.get(v2Shares + "/owned/accepted").is(200).list()
	if len(list) != 2 {
		t.Fatalf("%d shares", len(list))
	}
	for _, o := range list { // one set per person
		if s := o.object("sharingSettings"); !s.truth("allowSync") || s.text("filterMovies") != "contentRating=G%2CPG" {
			t.Errorf("settings of %s: %v", o.text("name"), s.m)
		}
	}
	w.do("POST", w.cloud("/api/v2/sharing_settings"), m{"invitedId": w.alice.ID, "settings": m{"allowCameraUpload": true}}).is(200)
	flat := w.get(fmt.Sprintf("/api/v2/sharing_settings?invitedId=%d", w.alice.ID)).is(200).object()
	if flat.truth("allowSync") || !flat.truth("allowCameraUpload") || flat.text("filterMovies") != "" {
		t.Errorf("a settings object replaces all flags: %v", flat.m)
	}
	w.do("PUT", w.cloud(fmt.Sprintf("/api/v2/sharings/%d?allowSync=1", w.alice.ID)), nil).is(200)
	if s := w.f.SharingSettings(w.owner.ID, w.alice.ID); !s.AllowSync || !s.AllowCameraUpload {
		t.Errorf("the older call writes single flags: %+v", s)
	}
	w.do("POST", w.cloud("/api/v2/sharing_settings"), m{"invitedEmail": "alice", "settings": m{"allowSync": true}}).is(200)
	w.do("POST", w.cloud("/api/v2/sharing_settings"), m{"invitedId": w.bob.ID, "settings": m{}}).is(404)
	w.get("/api/v2/sharing_settings?invitedId=" + fmt.Sprint(w.bob.ID)).is(404)
	w.do("POST", w.cloud(sharePath(sh.ID)), m{"librarySectionIds": w.ids("Shows")}, as(w.aliceToken())).is(404)
}

func TestInvariant10PlexPass(t *testing.T) {
	wish := m{"allowSync": true, "filterMovies": "label=a", "allowSubtitleAdmin": true}
	t.Run("silently off", func(t *testing.T) {
		w := newWorld(t, func(s *plextest.Switches) { s.NoPlexPass = true })
		body := w.invite(w.alice.ID, "Movies")
		body["settings"] = wish
		s := w.createV2(body).is(201).object().object("sharingSettings")
		if s.truth("allowSync") || s.text("filterMovies") != "" || !s.truth("allowSubtitleAdmin") {
			t.Errorf("settings %v", s.m)
		}
	})
	t.Run("refused", func(t *testing.T) {
		w := newWorld(t, func(s *plextest.Switches) { s.NoPlexPass = true; s.RefuseWithoutPass = true })
		body := w.invite(w.alice.ID, "Movies")
		body["settings"] = wish
		w.createV2(body).is(422)
		v1 := w.inviteV1("alice", "Movies")
		v1["sharing_settings"] = m{"allowSync": "1"}
		w.createV1(v1).is(400)
		sh := w.shared("Movies")
		w.do("POST", w.cloud(sharePath(sh.ID)), m{"settings": wish}).is(422)
		w.do("POST", w.cloud("/api/v2/sharing_settings"), m{"invitedId": w.alice.ID, "settings": wish}).is(422)
		w.do("PUT", w.cloud(fmt.Sprintf("/api/v2/sharings/%d?allowSync=1", w.alice.ID)), nil).is(422)
	})
	t.Run("sync stays off all the same", func(t *testing.T) {
		w := newWorld(t, func(s *plextest.Switches) { s.SyncStaysOff = true })
		sh := w.shared("Movies")
		s := w.do("POST", w.cloud(sharePath(sh.ID)), m{"settings": wish}).is(200).object().object("sharingSettings")
		if s.truth("allowSync") || s.text("filterMovies") != "label=a" {
			t.Errorf("settings %v", s.m)
		}
	})
	t.Run("tuners are for home members", func(t *testing.T) {
		w := newWorld(t)
		sh := w.shared("Movies")
		tuners := func() int64 {
			t.Helper()
			return w.do("POST", w.cloud(sharePath(sh.ID)), m{"settings": m{"allowTuners": 2}}).is(200).object().object("sharingSettings").number("allowTuners")
		}
		if n := tuners(); n != 0 {
			t.Errorf("a friend has tuners %d", n)
		}
		w.f.Set(func(s *plextest.Switches) { s.TunersForAnyone = true })
		if n := tuners(); n != 2 {
			t.Errorf("switched: %d", n)
		}
		w.f.Set(func(s *plextest.Switches) { s.TunersForAnyone = false })
		w.f.AddHome(w.owner.ID, w.alice.ID)
		if n := tuners(); n != 2 {
			t.Errorf("home member: %d", n)
		}
	})
}

func TestInvariant11DeleteAndShareAgain(t *testing.T) {
	w := newWorld(t)
	sh := w.shared("Movies")
	path := w.cloud(fmt.Sprintf("%s/%d", v1Shares(w.home), sh.ID))
	w.do("DELETE", path, nil, as(w.aliceToken())).is(404)
	if a := w.do("DELETE", path, nil).is(200); len(a.body) != 0 {
		t.Errorf("body %s", a.body)
	}
	if e := w.do("DELETE", path, nil).is(404).xml(); e.XMLName.Local != "errors" || e.Kids[0].Text != "Not found" {
		t.Errorf("repeated: %+v", e)
	}
	if e := w.do("GET", path, nil).is(404).xml(); e.Kids[0].Text != "Not found" {
		t.Errorf("read: %+v", e)
	}
	if len(w.get(v2Shares+"/owned/accepted").is(200).list()) != 0 || len(w.get("/api/v2/resources", as(w.aliceToken())).is(200).list()) != 0 ||
		len(w.get(v1Shares(w.home)).is(200).xml().find("SharedServer")) != 0 {
		t.Error("the share is still somewhere")
	}
	w.do("GET", w.home.URL()+"/", nil, as(sh.AccessToken)).is(401)
	user := w.get("/api/users").is(200).xml().find("User")
	if len(user) != 1 || len(user[0].find("Server")) != 0 || !w.f.Friends(w.owner.ID, w.alice.ID) {
		t.Errorf("the friendship stays: %+v", user)
	}
	again := w.createV2(w.invite(w.alice.ID, "Movies")).is(201).object()
	now, _ := w.f.ShareOf(w.home.ID(), w.alice.ID)
	if !again.truth("accepted") || again.number("id") == sh.ID || now.AccessToken == sh.AccessToken {
		t.Errorf("shared again: %v", again.m)
	}
}

func TestInvariant12Sever(t *testing.T) {
	w := newWorld(t)
	w.shared("Movies")
	w.f.MustAddShare(plextest.ShareSpec{Server: w.second.ID(), Invited: "alice", AllLibraries: true, Settings: plextest.Settings{AllowSync: true}})
	path := w.cloud(fmt.Sprintf("/api/v2/sharings/%d", w.alice.ID))
	w.do("DELETE", path, nil).is(204)
	if a := w.do("DELETE", path, nil).is(404); a.errorCode() != 1002 {
		t.Errorf("repeated: %s", a.body)
	}
	if len(w.f.LiveShares()) != 0 || w.f.Friends(w.owner.ID, w.alice.ID) || w.f.SharingSettings(w.owner.ID, w.alice.ID).AllowSync {
		t.Error("something of it is left")
	}
	if n := len(w.get("/api/users").is(200).xml().find("User")); n != 0 {
		t.Errorf("%d users", n)
	}
	if w.createV2(w.invite(w.alice.ID, "Movies")).is(201).object().truth("accepted") {
		t.Error("a re-share is accepted at once")
	}
}

func TestInvariant13Cancel(t *testing.T) {
	cancel := func(w *world) answer {
		return w.do("DELETE", w.cloud(fmt.Sprintf("/api/invites/requested/%d?friend=1&home=0&server=1", w.alice.ID)), nil)
	}
	t.Run("clean", func(t *testing.T) {
		w := newWorld(t, func(s *plextest.Switches) { s.InviteDelay = 0 })
		w.createV2(w.invite(w.alice.ID, "Movies")).is(201)
		cancel(w).is(200)
		cancel(w).is(404)
		if len(w.get(v2Shares+"/owned/pending").is(200).list()) != 0 ||
			len(w.get(v2Shares+"/invites/received/pending", as(w.aliceToken())).is(200).list()) != 0 ||
			len(w.get(v1Shares(w.home)).is(200).xml().find("SharedServer")) != 0 {
			t.Error("the invite is still somewhere")
		}
		w.createV2(w.invite(w.alice.ID, "Movies")).is(201)
	})
	t.Run("orphan row", func(t *testing.T) {
		w := newWorld(t, func(s *plextest.Switches) { s.InviteDelay = 0; s.OrphanRow = true })
		w.createV2(w.invite(w.alice.ID, "Movies")).is(201)
		cancel(w).is(200)
		if len(w.get(v2Shares+"/owned/pending").is(200).list()) != 0 {
			t.Error("still pending")
		}
		w.createV1(w.inviteV1("alice", "Movies")).is(400)
		w.createV2(w.invite(w.alice.ID, "Movies")).is(422)
		row := w.get(v1Shares(w.home)).is(200).xml().find("SharedServer")
		if len(row) != 1 || row[0].attr("acceptedAt") != "" {
			t.Fatalf("rows %+v", row)
		}
		w.do("DELETE", w.cloud(v1Shares(w.home)+"/"+row[0].attr("id")), nil).is(200)
		w.createV1(w.inviteV1("alice", "Movies")).is(200)
	})
	t.Run("by deleting the share", func(t *testing.T) {
		w := newWorld(t)
		id := w.createV2(w.invite(w.alice.ID, "Movies")).is(201).object().number("id")
		w.do("DELETE", w.cloud(fmt.Sprintf("%s/%d", v1Shares(w.home), id)), nil).is(200)
		cancel(w).is(404)
	})
}

func TestInvariant17OwnerIsNeverListed(t *testing.T) {
	w := newWorld(t)
	w.f.AddHome(w.owner.ID, w.bob.ID)
	w.shared("Movies")
	if got := attrs(w.get("/api/users").is(200).xml().find("User"), "id"); got != fmt.Sprintf("%d,%d", w.alice.ID, w.bob.ID) {
		t.Errorf("users %s", got)
	}
	for _, list := range []string{"/owned/accepted", "/owned/pending"} {
		for _, o := range w.get(v2Shares + list).is(200).list() {
			if o.number("invitedId") == w.owner.ID {
				t.Errorf("the owner is in %s", list)
			}
		}
	}
	if got := attrs(w.get(v1Shares(w.home)).is(200).xml().find("SharedServer"), "userID"); got != fmt.Sprint(w.alice.ID) {
		t.Errorf("rows %s", got)
	}
}
