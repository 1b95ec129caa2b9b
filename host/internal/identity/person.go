package identity

import (
	"context"
	"net/mail"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/identity"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
)

// Patch changes what is not nil; a nil within clears.
type Patch struct {
	DisplayName *string
	Email       **string
	Note        **string
	Enabled     *bool
	ExpiresAt   **time.Time
}

// Bounds of what an admin writes, in characters.
const (
	maxName  = 100
	maxEmail = 254
	maxNote  = 4000
)

// Update changes a person. Disabling suspends each account that works, enabling
// or a later expiry resumes each that should: on the media servers first, one at
// a time. When one fails the person stays as it was, what was done to the others
// shows in their status, and the same request goes on where it stopped.
func (s *Service) Update(ctx context.Context, id uuid.UUID, p Patch) (Identity, error) {
	ctx, cancel := toTheEnd(ctx)
	defer cancel()
	for attempt := range maxAttempts {
		stepBack(ctx, attempt)
		person, err := s.identity(ctx, id)
		if err != nil {
			return Identity{}, err
		}
		next, err := person.patched(p)
		if err != nil {
			return Identity{}, err
		}
		if p.ExpiresAt != nil && next.ExpiresAt != nil {
			for _, u := range next.Users {
				if err := u.canExpire("body.expires_at"); err != nil && !u.Protected {
					return Identity{}, err
				}
			}
		}
		if p.Enabled != nil || p.ExpiresAt != nil {
			if err := s.bringAll(ctx, next, p.Enabled != nil || attempt > 0); err != nil {
				return Identity{}, err
			}
		}
		ok, err := s.store(ctx, person, next)
		if err != nil {
			return Identity{}, err
		}
		if !ok {
			continue
		}
		if next, err = s.identity(ctx, id); err != nil || p.Enabled == nil && p.ExpiresAt == nil {
			return next, err
		}
		// An account that was changed while the person was still as before is
		// brought to agree with how it stands now.
		if err := s.bringAll(ctx, next, false); err != nil {
			return Identity{}, err
		}
		return s.identity(ctx, id)
	}
	return Identity{}, changedMeanwhile(entity, id.String())
}

func (i Identity) patched(p Patch) (Identity, error) {
	var bad []fault.Field
	if p.DisplayName != nil {
		name, code, message := CleanName(*p.DisplayName)
		if i.DisplayName = name; code != "" {
			bad = append(bad, fault.Field{Location: "body.display_name", Code: code, Message: message})
		}
	}
	if p.Email != nil {
		i.Email = *p.Email
		if e := i.Email; e != nil {
			if a, err := mail.ParseAddress(*e); err != nil || a.Address != *e || len(*e) > maxEmail {
				bad = append(bad, invalid("body.email", fault.FieldInvalid, "An address such as bob@example.org, or null."))
			}
		}
	}
	if p.Note != nil {
		i.Note = *p.Note
		if i.Note != nil && (utf8.RuneCountInString(*i.Note) > maxNote || !utf8.ValidString(*i.Note)) {
			bad = append(bad, invalid("body.note", fault.FieldTooLong, "At most %d characters.", maxNote))
		}
	}
	if p.Enabled != nil {
		i.Enabled = *p.Enabled
	}
	if p.ExpiresAt != nil {
		i.ExpiresAt = database.MicroOf(*p.ExpiresAt)
	}
	if len(bad) > 0 {
		return i, fault.InvalidInput(bad...)
	}
	return i, nil
}

// bringAll makes the media servers agree with how a person will stand. Protected
// accounts are left alone: a person may be switched off although one of their
// accounts is an administrator, which is said by its status.
func (s *Service) bringAll(ctx context.Context, next Identity, ask bool) error {
	for _, listed := range next.Users {
		if listed.Protected {
			continue
		}
		for attempt := 0; ; attempt++ {
			stepBack(ctx, attempt)
			u, stored, err := s.user(ctx, listed.ID)
			if fault.CodeOf(err) == fault.CodeNotFound {
				break // deleted meanwhile
			}
			if err != nil {
				return err
			}
			// Judged by how the person will stand, and stored only if the person is
			// still as it was.
			person := next
			person.UpdatedAt = stored.UpdatedAt
			ok, err := s.bring(ctx, u, u, person, ask || attempt > 0)
			if err != nil {
				return s.gaveUp(ctx, u.ID, attempt, err)
			}
			if ok {
				break
			}
			if attempt == maxAttempts {
				return s.gaveUp(ctx, u.ID, attempt, changedMeanwhile(entityUser, u.ID.String()))
			}
		}
	}
	return nil
}

func (s *Service) store(ctx context.Context, old, next Identity) (bool, error) {
	q := s.DB.Ent.Identity.Update().Where(identity.ID(old.ID), identity.UpdatedAt(old.UpdatedAt)).
		SetDisplayName(next.DisplayName).SetEnabled(next.Enabled).SetUpdatedAt(s.after(old.UpdatedAt))
	database.Put(next.Email, q.SetEmail, q.ClearEmail)
	database.Put(next.Note, q.SetNote, q.ClearNote)
	database.Put(next.ExpiresAt, q.SetExpiresAt, q.ClearExpiresAt)
	n, err := q.Save(ctx)
	return n == 1, database.Wrap("update", entity, err)
}

// Delete forgets a person and its users (R2.8); with accounts, each account is
// deleted from its media server first, one at a time, and what was deleted is
// forgotten at once, so that a failure in between loses nothing. It is
// fault.Conflict while a redemption of the person is in flight, and with
// accounts when one of them is protected.
func (s *Service) Delete(ctx context.Context, id uuid.UUID, accounts bool) error {
	person, err := s.identity(ctx, id)
	if err != nil {
		return err
	}
	if busy, err := inFlight(ctx, s.DB.Ent, id); err != nil || busy {
		if err != nil {
			return err
		}
		return busyIdentity(id)
	}
	if accounts {
		for _, u := range person.Users {
			if u.Protected {
				return protected(u)
			}
		}
		for _, u := range person.Users {
			if err := s.remove(ctx, u); err != nil {
				return err
			}
			if err := s.forget(ctx, u); err != nil {
				return err
			}
		}
	}
	_, err = database.WithTx(ctx, s.DB, func(ctx context.Context, tx *db.Tx) (struct{}, error) {
		// The lock comes first: a redemption that joins the person (JoinTx) waits for
		// it, or is seen below.
		n, err := tx.Identity.Update().Where(identity.ID(id)).SetUpdatedAt(s.after(person.UpdatedAt)).Save(ctx)
		if err != nil {
			return struct{}{}, database.Wrap("lock", entity, err)
		}
		if n == 0 {
			return struct{}{}, fault.Missing(entity, id.String())
		}
		if busy, err := inFlight(ctx, tx.Client(), id); err != nil || busy {
			if err != nil {
				return struct{}{}, err
			}
			return struct{}{}, busyIdentity(id)
		}
		return struct{}{}, database.Wrap("delete", entity, tx.Identity.DeleteOneID(id).Exec(ctx))
	})
	return err
}

func busyIdentity(id uuid.UUID) error {
	f := fault.New(fault.Conflict, fault.CodeRedemptionInFlight, "A redemption of this person is not finished yet.")
	f.Resource, f.Retryable = &fault.Resource{Type: entity, ID: id.String()}, true
	return f
}
