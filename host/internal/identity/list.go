package identity

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/identity"
	"github.com/zondarr/zondarr/ent/db/predicate"
	"github.com/zondarr/zondarr/ent/db/user"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/page"
)

// Filter narrows a list of identities; empty fields match all.
type Filter struct {
	State        []State
	ServerID     []uuid.UUID
	InvitationID []uuid.UUID
	// Query is a case-insensitive part of the display name, the e-mail, the note,
	// or of a username.
	Query string
}

// UserFilter narrows a list of users; empty fields match all.
type UserFilter struct {
	ServerID     []uuid.UUID
	IdentityID   []uuid.UUID
	InvitationID []uuid.UUID
	Enabled      *bool
	Status       []string
	Origin       []string
	// ExpiresBefore matches users that end before it, by their own expiry or
	// their identity's.
	ExpiresBefore *time.Time
	// Query is a case-insensitive part of the username or the e-mail.
	Query string
}

var identities = page.List[*db.Identity]{
	Default: "-created_at",
	ID:      func(r *db.Identity) uuid.UUID { return r.ID },
	Fields: map[string]page.Field[*db.Identity]{
		"created_at":   {Column: identity.FieldCreatedAt, Kind: page.Time, Value: func(r *db.Identity) any { return r.CreatedAt }},
		"display_name": {Column: identity.FieldDisplayName, Value: func(r *db.Identity) any { return r.DisplayName }},
		"expires_at":   {Column: identity.FieldExpiresAt, Kind: page.Time, Nullable: true, Value: func(r *db.Identity) any { return orNil(r.ExpiresAt) }},
	},
}

var users = page.List[*db.User]{
	Default: "-created_at",
	ID:      func(r *db.User) uuid.UUID { return r.ID },
	Fields: map[string]page.Field[*db.User]{
		"created_at": {Column: user.FieldCreatedAt, Kind: page.Time, Value: func(r *db.User) any { return r.CreatedAt }},
		"username":   {Column: user.FieldUsername, Value: func(r *db.User) any { return r.Username }},
		"expires_at": {Column: user.FieldExpiresAt, Kind: page.Time, Nullable: true, Value: func(r *db.User) any { return orNil(r.ExpiresAt) }},
	},
}

func orNil(t *time.Time) any {
	if t == nil {
		return nil
	}
	return *t
}

// Get gives one identity with its users.
func (s *Service) Get(ctx context.Context, id uuid.UUID) (Identity, error) {
	return s.identity(ctx, id)
}

// GetUser gives one user.
func (s *Service) GetUser(ctx context.Context, id uuid.UUID) (User, error) {
	u, _, err := s.user(ctx, id)
	return u, err
}

// UserByExternalID gives the user that has an account on a server (R5.5).
func (s *Service) UserByExternalID(ctx context.Context, serverID uuid.UUID, externalID string) (User, error) {
	row, err := withServer(s.DB.Ent.User.Query().Where(user.ServerID(serverID), user.ExternalID(externalID))).Only(ctx)
	if err != nil {
		return User{}, missing(database.Wrap("get", entityUser, err), entityUser, serverID)
	}
	return s.toUser(row), nil
}

// List gives one page of identities.
func (s *Service) List(ctx context.Context, f Filter, req page.Request) (page.Page[Identity], error) {
	q, err := identities.Open(req, f)
	if err != nil {
		return page.Page[Identity]{}, err
	}
	rows, err := withUsers(s.DB.Ent.Identity.Query().Where(s.matches(f)...).Where(q.Apply).Limit(q.Fetch())).All(ctx)
	if err != nil {
		return page.Page[Identity]{}, database.Wrap("list", entity, err)
	}
	return page.Of(q, rows, s.toIdentity), nil
}

func (s *Service) matches(f Filter) []predicate.Identity {
	var ps []predicate.Identity
	if len(f.State) > 0 {
		now := s.Now()
		var states []predicate.Identity
		for _, state := range f.State {
			switch state {
			case StateDisabled:
				states = append(states, identity.Enabled(false))
			case StateExpired:
				states = append(states, identity.And(identity.Enabled(true), identity.ExpiresAtLTE(now)))
			case StateActive:
				states = append(states, identity.And(identity.Enabled(true), identity.Or(identity.ExpiresAtIsNil(), identity.ExpiresAtGT(now))))
			}
		}
		ps = append(ps, identity.Or(states...))
	}
	if len(f.ServerID) > 0 {
		ps = append(ps, identity.HasUsersWith(user.ServerIDIn(f.ServerID...)))
	}
	if len(f.InvitationID) > 0 {
		ps = append(ps, identity.InvitationIDIn(f.InvitationID...))
	}
	if f.Query != "" {
		ps = append(ps, identity.Or(identity.DisplayNameContainsFold(f.Query), identity.EmailContainsFold(f.Query),
			identity.NoteContainsFold(f.Query), identity.HasUsersWith(user.UsernameContainsFold(f.Query))))
	}
	return ps
}

// ListUsers gives one page of users.
func (s *Service) ListUsers(ctx context.Context, f UserFilter, req page.Request) (page.Page[User], error) {
	q, err := users.Open(req, f)
	if err != nil {
		return page.Page[User]{}, err
	}
	rows, err := withServer(s.DB.Ent.User.Query().Where(f.predicates()...).Where(q.Apply).Limit(q.Fetch())).All(ctx)
	if err != nil {
		return page.Page[User]{}, database.Wrap("list", entityUser, err)
	}
	return page.Of(q, rows, s.toUser), nil
}

func (f UserFilter) predicates() []predicate.User {
	var ps []predicate.User
	if len(f.ServerID) > 0 {
		ps = append(ps, user.ServerIDIn(f.ServerID...))
	}
	if len(f.IdentityID) > 0 {
		ps = append(ps, user.IdentityIDIn(f.IdentityID...))
	}
	if len(f.InvitationID) > 0 {
		ps = append(ps, user.InvitationIDIn(f.InvitationID...))
	}
	if f.Enabled != nil {
		ps = append(ps, user.Enabled(*f.Enabled))
	}
	if len(f.Status) > 0 {
		status := make([]user.Status, len(f.Status))
		for i, st := range f.Status {
			status[i] = user.Status(st)
		}
		ps = append(ps, user.StatusIn(status...))
	}
	if len(f.Origin) > 0 {
		origin := make([]user.Origin, len(f.Origin))
		for i, o := range f.Origin {
			origin[i] = user.Origin(o)
		}
		ps = append(ps, user.OriginIn(origin...))
	}
	if f.ExpiresBefore != nil {
		t := database.Micro(*f.ExpiresBefore)
		ps = append(ps, user.Or(user.ExpiresAtLT(t), user.HasIdentityWith(identity.ExpiresAtLT(t))))
	}
	if f.Query != "" {
		ps = append(ps, user.Or(user.UsernameContainsFold(f.Query), user.EmailContainsFold(f.Query)))
	}
	return ps
}
