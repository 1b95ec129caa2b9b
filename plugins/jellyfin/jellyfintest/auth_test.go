package jellyfintest

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// Where a token may be, by version (the table of token sources).
func TestTokenSources(t *testing.T) {
	off, on := false, true
	withHeader := func(name, value string) func(d *double) answer {
		return func(d *double) answer {
			return d.send("GET", "/Auth/Providers", "", map[string]string{name: strings.ReplaceAll(value, "KEY", d.key)})
		}
	}
	withQuery := func(query string) func(d *double) answer {
		return func(d *double) answer { return d.bare("GET", "/Auth/Providers?"+query+d.key, "") }
	}
	both := func(legacy, modern string) func(d *double) answer {
		return func(d *double) answer {
			put := func(s string) string { return strings.ReplaceAll(s, "KEY", d.key) }
			return d.send("GET", "/Auth/Providers", "", map[string]string{"X-Emby-Authorization": put(legacy), "Authorization": put(modern)})
		}
	}
	const good, bad = `MediaBrowser Token="KEY"`, `MediaBrowser Token="nope"`
	run(t, []row{
		{name: "Authorization", act: withHeader("Authorization", good), want: all("200")},
		{name: "AllParts", act: withHeader("Authorization", `MediaBrowser Client="a, b", Device="c", DeviceId="d", Version="1", Token="KEY"`), want: all("200")},
		{name: "NoQuotes", act: withHeader("Authorization", `MediaBrowser Token=KEY`), want: all("200")},
		{name: "SchemeCase", act: withHeader("Authorization", `mediabrowser Token="KEY"`), want: all("200")},
		{name: "KeyCase", act: withHeader("Authorization", `MediaBrowser token="KEY"`), want: all("401")},
		{name: "NoSpace", act: withHeader("Authorization", `MediaBrowserToken="KEY"`), want: all("401")},
		{name: "Bearer", act: withHeader("Authorization", `Bearer KEY`), want: all("401")},
		{name: "EmbyScheme", act: withHeader("Authorization", `Emby Token="KEY"`), want: only12("200", "401")},
		{name: "XEmbyAuthorization", act: withHeader("X-Emby-Authorization", good), want: only12("200", "401")},
		{name: "XEmbyToken", act: withHeader("X-Emby-Token", "KEY"), want: only12("200", "401")},
		{name: "XMediaBrowserToken", act: withHeader("X-MediaBrowser-Token", "KEY"), want: only12("200", "401")},
		{name: "QueryApiKey", act: withQuery("ApiKey="), want: all("200")},
		{name: "QueryApiKeyCase", act: withQuery("apikey="), want: all("200")},
		{name: "QueryApi_Key", act: withQuery("api_key="), want: only12("200", "401")},
		{name: "LegacyHeaderGoodAuthorizationBad", act: both(good, bad), want: want{"200", "200", "401", "401", "401"}},
		{name: "LegacyHeaderBadAuthorizationGood", act: both(bad, good), want: want{"401", "401", "200", "200", "200"}},
		{name: "HeaderBeatsQuery", act: func(d *double) answer {
			return d.send("GET", "/Auth/Providers?ApiKey=nope", "", nil)
		}, want: all("200")},
		{name: "SwitchedOff", config: Config{LegacyAuth: &off}, act: withHeader("X-Emby-Token", "KEY"), want: since1011("200", "401")},
		{name: "SwitchedOffScheme", config: Config{LegacyAuth: &off}, act: withHeader("Authorization", `Emby Token="KEY"`), want: since1011("200", "401")},
		{name: "SwitchedOffApi_Key", config: Config{LegacyAuth: &off}, act: withQuery("api_key="), want: since1011("200", "401")},
		{name: "SwitchedOffApiKey", config: Config{LegacyAuth: &off}, act: withQuery("ApiKey="), want: all("200")},
		{name: "SwitchedOn", config: Config{LegacyAuth: &on}, act: withHeader("X-Emby-Token", "KEY"), want: all("200")},
	})
}

