package sdkplugin

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/zondarr/zondarr/sdk"
	pb "github.com/zondarr/zondarr/sdk/internal/pluginpb"
)

// Describe gives what the plugin said when it was started.
func (s *Server) Describe(context.Context, *pb.DescribeRequest) (*pb.DescribeResponse, error) {
	return s.describe, nil
}

// TestConnection asks the client what it reaches.
func (s *Server) TestConnection(ctx context.Context, req *pb.TestConnectionRequest) (*pb.TestConnectionResponse, error) {
	out := &pb.TestConnectionResponse{}
	return out, call(ctx, s, "TestConnection", req.GetServer(), nil, func(ctx context.Context, c sdk.MediaClient) error {
		resp, err := c.TestConnection(ctx, sdk.TestConnectionRequest{})
		out.Facts = toFacts(resp.Facts)
		return err
	})
}

// ListLibraries asks the client for the libraries.
func (s *Server) ListLibraries(ctx context.Context, req *pb.ListLibrariesRequest) (*pb.ListLibrariesResponse, error) {
	out := &pb.ListLibrariesResponse{}
	return out, call(ctx, s, "ListLibraries", req.GetServer(), nil, func(ctx context.Context, c sdk.MediaClient) error {
		resp, err := c.ListLibraries(ctx, sdk.ListLibrariesRequest{})
		for _, l := range resp.Libraries {
			if l.ID == "" {
				return fmt.Errorf("library %q has no ID", l.Name)
			}
			out.Libraries = append(out.Libraries, &pb.Library{Id: l.ID, Name: l.Name, Type: toLibraryType.of(l.Type)})
		}
		return err
	})
}

// answerUser puts a user that a call gave into its response.
func answerUser(into **pb.User, u sdk.User, err error) error {
	if err != nil {
		return err
	}
	*into, err = toUser(u)
	return err
}

// GetUser asks the client for one user.
func (s *Server) GetUser(ctx context.Context, req *pb.GetUserRequest) (*pb.GetUserResponse, error) {
	out := &pb.GetUserResponse{}
	return out, call(ctx, s, "GetUser", req.GetServer(), nil, func(ctx context.Context, c sdk.UserReader) error {
		resp, err := c.GetUser(ctx, sdk.GetUserRequest{ID: req.GetId()})
		return answerUser(&out.User, resp.User, err)
	})
}

// FindUser asks the client to look a user up.
func (s *Server) FindUser(ctx context.Context, req *pb.FindUserRequest) (*pb.FindUserResponse, error) {
	out := &pb.FindUserResponse{}
	return out, call(ctx, s, "FindUser", req.GetServer(), nil, func(ctx context.Context, c sdk.Provisioner) error {
		resp, err := c.FindUser(ctx, sdk.FindUserRequest{
			Username: req.GetUsername(), AccountID: req.GetAccountId(), MaxAge: time.Duration(max(0, req.GetMaxAgeMs())) * time.Millisecond,
		})
		return answerUser(&out.User, resp.User, err)
	})
}

// CreateUser asks the client to make a user.
func (s *Server) CreateUser(ctx context.Context, req *pb.CreateUserRequest) (*pb.CreateUserResponse, error) {
	out := &pb.CreateUserResponse{}
	secrets := append(StateSecrets(req.GetLink().GetState()), req.GetPassword())
	return out, call(ctx, s, "CreateUser", req.GetServer(), secrets, func(ctx context.Context, c sdk.Provisioner) error {
		grant, err := fromGrant(req.GetGrant())
		if err != nil {
			return sdk.Errorf(sdk.ReasonInvalid, "options: %w", err)
		}
		resp, err := c.CreateUser(ctx, sdk.CreateUserRequest{
			OperationID: req.GetOperationId(), Username: req.GetUsername(), DisplayName: req.GetDisplayName(),
			Email: req.GetEmail(), Password: req.GetPassword(), Link: fromLink(req.GetLink()), Grant: grant,
		})
		out.Message = resp.Message
		return answerUser(&out.User, resp.User, err)
	})
}

// DeleteUser asks the client to remove a user.
func (s *Server) DeleteUser(ctx context.Context, req *pb.DeleteUserRequest) (*pb.DeleteUserResponse, error) {
	out := &pb.DeleteUserResponse{}
	return out, call(ctx, s, "DeleteUser", req.GetServer(), nil, func(ctx context.Context, c sdk.Provisioner) error {
		resp, err := c.DeleteUser(ctx, sdk.DeleteUserRequest{ID: req.GetId()})
		out.AlreadyGone = resp.AlreadyGone
		return err
	})
}

// Suspend asks the client to disable a user.
func (s *Server) Suspend(ctx context.Context, req *pb.SuspendRequest) (*pb.SuspendResponse, error) {
	out := &pb.SuspendResponse{}
	return out, call(ctx, s, "Suspend", req.GetServer(), nil, func(ctx context.Context, c sdk.Suspender) error {
		resp, err := c.Suspend(ctx, sdk.SuspendRequest{ID: req.GetId()})
		return answerUser(&out.User, resp.User, err)
	})
}

