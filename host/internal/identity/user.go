package identity

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/user"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/grant"
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
const maxAttempts = 20

// UpdateUser changes one account: on its media server first, then here. Errors:
// protected_account, capability_unsupported, expiry_action_unsupported, and what
// the media server answers.
func (s *Service) UpdateUser(ctx context.Context, id uuid.UUID, p UserPatch) (User, error) {
	ctx, cancel := toTheEnd(ctx)
	defer cancel()
	for attempt := range maxAttempts {
		stepBack(ctx, attempt)
		u, person, err := s.user(ctx, id)
		if err != nil {
			return User{}, err
		}
		if u.Protected {
			return User{}, protected(u)
		}
		next := u
		next.apply(p)
		if err := s.checkPatch(next, person, p); err != nil {
			return User{}, s.gaveUp(ctx, id, attempt, err)
		}
		ok, err := s.bring(ctx, u, next, person, p.Enabled != nil || attempt > 0)
		if err != nil {
			return User{}, s.gaveUp(ctx, id, attempt, err)
		}
		if ok {
			return s.GetUser(ctx, id)
		}
	}
	return User{}, s.gaveUp(ctx, id, maxAttempts, changedMeanwhile(entityUser, id.String()))
}

// toTheEnd lets a change go on although the client goes away: half of it may be done
// on a media server. Every call to one has a deadline of its own.
func toTheEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 5*time.Minute)
}

// stepBack lets others finish before a change starts again.
func stepBack(ctx context.Context, attempt int) {
	if attempt == 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(rand.N(time.Duration(attempt) * 5 * time.Millisecond)): //nolint:gosec // not a secret
	}
}

// gaveUp is for a change of a user that ends in an error: an attempt before this one
// may have changed the account for nothing, so that it no longer stands as is stored.
func (s *Service) gaveUp(ctx context.Context, id uuid.UUID, attempt int, err error) error {
	if attempt > 0 {
		if serr := s.settle(ctx, id); serr != nil {
			s.Log.WarnContext(ctx, "an account may not stand as is stored: disable or enable it once more", "user", id, "error", serr)
		}
	}
	return err
}

func (u *User) apply(p UserPatch) {
	if p.Enabled != nil {
		u.Enabled = *p.Enabled
	}
	if p.ExpiresAt != nil {
		u.ExpiresAt = database.MicroOf(*p.ExpiresAt)
	}
	if p.OnExpiry != nil {
		u.OnExpiry = *p.OnExpiry
	}
}

func (s *Service) checkPatch(next User, person Identity, p UserPatch) error {
	if next.OnExpiry != grant.ExpiryDisable && next.OnExpiry != grant.ExpiryDelete {
		return fault.InvalidInput(invalid("body.on_expiry", fault.FieldInvalid, "One of: disable, delete."))
	}
	if next.ExpiresAt != nil && (p.ExpiresAt != nil || p.OnExpiry != nil) {
		if err := next.canExpire("body.on_expiry"); err != nil {
			return err
		}
	}
	if p.Enabled != nil && *p.Enabled && expired(next, person, s.Now()) {
		return fault.InvalidInput(invalid("body.enabled", fault.FieldConflict, "This account has expired. Set a later expires_at with it."))
	}
	return nil
}

// canExpire refuses an expiry that the server could not enforce when it comes; at
// names the input that is to blame.
func (u User) canExpire(at string) error {
	if !slices.ContainsFunc(grant.ExpiryNeeds(u.OnExpiry), func(c sdk.Capability) bool { return !u.can(c) }) {
		return nil
	}
	f := fault.InvalidInput(invalid(at, fault.FieldUnsupported, "%s cannot %s accounts when they expire.", u.ServerName, u.OnExpiry))
	f.Code, f.Server = fault.CodeExpiryActionUnsupported, u.server()
	return f
}

// bring makes the media server agree with next, and stores it: an account that
// should work is resumed where it is suspended, one that was switched off is
// suspended. One that has merely expired is left to the sweep, which does what
// on_expiry says. It says no when somebody changed the user meanwhile: then it is
// to be called again, with ask, since this attempt may have changed the server.
//
// ask says that the stored status is not believed, and the server is asked.
func (s *Service) bring(ctx context.Context, u, next User, person Identity, ask bool) (bool, error) {
	works, switchedOff := effective(next, person, s.Now()), !next.Enabled || !person.Enabled
	var told *sdk.User
	learn := func() error {
		if told != nil {
			return nil
		}
		is, err := s.read(ctx, u)
		if err == nil {
			told, u.Status = &is, string(statusOf(is.Status))
		}
		return err
	}
	if ask && u.can(sdk.CapReadUsers) && u.can(sdk.CapSuspend) {
		if err := learn(); err != nil {
			return s.gone(ctx, u, next, switchedOff, err)
		}
	}
	switch {
	case works && u.Status == StatusSuspended:
		if err := learn(); err != nil {
			return false, err
		}
		after, err := s.resume(ctx, u, *told)
		if err != nil {
			return false, err
		}
		return s.storeUser(ctx, u, next, person, &after)
	case switchedOff && u.Status != StatusSuspended && (ask || u.Status != StatusMissing):
		if err := learn(); err != nil {
			return s.gone(ctx, u, next, switchedOff, err)
		}
		after, kept, ok, err := s.suspend(ctx, u, person, *told)
		if err != nil || !ok {
			return false, err
		}
		return s.storeUser(ctx, kept, next, person, &after)
	default:
		return s.storeUser(ctx, u, next, person, told)
	}
}

func (s *Service) storeUser(ctx context.Context, u, next User, person Identity, told *sdk.User) (bool, error) {
	return s.change(ctx, u, person, func(q *db.UserUpdate) {
		q.SetEnabled(next.Enabled).SetOnExpiry(user.OnExpiry(next.OnExpiry))
		database.Put(next.ExpiresAt, q.SetExpiresAt, q.ClearExpiresAt)
		if told == nil {
			return
		}
		s.seen(q, *told)
		if told.Status != sdk.StatusSuspended {
			q.ClearPluginState()
		}
	})
}

// gone stores that an account is switched off which no longer exists: there is
// nothing left to suspend. Every other failure is passed on.
func (s *Service) gone(ctx context.Context, u, next User, switchedOff bool, err error) (bool, error) {
	if fault.CodeOf(err) != fault.CodeNotFound || !switchedOff {
		return false, err
	}
	now, person, err := s.user(ctx, u.ID) // reading it has stored that it is missing
	if err != nil {
		return false, err
	}
	return s.storeUser(ctx, now, next, person, nil)
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
