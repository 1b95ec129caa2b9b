package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/lib/pq"
)

// A transaction pooler gives a client a server connection for one transaction, and
// another for the next. lib/pq asks a question with arguments in two messages, each of
// which ends a transaction where none was begun: the second may reach a server that holds
// the question of somebody else, and its answer is then the answer to that. So with
// statement_cache=off nothing is asked outside a transaction.

// poolerConnector opens connections that lead through a transaction pooler.
type poolerConnector struct {
	driver.Connector
	// settings begin each transaction: what a pooler does not pass on when a connection is
	// made, and forgets when it takes it away.
	settings string
}

// Connect opens a connection.
func (p poolerConnector) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn, ok := c.(postgresConn)
	if !ok {
		return nil, errors.Join(errors.New("database: the driver of PostgreSQL has changed"), c.Close())
	}
	return &poolerConn{postgresConn: conn, settings: p.settings}, nil
}

// setLocal is the statement that makes settings hold until the end of a transaction.
func setLocal(settings map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&b, "SET LOCAL %s = %s;", name, pq.QuoteLiteral(settings[name]))
	}
	return b.String()
}

// postgresConn is all that database/sql uses of a connection of lib/pq.
type postgresConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// poolerConn runs what is asked outside a transaction in one of its own. It belongs to
// the one caller that database/sql has lent it to.
type poolerConn struct {
	postgresConn
	settings      string
	inTransaction bool
	abandoned     bool // closed while it waited for a server
}

// BeginTx starts a transaction: from here to its end the server stays the same.
func (c *poolerConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	// The pooler may let us wait for a server for minutes, and does not take a request to
	// cancel from those who have none: closing the connection is the only way out.
	waiting := context.AfterFunc(ctx, func() { _ = c.Close() })
	tx, err := c.postgresConn.BeginTx(ctx, opts)
	if !waiting() {
		c.abandoned = true
		if err == nil {
			_ = tx.Rollback() // it fails: the connection is closed, which rolls back
		}
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	c.inTransaction = true
	t := &poolerTx{tx: tx, conn: c}
	if c.settings != "" {
		if _, err := c.postgresConn.ExecContext(ctx, c.settings, nil); err != nil {
			return nil, t.end(ctx, err)
		}
	}
	return t, nil
}

// ExecContext does without a transaction if there are no arguments: that is one message,
// and some statements of migrations refuse to run in a transaction.
func (c *poolerConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if c.inTransaction || len(args) == 0 {
		return c.postgresConn.ExecContext(ctx, query, args)
	}
	t, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	res, err := c.postgresConn.ExecContext(ctx, query, args)
	if err := t.end(ctx, err); err != nil {
		return nil, err
	}
	return res, nil
}

// QueryContext gives rows that keep their transaction open until they are closed.
func (c *poolerConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if c.inTransaction {
		return c.postgresConn.QueryContext(ctx, query, args)
	}
	t, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := c.postgresConn.QueryContext(ctx, query, args)
	if err != nil {
		return nil, t.end(ctx, err)
	}
	return &poolerRows{Rows: rows, end: func(err error) error { return t.end(ctx, err) }}, nil
}

// PrepareContext works inside a transaction, and for no longer than that.
func (c *poolerConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if !c.inTransaction {
		return nil, errors.New("database: a statement that is prepared outside a transaction is lost behind a pooler")
	}
	return c.postgresConn.PrepareContext(ctx, query)
}

// IsValid says whether the connection may be used again.
func (c *poolerConn) IsValid() bool { return !c.abandoned && c.postgresConn.IsValid() }

func (c *poolerConn) begin(ctx context.Context) (*poolerTx, error) {
	tx, err := c.BeginTx(ctx, driver.TxOptions{})
	if err != nil {
		return nil, err
	}
	return tx.(*poolerTx), nil
}

// poolerTx is a transaction through a pooler.
type poolerTx struct {
	tx   driver.Tx
	conn *poolerConn
}

// Commit ends the transaction.
func (t *poolerTx) Commit() error {
	t.conn.inTransaction = false
	return t.tx.Commit()
}

// Rollback ends the transaction without a trace.
func (t *poolerTx) Rollback() error {
	t.conn.inTransaction = false
	return t.tx.Rollback()
}

// errCommitUnknown must not be driver.ErrBadConn, upon which database/sql would do the
// same a second time.
var errCommitUnknown = fmt.Errorf("the connection was lost before the commit was confirmed: %w", io.ErrUnexpectedEOF)

// end commits a transaction of one statement, or takes it back if err is not nil.
func (t *poolerTx) end(ctx context.Context, err error) error {
	if err != nil {
		_ = t.Rollback() // where it fails, the connection is closed, which rolls back too
		return err
	}
	err = t.Commit()
	if !errors.Is(err, driver.ErrBadConn) {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errCommitUnknown
}

// poolerRows are rows of a transaction of their own.
type poolerRows struct {
	driver.Rows
	end    func(error) error // of the transaction
	failed error             // what Next has met
	closed bool
}

// Next ends the transaction after the last row: database/sql reports what Next gives,
// but forgets what Close gives once all was read.
func (r *poolerRows) Next(dest []driver.Value) error {
	if r.closed {
		return io.EOF
	}
	err := r.Rows.Next(dest)
	if !errors.Is(err, io.EOF) {
		r.failed = err
		return err
	}
	if err := r.Close(); err != nil {
		return err
	}
	return io.EOF
}

// Close reads the rest away and ends the transaction.
func (r *poolerRows) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	err := r.Rows.Close()
	if r.failed != nil {
		err = r.failed
	}
	return r.end(err)
}
