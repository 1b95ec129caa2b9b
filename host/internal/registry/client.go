package registry

import (
	"context"
	"errors"
	"time"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

// client is the host's view of one media server.
type client struct {
	registry *Registry
	ref      sdk.ServerRef
}

// It speaks the whole contract.
var _ interface {
	sdk.MediaClient
	sdk.UserReader
	sdk.Provisioner
	sdk.Suspender
	sdk.AccessSetter
	sdk.PermissionSetter
	sdk.PasswordSetter
	sdk.PasswordVerifier
	sdk.SessionReader
	sdk.AccountLinker
} = (*client)(nil)

// The verbs, with their deadlines and whether a crash may repeat them.
var (
	verbTest        = verb{"TestConnection", testDeadline, true}
	verbLibraries   = verb{"ListLibraries", readDeadline, true}
	verbGetUser     = verb{"GetUser", readDeadline, true}
	verbListUsers   = verb{"ListUsers", listDeadline, true}
	verbFindUser    = verb{"FindUser", readDeadline, true}
	verbCreateUser  = verb{"CreateUser", writeDeadline, false}
	verbDeleteUser  = verb{"DeleteUser", writeDeadline, true}
	verbSuspend     = verb{"Suspend", writeDeadline, true}
	verbResume      = verb{"Resume", writeDeadline, true}
	verbAccess      = verb{"SetLibraryAccess", writeDeadline, true}
	verbPermissions = verb{"SetPermissions", writeDeadline, true}
	verbSetPassword = verb{"SetPassword", writeDeadline, true}
	verbVerify      = verb{"VerifyPassword", readDeadline, true}
	verbSessions    = verb{"ListSessions", readDeadline, true}
	// A link that was begun twice leaves a sign-in behind that nobody ends; the
	// other two are functions of their state.
	verbBeginLink = verb{"BeginLink", readDeadline, false}
	verbPollLink  = verb{"PollLink", readDeadline, true}
	verbEndLink   = verb{"EndLink", readDeadline, true}
)

// as sends a verb of an optional interface.
func as[I, T any](ctx context.Context, c *client, v verb, lent []string, do func(context.Context, I) (T, error)) (T, error) {
	return call(ctx, c, v, lent, func(ctx context.Context, m sdk.MediaClient) (T, error) {
		i, ok := m.(I)
		if !ok {
			var none T
			return none, sdk.Errorf(sdk.ReasonUnsupported, "the server type %s does not support %s", c.ref.ServerType, v.name)
		}
		return do(ctx, i)
	})
}

// Close does nothing: the plugin keeps and closes what it opened.
func (c *client) Close() error { return nil }

// TestConnection implements sdk.MediaClient.
func (c *client) TestConnection(ctx context.Context, req sdk.TestConnectionRequest) (sdk.TestConnectionResponse, error) {
	return as(ctx, c, verbTest, nil, func(ctx context.Context, m sdk.MediaClient) (sdk.TestConnectionResponse, error) {
		return m.TestConnection(ctx, req)
	})
}

// ListLibraries implements sdk.MediaClient.
func (c *client) ListLibraries(ctx context.Context, req sdk.ListLibrariesRequest) (sdk.ListLibrariesResponse, error) {
	return as(ctx, c, verbLibraries, nil, func(ctx context.Context, m sdk.MediaClient) (sdk.ListLibrariesResponse, error) {
		return m.ListLibraries(ctx, req)
	})
}

// GetUser implements sdk.UserReader.
func (c *client) GetUser(ctx context.Context, req sdk.GetUserRequest) (sdk.GetUserResponse, error) {
	return as(ctx, c, verbGetUser, nil, func(ctx context.Context, m sdk.UserReader) (sdk.GetUserResponse, error) {
		return m.GetUser(ctx, req)
	})
}

// How a list ends early: it makes no progress, or its process died after users
// were handed on, so that it cannot start again behind the caller's back.
var (
	errIdle = errors.New("the list made no progress")
	errCut  = errors.New("the plugin's process ended in the middle of the list")
)

// ListUsers implements sdk.UserReader. After a crash it starts again only while
// no user was handed on; the time that yield takes does not count as idle.
func (c *client) ListUsers(ctx context.Context, req sdk.ListUsersRequest, yield func(sdk.User) error) error {
	v, handedOn := verbListUsers, false
	idle := c.registry.callPolicy().ListIdle
	_, err := as(ctx, c, v, nil, func(ctx context.Context, m sdk.UserReader) (struct{}, error) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		timer := time.AfterFunc(idle, func() { cancel(errIdle) })
		defer timer.Stop()
		err := m.ListUsers(ctx, req, func(u sdk.User) error {
			timer.Stop()
			defer timer.Reset(idle)
			handedOn = true
			return yield(u)
		})
		switch {
		case err != nil && errors.Is(context.Cause(ctx), errIdle):
			err = &sdk.Error{Reason: sdk.ReasonTimeout, Source: sdk.SourceHost, Retryable: true, Message: errIdle.Error(), Err: err}
		case err != nil && handedOn && processGone(err):
			err = &sdk.Error{Reason: sdk.ReasonUnavailable, Source: sdk.SourceHost, Retryable: true, Message: errCut.Error(), Err: errCut}
		}
		return struct{}{}, err
	})
	return err
}

