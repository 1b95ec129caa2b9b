package jellyfintest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestCreate(t *testing.T) {
	create := func(body string) func(d *double) answer {
		return func(d *double) answer { return d.do("POST", "/Users/New", body) }
	}
	named := func(name string) func(d *double) answer {
		body, _ := json.Marshal(map[string]string{"Name": name, "Password": "pw"})
		return create(string(body))
	}
	beside := func(have, name string) func(d *double) answer {
		return func(d *double) answer {
			d.AddUser(have, "pw")
			return named(name)(d)
		}
	}
	run(t, []row{
		{name: "OK", act: named("bob"), want: all("200")},
		{name: "NameAbsent", act: create(`{}`), want: since109("400 A", "400 C $,request")},
		{name: "NameAbsentPasswordGiven", act: create(`{"Password":"pw"}`), want: since109("400 A", "400 C $,request")},
		{name: "NameNull", act: create(`{"Name":null}`), want: since109("400 A", "400 C Name")},
		{name: "NameEmpty", act: named(""), want: since109("400 A", "400 C Name")},
		{name: "NameBlank", act: named("  "), want: since109("400 A", "400 C Name")},
		{name: "Taken", act: beside("bob", "bob"), want: all("400 A")},
		{name: "TakenInOtherCase", act: beside("bob", "BOB"), want: all("400 A")},
		{name: "TakenInOtherCaseNonASCII", act: beside("Zoë", "ZOË"), want: all("400 A")},
		{name: "Plus", act: named("bob+tv@example.org"), want: since1011("400 A", "200")},
		{name: "LeadingBlank", act: named(" bob"), want: since1011("200", "400 A")},
		{name: "TrailingBlank", act: named("bob "), want: since1011("200", "400 A")},
		{name: "Dot", act: named("."), want: only12("200", "400 A")},
		{name: "DotDot", act: named(".."), want: only12("200", "400 A")},
		{name: "TrailingLineBreak", act: named("bob\n"), want: all("200")},
		{name: "TwoTrailingLineBreaks", act: named("bob\n\n"), want: all("400 A")},
		{name: "Letters", act: named("Zoë 日本 e\u0301_5‿'-.@"), want: all("200")},
		{name: "Emoji", act: named("😀"), want: all("400 A")},
		{name: "LetterBeyondFFFF", act: named("𠮷田"), want: all("400 A")},
		{name: "Ampersand", act: named("a&b"), want: all("400 A")},
		{name: "Slash", act: named("a/b"), want: all("400 A")},
		{name: "Colon", act: named("a:b"), want: all("400 A")},
		{name: "Long", act: named(strings.Repeat("a", 300)), want: all("200")},
		{name: "Anonymous", act: func(d *double) answer { return d.bare("POST", "/Users/New", `{"Name":"bob"}`) }, want: all("401")},
		{name: "NotAdmin", act: func(d *double) answer {
			d.AddUser("eve", "pw")
			return d.as(d.token("eve", "pw", "dev"), "POST", "/Users/New", `{"Name":"bob"}`)
		}, want: all("403")},
	})
}

