package jellyfin

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zondarr/zondarr/plugins/jellyfin/jellyfintest"
	"github.com/zondarr/zondarr/sdk"
)

// R3.5: disabled is disabled, signed out, and enabled again as before.
func TestSuspendAndResume(t *testing.T) {
	eachVersion(t, func(t *testing.T, u *upstream, c *client) {
		g := only(u.movies)
		g.Limits = map[string]int64{sdk.LimitMaxSessions: 3}
		id := must(c.CreateUser(t.Context(), newBob(g)))(t).User.ID
		if _, err := u.SignInDevice(id, "phone"); err != nil {
			t.Fatal(err)
		}
		kept := must(c.GetUser(t.Context(), sdk.GetUserRequest{ID: id}))(t).User
		for range 2 { // idempotent
			got := must(c.Suspend(t.Context(), sdk.SuspendRequest{ID: id}))(t).User
			if got.Status != sdk.StatusSuspended || got.Libraries.Mode != sdk.LibraryOnly {
				t.Errorf("suspended: %+v", got)
			}
		}
		if have := mustHave(t, u, id); !have.Policy.IsDisabled || have.Tokens != 0 {
			t.Errorf("the server has %+v", have)
		}
		if u.SignIn("bob", password) == nil {
			t.Error("a suspended user can sign in")
		}
		if ok := must(c.VerifyPassword(t.Context(), sdk.VerifyPasswordRequest{Username: "bob", Password: password}))(t).OK; ok {
			t.Error("a suspended user's password verifies")
		}
		if err := u.SetPolicy(id, func(p *jellyfintest.Policy) { p.InvalidLoginAttemptCount = 9 }); err != nil {
			t.Fatal(err)
		}
		req := sdk.ResumeRequest{ID: id, Grant: sdk.Grant{Libraries: *kept.Libraries, Permissions: kept.Permissions, Limits: kept.Limits}}
		for range 2 {
			got := must(c.Resume(t.Context(), req))(t).User
			if got.Status != sdk.StatusActive || !sameIDs(got.Libraries.IDs, []string{u.movies}) || got.Limits[sdk.LimitMaxSessions] != 3 {
				t.Errorf("resumed: %+v", got)
			}
		}
		if p := mustHave(t, u, id).Policy; p.IsDisabled || p.InvalidLoginAttemptCount != 0 {
			t.Errorf("the server has %+v", p)
		}
		if err := u.SignIn("bob", password); err != nil {
			t.Error(err)
		}
	})
}

// Resuming brings the grant that was kept, whatever became of the policy, and an
// empty grant changes nothing but the switch.
func TestResumeBringsTheGrant(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	id := u.AddUser("bob", password, func(p *jellyfintest.Policy) { p.IsDisabled = true })
	got := must(c.Resume(t.Context(), sdk.ResumeRequest{ID: id, Grant: with(only(u.shows), sdk.PermissionDownload, sdk.Deny)}))(t).User
	if got.Status != sdk.StatusActive || !sameIDs(got.Libraries.IDs, []string{u.shows}) || got.Permissions[sdk.PermissionDownload] != sdk.Deny {
		t.Errorf("resumed: %+v", got)
	}
	got = must(c.Resume(t.Context(), sdk.ResumeRequest{ID: id}))(t).User
	if !sameIDs(got.Libraries.IDs, []string{u.shows}) || got.Permissions[sdk.PermissionDownload] != sdk.Deny {
		t.Errorf("resumed without a grant: %+v", got)
	}
}

