package sdkplugin_test

import (
	"bytes"
	"context"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(benchSocket); path != "" {
		serveBench(path)
	}
	goleak.VerifyTestMain(m)
}

// stubPlugin serves a stub, which does whatever a test wants.
type stubPlugin struct {
	stub     *stub
	open     func(ctx context.Context, req sdk.OpenRequest) (sdk.MediaClient, error) // gives stub when nil
	describe func(*sdk.Description)
}

func (p *stubPlugin) Describe() sdk.Description {
	d := (&sdktest.Fake{}).Describe()
	d.Client = (*stub)(nil)
	if p.describe != nil {
		p.describe(&d)
	}
	return d
}

func (p *stubPlugin) Open(ctx context.Context, req sdk.OpenRequest) (sdk.MediaClient, error) {
	if p.open != nil {
		return p.open(ctx, req)
	}
	return p.stub, nil
}

// stub is a client of every interface. Each verb calls do with its name and request, and
// answers what answers holds.
type stub struct {
	do      func(ctx context.Context, op string, req any) error
	answers answers
	users   []sdk.User
	closed  func()
}

type answers struct {
	facts     sdk.ServerFacts
	libraries []sdk.Library
	user      sdk.User
	message   string
	gone, ok  bool
	userID    string
	sessions  []sdk.Session
	begin     sdk.BeginLinkResponse
	poll      sdk.PollLinkResponse
}

func (s *stub) did(ctx context.Context, op string, req any) error {
	if s.do == nil {
		return nil
	}
	return s.do(ctx, op, req)
}

func (s *stub) Close() error {
	if s.closed != nil {
		s.closed()
	}
	return nil
}

func (s *stub) TestConnection(ctx context.Context, req sdk.TestConnectionRequest) (sdk.TestConnectionResponse, error) {
	return sdk.TestConnectionResponse{Facts: s.answers.facts}, s.did(ctx, "TestConnection", req)
}

func (s *stub) ListLibraries(ctx context.Context, req sdk.ListLibrariesRequest) (sdk.ListLibrariesResponse, error) {
	return sdk.ListLibrariesResponse{Libraries: s.answers.libraries}, s.did(ctx, "ListLibraries", req)
}

func (s *stub) GetUser(ctx context.Context, req sdk.GetUserRequest) (sdk.GetUserResponse, error) {
	return sdk.GetUserResponse{User: s.answers.user}, s.did(ctx, "GetUser", req)
}

func (s *stub) ListUsers(ctx context.Context, req sdk.ListUsersRequest, yield func(sdk.User) error) error {
	for _, u := range s.users {
		if err := yield(u); err != nil {
			return err
		}
	}
	return s.did(ctx, "ListUsers", req)
}

func (s *stub) FindUser(ctx context.Context, req sdk.FindUserRequest) (sdk.FindUserResponse, error) {
	return sdk.FindUserResponse{User: s.answers.user}, s.did(ctx, "FindUser", req)
}

func (s *stub) CreateUser(ctx context.Context, req sdk.CreateUserRequest) (sdk.CreateUserResponse, error) {
	return sdk.CreateUserResponse{User: s.answers.user, Message: s.answers.message}, s.did(ctx, "CreateUser", req)
}

func (s *stub) DeleteUser(ctx context.Context, req sdk.DeleteUserRequest) (sdk.DeleteUserResponse, error) {
	return sdk.DeleteUserResponse{AlreadyGone: s.answers.gone}, s.did(ctx, "DeleteUser", req)
}

func (s *stub) Suspend(ctx context.Context, req sdk.SuspendRequest) (sdk.SuspendResponse, error) {
	return sdk.SuspendResponse{User: s.answers.user}, s.did(ctx, "Suspend", req)
}

func (s *stub) Resume(ctx context.Context, req sdk.ResumeRequest) (sdk.ResumeResponse, error) {
	return sdk.ResumeResponse{User: s.answers.user}, s.did(ctx, "Resume", req)
}

func (s *stub) SetLibraryAccess(ctx context.Context, req sdk.SetLibraryAccessRequest) (sdk.SetLibraryAccessResponse, error) {
	return sdk.SetLibraryAccessResponse{User: s.answers.user}, s.did(ctx, "SetLibraryAccess", req)
}

func (s *stub) SetPermissions(ctx context.Context, req sdk.SetPermissionsRequest) (sdk.SetPermissionsResponse, error) {
	return sdk.SetPermissionsResponse{User: s.answers.user}, s.did(ctx, "SetPermissions", req)
}

func (s *stub) SetPassword(ctx context.Context, req sdk.SetPasswordRequest) (sdk.SetPasswordResponse, error) {
	return sdk.SetPasswordResponse{}, s.did(ctx, "SetPassword", req)
}

