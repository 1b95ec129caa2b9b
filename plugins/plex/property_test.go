package plex

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
	"github.com/zondarr/zondarr/sdk"
)

// An empty list, which Plex takes for "all", is written by exactly one value.
func TestSelectionProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mode := rapid.SampledFrom([]sdk.LibraryMode{"", sdk.LibraryAll, sdk.LibraryNone, sdk.LibraryOnly, "most"}).Draw(t, "mode")
		ids := rapid.SliceOfN(rapid.OneOf(rapid.StringMatching(`[0-9]{1,12}`), rapid.StringN(0, 4, 8)), 0, 5).Draw(t, "ids")
		s, err := selectionOf(sdk.LibraryAccess{Mode: mode, IDs: ids})
		if err != nil {
			if _, err := json.Marshal(s); err == nil {
				t.Fatal("a refused choice can be written")
			}
			return
		}
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if (string(data) == "[]") != (mode == sdk.LibraryAll) {
			t.Fatalf("%s with %q is written as %s", mode, ids, data)
		}
		var numbers []json.Number
		if err := json.Unmarshal(data, &numbers); err != nil {
			t.Fatal(err)
		}
		if mode == sdk.LibraryOnly {
			want := map[string]bool{}
			for _, id := range ids {
				want[id] = true
			}
			if len(numbers) != len(want) {
				t.Fatalf("%q is written as %s", ids, data)
			}
		}
	})
	for _, s := range []selection{{}, {ids: []string{}}, {all: true, ids: []string{"1"}}} {
		if data, err := json.Marshal(s); err == nil {
			t.Errorf("%+v is written as %s", s, data)
		}
	}
}

// What Plex says about a person and this code does not understand is written
// back as it was.
func TestSharingProperty(t *testing.T) {
	flags := []string{"allowSync", "allowCameraUpload", "allowChannels", "allowSubtitleAdmin"}
	rapid.Check(t, func(t *rapid.T) {
		in := map[string]any{}
		for _, name := range flags {
			in[name] = rapid.Bool().Draw(t, name)
		}
		in["allowTuners"] = float64(rapid.IntRange(0, 2).Draw(t, "tuners"))
		for _, name := range filterNames() {
			in[name] = rapid.StringN(1, 20, 40).Draw(t, name)
		}
		extra := rapid.MapOf(rapid.StringMatching(`x[a-zA-Z]{1,8}`), rapid.SampledFrom([]any{nil, true, "text", 7.5, []any{"a"}, map[string]any{"b": 1.0}})).Draw(t, "extra")
		maps.Copy(in, extra)
		data, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var set sharing
		if err := json.Unmarshal(data, &set); err != nil {
			t.Fatal(err)
		}
		download := rapid.SampledFrom([]sdk.Tri{sdk.Unset, sdk.Allow, sdk.Deny}).Draw(t, "download")
		back, err := json.Marshal(wishes{download: download}.apply(set))
		if err != nil {
			t.Fatal(err)
		}
		if download != sdk.Unset {
			in["allowSync"] = download == sdk.Allow
		}
		want, _ := json.Marshal(in)
		var a, b any
		_ = json.Unmarshal(want, &a)
		_ = json.Unmarshal(back, &b)
		wantText, _ := json.Marshal(a)
		gotText, _ := json.Marshal(b)
		if string(wantText) != string(gotText) {
			t.Fatalf("written back %s, want %s", gotText, wantText)
		}
	})
}

