package sdkplugin_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

func drawMap[V any](t *rapid.T, label string, v *rapid.Generator[V]) map[string]V {
	m := rapid.MapOfN(rapid.StringN(1, 12, -1), v, 0, 4).Draw(t, label)
	if len(m) == 0 {
		return nil
	}
	return m
}

func drawList[V any](t *rapid.T, label string, v *rapid.Generator[V]) []V {
	l := rapid.SliceOfN(v, 0, 4).Draw(t, label)
	if len(l) == 0 {
		return nil
	}
	return l
}

func drawTime(t *rapid.T, label string) time.Time {
	if rapid.Bool().Draw(t, label+" known") {
		return time.Unix(rapid.Int64Range(-1e9, 4e9).Draw(t, label), rapid.Int64Range(0, 999999999).Draw(t, label+" ns")).UTC()
	}
	return time.Time{}
}

var (
	tris  = rapid.SampledFrom([]sdk.Tri{sdk.Unset, sdk.Allow, sdk.Deny})
	modes = rapid.SampledFrom([]sdk.LibraryMode{sdk.LibraryAll, sdk.LibraryNone, sdk.LibraryOnly})
	texts = rapid.StringOfN(rapid.Rune(), 0, 20, -1)
	// What encoding/json makes of JSON.
	values = rapid.OneOf(rapid.Just[any](true), rapid.Just[any]("text"), rapid.Just[any](1.5), rapid.Just[any]([]any{"a", 2.0}), rapid.Just[any](nil))
)

func drawAccess(t *rapid.T) sdk.LibraryAccess {
	return sdk.LibraryAccess{Mode: modes.Draw(t, "mode"), IDs: drawList(t, "ids", texts)}
}

func drawGrant(t *rapid.T) sdk.Grant {
	return sdk.Grant{
		Libraries: drawAccess(t), Permissions: drawMap(t, "permissions", tris), Limits: drawMap(t, "limits", rapid.Int64()),
		Options: drawMap(t, "options", values),
	}
}

func drawUser(t *rapid.T) sdk.User {
	u := sdk.User{
		ID: "i" + texts.Draw(t, "id"), Username: texts.Draw(t, "username"), DisplayName: texts.Draw(t, "display name"), Email: texts.Draw(t, "email"),
		Kind: texts.Draw(t, "kind"), Protected: rapid.Bool().Draw(t, "protected"),
		Status:      rapid.SampledFrom([]sdk.Status{sdk.StatusActive, sdk.StatusPending, sdk.StatusSuspended}).Draw(t, "status"),
		Permissions: drawMap(t, "permissions", tris), Limits: drawMap(t, "limits", rapid.Int64()), Options: drawMap(t, "options", values),
		PluginState: drawList(t, "state", rapid.Byte()), CreatedAt: drawTime(t, "created"), LastActiveAt: drawTime(t, "active"),
	}
	if rapid.Bool().Draw(t, "libraries told") {
		access := drawAccess(t)
		u.Libraries = &access
	}
	if rapid.Bool().Draw(t, "sign-in told") {
		signedIn := rapid.Bool().Draw(t, "signed in")
		u.SignedIn = &signedIn
	}
	return u
}

