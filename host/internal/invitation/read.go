package invitation

import (
	"context"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/invitation"
	"github.com/zondarr/zondarr/ent/db/invitationserver"
	"github.com/zondarr/zondarr/ent/db/mediaserver"
	"github.com/zondarr/zondarr/ent/db/predicate"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/page"
)

// Filter narrows a list of invitations; empty fields match all.
type Filter struct {
	State     []State
	ServerID  []uuid.UUID
	CreatedBy []string
	ProfileID []uuid.UUID
	// Query is a case-insensitive part of code, label or note.
	Query string
}

var invitations = page.List[*db.Invitation]{
	Default: "-created_at",
	ID:      func(r *db.Invitation) uuid.UUID { return r.ID },
	Fields: map[string]page.Field[*db.Invitation]{
		"created_at": {Column: invitation.FieldCreatedAt, Kind: page.Time, Value: func(r *db.Invitation) any { return r.CreatedAt }},
		"code":       {Column: invitation.FieldCode, Value: func(r *db.Invitation) any { return r.Code }},
		"label":      {Column: invitation.FieldLabel, Value: func(r *db.Invitation) any { return r.Label }},
		"use_count":  {Column: invitation.FieldUseCount, Kind: page.Number, Value: func(r *db.Invitation) any { return r.UseCount }},
		"expires_at": {Column: invitation.FieldExpiresAt, Kind: page.Time, Nullable: true, Value: func(r *db.Invitation) any {
			if r.ExpiresAt == nil {
				return nil
			}
			return *r.ExpiresAt
		}},
	},
}

// Get gives one invitation (R5.1).
func (s *Service) Get(ctx context.Context, id uuid.UUID) (Invitation, error) {
	row, err := s.byID(ctx, s.DB.Ent, id)
	if err != nil {
		return Invitation{}, missing(err, entity, id)
	}
	return s.toInvitation(row), nil
}

// ByCode gives the invitation of a code as somebody typed it (R5.3), or
// invitation_not_found.
func (s *Service) ByCode(ctx context.Context, code string) (Invitation, error) {
	row, err := byCode(ctx, s.DB.Ent, code, withTargets)
	if err != nil {
		return Invitation{}, err
	}
	return s.toInvitation(row), nil
}

func byCode(ctx context.Context, c *db.Client, code string, load func(*db.InvitationQuery) *db.InvitationQuery) (*db.Invitation, error) {
	meant := typed(code)
	if len(meant) == 0 {
		return nil, notFound()
	}
	rows, err := load(c.Invitation.Query().Where(invitation.CodeIn(meant...))).All(ctx)
	if err != nil {
		return nil, database.Wrap("get", entity, err)
	}
	for _, m := range meant {
		for _, row := range rows {
			if row.Code == m {
				return row, nil
			}
		}
	}
	return nil, notFound()
}

// List gives one page of invitations.
func (s *Service) List(ctx context.Context, f Filter, req page.Request) (page.Page[Invitation], error) {
	q, err := invitations.Open(req, f)
	if err != nil {
		return page.Page[Invitation]{}, err
	}
	rows, err := withTargets(s.DB.Ent.Invitation.Query().Where(s.matches(f)...).Where(q.Apply).Limit(q.Fetch())).All(ctx)
	if err != nil {
		return page.Page[Invitation]{}, database.Wrap("list", entity, err)
	}
	return page.Of(q, rows, s.toInvitation), nil
}

func (s *Service) matches(f Filter) []predicate.Invitation {
	var ps []predicate.Invitation
	if len(f.State) > 0 {
		states := make([]predicate.Invitation, len(f.State))
		for i, state := range f.State {
			states[i] = s.hasState(state)
		}
		ps = append(ps, invitation.Or(states...))
	}
	if len(f.ServerID) > 0 {
		ps = append(ps, invitation.HasServersWith(invitationserver.ServerIDIn(f.ServerID...)))
	}
	if len(f.CreatedBy) > 0 {
		ps = append(ps, invitation.CreatedByIn(f.CreatedBy...))
	}
	if len(f.ProfileID) > 0 {
		ps = append(ps, invitation.ProfileIDIn(f.ProfileID...))
	}
	if f.Query != "" {
		ps = append(ps, invitation.Or(
			invitation.CodeContainsFold(f.Query), invitation.LabelContainsFold(f.Query), invitation.NoteContainsFold(f.Query)))
	}
	return ps
}

// hasState is stateAt in SQL, condition by condition.
func (s *Service) hasState(state State) predicate.Invitation {
	now := s.Now()
	disabled := invitation.Enabled(false)
	expired := invitation.ExpiresAtLTE(now)
	unexpired := invitation.Or(invitation.ExpiresAtIsNil(), invitation.ExpiresAtGT(now))
	exhausted := invitation.And(invitation.MaxUsesNotNil(), func(q *sql.Selector) {
		q.Where(sql.ColumnsGTE(q.C(invitation.FieldUseCount), q.C(invitation.FieldMaxUses)))
	})
	available := invitation.HasServersWith(invitationserver.HasServerWith(mediaserver.Enabled(true)))
	switch state {
	case StateDisabled:
		return disabled
	case StateExpired:
		return invitation.And(invitation.Enabled(true), expired)
	case StateExhausted:
		return invitation.And(invitation.Enabled(true), unexpired, exhausted)
	case StateNoServer:
		return invitation.And(invitation.Enabled(true), unexpired, usesLeft(), invitation.Not(available))
	case StateActive:
		return invitation.And(invitation.Enabled(true), unexpired, usesLeft(), available)
	default:
		return func(q *sql.Selector) { q.Where(sql.False()) }
	}
}

// usesLeft: unlimited, or fewer taken than there are.
func usesLeft() predicate.Invitation {
	return invitation.Or(invitation.MaxUsesIsNil(), func(q *sql.Selector) {
		q.Where(sql.ColumnsLT(q.C(invitation.FieldUseCount), q.C(invitation.FieldMaxUses)))
	})
}
