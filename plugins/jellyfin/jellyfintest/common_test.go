package jellyfintest

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
)

const someID = "0123456789abcdef0123456789abcdef"

// The rules common to all routes.
func TestCommonRules(t *testing.T) {
	do := func(method, path, body string) func(d *double) answer {
		return func(d *double) answer { return d.do(method, path, body) }
	}
	typed := func(contentType, body string) func(d *double) answer {
		return func(d *double) answer {
			return d.send("POST", "/Users/New", body, map[string]string{
				"Authorization": `MediaBrowser Token="` + d.key + `"`, "Content-Type": contentType,
			})
		}
	}
	const bob = `{"Name":"bob","Password":"pw"}`
	policy := "/Users/" + someID + "/Policy"
	run(t, []row{
		{name: "RouteCase", act: do("GET", "/sYSTEM/iNFO/pUBLIC", ""), want: all("200")},
		{name: "TrailingSlash", act: do("GET", "/Users/", ""), want: all("200")},
		{name: "QueryCase", act: do("GET", "/Users?ISDISABLED=true", ""), want: all("200")},
		{name: "UnknownRoute", act: do("GET", "/Nowhere", ""), want: all("404")},
		{name: "WrongVerb", act: do("PUT", "/System/Info", ""), want: all("405"), then: func(d *double) {
			if got := d.do("PUT", "/System/Ping", "").header.Get("Allow"); got != "GET, POST" {
				d.t.Fatal(got)
			}
		}},
		{name: "EmbyPrefix", act: do("GET", "/emby/System/Info/Public", ""), want: only12("200", "404")},
		{name: "MediaBrowserPrefix", act: do("GET", "/MediaBrowser/System/Info/Public", ""), want: only12("200", "404")},
		{name: "IDWithDashes", act: do("GET", "/Users/01234567-89ab-cdef-0123-456789abcdef", ""), want: all("404 B User not found")},
		{name: "IDNotAGuid", act: do("GET", "/Users/abc", ""), want: all("400 C userId")},
		{name: "IDAllZero", act: do("GET", "/Users/"+zeroID, ""), want: all("400 A")},
		{name: "PolicyIDAllZero", act: do("POST", "/Users/"+zeroID+"/Policy", `{"AuthenticationProviderId":"a","PasswordResetProviderId":"b"}`), want: all("400 A")},
		{name: "DeleteIDAllZero", act: do("DELETE", "/Users/"+zeroID, ""), want: all("400 A")},
		{name: "QueryBool", act: do("GET", "/Users?isHidden=maybe", ""), want: all("400 C isHidden")},

		{name: "JSON", act: typed("application/json", bob), want: all("200")},
		{name: "JSONCharset", act: typed("application/json; charset=utf-8", bob), want: all("200")},
		{name: "TextJSON", act: typed("text/json", bob), want: all("200")},
		{name: "SuffixJSON", act: typed("application/vnd.x+json", bob), want: all("200")},
		{name: "Form", act: typed("application/x-www-form-urlencoded", bob), want: all("415 C")},
		{name: "NoContentType", act: typed("", bob), want: all("415 C")},
		{name: "MemberCase", act: do("POST", "/Users/New", `{"nAME":"bob","pASSWORD":"pw"}`), want: all("200")},
		{name: "UnknownMember", act: do("POST", "/Users/New", `{"Name":"bob","Password":"pw","Policy":{"IsAdministrator":true}}`), want: all("200"), then: func(d *double) {
			if d.user("bob").Policy.IsAdministrator { // §0.3: a policy in the body is ignored
				d.t.Fatal("the policy in the body counted")
			}
		}},
		{name: "Comment", act: do("POST", "/Users/New", `{/* no */"Name":"bob"}`), want: all("400 C $,request")},
		{name: "Malformed", act: do("POST", "/Users/New", `{"Name":`), want: all("400 C $.Name,request")},
		{name: "MalformedAtOnce", act: do("POST", "/Users/New", `nope`), want: all("400 C $,request")},
		{name: "AfterTheEnd", act: do("POST", "/Users/New", bob+`{}`), want: all("400 C $,request")},
		{name: "NotAnObject", act: do("POST", "/Users/New", `[]`), want: all("400 C $,request")},
		{name: "EmptyBody", act: typed("application/json", ""), want: all("400 C ,request")},
		{name: "NullBody", act: typed("application/json", "null"), want: all("400 C ,request")},
		{name: "WrongTypeString", act: do("POST", "/Users/New", `{"Name":5}`), want: all("400 C $.Name,request")},

		{name: "WrongTypeBool", act: do("POST", policy, `{"IsDisabled":"yes"}`), want: all("400 C $.IsDisabled,newPolicy")},
		{name: "NullBool", act: do("POST", policy, `{"IsDisabled":null}`), want: all("400 C $.IsDisabled,newPolicy")},
		{name: "NumberForBool", act: do("POST", policy, `{"IsDisabled":0,"AuthenticationProviderId":"a","PasswordResetProviderId":"b"}`), want: since109("500 A", "400 C $.IsDisabled,newPolicy")},
		{name: "WrongTypeInt", act: do("POST", policy, `{"MaxActiveSessions":1.5}`), want: all("400 C $.MaxActiveSessions,newPolicy")},
		{name: "UnknownEnum", act: do("POST", policy, `{"SyncPlayAccess":"Maybe"}`), want: all("400 C $.SyncPlayAccess,newPolicy")},
		{name: "UnknownEnumInList", act: do("POST", policy, `{"BlockUnratedItems":["Movie","Nope"]}`), want: all("400 C $.BlockUnratedItems[1],newPolicy")},
		{name: "BadGuidInList", act: do("POST", policy, `{"EnabledFolders":["abc"]}`), want: all("400 C ,newPolicy")},
		{name: "BadGuidInIgnoredList", act: do("POST", policy, `{"BlockedChannels":["abc"]}`), want: all("400 C ,newPolicy")},
		{name: "ListIsNoList", act: do("POST", policy, `{"EnabledFolders":"abc"}`), want: all("400 C $.EnabledFolders,newPolicy")},
		{name: "BadIDAndBadBody", act: do("POST", "/Users/abc/Policy", `{"IsDisabled":"yes"}`), want: all("400 C userId,$.IsDisabled,newPolicy")},
	})
}

