package database

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql/schema"
	"entgo.io/ent/schema/field"
	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db/migrate"
)

// ErrNotEmpty says that a copy has no empty place to go to.
var ErrNotEmpty = errors.New("the target database is not empty")

// ErrInUse says that hosts are connected to a PostgreSQL database that must be at rest.
var ErrInUse = errors.New("hosts are still connected to the source database: stop them first")

// CopiedTable is what was copied of one table.
type CopiedTable struct {
	Table string
	Sum   TableSum
}

// TableSum is a number of rows and a checksum over their values, the same on both
// databases and in any order.
type TableSum struct {
	Rows     int64
	Checksum [sha256.Size]byte
}

// Copy moves an instance to another database, of either dialect, which must be empty:
// every row in one transaction, read back and compared by table before it is committed.
// Then the source is marked as moved, and Open refuses it. The hosts must be stopped.
func Copy(ctx context.Context, from, to Options) (copied []CopiedTable, err error) {
	source, err := Open(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("open the source: %w", err)
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	if err := source.checkAtRest(ctx); err != nil {
		return nil, err
	}
	target, err := Open(ctx, to)
	if err != nil {
		return nil, fmt.Errorf("open the target: %w", err)
	}
	defer func() { err = errors.Join(err, target.Close()) }()

	copied, err = source.copyTo(ctx, target)
	if err != nil {
		return nil, Wrap("copy", "database", err)
	}
	if err := source.Set(ctx, KeyMovedTo, []byte(target.at.display())); err != nil {
		return nil, fmt.Errorf("the copy is complete, but the source could not be marked as moved: %w", err)
	}
	return copied, nil
}

// checkAtRest finds other hosts on PostgreSQL; on SQLite we hold the lock.
func (d *DB) checkAtRest(ctx context.Context) error {
	if d.Dialect == SQLite {
		return nil
	}
	// A connection that was just closed, such as the one that migrated, takes a moment to
	// disappear.
	for range 20 {
		var others int
		err := d.driver.read.db.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = current_setting('application_name')
			AND pid <> pg_backend_pid()`).Scan(&others)
		if err != nil {
			return Wrap("look for", "hosts", err)
		}
		if others < d.driver.read.db.Stats().OpenConnections {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return ErrInUse
}

func (d *DB) copyTo(ctx context.Context, target *DB) (copied []CopiedTable, err error) {
	// One snapshot of the source, one transaction on the target.
	in, err := d.driver.read.db.BeginTx(ctx, d.snapshot())
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Rollback() }()
	out, err := target.driver.write.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Rollback() }() // does nothing after the commit
	for _, tx := range []struct {
		*sql.Tx
		dialect Dialect
	}{{in, d.Dialect}, {out, target.Dialect}} {
		if tx.dialect == Postgres {
			if _, err := tx.ExecContext(ctx, "SET LOCAL statement_timeout = 0"); err != nil {
				return nil, err
			}
		}
	}
	for _, table := range parentsFirst(migrate.Tables) {
		there, err := sumTable(ctx, out, table)
		if err != nil {
			return nil, err
		}
		if there.Rows > 0 {
			return nil, fmt.Errorf("%w: %s has %d rows", ErrNotEmpty, table.Name, there.Rows)
		}
		sum, err := copyTable(ctx, in, out, target.Dialect, table)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", table.Name, err)
		}
		if there, err = sumTable(ctx, out, table); err != nil {
			return nil, fmt.Errorf("%s: %w", table.Name, err)
		}
		if there != sum {
			return nil, fmt.Errorf("%s: what arrived is not what was sent (%d rows of %d); nothing was changed", table.Name, there.Rows, sum.Rows)
		}
		copied = append(copied, CopiedTable{table.Name, sum})
	}
	return copied, out.Commit()
}

// snapshot is how to read several tables as they were at one moment.
func (d *DB) snapshot() *sql.TxOptions {
	if d.Dialect == SQLite {
		return nil
	}
	return &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}
}

// parentsFirst sorts tables so that each comes after those that it refers to.
func parentsFirst(tables []*schema.Table) []*schema.Table {
	var sorted []*schema.Table
	for len(sorted) < len(tables) {
		for _, t := range tables {
			if !slices.Contains(sorted, t) && !slices.ContainsFunc(t.ForeignKeys, func(fk *schema.ForeignKey) bool {
				return fk.RefTable != t && !slices.Contains(sorted, fk.RefTable)
			}) {
				sorted = append(sorted, t)
			}
		}
	}
	return sorted
}

// maxParameters bounds one statement, below what either database takes: more would make
// it no quicker.
const maxParameters = 2000

func copyTable(ctx context.Context, in, out *sql.Tx, dialect Dialect, table *schema.Table) (sum TableSum, err error) {
	columns := len(table.Columns)
	many := maxParameters / columns
	insert, err := out.PrepareContext(ctx, insertRows(dialect, table, many))
	if err != nil {
		return sum, err
	}
	defer func() { err = errors.Join(err, insert.Close()) }()
	var batch []any
	if err := eachRow(ctx, in, table, func(row []any) error {
		if err := sum.add(table, row); err != nil {
			return err
		}
		if batch = append(batch, row...); len(batch) < many*columns {
			return nil
		}
		_, err := insert.ExecContext(ctx, batch...)
		batch = batch[:0]
		return err
	}); err != nil {
		return sum, err
	}
	if len(batch) > 0 {
		_, err = out.ExecContext(ctx, insertRows(dialect, table, len(batch)/columns), batch...)
	}
	return sum, err
}

// insertRows is the statement that inserts n rows.
func insertRows(dialect Dialect, table *schema.Table, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `INSERT INTO "%s" (%s) VALUES `, table.Name, columnList(table))
	for i := range n * len(table.Columns) {
		switch {
		case i == 0:
			b.WriteString("(")
		case i%len(table.Columns) == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		if dialect == Postgres {
			fmt.Fprintf(&b, "$%d", i+1)
		} else {
			b.WriteString("?") // it would look for each $n among all before
		}
	}
	b.WriteString(")")
	return b.String()
}

func columnList(table *schema.Table) string {
	var names []string
	for _, c := range table.Columns {
		names = append(names, `"`+c.Name+`"`)
	}
	return strings.Join(names, ", ")
}

// sumTable reads a table and adds it up.
func sumTable(ctx context.Context, tx *sql.Tx, table *schema.Table) (TableSum, error) {
	var sum TableSum
	err := eachRow(ctx, tx, table, func(row []any) error { return sum.add(table, row) })
	return sum, err
}

// eachRow gives every row of a table, as values that either database takes; nil is NULL.
func eachRow(ctx context.Context, tx *sql.Tx, table *schema.Table, fn func([]any) error) (err error) {
	rows, err := tx.QueryContext(ctx, fmt.Sprintf(`SELECT %s FROM "%s"`, columnList(table), table.Name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Err(), rows.Close()) }()
	into := make([]any, len(table.Columns))
	for rows.Next() {
		for i, c := range table.Columns {
			if into[i], err = scanner(c); err != nil {
				return err
			}
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		row := make([]any, len(into))
		for i, v := range into {
			row[i] = scanned(v)
		}
		if err := fn(row); err != nil {
			return err
		}
	}
	return nil
}

func scanner(c *schema.Column) (any, error) {
	switch c.Type {
	case field.TypeUUID:
		return new(sql.Null[uuid.UUID]), nil
	case field.TypeTime:
		return new(sql.NullTime), nil
	case field.TypeBool:
		return new(sql.NullBool), nil
	case field.TypeInt, field.TypeInt64:
		return new(sql.NullInt64), nil
	case field.TypeString, field.TypeEnum:
		return new(sql.NullString), nil
	case field.TypeBytes, field.TypeJSON:
		return new(any), nil // only so does the driver of SQLite tell none from empty
	}
	return nil, fmt.Errorf("column %s has a type that cannot be copied: %s", c.Name, c.Type)
}

func scanned(v any) any {
	switch v := v.(type) {
	case *sql.Null[uuid.UUID]:
		if v.Valid {
			return v.V
		}
	case *sql.NullTime:
		if v.Valid {
			return Micro(v.Time)
		}
	case *sql.NullBool:
		if v.Valid {
			return v.Bool
		}
	case *sql.NullInt64:
		if v.Valid {
			return v.Int64
		}
	case *sql.NullString:
		if v.Valid {
			return v.String
		}
	case *any:
		switch b := (*v).(type) {
		case []byte:
			return append([]byte{}, b...) // not nil, even if empty
		case string:
			return []byte(b)
		}
	}
	return nil
}

// add counts a row in. Rows differ by their keys, so that combining their hashes by XOR
// loses none, and needs no order (in which the databases differ).
func (s *TableSum) add(table *schema.Table, row []any) error {
	h := sha256.New()
	for i, v := range row {
		text, err := canonical(table.Columns[i], v)
		if err != nil {
			return fmt.Errorf("column %s: %w", table.Columns[i].Name, err)
		}
		if text == nil {
			h.Write([]byte{0})
			continue
		}
		var length [9]byte
		length[0] = 1
		binary.BigEndian.PutUint64(length[1:], uint64(len(text)))
		h.Write(length[:])
		h.Write(text)
	}
	for i, b := range h.Sum(nil) {
		s.Checksum[i] ^= b
	}
	s.Rows++
	return nil
}

// canonical is a value as the same bytes on both databases; nil is NULL.
func canonical(c *schema.Column, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case []byte:
		if c.Type == field.TypeJSON {
			return canonicalJSON(v)
		}
		return v, nil
	case fmt.Stringer: // a UUID or a time, in UTC
		return []byte(v.String()), nil
	}
	return fmt.Append(nil, v), nil
}

// canonicalJSON is the value, not the text: jsonb keeps neither order nor spaces, nor
// how a number was written.
func canonicalJSON(text []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(exact(v))
}

// exact replaces numbers by their exact value as text.
func exact(v any) any {
	switch v := v.(type) {
	case json.Number:
		if r, ok := new(big.Rat).SetString(v.String()); ok {
			return r.RatString()
		}
	case map[string]any:
		for k, e := range v {
			v[k] = exact(e)
		}
	case []any:
		for i, e := range v {
			v[i] = exact(e)
		}
	}
	return v
}
