package identity

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/user"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/sdk"
)

// UserPatch changes what is not nil; a nil within clears.
type UserPatch struct {
	Enabled   *bool
	ExpiresAt **time.Time
	OnExpiry  *string
}

// maxAttempts bounds how often a change starts again because somebody else
// changed the same row between reading and writing.
const maxAttempts = 4

// UpdateUser changes one account: on its media server first, then here. Errors:
// protected_account, capability_unsupported, expiry_action_unsupported, and what
// the media server answers.
func (s *Service) UpdateUser(ctx context.Context, id uuid.UUID, p UserPatch) (User, error) {
	for range maxAttempts {
		u, person, err := s.user(ctx, id)
		if err != nil {
			return User{}, err
		}
		if u.Protected {
			return User{}, protected(u)
		}
		next := u
		next.apply(p)
		if err := s.checkPatch(u, next, person, p); err != nil {
			return User{}, err
		}
		ok, err := s.bring(ctx, u, next, person, p.Enabled != nil)
		if err != nil {
			return User{}, err
		}
		if ok {
			return s.GetUser(ctx, id)
		}
	}
	return User{}, changedMeanwhile(entityUser, id.String())
}

func (u *User) apply(p UserPatch) {
	if p.Enabled != nil {
		u.Enabled = *p.Enabled
	}
	if p.ExpiresAt != nil {
		u.ExpiresAt = microseconds(*p.ExpiresAt)
	}
	if p.OnExpiry != nil {
		u.OnExpiry = *p.OnExpiry
	}
}

func microseconds(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := database.Micro(*t)
	return &u
}

func (s *Service) checkPatch(u, next User, person Identity, p UserPatch) error {
	if next.OnExpiry != ExpiryDisable && next.OnExpiry != ExpiryDelete {
		return fault.InvalidInput(invalid("body.on_expiry", fault.FieldInvalid, "One of: disable, delete."))
	}
	if next.ExpiresAt != nil && (p.ExpiresAt != nil || p.OnExpiry != nil) {
		needed := map[string]sdk.Capability{ExpiryDisable: sdk.CapSuspend, ExpiryDelete: sdk.CapProvision}[next.OnExpiry]
		if !u.can(needed) {
			f := fault.InvalidInput(invalid("body.on_expiry", fault.FieldUnsupported, "%s cannot %s accounts when they expire.", u.ServerName, next.OnExpiry))
			f.Code, f.Server = fault.CodeExpiryActionUnsupported, u.server()
			return f
		}
	}
	if p.Enabled != nil && *p.Enabled && expired(next, person, s.Now()) {
		return fault.InvalidInput(invalid("body.enabled", fault.FieldConflict, "This account has expired. Set a later expires_at with it."))
	}
	return nil
}

// bring makes the media server agree with next, and stores it: an account that
// should work is resumed where it is suspended, one that was switched off is
// suspended. One that has merely expired is left to the sweep, which does what
// on_expiry says. It says no when somebody changed the user meanwhile. asked says
// that the admin spoke of enabled, so that a status that is out of date is not
// believed.
func (s *Service) bring(ctx context.Context, u, next User, person Identity, asked bool) (bool, error) {
	now := s.Now()
	store := func(u User, told *sdk.User, resumed bool) (bool, error) {
		return s.change(ctx, u, func(q *db.UserUpdate) {
			q.SetEnabled(next.Enabled).SetOnExpiry(user.OnExpiry(next.OnExpiry))
			put(next.ExpiresAt, q.SetExpiresAt, q.ClearExpiresAt)
			if told != nil {
				s.seen(q, *told)
			}
			if resumed {
				q.ClearPluginState()
			}
		})
	}
	works := effective(next, person, now)
	switchedOff := !next.Enabled || !person.Enabled
	switch {
	case works && (u.Status == StatusSuspended || asked && u.can(sdk.CapSuspend)):
		told, err := s.resume(ctx, u)
		if err != nil {
			return false, err
		}
		return store(u, &told, true)
	case switchedOff && (asked || u.Status != StatusSuspended && u.Status != StatusMissing):
		told, kept, ok, err := s.suspend(ctx, u)
		if err != nil {
			return s.gone(ctx, u, next, err)
		}
		if !ok {
			return false, nil
		}
		return store(kept, &told, false)
	default:
		return store(u, nil, false)
	}
}

// gone stores that an account is switched off which no longer exists: there is
// nothing left to suspend.
func (s *Service) gone(ctx context.Context, u, next User, err error) (bool, error) {
	if fault.CodeOf(err) != fault.CodeNotFound {
		return false, err
	}
	now, _, rerr := s.user(ctx, u.ID)
	if rerr != nil {
		return false, rerr
	}
	return s.change(ctx, now, func(q *db.UserUpdate) {
		q.SetEnabled(next.Enabled).SetStatus(user.StatusMissing).SetOnExpiry(user.OnExpiry(next.OnExpiry))
		put(next.ExpiresAt, q.SetExpiresAt, q.ClearExpiresAt)
	})
}

// DeleteUser forgets a user; with account, its account is deleted from the media
// server first.
func (s *Service) DeleteUser(ctx context.Context, id uuid.UUID, account bool) error {
	u, _, err := s.user(ctx, id)
	if err != nil {
		return err
	}
	if account {
		if u.Protected {
			return protected(u)
		}
		if err := s.remove(ctx, u); err != nil {
			return err
		}
	}
	return s.forget(ctx, u)
}

// forget deletes a user's record. Deleting what is gone is no error.
func (s *Service) forget(ctx context.Context, u User) error {
	_, err := s.DB.Ent.User.Delete().Where(user.ID(u.ID)).Exec(ctx)
	return database.Wrap("delete", entityUser, err)
}
