package jellyfintest

import (
	"fmt"
	"testing"
	"time"
)

func TestLogin(t *testing.T) {
	bob := func(edit ...func(*Policy)) func(d *double) {
		return func(d *double) { d.AddUser("bob", "pw", edit...) }
	}
	login := func(setup func(d *double), name, password string) func(d *double) answer {
		return func(d *double) answer {
			setup(d)
			return d.login(name, password, "dev")
		}
	}
	with := func(header, body string) func(d *double) answer {
		return func(d *double) answer {
			d.AddUser("bob", "pw")
			return d.send("POST", "/Users/AuthenticateByName", body, map[string]string{"Authorization": header})
		}
	}
	const right = `{"Username":"bob","Pw":"pw"}`
	off := func(y *Policy) { y.IsDisabled = true }
	listed := func(ids ...string) func(*Policy) {
		return func(y *Policy) { y.EnableAllDevices, y.EnabledDevices = false, ids }
	}
	one := func(y *Policy) { y.MaxActiveSessions = 1 }
	noon := Config{Now: func() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }} // a Sunday
	run(t, []row{
		{name: "OK", act: login(bob(), "bob", "pw"), want: all("200")},
		{name: "OtherCase", act: login(bob(), "BOB", "pw"), want: all("200")},
		{name: "WrongPassword", act: login(bob(), "bob", "wrong"), want: all("401 A")},
		{name: "UnknownUser", act: login(bob(), "carol", "pw"), want: all("401 A")},
		{name: "BlankName", act: login(bob(), " ", "pw"), want: all("400 A")},
		{name: "NullPassword", act: with(onDevice("dev")["Authorization"], `{"Username":"bob","Pw":null}`), want: all("401 A")},
		{name: "NullPasswordOfNone", act: func(d *double) answer {
			d.AddUser("open", "")
			return d.send("POST", "/Users/AuthenticateByName", `{"Username":"open","Pw":null}`, onDevice("dev"))
		}, want: all("200")},
		{name: "Disabled", act: login(bob(off), "bob", "pw"), want: all("403 A")},
		{name: "DisabledWrongPassword", act: login(bob(off), "bob", "wrong"), want: all("403 A")},
		{name: "DeviceNotListed", act: login(bob(listed("other")), "bob", "pw"), want: all("403 A")},
		{name: "DeviceListed", act: login(bob(listed("dev")), "bob", "pw"), want: all("200")},
		{name: "DeviceNotListedAdmin", act: login(func(d *double) { d.AddAdmin("bob", "pw", listed("other")) }, "bob", "pw"), want: all("200")},
		{name: "DeviceNotListedWrongPassword", act: login(bob(listed("other")), "bob", "wrong"), want: all("401 A")},
		{name: "SessionsUsedUp", act: login(func(d *double) {
			d.AddUser("bob", "pw", one)
			d.token("bob", "pw", "first")
		}, "bob", "pw"), want: all("403 A")},
		{name: "SessionsFreeAfterLogout", act: login(func(d *double) {
			d.AddUser("bob", "pw", one)
			d.check(d.as(d.token("bob", "pw", "first"), "POST", "/Sessions/Logout", ""), "204")
		}, "bob", "pw"), want: all("200")},
		{name: "OutOfSchedule", config: noon, act: login(bob(func(y *Policy) {
			y.AccessSchedules = []AccessSchedule{{DayOfWeek: "Weekday", StartHour: 0, EndHour: 24}}
		}), "bob", "pw"), want: all("403 A")},
		{name: "InSchedule", config: noon, act: login(bob(func(y *Policy) {
			y.AccessSchedules = []AccessSchedule{{DayOfWeek: "Monday"}, {DayOfWeek: "Weekend", StartHour: 0, EndHour: 24}}
		}), "bob", "pw"), want: all("200")},
		{name: "FromOutside", config: Config{BehindProxy: true}, act: func(d *double) answer {
			d.AddUser("bob", "pw", func(y *Policy) { y.EnableRemoteAccess = false })
			h := onDevice("dev")
			h["X-Forwarded-For"] = "203.0.113.9"
			return d.send("POST", "/Users/AuthenticateByName", right, h)
		}, want: all("403 A")},
		{name: "NoHeader", act: with("", right), want: all("400 A")},
		{name: "NoDeviceId", act: with(`MediaBrowser Client="c", Device="d", Version="1"`, right), want: all("400 A")},
		{name: "NoClient", act: with(`MediaBrowser Device="d", DeviceId="x", Version="1"`, right), want: all("400 A")},
		{name: "NoDevice", act: with(`MediaBrowser Client="c", DeviceId="x", Version="1"`, right), want: all("400 A")},
		{name: "NoVersion", act: with(`MediaBrowser Client="c", Device="d", DeviceId="x"`, right), want: all("400 A")},
		{name: "NoDeviceIdWrongPassword", act: with(`MediaBrowser Client="c", Device="d", Version="1"`, `{"Username":"bob","Pw":"x"}`), want: since109("401 A", "400 A")},
		{name: "NotJSON", act: with(onDevice("dev")["Authorization"], `x`), want: all("400 C $,request")},
	})
}

