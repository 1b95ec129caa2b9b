package jellyfin

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/zondarr/zondarr/plugins/jellyfin/jellyfintest"
	"github.com/zondarr/zondarr/sdk"
)

func anyGrant(libraries []string) *rapid.Generator[sdk.Grant] {
	return rapid.Custom(func(t *rapid.T) sdk.Grant {
		g := sdk.Grant{Permissions: map[string]sdk.Tri{}, Limits: map[string]int64{}}
		g.Libraries.Mode = rapid.SampledFrom([]sdk.LibraryMode{sdk.LibraryAll, sdk.LibraryNone, sdk.LibraryOnly}).Draw(t, "mode")
		if g.Libraries.Mode == sdk.LibraryOnly {
			g.Libraries.IDs = rapid.SliceOfNDistinct(rapid.SampledFrom(libraries), 1, len(libraries), rapid.ID[string]).Draw(t, "ids")
		}
		for _, p := range permissions {
			if tri := rapid.SampledFrom([]sdk.Tri{sdk.Unset, sdk.Allow, sdk.Deny}).Draw(t, p.info.Name); tri != sdk.Unset || rapid.Bool().Draw(t, "named") {
				g.Permissions[p.info.Name] = tri
			}
		}
		for _, l := range limits {
			if rapid.Bool().Draw(t, "limited") {
				g.Limits[l.info.Name] = rapid.Int64Range(0, l.info.Max).Draw(t, l.info.Name)
			}
		}
		return g
	})
}

// anyPolicy is a policy with members that nobody here has heard of.
func anyPolicy() *rapid.Generator[policy] {
	return rapid.Custom(func(t *rapid.T) policy {
		p := policy{}
		for name, raw := range rapid.MapOfN(rapid.StringMatching(`X[a-zA-Z]{1,8}`), rapid.SampledFrom([]string{
			`true`, `null`, `12345678901234567890`, `1.10`, `"a\u00e9\n"`, `[1, 2]`, `{"a": {"B" : 1e400}}`,
		}), 0, 8).Draw(t, "unknown") {
			p[name] = json.RawMessage(raw)
		}
		for _, known := range permissions {
			if rapid.Bool().Draw(t, "there") {
				p[known.member] = json.RawMessage(rapid.SampledFrom([]string{"true", "false"}).Draw(t, "value"))
			}
		}
		if rapid.Bool().Draw(t, "odd") { // whatever a server gives a new user
			p["IsAdministrator"], p["IsDisabled"], p["EnableAllChannels"] = json.RawMessage("true"), json.RawMessage("true"), json.RawMessage("true")
		}
		return p
	})
}

// An overlay changes its own members and leaves every other byte alone, and what
// it wrote is what the check finds.
func TestOverlayKeepsUnknownMembers(t *testing.T) {
	libs := []string{strings.Repeat("a1", 16), strings.Repeat("b2", 16)}
	rapid.Check(t, func(t *rapid.T) {
		before := anyPolicy().Draw(t, "policy")
		kept := maps.Clone(before)
		o, err := grantOverlay(v12, anyGrant(libs).Draw(t, "grant"))
		if err != nil {
			t.Fatal(err)
		}
		after, err := o.over(before)
		if err != nil {
			t.Fatal(err)
		}
		if !maps.EqualFunc(before, kept, func(a, b json.RawMessage) bool { return string(a) == string(b) }) {
			t.Fatal("the policy that was read has changed")
		}
		for member, raw := range before {
			if _, own := o[member]; !own && string(after[member]) != string(raw) {
				t.Fatalf("%s was %s and is %s", member, raw, after[member])
			}
		}
		if lost := o.lostIn(after); lost != "" {
			t.Fatalf("%s is not as it was written", lost)
		}
		member := rapid.SampledFrom(slices.Sorted(maps.Keys(o))).Draw(t, "member")
		delete(after, member)
		if o.lostIn(after) != member {
			t.Fatalf("the loss of %s was not seen", member)
		}
	})
}

