package database_test

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/migrations"
)

func TestCheckURL(t *testing.T) {
	for _, good := range []string{
		"sqlite:///var/lib/zondarr.db", "sqlite://data/zondarr.db", "sqlite://./with%20space.db",
		"postgres://u:p@host/db", "postgresql://u@host:5433/db?sslmode=verify-full&sslrootcert=/ca.pem",
		"postgres:///db?host=/run/postgresql", "postgres://h/db?max_conns=4&statement_cache=off",
	} {
		if err := database.CheckURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "zondarr.db", "mysql://u:s3cret@h/db", "sqlite://", "sqlite:///data/", "sqlite://:memory:", "sqlite:///a.db?mode=ro",
		"sqlite:///a%zz", "postgres://u:s3cret%@host/db", "postgres://u:s3cret@host:notaport/db", "postgres://u:s3cret@h/db?max_conns=1",
		"postgres://u:s3cret@h/db?statement_cache=maybe", "postgres://u:s3cret@h/db?binary_parameters=yes",
	} {
		err := database.CheckURL(bad)
		if err == nil {
			t.Errorf("%s is accepted", bad)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v gives the password away", err)
		}
	}
}

// No error of opening shows what the URL carries.
func TestOpenKeepsThePassword(t *testing.T) {
	u, err := url.Parse(hosttest.URL(t, database.Postgres))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("nobody-we-know", "s3cret")
	for _, at := range []string{u.String(), "postgres://u:s3cret@127.0.0.1:1/db", "postgres://u:s3cret@127.0.0.1:1/db?sslmode=sideways"} {
		if _, err := database.Open(t.Context(), database.Options{URL: at}); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("open: %v", err)
		}
	}
}

func TestSQLiteIsSetUp(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a folder with 100% odd #characters?")
	at := "sqlite://" + strings.NewReplacer("%", "%25", "#", "%23", "?", "%3F").Replace(folder) + "/zondarr.db"
	d, err := database.Open(t.Context(), database.Options{URL: at})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, d)
	for file, mode := range map[string]fs.FileMode{"": 0o700 | fs.ModeDir, "zondarr.db": 0o600, "zondarr.db-wal": 0o600, "zondarr.db.lock": 0o600} {
		info, err := os.Stat(filepath.Join(folder, file))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != mode {
			t.Errorf("%q has mode %v, want %v", file, info.Mode(), mode)
		}
	}
	want := map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000", "journal_size_limit": "67108864"}
	for pragma, value := range want {
		got := answer(t, d, "PRAGMA "+pragma)
		if got != value {
			t.Errorf("%s is %s, want %s", pragma, got, value)
		}
	}
}

// answer is the one value that a statement gives; of SQLite it asks the writer, unless
// it is a SELECT.
func answer(t *testing.T, d *database.DB, statement string) (value string) {
	t.Helper()
	rows, err := d.Ent.QueryContext(t.Context(), statement)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&value); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return value
}

