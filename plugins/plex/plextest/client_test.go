package plextest_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
)

// What an independent client, python-plexapi, demands of a double.

func TestClientDemandsOfUser(t *testing.T) {
	w := newWorld(t)
	u := w.get("/api/v2/user", asXML).is(200).xml()
	if u.attr("scrobbleTypes") != "" || u.attr("authToken") != w.token || len(u.find("subscription")) != 1 || len(u.find("profile")) != 1 {
		t.Errorf("user %+v", u)
	}
	if got := u.find("subscription")[0].attr("subscribedAt"); got != "2025-10-15 12:00:00 UTC" {
		t.Errorf("subscribedAt %q", got)
	}
	if got := u.attr("joinedAt"); got != fmt.Sprint(w.owner.CreatedAt.Unix()) {
		t.Errorf("joinedAt %q", got)
	}
	if attrs(u.find("role"), "id") != "plexpass" || len(u.find("feature")) == 0 {
		t.Error("roles or features")
	}
	plain := w.get("/api/v2/user", asXML, as(w.aliceToken())).is(200).xml()
	if plain.find("subscription")[0].attr("active") != "0" || plain.find("subscription")[0].attr("subscribedAt") != "" {
		t.Errorf("without a pass: %+v", plain.find("subscription")[0])
	}
	if u := w.get("/users/account.json").is(200).object().object("user"); u.number("id") != w.owner.ID || u.text("email") != "owner@example.com" {
		t.Errorf("%v", u.m)
	}
	if u := w.get("/users/account", asXML).is(200).xml(); u.attr("id") != fmt.Sprint(w.owner.ID) || u.attr("authenticationToken") != w.token {
		t.Errorf("%+v", u)
	}
	if pong := w.get("/api/v2/ping").is(200).object(); !pong.truth("pong") {
		t.Error("no pong")
	}
	if pong := w.get("/api/v2/ping", asXML).is(200).xml(); pong.XMLName.Local != "pong" || pong.Text != "true" {
		t.Errorf("pong %+v", pong)
	}
	for key, code := range map[string]string{"alice": "0", "new@example.com": "0", "nobody": "1"} {
		if got := w.do("POST", w.cloud("/api/users/validate?invited_email="+key), nil).is(200).xml().attr("code"); got != code {
			t.Errorf("validate %s: %s", key, got)
		}
	}
}

func TestClientDemandsOfResources(t *testing.T) {
	w := newWorld(t)
	w.shared("Movies")
	r := w.get("/api/v2/resources?includeHttps=1", asXML, as(w.aliceToken())).is(200).xml()
	if r.XMLName.Local != "resources" || attrs(r.Kids, "name") != "Home" || r.Kids[0].XMLName.Local != "resource" {
		t.Fatalf("resources %+v", r)
	}
	connections := r.Kids[0].Kids[0]
	if connections.XMLName.Local != "connections" || !slices.Contains(strings.Split(attrs(connections.find("connection"), "local"), ","), "0") {
		t.Errorf("a non-owned server needs a connection that is not local: %+v", connections)
	}
	if _, err := time.Parse("2006-01-02T15:04:05Z", r.Kids[0].attr("createdAt")); err != nil {
		t.Error(err)
	}
}

// Booleans are 0 or 1 wherever they are attributes: "" would raise there.
func TestClientDemandsOfBooleans(t *testing.T) {
	w := newWorld(t)
	w.f.AddManagedUser(w.owner.ID, "Kid")
	w.shared("Movies")
	w.createV1(w.inviteV1("new@example.com", "Movies")).is(200)
	names := []string{
		"allowSync", "allowCameraUpload", "allowChannels", "allowSubtitleAdmin", "home", "protected", "restricted", "owned", "pending",
		"allLibraries", "shared", "friend", "server", "confirmed", "hasPassword", "guest", "local", "relay", "IPv6", "httpsRequired",
		"presence", "synced", "admin", "twoFactorEnabled", "homeAdmin", "active", "mailingListActive", "claimed", "certificate",
	}
	for _, a := range []answer{
		w.get("/api/users/", asXML), w.get("/api/v2/user", asXML), w.get("/api/v2/resources", asXML), w.get("/api/invites/requested", asXML),
		w.get(v1Shares(w.home), asXML), w.get("/api/home/users", asXML), w.get("/api/v2/home/users", asXML), w.get("/api/servers/"+w.home.ID(), asXML),
		w.get(v2Shares+"/owned/accepted", asXML), w.get("/devices.xml", asXML), w.do("GET", w.home.URL()+"/", nil, asXML),
		w.do("GET", w.home.URL()+"/library/sections", nil, asXML),
	} {
		root := a.is(200).xml()
		for _, n := range append(everyNode(root), root) {
			for _, name := range names {
				if v := n.attr(name); v != "<absent>" && v != "0" && v != "1" {
					t.Errorf("<%s %s=%q>", n.XMLName.Local, name, v)
				}
			}
		}
	}
}

func everyNode(n *node) []*node {
	var out []*node
	for _, k := range n.Kids {
		out = append(append(out, k), everyNode(k)...)
	}
	return out
}

func TestClientDemandsOfShareSections(t *testing.T) {
	w := newWorld(t)
	sh := w.shared("Shows")
	e := w.get(fmt.Sprintf("%s/%d", v1Shares(w.home), sh.ID)).is(200).xml()
	if len(e.Kids) != 1 || e.Kids[0].XMLName.Local != "SharedServer" || attrs(e.Kids[0].Kids, "shared") != "0,1,0" {
		t.Errorf("%+v", e)
	}
	form := "shared_server[invited_email]=bob&shared_server[library_section_ids][]=" + fmt.Sprint(w.ids("Movies")[0]) + "&sharing_settings[allowSync]=1"
	created := w.do("POST", w.cloud(v1Shares(w.home)), form).is(200).xml().find("SharedServer")[0]
	if created.attr("username") != "bob" || created.attr("allowSync") != "1" || attrs(created.Kids, "shared") != "1,0,0" {
		t.Errorf("form encoding: %+v", created)
	}
	kid := w.f.AddManagedUser(w.owner.ID, "Kid")
	byID := m{"shared_server": m{"library_section_ids": w.ids("Movies"), "invited_id": fmt.Sprint(kid.ID)}}
	if row := w.createV1(byID).is(200).xml().find("SharedServer")[0]; row.attr("userID") != fmt.Sprint(kid.ID) || row.attr("accepted") != "1" {
		t.Errorf("by id: %+v", row)
	}
}

// Many callers at once: one share each, and every answer whole.
func TestConcurrentCallers(t *testing.T) {
	w := newWorld(t)
	var created, refused int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			a, err := w.try("POST", w.cloud(v2Shares), w.invite(w.alice.ID, "Movies"))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			switch a.status {
			case 201:
				created++
			case 422:
				refused++
			}
		})
		wg.Go(func() {
			w.f.Advance(time.Millisecond)
			w.f.Set(func(s *plextest.Switches) { s.BoolWords = !s.BoolWords })
			w.home.AddSection(plextest.Section{Title: "More"})
			_, _, _ = w.f.Shares(), w.f.Requests(), w.f.Secrets()
			_ = w.home.URL() + w.f.CloudURL()
		})
	}
	wg.Wait()
	if created != 1 || refused != 19 {
		t.Errorf("%d created, %d refused", created, refused)
	}
}
