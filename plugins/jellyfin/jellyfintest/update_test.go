package jellyfintest

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"testing"
)

// updatePath is the form of an endpoint that a version documents.
func updatePath(d *double, in108, since109, id string) string {
	if d.column == 0 {
		return fmt.Sprintf(in108, id)
	}
	return fmt.Sprintf(since109, id)
}

func renamePath(d *double, id string) string {
	return updatePath(d, "/Users/%s", "/Users?userId=%s", id)
}

func configPath(d *double, id string) string {
	return updatePath(d, "/Users/%s/Configuration", "/Users/Configuration?userId=%s", id)
}

func avatarPath(d *double, id string) string {
	return updatePath(d, "/Users/%s/Images/Primary", "/UserImage?userId=%s", id)
}

func TestRename(t *testing.T) {
	const refused = "403 B User update not allowed."
	byKey := func(name string) func(d *double) answer {
		return func(d *double) answer {
			d.AddUser("alice", "")
			return d.do("POST", renamePath(d, d.AddUser("bob", "")), encodeJSON(map[string]string{"Name": name}))
		}
	}
	byAdmin := func(name string) func(d *double) answer {
		return func(d *double) answer {
			d.AddUser("alice", "")
			id := d.AddUser("bob", "")
			return d.as(d.token("admin", "admin-password", "dev"), "POST", renamePath(d, id), encodeJSON(map[string]string{"Name": name}))
		}
	}
	run(t, []row{
		{name: "Key", act: byKey("robert"), want: since109("500 A", "204")},
		{name: "KeyHiddenForm", act: func(d *double) answer {
			return d.do("POST", "/Users/"+d.AddUser("bob", ""), `{"Name":"robert"}`)
		}, want: since109("500 A", "204")},
		{name: "KeyWithoutUser", act: func(d *double) answer { return d.do("POST", "/Users", `{"Name":"x"}`) }, want: since109("405", "400 A")},
		{name: "Admin", act: byAdmin("robert"), want: all("204"), then: func(d *double) {
			if d.user("robert").Name != "robert" {
				d.t.Fatal("not renamed")
			}
		}},
		{name: "Same", act: byAdmin("bob"), want: all("204")},
		{name: "Taken", act: byAdmin("ALICE"), want: all("400 A")},
		{name: "Illegal", act: byAdmin("a/b"), want: all("400 A")},
		{name: "Empty", act: byAdmin(""), want: all("400 A")},
		{name: "CaseOnly", act: byAdmin("BOB"), want: want{"204", "204", "204", "400 A", "204"}},
		{name: "Other", act: func(d *double) answer {
			d.AddUser("eve", "pw")
			return d.as(d.token("eve", "pw", "dev"), "POST", renamePath(d, d.user("admin").ID), `{"Name":"x"}`)
		}, want: all(refused)},
		{name: "Unknown", act: func(d *double) answer {
			return d.as(d.token("admin", "admin-password", "dev"), "POST", renamePath(d, someID), `{"Name":"x"}`)
		}, want: since109("500 A", "404 C")},
		{name: "BadID", act: func(d *double) answer { return d.do("POST", renamePath(d, "abc"), `{"Name":"x"}`) }, want: all("400 C userId")},
		{name: "NullConfiguration", act: func(d *double) answer {
			return d.as(d.token("admin", "admin-password", "dev"), "POST", renamePath(d, d.AddUser("bob", "")), `{"Name":"bob","Configuration":null}`)
		}, want: all("500 A")},
	})
	// The configuration is replaced along with the name, the policy is not.
	each(t, Config{}, func(d *double) {
		id := d.AddUser("bob", "")
		token := d.token("admin", "admin-password", "dev")
		d.check(d.as(token, "POST", configPath(d, id), `{"SubtitleMode":"Always"}`), "204")
		d.check(d.as(token, "POST", renamePath(d, id), `{"Name":"robert","Policy":{"IsAdministrator":true},"Configuration":{"DisplayMissingEpisodes":true}}`), "204")
		u := d.user("robert")
		if u.Policy.IsAdministrator || !u.Configuration.DisplayMissingEpisodes || u.Configuration.SubtitleMode != "Default" {
			d.t.Fatalf("%+v", u)
		}
		if _, there := d.User("bob"); there {
			d.t.Fatal("the old name still finds it")
		}
	})
	for version, want := range map[string]string{"10.11.4": "400 A", "10.11.5": "204", "10.11.8": "204", "10.11.9": "400 A"} {
		t.Run(version, func(t *testing.T) {
			d := newDouble(t, Config{Version: version})
			d.check(d.do("POST", "/Users?userId="+d.AddUser("bob", ""), `{"Name":"Bob"}`), want)
		})
	}
}

