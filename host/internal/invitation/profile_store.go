package invitation

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/profile"
	"github.com/zondarr/zondarr/ent/db/profileserver"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
)

func withProfileTargets(q *db.ProfileQuery) *db.ProfileQuery {
	return q.WithServers(func(q *db.ProfileServerQuery) {
		q.WithServer(targetColumns)
		q.WithLibraries(func(q *db.ProfileLibraryQuery) { q.WithLibrary() })
		q.Order(profileserver.ByPosition(), profileserver.ByID())
	})
}

func profileByID(ctx context.Context, c *db.Client, id uuid.UUID) (*db.Profile, error) {
	row, err := withProfileTargets(c.Profile.Query().Where(profile.ID(id))).Only(ctx)
	return row, database.Wrap("get", entityProfile, err)
}

func (s *Service) toProfile(row *db.Profile) Profile {
	p := Profile{
		ID: row.ID, Name: row.Name, Label: row.Label, Note: row.Note, ExpiresAfterDays: row.ExpiresAfterDays, MaxUses: row.MaxUses,
		DurationDays: row.DurationDays, OnExpiry: string(row.OnExpiry), Email: string(row.Email), Default: row.IsDefault,
		CreatedBy: row.CreatedBy, CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(),
		Servers: make([]Server, 0, len(row.Edges.Servers)),
	}
	for _, r := range row.Edges.Servers {
		p.Servers = append(p.Servers, s.toServer(target{
			server: r.Edges.Server, access: string(r.LibraryAccess), permissions: r.Permissions, limits: r.Limits, options: r.Options,
			libraries: profileLibraries(r),
		}))
	}
	return p
}

func profileLibraries(r *db.ProfileServer) []*db.Library {
	libs := make([]*db.Library, 0, len(r.Edges.Libraries))
	for _, l := range r.Edges.Libraries {
		libs = append(libs, l.Edges.Library)
	}
	return libs
}

// goneIn says whether a profile's library is missing on its server.
func goneIn(row *db.Profile, id uuid.UUID) bool {
	for _, r := range row.Edges.Servers {
		for _, l := range profileLibraries(r) {
			if l.ID == id {
				return l.MissingSince != nil
			}
		}
	}
	return false
}

func createProfile(ctx context.Context, tx *db.Tx, p Profile, by string, targets []ServerGrant, now time.Time) (uuid.UUID, error) {
	if err := clearDefault(ctx, tx, p.Default, uuid.Nil, now); err != nil {
		return uuid.Nil, err
	}
	create := tx.Profile.Create().SetName(p.Name).SetLabel(p.Label).SetNillableNote(p.Note).
		SetNillableExpiresAfterDays(p.ExpiresAfterDays).SetNillableDurationDays(p.DurationDays).
		SetOnExpiry(profile.OnExpiry(p.OnExpiry)).SetEmail(profile.Email(p.Email)).SetIsDefault(p.Default).
		SetCreatedBy(by).SetCreatedAt(now).SetUpdatedAt(now)
	if p.MaxUses != nil {
		create.SetMaxUses(*p.MaxUses)
	}
	row, err := create.Save(ctx)
	if err != nil {
		return uuid.Nil, database.Wrap("create", entityProfile, err)
	}
	if p.MaxUses == nil {
		// The column's own default is 1, so that unlimited must be said.
		if err := tx.Profile.UpdateOneID(row.ID).ClearMaxUses().SetUpdatedAt(now).Exec(ctx); err != nil {
			return uuid.Nil, database.Wrap("update", entityProfile, err)
		}
	}
	return row.ID, putProfileServers(ctx, tx, row.ID, targets)
}

// lockProfile takes the row's lock for the rest of the transaction.
func lockProfile(ctx context.Context, tx *db.Tx, id uuid.UUID, now time.Time) error {
	n, err := tx.Profile.Update().Where(profile.ID(id)).SetUpdatedAt(now).Save(ctx)
	if err == nil && n == 0 {
		return fault.Missing(entityProfile, id.String())
	}
	return database.Wrap("lock", entityProfile, err)
}

// updateProfile writes the profile; targets are replaced unless nil.
func updateProfile(ctx context.Context, tx *db.Tx, p Profile, targets []ServerGrant, now time.Time) error {
	if err := clearDefault(ctx, tx, p.Default, p.ID, now); err != nil {
		return err
	}
	u := tx.Profile.UpdateOneID(p.ID).SetName(p.Name).SetLabel(p.Label).
		SetOnExpiry(profile.OnExpiry(p.OnExpiry)).SetEmail(profile.Email(p.Email)).SetIsDefault(p.Default).SetUpdatedAt(now)
	database.Put(p.Note, u.SetNote, u.ClearNote)
	database.Put(p.ExpiresAfterDays, u.SetExpiresAfterDays, u.ClearExpiresAfterDays)
	database.Put(p.MaxUses, u.SetMaxUses, u.ClearMaxUses)
	database.Put(p.DurationDays, u.SetDurationDays, u.ClearDurationDays)
	if err := u.Exec(ctx); err != nil {
		return database.Wrap("update", entityProfile, err)
	}
	if targets == nil {
		return nil
	}
	if _, err := tx.ProfileServer.Delete().Where(profileserver.ProfileID(p.ID)).Exec(ctx); err != nil {
		return database.Wrap("delete", "profile_server", err)
	}
	return putProfileServers(ctx, tx, p.ID, targets)
}

// clearDefault makes room for another default profile.
func clearDefault(ctx context.Context, tx *db.Tx, wanted bool, id uuid.UUID, now time.Time) error {
	if !wanted {
		return nil
	}
	_, err := tx.Profile.Update().Where(profile.IsDefault(true), profile.IDNEQ(id)).SetIsDefault(false).SetUpdatedAt(now).Save(ctx)
	return database.Wrap("update", entityProfile, err)
}

func putProfileServers(ctx context.Context, tx *db.Tx, id uuid.UUID, targets []ServerGrant) error {
	rows := make([]*db.ProfileServerCreate, len(targets))
	for i, t := range targets {
		rows[i] = tx.ProfileServer.Create().SetProfileID(id).SetServerID(t.ServerID).SetPosition(i).
			SetLibraryAccess(profileserver.LibraryAccess(t.Grant.Access)).
			SetPermissions(t.Grant.Permissions).SetLimits(t.Grant.Limits).SetOptions(t.Grant.Options)
	}
	stored, err := tx.ProfileServer.CreateBulk(rows...).Save(ctx)
	if err != nil {
		return database.Wrap("create", "profile_server", err)
	}
	var libs []*db.ProfileLibraryCreate
	for i, t := range targets {
		for _, lib := range t.Grant.LibraryIDs {
			libs = append(libs, tx.ProfileLibrary.Create().SetProfileServerID(stored[i].ID).SetLibraryID(lib))
		}
	}
	if len(libs) == 0 {
		return nil
	}
	return database.Wrap("create", "profile_library", tx.ProfileLibrary.CreateBulk(libs...).Exec(ctx))
}