// FindUser implements sdk.Provisioner.
func (c *client) FindUser(ctx context.Context, req sdk.FindUserRequest) (sdk.FindUserResponse, error) {
	return as(ctx, c, verbFindUser, nil, func(ctx context.Context, m sdk.Provisioner) (sdk.FindUserResponse, error) {
		return m.FindUser(ctx, req)
	})
}

// CreateUser implements sdk.Provisioner. It is sent at most once.
func (c *client) CreateUser(ctx context.Context, req sdk.CreateUserRequest) (sdk.CreateUserResponse, error) {
	lent := []string{req.Password}
	if req.Link != nil {
		lent = append(lent, sdkplugin.StateSecrets(req.Link.State)...)
	}
	return as(ctx, c, verbCreateUser, lent, func(ctx context.Context, m sdk.Provisioner) (sdk.CreateUserResponse, error) {
		return m.CreateUser(ctx, req)
	})
}

// DeleteUser implements sdk.Provisioner.
func (c *client) DeleteUser(ctx context.Context, req sdk.DeleteUserRequest) (sdk.DeleteUserResponse, error) {
	return as(ctx, c, verbDeleteUser, nil, func(ctx context.Context, m sdk.Provisioner) (sdk.DeleteUserResponse, error) {
		return m.DeleteUser(ctx, req)
	})
}

// Suspend implements sdk.Suspender.
func (c *client) Suspend(ctx context.Context, req sdk.SuspendRequest) (sdk.SuspendResponse, error) {
	return as(ctx, c, verbSuspend, nil, func(ctx context.Context, m sdk.Suspender) (sdk.SuspendResponse, error) {
		return m.Suspend(ctx, req)
	})
}

// Resume implements sdk.Suspender.
func (c *client) Resume(ctx context.Context, req sdk.ResumeRequest) (sdk.ResumeResponse, error) {
	return as(ctx, c, verbResume, nil, func(ctx context.Context, m sdk.Suspender) (sdk.ResumeResponse, error) {
		return m.Resume(ctx, req)
	})
}

// SetLibraryAccess implements sdk.AccessSetter.
func (c *client) SetLibraryAccess(ctx context.Context, req sdk.SetLibraryAccessRequest) (sdk.SetLibraryAccessResponse, error) {
	return as(ctx, c, verbAccess, nil, func(ctx context.Context, m sdk.AccessSetter) (sdk.SetLibraryAccessResponse, error) {
		return m.SetLibraryAccess(ctx, req)
	})
}

// SetPermissions implements sdk.PermissionSetter.
func (c *client) SetPermissions(ctx context.Context, req sdk.SetPermissionsRequest) (sdk.SetPermissionsResponse, error) {
	return as(ctx, c, verbPermissions, nil, func(ctx context.Context, m sdk.PermissionSetter) (sdk.SetPermissionsResponse, error) {
		return m.SetPermissions(ctx, req)
	})
}

// SetPassword implements sdk.PasswordSetter.
func (c *client) SetPassword(ctx context.Context, req sdk.SetPasswordRequest) (sdk.SetPasswordResponse, error) {
	return as(ctx, c, verbSetPassword, []string{req.Password}, func(ctx context.Context, m sdk.PasswordSetter) (sdk.SetPasswordResponse, error) {
		return m.SetPassword(ctx, req)
	})
}

// VerifyPassword implements sdk.PasswordVerifier.
func (c *client) VerifyPassword(ctx context.Context, req sdk.VerifyPasswordRequest) (sdk.VerifyPasswordResponse, error) {
	return as(ctx, c, verbVerify, []string{req.Password}, func(ctx context.Context, m sdk.PasswordVerifier) (sdk.VerifyPasswordResponse, error) {
		return m.VerifyPassword(ctx, req)
	})
}

// ListSessions implements sdk.SessionReader.
func (c *client) ListSessions(ctx context.Context, req sdk.ListSessionsRequest) (sdk.ListSessionsResponse, error) {
	return as(ctx, c, verbSessions, nil, func(ctx context.Context, m sdk.SessionReader) (sdk.ListSessionsResponse, error) {
		return m.ListSessions(ctx, req)
	})
}