func TestConfiguration(t *testing.T) {
	run(t, []row{
		{name: "Key", act: func(d *double) answer { return d.do("POST", configPath(d, d.AddUser("bob", "")), `{}`) }, want: since109("500 A", "204")},
		{name: "KeyWithoutUser", act: func(d *double) answer { return d.do("POST", "/Users/Configuration", `{}`) }, want: since109("400 C userId", "400 A")},
		{name: "Self", act: func(d *double) answer {
			id := d.AddUser("bob", "pw")
			return d.as(d.token("bob", "pw", "dev"), "POST", configPath(d, id), `{}`)
		}, want: all("204")},
		{name: "Other", act: func(d *double) answer {
			d.AddUser("eve", "pw")
			return d.as(d.token("eve", "pw", "dev"), "POST", configPath(d, d.user("admin").ID), `{}`)
		}, want: all("403 B User configuration update not allowed")},
		{name: "UnknownMode", act: func(d *double) answer { return d.do("POST", configPath(d, someID), `{"SubtitleMode":"Loud"}`) }, want: all("400 C $.SubtitleMode,userConfig")},
		{name: "TextInIDList", act: func(d *double) answer {
			id := d.AddUser("bob", "pw")
			return d.as(d.token("bob", "pw", "dev"), "POST", configPath(d, id), `{"OrderedViews":["abc"]}`)
		}, want: since109("204", "400 C ,userConfig")},
	})
	each(t, Config{}, func(d *double) {
		id := d.AddUser("bob", "pw")
		token := d.token("bob", "pw", "dev")
		read := func() map[string]any {
			return d.do("GET", "/Users/"+id, "").members(d.t)["Configuration"].(map[string]any)
		}
		fresh := read()
		sent := map[string]any{
			"AudioLanguagePreference": "ger", "PlayDefaultAudioTrack": false, "SubtitleLanguagePreference": "eng", "DisplayMissingEpisodes": true,
			"GroupedFolders": []any{someID}, "SubtitleMode": "Smart", "DisplayCollectionsView": true, "EnableLocalPassword": true,
			"OrderedViews": []any{someID}, "LatestItemsExcludes": []any{someID}, "MyMediaExcludes": []any{someID}, "HidePlayedInLatest": false,
			"RememberAudioSelections": false, "RememberSubtitleSelections": false, "EnableNextEpisodeAutoPlay": false,
		}
		if d.column > 0 {
			sent["CastReceiverId"] = "6F511C87"
		}
		d.check(d.as(token, "POST", configPath(d, id), encodeJSON(sent)), "204")
		if got := read(); !reflect.DeepEqual(got, sent) {
			d.t.Fatalf("got  %v\nwant %v", got, sent)
		}
		// Full replacement; only an unknown cast receiver leaves what there was.
		d.check(d.as(token, "POST", configPath(d, id), `{"CastReceiverId":"toaster"}`), "204")
		if d.column > 0 {
			fresh["CastReceiverId"] = "6F511C87"
		}
		if got := read(); !reflect.DeepEqual(got, fresh) {
			d.t.Fatalf("got  %v\nwant %v", got, fresh)
		}
	})
}

