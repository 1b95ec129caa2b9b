package plex

import (
	"context"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

// R3.8, R4.6: the plugin keeps the contract, in process, over gRPC and as a program.
func TestConformance(t *testing.T) {
	t.Parallel() // mostly waiting
	program := filepath.Join(t.TempDir(), "zondarr-plugin-plex")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "../../cmd/zondarr-plugin-plex").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	if testing.Short() {
		program = "" // a minute of real waiting; over gRPC the same code runs
	}
	sdktest.Run(t, sdktest.Config{
		New: func() sdk.Plugin {
			// In this process nobody waits for plex.tv longer than it takes.
			return plugin{turns: newTurns(), sleep: func(ctx context.Context, d time.Duration) error { return sleep(ctx, d/50) }}
		},
		Program: program,
		Fixture: sdktest.Fixture{Start: fixtures()},
	})
}

// fixtures starts media servers that differ: each Plex has ids of its own.
func fixtures() func(testing.TB) sdktest.Upstream {
	seed := uint64(0)
	return func(tb testing.TB) sdktest.Upstream {
		seed++
		return fixture(tb, seed)
	}
}

// provocation makes a call that must fail with one reason.
type provocation = func(context.Context, func(sdk.ServerRef) sdktest.Client, sdk.ServerRef) error

// fixture is a Plex of its own, whose clock runs.
func fixture(tb testing.TB, seed uint64) sdktest.Upstream {
	switches := plextest.DefaultSwitches()
	switches.InviteDelay = 0
	f := plextest.New(plextest.Config{Seed: seed, Switches: &switches, RealTime: true})
	if err := f.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := f.Close(); err != nil {
			tb.Error(err)
		}
	})
	owner := f.MustAddAccount(plextest.Account{Username: "owner", PlexPass: true})
	server := f.MustAddServer(plextest.ServerSpec{Owner: owner.ID, Name: "Fixture", Sections: []plextest.Section{{Title: "Movies"}, {Title: "Shows", Type: "show"}}})
	var count atomic.Int64
	account := func() plextest.Account {
		return f.MustAddAccount(plextest.Account{Username: "guest" + str(count.Add(1))})
	}
	link := func(a plextest.Account) *sdk.LinkedAccount {
		l := link{Version: linkVersion, ClientID: "zondarr-guest-" + a.Username, Pin: "1", Code: "c"}
		l.Token = f.Token(a.ID, l.ClientID)
		state, err := l.state()
		if err != nil {
			panic(err)
		}
		return &sdk.LinkedAccount{Realm: realm, ID: str(a.ID), Username: a.Username, Email: a.Email, State: state}
	}
	usernames := func() []string {
		names := []string{"owner"}
		for _, sh := range f.LiveShares() {
			a, _ := f.Account(str(sh.InvitedID))
			names = append(names, a.Username)
		}
		return names
	}
	return sdktest.Upstream{
		Ref: sdk.ServerRef{
			ServerType: "plex", Revision: 1, URL: server.URL(), ExternalID: server.ID(), InstallationID: "conformance",
			Settings: map[string]any{"cloud_url": f.CloudURL(), "clients_url": f.CloudURL(), "app_url": f.CloudURL()},
			Secrets:  map[string]string{"token": f.Token(owner.ID, "owner-device")},
		},
		Usernames: usernames,
		Link:      func() *sdk.LinkedAccount { return link(account()) },
		Tell:      func(lie sdktest.Lie) bool { return tell(f, lie) },
		Provoke:   provocations(f, server, account, link),
	}
}

// tell makes Plex say yes to what it does not do.
func tell(f *plextest.Fake, lie sdktest.Lie) bool {
	f.ClearFaults()
	f.Set(func(s *plextest.Switches) { s.SyncStaysOff = false })
	switch lie {
	case sdktest.NoLie:
	case sdktest.LieStoreNothing:
		for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodPost} {
			f.AddFault(plextest.Fault{Kind: plextest.FaultStatus, Status: http.StatusOK, Method: method, Target: "cloud"})
		}
	case sdktest.LieIgnoreKey:
		f.Set(func(s *plextest.Switches) { s.SyncStaysOff = true })
	case sdktest.LieInactive:
		f.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: "/api/v2/shared_servers/*/accept"})
	default: // the plugin believes no answer to a write, so LieRevert is LieStoreNothing
		return false
	}
	return true
}

