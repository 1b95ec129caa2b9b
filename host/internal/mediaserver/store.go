package mediaserver

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/library"
	"github.com/zondarr/zondarr/ent/db/mediaserver"
	"github.com/zondarr/zondarr/ent/db/predicate"
	"github.com/zondarr/zondarr/ent/db/redemption"
	"github.com/zondarr/zondarr/ent/db/redemptionstep"
	"github.com/zondarr/zondarr/ent/db/syncrun"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/page"
	"github.com/zondarr/zondarr/sdk"
)

const entity = "media_server"

// Filter narrows a list of servers; empty fields match all.
type Filter struct {
	ServerType []string
	Enabled    *bool
	// Query is a case-insensitive part of the name.
	Query string
}

// lists says how servers are sorted.
var lists = page.List[*db.MediaServer]{
	Default: "-created_at",
	ID:      func(r *db.MediaServer) uuid.UUID { return r.ID },
	Fields: map[string]page.Field[*db.MediaServer]{
		"created_at": {Column: mediaserver.FieldCreatedAt, Kind: page.Time, Value: func(r *db.MediaServer) any { return r.CreatedAt }},
		"name":       {Column: mediaserver.FieldName, Kind: page.Text, Value: func(r *db.MediaServer) any { return r.Name }},
	},
}