// Resume asks the client to enable a user.
func (s *Server) Resume(ctx context.Context, req *pb.ResumeRequest) (*pb.ResumeResponse, error) {
	out := &pb.ResumeResponse{}
	return out, call(ctx, s, "Resume", req.GetServer(), nil, func(ctx context.Context, c sdk.Suspender) error {
		grant, err := fromGrant(req.GetGrant())
		if err != nil {
			return sdk.Errorf(sdk.ReasonInvalid, "options: %w", err)
		}
		resp, err := c.Resume(ctx, sdk.ResumeRequest{ID: req.GetId(), Grant: grant, PluginState: req.GetPluginState()})
		return answerUser(&out.User, resp.User, err)
	})
}

// SetLibraryAccess asks the client to replace a user's access.
func (s *Server) SetLibraryAccess(ctx context.Context, req *pb.SetLibraryAccessRequest) (*pb.SetLibraryAccessResponse, error) {
	out := &pb.SetLibraryAccessResponse{}
	return out, call(ctx, s, "SetLibraryAccess", req.GetServer(), nil, func(ctx context.Context, c sdk.AccessSetter) error {
		resp, err := c.SetLibraryAccess(ctx, sdk.SetLibraryAccessRequest{ID: req.GetId(), Access: fromAccess(req.GetAccess())})
		return answerUser(&out.User, resp.User, err)
	})
}

// SetPermissions asks the client to change a user.
func (s *Server) SetPermissions(ctx context.Context, req *pb.SetPermissionsRequest) (*pb.SetPermissionsResponse, error) {
	out := &pb.SetPermissionsResponse{}
	if !s.desc.Has(sdk.CapPermissions) && !s.desc.Has(sdk.CapLimits) {
		return nil, statusOf(unsupported("SetPermissions"), redactor{})
	}
	return out, call(ctx, s, "SetPermissions", req.GetServer(), nil, func(ctx context.Context, c sdk.PermissionSetter) error {
		options, err := fromObject(req.GetOptionsJson())
		if err != nil {
			return sdk.Errorf(sdk.ReasonInvalid, "options: %w", err)
		}
		resp, err := c.SetPermissions(ctx, sdk.SetPermissionsRequest{
			ID: req.GetId(), Permissions: fromTris(req.GetPermissions()), Limits: fromLimits(req.GetLimits()), Options: options,
		})
		return answerUser(&out.User, resp.User, err)
	})
}

// SetPassword asks the client to replace a password.
func (s *Server) SetPassword(ctx context.Context, req *pb.SetPasswordRequest) (*pb.SetPasswordResponse, error) {
	out := &pb.SetPasswordResponse{}
	return out, call(ctx, s, "SetPassword", req.GetServer(), []string{req.GetPassword()}, func(ctx context.Context, c sdk.PasswordSetter) error {
		_, err := c.SetPassword(ctx, sdk.SetPasswordRequest{ID: req.GetId(), Password: req.GetPassword()})
		return err
	})
}

// VerifyPassword asks the client to prove a password.
func (s *Server) VerifyPassword(ctx context.Context, req *pb.VerifyPasswordRequest) (*pb.VerifyPasswordResponse, error) {
	out := &pb.VerifyPasswordResponse{}
	return out, call(ctx, s, "VerifyPassword", req.GetServer(), []string{req.GetPassword()}, func(ctx context.Context, c sdk.PasswordVerifier) error {
		resp, err := c.VerifyPassword(ctx, sdk.VerifyPasswordRequest{Username: req.GetUsername(), Password: req.GetPassword()})
		out.Ok, out.UserId = resp.OK, resp.UserID
		return err
	})
}

// ListSessions asks the client who is watching.
func (s *Server) ListSessions(ctx context.Context, req *pb.ListSessionsRequest) (*pb.ListSessionsResponse, error) {
	out := &pb.ListSessionsResponse{}
	return out, call(ctx, s, "ListSessions", req.GetServer(), nil, func(ctx context.Context, c sdk.SessionReader) error {
		resp, err := c.ListSessions(ctx, sdk.ListSessionsRequest{})
		for _, x := range resp.Sessions {
			out.Sessions = append(out.Sessions, &pb.Session{
				Id: x.ID, UserId: x.UserID, Username: x.Username, Client: x.Client, Device: x.Device, RemoteAddr: x.RemoteAddr,
				NowPlaying: x.NowPlaying, LastActiveAt: toTime(x.LastActiveAt),
			})
		}
		return err
	})
}