// R3.6
func TestSetLibraryAccess(t *testing.T) {
	eachVersion(t, func(t *testing.T, u *upstream, c *client) {
		id := u.AddUser("bob", password)
		for _, access := range []sdk.LibraryAccess{
			{Mode: sdk.LibraryOnly, IDs: []string{u.movies, u.shows}},
			{Mode: sdk.LibraryOnly, IDs: []string{u.music}},
			{Mode: sdk.LibraryNone},
			{Mode: sdk.LibraryAll},
			{Mode: sdk.LibraryOnly, IDs: []string{strings.ToUpper(u.shows)}},
		} {
			for range 2 {
				got := must(c.SetLibraryAccess(t.Context(), sdk.SetLibraryAccessRequest{ID: id, Access: access}))(t).User
				if got.Libraries.Mode != access.Mode || !sameIDs(got.Libraries.IDs, access.IDs) {
					t.Errorf("libraries are %+v, want %+v", got.Libraries, access)
				}
			}
			if p := mustHave(t, u, id).Policy; p.EnableAllFolders != (access.Mode == sdk.LibraryAll) || !sameIDs(p.EnabledFolders, access.IDs) {
				t.Errorf("the server has %t %q", p.EnableAllFolders, p.EnabledFolders)
			}
		}
		before := mustHave(t, u, id).Policy
		for _, unknown := range []string{"movies", strings.Repeat("ab", 16)} {
			_, err := c.SetLibraryAccess(t.Context(), sdk.SetLibraryAccessRequest{ID: id, Access: sdk.LibraryAccess{Mode: sdk.LibraryOnly, IDs: []string{u.movies, unknown}}})
			wantReason(t, err, sdk.ReasonLibraryNotFound)
		}
		if after := mustHave(t, u, id).Policy; fmt.Sprint(after) != fmt.Sprint(before) {
			t.Error("a refused change changed something")
		}
	})
}

