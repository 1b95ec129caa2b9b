package plextest_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
)

const homeUsers = "/api/home/users"

func TestInvariant14ManagedUsers(t *testing.T) {
	w := newWorld(t)
	kid := w.do("POST", w.cloud("/api/v2/home/users/restricted?"+query(
		"friendlyName", "Kid", "restrictionProfile", "older_kid", "sharingSettings[allowSync]", "1")), nil).is(201).object()
	if kid.text("username") != "" || kid.text("email") != "" || !kid.truth("restricted") || kid.text("title") != "Kid" {
		t.Errorf("managed %v", kid.m)
	}
	if s := w.f.SharingSettings(w.owner.ID, kid.number("id")); !s.AllowSync {
		t.Errorf("settings %+v", s)
	}
	w.do("POST", w.cloud("/api/v2/home/users/restricted?friendlyName=Kid&restrictionProfile=adult"), nil).is(400)
	w.do("POST", w.cloud("/api/v2/home/users/restricted"), nil).is(400)
	other := w.do("POST", w.cloud(homeUsers+"?title=Other"), nil).is(200).xml()
	if other.attr("id") == "" || other.attr("restricted") != "1" {
		t.Errorf("v1 managed %+v", other)
	}
	o := w.createV2(w.invite(kid.number("id"), "Movies")).is(201).object()
	if !o.truth("accepted") || !o.object("invited").truth("home") || o.object("invited").text("username") != "" {
		t.Errorf("share %v", o.m)
	}
	listed := w.get(homeUsers).is(200).xml().find("User")
	if attrs(listed, "title") != "owner,Kid,Other" || attrs(listed, "admin") != "1,0,0" || attrs(listed, "restricted") != "0,1,1" {
		t.Errorf("v1 list %s", attrs(listed, "title"))
	}
	home := w.get("/api/v2/home/users").is(200).object()
	if users := home.objects("users"); len(users) != 3 || users[1].text("restrictionProfile") != "older_kid" {
		t.Errorf("v2 list %v", home.m)
	}
	user := w.get("/api/users").is(200).xml().find("User")
	if attrs(user, "username") != "," || attrs(user, "email") != "," || attrs(user, "home") != "1,1" {
		t.Errorf("users %+v", user)
	}
	path := w.cloud(homeUsers + "/" + fmt.Sprint(kid.number("id")))
	w.do("DELETE", path, nil, as(w.aliceToken())).is(404)
	w.do("DELETE", path, nil).is(200)
	w.do("DELETE", path, nil).is(404)
	if _, exists := w.f.Account(fmt.Sprint(kid.number("id"))); exists || len(w.f.LiveShares()) != 0 {
		t.Error("the managed user or its share is left")
	}
	w.do("DELETE", w.cloud(homeUsers+"/"+fmt.Sprint(w.owner.ID)), nil).is(404) // the admin himself
	if stranger := w.f.AddManagedUser(w.bob.ID, "Bob's kid"); true {
		w.createV2(w.invite(stranger.ID, "Movies")).is(404)
	}
}

func TestInvariant14InvitedMembers(t *testing.T) {
	w := newWorld(t)
	w.f.Set(func(s *plextest.Switches) { s.NoPlexPass = true })
	if e := w.do("POST", w.cloud(homeUsers+"?invitedEmail=alice"), nil).is(400).xml(); e.attr("status") != "Invite a user requires a Plex Pass" {
		t.Errorf("without a pass: %+v", e)
	}
	w.f.Set(func(s *plextest.Switches) { s.NoPlexPass = false; s.V1RequestsGone = false })
	w.do("POST", w.cloud(homeUsers+"?invitedEmail=alice"), nil).is(200)
	w.do("POST", w.cloud(homeUsers+"?invitedEmail=alice"), nil).is(400)
	w.do("POST", w.cloud(homeUsers+"?invitedEmail=nobody"), nil).is(404)
	row := w.get("/api/invites/requested").is(200).xml().find("Invite")
	if len(row) != 1 || row[0].attr("home") != "1" || row[0].attr("server") != "0" || len(row[0].find("Server")) != 0 {
		t.Errorf("home invite %+v", row)
	}
	alice := as(w.aliceToken())
	if n := len(w.get(v2Shares+"/invites/received/pending", alice).is(200).list()); n != 0 {
		t.Error("home invites cannot be accepted as shares")
	}
	accept := fmt.Sprintf("/api/invites/requests/%d?friend=0&home=1&server=0", w.owner.ID)
	w.do("PUT", w.cloud(accept), nil, alice).is(200)
	if got := w.f.HomeMembers(w.owner.ID); !slices.Equal(got, []int64{w.owner.ID, w.alice.ID}) {
		t.Errorf("members %v", got)
	}
	w.f.AddHome(w.bob.ID)
	if e := w.do("POST", w.cloud(homeUsers+"?invitedEmail=bob"), nil).is(400).xml(); e.attr("status") != "This user is already in a Plex Home" {
		t.Errorf("bob has a home: %+v", e)
	}
	w.shared("Movies")
	w.do("DELETE", w.cloud(homeUsers+"/"+fmt.Sprint(w.alice.ID)), nil).is(200)
	if _, exists := w.f.Account("alice"); !exists || len(w.f.LiveShares()) != 1 || len(w.f.HomeMembers(w.owner.ID)) != 1 {
		t.Error("a full account keeps itself and its share")
	}
	w.do("POST", w.cloud(homeUsers+"?invitedEmail=later@example.com"), nil).is(200)
	later := w.f.MustAddAccount(plextest.Account{Username: "later", Email: "later@example.com"})
	if !w.f.AcceptHome(w.owner.ID, later.ID) {
		t.Error("the invite was not bound to the new account")
	}
	w.do("POST", w.cloud(homeUsers+"?invitedEmail=alice"), nil).is(200)
	w.do("DELETE", w.cloud(fmt.Sprintf("/api/invites/requested/%d?home=1&server=0", w.alice.ID)), nil).is(200)
	if w.f.AcceptHome(w.owner.ID, w.alice.ID) {
		t.Error("a cancelled home invite was accepted")
	}
}

