package database

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"github.com/gofrs/flock"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/instance"
	"github.com/zondarr/zondarr/migrations"
)

// Options say what to open, and how.
type Options struct {
	// URL is the database: sqlite://… or postgres://… (see CheckURL).
	URL string
	// Beside opens a SQLite file beside a running host, for a command that only adds or
	// reads. It migrates only where no host holds the file, and as long as it is open the
	// file is not replaced by a restore. PostgreSQL is always shared.
	Beside bool
	// MustExist fails with a *MissingError where there is no database yet, and makes
	// nothing: for a command that would do its work on an empty one, and say that all is
	// well.
	MustExist bool
	// Key names the secret key that this process seals under (secret.Box.KeyID), "" if it
	// seals nothing. On PostgreSQL it shows to others (Alone).
	Key string
	// Logger is told of migrations; nil is silence.
	Logger *slog.Logger
	// Migrations are the folders sqlite and postgres; nil is those of package migrations.
	Migrations fs.FS
}

// DB is an open database.
type DB struct {
	// Ent is the client for queries outside a transaction.
	Ent *db.Client
	// Dialect is for the rare place where the two differ.
	Dialect Dialect

	at     location
	driver *entDriver
	lock   *flock.Flock // on SQLite: of the host, or what those beside it share
}

// Open migrates and opens the database. On SQLite it fails with ErrLocked while another
// host has the file; on a database that a newer Zondarr has migrated it fails with a
// *VersionError, on one that was moved elsewhere with a *MovedError. Its errors never
// contain the password of the URL.
func Open(ctx context.Context, opts Options) (*DB, error) {
	d, err := openMarked(ctx, opts)
	if err != nil {
		return nil, err
	}
	if err := d.checkMoved(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// openMarked opens a database even if it was marked as moved.
func openMarked(ctx context.Context, opts Options) (d *DB, err error) {
	at, err := opts.location()
	if err != nil {
		return nil, err
	}
	if opts.MustExist {
		if err := at.exists(ctx); err != nil {
			return nil, err
		}
	}
	if at.dialect == Postgres {
		d, err = openPostgres(ctx, at)
	} else {
		d, err = openSQLiteDB(ctx, at, opts.Beside)
	}
	return d, err
}

// location is where the database is, and how it is migrated there.
func (o Options) location() (location, error) {
	at, err := parseURL(o.URL)
	if err != nil {
		return location{}, err
	}
	at.logger, at.files = o.Logger, o.Migrations
	if at.logger == nil {
		at.logger = slog.New(slog.DiscardHandler)
	}
	if at.files == nil {
		at.files = migrations.Files
	}
	if at.dialect == Postgres {
		at.sign(o.Key)
	}
	return at, nil
}

// Display is a database URL for messages and logs: without its password and parameters.
func Display(raw string) string {
	at, err := parseURL(raw)
	if err != nil {
		return "unreadable"
	}
	return at.display()
}

func openSQLiteDB(ctx context.Context, at location, beside bool) (_ *DB, err error) {
	d := &DB{Dialect: SQLite, at: at}
	if beside {
		d.lock, err = shareSQLite(ctx, at.path)
	} else {
		d.lock, err = lockSQLite(at.path)
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.lock.Unlock())
		}
	}()
	if beside {
		err = migrateBeside(ctx, at)
	} else {
		_, err = migrateUp(ctx, at)
	}
	if err != nil {
		return nil, err
	}
	write, err := openSQLite(at.path, sqliteWriter, 1)
	if err != nil {
		return nil, err
	}
	if !beside {
		// Takes samples of the tables that have grown, which its choice of an index needs;
		// the readers learn of them when they open.
		if _, err := write.ExecContext(ctx, "PRAGMA optimize = 0x10002"); err != nil {
			return nil, errors.Join(Wrap("open", "database", err), write.Close())
		}
	}
	read, err := openSQLite(at.path, sqliteReader, sqliteReaders)
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	return d.opened(ctx, newPool(write, true), newPool(read, true))
}

func openPostgres(ctx context.Context, at location) (*DB, error) {
	if _, err := migrateUp(ctx, at); err != nil {
		return nil, explain(err)
	}
	connector, err := at.connector()
	if err != nil {
		return nil, err
	}
	handle := sql.OpenDB(connector)
	handle.SetMaxOpenConns(at.maxConns)
	handle.SetMaxIdleConns(at.maxConns)
	handle.SetConnMaxIdleTime(5 * time.Minute)
	handle.SetConnMaxLifetime(time.Hour) // so that a failed-over server is left behind
	p := newPool(handle, at.statementCache)
	return (&DB{Dialect: Postgres, at: at}).opened(ctx, p, p)
}

func (d *DB) opened(ctx context.Context, write, read *pool) (*DB, error) {
	d.driver = newDriver(d.Dialect, write, read)
	d.Ent = db.NewClient(db.Driver(d.driver))
	if err := errors.Join(write.db.PingContext(ctx), d.Ping(ctx)); err != nil {
		return nil, errors.Join(explain(Wrap("open", "database", err)), d.driver.Close())
	}
	return d, nil
}

// Ping asks whether the database answers, with a query that must reach its tables.
func (d *DB) Ping(ctx context.Context) error {
	_, err := d.Ent.Instance.Query().Where(instance.ID("")).Exist(ctx)
	return Wrap("ping", "database", err)
}

// Close closes the pools and gives the file back. Nothing may use the DB afterwards.
func (d *DB) Close() error {
	err := d.driver.Close()
	if d.lock != nil {
		err = errors.Join(err, d.lock.Unlock())
	}
	return err
}
