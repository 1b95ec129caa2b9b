package sdktest

import (
	"context"
	"fmt"
	"testing"

	"github.com/zondarr/zondarr/sdk"
)

// FakeFixture gives the fixture of the fake server type, for servers that join as the
// Fake's JoinFlow says. Its servers listen on 127.0.0.1, so that the plugin may run
// anywhere. It is also an example of how to write a Fixture.
func FakeFixture(flow sdk.JoinFlow) Fixture {
	count := 0
	return Fixture{Start: func(tb testing.TB) Upstream {
		fake := &Fake{JoinFlow: flow}
		count++
		srv := fake.AddServer(fmt.Sprintf("fixture-%d", count))
		srv.Listen()
		tb.Cleanup(srv.Close)
		up := Upstream{Ref: srv.Ref(), Usernames: srv.usernames, Tell: srv.tell, Provoke: srv.provocations()}
		if flow == sdk.JoinLinkedAccount {
			up.Link = srv.approvedLink
		}
		return up
	}}
}

func (s *FakeServer) usernames() []string {
	var out []string
	for _, u := range s.Users() {
		out = append(out, u.Username)
	}
	return out
}

// tell makes every verb that writes tell a lie.
func (s *FakeServer) tell(lie Lie) bool {
	s.ClearFaults()
	if lie == NoLie {
		return true
	}
	for _, op := range []string{"CreateUser", "SetLibraryAccess", "SetPermissions", "Suspend", "Resume"} {
		s.Fault(op, Fault{Lie: lie})
	}
	return true
}

// approvedLink proves another account at the realm.
func (s *FakeServer) approvedLink() *sdk.LinkedAccount {
	link := s.realm.begin()
	account := sdk.LinkedAccount{Realm: FakeRealm, ID: "account-of-" + link.ID, Username: "linked-" + s.name + "-" + link.ID}
	s.realm.set(link.ID, sdk.LinkApproved, account)
	account.State = fmt.Appendf(nil, `{"ID":%q,"Token":%q}`, link.ID, link.Token)
	return &account
}

func (s *FakeServer) provocations() map[sdk.Reason]func(context.Context, func(sdk.ServerRef) Client, sdk.ServerRef) error {
	type open = func(sdk.ServerRef) Client
	test := func(change func(*sdk.ServerRef)) func(context.Context, open, sdk.ServerRef) error {
		return func(ctx context.Context, o open, ref sdk.ServerRef) error {
			change(&ref)
			_, err := o(ref).TestConnection(ctx, sdk.TestConnectionRequest{})
			return err
		}
	}
	out := map[sdk.Reason]func(context.Context, open, sdk.ServerRef) error{
		sdk.ReasonWrongServer: test(func(r *sdk.ServerRef) { r.ExternalID = "another" }),
		sdk.ReasonCredentialsRejected: test(func(*sdk.ServerRef) {
			s.SetKey("a key that was changed on the server")
		}),
		sdk.ReasonWrongProduct: test(func(*sdk.ServerRef) {
			s.SetFacts(func(f *sdk.ServerFacts) { f.Product = "Another Product" })
		}),
		sdk.ReasonNotFound: func(ctx context.Context, o open, ref sdk.ServerRef) error {
			_, err := o(ref).GetUser(ctx, sdk.GetUserRequest{ID: "nobody"})
			return err
		},
	}
	// What a server says in its own words reaches the caller unchanged.
	for _, reason := range []sdk.Reason{sdk.ReasonStarting, sdk.ReasonVersionUnsupported, sdk.ReasonLimitReached, sdk.ReasonEmailRequired} {
		out[reason] = func(ctx context.Context, o open, ref sdk.ServerRef) error {
			s.Fault("ListSessions", Fault{Err: sdk.ErrorOf(reason), Times: 1})
			_, err := o(ref).ListSessions(ctx, sdk.ListSessionsRequest{})
			return err
		}
	}
	return out
}
