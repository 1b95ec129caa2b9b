package database_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/apikey"
	"github.com/zondarr/zondarr/ent/db/identity"
	"github.com/zondarr/zondarr/ent/db/invitation"
	"github.com/zondarr/zondarr/ent/db/invitationlibrary"
	"github.com/zondarr/zondarr/ent/db/invitationserver"
	"github.com/zondarr/zondarr/ent/db/library"
	"github.com/zondarr/zondarr/ent/db/link"
	"github.com/zondarr/zondarr/ent/db/mediaserver"
	"github.com/zondarr/zondarr/ent/db/migrate"
	"github.com/zondarr/zondarr/ent/db/predicate"
	"github.com/zondarr/zondarr/ent/db/redemption"
	"github.com/zondarr/zondarr/ent/db/redemptionstep"
	"github.com/zondarr/zondarr/ent/db/syncrun"
	"github.com/zondarr/zondarr/ent/db/user"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
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

// query is one that the API or a job makes, on the rows of hosttest.Many.
type query struct {
	name string
	run  func(context.Context, *db.Client) error
}

const page = 50

// list is the first page of a sorted list and the one after a row, in both directions.
func list[P ~func(*entsql.Selector), O ~func(*entsql.Selector), Q interface {
	Where(...P) Q
	Order(...O) Q
	Limit(int) Q
	All(context.Context) (R, error)
}, R any](name, column string, row int, value any, q func(*db.Client) Q, filter ...P) []query {
	var both []query
	for _, desc := range []bool{false, true} {
		direction := " up"
		if desc {
			direction = " down"
		}
		for _, start := range []bool{true, false} {
			at := " from the start"
			k := database.Keyset{Column: column, Desc: desc}
			if !start {
				at = " from a row"
				k.Value, k.ID = value, hosttest.ManyID(row)
			}
			both = append(both, query{name + " by " + column + direction + at, func(ctx context.Context, c *db.Client) error {
				_, err := q(c).Where(filter...).Where(database.After[P](k)).Order(database.Order[O](k)).Limit(page).All(ctx)
				return err
			}})
		}
	}
	return both
}

