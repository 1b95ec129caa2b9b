package jellyfin

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/zondarr/zondarr/plugins/jellyfin/jellyfintest"
	"github.com/zondarr/zondarr/sdk"
)

// What breaks naive plugins, one by one.

// The key travels in the Authorization header alone: in no other header, no query
// and no path, and not at all where anybody may ask. With that, a server that has
// the old ways switched off accepts it.
func TestOnlyTheAuthorizationHeader(t *testing.T) {
	off := false
	for _, v := range versions {
		u := start(t, jellyfintest.Config{Version: v, LegacyAuth: &off})
		c := u.open()
		id := u.AddUser("bob", password)
		for verb, call := range everyVerb(t, c, id) {
			if verb == "DeleteUser" {
				continue
			}
			if err := call(); err != nil && sdk.ReasonOf(err) != sdk.ReasonUnsupported {
				t.Errorf("%s on %s: %v", verb, v, err)
			}
		}
		for _, r := range u.Requests() {
			for _, h := range r.Headers {
				if !slices.Contains([]string{"Accept", "Accept-Encoding", "Authorization", "Content-Length", "Content-Type", "User-Agent"}, h) {
					t.Errorf("%s %s sends the header %s", r.Method, r.Path, h)
				}
			}
			if open := r.Path == "/System/Info/Public"; open == slices.Contains(r.Headers, "Authorization") {
				t.Errorf("%s %s sends %q", r.Method, r.Path, r.Headers)
			}
			var query []string
			if r.Path == "/Users/Password" {
				query = []string{"userId"}
			}
			if !slices.Equal(r.Query, query) {
				t.Errorf("%s %s sends the query %q", r.Method, r.Path, r.Query)
			}
		}
	}
}

// The header's value is decoded as a URL's.
func TestKeyIsEncodedInTheHeader(t *testing.T) {
	for _, key := range []string{"plain", `a"b,c+d%e f`, "schlüssel", "a/b?c=d&e"} {
		u := start(t, jellyfintest.Config{APIKey: key})
		if _, err := testConnection(t, u.open()); err != nil {
			t.Errorf("%q: %v", key, err)
		}
	}
}

// A taken name and an illegal one are the same 400: no word of the server is read.
func TestRefusalsAreNotParsed(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	u.AddUser("bob", password)
	_, err := c.CreateUser(t.Context(), newBob(only(u.movies)))
	wantReason(t, err, sdk.ReasonUsernameTaken)
	if strings.Contains(err.Error(), thrownText) {
		t.Errorf("the server's words are in %q", err)
	}
}

// The server ignores a policy in the request that makes an account: it has all
// libraries until the second request, which therefore must not fail alone.
func TestPolicyComesSecond(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	u.AddFault(jellyfintest.Fault{Path: "/Users/*/Policy", Action: jellyfintest.Locked})
	_, err := c.CreateUser(t.Context(), newBob(only(u.movies)))
	wantReason(t, err, sdk.ReasonServerError)
	if n := u.CountRequests("DELETE", "/Users/*"); n != 1 || u.UserCount() != 1 {
		t.Errorf("%d deletes, %d users", n, u.UserCount())
	}
}

// No account is ever made without a password.
func TestNoAccountWithoutAPassword(t *testing.T) {
	eachVersion(t, func(t *testing.T, u *upstream, c *client) {
		_, err := c.CreateUser(t.Context(), sdk.CreateUserRequest{Username: "bob", Grant: only(u.movies)})
		wantReason(t, err, sdk.ReasonPasswordRejected)
		must(c.CreateUser(t.Context(), newBob(only(u.movies))))(t)
		if u.SignIn("bob", "") == nil {
			t.Error("an empty password opens the account")
		}
	})
}

// "ResetPassword" blanks a password. It is never sent.
func TestResetPasswordIsNeverSent(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	id := u.AddUser("bob", password)
	sent := &recordRequests{next: c.http.Transport}
	c.http.Transport = sent
	must(c.SetPassword(t.Context(), sdk.SetPasswordRequest{ID: id, Password: "another one"}))(t)
	if last := sent.all[len(sent.all)-1]; last.path != "/Users/Password" || last.body != `{"NewPw":"another one"}` {
		t.Errorf("sent %+v", last)
	}
	if u.SignIn("bob", "") == nil {
		t.Error("an empty password opens the account")
	}
}

// A policy is replaced whole: what is left out takes a default that grants more.
func TestPolicyIsSentWhole(t *testing.T) {
	eachVersion(t, func(t *testing.T, u *upstream, c *client) {
		id := u.AddUser("bob", password, func(p *jellyfintest.Policy) {
			p.EnableAllFolders, p.EnableLiveTvManagement, p.EnableAllDevices, p.EnabledDevices = false, false, false, []string{"phone"}
			p.EnableUserPreferenceAccess, p.IsHidden, p.LoginAttemptsBeforeLockout = false, false, 5
		})
		before := mustHave(t, u, id).Policy
		must(c.SetPermissions(t.Context(), sdk.SetPermissionsRequest{ID: id, Permissions: map[string]sdk.Tri{sdk.PermissionDownload: sdk.Deny}}))(t)
		before.EnableContentDownloading = false
		if after := mustHave(t, u, id).Policy; fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("the policy was\n%+v and is\n%+v", before, after)
		}
	})
}

