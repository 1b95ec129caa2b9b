package sdkplugin

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/hashicorp/go-plugin"

	"github.com/zondarr/zondarr/sdk"
	pb "github.com/zondarr/zondarr/sdk/internal/pluginpb"
)

// Remote is a running plugin as its host sees it: what Dispense(PluginName) gives.
type Remote struct {
	rpc    pb.PluginServiceClient
	health grpc_health_v1.HealthClient
}

// NewRemote gives the plugin behind a connection, which was made with DialOptions.
func NewRemote(conn grpc.ClientConnInterface) *Remote {
	return &Remote{rpc: pb.NewPluginServiceClient(conn), health: grpc_health_v1.NewHealthClient(conn)}
}

// Describe asks the plugin what it is, and validates the answer. An answer that is
// wrong is ReasonInternal from SourcePlugin.
func (r *Remote) Describe(ctx context.Context) (Declaration, error) {
	resp, err := r.rpc.Describe(ctx, &pb.DescribeRequest{})
	if err != nil {
		e := errorOf(ctx, err)
		e.Op = "Describe"
		return Declaration{}, e
	}
	d, err := declarationOf(resp)
	if err != nil {
		e := nonsense(err)
		e.Op = "Describe"
		return Declaration{}, e
	}
	return d, nil
}

// Ping says whether the plugin's RPC loop answers. It calls no media server and none
// of the author's code.
func (r *Remote) Ping(ctx context.Context) error {
	resp, err := r.health.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: plugin.GRPCServiceName})
	if err != nil {
		e := errorOf(ctx, err)
		e.Op = "Ping"
		return e
	}
	if resp.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		return &sdk.Error{Op: "Ping", Reason: sdk.ReasonUnavailable, Source: sdk.SourcePlugin, Message: "the plugin says that it does not serve"}
	}
	return nil
}

// Client gives the media client of one server. It makes no call: the plugin opens
// the server with the first one. The client keeps ref and does not change it; a
// changed server needs a new client.
func (r *Remote) Client(ref sdk.ServerRef) *RemoteClient {
	server, err := toServer(ref)
	c := &RemoteClient{rpc: r.rpc, server: server, url: ref.URL}
	if err != nil {
		c.broken = &sdk.Error{
			Reason: sdk.ReasonInvalid, Source: sdk.SourceRequest, Message: "the server's settings cannot be sent", ServerURL: ref.URL, Err: err,
		}
	}
	return c
}

// RemoteClient is the host's media client of one server. It implements
// sdk.MediaClient and every optional interface; a call of one that the plugin does
// not declare fails with ReasonUnsupported. Every failure is an *sdk.Error with the
// operation and the server's URL:
//
//   - From SourceRequest, SourcePlugin or SourceUpstream it is the plugin's word.
//   - From SourceHost it is about the call itself: ReasonUnavailable when the plugin
//     process is gone, ReasonTimeout when the context ended first, and then the
//     context's error is reachable by errors.Is. What the call did is not known.
type RemoteClient struct {
	rpc    pb.PluginServiceClient
	server *pb.ServerRef // shared by all calls, read only
	url    string
	broken *sdk.Error
}

var (
	_ sdk.MediaClient      = (*RemoteClient)(nil)
	_ sdk.UserReader       = (*RemoteClient)(nil)
	_ sdk.Provisioner      = (*RemoteClient)(nil)
	_ sdk.Suspender        = (*RemoteClient)(nil)
	_ sdk.AccessSetter     = (*RemoteClient)(nil)
	_ sdk.PermissionSetter = (*RemoteClient)(nil)
	_ sdk.PasswordSetter   = (*RemoteClient)(nil)
	_ sdk.PasswordVerifier = (*RemoteClient)(nil)
	_ sdk.SessionReader    = (*RemoteClient)(nil)
	_ sdk.AccountLinker    = (*RemoteClient)(nil)
)

// Close does nothing: the plugin closes its client when the server's revision moves
// on or when it has been idle.
func (c *RemoteClient) Close() error { return nil }

// failed gives the error of a call, nil for none.
func (c *RemoteClient) failed(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	e := errorOf(ctx, err)
	e.Op, e.ServerURL = op, c.url
	return e
}

// garbled says that the plugin's answer breaks the contract. Where the call made
// something, nobody knows what.
func (c *RemoteClient) garbled(op string, err error) error {
	e := nonsense(err)
	if op == "CreateUser" {
		e.Reason = sdk.ReasonAmbiguous
	}
	e.Op, e.ServerURL = op, c.url
	return e
}

// nonsense is the failure of a plugin that answers what the contract does not allow. The
// text may quote the answer, which may be long.
func nonsense(err error) *sdk.Error {
	return &sdk.Error{Reason: sdk.ReasonInternal, Source: sdk.SourcePlugin, Message: redactor{}.text(err.Error())}
}

// invalid says that a request cannot be sent.
func (c *RemoteClient) invalid(op string, err error) error {
	e := sdk.Errorf(sdk.ReasonInvalid, "%w", err)
	e.Op, e.ServerURL, e.Source = op, c.url, sdk.SourceRequest
	return e
}

// remote does one call that gives a message of type R.
func remote[Q, R any](ctx context.Context, c *RemoteClient, op string, do func(context.Context, Q, ...grpc.CallOption) (R, error), req Q) (R, error) {
	if c.broken != nil {
		var none R
		e := *c.broken
		e.Op = op
		return none, &e
	}
	resp, err := do(ctx, req)
	return resp, c.failed(ctx, op, err)
}

// user reads the user of an answer.
func (c *RemoteClient) user(op string, resp interface{ GetUser() *pb.User }, err error) (sdk.User, error) {
	if err != nil {
		return sdk.User{}, err
	}
	if resp.GetUser() == nil {
		return sdk.User{}, c.garbled(op, errors.New("the plugin answered no user"))
	}
	u, err := fromUser(resp.GetUser())
	if err != nil {
		return sdk.User{}, c.garbled(op, err)
	}
	return u, nil
}
