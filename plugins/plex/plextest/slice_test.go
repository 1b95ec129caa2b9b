package plextest_test

import "testing"

func TestServersAndSections(t *testing.T) {
	w := newWorld(t)
	identity := w.do("GET", w.home.URL()+"/identity", nil, nobody).is(200).object().object("MediaContainer")
	if identity.text("machineIdentifier") != w.home.ID() || !identity.truth("claimed") {
		t.Errorf("identity %v", identity.m)
	}
	root := w.do("GET", w.home.URL()+"/", nil).is(200).object().object("MediaContainer")
	if root.text("friendlyName") != "Home" || root.text("myPlexUsername") != "owner" {
		t.Errorf("root %v", root.m)
	}
	sections := w.do("GET", w.home.URL()+"/library/sections", nil).is(200).object().object("MediaContainer").objects("Directory")
	v2 := w.get("/api/v2/servers/" + w.home.ID()).is(200).object().objects("librarySections")
	v1 := w.get("/api/servers/" + w.home.ID()).is(200).xml().find("Section")
	if len(sections) != 3 || len(v2) != 3 || len(v1) != 3 {
		t.Fatalf("%d, %d, %d sections", len(sections), len(v2), len(v1))
	}
	if v2[0].number("id") < 100_000_000 || sections[0].text("key") != "1" || v2[0].number("key") != 1 {
		t.Errorf("ids and keys: %v %v", sections[0].m, v2[0].m)
	}
	user := w.get("/api/v2/user").is(200).object()
	if user.number("id") != w.owner.ID || user.text("authToken") != w.token {
		t.Errorf("user %v", user.m)
	}
	resources := w.get("/api/v2/resources?includeHttps=1&includeRelay=1&includeIPv6=1").is(200).list()
	if len(resources) != 2 || !resources[0].truth("owned") || resources[0].text("clientIdentifier") != w.home.ID() {
		t.Errorf("resources %v", resources)
	}
}
