package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/lib/pq"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/migrate"
)

// The kinds of storage errors, for errors.Is.
var (
	// ErrNotFound: no such row.
	ErrNotFound = errors.New("not found")
	// ErrConflict: another row has what must be unique; ConflictOn says which column.
	ErrConflict = errors.New("conflict")
	// ErrReference: a row that was referred to is gone, or still referred to.
	ErrReference = errors.New("reference")
	// ErrInvalid: the row breaks a rule of the schema (a check, a value that must be there).
	ErrInvalid = errors.New("invalid")
	// ErrUnavailable: the database did not do it, and may do it later: unreachable, out of
	// connections, disk full, out of time.
	ErrUnavailable = errors.New("database unavailable")
)

// Error is a failure of the database: what was done, to what, and the original (R5.6).
// It is for the log; nothing of Err is for a user.
type Error struct {
	Op     string // the verb: "create", "list", …
	Entity string // the noun: "invitation", …
	Err    error

	kind       error  // one of the kinds above, or nil
	constraint string // see Constraint
}

func (e *Error) Error() string { return e.Op + " " + e.Entity + ": " + e.Err.Error() }

// Unwrap is the original.
func (e *Error) Unwrap() error { return e.Err }

// Is tells the kinds apart.
func (e *Error) Is(target error) bool { return e.kind != nil && target == e.kind }

// Constraint is what the row ran into, the same on both databases: "invitations(code)"
// for something unique, the name of a check, or "" where the database does not tell
// (SQLite does not name foreign keys).
func (e *Error) Constraint() string { return e.constraint }

// Wrap makes an *Error of err; nil stays nil, and an *Error stays as it is, so that the
// helper closest to the database names the operation.
func Wrap(op, entity string, err error) error {
	if err == nil {
		return nil
	}
	var already *Error
	if errors.As(err, &already) {
		return err
	}
	e := &Error{Op: op, Entity: entity, Err: err}
	e.constraint, e.kind = classify(err)
	return e
}

// ConflictOn says whether err is a conflict on exactly these columns of a table, in the
// order of their index: ConflictOn(err, invitation.Table, invitation.FieldCode).
func ConflictOn(err error, table string, columns ...string) bool {
	var e *Error
	return errors.As(err, &e) && errors.Is(e, ErrConflict) && e.constraint == uniqueName(table, columns)
}

func uniqueName(table string, columns []string) string {
	return table + "(" + strings.Join(columns, ",") + ")"
}

// classify gives the constraint that err is about, if any, and its kind, if known.
func classify(err error) (constraint string, kind error) {
	var pqErr *pq.Error
	var liteErr *sqlite.Error
	var netErr net.Error
	switch {
	case db.IsNotFound(err), errors.Is(err, sql.ErrNoRows):
		return "", ErrNotFound
	case db.IsValidationError(err):
		return "", ErrInvalid
	case errors.As(err, &pqErr):
		return classifyPostgres(pqErr)
	case errors.As(err, &liteErr):
		return classifySQLite(liteErr)
	case errors.Is(err, context.Canceled):
		return "", nil
	case errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, driver.ErrBadConn),
		errors.Is(err, sql.ErrConnDone),
		errors.Is(err, pq.ErrSSLNotSupported),
		errors.As(err, &netErr),
		// database/sql and lib/pq keep these to themselves.
		strings.Contains(err.Error(), "sql: database is closed"),
		strings.HasSuffix(err.Error(), "EOF"):
		return "", ErrUnavailable
	}
	return "", nil
}

func classifyPostgres(e *pq.Error) (constraint string, kind error) {
	switch e.Code {
	case "23505":
		return uniqueIndex(e.Table, e.Constraint), ErrConflict
	case "23503":
		return e.Constraint, ErrReference
	case "23514":
		return e.Constraint, ErrInvalid
	case "23502":
		return e.Table + "." + e.Column, ErrInvalid
	case "57014": // the statement timeout, or a cancelled context
		return "", ErrUnavailable
	}
	switch e.Code.Class() {
	case "08", "53", "57", "58", "40", "28", "3D": // connection, resources, operator, system, rollback, login, no such database
		return "", ErrUnavailable
	case "22": // data that the type cannot hold
		return "", ErrInvalid
	}
	return "", nil
}

// uniqueIndex is the columns of a unique index that PostgreSQL gave by name.
func uniqueIndex(table, index string) string {
	for _, t := range migrate.Tables {
		if t.Name != table {
			continue
		}
		for _, i := range t.Indexes {
			if i.Name == index {
				var columns []string
				for _, c := range i.Columns {
					columns = append(columns, c.Name)
				}
				return uniqueName(table, columns)
			}
		}
		for _, c := range t.Columns {
			if c.Unique && index == table+"_"+c.Name+"_key" {
				return uniqueName(table, []string{c.Name})
			}
		}
		if index == table+"_pkey" && len(t.PrimaryKey) == 1 {
			return uniqueName(table, []string{t.PrimaryKey[0].Name})
		}
	}
	return index
}

func classifySQLite(e *sqlite.Error) (constraint string, kind error) {
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return sqliteUnique(e.Error()), ErrConflict
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return "", ErrReference
	case sqlite3.SQLITE_CONSTRAINT_CHECK, sqlite3.SQLITE_CONSTRAINT_NOTNULL:
		return sqliteDetail(e.Error()), ErrInvalid
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM,
		sqlite3.SQLITE_INTERRUPT:
		return "", ErrUnavailable
	}
	return "", nil
}

// sqliteDetail is what stands between "… constraint failed: " and the code in
// parentheses.
func sqliteDetail(text string) string {
	_, detail, ok := strings.Cut(text, "constraint failed: ")
	if !ok {
		return ""
	}
	if _, again, ok := strings.Cut(detail, "constraint failed: "); ok { // the driver says it twice
		detail = again
	}
	detail, _, _ = strings.Cut(detail, " (")
	return detail
}

// sqliteUnique turns "invitations.code" or "users.server_id, users.external_id" into
// the form of Constraint.
func sqliteUnique(text string) string {
	var table string
	var columns []string
	for _, c := range strings.Split(sqliteDetail(text), ", ") {
		t, column, ok := strings.Cut(c, ".")
		if !ok {
			return c
		}
		table, columns = t, append(columns, column)
	}
	return uniqueName(table, columns)
}

// lostToAnother says that PostgreSQL ended a transaction so that another could go on;
// done again it may succeed.
func lostToAnother(err error) bool {
	var pqErr *pq.Error
	return errors.As(err, &pqErr) && (pqErr.Code == "40001" || pqErr.Code == "40P01")
}

// explain adds what an operator can do about a failure to connect.
func explain(err error) error {
	var pqErr *pq.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pq.ErrSSLNotSupported):
		return fmt.Errorf("%w (the server has no TLS: where the way to it is trusted, add sslmode=disable to the database URL)", err)
	case errors.As(err, &pqErr) && pqErr.Code == "3D000":
		return fmt.Errorf("%w (create it first: createdb)", err)
	}
	return err
}
