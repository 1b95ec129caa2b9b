package sdkplugin_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/zondarr/zondarr/sdk"
	pb "github.com/zondarr/zondarr/sdk/internal/pluginpb"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

// foreign is a plugin that was written without the SDK, and badly.
type foreign struct {
	pb.UnimplementedPluginServiceServer
	user      *pb.User
	batches   []*pb.ListUsersResponse
	silent    bool
	describe  *pb.DescribeResponse
	poll      *pb.PollLinkResponse
	begin     *pb.BeginLinkResponse
	libraries []*pb.Library
	failure   error
}

func (f *foreign) Describe(context.Context, *pb.DescribeRequest) (*pb.DescribeResponse, error) {
	return f.describe, nil
}

func (f *foreign) TestConnection(context.Context, *pb.TestConnectionRequest) (*pb.TestConnectionResponse, error) {
	return &pb.TestConnectionResponse{}, nil
}

func (f *foreign) ListLibraries(context.Context, *pb.ListLibrariesRequest) (*pb.ListLibrariesResponse, error) {
	return &pb.ListLibrariesResponse{Libraries: f.libraries}, nil
}

func (f *foreign) GetUser(context.Context, *pb.GetUserRequest) (*pb.GetUserResponse, error) {
	return &pb.GetUserResponse{User: f.user}, f.failure
}

func (f *foreign) CreateUser(context.Context, *pb.CreateUserRequest) (*pb.CreateUserResponse, error) {
	return &pb.CreateUserResponse{User: f.user}, nil
}

func (f *foreign) PollLink(context.Context, *pb.PollLinkRequest) (*pb.PollLinkResponse, error) {
	return f.poll, nil
}

func (f *foreign) BeginLink(context.Context, *pb.BeginLinkRequest) (*pb.BeginLinkResponse, error) {
	return f.begin, nil
}

func (f *foreign) ListUsers(_ *pb.ListUsersRequest, stream pb.PluginService_ListUsersServer) error {
	for _, b := range f.batches {
		if err := stream.Send(b); err != nil {
			return err
		}
	}
	if f.silent {
		<-stream.Context().Done()
	}
	return nil
}

// reach gives the host's half of a foreign plugin.
func reach(t *testing.T, f *foreign) *sdkplugin.Remote {
	t.Helper()
	return connect(t, f)
}

// connect gives the host's half of a service.
func connect(t *testing.T, service pb.PluginServiceServer) *sdkplugin.Remote {
	t.Helper()
	lis := bufconn.Listen(1 << 20)
	g := grpc.NewServer()
	pb.RegisterPluginServiceServer(g, service)
	go func() { _ = g.Serve(lis) }() // ends with Stop
	t.Cleanup(g.Stop)
	conn, err := grpc.NewClient("passthrough:///foreign", append(sdkplugin.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return sdkplugin.NewRemote(conn)
}

func active(id string) *pb.User {
	return &pb.User{Id: id, Status: pb.UserStatus_USER_STATUS_ACTIVE}
}

// Whatever a plugin answers, the host gets what the contract promises or a failure of the
// plugin: never half a user, and never a cut list for a whole one.
func TestGarbledAnswers(t *testing.T) {
	unknownMode := active("u")
	unknownMode.Libraries = &pb.LibraryAccess{Mode: 99}
	badOptions := active("u")
	badOptions.OptionsJson = `["no object", "canary"]`
	tooMuch := active("u")
	tooMuch.PluginState = make([]byte, 64<<10+1)
	for name, tt := range map[string]struct {
		f    *foreign
		call func(context.Context, *sdkplugin.RemoteClient) error
	}{
		"no user":             {&foreign{}, getUser},
		"no id":               {&foreign{user: active("")}, getUser},
		"no status":           {&foreign{user: &pb.User{Id: "u"}}, getUser},
		"a status of later":   {&foreign{user: &pb.User{Id: "u", Status: 99}}, getUser},
		"a mode of later":     {&foreign{user: unknownMode}, getUser},
		"options":             {&foreign{user: badOptions}, getUser},
		"too much state":      {&foreign{user: tooMuch}, getUser},
		"no facts":            {&foreign{}, func(ctx context.Context, c *sdkplugin.RemoteClient) error { return ops["TestConnection"](ctx, c) }},
		"a library, no id":    {&foreign{libraries: []*pb.Library{{Name: "x"}}}, func(ctx context.Context, c *sdkplugin.RemoteClient) error { return ops["ListLibraries"](ctx, c) }},
		"no link status":      {&foreign{poll: &pb.PollLinkResponse{}}, pollLink},
		"approved, nobody":    {&foreign{poll: &pb.PollLinkResponse{Status: pb.LinkStatus_LINK_STATUS_APPROVED}}, pollLink},
		"too much link state": {&foreign{begin: &pb.BeginLinkResponse{State: make([]byte, 16<<10+1)}}, func(ctx context.Context, c *sdkplugin.RemoteClient) error { return ops["BeginLink"](ctx, c) }},
		"a list that ends":    {&foreign{batches: []*pb.ListUsersResponse{{Users: []*pb.User{active("1")}}}}, listUsers},
		"an empty list":       {&foreign{}, listUsers},
		"a list beyond its end": {&foreign{batches: []*pb.ListUsersResponse{
			{Users: []*pb.User{active("1")}, Complete: true}, {Users: []*pb.User{active("2")}, Complete: true},
		}}, listUsers},
		"a list of nobody": {&foreign{batches: []*pb.ListUsersResponse{{Users: []*pb.User{{}}, Complete: true}}}, listUsers},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.call(t.Context(), reach(t, tt.f).Client(ref("one")))
			e, ok := errors.AsType[*sdk.Error](err)
			if !ok || e.Kind() != sdk.ReasonInternal || e.Origin() != sdk.SourcePlugin || e.Op == "" || e.ServerURL == "" || strings.Contains(err.Error(), "canary") {
				t.Errorf("got %#v", err)
			}
		})
	}
	err := ops["CreateUser"](t.Context(), reach(t, &foreign{}).Client(ref("one")))
	if sdk.ReasonOf(err) != sdk.ReasonAmbiguous {
		t.Errorf("a creation that answers nobody gives %v: somebody may have been made", err)
	}
	// What it lacks is unsupported, by gRPC's own word.
	if err := ops["Suspend"](t.Context(), reach(t, &foreign{}).Client(ref("one"))); sdk.ReasonOf(err) != sdk.ReasonUnsupported {
		t.Errorf("got %v", err)
	}
}

