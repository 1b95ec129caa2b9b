package identity

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/identity"
	"github.com/zondarr/zondarr/ent/db/library"
	"github.com/zondarr/zondarr/ent/db/mediaserver"
	"github.com/zondarr/zondarr/ent/db/redemption"
	"github.com/zondarr/zondarr/ent/db/user"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/grant"
	"github.com/zondarr/zondarr/sdk"
)

const (
	entity     = "identity"
	entityUser = "user"
)

// withServer loads what a user tells of its server; the sealed secrets stay where
// they are.
func withServer(q *db.UserQuery) *db.UserQuery {
	return q.WithServer(func(q *db.MediaServerQuery) {
		q.Select(mediaserver.FieldID, mediaserver.FieldName, mediaserver.FieldServerType, mediaserver.FieldFacts)
	})
}

func withUsers(q *db.IdentityQuery) *db.IdentityQuery {
	return q.WithUsers(func(q *db.UserQuery) { withServer(q).Order(user.ByCreatedAt(), user.ByID()) })
}

// user reads a user with its identity, whose other users are not loaded.
func (s *Service) user(ctx context.Context, id uuid.UUID) (User, Identity, error) {
	row, err := withServer(s.DB.Ent.User.Query().Where(user.ID(id))).WithIdentity().Only(ctx)
	if err != nil {
		return User{}, Identity{}, missing(database.Wrap("get", entityUser, err), entityUser, id)
	}
	return s.toUser(row), s.toIdentity(row.Edges.Identity), nil
}

func (s *Service) identity(ctx context.Context, id uuid.UUID) (Identity, error) {
	row, err := withUsers(s.DB.Ent.Identity.Query().Where(identity.ID(id))).Only(ctx)
	if err != nil {
		return Identity{}, missing(database.Wrap("get", entity, err), entity, id)
	}
	return s.toIdentity(row), nil
}

func missing(err error, resource string, id uuid.UUID) error {
	if errors.Is(err, database.ErrNotFound) {
		return fault.Missing(resource, id.String())
	}
	return err
}

func (s *Service) toIdentity(row *db.Identity) Identity {
	i := Identity{
		ID: row.ID, DisplayName: row.DisplayName, Email: row.Email, Note: row.Note, Enabled: row.Enabled, ExpiresAt: database.MicroOf(row.ExpiresAt),
		InvitationID: row.InvitationID, CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(), Users: make([]User, len(row.Edges.Users)),
	}
	switch {
	case !i.Enabled:
		i.State = StateDisabled
	case past(i.ExpiresAt, s.Now()):
		i.State = StateExpired
	default:
		i.State = StateActive
	}
	for n, u := range row.Edges.Users {
		i.Users[n] = s.toUser(u)
	}
	return i
}

func (s *Service) toUser(row *db.User) User {
	u := User{
		ID: row.ID, IdentityID: row.IdentityID, ServerID: row.ServerID, ExternalID: row.ExternalID, Username: row.Username, Email: row.Email,
		Kind: row.Kind, Protected: row.Protected, Enabled: row.Enabled, Status: string(row.Status), ExpiresAt: database.MicroOf(row.ExpiresAt),
		OnExpiry: string(row.OnExpiry), Permissions: row.Permissions, Limits: row.Limits, Options: row.Options, AccessReadAt: database.MicroOf(row.AccessReadAt),
		Origin: string(row.Origin), InvitationID: row.InvitationID, RedemptionID: row.RedemptionID, LastActiveAt: database.MicroOf(row.LastActiveAt),
		LastSeenAt: database.MicroOf(row.LastSeenAt), CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(),
		external: row.Libraries, sealedState: row.PluginState,
	}
	if m := row.Edges.Server; m != nil {
		u.ServerName, u.ServerType = m.Name, m.ServerType
		desc, err := s.Clients.Describe(m.ServerType)
		u.emulated = err == nil && desc.Traits.SuspendEmulated
		if facts := grant.Facts(m.Facts); facts != nil {
			u.capabilities = facts.Capabilities
		} else if err == nil {
			u.capabilities = desc.Capabilities()
		}
	}
	if row.LibraryAccess != nil {
		u.Libraries = &Libraries{Access: sdk.LibraryMode(*row.LibraryAccess), LibraryIDs: []uuid.UUID{}}
		for _, text := range row.Libraries {
			if id, err := uuid.Parse(text); err == nil {
				u.Libraries.LibraryIDs = append(u.Libraries.LibraryIDs, id)
			}
		}
		slices.SortFunc(u.Libraries.LibraryIDs, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	}
	return u
}

// change writes a user that nobody has changed since it was read, nor the person
// it belongs to; it says no when somebody has. The time of the change is the
// row's version, so it always moves.
func (s *Service) change(ctx context.Context, u User, person Identity, set func(*db.UserUpdate)) (bool, error) {
	q := s.DB.Ent.User.Update().Where(user.ID(u.ID), user.UpdatedAt(u.UpdatedAt), user.HasIdentityWith(identity.UpdatedAt(person.UpdatedAt))).
		SetUpdatedAt(s.after(u.UpdatedAt))
	set(q)
	n, err := q.Save(ctx)
	return n == 1, database.Wrap("update", entityUser, err)
}

// note writes down what was learned of a user, whatever else was changed: that it
// is missing, or protected.
func (s *Service) note(ctx context.Context, u User, set func(*db.UserUpdate)) error {
	q := s.DB.Ent.User.Update().Where(user.ID(u.ID)).SetUpdatedAt(s.after(u.UpdatedAt))
	set(q)
	_, err := q.Save(ctx)
	return database.Wrap("update", entityUser, err)
}

// after gives the present, and never the time given.
func (s *Service) after(t time.Time) time.Time {
	now := s.Now()
	if !now.After(t) {
		return t.Add(time.Microsecond)
	}
	return now
}

// libraryIDs gives Zondarr's ids of a server's libraries by external id.
func (s *Service) libraryIDs(ctx context.Context, serverID uuid.UUID, external []string) (map[string]string, error) {
	out := make(map[string]string, len(external))
	for _, id := range external {
		out[id] = ""
	}
	if len(external) == 0 {
		return out, nil
	}
	rows, err := s.DB.Ent.Library.Query().Where(library.ServerID(serverID), library.ExternalIDIn(external...)).All(ctx)
	if err != nil {
		return nil, database.Wrap("list", "library", err)
	}
	for _, row := range rows {
		out[row.ExternalID] = row.ID.String()
	}
	return out, nil
}

// inFlight says whether a redemption of the identity is not finished.
func inFlight(ctx context.Context, c *db.Client, identityID uuid.UUID) (bool, error) {
	busy, err := c.Redemption.Query().Where(redemption.IdentityID(identityID), redemption.FinishedAtIsNil()).Exist(ctx)
	return busy, database.Wrap("list", "redemption", err)
}