// One SQLite file has one host; a command may open it beside.
func TestSecondHostIsRefused(t *testing.T) {
	at := hosttest.URL(t, database.SQLite)
	d, err := database.Open(t.Context(), database.Options{URL: at})
	if err != nil {
		t.Fatal(err)
	}
	refused := map[string]func() error{
		"Open": func() error { _, err := database.Open(t.Context(), database.Options{URL: at}); return err },
		"MigrateUp": func() error {
			_, err := database.MigrateUp(t.Context(), database.Options{URL: at})
			return err
		},
		"MigrateDown": func() error {
			_, err := database.MigrateDown(t.Context(), database.Options{URL: at}, 1)
			return err
		},
	}
	for name, attempt := range refused {
		if err := attempt(); !errors.Is(err, database.ErrLocked) {
			t.Errorf("%s: %v", name, err)
		}
	}
	beside, err := database.Open(t.Context(), database.Options{URL: at, Beside: true})
	if err != nil {
		t.Fatal(err)
	}
	beside.Ent.Instance.Create().SetID("from beside").SetValue([]byte("v")).ExecX(t.Context())
	if d.Ent.Instance.Query().CountX(t.Context()) != 1 {
		t.Error("the host does not see what was written beside it")
	}
	if err := errors.Join(beside.Close(), d.Close()); err != nil {
		t.Fatal(err)
	}
	for name, attempt := range refused { // and free again
		if name == "Open" {
			continue
		}
		if err := attempt(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// R10.4: ten that start at once on an empty database apply each migration exactly once.
func TestTenStartAtOnce(t *testing.T) {
	hosttest.EachDialect(t, func(t *testing.T, dialect database.Dialect) {
		opts := database.Options{URL: hosttest.URL(t, dialect), Beside: true}
		var mu sync.Mutex
		applied := map[int64]int{}
		var group sync.WaitGroup
		for i := range 10 {
			group.Go(func() {
				if dialect == database.SQLite && i%2 == 0 { // commands, which wait for each other
					d, err := database.Open(t.Context(), opts)
					if err != nil {
						t.Errorf("open beside: %v", err)
						return
					}
					if err := d.Close(); err != nil {
						t.Error(err)
					}
					return
				}
				done, err := database.MigrateUp(t.Context(), opts)
				if err != nil && (dialect == database.Postgres || !errors.Is(err, database.ErrLocked)) {
					t.Errorf("migrate: %v", err)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, m := range done {
					applied[m.Version]++
				}
			})
		}
		group.Wait()
		status, err := database.MigrationStatus(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range status {
			if m.AppliedAt == nil {
				t.Errorf("%d is not applied", m.Version)
			}
			if n := applied[m.Version]; n > 1 || n == 0 && dialect == database.Postgres {
				t.Errorf("%d was applied %d times", m.Version, n)
			}
		}
	})
}

// newer is the migrations of a Zondarr that is one version ahead.
func newer(t *testing.T) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	if err := fs.WalkDir(migrations.Files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(migrations.Files, path)
		files[path] = &fstest.MapFile{Data: data}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	step := &fstest.MapFile{Data: []byte("-- +goose Up\nALTER TABLE instance ADD COLUMN note text NULL;\n-- +goose Down\nALTER TABLE instance DROP COLUMN note;\n")}
	files["sqlite/99999_later.sql"], files["postgres/99999_later.sql"] = step, step
	return files
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	hosttest.EachDialect(t, func(t *testing.T, dialect database.Dialect) {
		old := database.Options{URL: hosttest.URL(t, dialect)}
		if _, err := database.MigrateUp(t.Context(), database.Options{URL: old.URL, Migrations: newer(t)}); err != nil {
			t.Fatal(err)
		}
		beside := old
		beside.Beside = true
		for name, attempt := range map[string]func() error{
			"Open":        func() error { _, err := database.Open(t.Context(), old); return err },
			"Open beside": func() error { _, err := database.Open(t.Context(), beside); return err },
			"MigrateUp":   func() error { _, err := database.MigrateUp(t.Context(), old); return err },
			"MigrateDown": func() error { _, err := database.MigrateDown(t.Context(), old, 1); return err },
		} {
			var e *database.VersionError
			err := attempt()
			if !errors.As(err, &e) || e.Database != 99999 || e.Program >= 99999 {
				t.Errorf("%s: %v", name, err)
			} else if !strings.Contains(err.Error(), "99999") || !strings.Contains(err.Error(), "newer Zondarr") {
				t.Errorf("%s does not say what to do: %v", name, err)
			}
		}
		// Refused is not changed: the newer program still opens it.
		status, err := database.MigrationStatus(t.Context(), old)
		if err != nil || status[len(status)-1].Version != 99999 || status[len(status)-1].AppliedAt == nil {
			t.Errorf("status: %v, %v", status, err)
		}
	})
}

// A command beside a host that has not migrated yet says so instead of migrating under it.
func TestBesideAnOlderHost(t *testing.T) {
	at := hosttest.URL(t, database.SQLite)
	host, err := database.Open(t.Context(), database.Options{URL: at})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, host)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var e *database.VersionError
	if _, err := database.Open(ctx, database.Options{URL: at, Beside: true, Migrations: newer(t)}); !errors.As(err, &e) || e.Program != 99999 {
		t.Fatalf("opened: %v", err)
	}
}

// R10.5, P14: every migration goes down and up again with rows in every table, and what
// both versions can hold is kept.
func TestEveryMigrationDownAndUp(t *testing.T) {
	hosttest.EachDialect(t, func(t *testing.T, dialect database.Dialect) {
		opts := database.Options{URL: hosttest.URL(t, dialect)}
		d, err := database.Open(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		hosttest.Fill(t, d, 3)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		before := hosttest.DumpURL(t, opts.URL)
		if len(before) == 0 {
			t.Fatal("there are no tables")
		}
		status, err := database.MigrationStatus(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		for steps := 1; steps <= len(status); steps++ {
			down, err := database.MigrateDown(t.Context(), opts, steps)
			if err != nil || len(down) != steps {
				t.Fatalf("%d down: %v, %v", steps, down, err)
			}
			between := hosttest.DumpURL(t, opts.URL)
			keptBoth(t, before, between)
			if steps == len(status) && len(between) != 0 {
				t.Errorf("tables left at the very beginning: %v", between)
			}
			up, err := database.MigrateUp(t.Context(), opts)
			if err != nil || len(up) != steps {
				t.Fatalf("%d up: %v, %v", steps, up, err)
			}
			slices.Reverse(down)
			if !slices.EqualFunc(up, down, func(a, b database.Migration) bool { return a.Version == b.Version }) {
				t.Errorf("up %v is not down %v", up, down)
			}
			after := hosttest.DumpURL(t, opts.URL)
			keptBoth(t, between, after)
			before = after
		}
		if dialect == database.SQLite {
			copies, err := filepath.Glob(strings.TrimPrefix(opts.URL, "sqlite://") + ".v*.bak")
			if err != nil || len(copies) == 0 {
				t.Errorf("no copy was made before: %v, %v", copies, err)
			}
			for _, c := range copies {
				if info, err := os.Stat(c); err != nil || info.Mode() != 0o600 || info.Size() == 0 {
					t.Errorf("%s: %v, %v", c, info, err)
				}
			}
			first := hosttest.DumpURL(t, "sqlite://"+copies[0])
			if len(first["users"]["id"]) != 3 {
				t.Error("the copy does not hold the rows")
			}
		}
	})
}

// keptBoth compares what two schemas can both hold.
func keptBoth(t *testing.T, one, two map[string]map[string][]string) {
	t.Helper()
	for table, columns := range one {
		for column, values := range columns {
			if now, ok := two[table][column]; ok && !slices.Equal(now, values) {
				t.Errorf("%s.%s changed from %q to %q", table, column, values, now)
			}
		}
	}
}

// One file has one host, whatever way leads to it.
func TestLockHoldsBehindLinks(t *testing.T) {
	dir := t.TempDir()
	file, link, linkedDir := filepath.Join(dir, "zondarr.db"), filepath.Join(dir, "link.db"), filepath.Join(t.TempDir(), "dir")
	d, err := database.Open(t.Context(), database.Options{URL: "sqlite://" + file})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := errors.Join(os.Symlink(file, link), os.Symlink(dir, linkedDir)); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{link, filepath.Join(linkedDir, "zondarr.db")} {
		if second, err := database.Open(t.Context(), database.Options{URL: "sqlite://" + other}); !errors.Is(err, database.ErrLocked) {
			t.Errorf("a second host by %s: %v", filepath.Base(other), err)
			if err == nil {
				_ = second.Close() // the test has failed
			}
		}
	}
}