func queries() []query {
	const half = hosttest.ManyRows / 2
	middle := hosttest.ManyTime(half)
	id := hosttest.ManyID(77)
	var ids []uuid.UUID
	for i := range page {
		ids = append(ids, hosttest.ManyID(i+1000))
	}
	users := func(c *db.Client) *db.UserQuery { return c.User.Query() }
	identities := func(c *db.Client) *db.IdentityQuery { return c.Identity.Query() }
	invitations := func(c *db.Client) *db.InvitationQuery { return c.Invitation.Query() }
	redemptions := func(c *db.Client) *db.RedemptionQuery { return c.Redemption.Query() }
	steps := func(c *db.Client) *db.RedemptionStepQuery { return c.RedemptionStep.Query() }
	libraries := func(c *db.Client) *db.LibraryQuery { return c.Library.Query() }
	servers := func(c *db.Client) *db.MediaServerQuery { return c.MediaServer.Query() }
	runs := func(c *db.Client) *db.SyncRunQuery { return c.SyncRun.Query() }

	all := slices.Concat(
		list[predicate.User, user.OrderOption]("users", user.FieldCreatedAt, half, middle, users),
		list[predicate.User, user.OrderOption]("users", user.FieldUsername, half, "user50000", users),
		list[predicate.User, user.OrderOption]("users of a server", user.FieldCreatedAt, half, middle, users, user.ServerID(hosttest.ManyID(3))),
		list[predicate.User, user.OrderOption]("users of an identity", user.FieldCreatedAt, half, middle, users, user.IdentityID(id)),
		list[predicate.User, user.OrderOption]("users of an invitation", user.FieldCreatedAt, half, middle, users, user.InvitationID(id)),
		list[predicate.User, user.OrderOption]("users disabled", user.FieldCreatedAt, half, middle, users, user.Enabled(false)),
		list[predicate.User, user.OrderOption]("users enabled", user.FieldCreatedAt, half, middle, users, user.Enabled(true)),
		list[predicate.User, user.OrderOption]("users missing", user.FieldCreatedAt, half, middle, users, user.StatusEQ(user.StatusMissing)),
		list[predicate.User, user.OrderOption]("users active", user.FieldCreatedAt, half, middle, users, user.StatusEQ(user.StatusActive)),
		list[predicate.User, user.OrderOption]("users by hand", user.FieldCreatedAt, half, middle, users, user.OriginEQ(user.OriginManual)),
		list[predicate.User, user.OrderOption]("users expiring", user.FieldExpiresAt, half, middle, users, user.ExpiresAtLT(hosttest.ManyTime(hosttest.ManyRows*3/4))),

		list[predicate.Identity, identity.OrderOption]("identities", identity.FieldCreatedAt, half, middle, identities),
		list[predicate.Identity, identity.OrderOption]("identities", identity.FieldDisplayName, half, "Person 50000", identities),
		list[predicate.Identity, identity.OrderOption]("identities disabled", identity.FieldCreatedAt, half, middle, identities, identity.Enabled(false)),
		list[predicate.Identity, identity.OrderOption]("identities of an invitation", identity.FieldCreatedAt, half, middle, identities, identity.InvitationID(id)),

		list[predicate.Invitation, invitation.OrderOption]("invitations", invitation.FieldCreatedAt, half, middle, invitations),
		list[predicate.Invitation, invitation.OrderOption]("invitations disabled", invitation.FieldCreatedAt, half, middle, invitations, invitation.Enabled(false)),
		list[predicate.Invitation, invitation.OrderOption]("invitations of a profile", invitation.FieldCreatedAt, half, middle, invitations, invitation.ProfileID(hosttest.ManyID(1))),
		list[predicate.Invitation, invitation.OrderOption]("invitations of a creator", invitation.FieldCreatedAt, half, middle, invitations, invitation.CreatedBy("api_key:7")),

		list[predicate.Redemption, redemption.OrderOption]("redemptions", redemption.FieldCreatedAt, half, middle, redemptions),
		list[predicate.Redemption, redemption.OrderOption]("redemptions failed", redemption.FieldCreatedAt, half, middle, redemptions, redemption.StateEQ(redemption.StateFailed)),
		list[predicate.Redemption, redemption.OrderOption]("redemptions that need attention", redemption.FieldCreatedAt, half, middle, redemptions, redemption.StateEQ(redemption.StateNeedsAttention)),
		list[predicate.Redemption, redemption.OrderOption]("redemptions of an invitation", redemption.FieldCreatedAt, half, middle, redemptions, redemption.InvitationID(id)),
		list[predicate.Redemption, redemption.OrderOption]("redemptions of an identity", redemption.FieldCreatedAt, half, middle, redemptions, redemption.IdentityID(id)),
		list[predicate.Redemption, redemption.OrderOption]("redemptions of a day", redemption.FieldCreatedAt, half, middle, redemptions,
			redemption.CreatedAtGT(hosttest.ManyTime(40_000)), redemption.CreatedAtLT(hosttest.ManyTime(60_000))),
		// Those of a server go by its steps, which begin with the redemption.
		list[predicate.RedemptionStep, redemptionstep.OrderOption]("redemption steps of a server", redemptionstep.FieldCreatedAt, half, middle, steps, redemptionstep.ServerID(hosttest.ManyID(3))),

		list[predicate.Library, library.OrderOption]("libraries of a server", library.FieldName, 1002, "Library 1002", libraries, library.ServerID(hosttest.ManyID(3))),
		list[predicate.Library, library.OrderOption]("libraries of a server", library.FieldCreatedAt, 1002, hosttest.ManyTime(1002), libraries, library.ServerID(hosttest.ManyID(3))),
		list[predicate.SyncRun, syncrun.OrderOption]("sync runs of a server", syncrun.FieldStartedAt, half, middle, runs, syncrun.ServerID(hosttest.ManyID(3))),
		list[predicate.MediaServer, mediaserver.OrderOption]("servers", mediaserver.FieldCreatedAt, 10, hosttest.ManyTime(10), servers),
		list[predicate.MediaServer, mediaserver.OrderOption]("servers", mediaserver.FieldName, 15, "Server 15", servers),
		list[predicate.MediaServer, mediaserver.OrderOption]("servers enabled", mediaserver.FieldCreatedAt, 10, hosttest.ManyTime(10), servers, mediaserver.Enabled(true)),
	)
	lookup := func(name string, run func(context.Context, *db.Client) error) { all = append(all, query{name, run}) }
	lookup("invitation by code", func(ctx context.Context, c *db.Client) error {
		_, err := c.Invitation.Query().Where(invitation.Code("CODE00000077")).Only(ctx)
		return err
	})
	lookup("servers of invitations", func(ctx context.Context, c *db.Client) error {
		_, err := c.InvitationServer.Query().Where(invitationserver.InvitationIDIn(ids...)).All(ctx)
		return err
	})
	lookup("libraries of invitations", func(ctx context.Context, c *db.Client) error {
		_, err := c.InvitationLibrary.Query().Where(invitationlibrary.InvitationServerIDIn(ids...)).All(ctx)
		return err
	})
	lookup("users of identities", func(ctx context.Context, c *db.Client) error {
		_, err := c.User.Query().Where(user.IdentityIDIn(ids...)).All(ctx)
		return err
	})
	lookup("steps of redemptions", func(ctx context.Context, c *db.Client) error {
		_, err := c.RedemptionStep.Query().Where(redemptionstep.RedemptionIDIn(ids...)).All(ctx)
		return err
	})
	lookup("user by server and external id", func(ctx context.Context, c *db.Client) error {
		_, err := c.User.Query().Where(user.ServerID(hosttest.ManyID(17)), user.ExternalID("external77")).All(ctx)
		return err
	})
	lookup("user by server and name", func(ctx context.Context, c *db.Client) error {
		_, err := c.User.Query().Where(user.ServerID(hosttest.ManyID(17)), user.UsernameFolded("user77")).All(ctx)
		return err
	})
	lookup("redemption by public id", func(ctx context.Context, c *db.Client) error {
		_, err := c.Redemption.Query().Where(redemption.PublicID("public77")).Only(ctx)
		return err
	})
	lookup("redemption by idempotency key", func(ctx context.Context, c *db.Client) error {
		_, err := c.Redemption.Query().Where(redemption.Code("CODE00000077"), redemption.IdempotencyKey("key77")).All(ctx)
		return err
	})
	lookup("redemptions whose lease ended", func(ctx context.Context, c *db.Client) error {
		_, err := c.Redemption.Query().Where(redemption.FinishedAtIsNil(), redemption.LeaseUntilLTE(middle)).
			Order(redemption.ByLeaseUntil()).Limit(page).All(ctx)
		return err
	})
	lookup("live step by name", func(ctx context.Context, c *db.Client) error {
		_, err := c.RedemptionStep.Query().Where(redemptionstep.ServerID(hosttest.ManyID(17)),
			redemptionstep.UsernameFolded("user77"), redemptionstep.ReleasedAtIsNil()).All(ctx)
		return err
	})
	lookup("users that are due", func(ctx context.Context, c *db.Client) error {
		_, err := c.User.Query().Where(user.ExpiresAtLTE(hosttest.ManyTime(10))).Order(user.ByExpiresAt()).Limit(page).All(ctx)
		return err
	})
	lookup("identities that are due", func(ctx context.Context, c *db.Client) error {
		_, err := c.Identity.Query().Where(identity.ExpiresAtLTE(hosttest.ManyTime(10))).Order(identity.ByExpiresAt()).Limit(page).All(ctx)
		return err
	})
	lookup("link by public id", func(ctx context.Context, c *db.Client) error {
		_, err := c.Link.Query().Where(link.PublicID("public77")).All(ctx)
		return err
	})
	lookup("links to end", func(ctx context.Context, c *db.Client) error {
		_, err := c.Link.Query().Where(link.EndedAtIsNil(), link.ExpiresAtLTE(middle)).Order(link.ByExpiresAt()).Limit(page).All(ctx)
		return err
	})
	lookup("API key by prefix", func(ctx context.Context, c *db.Client) error {
		_, err := c.APIKey.Query().Where(apikey.Prefix("prefix77")).All(ctx)
		return err
	})
	return all
}