// List gives one page of servers.
func (s *Service) List(ctx context.Context, f Filter, req page.Request) (page.Page[Server], error) {
	q, err := lists.Open(req, f)
	if err != nil {
		return page.Page[Server]{}, err
	}
	rows, err := s.DB.Ent.MediaServer.Query().Where(f.predicates()...).Where(q.Apply).Limit(q.Fetch()).All(ctx)
	if err != nil {
		return page.Page[Server]{}, database.Wrap("list", entity, err)
	}
	rows, next := q.Cut(rows)
	ids := make([]uuid.UUID, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	counts, err := libraryCounts(ctx, s.DB.Ent, ids...)
	if err != nil {
		return page.Page[Server]{}, err
	}
	out := page.Page[Server]{Items: make([]Server, len(rows)), NextCursor: next}
	for i, row := range rows {
		if out.Items[i], err = s.toServer(row); err != nil {
			return page.Page[Server]{}, err
		}
		out.Items[i].LibraryCount = counts[row.ID]
	}
	return out, nil
}

func (f Filter) predicates() []predicate.MediaServer {
	var ps []predicate.MediaServer
	if len(f.ServerType) > 0 {
		ps = append(ps, mediaserver.ServerTypeIn(f.ServerType...))
	}
	if f.Enabled != nil {
		ps = append(ps, mediaserver.Enabled(*f.Enabled))
	}
	if f.Query != "" {
		ps = append(ps, mediaserver.NameContainsFold(f.Query))
	}
	return ps
}

// ListEnabled gives every enabled server, oldest first (R5.2).
func (s *Service) ListEnabled(ctx context.Context) ([]Server, error) {
	rows, err := s.DB.Ent.MediaServer.Query().Where(mediaserver.Enabled(true)).Order(mediaserver.ByCreatedAt(), mediaserver.ByID()).All(ctx)
	if err != nil {
		return nil, database.Wrap("list enabled", entity, err)
	}
	out := make([]Server, len(rows))
	for i, row := range rows {
		if out[i], err = s.toServer(row); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func all(ctx context.Context, c *db.Client) ([]*db.MediaServer, error) {
	rows, err := c.MediaServer.Query().Order(mediaserver.ByID()).All(ctx)
	if err != nil {
		return nil, database.Wrap("list", entity, err)
	}
	return rows, nil
}

func byExternalID(ctx context.Context, c *db.Client, serverType, externalID string) (*db.MediaServer, error) {
	row, err := c.MediaServer.Query().Where(mediaserver.ServerType(serverType), mediaserver.ExternalServerID(externalID)).Only(ctx)
	return row, database.Wrap("get", entity, err)
}

func (s *Service) get(ctx context.Context, c *db.Client, id uuid.UUID) (Server, error) {
	server, _, err := s.load(ctx, c, id)
	return server, err
}

// load gives a server and its sealed secrets.
func (s *Service) load(ctx context.Context, c *db.Client, id uuid.UUID) (Server, []byte, error) {
	row, err := c.MediaServer.Get(ctx, id)
	if db.IsNotFound(err) {
		return Server{}, nil, missing(id)
	}
	if err != nil {
		return Server{}, nil, database.Wrap("get", entity, err)
	}
	counts, err := libraryCounts(ctx, c, id)
	if err != nil {
		return Server{}, nil, err
	}
	server, err := s.toServer(row)
	if err != nil {
		return Server{}, nil, err
	}
	server.LibraryCount = counts[id]
	return server, row.Secrets, nil
}

func missing(id uuid.UUID) error { return fault.Missing("server", id.String()) }

// libraryCounts counts the libraries that are present, per server.
func libraryCounts(ctx context.Context, c *db.Client, ids ...uuid.UUID) (map[uuid.UUID]int, error) {
	var rows []struct {
		ServerID uuid.UUID `json:"server_id"`
		Count    int       `json:"count"`
	}
	err := c.Library.Query().Where(library.ServerIDIn(ids...), library.MissingSinceIsNil()).
		GroupBy(library.FieldServerID).Aggregate(db.Count()).Scan(ctx, &rows)
	if err != nil {
		return nil, database.Wrap("count", "library", err)
	}
	counts := make(map[uuid.UUID]int, len(rows))
	for _, r := range rows {
		counts[r.ServerID] = r.Count
	}
	return counts, nil
}

func insert(ctx context.Context, tx *db.Tx, s Server, sealed []byte) error {
	facts, err := json.Marshal(s.Facts)
	if err != nil {
		return fmt.Errorf("facts of a server: %w", err)
	}
	tls, err := json.Marshal(s.TLS)
	if err != nil {
		return fmt.Errorf("TLS options of a server: %w", err)
	}
	err = tx.MediaServer.Create().SetID(s.ID).SetName(s.Name).SetServerType(s.ServerType).SetURL(s.URL).SetNillablePublicURL(s.PublicURL).
		SetExternalServerID(s.ExternalID).SetSettings(orEmpty(s.Settings)).SetSecrets(sealed).SetTLS(tls).SetFacts(facts).
		SetEnabled(s.Enabled).SetRevision(s.Revision).SetHealthState(mediaserver.HealthState(s.Health.State)).SetHealthSince(s.Health.Since).
		SetNillableHealthCheckedAt(s.Health.CheckedAt).SetCreatedAt(s.CreatedAt).SetUpdatedAt(s.UpdatedAt).Exec(ctx)
	return database.Wrap("create", entity, err)
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// replace stores what a patch names, and how the server is reached if that was
// tested anew: then only if the revision is still the one that was read. It says
// whether it stored. What the patch does not name stays as it is now, not as it
// was before the test: somebody else may have changed it meanwhile.
func replace(ctx context.Context, tx *db.Tx, s Server, p Patch, revision int64, sealed []byte, reconnected bool) (bool, error) {
	u := tx.MediaServer.Update().Where(mediaserver.ID(s.ID)).SetUpdatedAt(s.UpdatedAt)
	if p.Name != nil {
		u.SetName(s.Name)
	}
	if p.Enabled != nil {
		u.SetEnabled(s.Enabled)
	}
	if p.PublicURL != nil && s.PublicURL != nil {
		u.SetPublicURL(*s.PublicURL)
	} else if p.PublicURL != nil {
		u.ClearPublicURL()
	}
	if reconnected {
		u.Where(mediaserver.Revision(revision))
		facts, err := json.Marshal(s.Facts)
		if err != nil {
			return false, fmt.Errorf("facts of a server: %w", err)
		}
		tls, err := json.Marshal(s.TLS)
		if err != nil {
			return false, fmt.Errorf("TLS options of a server: %w", err)
		}
		u.SetURL(s.URL).SetSettings(orEmpty(s.Settings)).SetSecrets(sealed).SetTLS(tls).SetFacts(facts).SetExternalServerID(s.ExternalID).
			SetRevision(s.Revision)
		setHealth(u, s.Health)
	}
	n, err := u.Save(ctx)
	return n == 1, database.Wrap("update", entity, err)
}

func setHealth(u *db.MediaServerUpdate, h Health) {
	u.SetHealthState(mediaserver.HealthState(h.State)).SetHealthSince(h.Since).SetNillableHealthCheckedAt(h.CheckedAt)
	if h.ErrorCode == nil {
		u.ClearHealthErrorCode().ClearHealthMessage()
		return
	}
	u.SetHealthErrorCode(*h.ErrorCode).SetNillableHealthMessage(h.Message)
}

// storeHealth keeps what a call told, unless the server was changed meanwhile.
func storeHealth(ctx context.Context, tx *db.Tx, s Server, h Health, facts sdk.ServerFacts, ok bool, now time.Time) error {
	u := tx.MediaServer.Update().Where(mediaserver.ID(s.ID), mediaserver.Revision(s.Revision)).SetUpdatedAt(now)
	setHealth(u, h)
	if ok {
		raw, err := json.Marshal(facts)
		if err != nil {
			return fmt.Errorf("facts of a server: %w", err)
		}
		u.SetFacts(raw)
	}
	return database.Wrap("update", entity, u.Exec(ctx))
}

// remove deletes a server unless a redemption works on it.
func remove(ctx context.Context, tx *db.Tx, id uuid.UUID) error {
	n, err := tx.MediaServer.Delete().Where(mediaserver.ID(id), mediaserver.Not(mediaserver.HasRedemptionStepsWith(
		redemptionstep.HasRedemptionWith(redemption.FinishedAtIsNil()),
	))).Exec(ctx)
	if err != nil {
		return database.Wrap("delete", entity, err)
	}
	if n == 1 {
		return nil
	}
	exists, err := tx.MediaServer.Query().Where(mediaserver.ID(id)).Exist(ctx)
	if err != nil {
		return database.Wrap("get", entity, err)
	}
	if !exists {
		return missing(id)
	}
	f := fault.New(fault.Conflict, fault.CodeRedemptionInFlight, "A redemption still works on this server. Wait until it has finished, or resolve it, then delete the server.")
	f.Resource = &fault.Resource{Type: "server", ID: id.String()}
	return f
}

// libraryLists says how libraries are sorted: by name, as people look for them.
var libraryLists = page.List[*db.Library]{
	Default: "name",
	ID:      func(r *db.Library) uuid.UUID { return r.ID },
	Fields: map[string]page.Field[*db.Library]{
		"created_at": {Column: library.FieldCreatedAt, Kind: page.Time, Value: func(r *db.Library) any { return r.CreatedAt }},
		"name":       {Column: library.FieldName, Kind: page.Text, Value: func(r *db.Library) any { return r.Name }},
	},
}

// Libraries gives one page of a server's libraries, the missing ones too.
func (s *Service) Libraries(ctx context.Context, id uuid.UUID, req page.Request) (page.Page[Library], error) {
	q, err := libraryLists.Open(req, id)
	if err != nil {
		return page.Page[Library]{}, err
	}
	exists, err := s.DB.Ent.MediaServer.Query().Where(mediaserver.ID(id)).Exist(ctx)
	if err != nil {
		return page.Page[Library]{}, database.Wrap("get", entity, err)
	}
	if !exists {
		return page.Page[Library]{}, missing(id)
	}
	rows, err := s.DB.Ent.Library.Query().Where(library.ServerID(id)).Where(q.Apply).Limit(q.Fetch()).All(ctx)
	if err != nil {
		return page.Page[Library]{}, database.Wrap("list", "library", err)
	}
	rows, next := q.Cut(rows)
	return page.Page[Library]{Items: toLibraries(rows), NextCursor: next}, nil
}

// librariesOf gives every library of a server.
func librariesOf(ctx context.Context, c *db.Client, serverID uuid.UUID) ([]Library, error) {
	rows, err := c.Library.Query().Where(library.ServerID(serverID)).Order(library.ByName(), library.ByID()).All(ctx)
	if err != nil {
		return nil, database.Wrap("list", "library", err)
	}
	return toLibraries(rows), nil
}

func toLibraries(rows []*db.Library) []Library {
	out := make([]Library, len(rows))
	for i, r := range rows {
		out[i] = Library{
			ID: r.ID, ServerID: r.ServerID, ExternalID: r.ExternalID, Name: r.Name, Type: r.LibraryType,
			MissingSince: r.MissingSince, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
		}
	}
	return out
}

func writeLibraries(ctx context.Context, tx *db.Tx, serverID uuid.UUID, changes []libraryChange, gone []Library, now time.Time) error {
	for _, ch := range changes {
		var err error
		if ch.known == nil {
			err = tx.Library.Create().SetServerID(serverID).SetExternalID(ch.remote.ID).SetName(ch.remote.Name).
				SetLibraryType(string(ch.remote.Type)).SetCreatedAt(now).SetUpdatedAt(now).Exec(ctx)
		} else {
			err = tx.Library.UpdateOneID(ch.known.ID).SetName(ch.remote.Name).SetLibraryType(string(ch.remote.Type)).
				ClearMissingSince().SetUpdatedAt(now).Exec(ctx)
		}
		if err != nil {
			return database.Wrap("sync", "library", err)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	ids := make([]uuid.UUID, len(gone))
	for i, g := range gone {
		ids[i] = g.ID
	}
	err := tx.Library.Update().Where(library.IDIn(ids...)).SetMissingSince(now).SetUpdatedAt(now).Exec(ctx)
	return database.Wrap("sync", "library", err)
}

func markAllMissing(ctx context.Context, tx *db.Tx, serverID uuid.UUID, now time.Time) error {
	err := tx.Library.Update().Where(library.ServerID(serverID), library.MissingSinceIsNil()).SetMissingSince(now).SetUpdatedAt(now).Exec(ctx)
	return database.Wrap("sync", "library", err)
}

func markSynced(ctx context.Context, tx *db.Tx, id uuid.UUID, revision int64, now time.Time) error {
	n, err := tx.MediaServer.Update().Where(mediaserver.ID(id), mediaserver.Revision(revision)).SetLibrariesSyncedAt(now).Save(ctx)
	if err == nil && n == 0 {
		return errRevisionMoved
	}
	return database.Wrap("update", entity, err)
}

func recordRun(ctx context.Context, tx *db.Tx, serverID uuid.UUID, counts map[string]int64, runErr error, started, finished time.Time) (SyncRun, error) {
	state := "completed"
	c := tx.SyncRun.Create().SetServerID(serverID).SetScope("libraries").SetStartedAt(started).SetFinishedAt(finished)
	if runErr != nil {
		state = "failed"
		code, message, retryable := syncError(runErr)
		c.SetErrorCode(code).SetErrorMessage(message).SetErrorRetryable(retryable)
	} else {
		c.SetCounts(counts)
	}
	row, err := c.SetState(syncrun.State(state)).Save(ctx)
	if err != nil {
		return SyncRun{}, database.Wrap("create", "sync_run", err)
	}
	return SyncRun{
		ID: row.ID, ServerID: serverID, Scope: "libraries", State: state, Counts: row.Counts, Error: runErr,
		StartedAt: row.StartedAt, FinishedAt: row.FinishedAt,
	}, nil
}

func (s *Service) toServer(r *db.MediaServer) (Server, error) {
	out := Server{
		ID: r.ID, Name: r.Name, ServerType: r.ServerType, URL: r.URL, PublicURL: r.PublicURL, ExternalID: r.ExternalServerID,
		Settings: r.Settings, Enabled: r.Enabled, Revision: r.Revision,
		Health: Health{
			State: HealthState(r.HealthState), Since: r.HealthSince, CheckedAt: r.HealthCheckedAt, ErrorCode: r.HealthErrorCode, Message: r.HealthMessage,
		},
		LibrariesSyncedAt: r.LibrariesSyncedAt, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	// Both columns are written by this package alone, so that they decode.
	_ = json.Unmarshal(r.TLS, &out.TLS)
	_ = json.Unmarshal(r.Facts, &out.Facts)
	secrets, err := s.open(r.ID, r.Secrets)
	if err != nil {
		return Server{}, err
	}
	out.SecretsSet = slices.Sorted(maps.Keys(secrets))
	return out, nil
}

// seal gives the column of sealed secrets: one JSON map, bound to its row.
func (s *Service) seal(id uuid.UUID, secrets map[string]string) ([]byte, error) {
	plain, err := json.Marshal(secrets)
	if err != nil {
		return nil, fmt.Errorf("secrets: %w", err)
	}
	sealed, err := s.Box.Seal(sealContext(id), plain)
	if err != nil {
		return nil, fmt.Errorf("seal the secrets of a server: %w", err)
	}
	return sealed, nil
}

// open gives the secrets of a server.
func (s *Service) open(id uuid.UUID, sealed []byte) (map[string]string, error) {
	secrets := map[string]string{}
	if len(sealed) == 0 {
		return secrets, nil
	}
	plain, err := s.Box.Open(sealContext(id), sealed)
	if err != nil {
		return nil, fmt.Errorf("open the secrets of server %s: %w", id, err)
	}
	if err := json.Unmarshal(plain, &secrets); err != nil {
		return nil, fmt.Errorf("secrets of server %s are damaged", id) // the cause would quote them
	}
	return secrets, nil
}