// Who may manage lyrics is never told, so that a change turns it off. That cannot
// be helped, and is said.
func TestLyricsAreSpokenOf(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	id := u.AddUser("bob", password, func(p *jellyfintest.Policy) { p.EnableLyricManagement = true })
	must(c.SetPermissions(t.Context(), sdk.SetPermissionsRequest{ID: id}))(t)
	if !mustHave(t, u, id).Policy.EnableLyricManagement {
		t.Error("a change of nothing turned lyric management off")
	}
	must(c.Suspend(t.Context(), sdk.SuspendRequest{ID: id}))(t)
	if mustHave(t, u, id).Policy.EnableLyricManagement {
		t.Error("lyric management survived: the note about it is out of date")
	}
	traits := New().Describe().Traits
	if !strings.Contains(traits.SuspendNote, "lyrics") || !strings.Contains(traits.LibraryNote, "lyrics") {
		t.Errorf("the notes are %q and %q", traits.SuspendNote, traits.LibraryNote)
	}
}

// On 10.8 a key gets 500 from the password endpoint: it is not even called, and the
// facts say so. All else works.
func TestKeyOn10_8(t *testing.T) {
	u := start(t, jellyfintest.Config{Version: "10.8.13"})
	c := u.open()
	id := must(c.CreateUser(t.Context(), newBob(only(u.movies))))(t).User.ID
	_, err := c.SetPassword(t.Context(), sdk.SetPasswordRequest{ID: id, Password: "another one"})
	wantReason(t, err, sdk.ReasonUnsupported)
	if n := u.CountRequests("POST", "/Users/*/Password"); n != 0 {
		t.Errorf("%d requests that must fail", n)
	}
	must(c.Suspend(t.Context(), sdk.SuspendRequest{ID: id}))(t)
	must(c.DeleteUser(t.Context(), sdk.DeleteUserRequest{ID: id}))(t)
}

// On 10.8 a sign-in without a device id signs everybody out, and one with another
// user's device id that user. Ours is there, whole, and one's own.
func TestSignInDisturbsNobody(t *testing.T) {
	u := start(t, jellyfintest.Config{Version: "10.8.13"})
	c := u.open()
	for _, name := range []string{"alice", "bob"} {
		u.AddUser(name, password)
		if _, err := u.SignInDevice(name, "phone"); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		for _, name := range []string{"alice", "bob"} {
			if !must(c.VerifyPassword(t.Context(), sdk.VerifyPasswordRequest{Username: name, Password: password}))(t).OK {
				t.Errorf("%s cannot sign in", name)
			}
		}
	}
	for _, name := range []string{"alice", "bob"} {
		if n := mustHave(t, u, name).Tokens; n != 1 {
			t.Errorf("%s has %d sessions, want the phone's", name, n)
		}
	}
	other := openAt(t, sdk.ServerRef{URL: u.URL(), Secrets: u.ref.Secrets, InstallationID: "another"})
	if c.device("bob") == c.device("alice") || c.device("bob") != c.device("BOB") || c.device("bob") == other.device("bob") {
		t.Error("device ids are not one for each person and installation")
	}
	if c.device("bob") != u.open().device("bob") {
		t.Error("a restart changes the device id")
	}
}

// Ids are one in either form: with dashes, without, in any case.
func TestIDsInEitherForm(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	id := u.AddUser("bob", password)
	dashed := func(id string) string {
		return strings.ToUpper(id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:])
	}
	got := must(c.SetLibraryAccess(t.Context(), sdk.SetLibraryAccessRequest{ID: dashed(id), Access: only(dashed(u.movies), u.shows).Libraries}))(t).User
	if got.ID != id || !slices.Equal(idSet(got.Libraries.IDs), idSet([]string{u.movies, u.shows})) {
		t.Errorf("the user is %+v", got)
	}
}

// The key and the passwords are in no log line and no error.
func TestSecretsAreNotSpokenOf(t *testing.T) {
	for _, action := range []jellyfintest.Action{jellyfintest.Locked, jellyfintest.Cut, jellyfintest.HTML, jellyfintest.Unauthorized, jellyfintest.Redirect, jellyfintest.Forget, jellyfintest.CutBody} {
		u := start(t, jellyfintest.Config{})
		c := u.open()
		var log bytes.Buffer
		c.log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		id := u.AddUser("bob", password)
		must(c.ready(t.Context()))(t)
		u.AddFault(jellyfintest.Fault{Action: action})
		for verb, call := range everyVerb(t, c, id) {
			if err := call(); err != nil {
				fmt.Fprintln(&log, verb, err)
				for e := problem(err); e != nil && e.Err != nil; e = problem(e.Err) {
					fmt.Fprintln(&log, e.Err, e.Fields)
				}
			}
		}
		for _, secret := range []string{u.ref.Secrets[apiKey], password, "MediaBrowser"} {
			if strings.Contains(log.String(), secret) {
				t.Errorf("%s: %q is in the log:\n%s", action, secret, log.String())
			}
		}
	}
}
