package api

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/grant"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/host/internal/invitation"
	"github.com/zondarr/zondarr/sdk"
)

const (
	benchInvitations = 1000
	benchPage        = 200
)

// BenchmarkHTTP measures over real connections what people wait for: the list of
// 1,000 invitations in five pages of 200 (p50), and the check of one code (p50, p99).
// The floor is the same queries by database/sql, prepared once, behind a bare
// net/http handler that answers with the same structs; the two alternate in five
// rounds, and the ratio is the median of the rounds, with its spread.
func BenchmarkHTTP(b *testing.B) {
	for _, dialect := range []database.Dialect{database.SQLite, database.Postgres} {
		b.Run(strings.TrimSuffix(string(dialect), "3"), func(b *testing.B) {
			at := hosttest.URL(b, dialect)
			d, err := database.Open(b.Context(), database.Options{URL: at})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = d.Close() })
			w := newWorld(b, d)
			codes := w.benchInvitations()
			ours := httptest.NewServer(w.handler)
			b.Cleanup(ours.Close)
			floor := httptest.NewServer(newFloor(b, dialect, at).handler())
			b.Cleanup(floor.Close)
			client := &http.Client{Timeout: time.Minute}
			b.Cleanup(client.CloseIdleConnections)

			list := func(base string) func() error {
				return func() error { return listAll(b.Context(), client, base, w.key) }
			}
			b.Run("ListInvitations1000", func(b *testing.B) { againstFloor(b, 20, list(ours.URL), list(floor.URL)) })
			check := func(base string) func() error {
				i := 0
				return func() error {
					i++
					_, err := get(b.Context(), client, base+"/api/v1/join/"+codes[i*7%len(codes)], "")
					return err
				}
			}
			for _, base := range []string{ours.URL, floor.URL} { // both answer, and with all of it
				raw, err := get(b.Context(), client, base+"/api/v1/join/"+codes[0], "")
				var p JoinPreview
				if err != nil || json.Unmarshal(raw, &p) != nil || len(p.Servers) != 1 || len(p.Servers[0].Libraries) != 2 {
					b.Fatalf("%v: %s", err, raw)
				}
			}
			b.Run("CheckByCode", func(b *testing.B) { againstFloor(b, 200, check(ours.URL), check(floor.URL)) })
		})
	}
}

// againstFloor reports how long an operation takes and how that stands to its floor.
func againstFloor(b *testing.B, each int, ours, floor func() error) {
	b.Helper()
	const rounds = 5
	run := func(op func() error) []time.Duration {
		took := make([]time.Duration, each)
		for i := range took {
			start := time.Now()
			if err := op(); err != nil {
				b.Fatal(err)
			}
			took[i] = time.Since(start)
		}
		slices.Sort(took)
		return took
	}
	run(ours) // statements are prepared, connections opened
	run(floor)
	var all, bare []time.Duration
	var ratios []float64
	for range rounds {
		f, o := run(floor), run(ours)
		all, bare = append(all, o...), append(bare, f...)
		ratios = append(ratios, float64(o[each/2])/float64(f[each/2]))
	}
	slices.Sort(all)
	slices.Sort(bare)
	slices.Sort(ratios)
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	b.ReportMetric(ms(all[len(all)/2]), "p50-ms")
	b.ReportMetric(ms(all[len(all)*99/100]), "p99-ms")
	b.ReportMetric(ms(bare[len(bare)/2]), "floor-p50-ms")
	b.ReportMetric(ratios[rounds/2], "ratio")
	b.ReportMetric(ratios[rounds-1]-ratios[0], "ratio-spread")
	b.ReportMetric(0, "ns/op") // says nothing here
}

// benchInvitations makes the invitations, each of one server with two libraries, and
// gives their codes.
func (w *world) benchInvitations() []string {
	w.t.Helper()
	id := w.addServer()
	w.post("/api/v1/servers/"+id+"/sync-libraries", nil).want(http.StatusOK)
	libs := w.get("/api/v1/servers/" + id + "/libraries").items()
	if len(libs) < 2 {
		w.t.Fatalf("%d libraries", len(libs))
	}
	g := grant.Grant{
		Access: sdk.LibraryOnly, LibraryIDs: []uuid.UUID{uuid.MustParse(libs[0]["id"].(string)), uuid.MustParse(libs[1]["id"].(string))},
		Permissions: map[string]string{sdk.PermissionDownload: grant.Deny}, Limits: map[string]int64{}, Options: map[string]any{},
	}
	codes := make([]string, benchInvitations)
	for i := range codes {
		inv, err := w.api.Invitations.Create(w.t.Context(), invitation.CreateParams{
			Label: new("Friend " + strconv.Itoa(i)), Servers: []invitation.ServerGrant{{ServerID: uuid.MustParse(id), Grant: g}}, CreatedBy: "system",
		})
		if err != nil {
			w.t.Fatal(err)
		}
		codes[i] = inv.Code
	}
	return codes
}

