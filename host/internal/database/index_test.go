package database_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/apikey"
	"github.com/zondarr/zondarr/ent/db/library"
	"github.com/zondarr/zondarr/ent/db/link"
	"github.com/zondarr/zondarr/ent/db/migrate"
	"github.com/zondarr/zondarr/ent/db/redemption"
	"github.com/zondarr/zondarr/ent/db/redemptionstep"
	"github.com/zondarr/zondarr/ent/db/syncrun"
	"github.com/zondarr/zondarr/ent/db/user"
	"github.com/zondarr/zondarr/host/internal/auth"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/host/internal/identity"
	"github.com/zondarr/zondarr/host/internal/invitation"
	"github.com/zondarr/zondarr/host/internal/mediaserver"
	"github.com/zondarr/zondarr/host/internal/page"
	"github.com/zondarr/zondarr/host/internal/redeem"
	"github.com/zondarr/zondarr/sdk"
)

// Deleting a parent looks its children up; without an index each delete would read the
// whole table.
func TestEveryReferenceHasAnIndex(t *testing.T) {
	for _, table := range migrate.Tables {
		for _, fk := range table.ForeignKeys {
			found := false
			for _, index := range table.Indexes {
				where := index.Annotation != nil && index.Annotation.Where != ""
				found = found || index.Columns[0] == fk.Columns[0] && !where
			}
			if !found {
				t.Errorf("%s.%s is not the first column of an index", table.Name, fk.Columns[0].Name)
			}
		}
	}
}

// call is something that the API or a job asks of the database, on the rows of
// hosttest.Many.
type call struct {
	name string
	run  func(context.Context, services) error
}

// services are the nouns as the API has them, on one database.
type services struct {
	db          *db.Client
	identities  *identity.Service
	invitations *invitation.Service
	servers     *mediaserver.Service
	redemptions *redeem.Service
	keys        *auth.Service
}

func newServices(d *database.DB) services {
	return services{
		db:          d.Ent,
		identities:  &identity.Service{DB: d, Clients: noTypes{}, Now: database.Now},
		invitations: &invitation.Service{DB: d, Types: noTypes{}, Now: database.Now},
		servers:     &mediaserver.Service{DB: d, Now: database.Now},
		redemptions: &redeem.Service{DB: d, Now: database.Now},
		keys:        &auth.Service{DB: d, Now: database.Now},
	}
}

// noTypes knows no server type, as while no plugin ever ran.
type noTypes struct{}

func (noTypes) Client(context.Context, sdk.ServerRef) (sdk.MediaClient, error) {
	return nil, errors.New("none")
}

func (noTypes) Describe(string) (sdk.Description, error) {
	return sdk.Description{}, errors.New("none")
}

// list is the pages of a list in both directions, some way down.
func list[T any](name, sort string, of func(context.Context, services, page.Request) (page.Page[T], error)) []call {
	var calls []call
	for _, sort := range []string{sort, "-" + sort} {
		calls = append(calls, call{name + " sorted by " + sort, func(ctx context.Context, s services) error {
			request := page.Request{Limit: page.MaxLimit, Sort: sort}
			for range 25 { // the last ones are those that are judged
				p, err := of(ctx, s, request)
				if err != nil {
					return err
				}
				if request.Cursor = p.NextCursor; request.Cursor == "" {
					break
				}
			}
			return nil
		}})
	}
	return calls
}

func users(name, sort string, f identity.UserFilter) []call {
	return list("users "+name, sort, func(ctx context.Context, s services, r page.Request) (page.Page[identity.User], error) {
		return s.identities.ListUsers(ctx, f, r)
	})
}

func identities(name, sort string, f identity.Filter) []call {
	return list("identities "+name, sort, func(ctx context.Context, s services, r page.Request) (page.Page[identity.Identity], error) {
		return s.identities.List(ctx, f, r)
	})
}

func invitations(name, sort string, f invitation.Filter) []call {
	return list("invitations "+name, sort, func(ctx context.Context, s services, r page.Request) (page.Page[invitation.Invitation], error) {
		return s.invitations.List(ctx, f, r)
	})
}

