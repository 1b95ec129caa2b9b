package sdktest

import (
	"context"
	"errors"

	"github.com/zondarr/zondarr/sdk"
)

// verb is one call of the contract, with made-up arguments.
type verb struct {
	op   string
	caps []sdk.Capability // one of them; none for what every plugin has
	// local verbs may refuse made-up arguments without asking the server.
	local bool
	call  func(ctx context.Context, c Client, p probe) error
}

// probe holds arguments that mean nothing to any media server.
type probe struct {
	id       string
	username string
	password string
	grant    sdk.Grant
	flow     sdk.JoinFlow
	realm    string
	state    []byte
}

// aProbe makes up arguments. The id has only digits, so that it is a number to those
// who want one and hexadecimal to those who want that.
func (s *Subject) aProbe() probe {
	p := probe{
		id: "10000000000000000000000000000001", username: s.name(), password: s.canary("password"),
		flow: s.Description.JoinFlow, realm: s.Description.Realm, state: []byte(`{"token":"` + s.canary("state") + `"}`),
		grant: sdk.Grant{Libraries: sdk.LibraryAccess{Mode: sdk.LibraryAll}},
	}
	if m := s.Description.Traits.LibraryModes; len(m) > 0 {
		p.grant.Libraries.Mode = m[0]
	}
	if p.grant.Libraries.Mode == sdk.LibraryOnly {
		p.grant.Libraries.IDs = []string{p.id}
	}
	return p
}

func (p probe) create() sdk.CreateUserRequest {
	req := sdk.CreateUserRequest{OperationID: "00000000-0000-4000-8000-000000000001", Grant: p.grant}
	if p.flow == sdk.JoinLinkedAccount {
		req.Link = &sdk.LinkedAccount{Realm: p.realm, ID: p.id, Username: p.username, State: p.state}
		return req
	}
	req.Username, req.Password, req.Email = p.username, p.password, p.username+"@example.com"
	return req
}

// verbs gives every call of the contract.
func verbs() []verb {
	return []verb{
		{op: "TestConnection", call: func(ctx context.Context, c Client, _ probe) error {
			_, err := c.TestConnection(ctx, sdk.TestConnectionRequest{})
			return err
		}},
		{op: "ListLibraries", call: func(ctx context.Context, c Client, _ probe) error {
			_, err := c.ListLibraries(ctx, sdk.ListLibrariesRequest{})
			return err
		}},
		{op: "GetUser", caps: []sdk.Capability{sdk.CapReadUsers}, local: true, call: func(ctx context.Context, c Client, p probe) error {
			_, err := c.GetUser(ctx, sdk.GetUserRequest{ID: p.id})
			return err
		}},
		{op: "ListUsers", caps: []sdk.Capability{sdk.CapReadUsers}, call: func(ctx context.Context, c Client, _ probe) error {
			return c.ListUsers(ctx, sdk.ListUsersRequest{}, func(sdk.User) error { return nil })
		}},
		{op: "FindUser", caps: []sdk.Capability{sdk.CapProvision}, local: true, call: func(ctx context.Context, c Client, p probe) error {
			req := sdk.FindUserRequest{Username: p.username}
			if p.flow == sdk.JoinLinkedAccount {
				req = sdk.FindUserRequest{AccountID: p.id}
			}
			_, err := c.FindUser(ctx, req)
			return err
		}},
		{op: "CreateUser", caps: []sdk.Capability{sdk.CapProvision}, local: true, call: func(ctx context.Context, c Client, p probe) error {
			_, err := c.CreateUser(ctx, p.create())
			return err
		}},
		{op: "DeleteUser", caps: []sdk.Capability{sdk.CapProvision}, local: true, call: func(ctx context.Context, c Client, p probe) error {
			_, err := c.DeleteUser(ctx, sdk.DeleteUserRequest{ID: p.id})
			return err
		}},
		{op: "Suspend", caps: []sdk.Capability{sdk.CapSuspend}, local: true, call: func(ctx context.Context, c Client, p probe) error {
			_, err := c.Suspend(ctx, sdk.SuspendRequest{ID: p.id})
			return err
		}},
		{op: "Resume", caps: []sdk.Capability{sdk.CapSuspend}, local: true, call: func(ctx context.Context, c Client, p probe) error {
			_, err := c.Resume(ctx, sdk.ResumeRequest{ID: p.id, Grant: p.grant})
			return err
		}},
		{op: "SetLibraryAccess", caps: []sdk.Capability{sdk.CapLibraryAccess}, local: true, call: func(ctx context.Context, c Client, p probe) error {
			_, err := c.SetLibraryAccess(ctx, sdk.SetLibraryAccessRequest{ID: p.id, Access: p.grant.Libraries})
			return err
		}},
		{op: "SetPermissions", caps: []sdk.Capability{sdk.CapPermissions, sdk.CapLimits}, local: true, call: func(ctx context.Context, c Client, p probe) error {
			_, err := c.SetPermissions(ctx, sdk.SetPermissionsRequest{ID: p.id, Permissions: p.grant.Permissions, Limits: p.grant.Limits})
			return err
		}},
		{op: "SetPassword", caps: []sdk.Capability{sdk.CapSetPassword}, local: true, call: func(ctx context.Context, c Client, p probe) error {
			_, err := c.SetPassword(ctx, sdk.SetPasswordRequest{ID: p.id, Password: p.password})
			return err
		}},
		{op: "VerifyPassword", caps: []sdk.Capability{sdk.CapVerifyPassword}, call: func(ctx context.Context, c Client, p probe) error {
			_, err := c.VerifyPassword(ctx, sdk.VerifyPasswordRequest{Username: p.username, Password: p.password})
			return err
		}},
		{op: "ListSessions", caps: []sdk.Capability{sdk.CapSessions}, call: func(ctx context.Context, c Client, _ probe) error {
			_, err := c.ListSessions(ctx, sdk.ListSessionsRequest{})
			return err
		}},
		{op: "BeginLink", caps: []sdk.Capability{sdk.CapLinkAccount}, call: func(ctx context.Context, c Client, _ probe) error {
			_, err := c.BeginLink(ctx, sdk.BeginLinkRequest{ReturnURL: "https://zondarr.example/back"})
			return err
		}},
		{op: "PollLink", caps: []sdk.Capability{sdk.CapLinkAccount}, local: true, call: func(ctx context.Context, c Client, p probe) error {
			_, err := c.PollLink(ctx, sdk.PollLinkRequest{State: p.state})
			return err
		}},
		{op: "EndLink", caps: []sdk.Capability{sdk.CapLinkAccount}, local: true, call: func(ctx context.Context, c Client, p probe) error {
			_, err := c.EndLink(ctx, sdk.EndLinkRequest{State: p.state})
			return err
		}},
	}
}

// declares says whether the plugin has a verb.
func (s *Subject) declares(v verb) bool {
	if len(v.caps) == 0 {
		return true
	}
	for _, c := range v.caps {
		if s.has(c) {
			return true
		}
	}
	return false
}

// typedError gives the typed failure that a call must have ended with.
func typedError(op string, err error) (*sdk.Error, error) {
	e, ok := errors.AsType[*sdk.Error](err)
	if !ok {
		return nil, errors.New(op + " failed with an error that is no *sdk.Error: " + err.Error())
	}
	return e, nil
}
