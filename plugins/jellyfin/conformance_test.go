package jellyfin_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zondarr/zondarr/plugins/jellyfin"
	"github.com/zondarr/zondarr/plugins/jellyfin/jellyfintest"
	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

// The contract's own checks, for each version, on servers of a thousand users: in
// process, over gRPC and as the program that is shipped. What needs no media server
// is the same for every version, and runs once.
func TestConformance(t *testing.T) {
	program := build(t)
	once := map[string]string{}
	for _, c := range sdktest.Checks() {
		if c.Tier == 1 {
			once[c.Name] = "it runs with 10.11.6"
		}
	}
	for v, skip := range map[string]map[string]string{
		"10.8.13": once, "10.10.7": once, "10.11.6": nil, "10.11.11": once, "12.0.0": once,
	} {
		t.Run(v, func(t *testing.T) {
			if skip != nil { // what is counted of the process in tier 1 must be its own
				if testing.Short() {
					t.Skip("one version is enough under the race detector")
				}
				t.Parallel() // it mostly waits
			}
			sdktest.Run(t, sdktest.Config{
				New:     func() sdk.Plugin { return jellyfin.New() },
				Program: program,
				Fixture: fixture(v),
				Skip:    skip,
			})
		})
	}
}

func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "zondarr-plugin-jellyfin")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", path, "../../cmd/zondarr-plugin-jellyfin").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

const key = "0123456789abcdef0123456789abcdef"

func fixture(version string) sdktest.Fixture {
	return sdktest.Fixture{Start: func(tb testing.TB) sdktest.Upstream {
		s := jellyfintest.New(jellyfintest.Config{Version: version, APIKey: key})
		if err := s.Start(); err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(s.Close)
		s.AddLibrary(jellyfintest.Library{Name: "Movies", Type: "movies"})
		s.AddLibrary(jellyfintest.Library{Name: "Shows", Type: "tvshows"})
		s.AddUsers("user", 1000)
		return sdktest.Upstream{
			Ref:       sdk.ServerRef{ServerType: "jellyfin", Revision: 1, URL: s.URL(), Secrets: map[string]string{"api_key": key}, InstallationID: "conformance"},
			Usernames: func() []string { return usernames(s) },
			Tell:      func(lie sdktest.Lie) bool { return tell(s, lie) },
			Provoke:   provocations(s),
		}
	}}
}

func usernames(s *jellyfintest.Server) []string {
	var names []string
	for _, u := range s.Users() {
		names = append(names, u.Name)
	}
	return names
}

// tell makes the server lie as real ones have been seen to.
func tell(s *jellyfintest.Server, lie sdktest.Lie) bool {
	s.ClearFaults()
	policy := jellyfintest.Fault{Method: "POST", Path: "/Users/*/Policy"}
	switch lie {
	case sdktest.NoLie:
		return true
	case sdktest.LieStoreNothing:
		policy.Action = jellyfintest.Forget
		s.AddFault(jellyfintest.Fault{Method: "POST", Path: "/Users/New", Action: jellyfintest.Forget, Skip: 1})
	case sdktest.LieRevert:
		policy.Action = jellyfintest.RevertPolicy
	default: // no version is known to do that
		return false
	}
	s.AddFault(policy)
	return true
}

type provocation = func(ctx context.Context, open func(sdk.ServerRef) sdktest.Client, ref sdk.ServerRef) error

// provocations are calls that must fail with exactly one reason.
func provocations(s *jellyfintest.Server) map[sdk.Reason]provocation {
	fail := func(path string, action jellyfintest.Action, after bool) {
		s.AddFault(jellyfintest.Fault{Path: path, Action: action, AfterCommit: after})
	}
	test := func(prepare func(ref *sdk.ServerRef)) provocation {
		return func(ctx context.Context, open func(sdk.ServerRef) sdktest.Client, ref sdk.ServerRef) error {
			prepare(&ref)
			_, err := open(ref).TestConnection(ctx, sdk.TestConnectionRequest{})
			return err
		}
	}
	create := func(prepare func(req *sdk.CreateUserRequest)) provocation {
		return func(ctx context.Context, open func(sdk.ServerRef) sdktest.Client, ref sdk.ServerRef) error {
			req := sdk.CreateUserRequest{Username: "bob", Password: "a password", Grant: sdk.Grant{Libraries: sdk.LibraryAccess{Mode: sdk.LibraryNone}}}
			prepare(&req)
			_, err := open(ref).CreateUser(ctx, req)
			return err
		}
	}
	return map[sdk.Reason]provocation{
		sdk.ReasonCredentialsRejected: test(func(*sdk.ServerRef) { s.DeleteAPIKey(key) }),
		sdk.ReasonNotAdmin: test(func(ref *sdk.ServerRef) {
			token, _ := s.SignInDevice("user000001", "browser")
			ref.Secrets = map[string]string{"api_key": token}
		}),
		sdk.ReasonWrongServer:  test(func(ref *sdk.ServerRef) { ref.ExternalID = strings.Repeat("ab", 16) }),
		sdk.ReasonWrongProduct: test(func(*sdk.ServerRef) { fail("", jellyfintest.HTML, false) }),
		sdk.ReasonStarting:     test(func(*sdk.ServerRef) { fail("", jellyfintest.Starting, false) }),
		sdk.ReasonServerError:  test(func(*sdk.ServerRef) { fail("", jellyfintest.Empty, false) }),
		sdk.ReasonUnavailable:  test(func(*sdk.ServerRef) { fail("", jellyfintest.Cut, false) }),
		sdk.ReasonNotFound: func(ctx context.Context, open func(sdk.ServerRef) sdktest.Client, ref sdk.ServerRef) error {
			_, err := open(ref).GetUser(ctx, sdk.GetUserRequest{ID: strings.Repeat("ab", 16)})
			return err
		},
		sdk.ReasonProtected: func(ctx context.Context, open func(sdk.ServerRef) sdktest.Client, ref sdk.ServerRef) error {
			admin, _ := s.User("admin")
			_, err := open(ref).DeleteUser(ctx, sdk.DeleteUserRequest{ID: admin.ID})
			return err
		},
		sdk.ReasonUsernameTaken:    create(func(req *sdk.CreateUserRequest) { req.Username = "User000001" }),
		sdk.ReasonUsernameInvalid:  create(func(req *sdk.CreateUserRequest) { req.Username = "bob/alice" }),
		sdk.ReasonPasswordRejected: create(func(req *sdk.CreateUserRequest) { req.Password = " " }),
		sdk.ReasonLibraryNotFound: create(func(req *sdk.CreateUserRequest) {
			req.Grant.Libraries = sdk.LibraryAccess{Mode: sdk.LibraryOnly, IDs: []string{"movies"}}
		}),
		sdk.ReasonInvalid:          create(func(req *sdk.CreateUserRequest) { req.Grant.Libraries.Mode = "" }),
		sdk.ReasonAccessNotApplied: create(func(*sdk.CreateUserRequest) { fail("/Users/*/Policy", jellyfintest.Forget, false) }),
		sdk.ReasonAmbiguous:        create(func(*sdk.CreateUserRequest) { fail("/Users/New", jellyfintest.Cut, true) }),
	}
}
