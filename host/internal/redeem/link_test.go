package redeem

import (
	"bytes"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	linkrow "github.com/zondarr/zondarr/ent/db/link"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/identity"
	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

// linkedWorld is a world whose servers want accounts that live elsewhere.
func linkedWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	virtualWith(t, func() *sdktest.Fake { return &sdktest.Fake{JoinFlow: sdk.JoinLinkedAccount} }, []string{"home", "attic"}, test)
}

// signIn begins a link and approves it for an account.
func (w *world) signIn(s *Service, code, account string) Link {
	w.t.Helper()
	l, err := s.BeginLink(w.t.Context(), code, sdktest.FakeRealm, Caller{})
	if err != nil {
		w.t.Fatal(err)
	}
	if !w.fake.Approve(*l.UserCode, sdk.LinkedAccount{ID: "account-" + account, Username: account, Email: account + "@example.org"}) {
		w.t.Fatal("the realm knows nothing of the link")
	}
	time.Sleep(2 * time.Second)
	if l, err = s.PollLink(w.t.Context(), code, l.ID); err != nil || l.State != LinkApproved {
		w.t.Fatalf("polled %+v, %v", l, err)
	}
	return l
}

func TestLinkServesEveryServerOfItsRealm(t *testing.T) {
	linkedWorld(t, func(t *testing.T, w *world) {
		s, inv, before := w.start(), w.invite(new(1), "home", "attic"), w.all()
		p, err := s.Preview(t.Context(), inv.Code)
		if err != nil || len(p.Links) != 1 || p.Links[0].Label != "Fake Cloud" || len(p.Links[0].ServerIDs) != 2 || p.Servers[0].Realm != sdktest.FakeRealm {
			t.Fatalf("preview %+v, %v", p, err)
		}
		for _, f := range p.Fields {
			if f.Name != "email" {
				t.Errorf("a linked account is asked for its %s", f.Name)
			}
		}
		if _, err := s.Join(t.Context(), inv.Code, Request{}, "", Caller{}); fault.CodeOf(err) != fault.CodeLinkNotApproved || fault.As(err).Fields[0].Location != "body.link_ids" {
			t.Errorf("without a link: %v", err)
		}
		l, err := s.BeginLink(t.Context(), inv.Code, sdktest.FakeRealm, Caller{Address: "203.0.113.7"})
		if err != nil || l.State != LinkPending || len(l.ServerIDs) != 2 || l.PollAfter < time.Second {
			t.Fatalf("begun %+v, %v", l, err)
		}
		if back := url.QueryEscape("https://join.example.org/j/" + inv.Code); !strings.Contains(l.AuthorizeURL, back) {
			t.Errorf("%s does not lead back to the invitation", l.AuthorizeURL)
		}
		// What the plugin needs to go on is sealed.
		if row := w.db.Ent.Link.Query().OnlyX(t.Context()); bytes.Contains(row.SealedState, []byte("link-token")) || len(row.SealedState) == 0 {
			t.Error("the state is readable in the database")
		}
		if _, err := s.Join(t.Context(), inv.Code, Request{LinkIDs: []string{l.ID}}, "", Caller{}); fault.CodeOf(err) != fault.CodeLinkNotApproved {
			t.Errorf("before it is approved: %v", err)
		}
		w.fake.Approve(*l.UserCode, sdk.LinkedAccount{ID: "account-bob", Username: "bob", Email: "bob@example.org"})
		// The realm is not asked more often than it wants.
		if l, err = s.PollLink(t.Context(), inv.Code, l.ID); err != nil || l.State != LinkPending {
			t.Errorf("polled at once: %+v, %v", l, err)
		}
		time.Sleep(2 * time.Second)
		if l, err = s.PollLink(t.Context(), inv.Code, l.ID); err != nil || l.State != LinkApproved || l.AccountName == nil || *l.AccountName != "bob" {
			t.Fatalf("polled %+v, %v", l, err)
		}
		if n := len(w.fakes["home"].Users()) - len(before["home"]); n != 0 {
			t.Error("approval alone redeemed something")
		}
		if _, err := s.PollLink(t.Context(), "OTHERCODE", l.ID); fault.CodeOf(err) != fault.CodeLinkNotFound {
			t.Errorf("with another code: %v", err)
		}
		if _, err := s.Join(t.Context(), inv.Code, Request{LinkIDs: []string{"nobody"}}, "", Caller{}); fault.CodeOf(err) != fault.CodeLinkNotFound {
			t.Errorf("an unknown link: %v", err)
		}
		res, err := s.Join(t.Context(), inv.Code, Request{LinkIDs: []string{l.ID}}, "", Caller{})
		if err != nil || res.State != Completed || len(res.Users) != 2 || res.Users[0].Username != "bob" {
			t.Fatalf("got %+v, %v", res, err)
		}
		// Consumed, it is signed out.
		time.Sleep(time.Minute)
		if row := w.db.Ent.Link.Query().OnlyX(t.Context()); row.State != linkrow.StateConsumed || row.EndedAt == nil || row.SealedState != nil {
			t.Errorf("afterwards the link is %+v", row)
		}
		if left := w.fake.Links(); len(left) != 0 {
			t.Errorf("the realm still has %v", left)
		}
		if l, err = s.PollLink(t.Context(), inv.Code, l.ID); err != nil || l.State != LinkExpired || l.ErrorCode != fault.CodeLinkUsed {
			t.Errorf("polled afterwards: %+v, %v", l, err)
		}
		if err := w.balanced(before); err != nil {
			t.Error(err)
		}
	})
}