// A grant, written as a policy and read as a user, is the grant, with the defaults
// that were declared where it said nothing.
func TestGrantReadBackIsTheGrant(t *testing.T) {
	libs := []string{strings.Repeat("a1", 16), strings.Repeat("b2", 16)}
	rapid.Check(t, func(t *rapid.T) {
		g := anyGrant(libs).Draw(t, "grant")
		o, err := grantOverlay(v12, g)
		if err != nil {
			t.Fatal(err)
		}
		p, err := o.over(anyPolicy().Draw(t, "policy"))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(map[string]any{"Name": "bob", "Id": libs[0], "Policy": p})
		if err != nil {
			t.Fatal(err)
		}
		r, err := decodeRecord(raw)
		if err != nil {
			t.Fatal(err)
		}
		wantGrant(t, r.toSDK(), g)
	})
}

// wantGrant fails unless the user has exactly the grant.
func wantGrant(t failer, u sdk.User, g sdk.Grant) {
	t.Helper()
	if u.Protected || u.Status != sdk.StatusActive {
		t.Fatalf("the user is %+v", u)
	}
	if u.Libraries == nil || u.Libraries.Mode != g.Libraries.Mode || !sameIDs(u.Libraries.IDs, g.Libraries.IDs) {
		t.Fatalf("libraries are %+v, want %+v", u.Libraries, g.Libraries)
	}
	for _, p := range permissions {
		want := g.Permissions[p.info.Name]
		if want == sdk.Unset {
			want = p.info.Default
		}
		if got, told := u.Permissions[p.info.Name]; told && got != want {
			t.Fatalf("%s is %s, want %s", p.info.Name, got, want)
		}
	}
	for _, l := range limits {
		if got := u.Limits[l.info.Name]; got != g.Limits[l.info.Name] {
			t.Fatalf("%s is %d, want %d", l.info.Name, got, g.Limits[l.info.Name])
		}
	}
}

// The same through the server, on every version: it has exactly the grant.
func TestCreateGivesExactlyTheGrant(t *testing.T) {
	eachVersion(t, func(t *testing.T, u *upstream, c *client) {
		old := u.Version() == "10.8.13"
		rapid.Check(t, func(t *rapid.T) {
			g := anyGrant([]string{u.movies, u.shows, u.music}).Draw(t, "grant")
			if old {
				delete(g.Permissions, "jellyfin.collections")
				delete(g.Permissions, "jellyfin.subtitles")
			}
			resp, err := c.CreateUser(t.Context(), newBob(g))
			if err != nil {
				t.Fatal(err)
			}
			wantGrant(t, resp.User, g)
			p := mustHave(t, u, "bob").Policy
			if p.IsAdministrator || p.IsDisabled || p.EnableAllChannels != (g.Libraries.Mode == sdk.LibraryAll) || len(p.EnabledChannels) != 0 {
				t.Fatalf("the policy is %+v", p)
			}
			if _, told := resp.User.Permissions["jellyfin.subtitles"]; told == old {
				t.Fatal("a permission is told that the version lacks, or not told")
			}
			if _, err := c.DeleteUser(t.Context(), sdk.DeleteUserRequest{ID: resp.User.ID}); err != nil {
				t.Fatal(err)
			}
		})
	})
}

func TestGrantsThatCannotBe(t *testing.T) {
	u := start(t, jellyfintest.Config{Version: "10.8.13"})
	c := u.open()
	for name, row := range map[string]struct {
		grant sdk.Grant
		want  sdk.Reason
		field string
	}{
		"ErrModeMissing":       {sdk.Grant{}, sdk.ReasonInvalid, "libraries"},
		"ErrOnlyNothing":       {only(), sdk.ReasonInvalid, "libraries"},
		"ErrAllWithIDs":        {sdk.Grant{Libraries: sdk.LibraryAccess{Mode: sdk.LibraryAll, IDs: []string{u.movies}}}, sdk.ReasonInvalid, "libraries"},
		"ErrNoLibraryID":       {only("movies"), sdk.ReasonLibraryNotFound, "libraries"},
		"ErrUnknownPermission": {with(only(u.movies), "fly", sdk.Allow), sdk.ReasonInvalid, "permissions.fly"},
		"ErrNotInThisVersion":  {with(only(u.movies), "jellyfin.subtitles", sdk.Allow), sdk.ReasonUnsupported, "permissions.jellyfin.subtitles"},
		"ErrUnknownLimit":      {sdk.Grant{Libraries: only(u.movies).Libraries, Limits: map[string]int64{"beer": 1}}, sdk.ReasonInvalid, "limits.beer"},
		"ErrLimitNegative":     {sdk.Grant{Libraries: only(u.movies).Libraries, Limits: map[string]int64{sdk.LimitMaxSessions: -1}}, sdk.ReasonInvalid, "limits.max_sessions"},
		"ErrLimitTooLarge":     {sdk.Grant{Libraries: only(u.movies).Libraries, Limits: map[string]int64{sdk.LimitRemoteBitrate: 1 << 31}}, sdk.ReasonInvalid, "limits.remote_bitrate_bps"},
		"ErrUnknownOption":     {sdk.Grant{Libraries: only(u.movies).Libraries, Options: map[string]any{"x": 1}}, sdk.ReasonInvalid, "options.x"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.CreateUser(t.Context(), newBob(row.grant))
			wantReason(t, err, row.want)
			if e := problem(err); len(e.Fields) != 1 || e.Fields[0].Field != row.field {
				t.Errorf("fields are %+v, want %q", e.Fields, row.field)
			}
			if n := u.CountRequests("POST", "/Users/New"); n != 0 {
				t.Error("an account was made")
			}
		})
	}
}