// What a failure says ends in answers and logs: the host cuts it, whoever wrote it.
func TestEndlessFailure(t *testing.T) {
	endless := strings.Repeat("é", 30_000)
	s, err := status.New(codes.Unavailable, endless).WithDetails(&pb.FailureInfo{
		Reason: pb.Reason_REASON_UNAVAILABLE, Source: pb.FailureSource_FAILURE_SOURCE_UPSTREAM,
		Fields: []*pb.FieldProblem{{Field: endless, Code: endless, Message: endless}},
	})
	if err != nil {
		t.Fatal(err)
	}
	err = getUser(t.Context(), reach(t, &foreign{failure: s.Err()}).Client(ref("one")))
	e, ok := errors.AsType[*sdk.Error](err)
	if !ok || e.Kind() != sdk.ReasonUnavailable || e.Origin() != sdk.SourceUpstream || len(e.Fields) != 1 {
		t.Fatalf("got %#v", err)
	}
	for _, text := range []string{e.Message, e.Fields[0].Field, e.Fields[0].Code, e.Fields[0].Message} {
		if len(text) > 4<<10 || !strings.HasPrefix(text, "éé") || !utf8.ValidString(text) {
			t.Errorf("a text of %d bytes came through", len(text))
		}
	}
}

func getUser(ctx context.Context, c *sdkplugin.RemoteClient) error   { return ops["GetUser"](ctx, c) }
func pollLink(ctx context.Context, c *sdkplugin.RemoteClient) error  { return ops["PollLink"](ctx, c) }
func listUsers(ctx context.Context, c *sdkplugin.RemoteClient) error { return ops["ListUsers"](ctx, c) }

func TestGarbledDescriptions(t *testing.T) {
	for says, d := range map[string]*pb.DescribeResponse{
		"Version is empty": {},
		"settings schema":  {SettingsSchemaJson: `{`},
		"options schema":   {OptionsSchemaJson: `{"type":"array"}`},
	} {
		_, err := reach(t, &foreign{describe: d}).Describe(t.Context())
		e, ok := errors.AsType[*sdk.Error](err)
		if !ok || e.Kind() != sdk.ReasonInternal || e.Origin() != sdk.SourcePlugin || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q, got %v", says, err)
		}
	}
}