func TestFailedRedemptionLeavesTheLinkUsable(t *testing.T) {
	linkedWorld(t, func(t *testing.T, w *world) {
		s, inv := w.start(), w.invite(new(1), "home", "attic")
		l := w.signIn(s, inv.Code, "bob")
		w.fakes["attic"].Fault("CreateUser", sdktest.Fault{Times: 1, Err: sdk.Errorf(sdk.ReasonAccountNotReady, "verify the address")})
		req := Request{LinkIDs: []string{l.ID}}
		res, err := s.Join(t.Context(), inv.Code, req, "", Caller{})
		if fault.CodeOf(err) != fault.CodeAccountNotReady || len(res.Failed) != 1 || res.Failed[0].ServerName != "attic" {
			t.Fatalf("got %+v, %v", res, err)
		}
		if l, err = s.PollLink(t.Context(), inv.Code, l.ID); err != nil || l.State != LinkApproved {
			t.Errorf("afterwards the link is %+v, %v", l, err)
		}
		if res, err = s.Join(t.Context(), inv.Code, req, "", Caller{}); err != nil || res.State != Completed {
			t.Errorf("again: %+v, %v", res, err)
		}
		other := w.invite(new(1), "home")
		if _, err := s.Join(t.Context(), other.Code, req, "", Caller{}); fault.CodeOf(err) != fault.CodeLinkNotFound {
			t.Errorf("with another invitation: %v", err)
		}
	})
}