func TestDisplayPreferences(t *testing.T) {
	if got := hashID("usersettings"); got != "3ce5b65de116d73165d1efc4a30ec35c" { // as seen on real servers
		t.Fatal(got)
	}
	post := func(body string) func(d *double) answer {
		return func(d *double) answer {
			return d.do("POST", "/DisplayPreferences/usersettings?client=emby&userId="+d.user("admin").ID, body)
		}
	}
	run(t, []row{
		{name: "Get", act: func(d *double) answer {
			return d.do("GET", "/DisplayPreferences/usersettings?client=emby&userId="+d.user("admin").ID, "")
		}, want: all("200")},
		{name: "Anonymous", act: func(d *double) answer { return d.bare("GET", "/DisplayPreferences/usersettings?client=emby", "") }, want: all("401")},
		{name: "NoClient", act: func(d *double) answer { return d.do("GET", "/DisplayPreferences/usersettings", "") }, want: all("400 C client")},
		{name: "Post", act: post(`{"CustomPrefs":{"homesection0":"nextup"}}`), want: all("204")},
		{name: "PostWithoutCustomPrefs", act: post(`{}`), want: all("500 A")},
		{name: "PostNullCustomPrefs", act: post(`{"CustomPrefs":null}`), want: all("500 A")},
		{name: "PostBadNumber", act: post(`{"CustomPrefs":{"skipForwardLength":"soon"}}`), want: all("500 A")},
		{name: "PostBadType", act: post(`{"CustomPrefs":[]}`), want: all("400 C $.CustomPrefs,displayPreferences")},
	})
	each(t, Config{}, func(d *double) {
		path := "/DisplayPreferences/usersettings?client=emby&userId=" + d.user("admin").ID
		d.check(d.do("POST", path, `{"SortOrder":"Descending","CustomPrefs":{"homesection0":"nextup","skipBackLength":"5"}}`), "204")
		got := d.do("GET", path, "").members(d.t)
		custom := got["CustomPrefs"].(map[string]any)
		if got["Id"] != hashID("usersettings") || got["Client"] != "emby" || got["SortOrder"] != "Descending" ||
			custom["homesection0"] != "nextup" || custom["skipBackLength"] != "5" {
			d.t.Fatal(got)
		}
		if value, there := custom["tvhome"]; !there || value != nil { // dictionaries keep their nulls
			d.t.Fatal(custom)
		}
		other := d.do("GET", "/DisplayPreferences/"+someID+"?client=tv&userId="+d.user("admin").ID, "").members(d.t)
		if other["Id"] != someID || other["CustomPrefs"].(map[string]any)["homesection0"] != nil {
			d.t.Fatal(other)
		}
	})
}

func TestAvatar(t *testing.T) {
	picture := base64.StdEncoding.EncodeToString([]byte("not really a picture"))
	send := func(d *double, method, id, contentType, body string) answer {
		return d.send(method, avatarPath(d, id), body, map[string]string{
			"Authorization": `MediaBrowser Token="` + d.token("admin", "admin-password", "dev") + `"`, "Content-Type": contentType,
		})
	}
	post := func(contentType, body string) func(d *double) answer {
		return func(d *double) answer { return send(d, "POST", d.AddUser("bob", ""), contentType, body) }
	}
	run(t, []row{
		{name: "Post", act: post("image/png", picture), want: all("204"), then: func(d *double) {
			if !d.user("bob").HasAvatar || d.do("GET", "/Users/"+d.user("bob").ID, "").members(d.t)["PrimaryImageTag"] == nil {
				d.t.Fatal("no picture")
			}
			d.check(send(d, "DELETE", d.user("bob").ID, "", ""), "204")
			if d.user("bob").HasAvatar {
				d.t.Fatal("still there")
			}
		}},
		{name: "BadType", act: post("text/plain", picture), want: all("400 B Incorrect ContentType.")},
		{name: "NotBase64", act: post("image/png", "%%%"), want: all("500 A")},
		{name: "DeleteNone", act: func(d *double) answer { return send(d, "DELETE", d.AddUser("bob", ""), "", "") }, want: all("204")},
		{name: "Key", act: func(d *double) answer {
			return d.send("POST", avatarPath(d, d.AddUser("bob", "")), picture, map[string]string{"Authorization": `MediaBrowser Token="` + d.key + `"`, "Content-Type": "image/png"})
		}, want: since109("500 A", "204")},
		{name: "KeyWithoutUser", act: func(d *double) answer { return d.do("POST", "/UserImage", "x") }, want: since109("404", "400 A")},
		{name: "HiddenForm", act: func(d *double) answer {
			return d.as(d.token("admin", "admin-password", "dev"), "DELETE", "/Users/"+d.AddUser("bob", "")+"/Images/Primary", "")
		}, want: all("204")},
		{name: "EscapingName", act: func(d *double) answer { return send(d, "POST", d.AddUser("..", ""), "image/png", picture) }, want: only12("204", "400 B Invalid user.")},
		{name: "Other", act: func(d *double) answer {
			d.AddUser("eve", "pw")
			return d.as(d.token("eve", "pw", "dev"), "DELETE", avatarPath(d, d.user("admin").ID), "")
		}, want: all("403 B User is not allowed to delete the image.")},
	})
}