// listAll follows the pages to the end.
func listAll(ctx context.Context, client *http.Client, base, key string) error {
	cursor, got, pages := "", 0, 0
	for {
		raw, err := get(ctx, client, base+"/api/v1/invitations?limit="+strconv.Itoa(benchPage)+cursor, key)
		if err != nil {
			return err
		}
		var page List[Invitation]
		if err := json.Unmarshal(raw, &page); err != nil {
			return err
		}
		got, pages = got+len(page.Items), pages+1
		if page.NextCursor == nil {
			break
		}
		cursor = "&cursor=" + url.QueryEscape(*page.NextCursor)
	}
	if got != benchInvitations || pages != benchInvitations/benchPage {
		return fmt.Errorf("%d invitations on %d pages", got, pages)
	}
	return nil
}

func get(ctx context.Context, client *http.Client, at, key string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, http.NoBody)
	if err != nil {
		return nil, err
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", resp.StatusCode, raw)
	}
	return raw, err
}

// floor answers two paths with nothing of ours between net/http and database/sql.
type floor struct {
	list, next, byCode, facts                    *sql.Stmt
	servers, libraries, oneServers, oneLibraries *sql.Stmt
}

// newFloor prepares the statements that a page and a check take.
func newFloor(b *testing.B, dialect database.Dialect, at string) *floor {
	b.Helper()
	driver, source := "postgres", at
	if dialect == database.SQLite {
		driver, source = "sqlite", "file:"+strings.TrimPrefix(at, "sqlite://")+"?_time_format=sqlite&_timezone=UTC&_pragma=query_only(1)&_pragma=cache_size(-16000)"
	}
	pool, err := sql.Open(driver, source)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = pool.Close() })
	prepare := func(text string) *sql.Stmt {
		if dialect == database.SQLite {
			for i := benchPage + 1; i > 0; i-- {
				text = strings.ReplaceAll(text, "$"+strconv.Itoa(i), "?"+strconv.Itoa(i))
			}
		}
		stmt, err := pool.PrepareContext(b.Context(), text)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = stmt.Close() })
		return stmt
	}
	marks := make([]string, benchPage)
	for i := range marks {
		marks[i] = "$" + strconv.Itoa(i+1)
	}
	const (
		columns = `SELECT id, code, label, note, expires_at, max_uses, use_count, duration_days, on_expiry, email, enabled, profile_id, created_by, created_at, updated_at FROM invitations `
		page    = ` ORDER BY created_at DESC, id DESC LIMIT 201`
		servers = `SELECT id, invitation_id, server_id, library_access, permissions, limits, options FROM invitation_servers WHERE invitation_id IN (%s) ORDER BY position, id`
		libs    = `SELECT il.invitation_server_id, l.id, l.name, l.external_id, l.missing_since FROM invitation_libraries il JOIN libraries l ON l.id = il.library_id WHERE il.invitation_server_id IN (%s)`
	)
	many := strings.Join(marks, ", ")
	return &floor{
		list: prepare(columns + page), next: prepare(columns + `WHERE (created_at, id) < ($1, $2)` + page), byCode: prepare(columns + `WHERE code = $1`),
		facts:   prepare(`SELECT id, name, server_type, public_url, enabled, facts, updated_at FROM media_servers`),
		servers: prepare(fmt.Sprintf(servers, many)), libraries: prepare(fmt.Sprintf(libs, many)),
		oneServers: prepare(fmt.Sprintf(servers, "$1")), oneLibraries: prepare(fmt.Sprintf(libs, "$1")),
	}
}

func (f *floor) handler() http.Handler {
	answer := func(w http.ResponseWriter, v any, err error) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/invitations", func(w http.ResponseWriter, r *http.Request) {
		page, err := f.page(r.Context(), r.URL.Query().Get("cursor"))
		answer(w, page, err)
	})
	mux.HandleFunc("GET /api/v1/join/{code}", func(w http.ResponseWriter, r *http.Request) {
		found, err := f.check(r.Context(), r.PathValue("code"))
		answer(w, found, err)
	})
	return mux
}

