package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
	"modernc.org/sqlite"
)

// sqliteReaders is how many connections read beside the one that writes.
const sqliteReaders = 4

// ErrLocked says that another process holds the SQLite file: a running host, or a
// command that needs it alone.
var ErrLocked = errors.New("the database is in use by another Zondarr process; stop it first (one SQLite file has one host)")

// How a connection to SQLite is opened. Times are text and compared byte by byte, so
// they are written in one format and one zone; a write transaction takes its lock at
// the start, or it could fail in the middle; FULL lets what was answered survive a
// power failure.
var (
	sqliteWriter = sqliteParams("immediate", "foreign_keys(1)", "synchronous(FULL)", "journal_mode(WAL)", walLimit)
	sqliteReader = sqliteParams("deferred", "query_only(1)")
	// Foreign keys off: dropping a table to rebuild it would otherwise cascade, and
	// inside a transaction they cannot be switched.
	sqliteMigrator = sqliteParams("immediate", "foreign_keys(0)", "synchronous(FULL)", "journal_mode(WAL)", walLimit)
)

// walLimit cuts the WAL back to 64 MiB when it is begun anew. It would keep the size of
// the longest transaction ever (a migration writes the whole database) on the disk for
// as long as a host runs; far above the 4 MiB at which it is moved into the file, so that
// everyday work never cuts and grows it.
const walLimit = "journal_size_limit(67108864)"

func sqliteParams(txlock string, pragmas ...string) url.Values {
	return url.Values{
		"_time_format": {"sqlite"},
		"_timezone":    {"UTC"},
		"_txlock":      {txlock},
		"_dqs":         {"0"}, // a misspelt "column" is an error, not a text
		"_pragma":      append([]string{"busy_timeout(10000)", "temp_store(MEMORY)", "cache_size(-16000)"}, pragmas...),
	}
}

func openSQLite(path string, params url.Values, conns int) (*sql.DB, error) {
	escaped := (&url.URL{Path: path}).EscapedPath()
	// A driver of its own, so that nothing is registered for the whole process.
	drv := &sqlite.Driver{}
	if err := drv.RegisterDeterministicScalarFunction("lower", 1, lower); err != nil {
		return nil, err
	}
	pool := sql.OpenDB(connector{drv, "file:" + escaped + "?" + params.Encode()})
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	return pool, nil
}

// connector opens connections by a driver that database/sql does not know by name.
type connector struct {
	driver *sqlite.Driver
	source string
}

// Connect opens a connection.
func (c connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.source) }

// Driver is the driver.
func (c connector) Driver() driver.Driver { return c.driver }

// lower takes the place of SQLite's own, which knows the letters of ASCII alone: a
// text is found whatever the case of its letters, as on PostgreSQL.
func lower(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	if text, ok := args[0].(string); ok {
		return strings.ToLower(text), nil
	}
	return args[0], nil
}

// createSQLite makes the file and its folder where there are none, for the owner
// alone: it holds hashes and sealed secrets, and its WAL takes over its mode.
func createSQLite(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// lockSQLite takes the file lock of a database, or ErrLocked.
func lockSQLite(path string) (*flock.Flock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the database: %w", err)
	}
	if !ok {
		return nil, ErrLocked
	}
	return lock, nil
}
