package sdkplugin

import (
	"context"
	"errors"
	"fmt"

	"github.com/zondarr/zondarr/sdk"
	pb "github.com/zondarr/zondarr/sdk/internal/pluginpb"
)

// TestConnection asks the plugin what it reaches.
func (c *RemoteClient) TestConnection(ctx context.Context, _ sdk.TestConnectionRequest) (sdk.TestConnectionResponse, error) {
	const op = "TestConnection"
	resp, err := remote(ctx, c, op, c.rpc.TestConnection, &pb.TestConnectionRequest{Server: c.server})
	if err != nil {
		return sdk.TestConnectionResponse{}, err
	}
	if resp.GetFacts() == nil {
		return sdk.TestConnectionResponse{}, c.garbled(op, errors.New("the plugin answered no facts"))
	}
	return sdk.TestConnectionResponse{Facts: fromFacts(resp.GetFacts())}, nil
}

// ListLibraries asks the plugin for the libraries.
func (c *RemoteClient) ListLibraries(ctx context.Context, _ sdk.ListLibrariesRequest) (sdk.ListLibrariesResponse, error) {
	const op = "ListLibraries"
	resp, err := remote(ctx, c, op, c.rpc.ListLibraries, &pb.ListLibrariesRequest{Server: c.server})
	if err != nil {
		return sdk.ListLibrariesResponse{}, err
	}
	out := sdk.ListLibrariesResponse{}
	for _, l := range resp.GetLibraries() {
		if l.GetId() == "" {
			return sdk.ListLibrariesResponse{}, c.garbled(op, fmt.Errorf("the plugin answered library %q without an id", l.GetName()))
		}
		kind := fromLibraryType.of(l.GetType())
		if kind == "" {
			kind = sdk.LibraryOther
		}
		out.Libraries = append(out.Libraries, sdk.Library{ID: l.GetId(), Name: l.GetName(), Type: kind})
	}
	return out, nil
}

// GetUser asks the plugin for one user.
func (c *RemoteClient) GetUser(ctx context.Context, req sdk.GetUserRequest) (sdk.GetUserResponse, error) {
	const op = "GetUser"
	resp, err := remote(ctx, c, op, c.rpc.GetUser, &pb.GetUserRequest{Server: c.server, Id: req.ID})
	u, err := c.user(op, resp, err)
	return sdk.GetUserResponse{User: u}, err
}

// FindUser asks the plugin to look a user up.
func (c *RemoteClient) FindUser(ctx context.Context, req sdk.FindUserRequest) (sdk.FindUserResponse, error) {
	const op = "FindUser"
	resp, err := remote(ctx, c, op, c.rpc.FindUser, &pb.FindUserRequest{
		Server: c.server, Username: req.Username, AccountId: req.AccountID, MaxAgeMs: req.MaxAge.Milliseconds(),
	})
	u, err := c.user(op, resp, err)
	return sdk.FindUserResponse{User: u}, err
}

// CreateUser asks the plugin to make a user. A failure from SourceHost, one that is
// retryable and ReasonAmbiguous all say that an account may exist, unless it is Undone.
func (c *RemoteClient) CreateUser(ctx context.Context, req sdk.CreateUserRequest) (sdk.CreateUserResponse, error) {
	const op = "CreateUser"
	grant, err := toGrant(req.Grant)
	if err != nil {
		return sdk.CreateUserResponse{}, c.invalid(op, err)
	}
	resp, err := remote(ctx, c, op, c.rpc.CreateUser, &pb.CreateUserRequest{
		Server: c.server, OperationId: req.OperationID, Username: req.Username, DisplayName: req.DisplayName, Email: req.Email,
		Password: req.Password, Link: toLink(req.Link), Grant: grant,
	})
	u, err := c.user(op, resp, err)
	return sdk.CreateUserResponse{User: u, Message: resp.GetMessage()}, err
}

// DeleteUser asks the plugin to remove a user.
func (c *RemoteClient) DeleteUser(ctx context.Context, req sdk.DeleteUserRequest) (sdk.DeleteUserResponse, error) {
	resp, err := remote(ctx, c, "DeleteUser", c.rpc.DeleteUser, &pb.DeleteUserRequest{Server: c.server, Id: req.ID})
	return sdk.DeleteUserResponse{AlreadyGone: resp.GetAlreadyGone()}, err
}

// Suspend asks the plugin to disable a user.
func (c *RemoteClient) Suspend(ctx context.Context, req sdk.SuspendRequest) (sdk.SuspendResponse, error) {
	const op = "Suspend"
	resp, err := remote(ctx, c, op, c.rpc.Suspend, &pb.SuspendRequest{Server: c.server, Id: req.ID})
	u, err := c.user(op, resp, err)
	return sdk.SuspendResponse{User: u}, err
}

// Resume asks the plugin to enable a user.
func (c *RemoteClient) Resume(ctx context.Context, req sdk.ResumeRequest) (sdk.ResumeResponse, error) {
	const op = "Resume"
	grant, err := toGrant(req.Grant)
	if err != nil {
		return sdk.ResumeResponse{}, c.invalid(op, err)
	}
	resp, err := remote(ctx, c, op, c.rpc.Resume, &pb.ResumeRequest{Server: c.server, Id: req.ID, Grant: grant, PluginState: req.PluginState})
	u, err := c.user(op, resp, err)
	return sdk.ResumeResponse{User: u}, err
}