func (f *floor) page(ctx context.Context, cursor string) (List[Invitation], error) {
	var out List[Invitation]
	stmt, args := f.list, []any(nil)
	if cursor != "" {
		created, id, _ := strings.Cut(cursor, " ")
		at, err := time.Parse(time.RFC3339Nano, created)
		if err != nil {
			return out, err
		}
		stmt, args = f.next, []any{at, id}
	}
	items, err := f.invitations(ctx, stmt, args...)
	if err != nil {
		return out, err
	}
	if len(items) > benchPage {
		items = items[:benchPage]
		last := items[benchPage-1]
		out.NextCursor = new(last.CreatedAt.Format(time.RFC3339Nano) + " " + last.ID)
	}
	out.Items = items
	_, err = f.fill(ctx, items, f.servers, f.libraries)
	return out, err
}

func (f *floor) check(ctx context.Context, code string) (JoinPreview, error) {
	var out JoinPreview
	items, err := f.invitations(ctx, f.byCode, code)
	if err != nil || len(items) != 1 {
		return out, fmt.Errorf("%d invitations: %w", len(items), err)
	}
	names, err := f.fill(ctx, items, f.oneServers, f.oneLibraries)
	if err != nil {
		return out, err
	}
	out.State, out.ExpiresAt, out.DurationDays = "active", items[0].ExpiresAt, items[0].DurationDays
	for _, t := range items[0].Servers {
		out.Servers = append(out.Servers, JoinServer{ServerID: t.ServerID, Name: t.ServerName, ServerType: t.ServerType, Available: t.Available, Libraries: names})
	}
	return out, nil
}

func (f *floor) invitations(ctx context.Context, stmt *sql.Stmt, args ...any) ([]Invitation, error) {
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Invitation
	for rows.Next() {
		var i Invitation
		if err := rows.Scan(&i.ID, &i.Code, &i.Label, &i.Note, &i.ExpiresAt, &i.MaxUses, &i.UseCount, &i.DurationDays, &i.OnExpiry, &i.Email,
			&i.Enabled, &i.ProfileID, &i.CreatedBy.Kind, &i.CreatedAt, &i.UpdatedAt); err != nil {
			return nil, err
		}
		out = append(out, i)
	}
	return out, rows.Err()
}

// fill reads what the invitations give, and the names of their libraries.
func (f *floor) fill(ctx context.Context, items []Invitation, servers, libraries *sql.Stmt) ([]string, error) {
	ids, byID := make([]any, len(items)), map[string]*Invitation{}
	for i := range items {
		ids[i], byID[items[i].ID] = items[i].ID, &items[i]
	}
	known := map[string]TargetServer{}
	err := each(ctx, f.facts, nil, func(scan func(...any) error) error {
		var t TargetServer
		var publicURL *string
		var facts []byte
		var updated time.Time
		if err := scan(&t.ServerID, &t.ServerName, &t.ServerType, &publicURL, &t.Available, &facts, &updated); err != nil {
			return err
		}
		known[t.ServerID] = t
		var decoded sdk.ServerFacts
		return json.Unmarshal(facts, &decoded)
	})
	if err != nil {
		return nil, err
	}
	var targets []any
	byTarget := map[string]*Invitation{}
	err = each(ctx, servers, ids, func(scan func(...any) error) error {
		var id, invitationID, serverID string
		var permissions, limits, options []byte
		var g Grant
		if err := scan(&id, &invitationID, &serverID, &g.Libraries.Access, &permissions, &limits, &options); err != nil {
			return err
		}
		for _, column := range []struct {
			raw  []byte
			into any
		}{{permissions, &g.Permissions}, {limits, &g.Limits}, {options, &g.Options}} {
			if err := json.Unmarshal(column.raw, column.into); err != nil {
				return err
			}
		}
		t := known[serverID]
		t.Grant = g
		inv := byID[invitationID]
		inv.Servers = append(inv.Servers, t)
		targets, byTarget[id] = append(targets, id), inv
		return nil
	})
	if err != nil {
		return nil, err
	}
	var names []string
	err = each(ctx, libraries, targets, func(scan func(...any) error) error {
		var target, id, name, external string
		var missing *time.Time
		if err := scan(&target, &id, &name, &external, &missing); err != nil {
			return err
		}
		g := &byTarget[target].Servers[0].Grant
		g.Libraries.LibraryIDs = append(g.Libraries.LibraryIDs, id)
		names = append(names, name)
		return nil
	})
	return names, err
}

// each runs a statement and hands over its rows.
func each(ctx context.Context, stmt *sql.Stmt, args []any, row func(scan func(...any) error) error) error {
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