// The reply, member by member, as the real server wrote it.
func TestCreateReply(t *testing.T) {
	liveTV := want{"true", "true", "true", "false", "false"}
	hasPassword := want{"true", "true", "true", "false", "true"} // the create reply of 10.11.9 on is stale; 12 always says yes
	each(t, Config{}, func(d *double) {
		body := d.do("POST", "/Users/New", `{"Name":"bob","Password":"pw"}`).body
		has, since109 := hasPassword[d.column], d.column > 0
		cut := func(s string) string {
			if since109 {
				return s
			}
			return ""
		}
		want := `{"Name":"bob","ServerId":"` + d.ID() + `","Id":"` + d.user("bob").ID + `","HasPassword":` + has + `,"HasConfiguredPassword":` + has +
			`,"HasConfiguredEasyPassword":false,"EnableAutoLogin":false,"Configuration":{"PlayDefaultAudioTrack":true,"SubtitleLanguagePreference":"","DisplayMissingEpisodes":false,"GroupedFolders":[],"SubtitleMode":"Default","DisplayCollectionsView":false,"EnableLocalPassword":false,"OrderedViews":[],"LatestItemsExcludes":[],"MyMediaExcludes":[],"HidePlayedInLatest":true,"RememberAudioSelections":true,"RememberSubtitleSelections":true,"EnableNextEpisodeAutoPlay":true` +
			cut(`,"CastReceiverId":"F007D354"`) + `},"Policy":{"IsAdministrator":false,"IsHidden":true,` +
			cut(`"EnableCollectionManagement":false,"EnableSubtitleManagement":false,"EnableLyricManagement":false,`) +
			`"IsDisabled":false,"BlockedTags":[],` + cut(`"AllowedTags":[],`) +
			`"EnableUserPreferenceAccess":true,"AccessSchedules":[],"BlockUnratedItems":[],"EnableRemoteControlOfOtherUsers":false,"EnableSharedDeviceControl":true,"EnableRemoteAccess":true,"EnableLiveTvManagement":` + liveTV[d.column] +
			`,"EnableLiveTvAccess":true,"EnableMediaPlayback":true,"EnableAudioPlaybackTranscoding":true,"EnableVideoPlaybackTranscoding":true,"EnablePlaybackRemuxing":true,"ForceRemoteSourceTranscoding":false,"EnableContentDeletion":false,"EnableContentDeletionFromFolders":[],"EnableContentDownloading":true,"EnableSyncTranscoding":true,"EnableMediaConversion":true,"EnabledDevices":[],"EnableAllDevices":true,"EnabledChannels":[],"EnableAllChannels":true,"EnabledFolders":[],"EnableAllFolders":true,"InvalidLoginAttemptCount":0,"LoginAttemptsBeforeLockout":-1,"MaxActiveSessions":0,"EnablePublicSharing":true,"BlockedMediaFolders":[],"BlockedChannels":[],"RemoteClientBitrateLimit":0,"AuthenticationProviderId":"Jellyfin.Server.Implementations.Users.DefaultAuthenticationProvider","PasswordResetProviderId":"Jellyfin.Server.Implementations.Users.DefaultPasswordResetProvider","SyncPlayAccess":"CreateAndJoinGroups"}}`
		if body != want {
			d.t.Fatalf("got  %s\nwant %s", body, want)
		}
		if d.do("GET", "/Users/"+d.user("bob").ID, "").members(d.t)["HasPassword"] != true {
			d.t.Fatal("read again, the password is there")
		}
	})
	t.Run("10.11.8", func(t *testing.T) { // between two profiles: not stale yet
		d := newDouble(t, Config{Version: "10.11.8"})
		m := d.do("POST", "/Users/New", `{"Name":"bob","Password":"pw"}`).members(t)
		if m["HasPassword"] != true || m["Policy"].(map[string]any)["EnableLiveTvManagement"] != false {
			t.Fatal(m)
		}
	})
}

// §0.4: no password means that anybody gets in.
func TestCreateWithoutPassword(t *testing.T) {
	has := only12("false", "true")
	each(t, Config{}, func(d *double) {
		for i, body := range []string{`{"Name":"u0"}`, `{"Name":"u1","Password":null}`, `{"Name":"u2","Password":""}`} {
			d.check(d.do("POST", "/Users/New", body), "200")
			name := fmt.Sprint("u", i)
			if d.user(name).HasPassword {
				d.t.Fatal(name, "has a password")
			}
			if got := fmt.Sprint(d.do("GET", "/Users/"+d.user(name).ID, "").members(d.t)["HasPassword"]); got != has[d.column] {
				d.t.Fatal("HasPassword", got)
			}
			d.token(name, "", "dev")
		}
		d.check(d.do("POST", "/Users/New", `{"Name":"blank","Password":" "}`), "200")
		if err := d.SignIn("blank", ""); err == nil || d.SignIn("blank", " ") != nil {
			d.t.Fatal("a blank is a password")
		}
	})
}

