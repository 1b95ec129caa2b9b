package sdktest

import (
	"context"

	"github.com/zondarr/zondarr/sdk"
)

// directClient is a plugin's own client, with every interface: what the author's type
// lacks is unsupported, as it is over the wire.
type directClient struct {
	client  sdk.MediaClient
	err     error // of Open
	free    func()
	unsaved bool // closed after its call
}

func (d *directClient) shut() {
	if d.client != nil {
		_ = d.client.Close()
	}
	if d.free != nil {
		d.free()
	}
}

// direct does one call on the interface C of an author's client.
func direct[C, Q, R any](ctx context.Context, d *directClient, op string, do func(C, context.Context, Q) (R, error), req Q) (R, error) {
	var none R
	if d.err != nil {
		return none, d.err
	}
	if d.unsaved {
		defer d.shut()
	}
	c, ok := d.client.(C)
	if !ok {
		return none, sdk.Errorf(sdk.ReasonUnsupported, "the plugin does not support %s", op)
	}
	return do(c, ctx, req)
}

// TestConnection is the author's.
func (d *directClient) TestConnection(ctx context.Context, req sdk.TestConnectionRequest) (sdk.TestConnectionResponse, error) {
	return direct(ctx, d, "TestConnection", sdk.MediaClient.TestConnection, req)
}

// ListLibraries is the author's.
func (d *directClient) ListLibraries(ctx context.Context, req sdk.ListLibrariesRequest) (sdk.ListLibrariesResponse, error) {
	return direct(ctx, d, "ListLibraries", sdk.MediaClient.ListLibraries, req)
}

// GetUser is the author's.
func (d *directClient) GetUser(ctx context.Context, req sdk.GetUserRequest) (sdk.GetUserResponse, error) {
	return direct(ctx, d, "GetUser", sdk.UserReader.GetUser, req)
}

// ListUsers is the author's.
func (d *directClient) ListUsers(ctx context.Context, req sdk.ListUsersRequest, yield func(sdk.User) error) error {
	_, err := direct(ctx, d, "ListUsers", func(c sdk.UserReader, ctx context.Context, req sdk.ListUsersRequest) (struct{}, error) {
		return struct{}{}, c.ListUsers(ctx, req, yield)
	}, req)
	return err
}

// FindUser is the author's.
func (d *directClient) FindUser(ctx context.Context, req sdk.FindUserRequest) (sdk.FindUserResponse, error) {
	return direct(ctx, d, "FindUser", sdk.Provisioner.FindUser, req)
}

// CreateUser is the author's.
func (d *directClient) CreateUser(ctx context.Context, req sdk.CreateUserRequest) (sdk.CreateUserResponse, error) {
	return direct(ctx, d, "CreateUser", sdk.Provisioner.CreateUser, req)
}

// DeleteUser is the author's.
func (d *directClient) DeleteUser(ctx context.Context, req sdk.DeleteUserRequest) (sdk.DeleteUserResponse, error) {
	return direct(ctx, d, "DeleteUser", sdk.Provisioner.DeleteUser, req)
}

// Suspend is the author's.
func (d *directClient) Suspend(ctx context.Context, req sdk.SuspendRequest) (sdk.SuspendResponse, error) {
	return direct(ctx, d, "Suspend", sdk.Suspender.Suspend, req)
}

// Resume is the author's.
func (d *directClient) Resume(ctx context.Context, req sdk.ResumeRequest) (sdk.ResumeResponse, error) {
	return direct(ctx, d, "Resume", sdk.Suspender.Resume, req)
}

// SetLibraryAccess is the author's.
func (d *directClient) SetLibraryAccess(ctx context.Context, req sdk.SetLibraryAccessRequest) (sdk.SetLibraryAccessResponse, error) {
	return direct(ctx, d, "SetLibraryAccess", sdk.AccessSetter.SetLibraryAccess, req)
}

// SetPermissions is the author's.
func (d *directClient) SetPermissions(ctx context.Context, req sdk.SetPermissionsRequest) (sdk.SetPermissionsResponse, error) {
	return direct(ctx, d, "SetPermissions", sdk.PermissionSetter.SetPermissions, req)
}

// SetPassword is the author's.
func (d *directClient) SetPassword(ctx context.Context, req sdk.SetPasswordRequest) (sdk.SetPasswordResponse, error) {
	return direct(ctx, d, "SetPassword", sdk.PasswordSetter.SetPassword, req)
}

// VerifyPassword is the author's.
func (d *directClient) VerifyPassword(ctx context.Context, req sdk.VerifyPasswordRequest) (sdk.VerifyPasswordResponse, error) {
	return direct(ctx, d, "VerifyPassword", sdk.PasswordVerifier.VerifyPassword, req)
}

// ListSessions is the author's.
func (d *directClient) ListSessions(ctx context.Context, req sdk.ListSessionsRequest) (sdk.ListSessionsResponse, error) {
	return direct(ctx, d, "ListSessions", sdk.SessionReader.ListSessions, req)
}

// BeginLink is the author's.
func (d *directClient) BeginLink(ctx context.Context, req sdk.BeginLinkRequest) (sdk.BeginLinkResponse, error) {
	return direct(ctx, d, "BeginLink", sdk.AccountLinker.BeginLink, req)
}

// PollLink is the author's.
func (d *directClient) PollLink(ctx context.Context, req sdk.PollLinkRequest) (sdk.PollLinkResponse, error) {
	return direct(ctx, d, "PollLink", sdk.AccountLinker.PollLink, req)
}

// EndLink is the author's.
func (d *directClient) EndLink(ctx context.Context, req sdk.EndLinkRequest) (sdk.EndLinkResponse, error) {
	return direct(ctx, d, "EndLink", sdk.AccountLinker.EndLink, req)
}

// Close does nothing: the subject closes what it opened.
func (d *directClient) Close() error { return nil }