func redemptions(name string, f redeem.Filter) []call {
	return list("redemptions "+name, "created_at", func(ctx context.Context, s services, r page.Request) (page.Page[redeem.Redemption], error) {
		return s.redemptions.List(ctx, f, r)
	})
}

func mediaServers(name, sort string, f mediaserver.Filter) []call {
	return list("servers "+name, sort, func(ctx context.Context, s services, r page.Request) (page.Page[mediaserver.Server], error) {
		return s.servers.List(ctx, f, r)
	})
}

func libraries(sort string) []call {
	return list("libraries of a server", sort, func(ctx context.Context, s services, r page.Request) (page.Page[mediaserver.Library], error) {
		r.Limit = 40 // of a hundred, so that there is a page to continue with
		return s.servers.Libraries(ctx, hosttest.ManyID(3), r)
	})
}

func ids(i ...int) []uuid.UUID {
	var all []uuid.UUID
	for _, i := range i {
		all = append(all, hosttest.ManyID(i))
	}
	return all
}

// calls is every list with every filter, but for those by text and by computed state,
// and the lookups that the main paths make.
func calls() []call {
	yes, no := true, false
	after, before := hosttest.ManyTime(40_000), hosttest.ManyTime(60_000)
	all := slices.Concat(
		users("", "created_at", identity.UserFilter{}),
		users("", "username", identity.UserFilter{}),
		users("of a server", "created_at", identity.UserFilter{ServerID: ids(3)}),
		users("of an identity", "created_at", identity.UserFilter{IdentityID: ids(77)}),
		users("of an invitation", "created_at", identity.UserFilter{InvitationID: ids(77)}),
		users("enabled", "created_at", identity.UserFilter{Enabled: &yes}),
		users("disabled", "created_at", identity.UserFilter{Enabled: &no}),
		users("active", "created_at", identity.UserFilter{Status: []string{"active"}}),
		users("missing", "created_at", identity.UserFilter{Status: []string{"missing"}}),
		users("made by hand", "created_at", identity.UserFilter{Origin: []string{"manual"}}),
		identities("", "created_at", identity.Filter{}),
		identities("", "display_name", identity.Filter{}),
		identities("of an invitation", "created_at", identity.Filter{InvitationID: ids(77)}),
		identities("on a server", "created_at", identity.Filter{ServerID: ids(3)}),
		invitations("", "created_at", invitation.Filter{}),
		invitations("", "code", invitation.Filter{}),
		invitations("of a profile", "created_at", invitation.Filter{ProfileID: ids(1)}),
		invitations("of a creator", "created_at", invitation.Filter{CreatedBy: []string{"api_key:7"}}),
		invitations("to a server", "created_at", invitation.Filter{ServerID: ids(3)}),
		redemptions("", redeem.Filter{}),
		redemptions("failed", redeem.Filter{State: []redeem.State{"failed"}}),
		redemptions("that need attention", redeem.Filter{State: []redeem.State{"needs_attention"}}),
		redemptions("of an invitation", redeem.Filter{InvitationID: ids(77)}),
		redemptions("of an identity", redeem.Filter{IdentityID: ids(77)}),
		redemptions("on a server", redeem.Filter{ServerID: ids(3)}),
		redemptions("of some hours", redeem.Filter{CreatedAfter: &after, CreatedBefore: &before}),
		mediaServers("", "created_at", mediaserver.Filter{}),
		mediaServers("", "name", mediaserver.Filter{}),
		mediaServers("enabled", "created_at", mediaserver.Filter{Enabled: &yes}),
		libraries("name"),
		libraries("created_at"),
		list("API keys", "created_at", func(ctx context.Context, s services, r page.Request) (page.Page[auth.APIKey], error) {
			return s.keys.List(ctx, r)
		}),
	)
	lookup := func(name string, run func(context.Context, services) error) { all = append(all, call{name, run}) }
	lookup("invitation by code", func(ctx context.Context, s services) error {
		_, err := s.invitations.ByCode(ctx, "code00000077")
		return err
	})
	lookup("user by external id", func(ctx context.Context, s services) error {
		_, err := s.identities.UserByExternalID(ctx, hosttest.ManyID(1+77%5), "external77")
		return err
	})
	lookup("user by name on a server", func(ctx context.Context, s services) error {
		_, err := s.db.User.Query().Where(user.ServerID(hosttest.ManyID(1+77%5)), user.UsernameFolded("user77")).Only(ctx)
		return err
	})
	lookup("redemption by public id", func(ctx context.Context, s services) error {
		_, err := s.db.Redemption.Query().Where(redemption.PublicID("public77")).Only(ctx)
		return err
	})
	lookup("redemption by idempotency key", func(ctx context.Context, s services) error {
		_, err := s.db.Redemption.Query().Where(redemption.Code("CODE00000077"), redemption.IdempotencyKey("key77")).Only(ctx)
		return err
	})
	lookup("redemptions whose lease ended", func(ctx context.Context, s services) error {
		_, err := s.db.Redemption.Query().Where(redemption.FinishedAtIsNil(), redemption.LeaseUntilLTE(before)).
			Order(redemption.ByLeaseUntil()).Limit(50).All(ctx)
		return err
	})
	lookup("live step by name", func(ctx context.Context, s services) error {
		_, err := s.db.RedemptionStep.Query().Where(redemptionstep.ServerID(hosttest.ManyID(1+1000%5)),
			redemptionstep.UsernameFolded("user1000"), redemptionstep.ReleasedAtIsNil()).Only(ctx)
		return err
	})
	lookup("users that are due", func(ctx context.Context, s services) error {
		_, err := s.db.User.Query().Where(user.ExpiresAtLTE(hosttest.ManyTime(10))).Order(user.ByExpiresAt()).Limit(50).All(ctx)
		return err
	})
	lookup("link by public id", func(ctx context.Context, s services) error {
		_, err := s.db.Link.Query().Where(link.PublicID("public77")).Only(ctx)
		return err
	})
	lookup("links to end", func(ctx context.Context, s services) error {
		_, err := s.db.Link.Query().Where(link.EndedAtIsNil(), link.ExpiresAtLTE(before)).Order(link.ByExpiresAt()).Limit(50).All(ctx)
		return err
	})
	lookup("API key by prefix", func(ctx context.Context, s services) error {
		_, err := s.db.APIKey.Query().Where(apikey.Prefix("prefix77")).Only(ctx)
		return err
	})
	lookup("all libraries of a server", func(ctx context.Context, s services) error {
		_, err := s.db.Library.Query().Where(library.ServerID(hosttest.ManyID(3))).Order(library.ByName(), library.ByID()).All(ctx)
		return err
	})
	lookup("sync runs of a server", func(ctx context.Context, s services) error {
		_, err := s.db.SyncRun.Query().Where(syncrun.ServerID(hosttest.ManyID(3))).
			Order(syncrun.ByStartedAt(entsql.OrderDesc()), syncrun.ByID(entsql.OrderDesc())).Limit(50).All(ctx)
		return err
	})
	return all
}

