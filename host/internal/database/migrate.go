package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
)

// VersionError says that a database cannot be used by this program.
type VersionError struct {
	Database int64 // the version that the database has
	Program  int64 // the newest that this program knows
}

func (e *VersionError) Error() string {
	if e.Database > e.Program {
		return fmt.Sprintf("the database was migrated to version %d by a newer Zondarr; this one knows versions up to %d. "+
			"Run the newer program, or take the database back with its `zondarr migrate down`", e.Database, e.Program)
	}
	return fmt.Sprintf("the database is at version %d, this program needs %d, and a running Zondarr holds the file: "+
		"restart that with this version first", e.Database, e.Program)
}

// Migration is one step of the schema and whether the database has taken it.
type Migration struct {
	Version   int64
	Name      string
	AppliedAt *time.Time // nil: not applied
}

// MigrateUp applies every migration that is missing and gives the new ones in order.
// On SQLite it fails with ErrLocked while a host has the file.
func MigrateUp(ctx context.Context, opts Options) ([]Migration, error) {
	return migrateAlone(opts, func(at location) ([]Migration, error) { return migrateUp(ctx, at) })
}

// MigrateDown takes back the last migrations, as many as steps, and gives them in the
// order in which they were undone. What only the newer schema could hold is lost: Losses
// tells what that is. It fails with ErrLocked (SQLite) or ErrInUse (PostgreSQL) while a
// host or a command is at the database.
func MigrateDown(ctx context.Context, opts Options, steps int) ([]Migration, error) {
	opts.Key = "migrate" // unlike all others, so that Alone finds each of them
	return migrateAlone(opts, func(at location) ([]Migration, error) { return migrateDown(ctx, at, steps) })
}

// MigrationStatus lists every migration that this program knows or the database has
// taken. It changes nothing, and works beside a host.
func MigrationStatus(ctx context.Context, opts Options) (_ []Migration, err error) {
	at, err := opts.location()
	if err != nil {
		return nil, err
	}
	known, err := at.known()
	if err != nil {
		return nil, err
	}
	all := map[int64]Migration{}
	for _, m := range known {
		all[m.Version] = m
	}
	if at.dialect == Postgres || isThere(at.path) {
		if at.dialect == SQLite {
			held, err := shareSQLite(ctx, at.path)
			if err != nil {
				return nil, err
			}
			defer func() { err = errors.Join(err, held.Unlock()) }()
		}
		applied, err := migrating(at, func(m *migrator) (map[int64]time.Time, error) { return m.applied(ctx) })
		if err != nil {
			return nil, explain(Wrap("read", "migrations", err))
		}
		for version, when := range applied {
			entry, ok := all[version]
			if !ok {
				entry = Migration{Version: version, Name: "unknown to this version"}
			}
			entry.AppliedAt = &when
			all[version] = entry
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b Migration) int { return int(a.Version - b.Version) }), nil
}

func migrateAlone(opts Options, migrate func(location) ([]Migration, error)) (_ []Migration, err error) {
	at, err := opts.location()
	if err != nil {
		return nil, err
	}
	if at.dialect == SQLite {
		held, err := lockSQLite(at.path)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, held.Unlock()) }()
	}
	done, err := migrate(at)
	return done, explain(err)
}

// migrateUp is MigrateUp for one who holds the file.
func migrateUp(ctx context.Context, at location) ([]Migration, error) {
	return migrating(at, func(m *migrator) ([]Migration, error) { return m.up(ctx) })
}

func migrateDown(ctx context.Context, at location, steps int) ([]Migration, error) {
	return migrating(at, func(m *migrator) ([]Migration, error) { return m.down(ctx, steps) })
}

// besidePatience is how long a command waits for another process that is migrating.
const besidePatience = 10 * time.Second