// Values of the header are URL-decoded.
func TestHeaderDecoding(t *testing.T) {
	each(t, Config{}, func(d *double) {
		d.AddUser("bob", "pw")
		a := d.send("POST", "/Users/AuthenticateByName", `{"Username":"bob","Pw":"pw"}`,
			map[string]string{"Authorization": `MediaBrowser Client="a%2Cb", Device="K%C3%BCche", DeviceId="x%2By", Version="1"`})
		d.check(a, "200")
		s := d.Sessions()[0]
		if s.Client != "a,b" || s.Device != "Küche" || s.DeviceID != "x+y" {
			t.Fatalf("%+v", s)
		}
	})
}

// What a token is worth (the table of policies and statuses).
func TestTokenStatuses(t *testing.T) {
	user := func(edit ...func(*Policy)) func(d *double) string {
		return func(d *double) string {
			d.AddUser("bob", "pw")
			token, err := d.SignInDevice("bob", "dev")
			if err != nil {
				d.t.Fatal(err)
			}
			for _, fn := range edit {
				if err := d.SetPolicy("bob", fn); err != nil {
					d.t.Fatal(err)
				}
			}
			return token
		}
	}
	get := func(path string, token func(d *double) string) func(d *double) answer {
		return func(d *double) answer { return d.as(token(d), "GET", path, "") }
	}
	orphan := func(d *double) string {
		token := user()(d)
		if err := d.RemoveUserRow("bob"); err != nil {
			d.t.Fatal(err)
		}
		return token
	}
	outside := func(path string, edit func(*Policy)) func(d *double) answer {
		return func(d *double) answer {
			return d.send("GET", path, "", map[string]string{
				"Authorization": `MediaBrowser Token="` + user(edit)(d) + `"`, "X-Forwarded-For": "203.0.113.9",
			})
		}
	}
	noRemote := func(y *Policy) { y.EnableRemoteAccess = false }
	adminNoRemote := func(y *Policy) { y.IsAdministrator, y.EnableRemoteAccess = true, false }
	proxied := Config{BehindProxy: true}
	closed := func(y *Policy) {
		y.AccessSchedules = []AccessSchedule{{DayOfWeek: "Everyday", StartHour: 1, EndHour: 2}}
	}
	open := func(y *Policy) {
		y.AccessSchedules = []AccessSchedule{{DayOfWeek: "Weekday", StartHour: 11, EndHour: 13}}
	}
	noon := Config{Now: func() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }} // a Tuesday

	run(t, []row{
		{name: "NoToken", act: func(d *double) answer { return d.bare("GET", "/Users", "") }, want: all("401")},
		{name: "UnknownToken", act: func(d *double) answer { return d.as("nope", "GET", "/Users", "") }, want: all("401")},
		{name: "RevokedKey", act: func(d *double) answer {
			d.DeleteAPIKey(d.key)
			return d.do("GET", "/Auth/Providers", "")
		}, want: all("401")},
		{name: "Key", act: func(d *double) answer { return d.do("GET", "/Auth/Providers", "") }, want: all("200")},
		{name: "DisabledUser", act: get("/Users", user(func(y *Policy) { y.IsDisabled = true })), want: all("401")},
		{name: "UserOnAdminRoute", act: get("/Auth/Providers", user()), want: all("403")},
		{name: "AdminOnAdminRoute", act: get("/Auth/Providers", user(func(y *Policy) { y.IsAdministrator = true })), want: all("200")},
		{name: "UserListsUsers", act: get("/Users", user()), want: all("200")},
		{name: "OutsideWithoutRemoteAccess", config: proxied, act: outside("/Users", noRemote), want: all("403")},
		{name: "OutsideWithRemoteAccess", config: proxied, act: outside("/Users", func(*Policy) {}), want: all("200")},
		{name: "AdminRouteFromOutside", config: proxied, act: outside("/Auth/Providers", adminNoRemote), want: since109("403", "200")},
		{name: "OutOfSchedule", config: noon, act: get("/Users", user(closed)), want: all("403")},
		{name: "InSchedule", config: noon, act: get("/Users", user(open)), want: all("200")},
		{name: "AdminRouteOutOfSchedule", config: noon, act: get("/Auth/Providers", user(closed, func(y *Policy) { y.IsAdministrator = true })), want: since109("403", "200")},
		{name: "OrphanPlain", act: get("/Users", orphan), want: since1011("500 A", "404 A")},
		{name: "OrphanElevated", act: get("/Auth/Providers", orphan), want: since1011("500 A", "403")},
		{name: "OrphanOpen", act: get("/System/Info/Public", orphan), want: since1011("500 A", "200")},
		{name: "OpenWithBadToken", act: func(d *double) answer { return d.as("nope", "GET", "/System/Info/Public", "") }, want: all("200")},
		{name: "KeyIsNobody", act: func(d *double) answer { return d.do("GET", "/Users/Me", "") }, want: all("400 C")},
		{name: "Me", act: get("/Users/Me", user()), want: all("200")},
	})
}