// The lookups and default-ordered lists of the API, and the work of the jobs, on 100,000
// rows: SQLite answers each from an index, in the order of the index; PostgreSQL visits
// at most ten times the rows that it returns.
func TestQueriesUseIndexes(t *testing.T) {
	hosttest.EachDialect(t, func(t *testing.T, dialect database.Dialect) {
		rows := hosttest.ManyRows
		if testing.Short() && dialect == database.SQLite {
			rows = 2000 // its plans do not depend on how many there are, and the race detector makes it slow
		}
		at := hosttest.URL(t, dialect)
		if _, err := database.MigrateUp(t.Context(), database.Options{URL: at}); err != nil {
			t.Fatal(err)
		}
		handle := openHandle(t, at)
		hosttest.Many(t, handle, dialect, rows)
		recorder := &planner{handle: handle}
		client := db.NewClient(db.Driver(entsql.NewDriver(string(dialect), entsql.Conn{ExecQuerier: recorder})))
		check := recorder.checkSQLite
		if dialect == database.Postgres {
			check = recorder.checkPostgres
		}
		for _, q := range queries() {
			if err := q.run(t.Context(), client); err != nil {
				t.Errorf("%s: %v", q.name, err)
				continue
			}
			if problem := check(t); problem != "" {
				t.Errorf("%s: %s\n%s", q.name, problem, recorder.text)
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

// planner is a connection of ent that remembers its last query.
type planner struct {
	handle *sql.DB
	text   string
	args   []any
}

func (p *planner) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return p.handle.ExecContext(ctx, query, args...)
}

func (p *planner) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	p.text, p.args = query, args
	return p.handle.QueryContext(ctx, query, args...)
}

var fullScan = regexp.MustCompile(`^SCAN (\w+)( |$)`)

func (p *planner) checkSQLite(t *testing.T) string {
	t.Helper()
	rows, err := p.handle.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+p.text, p.args...)
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
			strings.Contains(detail, "TEMP B-TREE") {
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

func (p *planner) checkPostgres(t *testing.T) string {
	t.Helper()
	var text []byte
	if err := p.handle.QueryRowContext(t.Context(), "EXPLAIN (ANALYZE, FORMAT JSON) "+p.text, p.args...).Scan(&text); err != nil {
		t.Fatal(err)
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal(text, &plans); err != nil {
		t.Fatal(err)
	}
	root := plans[0].Plan
	if visited, returned := root.visited(), root.Rows*root.Loops; visited > 10*max(returned, 1) {
		return fmt.Sprintf("%.0f rows visited for %.0f returned: %s", visited, returned, text)
	}
	return ""
}