// Everything that a host asks arrives at the author as it was, and everything that the
// author answers at the host.
func TestCallsTravel(t *testing.T) {
	s := &stub{}
	p := &stubPlugin{}
	remote := sdktest.Connect(t, p)
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		server := sdk.ServerRef{
			ServerType: "fake", Revision: rapid.Int64().Draw(t, "revision"), URL: "http://x.example", ExternalID: texts.Draw(t, "external"), Version: texts.Draw(t, "version"),
			Settings: drawMap(t, "settings", values), Secrets: drawMap(t, "secrets", texts), InstallationID: texts.Draw(t, "installation"),
			TLS: sdk.TLSOptions{SkipVerify: rapid.Bool().Draw(t, "skip verify")},
		}
		var opened sdk.ServerRef
		p.open = func(_ context.Context, req sdk.OpenRequest) (sdk.MediaClient, error) {
			opened = req.Server
			return s, nil
		}
		var got any
		s.do = func(_ context.Context, _ string, req any) error { got = req; return nil }
		c := remote.Client(server)
		u := drawUser(t)
		s.answers.user, s.answers.message = u, texts.Draw(t, "message")
		same := func(what string, got, want any) {
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%s\n got %#v\nwant %#v", what, got, want)
			}
		}

		create := sdk.CreateUserRequest{
			OperationID: texts.Draw(t, "operation"), Username: texts.Draw(t, "name"), DisplayName: texts.Draw(t, "shown"), Email: texts.Draw(t, "mail"),
			Password: texts.Draw(t, "password"), Grant: drawGrant(t),
		}
		if rapid.Bool().Draw(t, "linked") {
			create.Link = &sdk.LinkedAccount{Realm: "r", ID: texts.Draw(t, "account"), Username: "n", DisplayName: "d", Email: "e", State: []byte("state")}
		}
		created, err := c.CreateUser(ctx, create)
		same("error", err, nil)
		same("server", opened, server)
		same("request", got, create)
		same("response", created, sdk.CreateUserResponse{User: u, Message: s.answers.message})

		resume := sdk.ResumeRequest{ID: texts.Draw(t, "id"), Grant: drawGrant(t), PluginState: drawList(t, "kept", rapid.Byte())}
		resumed, err := c.Resume(ctx, resume)
		same("error", err, nil)
		same("request", got, resume)
		same("response", resumed.User, u)

		set := sdk.SetPermissionsRequest{ID: "u", Permissions: drawMap(t, "set", tris), Limits: drawMap(t, "limit", rapid.Int64()), Options: drawMap(t, "option", values)}
		if _, err = c.SetPermissions(ctx, set); err != nil {
			t.Fatal(err)
		}
		same("request", got, set)

		s.answers.facts = sdk.ServerFacts{
			Product: texts.Draw(t, "product"), Version: "1", ExternalID: "e", Name: "n",
			Capabilities: drawList(t, "caps", rapid.SampledFrom([]sdk.Capability{sdk.CapLimits, sdk.CapSuspend, sdk.CapLinkAccount})),
			Permissions:  drawList(t, "permissions", texts), Limits: drawList(t, "limits", texts), LibraryModes: drawList(t, "modes", modes),
			Missing:      drawList(t, "missing", rapid.Just(sdk.Missing{Name: "a", Reason: "b"})),
			JoinFlow:     rapid.SampledFrom([]sdk.JoinFlow{sdk.JoinNone, sdk.JoinPassword, sdk.JoinLinkedAccount}).Draw(t, "flow"),
			AccountRules: sdk.AccountRules{Username: drawRule(t), Password: drawRule(t), Email: drawRule(t)},
			Warnings:     drawList(t, "warnings", texts),
		}
		tested, err := c.TestConnection(ctx, sdk.TestConnectionRequest{})
		same("error", err, nil)
		same("facts", tested.Facts, s.answers.facts)
	})
}

func drawRule(t *rapid.T) sdk.FieldRule {
	return sdk.FieldRule{
		Use:       rapid.SampledFrom([]sdk.FieldUse{sdk.FieldRequired, sdk.FieldOptional, sdk.FieldUnused}).Draw(t, "use"),
		MinLength: rapid.IntRange(0, 9).Draw(t, "min"), MaxLength: rapid.IntRange(0, 99).Draw(t, "max"), MaxBytes: rapid.IntRange(0, 999).Draw(t, "bytes"),
		Pattern: texts.Draw(t, "pattern"), Help: texts.Draw(t, "help"),
	}
}

