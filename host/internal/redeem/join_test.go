package redeem

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

func TestJoinMakesExactlyTheAccess(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		w := newWorld(t, d, sdktest.NewFake(), "home", "attic")
		s, inv, before := w.start(), w.invite(new(1), "home", "attic"), w.all()
		res, err := s.Join(t.Context(), inv.Code, Request{Username: "bob", Password: goodPassword, DisplayName: new("Bob Davis Jr.")}, "", Caller{Address: "203.0.113.7", CorrelationID: "c-1"})
		if err != nil {
			t.Fatal(err)
		}
		if res.State != Completed || len(res.Users) != 2 || len(res.Failed) != 0 {
			t.Fatalf("got %+v, want two accounts", res)
		}
		if person, err := w.identities.Get(t.Context(), *w.redemption(res).IdentityID); err != nil || person.DisplayName != "Bob Davis Jr." {
			t.Errorf("the person is %+v, %v", person, err)
		}
		for _, u := range res.Users {
			if u.Username != "bob" || u.Status != "active" || u.SignInURL == nil || *u.SignInURL != "https://"+u.ServerName+".example.org" {
				t.Errorf("user %+v", u)
			}
			fs := w.fakes[u.ServerName]
			account, ok := fs.UserByName("bob")
			if !ok || account.Libraries.Mode != sdk.LibraryOnly || !slices.Equal(account.Libraries.IDs, []string{"lib-1"}) {
				t.Errorf("%s has %+v, want exactly the first library", u.ServerName, account)
			}
			if account.Permissions[sdk.PermissionDownload] != sdk.Allow {
				t.Errorf("download is %v, want allow", account.Permissions[sdk.PermissionDownload])
			}
			if !fs.SignsIn("bob", goodPassword) {
				t.Errorf("%s: the invitee cannot sign in", u.ServerName)
			}
		}
		r := w.redemption(res)
		if r.State != Completed || r.IdentityID == nil || r.CorrelationID != "c-1" || r.ClientAddress != "203.0.113.7" {
			t.Errorf("redemption %+v", r)
		}
		for _, st := range r.Steps {
			if st.State != StepDone || st.UserID == nil || st.ExternalID == nil {
				t.Errorf("step %+v", st)
			}
		}
		if err := w.balanced(before); err != nil {
			t.Error(err)
		}
		// R6.6: the second is told why.
		if _, err := s.Join(t.Context(), inv.Code, Request{Username: "eve", Password: goodPassword}, "", Caller{}); fault.CodeOf(err) != fault.CodeInvitationExhausted {
			t.Errorf("second redemption: %v, want invitation_exhausted", err)
		}
		// The same answer can be polled, and only with the code it belongs to.
		polled, err := s.Result(t.Context(), inv.Code, res.PublicID)
		if err != nil || polled.State != Completed || len(polled.Users) != 2 {
			t.Errorf("polled %+v, %v", polled, err)
		}
		if _, err := s.Result(t.Context(), "OTHERCODE", res.PublicID); fault.CodeOf(err) != fault.CodeNotFound {
			t.Errorf("polled with another code: %v", err)
		}
	})
}

func TestSingleUseCodeMakesOneAccount(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		w := newWorld(t, d, sdktest.NewFake(), "home")
		s, inv, before := w.start(), w.invite(new(1), "home"), w.all()
		var completed, exhausted atomic.Int32
		together(50, func(i int) {
			res, err := s.Join(t.Context(), inv.Code, Request{Username: fmt.Sprintf("bob%d", i), Password: goodPassword}, "", Caller{})
			switch {
			case err == nil && res.State == Completed:
				completed.Add(1)
			case fault.CodeOf(err) == fault.CodeInvitationExhausted:
				exhausted.Add(1)
			default:
				t.Errorf("client %d: %+v, %v", i, res, err)
			}
		})
		if completed.Load() != 1 || exhausted.Load() != 49 {
			t.Errorf("%d got an account and %d were told that the code is used; want 1 and 49", completed.Load(), exhausted.Load())
		}
		if n := len(w.fakes["home"].Users()) - len(before["home"]); n != 1 {
			t.Errorf("the media server has %d new accounts, want 1", n)
		}
		if err := w.balanced(before); err != nil {
			t.Error(err)
		}
	})
}

func TestAccessNotAppliedLeavesNothing(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		w := newWorld(t, d, sdktest.NewFake(), "home", "attic")
		s, inv, before := w.start(), w.invite(new(1), "home", "attic"), w.all()
		// The plugin believes that all is well; the host finds out by comparing.
		w.fakes["attic"].Fault("CreateUser", sdktest.Fault{Times: 1, Answer: func(u *sdk.User) {
			u.Libraries = &sdk.LibraryAccess{Mode: sdk.LibraryAll}
		}})
		res, err := s.Join(t.Context(), inv.Code, Request{Username: "bob", Password: goodPassword}, "", Caller{})
		if fault.CodeOf(err) != fault.CodeAccessNotApplied {
			t.Fatalf("got %+v, %v; want access_not_applied", res, err)
		}
		if f := fault.As(err); f.Kind != fault.Upstream || f.Server == nil || f.Server.Name != "attic" || f.Detail == "" {
			t.Errorf("the error %+v does not say where", f)
		}
		if res.State != Failed || w.uses(inv) != 0 {
			t.Errorf("state %s, %d uses; want failed and the use given back", res.State, w.uses(inv))
		}
		for name, fs := range w.fakes {
			if len(fs.Users()) != len(before[name]) {
				t.Errorf("%s kept an account", name)
			}
		}
		if err := w.balanced(before); err != nil {
			t.Error(err)
		}
		// The invitation is still good.
		if res, err := s.Join(t.Context(), inv.Code, Request{Username: "bob", Password: goodPassword}, "", Caller{}); err != nil || res.State != Completed {
			t.Errorf("after the failure: %+v, %v", res, err)
		}
	})
}
