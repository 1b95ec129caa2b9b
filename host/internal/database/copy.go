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

	"entgo.io/ent/dialect/sql/schema"
	"entgo.io/ent/schema/field"
	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db/instance"
	"github.com/zondarr/zondarr/ent/db/migrate"
)

// ErrNotEmpty says that a copy has no empty place to go to.
var ErrNotEmpty = errors.New("the target database is not empty")

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

// copyTables copies every row from one transaction to another, and reads it back there.
func copyTables(ctx context.Context, in, out *sql.Tx, to Dialect) (copied []CopiedTable, err error) {
	for _, table := range parentsFirst(migrate.Tables) {
		var rows int64
		if err := out.QueryRowContext(ctx, fmt.Sprintf(`SELECT count(*) FROM "%s"`, table.Name)).Scan(&rows); err != nil {
			return nil, fmt.Errorf("%s: %w", table.Name, err)
		}
		if rows > 0 {
			return nil, fmt.Errorf("%w: %s has %d rows", ErrNotEmpty, table.Name, rows)
		}
		sent, err := copyTable(ctx, in, out, to, table)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", table.Name, err)
		}
		arrived, err := sumTable(ctx, out, table)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", table.Name, err)
		}
		if arrived != sent {
			return nil, fmt.Errorf("%s: what arrived is not what was sent (%d rows of %d); nothing was changed", table.Name, arrived.Rows, sent.Rows)
		}
		copied = append(copied, CopiedTable{table.Name, sent})
	}
	return copied, nil
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
	which := ""
	if table.Name == instance.Table { // the marks of a move belong to one place
		which = fmt.Sprintf(` WHERE "%s" NOT IN ('%s', '%s')`, instance.FieldID, KeyMovingTo, KeyMovedFrom)
	}
	rows, err := tx.QueryContext(ctx, fmt.Sprintf(`SELECT %s FROM "%s"%s`, columnList(table), table.Name, which))
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
			if row[i], err = scanned(v); err != nil {
				return fmt.Errorf("column %s: %w", table.Columns[i].Name, err)
			}
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

// scanned is the value that a scanner took in; nil is NULL, and nothing else.
func scanned(v any) (any, error) {
	valid, value := false, any(nil)
	switch v := v.(type) {
	case *sql.Null[uuid.UUID]:
		valid, value = v.Valid, v.V
	case *sql.NullTime:
		valid, value = v.Valid, Micro(v.Time)
	case *sql.NullBool:
		valid, value = v.Valid, v.Bool
	case *sql.NullInt64:
		valid, value = v.Valid, v.Int64
	case *sql.NullString:
		valid, value = v.Valid, v.String
	case *any:
		switch b := (*v).(type) {
		case nil:
		case []byte:
			valid, value = true, append([]byte{}, b...) // not nil, even if empty
		case string:
			valid, value = true, []byte(b)
		default:
			return nil, fmt.Errorf("the driver gives a value that cannot be copied: %T", b)
		}
	default:
		return nil, fmt.Errorf("no value is read from a %T", v)
	}
	if !valid {
		return nil, nil //nolint:nilnil // NULL is a value
	}
	return value, nil
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
