package invitation

import (
	"context"
	"slices"
	"time"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/invitation"
	"github.com/zondarr/zondarr/ent/db/invitationserver"
	"github.com/zondarr/zondarr/ent/db/mediaserver"
	"github.com/zondarr/zondarr/ent/db/predicate"
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

	// version is when the invitation was last written by an admin; taking and
	// giving back uses leaves it.
	version time.Time
}

// Target is one server of an offer.
type Target struct {
	ServerID uuid.UUID
	Name     string
	Type     string
	// Enabled is false for a server that is skipped.
	Enabled bool
	// Facts is nil for a server that was never tested.
	Facts *sdk.ServerFacts
	Grant grant.Grant
	// Libraries are those of the grant, missing ones included.
	Libraries []grant.Library

	version time.Time
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
		InvitationID: row.ID, Code: row.Code, ExpiresAt: database.MicroOf(row.ExpiresAt), DurationDays: row.DurationDays,
		OnExpiry: string(row.OnExpiry), Email: string(row.Email), version: row.UpdatedAt,
	}
	available := false
	for _, r := range row.Edges.Servers {
		m := r.Edges.Server
		t := target{
			access: string(r.LibraryAccess), permissions: r.Permissions, limits: r.Limits, options: r.Options, libraries: invitationLibraries(r),
		}
		available = available || m.Enabled
		o.Targets = append(o.Targets, Target{
			ServerID: m.ID, Name: m.Name, Type: m.ServerType, Enabled: m.Enabled,
			Facts: grant.Facts(m.Facts), Grant: t.grant(), Libraries: libraries(t.libraries), version: m.UpdatedAt,
		})
	}
	o.State = stateAt(s.Now(), row.Enabled, row.ExpiresAt, row.MaxUses, row.UseCount, available)
	return o
}

// ReserveTx takes one use of an invitation and gives what it offers, as it
// stands in this transaction. It is one conditional UPDATE: of a hundred callers
// for the last use one gets it, and the others the reason (R6.6).
//
// seen is what Check gave a moment ago: while nobody has written the invitation
// or its servers since, it is not read again.
func (s *Service) ReserveTx(ctx context.Context, tx *db.Tx, seen Offer) (Offer, error) {
	if still := seen.still(); still != nil {
		if taken, err := s.take(ctx, tx, seen.InvitationID, still); err != nil || taken {
			seen.State = StateActive
			return seen, err
		}
	}
	taken, err := s.take(ctx, tx, seen.InvitationID, invitation.HasServersWith(invitationserver.HasServerWith(mediaserver.Enabled(true))))
	if err != nil {
		return Offer{}, err
	}
	row, err := withTargets(tx.Invitation.Query().Where(invitation.ID(seen.InvitationID))).Only(ctx)
	if db.IsNotFound(err) {
		return Offer{}, notFound()
	}
	if err != nil {
		return Offer{}, database.Wrap("get", entity, err)
	}
	offer := s.toOffer(row)
	if taken {
		offer.State = StateActive // it was when its use was taken
		return offer, nil
	}
	if err := offer.State.Err(); err != nil {
		return Offer{}, err
	}
	// It was full a moment ago, and a use was given back since.
	e := fault.As(StateExhausted.Err())
	e.Retryable = true
	return Offer{}, e
}

// take takes a use if the invitation can be redeemed, and if what is said of its
// servers holds.
func (s *Service) take(ctx context.Context, tx *db.Tx, id uuid.UUID, servers predicate.Invitation) (bool, error) {
	n, err := tx.Invitation.Update().Where(
		invitation.ID(id),
		invitation.Enabled(true),
		invitation.Or(invitation.ExpiresAtIsNil(), invitation.ExpiresAtGT(s.Now())),
		usesLeft(),
		servers,
	).Modify(keepVersion).AddUseCount(1).Save(ctx)
	return n == 1, database.Wrap("reserve", entity, err)
}

// still is true while the invitation and each of its servers are as they were
// seen. It is nil for an offer that was not seen, or that names no server to make
// an account on. Enabled is compared for itself: whoever writes a server, by
// whatever clock, one that was switched off is never taken for one that is on.
func (o Offer) still() predicate.Invitation {
	if !slices.ContainsFunc(o.Targets, func(t Target) bool { return t.Enabled }) {
		return nil
	}
	same := []predicate.Invitation{invitation.UpdatedAt(o.version)}
	for _, t := range o.Targets {
		same = append(same, invitation.HasServersWith(invitationserver.HasServerWith(
			mediaserver.ID(t.ServerID), mediaserver.UpdatedAt(t.version), mediaserver.Enabled(t.Enabled),
		)))
	}
	return invitation.And(same...)
}

// keepVersion leaves updated_at, which ent would move.
func keepVersion(u *sql.UpdateBuilder) {
	u.Set(invitation.FieldUpdatedAt, sql.Expr(invitation.FieldUpdatedAt))
}

// ReleaseTx gives a use back. It does nothing for an invitation that is gone.
func (s *Service) ReleaseTx(ctx context.Context, tx *db.Tx, id uuid.UUID) error {
	_, err := tx.Invitation.Update().Where(invitation.ID(id), invitation.UseCountGT(0)).Modify(keepVersion).AddUseCount(-1).Save(ctx)
	return database.Wrap("release", entity, err)
}