// For every grant, way of Plex to behave and order of calls: what is said
// afterwards is what was asked, and what the person can open is what is said.
func TestAccessProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t, func(s *plextest.Switches) {
			s.V2CreateGone = rapid.Bool().Draw(rt, "v2 create gone")
			s.PartialSections = rapid.Bool().Draw(rt, "partial sections")
			s.OwnerUsernameOnly = rapid.Bool().Draw(rt, "owner by name")
			s.BoolWords = rapid.Bool().Draw(rt, "bool words")
			s.OrphanRow = rapid.Bool().Draw(rt, "orphan rows")
			s.EmptyUpdate = rapid.SampledFrom([]string{"all", "none", "refuse"}).Draw(rt, "empty update")
			s.TunersForAnyone = rapid.Bool().Draw(rt, "tuners for anyone")
		})
		titles := []string{"Movies", "Shows", "Music"}
		access := func(name string) (sdk.LibraryAccess, []string) {
			if rapid.Bool().Draw(rt, name+" all") {
				return all(), titles
			}
			some := slices.DeleteFunc(slices.Clone(titles), func(string) bool { return rapid.Bool().Draw(rt, name+" without") })
			if len(some) == 0 {
				some = []string{"Shows"}
			}
			return r.only(some...), some
		}
		permission := func(name string) sdk.Tri {
			return rapid.SampledFrom([]sdk.Tri{sdk.Unset, sdk.Allow, sdk.Deny}).Draw(rt, name)
		}
		libraries, open := access("create")
		download := permission("create download")
		out, err := r.create(r.alice, sdk.Grant{Libraries: libraries, Permissions: map[string]sdk.Tri{sdk.PermissionDownload: download}})
		if err != nil {
			rt.Fatal(err)
		}
		if download == sdk.Unset {
			download = sdk.Deny // what the plugin declares
		}
		check := func(what string, u sdk.User) {
			if u.Status != sdk.StatusActive || u.Permissions[sdk.PermissionDownload] != download || u.Libraries.Mode != libraries.Mode {
				rt.Fatalf("%s: %+v, asked for %s, download %s", what, u, libraries.Mode, download)
			}
			want := slices.Clone(libraries.IDs)
			slices.Sort(want)
			if got := r.access(r.alice); !slices.Equal(u.Libraries.IDs, want) || !slices.Equal(got, open) {
				rt.Fatalf("%s: says %v, opens %v, want %v", what, u.Libraries.IDs, got, open)
			}
			if n := len(r.fake.LiveShares()); n != 1 {
				rt.Fatalf("%s: %d shares", what, n)
			}
		}
		check("create", out.User)
		for range rapid.IntRange(0, 3).Draw(rt, "calls") {
			switch rapid.IntRange(0, 2).Draw(rt, "call") {
			case 0:
				libraries, open = access("set")
				u, err := r.setLibraries(out.User.ID, libraries)
				if err != nil {
					rt.Fatal(err)
				}
				check("set libraries", u)
			case 1:
				value := permission("set download")
				if value != sdk.Unset {
					download = value
				}
				u, err := r.setPermission(out.User.ID, sdk.PermissionDownload, value)
				if err != nil {
					rt.Fatal(err)
				}
				check("set permissions", u)
			default:
				u, err := r.get(out.User.ID)
				if err != nil {
					rt.Fatal(err)
				}
				check("get", u)
				if _, err := r.suspend(u.ID); err != nil {
					rt.Fatal(err)
				}
				if len(r.access(r.alice)) > 0 {
					rt.Fatal("suspended, but not without access")
				}
				if u, err = r.resume(u); err != nil {
					rt.Fatal(err)
				}
				check("resume", u)
			}
		}
	})
}

// Ids come as numbers or text, booleans in all of Plex's ways, and nothing else.
func TestDecodeValues(t *testing.T) {
	var v struct {
		I ident  `json:"i"`
		F flag   `json:"f"`
		N number `json:"n"`
		S stamp  `json:"s"`
	}
	for text, want := range map[string]flag{"true": true, "1": true, `"1"`: true, `"true"`: true, "false": false, "0": false, `""`: false, "null": false} {
		v.F = !want
		if err := json.Unmarshal([]byte(`{"f":`+text+`}`), &v); err != nil || v.F != want {
			// encoding/json leaves a field alone that is null
			if text != "null" {
				t.Errorf("flag %s: %t, %v", text, v.F, err)
			}
		}
	}
	for _, bad := range []string{`{"f":"maybe"}`, `{"f":2}`, `{"f":[]}`, `{"i":1.5}`, `{"i":true}`, `{"i":{}}`, `{"n":"x"}`, `{"n":1.5}`} {
		if err := json.Unmarshal([]byte(bad), &v); err == nil {
			t.Errorf("%s is understood: %+v", bad, v)
		}
	}
	for text, want := range map[string]ident{`12`: "12", `"12"`: "12", `0`: "", `null`: "", `"a@b"`: "a@b"} {
		v.I = ""
		if err := json.Unmarshal([]byte(`{"i":`+text+`}`), &v); err != nil || v.I != want {
			t.Errorf("id %s: %q, %v", text, v.I, err)
		}
	}
	for text, set := range map[string]bool{`null`: false, `""`: false, `0`: false, `1700000000`: true, `"2026-10-15T12:00:00Z"`: true, `"soon"`: true} {
		v.S = stamp{}
		if err := json.Unmarshal([]byte(`{"s":`+text+`}`), &v); err != nil || v.S.set != set {
			t.Errorf("time %s: %+v, %v", text, v.S, err)
		}
	}
}

// The shapes in which Plex refuses, and a page that says nothing.
func TestParseRefusal(t *testing.T) {
	tests := map[string]refused{
		`{"errors":[{"code":1001,"message":"User could not be authenticated","status":401}]}`: {code: 1001, text: "User could not be authenticated"},
		`{"errors":[{"code":"1999","field":"base"}]}`:                                         {code: 1999},
		`<errors><error code="1002" message="nope" status="404"/></errors>`:                   {code: 1002, text: "nope"},
		`<errors><error>Not found</error></errors>`:                                           {text: "Not found"},
		`<Response code="400" status="You're already sharing"/>`:                              {text: "You're already sharing"},
		`<html><head><title>Bad</title></head></html>`:                                        {},
		`{}`:       {},
		`[]`:       {},
		``:         {},
		`not json`: {},
	}
	for body, want := range tests {
		if got := parseRefusal([]byte(body)); *got != want {
			t.Errorf("%s: %+v, want %+v", body, *got, want)
		}
	}
	// Its words are read, never shown.
	r := refused{status: 400, code: 7, text: "canary"}
	if strings.Contains(r.Error(), "canary") {
		t.Error("an upstream text is in an error")
	}
}
