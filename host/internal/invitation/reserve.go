package invitation

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/invitation"
	"github.com/zondarr/zondarr/ent/db/invitationserver"
	"github.com/zondarr/zondarr/ent/db/mediaserver"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/grant"
	"github.com/zondarr/zondarr/sdk"
)

// Offer is what an invitation gives, as a redemption needs it: at one moment,
// with the servers' facts and the libraries' external ids.
type Offer struct {
	InvitationID uuid.UUID
	Code         string
	State        State
	ExpiresAt    *time.Time
	DurationDays *int
	OnExpiry     string
	Email        string
	Targets      []Target
}

// Target is one server of an offer.
type Target struct {
	ServerID  uuid.UUID
	Name      string
	Type      string
	PublicURL *string
	// Enabled is false for a server that is skipped.
	Enabled bool
	// Facts is nil for a server that was never tested.
	Facts *sdk.ServerFacts
	Grant grant.Grant
	// Libraries are those of the grant, missing ones included.
	Libraries []grant.Library
}

// LibraryGone says that the grant names libraries, and none of them is left.
func (t Target) LibraryGone() bool {
	if t.Grant.Access != sdk.LibraryOnly {
		return false
	}
	for _, l := range t.Libraries {
		if !l.Missing {
			return false
		}
	}
	return true
}

// Check gives what a code offers and whether it can be redeemed now (R6.5), or
// invitation_not_found.
func (s *Service) Check(ctx context.Context, code string) (Offer, error) {
	row, err := byCode(ctx, s.DB.Ent, code, withTargets)
	if err != nil {
		return Offer{}, err
	}
	return s.toOffer(row), nil
}

func (s *Service) toOffer(row *db.Invitation) Offer {
	o := Offer{
		InvitationID: row.ID, Code: row.Code, ExpiresAt: utc(row.ExpiresAt), DurationDays: row.DurationDays,
		OnExpiry: string(row.OnExpiry), Email: string(row.Email),
	}
	available := false
	for _, r := range row.Edges.Servers {
		m := r.Edges.Server
		t := target{
			access: string(r.LibraryAccess), permissions: r.Permissions, limits: r.Limits, options: r.Options, libraries: invitationLibraries(r),
		}
		available = available || m.Enabled
		o.Targets = append(o.Targets, Target{
			ServerID: m.ID, Name: m.Name, Type: m.ServerType, PublicURL: m.PublicURL, Enabled: m.Enabled,
			Facts: grant.Facts(m.Facts), Grant: t.grant(), Libraries: libraries(t.libraries),
		})
	}
	o.State = stateAt(s.Now(), row.Enabled, row.ExpiresAt, row.MaxUses, row.UseCount, available)
	return o
}

// ReserveTx takes one use of an invitation and gives what it offers, as it
// stands in this transaction. It is one conditional UPDATE: of a hundred callers
// for the last use one gets it, and the others the reason (R6.6).
func (s *Service) ReserveTx(ctx context.Context, tx *db.Tx, id uuid.UUID) (Offer, error) {
	now := s.Now()
	n, err := tx.Invitation.Update().Where(
		invitation.ID(id),
		invitation.Enabled(true),
		invitation.Or(invitation.ExpiresAtIsNil(), invitation.ExpiresAtGT(now)),
		usesLeft(),
		invitation.HasServersWith(invitationserver.HasServerWith(mediaserver.Enabled(true))),
	).AddUseCount(1).SetUpdatedAt(now).Save(ctx)
	if err != nil {
		return Offer{}, database.Wrap("reserve", entity, err)
	}
	row, err := withTargets(tx.Invitation.Query().Where(invitation.ID(id))).Only(ctx)
	if db.IsNotFound(err) {
		return Offer{}, notFound()
	}
	if err != nil {
		return Offer{}, database.Wrap("get", entity, err)
	}
	if n == 1 {
		o := s.toOffer(row)
		o.State = StateActive
		return o, nil
	}
	if err := s.toOffer(row).State.Err(); err != nil {
		return Offer{}, err
	}
	// It was full a moment ago, and a use was given back since.
	e := fault.As(StateExhausted.Err())
	e.Retryable = true
	return Offer{}, e
}

// ReleaseTx gives a use back. It does nothing for an invitation that is gone.
func (s *Service) ReleaseTx(ctx context.Context, tx *db.Tx, id uuid.UUID) error {
	_, err := tx.Invitation.Update().Where(invitation.ID(id), invitation.UseCountGT(0)).
		AddUseCount(-1).SetUpdatedAt(s.Now()).Save(ctx)
	return database.Wrap("release", entity, err)
}