func provocations(
	f *plextest.Fake, server *plextest.Server, account func() plextest.Account, link func(plextest.Account) *sdk.LinkedAccount,
) map[sdk.Reason]provocation {
	create := func(prepare func(a plextest.Account, req *sdk.CreateUserRequest)) provocation {
		return func(ctx context.Context, open func(sdk.ServerRef) sdktest.Client, ref sdk.ServerRef) error {
			a := account()
			req := sdk.CreateUserRequest{
				Link: link(a), Grant: sdk.Grant{Libraries: sdk.LibraryAccess{Mode: sdk.LibraryOnly, IDs: []string{str(server.Sections()[0].ID)}}},
			}
			prepare(a, &req)
			_, err := open(ref).CreateUser(ctx, req)
			return err
		}
	}
	test := func(prepare func(ref *sdk.ServerRef)) provocation {
		return func(ctx context.Context, open func(sdk.ServerRef) sdktest.Client, ref sdk.ServerRef) error {
			prepare(&ref)
			_, err := open(ref).TestConnection(ctx, sdk.TestConnectionRequest{})
			return err
		}
	}
	return map[sdk.Reason]provocation{
		sdk.ReasonAlreadyMember: create(func(a plextest.Account, _ *sdk.CreateUserRequest) {
			f.MustAddShare(plextest.ShareSpec{Server: server.ID(), Invited: a.Username, AllLibraries: true})
		}),
		sdk.ReasonAccountNotReady: create(func(a plextest.Account, _ *sdk.CreateUserRequest) {
			f.Edit(a.ID, func(a *plextest.Account) { a.Unconfirmed = true })
		}),
		sdk.ReasonLimitReached: create(func(plextest.Account, *sdk.CreateUserRequest) {
			f.Set(func(s *plextest.Switches) { s.ShareLimit = 0 })
		}),
		sdk.ReasonProtected: create(func(_ plextest.Account, req *sdk.CreateUserRequest) {
			owner, _ := f.Account("owner")
			req.Link = link(owner)
		}),
		sdk.ReasonLibraryNotFound: create(func(_ plextest.Account, req *sdk.CreateUserRequest) {
			req.Grant.Libraries.IDs = []string{"123456789"}
		}),
		sdk.ReasonLinkExpired: create(func(a plextest.Account, _ *sdk.CreateUserRequest) { f.SignOutEverywhere(a.ID) }),
		sdk.ReasonUnsupported: create(func(_ plextest.Account, req *sdk.CreateUserRequest) {
			req.Grant.Libraries = sdk.LibraryAccess{Mode: sdk.LibraryNone}
		}),
		sdk.ReasonWrongServer:         test(func(*sdk.ServerRef) { server.SetIdentity(strings.Repeat("c", 40)) }),
		sdk.ReasonCredentialsRejected: test(func(*sdk.ServerRef) { owner, _ := f.Account("owner"); f.SignOutEverywhere(owner.ID) }),
		sdk.ReasonNotAdmin: test(func(ref *sdk.ServerRef) {
			ref.Secrets = map[string]string{"token": f.Token(account().ID, "elsewhere")}
		}),
		sdk.ReasonStarting: test(func(*sdk.ServerRef) {
			f.AddFault(plextest.Fault{Kind: plextest.FaultMaintenance, Target: server.ID()})
		}),
		sdk.ReasonEndpointGone: test(func(*sdk.ServerRef) { f.AddFault(plextest.Fault{Kind: plextest.FaultGone, Target: "cloud"}) }),
		sdk.ReasonRateLimited:  test(func(*sdk.ServerRef) { f.AddFault(plextest.Fault{Kind: plextest.FaultRateLimit, Target: "cloud"}) }),
	}
}