// BeginLink asks the client to start a sign-in.
func (s *Server) BeginLink(ctx context.Context, req *pb.BeginLinkRequest) (*pb.BeginLinkResponse, error) {
	out := &pb.BeginLinkResponse{}
	return out, call(ctx, s, "BeginLink", req.GetServer(), nil, func(ctx context.Context, c sdk.AccountLinker) error {
		resp, err := c.BeginLink(ctx, sdk.BeginLinkRequest{ReturnURL: req.GetReturnUrl()})
		out.State, out.AuthorizeUrl, out.UserCode = resp.State, resp.AuthorizeURL, resp.UserCode
		out.PollAfter, out.ExpiresAt = durationpb.New(resp.PollAfter), toTime(resp.ExpiresAt)
		return checkState(resp.State, err)
	})
}

// PollLink asks the client how a sign-in stands.
func (s *Server) PollLink(ctx context.Context, req *pb.PollLinkRequest) (*pb.PollLinkResponse, error) {
	out := &pb.PollLinkResponse{}
	return out, call(ctx, s, "PollLink", req.GetServer(), StateSecrets(req.GetState()), func(ctx context.Context, c sdk.AccountLinker) error {
		resp, err := c.PollLink(ctx, sdk.PollLinkRequest{State: req.GetState()})
		out.Status, out.State, out.Account = toLinkStatus.of(resp.Status), resp.State, toLink(resp.Account)
		if out.Account != nil {
			out.Account.State = nil // the host has it beside the account
		}
		if err == nil && resp.Status == sdk.LinkApproved && resp.Account == nil {
			return fmt.Errorf("PollLink says %q without an Account", resp.Status)
		}
		return checkState(resp.State, err)
	})
}

// EndLink asks the client to sign out.
func (s *Server) EndLink(ctx context.Context, req *pb.EndLinkRequest) (*pb.EndLinkResponse, error) {
	out := &pb.EndLinkResponse{}
	return out, call(ctx, s, "EndLink", req.GetServer(), StateSecrets(req.GetState()), func(ctx context.Context, c sdk.AccountLinker) error {
		_, err := c.EndLink(ctx, sdk.EndLinkRequest{State: req.GetState()})
		return err
	})
}

func checkState(state []byte, err error) error {
	if err == nil && len(state) > maxLinkState {
		return fmt.Errorf("a link's State has %d bytes, %d are allowed", len(state), maxLinkState)
	}
	return err
}

// Bounds of one message of a list of users.
const (
	batchUsers = 500
	batchBytes = 1 << 20
	// batchAge is how long users wait for company: the host takes silence for a
	// list that is stuck.
	batchAge = 2 * time.Second
)

// ListUsers streams the client's users. Sending waits while the host is busy, and so
// does the author's yield: neither side holds more than a few batches.
func (s *Server) ListUsers(req *pb.ListUsersRequest, stream pb.PluginService_ListUsersServer) error {
	return call(stream.Context(), s, "ListUsers", req.GetServer(), nil, func(ctx context.Context, c sdk.UserReader) error {
		b := &batcher{stream: stream, sent: time.Now(), slots: make([]*pb.User, 0, batchUsers)}
		err := c.ListUsers(ctx, sdk.ListUsersRequest{}, func(u sdk.User) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return b.add(u)
		})
		return b.finish(err)
	})
}

// batcher gathers users into messages. Its messages are used again and again.
type batcher struct {
	stream pb.PluginService_ListUsersServer
	mu     sync.Mutex // an author may yield from several goroutines
	slots  []*pb.User
	used   int
	bytes  int
	sent   time.Time
	failed error // what add answered first
	done   bool
}

func (b *batcher) add(u sdk.User) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed == nil && b.done {
		b.failed = fmt.Errorf("yield was called after ListUsers returned")
	}
	if b.failed != nil {
		return b.failed
	}
	if b.used == len(b.slots) {
		b.slots = append(b.slots, &pb.User{})
	}
	slot := b.slots[b.used]
	if b.failed = fillUser(slot, u); b.failed != nil {
		return b.failed
	}
	b.used++
	if len(u.Options) > 0 || len(u.PluginState) > 0 || u.Libraries != nil && len(u.Libraries.IDs) > 16 {
		b.bytes += proto.Size(slot) // the rest of a user is small
	}
	if b.used == batchUsers || b.bytes > batchBytes || time.Since(b.sent) > batchAge {
		b.failed = b.send(false)
	}
	return b.failed
}

// finish ends the list: only one that the author ended well, and that was taken
// whole, is called complete.
func (b *batcher) finish(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done = true
	if b.failed != nil {
		return b.failed // also when the author swallowed it
	}
	if err != nil {
		return err
	}
	return b.send(true)
}

func (b *batcher) send(complete bool) error {
	err := b.stream.Send(&pb.ListUsersResponse{Users: b.slots[:b.used], Complete: complete})
	b.used, b.bytes, b.sent = 0, 0, time.Now()
	return err
}
