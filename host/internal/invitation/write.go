package invitation

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/invitation"
	"github.com/zondarr/zondarr/ent/db/redemption"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/grant"
)

// CreateParams are what an admin says of a new invitation. Nil fields take the
// profile's value where there is one, else the default.
type CreateParams struct {
	// Code of the admin's choice; empty draws one.
	Code      string
	Label     *string
	Note      *string
	Enabled   *bool
	ExpiresAt **time.Time
	// MaxUses: nil is 1, a nil within is unlimited.
	MaxUses      **int
	DurationDays **int
	OnExpiry     *string
	Email        *string
	// ProfileID names the profile to start from. Without it and without servers
	// the default profile is taken, where there is one.
	ProfileID *uuid.UUID
	Servers   []ServerGrant
	// CreatedBy is "api_key:<id>", "admin:<id>" or "system".
	CreatedBy string
}

// Patch changes what is not nil; a nil within clears.
type Patch struct {
	Label        *string
	Note         **string
	Enabled      *bool
	ExpiresAt    **time.Time
	MaxUses      **int
	DurationDays **int
	OnExpiry     *string
	Email        *string
	// Servers replaces the whole list.
	Servers *[]ServerGrant
}

// maxDraws bounds how often a code is drawn again because it is taken. Two
// equal ones among a billion invitations are a matter of luck; three are not.
const maxDraws = 3

// Create stores an invitation. Errors are fault.Invalid with the fields to
// blame, library_access_unsupported, expiry_action_unsupported, or code_taken.
func (s *Service) Create(ctx context.Context, p CreateParams) (Invitation, error) {
	drawn := p.Code == ""
	code := newCode()
	if !drawn {
		var err error
		if code, err = ownCode(p.Code); err != nil {
			return Invitation{}, err
		}
	}
	for draw := 1; ; draw++ {
		inv, err := database.WithTx(ctx, s.DB, func(ctx context.Context, tx *db.Tx) (Invitation, error) {
			return s.createTx(ctx, tx, code, p)
		})
		switch {
		case !database.ConflictOn(err, invitation.Table, invitation.FieldCode):
			return inv, err
		case !drawn:
			return Invitation{}, &fault.Error{
				Kind: fault.Conflict, Code: fault.CodeCodeTaken, Message: "Another invitation has this code.", Err: err,
				Fields: []fault.Field{{Location: "body.code", Code: fault.FieldTaken, Message: "Another invitation has this code."}},
			}
		case draw == maxDraws:
			return Invitation{}, err
		}
		code = newCode()
	}
}

func (s *Service) createTx(ctx context.Context, tx *db.Tx, code string, p CreateParams) (Invitation, error) {
	p, err := s.fromProfile(ctx, tx, p)
	if err != nil {
		return Invitation{}, err
	}
	inv := Invitation{
		Label: value(p.Label, ""), Note: p.Note, Enabled: value(p.Enabled, true), ExpiresAt: database.MicroOf(value(p.ExpiresAt, nil)),
		MaxUses: value(p.MaxUses, new(1)), DurationDays: value(p.DurationDays, nil),
		OnExpiry: value(p.OnExpiry, grant.ExpiryDisable), Email: value(p.Email, EmailOptional),
	}
	if err := checkFields(inv); err != nil {
		return Invitation{}, err
	}
	targets, err := s.checkTargets(ctx, tx.Client(), p.Servers, inv.DurationDays != nil, inv.OnExpiry)
	if err != nil {
		return Invitation{}, err
	}
	now := s.Now()
	row, err := tx.Invitation.Create().SetCode(code).SetLabel(inv.Label).SetNillableNote(inv.Note).SetEnabled(inv.Enabled).
		SetNillableExpiresAt(inv.ExpiresAt).SetNillableMaxUses(inv.MaxUses).SetNillableDurationDays(inv.DurationDays).
		SetOnExpiry(invitation.OnExpiry(inv.OnExpiry)).SetEmail(invitation.Email(inv.Email)).SetNillableProfileID(p.ProfileID).
		SetCreatedBy(cmp.Or(p.CreatedBy, "system")).SetCreatedAt(now).SetUpdatedAt(now).Save(ctx)
	if err != nil {
		return Invitation{}, database.Wrap("create", entity, err)
	}
	if err := putServers(ctx, tx, row.ID, targets); err != nil {
		return Invitation{}, err
	}
	stored, err := s.byID(ctx, tx.Client(), row.ID)
	if err != nil {
		return Invitation{}, err
	}
	return s.toInvitation(stored), nil
}

func value[T any](v *T, otherwise T) T {
	if v == nil {
		return otherwise
	}
	return *v
}

func checkFields(inv Invitation) error {
	var p problems
	p.text("body.label", inv.Label, maxLabel)
	p.text("body.note", value(inv.Note, ""), maxNote)
	p.count("body.max_uses", inv.MaxUses, maxCount)
	p.count("body.duration_days", inv.DurationDays, maxDays)
	p.onExpiry(inv.OnExpiry)
	p.email(inv.Email)
	return p.err()
}