func with(g sdk.Grant, permission string, tri sdk.Tri) sdk.Grant {
	g.Permissions = map[string]sdk.Tri{permission: tri}
	return g
}

// A server newer than anything seen here keeps its members through a change.
func TestChangeKeepsWhatALaterVersionAdds(t *testing.T) {
	const id = "00112233445566778899aabbccddeeff"
	var mu sync.Mutex
	stored := `{"IsAdministrator":false,"IsDisabled":false,"EnableAllFolders":true,"Hologram":{"Depth":3.50,"On":[true,null]},"BigNumber":12345678901234567890}`
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		switch {
		case r.URL.Path == "/System/Info/Public":
			_, _ = w.Write([]byte(`{"ServerName":"x","Version":"14.2.0","ProductName":"Jellyfin Server","Id":"` + id + `","StartupWizardCompleted":true}`))
		case r.Method == http.MethodGet:
			_, _ = w.Write([]byte(`{"Name":"bob","Id":"` + id + `","Policy":` + stored + `}`))
		default:
			var p map[string]json.RawMessage
			if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
				t.Error(err)
			}
			if got := string(p["Hologram"]); got != `{"Depth":3.50,"On":[true,null]}` {
				t.Errorf("Hologram is %s", got)
			}
			if got := string(p["BigNumber"]); got != "12345678901234567890" {
				t.Errorf("BigNumber is %s", got)
			}
			b, _ := json.Marshal(p)
			stored = string(b)
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	defer srv.Close()
	c := openAt(t, sdk.ServerRef{URL: srv.URL, Secrets: map[string]string{apiKey: "k"}})
	got := must(c.Suspend(t.Context(), sdk.SuspendRequest{ID: id}))(t).User
	if got.Status != sdk.StatusSuspended || got.Libraries.Mode != sdk.LibraryAll {
		t.Errorf("the user is %+v", got)
	}
}

// Deleting from some libraries only is neither yes nor no; denied, it is gone.
func TestDeleteMediaFromSomeLibraries(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	id := u.AddUser("bob", password, func(p *jellyfintest.Policy) { p.EnableContentDeletionFromFolders = []string{u.movies} })
	before := must(c.GetUser(t.Context(), sdk.GetUserRequest{ID: id}))(t).User
	if tri, told := before.Permissions[sdk.PermissionDeleteMedia]; told {
		t.Errorf("delete_media is %s", tri)
	}
	after := must(c.SetPermissions(t.Context(), sdk.SetPermissionsRequest{ID: id, Permissions: map[string]sdk.Tri{sdk.PermissionDeleteMedia: sdk.Deny}}))(t).User
	if after.Permissions[sdk.PermissionDeleteMedia] != sdk.Deny {
		t.Errorf("delete_media is %s", after.Permissions[sdk.PermissionDeleteMedia])
	}
	if p := mustHave(t, u, id).Policy; len(p.EnableContentDeletionFromFolders) != 0 {
		t.Errorf("deleting is still allowed in %q", p.EnableContentDeletionFromFolders)
	}
}
