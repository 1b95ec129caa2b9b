package sdktest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// everything is every interface of the contract.
type everything interface {
	sdk.MediaClient
	sdk.UserReader
	sdk.Provisioner
	sdk.Suspender
	sdk.AccessSetter
	sdk.PermissionSetter
	sdk.PasswordSetter
	sdk.PasswordVerifier
	sdk.SessionReader
	sdk.AccountLinker
}

// connected gives a fake server and a client of it over gRPC.
func connected(t *testing.T) (*sdktest.Fake, *sdktest.FakeServer, everything) {
	t.Helper()
	fake := sdktest.NewFake()
	srv := fake.AddServer("one")
	t.Cleanup(srv.Close)
	return fake, srv, sdktest.Connect(t, fake).Client(srv.Ref())
}

func newUser(name string) sdk.CreateUserRequest {
	return sdk.CreateUserRequest{
		Username: name, Password: "correct horse", Grant: sdk.Grant{
			Libraries:   sdk.LibraryAccess{Mode: sdk.LibraryOnly, IDs: []string{"lib-1"}},
			Permissions: map[string]sdk.Tri{sdk.PermissionDownload: sdk.Allow},
			Limits:      map[string]int64{sdk.LimitMaxSessions: 3},
			Options:     map[string]any{sdktest.FakeOptionTheme: "dark"},
		},
	}
}

func TestFakeLife(t *testing.T) {
	_, srv, c := connected(t)
	ctx := t.Context()
	facts, err := c.TestConnection(ctx, sdk.TestConnectionRequest{})
	if err != nil || facts.Facts.ExternalID != "fake-one" {
		t.Fatalf("TestConnection = %+v, %v", facts, err)
	}
	created, err := c.CreateUser(ctx, newUser("ann"))
	if err != nil {
		t.Fatal(err)
	}
	u := created.User
	if u.Permissions[sdk.PermissionStream] != sdk.Allow || u.Permissions[sdk.PermissionDownload] != sdk.Allow || u.Limits[sdk.LimitMaxSessions] != 3 {
		t.Errorf("the user has %v and %v", u.Permissions, u.Limits)
	}
	if ok, err := c.VerifyPassword(ctx, sdk.VerifyPasswordRequest{Username: "ann", Password: "correct horse"}); err != nil || !ok.OK {
		t.Errorf("VerifyPassword = %v, %v", ok, err)
	}
	if _, err := c.CreateUser(ctx, newUser("ANN")); !errors.Is(err, sdk.ErrorOf(sdk.ReasonUsernameTaken)) {
		t.Errorf("a second ann: %v", err)
	}
	if s, err := c.Suspend(ctx, sdk.SuspendRequest{ID: u.ID}); err != nil || s.User.Status != sdk.StatusSuspended {
		t.Errorf("Suspend = %v, %v", s, err)
	}
	if srv.SignsIn("ann", "correct horse") {
		t.Error("a suspended user signs in")
	}
	grant := sdk.Grant{Libraries: *u.Libraries, Permissions: u.Permissions, Limits: u.Limits}
	if r, err := c.Resume(ctx, sdk.ResumeRequest{ID: u.ID, Grant: grant, PluginState: u.PluginState}); err != nil || r.User.Status != sdk.StatusActive {
		t.Errorf("Resume = %v, %v", r, err)
	}
	names := map[string]bool{}
	if err := c.ListUsers(ctx, sdk.ListUsersRequest{}, func(u sdk.User) error { names[u.Username] = true; return nil }); err != nil || !names["ann"] || !names["admin"] {
		t.Errorf("ListUsers gave %v, %v", names, err)
	}
	for _, gone := range []bool{false, true} {
		if d, err := c.DeleteUser(ctx, sdk.DeleteUserRequest{ID: u.ID}); err != nil || d.AlreadyGone != gone {
			t.Errorf("DeleteUser = %v, %v, want gone %v", d, err, gone)
		}
	}
	if srv.Calls("CreateUser") != 2 {
		t.Errorf("CreateUser was counted %d times", srv.Calls("CreateUser"))
	}
}

func TestFakeLinks(t *testing.T) {
	fake, srv, c := connected(t)
	ctx := t.Context()
	begun, err := c.BeginLink(ctx, sdk.BeginLinkRequest{ReturnURL: "https://z.example/back"})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := c.PollLink(ctx, sdk.PollLinkRequest{State: begun.State}); err != nil || p.Status != sdk.LinkPending {
		t.Fatalf("PollLink = %v, %v", p, err)
	}
	fake.Approve(begun.UserCode, sdk.LinkedAccount{ID: "acc-1", Username: "bea"})
	polled, err := c.PollLink(ctx, sdk.PollLinkRequest{State: begun.State})
	if err != nil || polled.Status != sdk.LinkApproved || polled.Account.ID != "acc-1" {
		t.Fatalf("PollLink = %v, %v", polled, err)
	}
	account := *polled.Account
	account.State = polled.State
	req := sdk.CreateUserRequest{Link: &account, Grant: sdk.Grant{Libraries: sdk.LibraryAccess{Mode: sdk.LibraryAll}}}
	if _, err := c.CreateUser(ctx, req); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateUser(ctx, req); !errors.Is(err, sdk.ErrorOf(sdk.ReasonAlreadyMember)) {
		t.Errorf("again: %v", err)
	}
	if u, err := c.FindUser(ctx, sdk.FindUserRequest{AccountID: "acc-1"}); err != nil || u.User.Username != "bea" {
		t.Errorf("FindUser = %v, %v", u, err)
	}
	if _, err := c.EndLink(ctx, sdk.EndLinkRequest{State: polled.State}); err != nil || len(fake.Links()) != 0 {
		t.Errorf("EndLink: %v, left %v", err, fake.Links())
	}
	_ = srv
}