// R3.6: the channels of extensions, which no library holds, come with all libraries
// and go with them. What was picked by hand stays.
func TestChannelsGoWithAllLibraries(t *testing.T) {
	channel := strings.Repeat("cd", 16)
	eachVersion(t, func(t *testing.T, u *upstream, c *client) {
		all := sdk.LibraryAccess{Mode: sdk.LibraryAll}
		set := func(id string, access sdk.LibraryAccess) error {
			_, err := c.SetLibraryAccess(t.Context(), sdk.SetLibraryAccessRequest{ID: id, Access: access})
			return err
		}
		resume := func(id string, access sdk.LibraryAccess) error {
			_, err := c.Resume(t.Context(), sdk.ResumeRequest{ID: id, Grant: sdk.Grant{Libraries: access}})
			return err
		}
		for how, change := range map[string]func(string, sdk.LibraryAccess) error{"set": set, "resumed": resume} {
			for _, some := range []sdk.LibraryAccess{{Mode: sdk.LibraryNone}, only(u.movies).Libraries} {
				for _, start := range []sdk.LibraryAccess{all, some} {
					id := must(c.CreateUser(t.Context(), newBob(sdk.Grant{Libraries: start})))(t).User.ID
					wantChannels := func(when string, want bool) {
						t.Helper()
						if p := mustHave(t, u, id).Policy; p.EnableAllChannels != want {
							t.Errorf("%s %s, from %s to %s: all channels is %t", how, when, start.Mode, some.Mode, p.EnableAllChannels)
						}
					}
					wantChannels("made", start.Mode == sdk.LibraryAll)
					for _, access := range []sdk.LibraryAccess{some, all, some} {
						if err := change(id, access); err != nil {
							t.Fatal(err)
						}
						wantChannels("changed", access.Mode == sdk.LibraryAll)
					}
					if err := u.SetPolicy(id, func(p *jellyfintest.Policy) {
						p.EnableAllChannels, p.EnabledChannels = true, []string{channel}
					}); err != nil {
						t.Fatal(err)
					}
					for _, access := range []sdk.LibraryAccess{some, only(u.shows).Libraries, {Mode: sdk.LibraryNone}} {
						if err := change(id, access); err != nil {
							t.Fatal(err)
						}
						wantChannels("picked by hand", true)
					}
					for _, access := range []sdk.LibraryAccess{all, some} {
						if err := change(id, access); err != nil {
							t.Fatal(err)
						}
					}
					if got := mustHave(t, u, id).Policy.EnabledChannels; !sameIDs(got, []string{channel}) {
						t.Errorf("%s: the channels are %q", how, got)
					}
					if err := u.RemoveUser(id); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		// Whoever has them taken away by hand keeps that, too.
		id := u.AddUser("carol", password, func(p *jellyfintest.Policy) { p.EnableAllChannels = false })
		must(c.SetPermissions(t.Context(), sdk.SetPermissionsRequest{ID: id, Permissions: map[string]sdk.Tri{sdk.PermissionSync: sdk.Deny}}))(t)
		if err := set(id, all); err != nil || mustHave(t, u, id).Policy.EnableAllChannels {
			t.Errorf("all libraries, as before, brought the channels back: %v", err)
		}
	})
	if note := New().Describe().Traits.LibraryNote; !strings.Contains(note, "channels") {
		t.Errorf("it is not told: %q", note)
	}
}

// R3.12: what is named changes, the rest stays.
func TestSetPermissions(t *testing.T) {
	eachVersion(t, func(t *testing.T, u *upstream, c *client) {
		id := u.AddUser("bob", password, func(p *jellyfintest.Policy) {
			p.EnableAllFolders, p.EnabledFolders = false, []string{u.movies}
			p.BlockedTags = []string{"horror"}
			p.EnableSharedDeviceControl = false
		})
		got := must(c.SetPermissions(t.Context(), sdk.SetPermissionsRequest{
			ID:          id,
			Permissions: map[string]sdk.Tri{sdk.PermissionDownload: sdk.Deny, sdk.PermissionLiveTVManage: sdk.Allow, sdk.PermissionStream: sdk.Unset},
			Limits:      map[string]int64{sdk.LimitRemoteBitrate: 8_000_000},
		}))(t).User
		if got.Permissions[sdk.PermissionDownload] != sdk.Deny || got.Permissions[sdk.PermissionLiveTVManage] != sdk.Allow || got.Permissions[sdk.PermissionStream] != sdk.Allow {
			t.Errorf("permissions are %v", got.Permissions)
		}
		p := mustHave(t, u, id).Policy
		if p.EnableContentDownloading || !p.EnableLiveTvManagement || p.RemoteClientBitrateLimit != 8_000_000 || !p.EnableMediaPlayback {
			t.Errorf("the server has %+v", p)
		}
		if p.EnableAllFolders || len(p.BlockedTags) != 1 || p.EnableSharedDeviceControl {
			t.Errorf("what was not named has changed: %+v", p)
		}
		got = must(c.SetPermissions(t.Context(), sdk.SetPermissionsRequest{ID: id, Limits: map[string]int64{sdk.LimitRemoteBitrate: 0}}))(t).User
		if got.Limits[sdk.LimitRemoteBitrate] != 0 || got.Permissions[sdk.PermissionDownload] != sdk.Deny {
			t.Errorf("the user is %+v", got)
		}
		u.ResetRequests()
		must(c.SetPermissions(t.Context(), sdk.SetPermissionsRequest{ID: id}))(t)
		if n := u.CountRequests("POST", ""); n != 0 {
			t.Error("a change of nothing was written")
		}
	})
}

// Administrators are never written to, and the last one never tried.
func TestAdministratorsAreProtected(t *testing.T) {
	eachVersion(t, func(t *testing.T, u *upstream, c *client) {
		second := u.AddAdmin("second", password)
		if _, err := u.SignInDevice("admin", "browser"); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"admin", "second"} {
			before := mustHave(t, u, name)
			for verb, call := range everyVerb(t, c, before.ID) {
				switch verb {
				case "Suspend", "Resume", "SetLibraryAccess", "SetPermissions", "SetPassword", "DeleteUser":
					wantReason(t, call(), sdk.ReasonProtected)
				}
			}
			if after := mustHave(t, u, name); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("%s was %+v and is %+v", name, before, after)
			}
		}
		got := must(c.GetUser(t.Context(), sdk.GetUserRequest{ID: second}))(t).User
		if !got.Protected || got.Kind != kindAdmin {
			t.Errorf("an administrator is %+v", got)
		}
		for _, r := range u.Requests() {
			if r.Method != http.MethodGet {
				t.Errorf("%s %s was tried", r.Method, r.Path)
			}
		}
	})
}

// Users that are not there, and ids that cannot be.
func TestChangesOfNobody(t *testing.T) {
	eachVersion(t, func(t *testing.T, _ *upstream, c *client) {
		for _, id := range []string{strings.Repeat("ab", 16), "nobody", "", strings.Repeat("0", 32), "../Users/New"} {
			for verb, call := range everyVerb(t, c, id) {
				switch verb {
				case "GetUser", "Suspend", "Resume", "SetLibraryAccess", "SetPermissions", "SetPassword":
					wantReason(t, call(), sdk.ReasonNotFound)
				}
			}
		}
	})
}

// The changes that a server loses are made again, and when it keeps losing them,
// that is said.
func TestChangeFaults(t *testing.T) {
	policy := jellyfintest.Fault{Method: "POST", Path: "/Users/*/Policy"}
	for name, f := range map[string]struct {
		action jellyfintest.Action
		count  int
		want   sdk.Reason // empty for success
	}{
		"LockedOnce":   {jellyfintest.Locked, 2, ""},
		"Locked":       {jellyfintest.Locked, 0, sdk.ReasonServerError},
		"ConflictOnce": {jellyfintest.Conflict, 1, ""},
		"RevertedOnce": {jellyfintest.RevertPolicy, 2, ""},
		"Reverted":     {jellyfintest.RevertPolicy, 0, sdk.ReasonAccessNotApplied},
		"ForgotOnce":   {jellyfintest.Forget, 1, ""},
		"Forgot":       {jellyfintest.Forget, 0, sdk.ReasonAccessNotApplied},
		"Empty":        {jellyfintest.Empty, 0, sdk.ReasonServerError},
		"HTML":         {jellyfintest.HTML, 0, sdk.ReasonServerError},
		"Cut":          {jellyfintest.Cut, 0, sdk.ReasonUnavailable},
		"Limited":      {jellyfintest.RateLimited, 0, sdk.ReasonRateLimited},
		"Unauthorized": {jellyfintest.Unauthorized, 0, sdk.ReasonCredentialsRejected},
	} {
		t.Run(name, func(t *testing.T) {
			eachVersion(t, func(t *testing.T, u *upstream, c *client) {
				id := u.AddUser("bob", password)
				f0 := policy
				f0.Action, f0.Count = f.action, f.count
				u.AddFault(f0)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := c.Suspend(ctx, sdk.SuspendRequest{ID: id})
				if f.want == "" {
					if err != nil {
						t.Error(err)
					}
					u.Restart() // what was stored, not what a cache shows
					if !mustHave(t, u, id).Policy.IsDisabled {
						t.Error("the user is enabled")
					}
					return
				}
				wantReason(t, err, f.want)
			})
		})
	}
}

// What an administrator changes while a write is held up stays: a policy is written
// whole, so that each attempt begins by reading it again.
func TestChangeKeepsWhatIsChangedMeanwhile(t *testing.T) {
	for name, row := range map[string]struct {
		action jellyfintest.Action
		edit   func(p *jellyfintest.Policy)
		want   sdk.Reason // empty for success
	}{
		"Locked":            {jellyfintest.Locked, func(p *jellyfintest.Policy) { p.EnableContentDownloading = false }, ""},
		"Limited":           {jellyfintest.RateLimited, func(p *jellyfintest.Policy) { p.EnableContentDownloading = false }, ""},
		"Locked, promoted":  {jellyfintest.Locked, func(p *jellyfintest.Policy) { p.IsAdministrator = true }, sdk.ReasonProtected},
		"Lost, promoted":    {jellyfintest.Forget, func(p *jellyfintest.Policy) { p.IsAdministrator = true }, sdk.ReasonProtected},
		"Limited, promoted": {jellyfintest.RateLimited, func(p *jellyfintest.Policy) { p.IsAdministrator = true }, sdk.ReasonProtected},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // a limit is waited for
			for _, v := range versions {
				u := start(t, jellyfintest.Config{Version: v})
				c := u.open()
				id := u.AddUser("bob", password)
				u.AddFault(jellyfintest.Fault{Path: "/Users/*/Policy", Action: row.action, Count: 1})
				c.after("/Users/"+id+"/Policy", func() {
					if err := u.SetPolicy(id, row.edit); err != nil {
						t.Error(err)
					}
				})
				want := mustHave(t, u, id).Policy
				row.edit(&want)
				_, err := c.SetPermissions(t.Context(), sdk.SetPermissionsRequest{ID: id, Permissions: map[string]sdk.Tri{sdk.PermissionSync: sdk.Deny}})
				if row.want != "" {
					wantReason(t, err, row.want)
				} else {
					want.EnableSyncTranscoding = false
					if err != nil {
						t.Error(err)
					}
				}
				if got := mustHave(t, u, id).Policy; fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s: the policy is %+v, want %+v", v, got, want)
				}
			}
		})
	}
}