// Keys: made without being told, found in the list, worth everything.
func TestKeys(t *testing.T) {
	each(t, Config{}, func(d *double) {
		d.check(d.do("POST", "/Auth/Keys?app=Zondarr", ""), "204")
		d.check(d.do("POST", "/Auth/Keys?app=Zondarr", ""), "204") // names are not unique
		d.check(d.do("POST", "/Auth/Keys", ""), "400 C app")
		var list struct {
			Items []struct {
				ID                                                     int `json:"Id"`
				AccessToken, DeviceID, AppName, AppVersion, DeviceName string
				UserID                                                 string `json:"UserId"`
				IsActive                                               bool
				DateCreated, DateLastActivity                          string
				DateRevoked, UserName                                  *string
			}
			TotalRecordCount, StartIndex int
		}
		a := d.do("GET", "/Auth/Keys", "")
		a.get(d.t, &list)
		if list.TotalRecordCount != 3 || len(list.Items) != 3 || list.StartIndex != 0 {
			d.t.Fatalf("%s", a.body)
		}
		k := list.Items[2]
		if len(k.AccessToken) != 32 || k.AppName != "Zondarr" || !k.IsActive || k.UserID != zeroID || k.ID != 0 ||
			k.DateLastActivity != "0001-01-01T00:00:00.0000000Z" || len(k.DateCreated) != len(k.DateLastActivity) {
			d.t.Fatalf("%+v", k)
		}
		d.check(d.as(k.AccessToken, "GET", "/Auth/Providers", ""), "200")
		d.check(d.do("DELETE", "/Auth/Keys/absent", ""), "204")
		d.check(d.as(k.AccessToken, "DELETE", "/Auth/Keys/"+k.AccessToken, ""), "204") // itself
		d.check(d.as(k.AccessToken, "GET", "/Auth/Providers", ""), "401")
		for _, q := range d.Requests() {
			if strings.Contains(q.Path, k.AccessToken) {
				d.t.Fatalf("a key is in the log: %s", q.Path)
			}
		}
	})
}

// A user's token that sends Device and Version rewrites the device's row.
func TestTokenRewritesDevice(t *testing.T) {
	each(t, Config{}, func(d *double) {
		d.AddUser("bob", "pw")
		token := d.token("bob", "pw", "dev")
		name := func() string {
			var list struct {
				Items []struct{ Name, AppVersion string }
			}
			d.do("GET", "/Devices", "").get(d.t, &list)
			return list.Items[0].Name + " " + list.Items[0].AppVersion
		}
		d.check(d.as(token, "GET", "/Users/Me", ""), "200")
		if name() != "Bench 1.0" {
			d.t.Fatal(name())
		}
		d.check(d.send("GET", "/Users/Me", "", map[string]string{"Authorization": `MediaBrowser Token="` + token + `", Device="Other", Version="2"`}), "200")
		if name() != "Other 2" {
			d.t.Fatal(name())
		}
	})
}