// migrateBeside sees to it that the file has this program's version: it migrates where
// nobody holds the file, and waits a little for whoever does.
func migrateBeside(ctx context.Context, at location) error {
	patience, cancel := context.WithTimeout(ctx, besidePatience)
	defer cancel()
	for {
		have, newest, settled, err := versions(ctx, at)
		if err != nil {
			return err
		}
		if have == newest && settled {
			return nil
		}
		if have > newest {
			return &VersionError{Database: have, Program: newest}
		}
		held, err := lockSQLite(at.path)
		if err == nil {
			_, err := migrateUp(ctx, at)
			return errors.Join(err, held.Unlock())
		}
		if !errors.Is(err, ErrLocked) {
			return err
		}
		select {
		case <-patience.Done():
			if ctx.Err() != nil {
				return Wrap("read", "migrations", ctx.Err())
			}
			if have == newest {
				return ErrLocked // it is being migrated
			}
			return &VersionError{Database: have, Program: newest}
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// versions is what the file has and whether its references were checked since, and the
// newest that this program knows.
func versions(ctx context.Context, at location) (have, newest int64, settled bool, err error) {
	known, err := at.known()
	if err != nil {
		return 0, 0, false, err
	}
	newest = known[len(known)-1].Version
	if _, err := os.Stat(at.path); errors.Is(err, fs.ErrNotExist) {
		return 0, newest, true, nil
	}
	have, err = migrating(at, func(m *migrator) (int64, error) {
		unsettled, err := m.unsettled(ctx)
		settled = !unsettled
		if err != nil {
			return 0, err
		}
		return m.version(ctx)
	})
	return have, newest, settled, err
}

// migrator applies migrations on a handle of its own: on SQLite one connection with
// foreign keys off, on PostgreSQL one without time limits.
type migrator struct {
	at     location
	handle *sql.DB
}

// migrating gives a migrator to fn and closes it.
func migrating[T any](at location, fn func(*migrator) (T, error)) (T, error) {
	m, err := openMigrator(at)
	if err != nil {
		var zero T
		return zero, err
	}
	v, err := fn(m)
	return v, errors.Join(err, m.handle.Close())
}

func openMigrator(at location) (*migrator, error) {
	m := &migrator{at: at}
	if at.dialect == Postgres {
		connector, err := at.unlimited().connector()
		if err != nil {
			return nil, err
		}
		m.handle = sql.OpenDB(connector)
		return m, nil
	}
	if err := createSQLite(at.path); err != nil {
		return nil, Wrap("create", "database file", err)
	}
	handle, err := openSQLite(at.path, sqliteMigrator, 1)
	m.handle = handle
	return m, err
}

// up applies what is missing. Replicas that start at once wait for each other.
func (m *migrator) up(ctx context.Context) ([]Migration, error) {
	known, err := m.at.known()
	if err != nil {
		return nil, err
	}
	newest := known[len(known)-1].Version
	have, err := m.version(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case have > newest:
		return nil, &VersionError{Database: have, Program: newest}
	case have == newest:
		return nil, m.settle(ctx)
	}
	if err := m.prepare(ctx, have); err != nil {
		return nil, err
	}
	provider, err := m.provider()
	if err != nil {
		return nil, err
	}
	var results []*goose.MigrationResult
	err = m.inTurn(ctx, func(ctx context.Context) error {
		results, err = provider.Up(ctx)
		return err
	})
	done := m.report(ctx, "database migrated", results)
	if err != nil {
		return done, Wrap("migrate", "database", err)
	}
	if err := m.settle(ctx); err != nil {
		return done, err
	}
	// While we waited for our turn, a newer program may have gone further.
	if have, err = m.version(ctx); err != nil {
		return done, err
	}
	if have > newest {
		return done, &VersionError{Database: have, Program: newest}
	}
	return done, nil
}

// takenByUs is the version of a database, if this program knows the way back from it.
func (m *migrator) takenByUs(ctx context.Context) (have int64, err error) {
	known, err := m.at.known()
	if err != nil {
		return 0, err
	}
	if have, err = m.version(ctx); err != nil {
		return 0, err
	}
	if newest := known[len(known)-1].Version; have > newest {
		return 0, &VersionError{Database: have, Program: newest}
	}
	return have, nil
}

func (m *migrator) down(ctx context.Context, steps int) ([]Migration, error) {
	have, err := m.takenByUs(ctx)
	if err != nil {
		return nil, err
	}
	if err := m.prepare(ctx, have); err != nil {
		return nil, err
	}
	provider, err := m.provider()
	if err != nil {
		return nil, err
	}
	var results []*goose.MigrationResult
	err = m.inTurn(ctx, func(ctx context.Context) error {
		if err := alone(ctx, m.at.dialect, m.handle); err != nil {
			return err
		}
		for range steps {
			r, err := provider.Down(ctx)
			if errors.Is(err, goose.ErrNoNextVersion) {
				break
			}
			if err != nil {
				return err
			}
			results = append(results, r)
		}
		return nil
	})
	done := m.report(ctx, "migration taken back", results)
	if err != nil {
		if errors.Is(err, ErrInUse) {
			return done, fmt.Errorf("%w: stop them first", err)
		}
		return done, Wrap("migrate down", "database", err)
	}
	return done, m.settle(ctx)
}

func (m *migrator) provider() (*goose.Provider, error) {
	files, err := fs.Sub(m.at.files, m.at.folder())
	if err != nil {
		return nil, err
	}
	name := goose.DialectSQLite3
	if m.at.dialect == Postgres {
		name = goose.DialectPostgres
	}
	return goose.NewProvider(name, m.handle, files, goose.WithDisableGlobalRegistry(true))
}

// version is the newest migration that the database has taken, 0 for none.
func (m *migrator) version(ctx context.Context) (int64, error) {
	applied, err := m.applied(ctx)
	if err != nil {
		return 0, Wrap("read", "migrations", err)
	}
	var newest int64
	for v := range applied {
		newest = max(newest, v)
	}
	return newest, nil
}

// applied is the migrations that the database has taken, and when. It changes nothing.
func (m *migrator) applied(ctx context.Context) (map[int64]time.Time, error) {
	const inPostgres = "SELECT count(to_regclass('" + goose.DefaultTablename + "'))"
	const inSQLite = "SELECT count(*) FROM sqlite_master WHERE name = '" + goose.DefaultTablename + "'"
	const list = "SELECT version_id, tstamp FROM " + goose.DefaultTablename + " WHERE is_applied AND version_id > 0"
	exists := inSQLite
	if m.at.dialect == Postgres {
		exists = inPostgres
	}
	var n int
	if err := m.handle.QueryRowContext(ctx, exists).Scan(&n); err != nil || n == 0 {
		return nil, err
	}
	rows, err := m.handle.QueryContext(ctx, list)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	applied := map[int64]time.Time{}
	for rows.Next() {
		var version int64
		var when time.Time
		if err := rows.Scan(&version, &when); err != nil {
			return nil, err
		}
		applied[version] = when.UTC()
	}
	return applied, rows.Err()
}

func (m *migrator) report(ctx context.Context, message string, results []*goose.MigrationResult) []Migration {
	var done []Migration
	for _, r := range results {
		if r == nil || r.Error != nil {
			continue
		}
		done = append(done, Migration{Version: r.Source.Version, Name: migrationName(r.Source.Path)})
		m.at.logger.InfoContext(ctx, message, "version", r.Source.Version, "name", migrationName(r.Source.Path), "duration", r.Duration)
	}
	return done
}

func (l location) folder() string {
	if l.dialect == Postgres {
		return "postgres"
	}
	return "sqlite"
}

// known is the migrations that this program carries, in order.
func (l location) known() ([]Migration, error) {
	names, err := fs.Glob(l.files, l.folder()+"/*.sql")
	if err != nil {
		return nil, err
	}
	var known []Migration
	for _, name := range names {
		number, _, _ := strings.Cut(path.Base(name), "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: a migration begins with its number", name)
		}
		known = append(known, Migration{Version: version, Name: migrationName(name)})
	}
	if len(known) == 0 {
		return nil, errors.New("this program carries no migrations")
	}
	return known, nil
}

func migrationName(file string) string {
	_, name, _ := strings.Cut(strings.TrimSuffix(path.Base(file), ".sql"), "_")
	return name
}
