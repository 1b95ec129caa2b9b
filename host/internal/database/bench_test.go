package database_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	invitationrow "github.com/zondarr/zondarr/ent/db/invitation"
	"github.com/zondarr/zondarr/ent/db/user"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/host/internal/identity"
	"github.com/zondarr/zondarr/host/internal/invitation"
	"github.com/zondarr/zondarr/host/internal/page"
)

// bench is a database with 100,000 rows, and the same one without anything of ours
// around it: the floor.
type bench struct {
	d           *database.DB
	write, read *sql.DB
}

func newBench(b *testing.B, dialect database.Dialect) *bench {
	b.Helper()
	at := hosttest.URL(b, dialect)
	d, err := database.Open(b.Context(), database.Options{URL: at})
	if err != nil {
		b.Fatal(err)
	}
	write, read, err := database.FloorPools(at)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		for _, c := range []interface{ Close() error }{read, write, d} {
			if err := c.Close(); err != nil {
				b.Error(err)
			}
		}
	})
	hosttest.Many(b, openHandle(b, at), dialect, hosttest.ManyRows)
	return &bench{d: d, write: write, read: read}
}

// against measures ours in five rounds that alternate with five of the floor, and
// reports the median of the ratios with its spread. It fails where the median is above
// the most that is allowed, given enough operations (-benchtime) to judge.
func against(b *testing.B, most float64, callers int, ours, floor func(context.Context) error) {
	b.Helper()
	const rounds = 5
	each := max(b.N/rounds, 1)
	run := func(op func(context.Context) error) time.Duration {
		var left atomic.Int64
		left.Store(int64(each))
		var group sync.WaitGroup
		start := time.Now()
		for range callers {
			group.Go(func() {
				for left.Add(-1) >= 0 {
					if err := op(b.Context()); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		group.Wait()
		return time.Since(start)
	}
	var ratios []float64
	var spent time.Duration
	for range rounds {
		f := run(floor)
		o := run(ours)
		spent += f
		ratios = append(ratios, float64(o)/float64(f))
	}
	slices.Sort(ratios)
	b.ReportMetric(float64(spent.Nanoseconds())/float64(each*rounds), "floor-ns/op")
	b.ReportMetric(ratios[rounds/2], "ratio")
	b.ReportMetric(ratios[0], "ratio-min")
	b.ReportMetric(ratios[rounds-1], "ratio-max")
	if each >= 500 && ratios[rounds/2] > most {
		b.Errorf("%.2f times the floor (%.2f to %.2f), at most %.1f is allowed", ratios[rounds/2], ratios[0], ratios[rounds-1], most)
	}
}

func prepare(b *testing.B, pool *sql.DB, text string) *sql.Stmt {
	b.Helper()
	stmt, err := pool.PrepareContext(b.Context(), text)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = stmt.Close() })
	return stmt
}

// capture is the text and the arguments of the first statement that fn makes, as ent
// writes it.
func (x *bench) capture(b *testing.B, fn func(*db.Client) error) (text string, args []any) {
	b.Helper()
	p := &capturer{}
	client := db.NewClient(db.Driver(entsql.NewDriver(string(x.d.Dialect), entsql.Conn{ExecQuerier: p})))
	_ = fn(client) // fails: nothing is executed
	if p.text == "" {
		b.Fatal("nothing was asked")
	}
	return p.text, p.args
}

type capturer struct {
	text string
	args []any
}

func (p *capturer) ExecContext(_ context.Context, query string, args ...any) (sql.Result, error) {
	p.text, p.args = query, args
	return nil, sql.ErrNoRows
}

func (p *capturer) QueryContext(_ context.Context, query string, args ...any) (*sql.Rows, error) {
	p.text, p.args = query, args
	return nil, sql.ErrNoRows
}

func BenchmarkStorage(b *testing.B) {
	for _, dialect := range []database.Dialect{database.SQLite, database.Postgres} {
		b.Run(strings.TrimSuffix(string(dialect), "3"), func(b *testing.B) {
			x := newBench(b, dialect)
			b.Run("LookupByCode", x.lookup)
			b.Run("List50Of100000", x.list)
			b.Run("Reserve1", func(b *testing.B) { x.reserve(b, 1) })
			b.Run("Reserve64", func(b *testing.B) { x.reserve(b, 64) })
			b.Run("Insert", x.insert)
			// Exempt from the rule of indexes; what they cost.
			b.Run("FilterUsersByText", func(b *testing.B) {
				x.cost(b, func(ctx context.Context, s services) error {
					_, err := s.identities.ListUsers(ctx, identity.UserFilter{Query: "r9999"}, page.Request{})
					return err
				})
			})
			b.Run("FilterInvitationsByState", func(b *testing.B) {
				x.cost(b, func(ctx context.Context, s services) error {
					_, err := s.invitations.List(ctx, invitation.Filter{State: []invitation.State{invitation.StateExpired}}, page.Request{})
					return err
				})
			})
		})
	}
}

func (x *bench) cost(b *testing.B, run func(context.Context, services) error) {
	s := newServices(x.d)
	for b.Loop() {
		if err := run(b.Context(), s); err != nil {
			b.Fatal(err)
		}
	}
}

func (x *bench) lookup(b *testing.B) {
	query := func(c *db.Client, code string) *db.InvitationQuery {
		return c.Invitation.Query().Where(invitationrow.Code(code))
	}
	text, _ := x.capture(b, func(c *db.Client) error { _, err := query(c, "").Only(b.Context()); return err })
	stmt := prepare(b, x.read, text)
	var i atomic.Int64
	code := func() string { return fmt.Sprintf("CODE%08d", 1+i.Add(7919)%hosttest.ManyRows) }
	against(b, 2, 1, func(ctx context.Context) error {
		_, err := query(x.d.Ent, code()).Only(ctx)
		return err
	}, func(ctx context.Context) error {
		var r db.Invitation
		return stmt.QueryRowContext(ctx, code()).Scan(&r.ID, &r.Code, &r.Label, &r.Note, &r.ExpiresAt, &r.MaxUses, &r.UseCount, &r.DurationDays,
			&r.OnExpiry, &r.Email, &r.Enabled, &r.ProfileID, &r.CreatedBy, &r.CreatedAt, &r.UpdatedAt)
	})
}

func (x *bench) list(b *testing.B) {
	from := hosttest.ManyTime(hosttest.ManyRows / 2)
	id := hosttest.ManyID(hosttest.ManyRows / 2)
	query := func(c *db.Client) *db.UserQuery {
		return c.User.Query().Where(func(s *entsql.Selector) {
			s.Where(entsql.P(func(p *entsql.Builder) {
				p.WriteString("(").IdentComma(s.C(user.FieldCreatedAt), s.C(user.FieldID)).WriteString(") < (").Args(from, id).WriteString(")")
			}))
		}).Order(user.ByCreatedAt(entsql.OrderDesc()), user.ByID(entsql.OrderDesc())).Limit(50)
	}
	text, _ := x.capture(b, func(c *db.Client) error { _, err := query(c).All(b.Context()); return err })
	stmt := prepare(b, x.read, text)
	against(b, 2, 1, func(ctx context.Context) error {
		rows, err := query(x.d.Ent).All(ctx)
		if len(rows) != 50 {
			b.Errorf("%d rows", len(rows))
		}
		return err
	}, func(ctx context.Context) error {
		rows, err := stmt.QueryContext(ctx, from, id)
		if err != nil {
			return err
		}
		defer rows.Close()
		var all []*db.User
		for rows.Next() {
			var r db.User
			var libraries, permissions, limits, options []byte
			if err := rows.Scan(&r.ID, &r.IdentityID, &r.ServerID, &r.ExternalID, &r.Username, &r.UsernameFolded, &r.Email, &r.Kind, &r.Protected,
				&r.Enabled, &r.Status, &r.ExpiresAt, &r.OnExpiry, &r.LibraryAccess, &libraries, &permissions, &limits, &options, &r.AccessReadAt,
				&r.PluginState, &r.Origin, &r.InvitationID, &r.RedemptionID, &r.LastActiveAt, &r.LastSeenAt, &r.CreatedAt, &r.UpdatedAt); err != nil {
				return err
			}
			for text, into := range map[*[]byte]any{&libraries: &r.Libraries, &permissions: &r.Permissions, &limits: &r.Limits, &options: &r.Options} {
				if len(*text) > 0 {
					if err := json.Unmarshal(*text, into); err != nil {
						return err
					}
				}
			}
			all = append(all, &r)
		}
		if len(all) != 50 {
			b.Errorf("%d rows on the floor", len(all))
		}
		return rows.Err()
	})
}

// reserve takes uses of one invitation, all of them from the same row, as a redemption
// does that saw the offer a moment ago.
func (x *bench) reserve(b *testing.B, callers int) {
	const i = hosttest.ManyRows - 3 // enabled, on a server that is, and does not expire
	x.d.Ent.Invitation.UpdateOneID(hosttest.ManyID(i)).ClearMaxUses().ExecX(b.Context())
	s := newServices(x.d).invitations
	seen, err := s.Check(b.Context(), fmt.Sprintf("CODE%08d", i))
	if err != nil {
		b.Fatal(err)
	}
	text, args := x.capture(b, func(c *db.Client) error {
		_, err := s.ReserveTx(b.Context(), &db.Tx{Invitation: c.Invitation}, seen)
		return err
	})
	stmt := prepare(b, x.write, text)
	against(b, 1.5, callers, func(ctx context.Context) error {
		_, err := database.WithTx(ctx, x.d, func(ctx context.Context, tx *db.Tx) (invitation.Offer, error) { return s.ReserveTx(ctx, tx, seen) })
		return err
	}, func(ctx context.Context) error {
		tx, err := x.write.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		res, err := tx.StmtContext(ctx, stmt).ExecContext(ctx, args...) //nolint:sqlclosecheck // it ends with the transaction
		if err != nil {
			return fmt.Errorf("%w: %s", err, text)
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return fmt.Errorf("%d uses taken on the floor: %w: %s", n, err, text)
		}
		return tx.Commit()
	})
}

func (x *bench) insert(b *testing.B) {
	now := database.Now()
	create := func(c *db.Client, id uuid.UUID, code string) *db.InvitationCreate {
		return c.Invitation.Create().SetID(id).SetCode(code).SetLabel("Label").SetMaxUses(1).SetCreatedAt(now).SetUpdatedAt(now)
	}
	text, _ := x.capture(b, func(c *db.Client) error { return create(c, uuid.Nil, "CODE").Exec(b.Context()) })
	stmt := prepare(b, x.write, text)
	code := func(id uuid.UUID) string { return strings.ToUpper(id.String()) }
	against(b, 2, 1, func(ctx context.Context) error {
		id := uuid.Must(uuid.NewV7())
		return create(x.d.Ent, id, code(id)).Exec(ctx)
	}, func(ctx context.Context) error {
		id := uuid.Must(uuid.NewV7())
		_, err := stmt.ExecContext(ctx, code(id), "Label", 1, 0, "disable", "optional", true, "system", now, now, id)
		if err != nil {
			return fmt.Errorf("%w: %s", err, text)
		}
		return nil
	})
}
