package jellyfintest

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSessions(t *testing.T) {
	clients := func(d *double, token, query string) string {
		d.t.Helper()
		var list []struct{ Client string }
		d.as(token, "GET", "/Sessions"+query, "").get(d.t, &list)
		var all []string
		for _, s := range list {
			all = append(all, s.Client)
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	now := time.Now()
	each(t, Config{Now: func() time.Time { return now }}, func(d *double) {
		bob := d.AddUser("bob", "pw")
		add := func(s Session) string {
			id, err := d.AddSession(s)
			if err != nil {
				d.t.Fatal(err)
			}
			return id
		}
		add(Session{Client: "Old", User: "admin", DeviceID: "o", LastActivity: now.Add(-time.Hour)})
		add(Session{Client: "Nobody", DeviceID: "n"})
		playing := add(Session{Client: "Player", User: "bob", DeviceID: "p", Playing: "Film"})
		token := d.token("bob", "pw", "dev")

		if got := clients(d, d.key, ""); got != "Nobody Old Player Test" {
			d.t.Fatal(got)
		}
		if got := clients(d, token, ""); got != since109("Nobody Old Player Test", "Player Test")[d.column] { // 10.8 leaks
			d.t.Fatal(got)
		}
		if got := clients(d, d.key, "?deviceId=p"); got != "Player" {
			d.t.Fatal(got)
		}
		if got := clients(d, d.key, "?activeWithinSeconds=60"); got != since109("Nobody Old Player Test", "Nobody Player Test")[d.column] {
			d.t.Fatal(got)
		}
		if got := clients(d, d.key, "?activeWithinSeconds=60&controllableByUserId="+bob); got != "Nobody Player Test" {
			d.t.Fatal(got)
		}
		d.check(d.do("GET", "/Sessions?activeWithinSeconds=x", ""), "400 C activeWithinSeconds")
		d.check(d.bare("GET", "/Sessions", ""), "401")

		var list []map[string]any
		d.do("GET", "/Sessions", "").get(d.t, &list)
		for _, s := range list {
			switch s["Client"] {
			case "Nobody":
				if _, named := s["UserName"]; named || s["UserId"] != zeroID {
					d.t.Fatal(s)
				}
			case "Player":
				if s["NowPlayingItem"].(map[string]any)["Name"] != "Film" || s["UserName"] != "bob" || s["UserId"] != bob {
					d.t.Fatal(s)
				}
			case "Test":
				if _, plays := s["NowPlayingItem"]; plays || s["ApplicationVersion"] != "1.0" || s["IsActive"] != true || s["SupportsRemoteControl"] != false {
					d.t.Fatal(s)
				}
			}
		}

		d.check(d.do("POST", "/Sessions/"+playing+"/Message", `{"Header":"h","Text":"hello","TimeoutMs":5000}`), "204")
		d.check(d.do("POST", "/Sessions/"+playing+"/Playing/Stop", ""), "204")
		i := slices.IndexFunc(d.Sessions(), func(s Session) bool { return s.ID == playing })
		if s := d.Sessions()[i]; s.Stops != 1 || s.Playing != "" || s.Messages[0] != "hello" {
			d.t.Fatalf("%+v", s)
		}
		d.check(d.do("POST", "/Sessions/"+someID+"/Message", `{"Text":"hello"}`), "404 A")
		d.check(d.do("POST", "/Sessions/"+someID+"/Playing/Stop", ""), "404 A")
		d.check(d.do("POST", "/Sessions/"+playing+"/Playing/Dance", ""), "400 C command")
		d.check(d.do("POST", "/Sessions/"+playing+"/Message", `{}`), "400 C Text")
		d.check(d.do("POST", "/Sessions/Logout", ""), "204") // a key ends nothing
		d.check(d.do("GET", "/Sessions", ""), "200")
	})
}

// A device list bites only clients whose id lasts, which they may deny.
func TestCapabilities(t *testing.T) {
	each(t, Config{}, func(d *double) {
		d.AddUser("bob", "pw")
		for i, path := range []string{"/Sessions/Capabilities?supportsPersistentIdentifier=false", "/Sessions/Capabilities/Full"} {
			dev := string(rune('a' + i))
			token := d.token("bob", "pw", dev)
			body := ""
			if strings.HasSuffix(path, "Full") {
				body = `{"SupportsPersistentIdentifier":false}`
			}
			d.check(d.as(token, "POST", path, body), "204")
		}
		d.token("bob", "pw", "lasting")
		if err := d.SetPolicy("bob", func(y *Policy) { y.EnableAllDevices = false }); err != nil {
			d.t.Fatal(err)
		}
		d.check(d.login("bob", "pw", "a"), "200")
		d.check(d.login("bob", "pw", "b"), "200")
		d.check(d.login("bob", "pw", "lasting"), "403 A")
		d.check(d.do("POST", "/Sessions/Capabilities", ""), "400 A") // a key has no session
	})
}

func TestDevices(t *testing.T) {
	unknown := only12("404 C", "400 C")
	each(t, Config{}, func(d *double) {
		bob := d.AddUser("bob", "pw")
		token, other := d.token("bob", "pw", "one"), d.token("bob", "pw", "two")
		d.token("admin", "admin-password", "three")
		count := func(query string) (int, map[string]any) {
			d.t.Helper()
			var list struct {
				Items            []map[string]any
				TotalRecordCount int
			}
			d.do("GET", "/Devices"+query, "").get(d.t, &list)
			if len(list.Items) != list.TotalRecordCount {
				d.t.Fatalf("%+v", list)
			}
			return len(list.Items), list.Items[0]
		}
		if n, _ := count(""); n != 3 {
			d.t.Fatal(n)
		}
		n, first := count("?userId=" + bob)
		if n != 2 || first["LastUserName"] != "bob" || first["LastUserId"] != bob || first["AppName"] != "Test" || first["Name"] != "Bench" {
			d.t.Fatal(n, first)
		}
		d.check(d.do("DELETE", "/Devices?id=one", ""), "204")
		d.check(d.as(token, "GET", "/Users/Me", ""), "401") // one device is cut,
		d.check(d.as(other, "GET", "/Users/Me", ""), "200") // the other not
		d.check(d.do("DELETE", "/Devices?id=one", ""), unknown[d.column])
		d.check(d.do("DELETE", "/Devices", ""), "400 C id")
		d.check(d.as(other, "GET", "/Devices", ""), "403")
		d.check(d.bare("GET", "/Devices", ""), "401")
	})
}

// Sessions are in memory; tokens are not.
func TestRestart(t *testing.T) {
	each(t, Config{}, func(d *double) {
		d.AddUser("bob", "pw")
		token := d.token("bob", "pw", "dev")
		d.Restart()
		if n := len(d.Sessions()); n != 0 {
			d.t.Fatal(n)
		}
		d.check(d.as(token, "GET", "/Users/Me", ""), "200")
		if n := len(d.Sessions()); n != 1 {
			d.t.Fatal(n)
		}
	})
}