func TestRead(t *testing.T) {
	run(t, []row{
		{name: "List", act: func(d *double) answer { return d.do("GET", "/Users", "") }, want: all("200")},
		{name: "Get", act: func(d *double) answer { return d.do("GET", "/Users/"+d.AddUser("bob", ""), "") }, want: all("200")},
		{name: "Unknown", act: func(d *double) answer { return d.do("GET", "/Users/"+someID, "") }, want: all("404 B User not found")},
		{name: "Public", act: func(d *double) answer { return d.bare("GET", "/Users/Public", "") }, want: all("200")},
		{name: "OthersPolicy", act: func(d *double) answer {
			d.AddUser("bob", "pw")
			return d.as(d.token("bob", "pw", "dev"), "GET", "/Users/"+d.user("admin").ID, "")
		}, want: all("200")},
	})
	each(t, Config{}, func(d *double) {
		d.AddUser("zed", "")
		d.AddUser("Bob", "", func(y *Policy) { y.IsDisabled = true })
		d.AddUser("alice", "", func(y *Policy) { y.IsHidden = false })
		for query, want := range map[string]string{
			"": "admin alice Bob zed", "?isDisabled=true": "Bob", "?isDisabled=false": "admin alice zed", "?isHidden=false": "alice",
			"?isHidden=true&isDisabled=true": "Bob",
		} {
			var list []struct{ Name string }
			d.do("GET", "/Users"+query, "").get(d.t, &list)
			var names []string
			for _, u := range list {
				names = append(names, u.Name)
			}
			if got := strings.Join(names, " "); got != want {
				d.t.Fatalf("%q: %s, want %s", query, got, want)
			}
		}
		dashed := d.user("zed").ID
		dashed = dashed[:8] + "-" + dashed[8:12] + "-" + dashed[12:16] + "-" + dashed[16:20] + "-" + dashed[20:]
		if m := d.do("GET", "/Users/"+strings.ToUpper(dashed), "").members(d.t); m["Id"] != d.user("zed").ID {
			d.t.Fatal(m["Id"])
		}
		d.token("zed", "", "dev")
		m := d.do("GET", "/Users/"+dashed, "").members(d.t)
		if login, _ := m["LastLoginDate"].(string); len(login) != len("2026-01-02T03:04:05.0000000Z") || login[27] != 'Z' {
			d.t.Fatal(m["LastLoginDate"])
		}
	})
}

// Two creates of one name at once.
func TestCreateRace(t *testing.T) {
	const bob = `{"Name":"bob","Password":"pw"}`
	ghosts := want{"2", "1", "1", "1", "1"}
	each(t, Config{}, func(d *double) {
		d.AddFault(Fault{Method: "POST", Path: "/Users/New", Count: 1, Action: LoseRace})
		d.check(d.do("POST", "/Users/New", bob), "500 A")
		count := func() string {
			n := 0
			for _, u := range d.Users() {
				if u.Name == "bob" {
					n++
				}
			}
			return fmt.Sprint(n)
		}
		if count() != ghosts[d.column] {
			d.t.Fatal(count(), "bobs")
		}
		for _, u := range d.Users() { // nothing can be done to a ghost
			if u.Ghost {
				d.check(d.do("GET", "/Users/"+u.ID, ""), "200")
				d.check(d.setPolicy(u.ID, nil), "500 A")
				d.check(d.do("DELETE", "/Users/"+u.ID, ""), "500 A")
			}
		}
		d.Restart()
		if count() != "1" {
			d.t.Fatal(count(), "bobs after the restart")
		}
	})

	// bob and BOB at once: both land where the index is exact.
	both := want{"500 A", "500 A", "200", "500 A", "500 A"}
	each(t, Config{}, func(d *double) {
		d.AddFault(Fault{Method: "POST", Path: "/Users/New", Count: 1, Action: LoseRace, Rival: "BOB"})
		d.check(d.do("POST", "/Users/New", bob), both[d.column])
	})

	// Outside ASCII, NOCASE takes two names for two.
	nonASCII := want{"200", "200", "200", "500 A", "500 A"}
	each(t, Config{}, func(d *double) {
		d.AddFault(Fault{Method: "POST", Path: "/Users/New", Count: 1, Action: LoseRace, Rival: "ZOË"})
		d.check(d.do("POST", "/Users/New", `{"Name":"zoë"}`), nonASCII[d.column])
	})

	// Without any fault, one of many wins.
	each(t, Config{HashRounds: 2000}, func(d *double) {
		var wg sync.WaitGroup
		answers := make([]answer, 8)
		for i := range answers {
			wg.Go(func() { answers[i] = d.try(context.Background(), "POST", "/Users/New", bob, nil) })
		}
		wg.Wait()
		won := 0
		for _, a := range answers {
			switch a.status {
			case 200:
				won++
			case 400, 500:
			default:
				d.t.Fatalf("%+v", a)
			}
		}
		d.Restart()
		if won != 1 || d.UserCount() != 2 {
			d.t.Fatal(won, "won,", d.UserCount(), "users")
		}
	})
}