func TestLoginReply(t *testing.T) {
	each(t, Config{}, func(d *double) {
		id := d.AddUser("bob", "pw")
		m := d.login("bob", "pw", "dev").members(d.t)
		session := m["SessionInfo"].(map[string]any)
		if m["User"].(map[string]any)["Id"] != id || m["ServerId"] != d.ID() || len(m["AccessToken"].(string)) != 32 ||
			session["UserId"] != id || session["DeviceId"] != "dev" || session["Client"] != "Test" {
			d.t.Fatal(m)
		}
		token := m["AccessToken"].(string)
		d.check(d.as(token, "POST", "/Sessions/Logout", ""), "204")
		d.check(d.as(token, "GET", "/Users/Me", ""), "401")
		if n := len(d.Sessions()); n != 0 {
			d.t.Fatal(n, "sessions are left")
		}
	})
}

// §0.9: on 10.8 a sign-in without a DeviceId signs everybody out.
func TestLoginWithoutDeviceID(t *testing.T) {
	after := since109("401", "200")
	each(t, Config{}, func(d *double) {
		d.AddUser("bob", "pw")
		admin := d.token("admin", "admin-password", "a")
		d.check(d.send("POST", "/Users/AuthenticateByName", `{"Username":"bob","Pw":"pw"}`, map[string]string{"Authorization": `MediaBrowser Client="c", Device="d", Version="1"`}), "400 A")
		d.check(d.as(admin, "GET", "/Users/Me", ""), after[d.column])
	})
}

// One device, again: 10.8 reissues the token and signs others of the device
// out; later versions replace the token and let others be.
func TestLoginAgain(t *testing.T) {
	other := since109("401", "200")
	each(t, Config{}, func(d *double) {
		d.AddUser("bob", "pw")
		d.AddUser("eve", "pw")
		eve := d.token("eve", "pw", "shared")
		first := d.token("bob", "pw", "shared")
		d.check(d.as(eve, "GET", "/Users/Me", ""), other[d.column])
		second := d.token("bob", "pw", "shared")
		if (first == second) != (d.column == 0) {
			d.t.Fatal(first, second)
		}
		d.check(d.as(first, "GET", "/Users/Me", ""), since109("200", "401")[d.column])
		d.check(d.as(second, "GET", "/Users/Me", ""), "200")
	})
}