// Before the wizard is done, its routes and those of the libraries are open.
func TestWizard(t *testing.T) {
	each(t, Config{FirstRun: true}, func(d *double) {
		if d.bare("GET", "/System/Info/Public", "").members(d.t)["StartupWizardCompleted"] != false {
			d.t.Fatal("the wizard is done")
		}
		for _, path := range []string{"/Startup/Configuration", "/Startup/User", "/Startup/FirstUser", "/Library/VirtualFolders", "/System/Info", "/Localization/ParentalRatings"} {
			d.check(d.bare("GET", path, ""), "200")
		}
		d.check(d.bare("GET", "/Auth/Providers", ""), "401")
		d.check(d.bare("POST", "/Startup/Configuration", `{"ServerName":"Home","UICulture":"de"}`), "204")
		d.check(d.bare("POST", "/Startup/RemoteAccess", `{"EnableRemoteAccess":true}`), "204")
		d.check(d.bare("POST", "/Startup/User", `{"Name":"owner","Password":"one"}`), "204")
		if err := d.SignIn("owner", "one"); err != nil {
			d.t.Fatal(err)
		}
		y := d.user("owner").Policy
		if !y.IsAdministrator || !y.EnableContentDeletion || !y.EnableRemoteControlOfOtherUsers {
			d.t.Fatalf("%+v", y)
		}
		again := only12("204", "403")
		d.check(d.bare("POST", "/Startup/User", `{"Name":"owner","Password":"two"}`), again[d.column])
		password := map[bool]string{true: "two", false: "one"}[again[d.column] == "204"]
		if err := d.SignIn("owner", password); err != nil {
			d.t.Fatal(err)
		}
		d.check(d.bare("POST", "/Startup/Complete", ""), "204")
		for _, path := range []string{"/Startup/Configuration", "/Startup/User", "/Library/VirtualFolders", "/System/Info"} {
			d.check(d.bare("GET", path, ""), "401")
		}
		d.check(d.do("GET", "/Startup/User", ""), "200")
		if d.bare("GET", "/System/Info/Public", "").members(d.t)["ServerName"] != "Home" {
			d.t.Fatal("the name was not taken")
		}
	})
}

// Too early for a wizard's users: anybody enabled and not hidden is shown.
func TestPublicUsers(t *testing.T) {
	show := func(y *Policy) { y.IsHidden = false }
	names := func(d *double, from string) string {
		var list []struct{ Name string }
		d.send("GET", "/Users/Public", "", map[string]string{"X-Forwarded-For": from}).get(d.t, &list)
		var all []string
		for _, u := range list {
			all = append(all, u.Name)
		}
		return strings.Join(all, " ")
	}
	fill := func(d *double) {
		d.AddUser("hidden", "")
		d.AddUser("shown", "", show)
		d.AddUser("local", "", show, func(y *Policy) { y.EnableRemoteAccess = false })
		d.AddUser("off", "", show, func(y *Policy) { y.IsDisabled = true })
	}
	each(t, Config{BehindProxy: true}, func(d *double) {
		fill(d)
		if got := names(d, "192.168.1.2"); got != "local shown" {
			d.t.Fatal(got)
		}
		if got := names(d, "203.0.113.9"); got != "shown" {
			d.t.Fatal(got)
		}
	})
	each(t, Config{BehindProxy: true, FirstRun: true}, func(d *double) {
		fill(d)
		if got := names(d, "203.0.113.9"); got != "local shown" {
			d.t.Fatal(got)
		}
	})
}

var _ http.Handler = (*Server)(nil)
