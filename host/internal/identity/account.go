package identity

import (
	"context"
	"time"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/user"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/grant"
	"github.com/zondarr/zondarr/sdk"
)

// Deadlines of calls to a media server.
const (
	readTimeout  = 15 * time.Second
	writeTimeout = 60 * time.Second
)

// remote gives the media client of a user's server.
func (s *Service) remote(ctx context.Context, u User) (sdk.MediaClient, error) {
	ref, err := s.Servers.Ref(ctx, u.ServerID)
	if err != nil {
		return nil, err
	}
	return s.Clients.Client(ctx, ref)
}

func (u User) can(c sdk.Capability) bool {
	for _, have := range u.capabilities {
		if have == c {
			return true
		}
	}
	return false
}

// read asks the server for an account. One that is gone is written down as
// missing.
func (s *Service) read(ctx context.Context, u User) (sdk.User, error) {
	c, err := s.remote(ctx, u)
	if err != nil {
		return sdk.User{}, asFault(u, err)
	}
	reader, ok := c.(sdk.UserReader)
	if !ok || !u.can(sdk.CapReadUsers) {
		return sdk.User{}, unsupported(u, "reading")
	}
	called, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	resp, err := reader.GetUser(called, sdk.GetUserRequest{ID: u.ExternalID})
	if sdk.ReasonOf(err) == sdk.ReasonNotFound {
		if u.takenAway() {
			return sdk.User{ID: u.ExternalID, Username: u.Username, Kind: u.Kind, Status: sdk.StatusSuspended}, nil
		}
		if werr := s.note(ctx, u, func(q *db.UserUpdate) { q.SetStatus(user.StatusMissing) }); werr != nil {
			return sdk.User{}, werr
		}
	}
	return resp.User, asFaultOrNil(u, err)
}

// takenAway says that an account which its server does not have is one that was
// suspended: such a server has no other way, and what it will need to give the
// account back was stored before it was taken.
func (u User) takenAway() bool {
	return u.emulated && (u.Status == StatusSuspended || u.sealedState != nil)
}

func asFaultOrNil(u User, err error) error {
	if err == nil {
		return nil
	}
	return asFault(u, err)
}

// suspend takes an account's access away; told is what the server just said of
// it. What it could do is stored before, and only if it is not suspended already:
// that would store the emptied access in place of the real one. It gives what the
// server says afterwards and the user as it is stored then; ok is false when
// somebody changed the user meanwhile, and nothing was done.
func (s *Service) suspend(ctx context.Context, u User, person Identity, told sdk.User) (after sdk.User, kept User, ok bool, err error) {
	switch {
	case !u.can(sdk.CapSuspend):
		return told, u, false, unsupported(u, "suspending")
	case told.Protected:
		if err := s.note(ctx, u, func(q *db.UserUpdate) { q.SetProtected(true) }); err != nil {
			return told, u, false, err
		}
		return told, u, false, protected(u)
	case told.Status == sdk.StatusSuspended:
		return told, u, true, nil
	}
	if kept, ok, err = s.keepAccess(ctx, u, person, told); err != nil || !ok {
		return told, kept, ok, err
	}
	c, err := s.remote(ctx, u)
	if err != nil {
		return told, kept, false, asFault(u, err)
	}
	suspender, is := c.(sdk.Suspender)
	if !is {
		return told, kept, false, unsupported(u, "suspending")
	}
	called, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	resp, err := suspender.Suspend(called, sdk.SuspendRequest{ID: u.ExternalID})
	if err != nil {
		return told, kept, false, asFault(u, err)
	}
	if resp.User.Status != sdk.StatusSuspended {
		return told, kept, false, notDone(u, "is not suspended")
	}
	return resp.User, kept, true, nil
}