// SetLibraryAccess asks the plugin to replace a user's access.
func (c *RemoteClient) SetLibraryAccess(ctx context.Context, req sdk.SetLibraryAccessRequest) (sdk.SetLibraryAccessResponse, error) {
	const op = "SetLibraryAccess"
	resp, err := remote(ctx, c, op, c.rpc.SetLibraryAccess, &pb.SetLibraryAccessRequest{Server: c.server, Id: req.ID, Access: toAccess(req.Access)})
	u, err := c.user(op, resp, err)
	return sdk.SetLibraryAccessResponse{User: u}, err
}

// SetPermissions asks the plugin to change a user.
func (c *RemoteClient) SetPermissions(ctx context.Context, req sdk.SetPermissionsRequest) (sdk.SetPermissionsResponse, error) {
	const op = "SetPermissions"
	options, err := toObject(req.Options)
	if err != nil {
		return sdk.SetPermissionsResponse{}, c.invalid(op, err)
	}
	resp, err := remote(ctx, c, op, c.rpc.SetPermissions, &pb.SetPermissionsRequest{
		Server: c.server, Id: req.ID, Permissions: toTris(req.Permissions, nil), Limits: req.Limits, OptionsJson: options,
	})
	u, err := c.user(op, resp, err)
	return sdk.SetPermissionsResponse{User: u}, err
}

// SetPassword asks the plugin to replace a password.
func (c *RemoteClient) SetPassword(ctx context.Context, req sdk.SetPasswordRequest) (sdk.SetPasswordResponse, error) {
	_, err := remote(ctx, c, "SetPassword", c.rpc.SetPassword, &pb.SetPasswordRequest{Server: c.server, Id: req.ID, Password: req.Password})
	return sdk.SetPasswordResponse{}, err
}

// VerifyPassword asks the plugin to prove a password.
func (c *RemoteClient) VerifyPassword(ctx context.Context, req sdk.VerifyPasswordRequest) (sdk.VerifyPasswordResponse, error) {
	resp, err := remote(ctx, c, "VerifyPassword", c.rpc.VerifyPassword, &pb.VerifyPasswordRequest{Server: c.server, Username: req.Username, Password: req.Password})
	return sdk.VerifyPasswordResponse{OK: resp.GetOk(), UserID: resp.GetUserId()}, err
}

// ListSessions asks the plugin who is watching.
func (c *RemoteClient) ListSessions(ctx context.Context, _ sdk.ListSessionsRequest) (sdk.ListSessionsResponse, error) {
	resp, err := remote(ctx, c, "ListSessions", c.rpc.ListSessions, &pb.ListSessionsRequest{Server: c.server})
	out := sdk.ListSessionsResponse{}
	for _, s := range resp.GetSessions() {
		out.Sessions = append(out.Sessions, sdk.Session{
			ID: s.GetId(), UserID: s.GetUserId(), Username: s.GetUsername(), Client: s.GetClient(), Device: s.GetDevice(),
			RemoteAddr: s.GetRemoteAddr(), NowPlaying: s.GetNowPlaying(), LastActiveAt: fromTime(s.GetLastActiveAt()),
		})
	}
	return out, err
}

// BeginLink asks the plugin to start a sign-in.
func (c *RemoteClient) BeginLink(ctx context.Context, req sdk.BeginLinkRequest) (sdk.BeginLinkResponse, error) {
	const op = "BeginLink"
	resp, err := remote(ctx, c, op, c.rpc.BeginLink, &pb.BeginLinkRequest{Server: c.server, ReturnUrl: req.ReturnURL})
	if err != nil {
		return sdk.BeginLinkResponse{}, err
	}
	if err := checkState(resp.GetState(), nil); err != nil {
		return sdk.BeginLinkResponse{}, c.garbled(op, err)
	}
	return sdk.BeginLinkResponse{
		State: resp.GetState(), AuthorizeURL: resp.GetAuthorizeUrl(), UserCode: resp.GetUserCode(),
		PollAfter: max(0, resp.GetPollAfter().AsDuration()), ExpiresAt: fromTime(resp.GetExpiresAt()),
	}, nil
}

// PollLink asks the plugin how a sign-in stands.
func (c *RemoteClient) PollLink(ctx context.Context, req sdk.PollLinkRequest) (sdk.PollLinkResponse, error) {
	const op = "PollLink"
	resp, err := remote(ctx, c, op, c.rpc.PollLink, &pb.PollLinkRequest{Server: c.server, State: req.State})
	if err != nil {
		return sdk.PollLinkResponse{}, err
	}
	out := sdk.PollLinkResponse{Status: fromLinkStatus.of(resp.GetStatus()), State: resp.GetState(), Account: fromLink(resp.GetAccount())}
	switch {
	case out.Status == "":
		return sdk.PollLinkResponse{}, c.garbled(op, errors.New("the plugin answered no link status"))
	case out.Status == sdk.LinkApproved && (out.Account == nil || out.Account.ID == ""):
		return sdk.PollLinkResponse{}, c.garbled(op, errors.New("the plugin approved a link without an account"))
	}
	if err := checkState(resp.GetState(), nil); err != nil {
		return sdk.PollLinkResponse{}, c.garbled(op, err)
	}
	return out, nil
}

// EndLink asks the plugin to sign out.
func (c *RemoteClient) EndLink(ctx context.Context, req sdk.EndLinkRequest) (sdk.EndLinkResponse, error) {
	_, err := remote(ctx, c, "EndLink", c.rpc.EndLink, &pb.EndLinkRequest{Server: c.server, State: req.State})
	return sdk.EndLinkResponse{}, err
}
