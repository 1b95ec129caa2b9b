package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// OtherToolError says that PostgreSQL is backed up and restored by its own tools.
type OtherToolError struct {
	Command string // the line to run, without the password
	Note    string // what the line does not do
}

func (e *OtherToolError) Error() string {
	return "a PostgreSQL database is backed up and restored by its own tools: " + e.Command + "\n" + e.Note
}

// Getter gives a value of an instance (DB.Get), also of one that is not opened as a DB;
// ErrNotFound if it was never set.
type Getter func(ctx context.Context, key string) ([]byte, error)

// Backup writes a consistent copy of a SQLite database to a file that must not exist,
// while a host goes on serving it, and whatever its version is: the database itself is
// neither migrated nor changed. keys tells from the values of the copy which secret keys
// open what is sealed in it; their names are written into it (KeyFingerprint), and the
// keys themselves have to be kept as well.
//
// Where there is no database it fails with a *MissingError, on one that was moved
// elsewhere with a *MovedError, on PostgreSQL with an *OtherToolError, before anything
// was opened.
func Backup(ctx context.Context, opts Options, file string, keys func(context.Context, Getter) (names string, err error)) error {
	at, err := opts.location()
	if err != nil {
		return err
	}
	if at.dialect == Postgres {
		return &OtherToolError{
			Command: at.tool("pg_dump --format=custom --file=" + quoted(file)),
			Note:    "The secret key is not in that file and is needed to restore it: keep a copy of the key as well, elsewhere.",
		}
	}
	if err := at.backup(ctx, file, keys); err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	return nil
}

func (l location) backup(ctx context.Context, file string, keys func(context.Context, Getter) (string, error)) (err error) {
	if _, err := os.Stat(l.path); errors.Is(err, fs.ErrNotExist) {
		return &MissingError{At: l.display()}
	} else if err != nil {
		return err
	}
	if isThere(l.path + ".lock") { // where no host ever was, nothing is left behind
		beside, err := shareSQLite(ctx, l.path)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, beside.Unlock()) }()
	}
	// A connection of its own: the writer of a host stays free. It must not make the file.
	params := sqliteParams("deferred")
	params.Set("mode", "rw")
	handle, err := openSQLite(l.path, params, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, handle.Close()) }()
	version, err := (&migrator{at: l, handle: handle}).version(ctx)
	switch {
	case damaged(err):
		return fmt.Errorf("%s: %w", l.path, errors.Join(errDamaged, err))
	case err != nil:
		return err
	case version == 0:
		return &MissingError{At: l.display()}
	}
	return snapshotSQLite(ctx, handle, file, func(copied *sql.DB) error {
		get := getter(copied)
		to, err := get(ctx, KeyMovedTo)
		if err == nil {
			return &MovedError{To: string(to)}
		}
		if !errors.Is(err, ErrNotFound) {
			return err
		}
		names, err := keys(ctx, get)
		if err != nil {
			return err
		}
		return setRaw(ctx, copied, KeyFingerprint, []byte(names))
	})
}

// damaged says whether SQLite found that a file is no sound database.
func damaged(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_CORRUPT || e.Code()&0xff == sqlite3.SQLITE_NOTADB)
}

// getter reads the values of an instance from a SQLite file of any version.
func getter(handle *sql.DB) Getter {
	return func(ctx context.Context, key string) (value []byte, err error) {
		err = handle.QueryRowContext(ctx, "SELECT value FROM instance WHERE key = ?", key).Scan(&value)
		return value, Wrap("get", "instance", err)
	}
}

func setRaw(ctx context.Context, handle *sql.DB, key string, value []byte) error {
	_, err := handle.ExecContext(ctx, "INSERT INTO instance (key, value, updated_at) VALUES (?, ?, ?) "+
		"ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at", key, value, Now())
	return err
}

// tool is a command line for the database, which asks for the password itself.
func (l location) tool(command string) string {
	return command + " --dbname=" + quoted(l.reached().String())
}

// quoted is text as a shell takes it.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// display is where the database is, for messages: without password and parameters.
func (l location) display() string {
	if l.dialect == SQLite {
		return "sqlite://" + l.path
	}
	u := l.reached()
	q := u.Query()
	for name := range q {
		if name != "host" {
			q.Del(name)
		}
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// reached is the URL of a PostgreSQL server for the tools of PostgreSQL: all that says
// how to reach and to trust it, and nothing secret.
func (l location) reached() *url.URL {
	u := url.URL{Scheme: l.server.Scheme, Host: l.server.Host, Path: l.server.Path}
	if l.server.User != nil {
		u.User = url.User(l.server.User.Username())
	}
	have, keep := l.server.Query(), url.Values{}
	names := []string{"host", "port", "sslmode"}
	if !have.Has("sslinline") { // with it the others are the certificate and the key themselves
		names = append(names, "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslsni", "sslnegotiation")
	}
	for _, name := range names {
		if v := have.Get(name); v != "" {
			keep.Set(name, v)
		}
	}
	u.RawQuery = keep.Encode()
	return &u
}