func TestFakeFaults(t *testing.T) {
	_, srv, c := connected(t)
	wait := func(d time.Duration) context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		t.Cleanup(cancel)
		return ctx
	}
	t.Run("fails and does nothing", func(t *testing.T) {
		srv.Fault("CreateUser", sdktest.Fault{Err: &sdk.Error{Reason: sdk.ReasonRateLimited, RetryAfter: 7 * time.Second}, Times: 1})
		_, err := c.CreateUser(t.Context(), newUser("f1"))
		e, ok := errors.AsType[*sdk.Error](err)
		if !ok || e.Kind() != sdk.ReasonRateLimited || e.RetryAfter != 7*time.Second || e.Op != "CreateUser" || e.ServerURL != srv.URL() {
			t.Errorf("got %#v", err)
		}
		if _, ok := srv.UserByName("f1"); ok {
			t.Error("a user was made")
		}
		if _, err := c.CreateUser(t.Context(), newUser("f1")); err != nil {
			t.Errorf("the fault did not go away: %v", err)
		}
	})
	t.Run("hangs", func(t *testing.T) {
		srv.Fault("CreateUser", sdktest.Fault{Hang: true, Times: 1})
		if _, err := c.CreateUser(wait(300*time.Millisecond), newUser("f2")); !errors.Is(err, sdk.ErrorOf(sdk.ReasonTimeout)) {
			t.Errorf("got %v", err)
		}
		if _, ok := srv.UserByName("f2"); ok {
			t.Error("a user was made")
		}
	})
	t.Run("commits and fails", func(t *testing.T) {
		srv.Fault("CreateUser", sdktest.Fault{Err: sdk.ErrorOf(sdk.ReasonServerError), Commit: true, Times: 1})
		if _, err := c.CreateUser(t.Context(), newUser("f3")); !errors.Is(err, sdk.ErrorOf(sdk.ReasonServerError)) {
			t.Errorf("got %v", err)
		}
		if !srv.SignsIn("f3", "correct horse") {
			t.Error("no user was made")
		}
	})
	t.Run("commits and hangs", func(t *testing.T) {
		srv.Fault("SetPassword", sdktest.Fault{Hang: true, Commit: true, Times: 1})
		u, _ := srv.UserByName("f3")
		if _, err := c.SetPassword(wait(300*time.Millisecond), sdk.SetPasswordRequest{ID: u.ID, Password: "another one"}); !errors.Is(err, sdk.ErrorOf(sdk.ReasonTimeout)) {
			t.Errorf("got %v", err)
		}
		if !srv.SignsIn("f3", "another one") {
			t.Error("the password was not set")
		}
	})
	t.Run("answers late", func(t *testing.T) {
		srv.Fault("DeleteUser", sdktest.Fault{Delay: 400 * time.Millisecond, Times: 1})
		u, _ := srv.UserByName("f3")
		if _, err := c.DeleteUser(wait(150*time.Millisecond), sdk.DeleteUserRequest{ID: u.ID}); !errors.Is(err, sdk.ErrorOf(sdk.ReasonTimeout)) {
			t.Errorf("got %v", err)
		}
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			if _, ok := srv.User(u.ID); !ok {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the server gave up with its caller")
			}
		}
	})
	t.Run("answers another user", func(t *testing.T) {
		srv.Fault("CreateUser", sdktest.Fault{Answer: func(u *sdk.User) { u.Libraries = &sdk.LibraryAccess{Mode: sdk.LibraryAll} }, Times: 1})
		got, err := c.CreateUser(t.Context(), newUser("f4"))
		if err != nil || got.User.Libraries.Mode != sdk.LibraryAll {
			t.Errorf("got %+v, %v", got.User, err)
		}
		if stored, _ := srv.UserByName("f4"); stored.Libraries.Mode != sdk.LibraryOnly {
			t.Errorf("stored is %+v", stored)
		}
	})
	t.Run("answers from an old list", func(t *testing.T) {
		srv.AddUser(sdk.User{Username: "old"}, "")
		srv.Fault("FindUser", sdktest.Fault{Stale: true})
		defer srv.ClearFaults()
		_, err := c.FindUser(t.Context(), sdk.FindUserRequest{Username: "old", MaxAge: time.Minute})
		if e, ok := errors.AsType[*sdk.Error](err); !ok || e.Kind() != sdk.ReasonNotFound || !e.Stale {
			t.Errorf("got %#v", err)
		}
		if got, err := c.FindUser(t.Context(), sdk.FindUserRequest{Username: "old"}); err != nil || got.User.Username != "old" {
			t.Errorf("asked now: %v, %v", got, err)
		}
		_, err = c.FindUser(t.Context(), sdk.FindUserRequest{Username: "nobody"})
		if e, ok := errors.AsType[*sdk.Error](err); !ok || e.Kind() != sdk.ReasonNotFound || e.Stale {
			t.Errorf("nobody, asked now: %#v", err)
		}
	})
	for _, lie := range sdktest.Lies() {
		t.Run(lie.String(), func(t *testing.T) {
			srv.Fault("CreateUser", sdktest.Fault{Lie: lie, Times: 1})
			if _, err := c.CreateUser(t.Context(), newUser("liar")); !errors.Is(err, sdk.ErrorOf(sdk.ReasonAccessNotApplied)) {
				t.Errorf("got %v", err)
			}
			if u, ok := srv.UserByName("liar"); ok {
				t.Errorf("a user is left behind: %+v", u)
			}
		})
	}
}