// Numbers may be strings, enums may be numbers.
func TestLenientInput(t *testing.T) {
	each(t, Config{}, func(d *double) {
		id := d.AddUser("bob", "pw")
		d.check(d.setPolicy(id, map[string]any{"MaxActiveSessions": "4", "SyncPlayAccess": 2, "MaxParentalRating": "12"}), "204")
		y := d.user("bob").Policy
		if y.MaxActiveSessions != 4 || y.SyncPlayAccess != "None" || *y.MaxParentalRating != 12 {
			d.t.Fatalf("%+v", y)
		}
	})
}

// A base path answers everything outside with a redirect to the web client.
func TestBasePath(t *testing.T) {
	each(t, Config{BasePath: "/jf/"}, func(d *double) {
		d.check(d.do("GET", "/System/Info/Public", ""), "200")
		root := strings.TrimSuffix(d.URL(), "/jf")
		for _, path := range []string{"/System/Info/Public", "/", "/jfx/System/Info/Public"} {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, root+path, nil)
			res, err := d.client.Do(r)
			if err != nil {
				d.t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusFound || res.Header.Get("Location") != "/jf/web/" {
				d.t.Fatalf("%s: %d %s", path, res.StatusCode, res.Header.Get("Location"))
			}
		}
		// Who follows gets a page, with 200.
		d.check(d.do("GET", "/web/", ""), "200 html")
	})
}

// Clients that ask for camelCase get it, but for the keys of dictionaries.
func TestCamelCase(t *testing.T) {
	each(t, Config{}, func(d *double) {
		ask := map[string]string{"Authorization": `MediaBrowser Token="` + d.key + `"`, "Accept": `application/json; profile="CamelCase"`}
		a := d.try(t.Context(), "GET", "/Users", "", ask)
		var users []map[string]any
		a.get(d.t, &users)
		if users[0]["serverId"] == nil || users[0]["policy"].(map[string]any)["isAdministrator"] != true {
			d.t.Fatal(a.body)
		}
		if got := a.header.Get("Content-Type"); got != `application/json; profile="CamelCase"; charset=utf-8` {
			d.t.Fatal(got)
		}
		id := d.Users()[0].ID
		path := "/DisplayPreferences/usersettings?client=emby&userId=" + id
		d.check(d.do("POST", path, `{"CustomPrefs":{"Homesection0":"nextup"}}`), "204")
		custom := d.try(t.Context(), "GET", path, "", ask).members(d.t)["customPrefs"].(map[string]any)
		if custom["Homesection0"] != "nextup" {
			d.t.Fatal(custom)
		}
	})
	for in, want := range map[string]string{"ID": "id", "PlayState": "playState", "IDs": "iDs", "URLPath": "urlPath", "a": "a"} {
		if got := string(lowerFirstWord([]byte(in))); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// Compressed when asked.
func TestGzip(t *testing.T) {
	each(t, Config{}, func(d *double) {
		a := d.try(t.Context(), "GET", "/Users", "", map[string]string{"Authorization": `MediaBrowser Token="` + d.key + `"`, "Accept-Encoding": "gzip, br"})
		if a.header.Get("Content-Encoding") != "gzip" {
			d.t.Fatal(a.header)
		}
		z, err := gzip.NewReader(strings.NewReader(a.body))
		if err != nil {
			d.t.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if err != nil || string(plain) != d.do("GET", "/Users", "").body {
			d.t.Fatalf("%v %s", err, plain)
		}
	})
}

// What is not plain ASCII is escaped, and reads back the same.
func TestStringsReadBack(t *testing.T) {
	for _, s := range []string{"", "bob", "Zoë", "日本", "a\"b\\c\n\r\t\x01\x7f", "<&'+`>", "😀", "\u2028"} {
		quoted := appendString(nil, s)
		var back string
		answer{body: string(quoted)}.get(t, &back)
		if back != s || strings.ContainsFunc(string(quoted), func(r rune) bool { return r > 0x7e }) {
			t.Errorf("%q became %s", s, quoted)
		}
	}
}

func TestVersions(t *testing.T) {
	for text, want := range map[string]string{"": "10.11.6", "12.0": "12.0.0", "12": "12.0.0", "10.7.7": "10.7.7"} {
		if got := New(Config{Version: text}).Version(); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"twelve", "10.11.6.1", "10..1"} {
		if _, err := parseVersion(text); err == nil {
			t.Errorf("%q passed", text)
		}
	}
}
