package database

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/lib/pq"
)

// errInsideTx is a mistake in the code above: on SQLite it would wait for itself.
var errInsideTx = errors.New("database: the pools are closed to a context that is inside a transaction; use the tx")

// insideTx marks the context of a transaction with the driver it belongs to.
type insideTx struct{}

// entDriver is one driver of ent over two pools: one that writes, and one that reads.
// On PostgreSQL they are the same.
type entDriver struct {
	entsql.Conn
	dialect     Dialect
	write, read *pool
}

func newDriver(d Dialect, write, read *pool) *entDriver {
	drv := &entDriver{dialect: d, write: write, read: read}
	drv.Conn = entsql.Conn{ExecQuerier: router{drv}}
	return drv
}

var _ dialect.Driver = (*entDriver)(nil)

// Dialect is the name by which ent knows it.
func (d *entDriver) Dialect() string { return string(d.dialect) }

// Close closes the pools.
func (d *entDriver) Close() error {
	if d.read == d.write {
		return d.write.close()
	}
	return errors.Join(d.read.close(), d.write.close())
}

// Tx starts a transaction that writes.
func (d *entDriver) Tx(ctx context.Context) (dialect.Tx, error) { return d.BeginTx(ctx, nil) }

// BeginTx starts a transaction: on the readers if it says that it only reads.
func (d *entDriver) BeginTx(ctx context.Context, opts *sql.TxOptions) (dialect.Tx, error) {
	if ctx.Value(insideTx{}) == d {
		return nil, errInsideTx
	}
	p := d.write
	if opts != nil && opts.ReadOnly {
		p = d.read
	}
	sqlOpts := opts
	if d.dialect == SQLite {
		sqlOpts = nil // its readers are read-only by themselves
	}
	tx, err := p.db.BeginTx(ctx, sqlOpts)
	if err != nil {
		return nil, err
	}
	t := &transaction{tx: tx, pool: p}
	t.Conn = entsql.Conn{ExecQuerier: txQuerier{t}}
	return t, nil
}

// router sends what reads to the readers. It goes by the verb: ent runs its writes
// with RETURNING through Query too.
type router struct{ d *entDriver }

// ExecContext writes.
func (r router) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if ctx.Value(insideTx{}) == r.d {
		return nil, errInsideTx
	}
	return r.d.write.exec(ctx, query, utc(args))
}

// QueryContext reads, or writes and returns.
func (r router) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if ctx.Value(insideTx{}) == r.d {
		return nil, errInsideTx
	}
	p := r.d.write
	if strings.HasPrefix(query, "SELECT") {
		p = r.d.read
	}
	return p.query(ctx, query, utc(args))
}

// pool is connections and the statements prepared on them.
type pool struct {
	db         *sql.DB
	statements *statements // nil: off
}

func newPool(db *sql.DB, cache bool) *pool {
	p := &pool{db: db}
	if cache {
		p.statements = newStatements(db)
	}
	return p
}

func (p *pool) close() error {
	if p.statements != nil {
		p.statements.close()
	}
	return p.db.Close()
}

func (p *pool) exec(ctx context.Context, query string, args []any) (sql.Result, error) {
	if p.statements == nil {
		return p.db.ExecContext(ctx, query, args...)
	}
	s, err := p.statements.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	defer p.statements.release(s)
	res, err := s.stmt.ExecContext(ctx, args...)
	p.forgetStale(query, err)
	return res, err
}

func (p *pool) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	if p.statements == nil {
		return p.db.QueryContext(ctx, query, args...) //nolint:sqlclosecheck // the caller closes its rows
	}
	s, err := p.statements.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	defer p.statements.release(s)
	rows, err := s.stmt.QueryContext(ctx, args...) //nolint:sqlclosecheck // the caller closes its rows
	p.forgetStale(query, err)
	return rows, err
}

// forgetStale drops a statement that PostgreSQL refuses because the tables changed
// under it (another replica migrated) or because a pooler lost it.
func (p *pool) forgetStale(query string, err error) {
	var pqErr *pq.Error
	if errors.As(err, &pqErr) && (pqErr.Code == "0A000" || pqErr.Code == "26000") {
		p.statements.forget(query)
	}
}

// transaction is one transaction of ent. It uses the statements that are prepared
// already, and has those that were not prepared once it is over: doing so inside would
// need a second connection, which a busy pool may not have.
type transaction struct {
	entsql.Conn
	tx     *sql.Tx
	pool   *pool
	missed []string
}

// maxMissed bounds what one transaction prepares when it is over.
const maxMissed = 16

// Commit ends the transaction, then prepares what it missed.
func (t *transaction) Commit() error {
	if err := t.tx.Commit(); err != nil {
		return err
	}
	if len(t.missed) == 0 {
		return nil
	}
	// Best effort, for the next one: what fails here fails again where it matters.
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, text := range t.missed {
		if s, err := t.pool.statements.prepare(ctx, text); err == nil {
			t.pool.statements.release(s)
		}
	}
	return nil
}

// Rollback ends the transaction without a trace.
func (t *transaction) Rollback() error { return t.tx.Rollback() }

type txQuerier struct{ t *transaction }

// ExecContext runs inside the transaction.
func (q txQuerier) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if s := q.prepared(query); s != nil {
		defer q.t.pool.statements.release(s)
		// What StmtContext gives ends with the transaction.
		res, err := q.t.tx.StmtContext(ctx, s.stmt).ExecContext(ctx, utc(args)...) //nolint:sqlclosecheck // see above
		q.t.pool.forgetStale(query, err)
		return res, err
	}
	return q.t.tx.ExecContext(ctx, query, utc(args)...)
}

// QueryContext runs inside the transaction.
func (q txQuerier) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if s := q.prepared(query); s != nil {
		defer q.t.pool.statements.release(s)
		rows, err := q.t.tx.StmtContext(ctx, s.stmt).QueryContext(ctx, utc(args)...) //nolint:sqlclosecheck // the caller closes its rows
		q.t.pool.forgetStale(query, err)
		return rows, err
	}
	return q.t.tx.QueryContext(ctx, query, utc(args)...) //nolint:sqlclosecheck // the caller closes its rows
}

func (q txQuerier) prepared(query string) *statement {
	if q.t.pool.statements == nil {
		return nil
	}
	s := q.t.pool.statements.cached(query)
	if s == nil && len(q.t.missed) < maxMissed && !slices.Contains(q.t.missed, query) {
		q.t.missed = append(q.t.missed, query)
	}
	return s
}

// utc is the arguments with every time in UTC and microseconds, so that both databases
// keep and compare the same instant.
func utc(args []any) []any {
	for i, a := range args {
		t, ok := a.(time.Time)
		if !ok {
			continue
		}
		if t.Location() != time.UTC || t.Nanosecond()%1000 != 0 {
			args = slices.Clone(args)
			for j := i; j < len(args); j++ {
				if t, ok := args[j].(time.Time); ok {
					args[j] = Micro(t)
				}
			}
			return args
		}
	}
	return args
}