// A plugin of a later version of the contract is taken for what is understood of it.
func TestDescriptionOfLater(t *testing.T) {
	d, err := reach(t, &foreign{describe: &pb.DescribeResponse{
		Name: "later", Version: "9", ServerType: "later", DisplayName: "Later", JoinFlow: 99,
		Capabilities: []pb.Capability{pb.Capability_CAPABILITY_READ_USERS, 99},
		Traits:       &pb.Traits{LibraryModes: []pb.LibraryMode{pb.LibraryMode_LIBRARY_MODE_ALL, 99}},
	}}).Describe(t.Context())
	got := d.Description
	if err != nil || got.JoinFlow != sdk.JoinNone || !slices.Equal(got.Capabilities(), []sdk.Capability{sdk.CapReadUsers}) ||
		!slices.Equal(got.Traits.LibraryModes, []sdk.LibraryMode{sdk.LibraryAll}) {
		t.Errorf("it is %+v, %v", got, err)
	}
	if again, err := sdkplugin.ParseDeclaration(d.JSON); err != nil || again.Description.JoinFlow != sdk.JoinNone {
		t.Errorf("read again it is %+v, %v", again.Description, err)
	}
}

// A list that stands still ends with its caller's context, and not before: how long
// it may be silent is the host's to say, by one clock.
func TestSilentList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &foreign{batches: []*pb.ListUsersResponse{{Users: []*pb.User{active("1")}}, {Users: []*pb.User{active("2")}}}, silent: true}
		c := reach(t, f).Client(ref("one"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		start, n := time.Now(), 0
		err := c.ListUsers(ctx, sdk.ListUsersRequest{}, func(sdk.User) error { n++; return nil })
		e, ok := errors.AsType[*sdk.Error](err)
		if !ok || n != 2 || e.Kind() != sdk.ReasonTimeout || e.Origin() != sdk.SourceHost || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %d users: %#v", n, err)
		}
		if took := time.Since(start); took != time.Hour {
			t.Errorf("it took %s", took)
		}
	})
}

// Settings that are no JSON are the host's mistake, and cost no call.
func TestUnsendable(t *testing.T) {
	bad := map[string]any{"x": func() {}}
	r := ref("one")
	r.Settings = bad
	c := sdkplugin.NewRemote(brokenConn{errors.New("a call was made")}).Client(r)
	for op, call := range maps.All(ops) {
		if err := call(t.Context(), c); sdk.ReasonOf(err) != sdk.ReasonInvalid || !strings.HasPrefix(err.Error(), op+" ") {
			t.Errorf("%s: %v", op, err)
		}
	}
	c = sdkplugin.NewRemote(brokenConn{errors.New("a call was made")}).Client(ref("one"))
	for _, call := range []func() error{
		func() error {
			_, err := c.CreateUser(t.Context(), sdk.CreateUserRequest{Grant: sdk.Grant{Options: bad}})
			return err
		},
		func() error {
			_, err := c.Resume(t.Context(), sdk.ResumeRequest{Grant: sdk.Grant{Options: bad}})
			return err
		},
		func() error {
			_, err := c.SetPermissions(t.Context(), sdk.SetPermissionsRequest{Options: bad})
			return err
		},
	} {
		if err := call(); sdk.ReasonOf(err) != sdk.ReasonInvalid {
			t.Errorf("got %v", err)
		}
	}
}

// What a plugin answers wrongly is told in a text that a log can hold, however much of it
// there is, and nothing too large is looked at.
func TestHugeDescriptions(t *testing.T) {
	long := strings.Repeat("x", 500_000)
	many := &pb.DescribeResponse{}
	for range 800_000 {
		many.Permissions = append(many.Permissions, &pb.PermissionInfo{Name: "Bad Permission"})
	}
	for name, resp := range map[string]*pb.DescribeResponse{
		"a long name":   {Name: long},
		"a long schema": {SettingsSchemaJson: `{"type":"object","x-order":["` + long + `"],"properties":{}}`},
		"too much":      many,
	} {
		_, err := reach(t, &foreign{describe: resp}).Describe(t.Context())
		if err == nil || len(err.Error()) > 4096 {
			t.Errorf("%s is told in %d bytes", name, len(fmt.Sprint(err)))
		}
		if name == "too much" && !strings.Contains(err.Error(), "bytes, 1048576 are allowed") {
			t.Errorf("%s: %v", name, err)
		}
	}
	user := active("u")
	user.Id, user.OptionsJson = strings.Repeat("\x00", 1<<20), "{"
	if _, err := reach(t, &foreign{user: user}).Client(ref("one")).GetUser(t.Context(), sdk.GetUserRequest{ID: "u"}); err == nil || len(err.Error()) > 4096 {
		t.Errorf("a user is told in %d bytes", len(fmt.Sprint(err)))
	}
}