func (s *stub) VerifyPassword(ctx context.Context, req sdk.VerifyPasswordRequest) (sdk.VerifyPasswordResponse, error) {
	return sdk.VerifyPasswordResponse{OK: s.answers.ok, UserID: s.answers.userID}, s.did(ctx, "VerifyPassword", req)
}

func (s *stub) ListSessions(ctx context.Context, req sdk.ListSessionsRequest) (sdk.ListSessionsResponse, error) {
	return sdk.ListSessionsResponse{Sessions: s.answers.sessions}, s.did(ctx, "ListSessions", req)
}

func (s *stub) BeginLink(ctx context.Context, req sdk.BeginLinkRequest) (sdk.BeginLinkResponse, error) {
	return s.answers.begin, s.did(ctx, "BeginLink", req)
}

func (s *stub) PollLink(ctx context.Context, req sdk.PollLinkRequest) (sdk.PollLinkResponse, error) {
	return s.answers.poll, s.did(ctx, "PollLink", req)
}

func (s *stub) EndLink(ctx context.Context, req sdk.EndLinkRequest) (sdk.EndLinkResponse, error) {
	return sdk.EndLinkResponse{}, s.did(ctx, "EndLink", req)
}

// ops calls every verb by its name.
var ops = map[string]func(ctx context.Context, c sdktest.Client) error{
	"TestConnection": func(ctx context.Context, c sdktest.Client) error {
		_, err := c.TestConnection(ctx, sdk.TestConnectionRequest{})
		return err
	},
	"ListLibraries": func(ctx context.Context, c sdktest.Client) error {
		_, err := c.ListLibraries(ctx, sdk.ListLibrariesRequest{})
		return err
	},
	"GetUser": func(ctx context.Context, c sdktest.Client) error {
		_, err := c.GetUser(ctx, sdk.GetUserRequest{ID: "u"})
		return err
	},
	"ListUsers": func(ctx context.Context, c sdktest.Client) error {
		return c.ListUsers(ctx, sdk.ListUsersRequest{}, func(sdk.User) error { return nil })
	},
	"FindUser": func(ctx context.Context, c sdktest.Client) error {
		_, err := c.FindUser(ctx, sdk.FindUserRequest{Username: "u"})
		return err
	},
	"CreateUser": func(ctx context.Context, c sdktest.Client) error {
		_, err := c.CreateUser(ctx, sdk.CreateUserRequest{Username: "u"})
		return err
	},
	"DeleteUser": func(ctx context.Context, c sdktest.Client) error {
		_, err := c.DeleteUser(ctx, sdk.DeleteUserRequest{ID: "u"})
		return err
	},
	"Suspend": func(ctx context.Context, c sdktest.Client) error {
		_, err := c.Suspend(ctx, sdk.SuspendRequest{ID: "u"})
		return err
	},
	"Resume": func(ctx context.Context, c sdktest.Client) error {
		_, err := c.Resume(ctx, sdk.ResumeRequest{ID: "u"})
		return err
	},
	"SetLibraryAccess": func(ctx context.Context, c sdktest.Client) error {
		_, err := c.SetLibraryAccess(ctx, sdk.SetLibraryAccessRequest{ID: "u"})
		return err
	},
	"SetPermissions": func(ctx context.Context, c sdktest.Client) error {
		_, err := c.SetPermissions(ctx, sdk.SetPermissionsRequest{ID: "u"})
		return err
	},
	"SetPassword": func(ctx context.Context, c sdktest.Client) error {
		_, err := c.SetPassword(ctx, sdk.SetPasswordRequest{ID: "u", Password: "canary-password"})
		return err
	},
	"VerifyPassword": func(ctx context.Context, c sdktest.Client) error {
		_, err := c.VerifyPassword(ctx, sdk.VerifyPasswordRequest{Username: "u", Password: "canary-password"})
		return err
	},
	"ListSessions": func(ctx context.Context, c sdktest.Client) error {
		_, err := c.ListSessions(ctx, sdk.ListSessionsRequest{})
		return err
	},
	"BeginLink": func(ctx context.Context, c sdktest.Client) error {
		_, err := c.BeginLink(ctx, sdk.BeginLinkRequest{})
		return err
	},
	"PollLink": func(ctx context.Context, c sdktest.Client) error {
		_, err := c.PollLink(ctx, sdk.PollLinkRequest{State: []byte("s")})
		return err
	},
	"EndLink": func(ctx context.Context, c sdktest.Client) error {
		_, err := c.EndLink(ctx, sdk.EndLinkRequest{State: []byte("s")})
		return err
	},
}

func ref(id string) sdk.ServerRef {
	return sdk.ServerRef{ID: id, Revision: 1, URL: "http://media.example/" + id, Secrets: map[string]string{"api_key": "canary-key-0001"}}
}

// syncBuffer is a buffer that another goroutine writes to.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