// Update changes an invitation, at any time; the use count and the code stay.
// Accounts and running redemptions keep what they were given. Errors as Create,
// and max_uses below the use count is fault.Invalid.
func (s *Service) Update(ctx context.Context, id uuid.UUID, p Patch) (Invitation, error) {
	return database.WithTx(ctx, s.DB, func(ctx context.Context, tx *db.Tx) (Invitation, error) {
		// The lock comes first, so that no use is taken between check and write.
		if err := lock(ctx, tx, id); err != nil {
			return Invitation{}, err
		}
		row, err := s.byID(ctx, tx.Client(), id)
		if err != nil {
			return Invitation{}, err
		}
		inv := s.toInvitation(row)
		apply(&inv, p)
		if err := checkFields(inv); err != nil {
			return Invitation{}, err
		}
		if inv.MaxUses != nil && *inv.MaxUses < inv.UseCount {
			return Invitation{}, fault.InvalidInput(fault.Field{
				Location: "body.max_uses", Code: fault.FieldOutOfRange, Message: "Not below the number of uses already taken.",
			})
		}
		targets, err := s.changedTargets(ctx, tx.Client(), inv, p)
		if err != nil {
			return Invitation{}, err
		}
		u := tx.Invitation.UpdateOneID(id).SetLabel(inv.Label).SetEnabled(inv.Enabled).
			SetOnExpiry(invitation.OnExpiry(inv.OnExpiry)).SetEmail(invitation.Email(inv.Email)).SetUpdatedAt(after(s.Now(), inv.UpdatedAt))
		database.Put(inv.Note, u.SetNote, u.ClearNote)
		database.Put(inv.ExpiresAt, u.SetExpiresAt, u.ClearExpiresAt)
		database.Put(inv.MaxUses, u.SetMaxUses, u.ClearMaxUses)
		database.Put(inv.DurationDays, u.SetDurationDays, u.ClearDurationDays)
		if err := u.Exec(ctx); err != nil {
			return Invitation{}, database.Wrap("update", entity, err)
		}
		if p.Servers != nil {
			if err := putServers(ctx, tx, id, targets); err != nil {
				return Invitation{}, err
			}
		}
		if row, err = s.byID(ctx, tx.Client(), id); err != nil {
			return Invitation{}, err
		}
		return s.toInvitation(row), nil
	})
}

func apply(inv *Invitation, p Patch) {
	inv.Label = value(p.Label, inv.Label)
	inv.Note = value(p.Note, inv.Note)
	inv.Enabled = value(p.Enabled, inv.Enabled)
	inv.ExpiresAt = database.MicroOf(value(p.ExpiresAt, inv.ExpiresAt))
	inv.MaxUses = value(p.MaxUses, inv.MaxUses)
	inv.DurationDays = value(p.DurationDays, inv.DurationDays)
	inv.OnExpiry = value(p.OnExpiry, inv.OnExpiry)
	inv.Email = value(p.Email, inv.Email)
}

// changedTargets judges the grants again where the patch touches them. A change
// of the label must not fail because a server has changed meanwhile.
func (s *Service) changedTargets(ctx context.Context, c *db.Client, inv Invitation, p Patch) ([]ServerGrant, error) {
	expires := inv.DurationDays != nil
	if p.Servers != nil {
		return s.checkTargets(ctx, c, *p.Servers, expires, inv.OnExpiry)
	}
	if !expires || p.DurationDays == nil && p.OnExpiry == nil {
		return nil, nil
	}
	targets := make([]ServerGrant, len(inv.Servers))
	for i, t := range inv.Servers {
		targets[i] = ServerGrant{ServerID: t.ID, Grant: t.Grant}
	}
	judged, err := s.checkTargets(ctx, c, targets, true, inv.OnExpiry)
	if fault.CodeOf(err) == fault.CodeExpiryActionUnsupported {
		return nil, err
	}
	return judged, nil // what else is wrong with stored grants was not asked for, and shows as a warning
}

// after is now, or just after what was written before: a version moves with every
// edit, also when the clock of another host is ahead.
func after(now, before time.Time) time.Time {
	if now.After(before) {
		return now
	}
	return before.Add(time.Microsecond)
}

// lock takes the row's lock for the rest of the transaction, on both databases.
func lock(ctx context.Context, tx *db.Tx, id uuid.UUID) error {
	n, err := tx.Invitation.Update().Where(invitation.ID(id)).Modify(keepVersion).AddUseCount(0).Save(ctx)
	if err == nil && n == 0 {
		return fault.Missing(entity, id.String())
	}
	return database.Wrap("lock", entity, err)
}

// Delete removes an invitation, and no users (R2.8). It is fault.Conflict while
// a redemption of it is in flight.
func (s *Service) Delete(ctx context.Context, id uuid.UUID) error {
	_, err := database.WithTx(ctx, s.DB, func(ctx context.Context, tx *db.Tx) (struct{}, error) {
		// A redemption that begins waits for the lock, and then finds no invitation.
		if err := lock(ctx, tx, id); err != nil {
			return struct{}{}, err
		}
		busy, err := tx.Redemption.Query().Where(redemption.InvitationID(id), redemption.FinishedAtIsNil()).Exist(ctx)
		if err != nil {
			return struct{}{}, database.Wrap("list", "redemption", err)
		}
		if busy {
			return struct{}{}, &fault.Error{
				Kind: fault.Conflict, Code: fault.CodeRedemptionInFlight, Retryable: true,
				Message:  "A redemption of this invitation is not finished yet.",
				Resource: &fault.Resource{Type: entity, ID: id.String()},
			}
		}
		return struct{}{}, database.Wrap("delete", entity, tx.Invitation.DeleteOneID(id).Exec(ctx))
	})
	return err
}

// Disable switches an invitation off (R5.3).
func (s *Service) Disable(ctx context.Context, id uuid.UUID) (Invitation, error) {
	return s.Update(ctx, id, Patch{Enabled: new(false)})
}

// missing turns a row that is not there into the error for the caller.
func missing(err error, resource string, id uuid.UUID) error {
	if errors.Is(err, database.ErrNotFound) {
		return fault.Missing(resource, id.String())
	}
	return err
}