func TestOtherCallsTravel(t *testing.T) {
	var got any
	s := &stub{do: func(_ context.Context, _ string, req any) error { got = req; return nil }}
	c := sdktest.Connect(t, &stubPlugin{stub: s}).Client(ref("one"))
	ctx := t.Context()
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	s.answers = answers{
		gone: true, ok: true, userID: "u9",
		libraries: []sdk.Library{{ID: "1", Name: "Films", Type: sdk.LibraryMovies}, {ID: "2", Name: "?", Type: "of another world"}},
		sessions:  []sdk.Session{{ID: "s", UserID: "u", Username: "n", Client: "c", Device: "d", RemoteAddr: "r", NowPlaying: "p", LastActiveAt: at}},
		begin:     sdk.BeginLinkResponse{State: []byte("st"), AuthorizeURL: "https://a", UserCode: "1234", PollAfter: time.Second, ExpiresAt: at},
		poll:      sdk.PollLinkResponse{Status: sdk.LinkApproved, State: []byte("st2"), Account: &sdk.LinkedAccount{Realm: "r", ID: "1", State: []byte("not for the host")}},
	}
	check := func(what string, got, want any, err error) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v, %v\nwant %+v", what, got, err, want)
		}
	}
	libraries, err := c.ListLibraries(ctx, sdk.ListLibrariesRequest{})
	check("libraries", libraries.Libraries, []sdk.Library{{ID: "1", Name: "Films", Type: sdk.LibraryMovies}, {ID: "2", Name: "?", Type: sdk.LibraryOther}}, err)
	sessions, err := c.ListSessions(ctx, sdk.ListSessionsRequest{})
	check("sessions", sessions.Sessions, s.answers.sessions, err)
	begun, err := c.BeginLink(ctx, sdk.BeginLinkRequest{ReturnURL: "https://back"})
	check("begun", begun, s.answers.begin, err)
	check("begin", got, sdk.BeginLinkRequest{ReturnURL: "https://back"}, nil)
	polled, err := c.PollLink(ctx, sdk.PollLinkRequest{State: []byte("st")})
	check("polled", polled, sdk.PollLinkResponse{Status: sdk.LinkApproved, State: []byte("st2"), Account: &sdk.LinkedAccount{Realm: "r", ID: "1"}}, err)
	check("poll", got, sdk.PollLinkRequest{State: []byte("st")}, nil)
	deleted, err := c.DeleteUser(ctx, sdk.DeleteUserRequest{ID: "d"})
	check("deleted", deleted, sdk.DeleteUserResponse{AlreadyGone: true}, err)
	verified, err := c.VerifyPassword(ctx, sdk.VerifyPasswordRequest{Username: "n", Password: "p"})
	check("verified", verified, sdk.VerifyPasswordResponse{OK: true, UserID: "u9"}, err)
	check("verify", got, sdk.VerifyPasswordRequest{Username: "n", Password: "p"}, nil)
	s.answers.user = sdk.User{ID: "u", Status: sdk.StatusActive}
	_, err = c.FindUser(ctx, sdk.FindUserRequest{AccountID: "acc", MaxAge: 3 * time.Second})
	check("find", got, sdk.FindUserRequest{AccountID: "acc", MaxAge: 3 * time.Second}, err)
	_, err = c.SetLibraryAccess(ctx, sdk.SetLibraryAccessRequest{ID: "u", Access: sdk.LibraryAccess{Mode: sdk.LibraryOnly, IDs: []string{"1"}}})
	check("access", got, sdk.SetLibraryAccessRequest{ID: "u", Access: sdk.LibraryAccess{Mode: sdk.LibraryOnly, IDs: []string{"1"}}}, err)
}

// R7.6: what a call's context carries arrives with it.
func TestOriginTravels(t *testing.T) {
	var got context.Context
	s := &stub{do: func(ctx context.Context, _ string, _ any) error { got = ctx; return nil }}
	s.answers.user = sdk.User{ID: "u", Status: sdk.StatusActive}
	s.answers.poll.Status = sdk.LinkPending
	c := sdktest.Connect(t, &stubPlugin{stub: s}).Client(ref("one"))
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for op, call := range ops {
		ctx, cancel := context.WithTimeout(sdk.WithTraceContext(sdk.WithCorrelationID(t.Context(), "req-7"), parent, "vendor=1"), time.Minute)
		if err := call(ctx, c); err != nil {
			t.Fatalf("%s: %v", op, err)
		}
		cancel()
		if sdk.CorrelationID(got) != "req-7" || sdk.TraceParent(got) != parent || sdk.TraceState(got) != "vendor=1" {
			t.Errorf("%s arrived with %q, %q and %q", op, sdk.CorrelationID(got), sdk.TraceParent(got), sdk.TraceState(got))
		}
		if at, ok := got.Deadline(); !ok || time.Until(at) > time.Minute || time.Until(at) < 50*time.Second {
			t.Errorf("%s arrived with the deadline %v", op, at)
		}
	}
	// An id that gRPC would refuse costs no call.
	if err := ops["GetUser"](sdk.WithCorrelationID(t.Context(), "line\nbreak"), c); err != nil || sdk.CorrelationID(got) != "" {
		t.Errorf("got %v, %q", err, sdk.CorrelationID(got))
	}
}
