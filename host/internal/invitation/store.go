package invitation

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/invitation"
	"github.com/zondarr/zondarr/ent/db/invitationserver"
	"github.com/zondarr/zondarr/ent/db/library"
	"github.com/zondarr/zondarr/ent/db/mediaserver"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/grant"
	"github.com/zondarr/zondarr/sdk"
)

const (
	entity        = "invitation"
	entityProfile = "profile"
)

// withTargets loads what an invitation's own form needs of servers and libraries.
func withTargets(q *db.InvitationQuery) *db.InvitationQuery {
	return q.WithServers(func(q *db.InvitationServerQuery) {
		q.WithServer(targetColumns)
		q.WithLibraries(func(q *db.InvitationLibraryQuery) { q.WithLibrary() })
		q.Order(invitationserver.ByPosition(), invitationserver.ByID())
	})
}

// targetColumns leaves the sealed secrets of the servers where they are.
func targetColumns(q *db.MediaServerQuery) {
	q.Select(mediaserver.FieldID, mediaserver.FieldName, mediaserver.FieldServerType,
		mediaserver.FieldEnabled, mediaserver.FieldFacts, mediaserver.FieldUpdatedAt)
}

func (s *Service) byID(ctx context.Context, c *db.Client, id uuid.UUID) (*db.Invitation, error) {
	row, err := withTargets(c.Invitation.Query().Where(invitation.ID(id))).Only(ctx)
	return row, database.Wrap("get", entity, err)
}

// toInvitation maps a row with its targets.
func (s *Service) toInvitation(row *db.Invitation) Invitation {
	inv := Invitation{
		ID: row.ID, Code: row.Code, Label: row.Label, Note: row.Note, Enabled: row.Enabled, ExpiresAt: database.MicroOf(row.ExpiresAt),
		MaxUses: row.MaxUses, UseCount: row.UseCount, DurationDays: row.DurationDays, OnExpiry: string(row.OnExpiry),
		Email: string(row.Email), ProfileID: row.ProfileID, CreatedBy: row.CreatedBy,
		CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(), Servers: make([]Server, 0, len(row.Edges.Servers)),
	}
	for _, r := range row.Edges.Servers {
		inv.Servers = append(inv.Servers, s.toServer(target{
			server: r.Edges.Server, access: string(r.LibraryAccess), permissions: r.Permissions, limits: r.Limits, options: r.Options,
			libraries: invitationLibraries(r),
		}))
	}
	inv.State = stateAt(s.Now(), inv.Enabled, inv.ExpiresAt, inv.MaxUses, inv.UseCount, anyAvailable(inv.Servers))
	return inv
}

func invitationLibraries(r *db.InvitationServer) []*db.Library {
	libs := make([]*db.Library, 0, len(r.Edges.Libraries))
	for _, l := range r.Edges.Libraries {
		libs = append(libs, l.Edges.Library)
	}
	return libs
}

func anyAvailable(servers []Server) bool {
	return slices.ContainsFunc(servers, func(t Server) bool { return t.Available })
}

// target is a stored grant of an invitation or a profile.
type target struct {
	server      *db.MediaServer
	access      string
	permissions map[string]string
	limits      map[string]int64
	options     map[string]any
	libraries   []*db.Library
}

func (t target) grant() grant.Grant {
	g := grant.Grant{Access: sdk.LibraryMode(t.access), Permissions: t.permissions, Limits: t.limits, Options: t.options}
	for _, l := range t.libraries {
		g.LibraryIDs = append(g.LibraryIDs, l.ID)
	}
	slices.SortFunc(g.LibraryIDs, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	return g.Normalize()
}

func (s *Service) toServer(t target) Server {
	out := Server{
		ID: t.server.ID, Name: t.server.Name, Type: t.server.ServerType, Available: t.server.Enabled, Grant: t.grant(),
		Warnings: []grant.Warning{},
	}
	// Without its description nothing can be said of what the server cannot do.
	if desc, err := s.Types.Describe(out.Type); err == nil {
		out.Warnings = grant.Target{
			ServerName: out.Name, Grant: out.Grant, Description: desc,
			Abilities: grant.AbilitiesOf(desc, grant.Facts(t.server.Facts)), Libraries: libraries(t.libraries),
		}.Warnings()
	}
	return out
}

func libraries(rows []*db.Library) []grant.Library {
	out := make([]grant.Library, len(rows))
	for i, l := range rows {
		out[i] = grant.Library{ID: l.ID, ExternalID: l.ExternalID, Name: l.Name, Missing: l.MissingSince != nil}
	}
	return out
}

// servers reads the servers that a grant names, with all their libraries.
func servers(ctx context.Context, c *db.Client, ids []uuid.UUID) (map[uuid.UUID]*db.MediaServer, error) {
	q := c.MediaServer.Query().Where(mediaserver.IDIn(ids...))
	targetColumns(q)
	rows, err := q.All(ctx)
	if err != nil {
		return nil, database.Wrap("list", "media_server", err)
	}
	libs, err := c.Library.Query().Where(library.ServerIDIn(ids...)).All(ctx)
	if err != nil {
		return nil, database.Wrap("list", "library", err)
	}
	out := make(map[uuid.UUID]*db.MediaServer, len(rows))
	for _, row := range rows {
		out[row.ID] = row
	}
	for _, l := range libs {
		if row := out[l.ServerID]; row != nil {
			row.Edges.Libraries = append(row.Edges.Libraries, l)
		}
	}
	return out, nil
}

// putServers replaces the targets of an invitation.
func putServers(ctx context.Context, tx *db.Tx, id uuid.UUID, targets []ServerGrant) error {
	if _, err := tx.InvitationServer.Delete().Where(invitationserver.InvitationID(id)).Exec(ctx); err != nil {
		return database.Wrap("delete", "invitation_server", err)
	}
	rows := make([]*db.InvitationServerCreate, len(targets))
	for i, t := range targets {
		rows[i] = tx.InvitationServer.Create().SetInvitationID(id).SetServerID(t.ServerID).SetPosition(i).
			SetLibraryAccess(invitationserver.LibraryAccess(t.Grant.Access)).
			SetPermissions(t.Grant.Permissions).SetLimits(t.Grant.Limits).SetOptions(t.Grant.Options)
	}
	stored, err := tx.InvitationServer.CreateBulk(rows...).Save(ctx)
	if err != nil {
		return database.Wrap("create", "invitation_server", err)
	}
	var libs []*db.InvitationLibraryCreate
	for i, t := range targets {
		for _, lib := range t.Grant.LibraryIDs {
			libs = append(libs, tx.InvitationLibrary.Create().SetInvitationServerID(stored[i].ID).SetLibraryID(lib))
		}
	}
	if len(libs) == 0 {
		return nil
	}
	return database.Wrap("create", "invitation_library", tx.InvitationLibrary.CreateBulk(libs...).Exec(ctx))
}