func TestDelete(t *testing.T) {
	run(t, []row{
		{name: "OK", act: func(d *double) answer { return d.do("DELETE", "/Users/"+d.AddUser("bob", ""), "") }, want: all("204"), then: func(d *double) {
			if _, there := d.User("bob"); there {
				d.t.Fatal("still there")
			}
		}},
		{name: "Unknown", act: func(d *double) answer { return d.do("DELETE", "/Users/"+someID, "") }, want: since109("500 A", "404 C")},
		{name: "LastAdmin", act: func(d *double) answer {
			d.AddUser("bob", "")
			return d.do("DELETE", "/Users/"+d.user("admin").ID, "")
		}, want: all("400 A")},
		{name: "OneOfTwoAdmins", act: func(d *double) answer { return d.do("DELETE", "/Users/"+d.AddAdmin("root", "pw"), "") }, want: all("204")},
		{name: "OnlyUser", act: func(d *double) answer { return d.do("DELETE", "/Users/"+d.user("admin").ID, "") }, want: all("500 A")},
		{name: "Anonymous", act: func(d *double) answer { return d.bare("DELETE", "/Users/"+someID, "") }, want: all("401")},
		{name: "NotAdmin", act: func(d *double) answer {
			d.AddUser("eve", "pw")
			return d.as(d.token("eve", "pw", "dev"), "DELETE", "/Users/"+d.user("eve").ID, "")
		}, want: all("403")},
	})
	each(t, Config{}, func(d *double) {
		d.AddUser("bob", "pw")
		bob := d.token("bob", "pw", "b")
		admin := d.token("admin", "admin-password", "a")

		// A refused delete of the last administrator has signed them out.
		d.check(d.do("DELETE", "/Users/"+d.user("admin").ID, ""), "400 A")
		d.check(d.as(admin, "GET", "/Users/Me", ""), "401")
		if _, there := d.User("admin"); !there {
			d.t.Fatal("the last administrator is gone")
		}

		// A delete ends the user's tokens and sessions.
		d.check(d.as(bob, "GET", "/Users/Me", ""), "200")
		d.check(d.do("DELETE", "/Users/"+d.user("bob").ID, ""), "204")
		d.check(d.as(bob, "GET", "/Users/Me", ""), "401")
		if n := len(d.Sessions()); n != 0 {
			d.t.Fatal(n, "sessions")
		}

		// One may delete oneself, and the token with it.
		d.AddAdmin("root", "pw")
		root := d.token("root", "pw", "r")
		d.check(d.as(root, "DELETE", "/Users/"+d.user("root").ID, ""), "204")
		d.check(d.as(root, "GET", "/Users", ""), "401")
	})
}

func TestNamesFold(t *testing.T) {
	old := newProfile(version{10, 11, 9})
	if old.fold("Zoë") == old.fold("ZOË") || old.fold("bob") != old.fold("BOB") {
		t.Error("10.11.9 folds ASCII only")
	}
	now := newProfile(version{10, 11, 10})
	if now.fold("Zoë") != now.fold("ZOË") || now.fold("ı") == now.fold("I") {
		t.Error("10.11.10 folds all but the dotless i")
	}
}