// A user who goes away between the read and the write: 10.8 says 500 to that.
func TestChangeOfAUserWhoGoesAway(t *testing.T) {
	eachVersion(t, func(t *testing.T, u *upstream, c *client) {
		id := u.AddUser("bob", password)
		r := must(c.user(t.Context(), idOf(t, id)))(t)
		if err := u.RemoveUser(id); err != nil {
			t.Fatal(err)
		}
		_, err := c.apply(t.Context(), r, overlay{"IsDisabled": true})
		wantReason(t, err, sdk.ReasonNotFound)
	})
}

// Changes of one user at once do not undo each other: a policy is written whole.
func TestChangesOfOneUserDoNotRace(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	id := u.AddUser("bob", password)
	var wg sync.WaitGroup
	for _, p := range permissions {
		want := sdk.Deny
		if p.info.Default == sdk.Deny {
			want = sdk.Allow
		}
		wg.Go(func() {
			if _, err := c.SetPermissions(t.Context(), sdk.SetPermissionsRequest{ID: id, Permissions: map[string]sdk.Tri{p.info.Name: want}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Go(func() {
		if _, err := c.SetLibraryAccess(t.Context(), sdk.SetLibraryAccessRequest{ID: id, Access: only(u.music).Libraries}); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
	got := must(c.GetUser(t.Context(), sdk.GetUserRequest{ID: id}))(t).User
	for _, p := range permissions {
		if got.Permissions[p.info.Name] == p.info.Default {
			t.Errorf("the change of %s was lost", p.info.Name)
		}
	}
	if !sameIDs(got.Libraries.IDs, []string{u.music}) {
		t.Error("the change of the libraries was lost")
	}
	if len(c.users.own) != 0 {
		t.Errorf("%d turns are left", len(c.users.own))
	}
}

// Writes are paced: a server never has more than a few of them at once.
func TestWritesArePaced(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	must(c.ready(t.Context()))(t)
	u.AddFault(jellyfintest.Fault{Method: "POST", Path: "/Users/New", Action: jellyfintest.Hang})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			req := newBob(only(u.movies))
			req.Username = fmt.Sprint("bob", i)
			if _, err := c.CreateUser(t.Context(), req); err != nil {
				t.Error(err)
			}
		})
	}
	for u.FaultHits() < writesInFlight {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond)
	if n := u.FaultHits(); n != writesInFlight {
		t.Errorf("%d writes in flight, want %d", n, writesInFlight)
	}
	if _, err := c.ListLibraries(t.Context(), sdk.ListLibrariesRequest{}); err != nil { // reads pass
		t.Error(err)
	}
	u.ClearFaults()
	u.Release()
	wg.Wait()
}

// A call whose time is up while it waits its turn ends, and sends nothing.
func TestWaitingEndsWithTheCall(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	id := u.AddUser("bob", password)
	done := must(c.users.take(t.Context(), id))(t)
	defer done()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := c.Suspend(ctx, sdk.SuspendRequest{ID: id})
	wantReason(t, err, sdk.ReasonTimeout)
	if n := u.CountRequests("POST", ""); n != 0 {
		t.Errorf("%d writes", n)
	}
}

// No pause outlasts the call: what would come after the deadline is not waited for.
func TestPauseKnowsTheDeadline(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	began := time.Now()
	if pause(ctx, 10*time.Second) || time.Since(began) > 500*time.Millisecond {
		t.Errorf("it waited %s", time.Since(began))
	}
	if !pause(ctx, time.Millisecond) {
		t.Error("it did not wait where there was time")
	}
}