// The lookups and lists of the API, and the work of the jobs, on 100,000 rows: SQLite
// answers each from an index, in the order of the index; PostgreSQL visits at most ten
// times the rows that it returns.
func TestQueriesUseIndexes(t *testing.T) {
	hosttest.EachDialect(t, func(t *testing.T, dialect database.Dialect) {
		rows := hosttest.ManyRows
		if testing.Short() && dialect == database.SQLite {
			rows = 2000 // its plans do not depend on how many there are, and the race detector makes it slow
		}
		at := hosttest.URL(t, dialect)
		d := open(t, database.Options{URL: at})
		defer closed(t, d)
		handle := openHandle(t, at)
		hosttest.Many(t, handle, dialect, rows)
		p := &planner{dialect: dialect, handle: handle}
		d.Ent = db.NewClient(db.Driver(entsql.NewDriver(string(dialect), entsql.Conn{ExecQuerier: p})))
		check := p.checkSQLite
		if dialect == database.Postgres {
			check = p.checkPostgres
		}
		s := newServices(d)
		for _, c := range calls() {
			p.asked = map[string][]any{}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			err := c.run(ctx, s)
			cancel()
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			if len(p.asked) == 0 {
				t.Errorf("%s: nothing was asked", c.name)
			}
			for text, args := range p.asked {
				if problem := check(t, text, args); problem != "" {
					t.Errorf("%s: %s\n%s", c.name, problem, text)
				}
			}
		}
	})
}