// keepAccess stores what an account can do and what its plugin needs to give it
// back, before either is taken away.
func (s *Service) keepAccess(ctx context.Context, u User, person Identity, told sdk.User) (User, bool, error) {
	var sealed []byte
	if len(told.PluginState) > 0 {
		var err error
		if sealed, err = s.Box.Seal(stateContext(u), told.PluginState); err != nil {
			return u, false, err
		}
	}
	var libraries map[string]string
	if told.Libraries != nil {
		var err error
		if libraries, err = s.libraryIDs(ctx, u.ServerID, told.Libraries.IDs); err != nil {
			return u, false, err
		}
	}
	ok, err := s.change(ctx, u, person, func(q *db.UserUpdate) {
		if sealed != nil {
			q.SetPluginState(sealed)
		} else {
			q.ClearPluginState()
		}
		if told.Libraries != nil {
			q.SetLibraryAccess(user.LibraryAccess(told.Libraries.Mode)).SetLibraries(libraries)
		}
		if told.Permissions != nil {
			q.SetPermissions(grant.Words(told.Permissions))
		}
		if told.Limits != nil {
			q.SetLimits(told.Limits)
		}
		if told.Options != nil {
			q.SetOptions(told.Options)
		}
		q.SetAccessReadAt(s.Now())
	})
	if err != nil || !ok {
		return u, ok, err
	}
	kept, _, err := s.user(ctx, u.ID)
	return kept, true, err
}

// resume gives an account the access that was stored when it was suspended; told
// is what the server just said of it.
func (s *Service) resume(ctx context.Context, u User, told sdk.User) (_ sdk.User, err error) {
	switch {
	case !u.can(sdk.CapSuspend):
		return told, unsupported(u, "resuming")
	case told.Protected:
		return told, protected(u)
	case told.Status != sdk.StatusSuspended:
		return told, nil
	}
	req := sdk.ResumeRequest{ID: u.ExternalID, Grant: u.grant()}
	if u.sealedState != nil {
		if req.PluginState, err = s.Box.Open(stateContext(u), u.sealedState); err != nil {
			return told, err
		}
	}
	c, err := s.remote(ctx, u)
	if err != nil {
		return told, asFault(u, err)
	}
	suspender, ok := c.(sdk.Suspender)
	if !ok {
		return told, unsupported(u, "resuming")
	}
	called, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	resp, err := suspender.Resume(called, req)
	if err != nil {
		return told, asFault(u, err)
	}
	if resp.User.Status == sdk.StatusSuspended {
		return told, notDone(u, "is still suspended")
	}
	return resp.User, nil
}

// remove deletes an account from its server.
func (s *Service) remove(ctx context.Context, u User) error {
	if !u.can(sdk.CapProvision) {
		return unsupported(u, "deleting")
	}
	c, err := s.remote(ctx, u)
	if err != nil {
		return asFault(u, err)
	}
	p, ok := c.(sdk.Provisioner)
	if !ok {
		return unsupported(u, "deleting")
	}
	called, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	_, err = p.DeleteUser(called, sdk.DeleteUserRequest{ID: u.ExternalID})
	if sdk.ReasonOf(err) == sdk.ReasonProtected {
		if werr := s.note(ctx, u, func(q *db.UserUpdate) { q.SetProtected(true) }); werr != nil {
			return werr
		}
	}
	return asFaultOrNil(u, err)
}

// seen writes what a server said of an account into its row.
func (s *Service) seen(q *db.UserUpdate, told sdk.User) {
	q.SetStatus(statusOf(told.Status)).SetProtected(told.Protected).SetLastSeenAt(s.Now())
	if told.Username != "" {
		q.SetUsername(told.Username).SetUsernameFolded(Fold(told.Username))
	}
	if told.Kind != "" {
		q.SetKind(told.Kind)
	}
	if !told.LastActiveAt.IsZero() {
		q.SetLastActiveAt(database.Micro(told.LastActiveAt))
	}
}

func notDone(u User, what string) error {
	f := fault.New(fault.Upstream, fault.CodeAccessNotApplied, "%s said yes, and the account %s %s.", u.ServerName, u.Username, what)
	f.Server = u.server()
	return f
}

func stateContext(u User) string { return "users:" + u.ID.String() }