// What too many wrong passwords do.
func TestLockout(t *testing.T) {
	locked := want{"403 A", "403 A", "403 A", "200", "403 A"}
	afterRestart := want{"403 A", "403 A", "200", "200", "403 A"}
	each(t, Config{}, func(d *double) {
		id := d.AddUser("bob", "pw", func(y *Policy) { y.LoginAttemptsBeforeLockout = 2 })
		d.check(d.login("bob", "x", "dev"), "401 A")
		d.check(d.login("bob", "pw", "dev"), "200") // resets the count
		d.check(d.login("bob", "x", "dev"), "401 A")
		d.check(d.login("bob", "x", "dev"), "401 A")
		if n := d.user("bob").Policy.InvalidLoginAttemptCount; n != 2 {
			d.t.Fatal(n, "tries")
		}
		d.check(d.login("bob", "pw", "dev"), locked[d.column])
		d.Restart()
		d.check(d.login("bob", "pw", "dev"), afterRestart[d.column])

		// Enabling again without a new count: one wrong try locks again.
		if afterRestart[d.column] == "403 A" {
			d.check(d.setPolicy(id, map[string]any{"IsDisabled": false}), "204")
			d.check(d.login("bob", "x", "dev"), "401 A")
			d.check(d.login("bob", "pw", "dev"), "403 A")
			d.check(d.setPolicy(id, map[string]any{"IsDisabled": false, "InvalidLoginAttemptCount": 0}), "204")
			d.check(d.login("bob", "x", "dev"), "401 A")
			d.check(d.login("bob", "pw", "dev"), "200")
		}
	})
	// An administrator is locked out like anybody; -1 means never.
	each(t, Config{}, func(d *double) {
		d.AddAdmin("root", "pw", func(y *Policy) { y.LoginAttemptsBeforeLockout = 1 })
		d.check(d.login("root", "x", "dev"), "401 A")
		d.check(d.login("root", "pw", "dev"), locked[d.column])
		d.AddUser("bob", "pw")
		for range 10 {
			d.check(d.login("bob", "x", "dev"), "401 A")
		}
		d.check(d.login("bob", "pw", "dev"), "200")
	})
}

func TestQuickConnect(t *testing.T) {
	initiate := want{"GET", "POST", "POST", "POST", "POST"}
	begin := func(d *double) map[string]any {
		d.t.Helper()
		a := d.send(initiate[d.column], "/QuickConnect/Initiate", "", onDevice("tv"))
		d.check(a, "200")
		return a.members(d.t)
	}
	authorize := func(token func(d *double) string, query string) func(d *double) answer {
		return func(d *double) answer {
			d.AddUser("bob", "pw")
			code := begin(d)["Code"].(string)
			path := "/QuickConnect/Authorize?code=" + code
			if query != "" {
				path += "&userId=" + d.user(query).ID
			}
			return d.as(token(d), "POST", path, "")
		}
	}
	key := func(d *double) string { return d.key }
	bob := func(d *double) string { return d.token("bob", "pw", "dev") }
	run(t, []row{
		{name: "Enabled", act: func(d *double) answer { return d.bare("GET", "/QuickConnect/Enabled", "") }, want: all("200")},
		{name: "InitiateGet", act: func(d *double) answer { return d.send("GET", "/QuickConnect/Initiate", "", onDevice("tv")) }, want: only12("200", "405")},
		{name: "InitiatePost", act: func(d *double) answer { return d.send("POST", "/QuickConnect/Initiate", "", onDevice("tv")) }, want: since109("405", "200")},
		{name: "InitiateOff", act: func(d *double) answer {
			d.SetQuickConnect(false)
			return d.send(initiate[d.column], "/QuickConnect/Initiate", "", onDevice("tv"))
		}, want: all("401 B Quick connect is disabled")},
		{name: "UnknownSecret", act: func(d *double) answer { return d.bare("GET", "/QuickConnect/Connect?secret=x", "") }, want: all("404 B Unknown secret")},
		{name: "NoSecret", act: func(d *double) answer { return d.bare("GET", "/QuickConnect/Connect", "") }, want: all("400 C secret")},
		{name: "AuthorizeSelf", act: authorize(bob, ""), want: all("200")},
		{name: "AuthorizeOther", act: authorize(bob, "admin"), want: since109("200", "403 A")}, // 10.8 has no userId
		{name: "AuthorizeKey", act: authorize(key, "bob"), want: since109("400 A", "200")},
		{name: "AuthorizeKeyWithoutUser", act: authorize(key, ""), want: all("400 A")},
		{name: "AuthorizeUnknownCode", act: func(d *double) answer {
			d.AddUser("bob", "pw")
			return d.as(bob(d), "POST", "/QuickConnect/Authorize?code=xxxxxx", "")
		}, want: all("404 A")},
		{name: "AuthorizeNoCode", act: func(d *double) answer { return d.do("POST", "/QuickConnect/Authorize", "") }, want: all("400 C code")},
		{name: "AuthenticateUnknown", act: func(d *double) answer {
			return d.bare("POST", "/Users/AuthenticateWithQuickConnect", `{"Secret":"x"}`)
		}, want: all("404 A")},
	})
	now := time.Now()
	each(t, Config{Now: func() time.Time { return now }}, func(d *double) {
		d.AddUser("bob", "pw")
		token := d.token("bob", "pw", "dev")
		q := begin(d)
		if q["Authenticated"] != false || len(q["Code"].(string)) != 6 || q["DeviceId"] != "tv" || q["AppName"] != "Test" {
			d.t.Fatal(q)
		}
		path := "/QuickConnect/Authorize?code=" + q["Code"].(string)
		d.check(d.as(token, "POST", path, ""), "200")
		d.check(d.as(token, "POST", path, ""), "500 A") // used
		if d.bare("GET", "/QuickConnect/Connect?secret="+q["Secret"].(string), "").members(d.t)["Authenticated"] != true {
			d.t.Fatal("not confirmed")
		}
		// It lets a disabled user in.
		if err := d.SetPolicy("bob", func(y *Policy) { y.IsDisabled = true }); err != nil {
			d.t.Fatal(err)
		}
		a := d.bare("POST", "/Users/AuthenticateWithQuickConnect", fmt.Sprintf(`{"Secret":%q}`, q["Secret"]))
		d.check(a, "200")
		if a.members(d.t)["SessionInfo"].(map[string]any)["DeviceId"] != "tv" {
			d.t.Fatal(a.body)
		}
		old := begin(d)
		now = now.Add(codeLife + time.Second)
		d.check(d.bare("GET", "/QuickConnect/Connect?secret="+old["Secret"].(string), ""), "404 B Unknown secret")
	})
}