// The invitee may be faster than whoever polls.
func TestApprovalIsSeenByTheRedemption(t *testing.T) {
	linkedWorld(t, func(t *testing.T, w *world) {
		s, inv := w.start(), w.invite(new(1), "home")
		l, err := s.BeginLink(t.Context(), inv.Code, sdktest.FakeRealm, Caller{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		w.fake.Approve(*l.UserCode, sdk.LinkedAccount{ID: "account-bob", Username: "bob", Email: "bob@example.org"})
		if res, err := s.Join(t.Context(), inv.Code, Request{LinkIDs: []string{l.ID}}, "", Caller{}); err != nil || res.State != Completed {
			t.Errorf("got %+v, %v", res, err)
		}
	})
}

func TestSignInThatEndedIsNotUsedAgain(t *testing.T) {
	linkedWorld(t, func(t *testing.T, w *world) {
		s, inv := w.start(), w.invite(new(1), "home")
		l := w.signIn(s, inv.Code, "bob")
		w.fakes["home"].Fault("CreateUser", sdktest.Fault{Times: 1, Err: sdk.Errorf(sdk.ReasonLinkExpired, "signed out")})
		req := Request{LinkIDs: []string{l.ID}}
		for range 2 {
			if _, err := s.Join(t.Context(), inv.Code, req, "", Caller{}); fault.CodeOf(err) != fault.CodeLinkNotApproved {
				t.Errorf("with a sign-in that has ended: %v", err)
			}
		}
		if l, err := s.PollLink(t.Context(), inv.Code, l.ID); err != nil || l.State != LinkExpired {
			t.Errorf("afterwards the link is %+v, %v", l, err)
		}
		req.LinkIDs = []string{w.signIn(s, inv.Code, "bob").ID}
		if res, err := s.Join(t.Context(), inv.Code, req, "", Caller{}); err != nil || res.State != Completed {
			t.Errorf("with a new one: %+v, %v", res, err)
		}
	})
}

func TestTwoSignInsAtOneRealm(t *testing.T) {
	linkedWorld(t, func(t *testing.T, w *world) {
		s, inv := w.start(), w.invite(new(1), "home")
		req := Request{LinkIDs: []string{w.signIn(s, inv.Code, "bob").ID, w.signIn(s, inv.Code, "eve").ID}}
		_, err := s.Join(t.Context(), inv.Code, req, "", Caller{})
		if fault.CodeOf(err) != fault.CodeInvalidInput || fault.As(err).Fields[0].Location != "body.link_ids" || w.uses(inv) != 0 {
			t.Errorf("got %v, %d uses", err, w.uses(inv))
		}
	})
}

// An account that was there before is told what it is: the owner's, or a member's.
func TestAccountThatTheServerKnows(t *testing.T) {
	linkedWorld(t, func(t *testing.T, w *world) {
		s, inv := w.start(), w.invite(new(1), "home")
		for account, tc := range map[string]struct {
			protected bool
			want      string
		}{
			"owner":  {true, fault.CodeLinkedAccountIsOwner},
			"member": {false, fault.CodeAlreadyMember},
		} {
			w.member("home", account, tc.protected)
			req := Request{LinkIDs: []string{w.signIn(s, inv.Code, account).ID}}
			if _, err := s.Join(t.Context(), inv.Code, req, "", Caller{}); fault.CodeOf(err) != tc.want || w.uses(inv) != 0 {
				t.Errorf("%s: got %v, %d uses; want %s", account, err, w.uses(inv), tc.want)
			}
		}
	})
}

// member gives an account of the realm access to a server behind Zondarr's back.
func (w *world) member(server, account string, protected bool) {
	w.t.Helper()
	fs := w.fakes[server]
	c := w.fake.Client(fs.Ref()).(sdktest.Client)
	begun, err := c.BeginLink(w.t.Context(), sdk.BeginLinkRequest{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.fake.Approve(begun.UserCode, sdk.LinkedAccount{ID: "account-" + account, Username: account})
	made, err := c.CreateUser(w.t.Context(), sdk.CreateUserRequest{
		Grant: sdk.Grant{Libraries: sdk.LibraryAccess{Mode: sdk.LibraryNone}},
		Link:  &sdk.LinkedAccount{Realm: sdktest.FakeRealm, ID: "account-" + account, Username: account, State: begun.State},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	fs.ChangeUser(made.User.ID, func(u *sdk.User) { u.Protected = protected })
}

func TestOneLinkIsClaimedOnce(t *testing.T) {
	linkedWorld(t, func(t *testing.T, w *world) {
		s, inv := w.start(), w.invite(nil, "home")
		l := w.signIn(s, inv.Code, "bob")
		codes := make([]string, 6)
		together(6, func(i int) {
			_, err := s.Join(t.Context(), inv.Code, Request{LinkIDs: []string{l.ID}}, "", Caller{})
			codes[i] = fault.CodeOf(err)
		})
		slices.Sort(codes)
		if codes[0] != "" || codes[1] != fault.CodeLinkUsed || w.uses(inv) != 1 {
			t.Errorf("answers %q, %d uses; want one account", codes, w.uses(inv))
		}
	})
}

func TestAccountThatIsKnown(t *testing.T) {
	linkedWorld(t, func(t *testing.T, w *world) {
		s, inv, both := w.start(), w.invite(new(5), "home"), w.invite(new(5), "attic")
		l := w.signIn(s, inv.Code, "bob")
		first, err := s.Join(t.Context(), inv.Code, Request{LinkIDs: []string{l.ID}}, "", Caller{})
		if err != nil {
			t.Fatal(err)
		}
		person := w.redemption(first).IdentityID
		// Who has access is refused, and no use is taken.
		l = w.signIn(s, inv.Code, "bob")
		if _, err := s.Join(t.Context(), inv.Code, Request{LinkIDs: []string{l.ID}}, "", Caller{}); fault.CodeOf(err) != fault.CodeAlreadyMember || w.uses(inv) != 1 {
			t.Errorf("a second time: %v, %d uses", err, w.uses(inv))
		}
		// On another server the account joins the person that it belongs to.
		l = w.signIn(s, both.Code, "bob")
		second, err := s.Join(t.Context(), both.Code, Request{LinkIDs: []string{l.ID}}, "", Caller{})
		if err != nil {
			t.Fatal(err)
		}
		if got := w.redemption(second).IdentityID; got == nil || *got != *person {
			t.Errorf("identity %v, want %v", got, person)
		}
		i, err := w.identities.Get(t.Context(), *person)
		if err != nil || len(i.Users) != 2 {
			t.Errorf("person %+v, %v", i, err)
		}
		// Somebody who has been switched off does not come back by another code.
		if err := w.identities.DeleteUser(t.Context(), i.Users[1].ID, true); err != nil {
			t.Fatal(err)
		}
		if _, err := w.identities.Update(t.Context(), *person, identity.Patch{Enabled: new(false)}); err != nil {
			t.Fatal(err)
		}
		l = w.signIn(s, both.Code, "bob")
		if _, err := s.Join(t.Context(), both.Code, Request{LinkIDs: []string{l.ID}}, "", Caller{}); fault.CodeOf(err) != fault.CodeForbidden || w.uses(both) != 1 {
			t.Errorf("switched off: %v, %d uses", err, w.uses(both))
		}
	})
}

// An admin switches a person off while an account of theirs is being made.
func TestPersonThatIsSwitchedOffMeanwhile(t *testing.T) {
	linkedWorld(t, func(t *testing.T, w *world) {
		s, inv, second := w.start(), w.invite(new(1), "home"), w.invite(new(1), "attic")
		l := w.signIn(s, inv.Code, "bob")
		first, err := s.Join(t.Context(), inv.Code, Request{LinkIDs: []string{l.ID}}, "", Caller{})
		if err != nil {
			t.Fatal(err)
		}
		before := w.all()
		person := *w.redemption(first).IdentityID
		w.fakes["attic"].Fault("CreateUser", sdktest.Fault{Times: 1, Delay: 10 * time.Second})
		l = w.signIn(s, second.Code, "bob")
		var off sync.WaitGroup
		off.Go(func() {
			time.Sleep(5 * time.Second)
			if _, err := w.identities.Update(t.Context(), person, identity.Patch{Enabled: new(false)}); err != nil {
				t.Errorf("switched off: %v", err)
			}
		})
		res, err := s.Join(t.Context(), second.Code, Request{LinkIDs: []string{l.ID}}, "", Caller{})
		off.Wait()
		if fault.CodeOf(err) != fault.CodeForbidden || fault.As(err).Kind != fault.Forbidden || w.uses(second) != 0 {
			t.Errorf("got %+v, %v, %d uses", res, err, w.uses(second))
		}
		if n := len(w.fakes["attic"].Users()); n != len(before["attic"]) {
			t.Errorf("%d accounts, %d before", n, len(before["attic"]))
		}
	})
}

// An attempt that is not finished is told in words of what was asked for.
func TestUnfinishedAttemptWithALink(t *testing.T) {
	linkedWorld(t, func(t *testing.T, w *world) {
		s, inv := w.start(), w.invite(new(5), "home")
		w.fakes["home"].Fault("CreateUser", sdktest.Fault{Times: 1, Err: sdk.Errorf(sdk.ReasonAmbiguous, "no answer")})
		for range 2 {
			l := w.signIn(s, inv.Code, "bob")
			_, err := s.Join(t.Context(), inv.Code, Request{LinkIDs: []string{l.ID}}, "", Caller{})
			f := fault.As(err)
			if f == nil || strings.Contains(f.Message, "name") || len(f.Fields) != 0 {
				t.Errorf("got %+v", f)
			}
		}
	})
}

func TestLinksThatAreOverAreEnded(t *testing.T) {
	linkedWorld(t, func(t *testing.T, w *world) {
		s, inv := w.start(), w.invite(new(1), "home")
		denied, err := s.BeginLink(t.Context(), inv.Code, sdktest.FakeRealm, Caller{})
		if err != nil {
			t.Fatal(err)
		}
		w.fake.Deny(*denied.UserCode)
		time.Sleep(2 * time.Second)
		if denied, err = s.PollLink(t.Context(), inv.Code, denied.ID); err != nil || denied.State != LinkDenied || denied.Message == "" {
			t.Errorf("denied: %+v, %v", denied, err)
		}
		approved := w.signIn(s, inv.Code, "bob")
		pending, err := s.BeginLink(t.Context(), inv.Code, sdktest.FakeRealm, Caller{})
		if err != nil {
			t.Fatal(err)
		}
		w.fakes["home"].Fault("EndLink", sdktest.Fault{Times: 2, Err: sdk.Errorf(sdk.ReasonUnavailable, "down")})
		time.Sleep(time.Hour)
		if left := w.fake.Links(); len(left) != 0 {
			t.Errorf("the realm still has %v", left)
		}
		for _, l := range []Link{approved, pending} {
			if got, err := s.PollLink(t.Context(), inv.Code, l.ID); err != nil || got.State != LinkExpired {
				t.Errorf("polled %+v, %v", got, err)
			}
		}
		if n := w.db.Ent.Link.Query().Where(linkrow.EndedAtIsNil()).CountX(t.Context()); n != 0 {
			t.Errorf("%d links are not ended", n)
		}
		if _, err := s.Join(t.Context(), inv.Code, Request{LinkIDs: []string{approved.ID}}, "", Caller{}); fault.CodeOf(err) != fault.CodeLinkNotApproved {
			t.Errorf("with an expired link: %v", err)
		}
	})
}

func TestRealmThatNobodyWants(t *testing.T) {
	virtual(t, []string{"home"}, func(t *testing.T, w *world) {
		s, inv := w.start(), w.invite(new(1), "home")
		for _, realm := range []string{"", "plex", sdktest.FakeRealm} {
			if _, err := s.BeginLink(t.Context(), inv.Code, realm, Caller{}); fault.CodeOf(err) != fault.CodeInvalidInput {
				t.Errorf("realm %q: %v", realm, err)
			}
		}
	})
}