func openHandle(tb testing.TB, at string) *sql.DB {
	tb.Helper()
	driver, dsn := "sqlite", "file:"+strings.TrimPrefix(at, "sqlite://")+"?_pragma=synchronous(OFF)&_time_format=sqlite&_timezone=UTC"
	if strings.HasPrefix(at, "postgres") {
		connection, err := database.PostgresDSN(at)
		if err != nil {
			tb.Fatal(err)
		}
		driver, dsn = "postgres", connection
	}
	handle, err := sql.Open(driver, dsn)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = handle.Close() })
	return handle
}

// planner is a connection of ent that remembers what was asked: the last arguments of
// each text.
type planner struct {
	dialect database.Dialect
	handle  *sql.DB
	asked   map[string][]any
}

func (p *planner) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return p.handle.ExecContext(ctx, query, args...)
}

func (p *planner) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	p.asked[query] = args
	return p.handle.QueryContext(ctx, query, args...)
}

var fullScan = regexp.MustCompile(`^SCAN (\w+)( |$)`)

func (p *planner) checkSQLite(t *testing.T, text string, args []any) string {
	t.Helper()
	rows, err := p.handle.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var problems []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		if fullScan.MatchString(detail) && !strings.Contains(detail, "USING INDEX") && !strings.Contains(detail, "USING COVERING INDEX") ||
			// What is loaded along with a page may be sorted; it is as short as the page.
			strings.Contains(detail, "TEMP B-TREE") && strings.Contains(text, " LIMIT ") {
			problems = append(problems, detail)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(problems, "; ")
}

// node is a step of PostgreSQL's plan, after it ran.
type node struct {
	Type    string  `json:"Node Type"`
	Rows    float64 `json:"Actual Rows"`
	Loops   float64 `json:"Actual Loops"`
	Removed float64 `json:"Rows Removed by Filter"`
	Recheck float64 `json:"Rows Removed by Index Recheck"`
	Plans   []node  `json:"Plans"`
}

// String is the plan in short.
func (n node) String() string {
	text := fmt.Sprintf("%s(%.0f+%.0f ×%.0f)", n.Type, n.Rows, n.Removed+n.Recheck, n.Loops)
	for _, p := range n.Plans {
		text += " " + p.String()
	}
	return text
}

// visited is the rows that the steps at the tables read.
func (n node) visited() float64 {
	var sum float64
	for _, p := range n.Plans {
		sum += p.visited()
	}
	if strings.Contains(n.Type, "Scan") {
		sum += (n.Rows + n.Removed + n.Recheck) * n.Loops
	}
	return sum
}

func (p *planner) checkPostgres(t *testing.T, text string, args []any) string {
	t.Helper()
	var plan []byte
	if err := p.handle.QueryRowContext(t.Context(), "EXPLAIN (ANALYZE, FORMAT JSON) "+text, args...).Scan(&plan); err != nil {
		t.Fatal(err)
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal(plan, &plans); err != nil {
		t.Fatal(err)
	}
	root := plans[0].Plan
	answer := root
	for answer.Type == "Aggregate" { // a count has to read what it counts
		answer = answer.Plans[0]
	}
	if visited, returned := root.visited(), answer.Rows*answer.Loops; visited > 10*max(returned, 1) {
		return fmt.Sprintf("%.0f rows visited for %.0f returned: %s", visited, returned, root)
	}
	return ""
}