func TestForgotPassword(t *testing.T) {
	unknown := since1011("InNetworkRequired", "PinCode") // from 10.11.2 on it tells nobody whether a name exists
	each(t, Config{BehindProxy: true}, func(d *double) {
		d.AddUser("bob", "old")
		ask := func(name string, header map[string]string) map[string]any {
			a := d.send("POST", "/Users/ForgotPassword", `{"EnteredUsername":"`+name+`"}`, header)
			d.check(a, "200")
			return a.members(d.t)
		}
		m := ask("bob", map[string]string{})
		if m["Action"] != "PinCode" || m["PinFile"] == "" || m["PinExpirationDate"] == nil {
			d.t.Fatal(m)
		}
		pin, ok := d.PendingPIN("bob")
		if !ok {
			d.t.Fatal("no PIN")
		}
		for _, m := range []map[string]any{ask("carol", map[string]string{}), ask("bob", map[string]string{"X-Forwarded-For": "203.0.113.9"})} {
			if m["Action"] != unknown[d.column] || (m["PinFile"] == "") != (unknown[d.column] != "PinCode") {
				d.t.Fatal(m)
			}
		}
		d.check(d.bare("POST", "/Users/ForgotPassword/Pin", `{"Pin":"wrong"}`), "404 A")
		a := d.bare("POST", "/Users/ForgotPassword/Pin", `{"Pin":"`+pin+`"}`)
		if d.check(a, "200"); a.body != `{"Success":true,"UsersReset":["bob"]}` {
			d.t.Fatal(a.body)
		}
		if err := d.SignIn("bob", pin); err != nil { // the PIN is the password now
			d.t.Fatal(err)
		}
		d.check(d.bare("POST", "/Users/ForgotPassword", `{}`), "400 C EnteredUsername")
		d.check(d.bare("POST", "/Users/ForgotPassword/Pin", `{}`), "400 C Pin")
	})
}