func TestInvariant14FifteenMembers(t *testing.T) {
	w := newWorld(t)
	for i := range 14 {
		w.do("POST", w.cloud(homeUsers+fmt.Sprintf("?title=Kid%d", i)), nil).is(200)
	}
	w.do("POST", w.cloud(homeUsers+"?title=TooMany"), nil).is(400)
	w.do("POST", w.cloud("/api/v2/home/users/restricted?friendlyName=TooMany"), nil).is(400)
	w.do("POST", w.cloud(homeUsers+"?invitedEmail=alice"), nil).is(400)
	if n := w.get("/api/v2/user").is(200).object().number("homeSize"); n != 15 {
		t.Errorf("%d members", n)
	}
}

func TestHomeSwitch(t *testing.T) {
	w := newWorld(t)
	kid := w.f.AddManagedUser(w.owner.ID, "Kid")
	pin := w.cloud(fmt.Sprintf("/api/v2/home/users/restricted/%d", kid.ID))
	w.do("POST", pin+"?pin=12", nil).is(400)
	w.do("POST", pin+"?pin=1234", nil).is(201)
	w.do("PUT", pin+"?pin=1234", nil).is(404)
	w.do("POST", w.cloud(fmt.Sprintf("/api/v2/home/users/restricted/%d?pin=1234", w.alice.ID)), nil).is(404)
	v1 := w.cloud(fmt.Sprintf("%s/%d/switch", homeUsers, kid.ID))
	v2 := w.cloud("/api/v2/home/users/" + kid.UUID + "/switch")
	w.do("POST", v1, nil).is(401)
	w.do("POST", v2+"?pin=9999", nil).is(401)
	w.f.Set(func(s *plextest.Switches) { s.HomeWrongPin = 403 })
	w.do("POST", v2+"?pin=9999", nil).is(403)
	token := w.do("POST", v1+"?pin=1234", nil).is(200).xml().attr("authenticationToken")
	if w.get("/api/v2/user", as(token)).is(200).object().number("id") != kid.ID {
		t.Error("the token is not the kid's")
	}
	if got := w.do("POST", v2+"?pin=1234", nil).is(201).object().text("authToken"); got == token {
		t.Error("the same token twice")
	}
	w.do("POST", pin+"?removePin=1", nil).is(201)
	w.do("POST", v1, nil).is(200)
	w.do("POST", w.cloud("/api/v2/home/users/"+w.alice.UUID+"/switch"), nil).is(404)
	w.do("POST", w.cloud("/api/v2/home/users/"+kid.UUID+"/dance"), nil).is(404)

	own := w.cloud(fmt.Sprintf("%s/%d", homeUsers, w.owner.ID))
	w.do("PUT", own+"?pin=1111", nil).is(200)
	w.do("PUT", own+"?pin=2222", nil).is(401)
	w.do("PUT", own+"?pin=22&currentPin=1111", nil).is(400)
	w.do("PUT", own+"?pin=&currentPin=1111", nil).is(200)
	w.do("PUT", w.cloud(fmt.Sprintf("%s/%d?pin=1111", homeUsers, kid.ID)), nil).is(404)
	if err := w.f.Approve(w.pin("c", true).text("code"), kid.ID); err == nil {
		t.Error("a managed user signed in alone")
	}
}

// A home member with an explicit empty set sees everything: a trap of Plex's.
func TestHomeMemberWithNothingSeesAll(t *testing.T) {
	w := newWorld(t, func(s *plextest.Switches) { s.EmptyUpdate = "none" })
	w.f.AddHome(w.owner.ID, w.alice.ID)
	sh := w.shared("Movies")
	w.do("POST", w.cloud(sharePath(sh.ID)), m{"librarySectionIds": []int64{}}).is(200)
	if got, _ := w.f.Access(w.home.ID(), w.alice.ID); len(got) != 3 {
		t.Errorf("opens %v", got)
	}
}
