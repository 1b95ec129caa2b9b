package main

import (
	"database/sql"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"ariga.io/atlas/sql/migrate"

	entmigrate "github.com/zondarr/zondarr/ent/db/migrate"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

const migrationsFolder = "../../../../migrations"

// R10.6, R10.2: what the migrations make is what the schema says, on both databases.
func TestMigrationsMatchTheSchema(t *testing.T) {
	for _, d := range dialects(hosttest.Server(t)) {
		t.Run(d.folder, func(t *testing.T) {
			p, err := d.plan(t.Context(), filepath.Join(migrationsFolder, d.folder), "drift")
			if errors.Is(err, migrate.ErrNoPlan) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range p.Changes {
				t.Errorf("missing from the migrations: %s", c.Cmd)
			}
		})
	}
}

// The same number means the same step on both databases.
func TestBothDialectsHaveTheSameSteps(t *testing.T) {
	var names [2][]string
	for i, folder := range []string{"sqlite", "postgres"} {
		files, err := filepath.Glob(filepath.Join(migrationsFolder, folder, "*.sql"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			names[i] = append(names[i], filepath.Base(f))
		}
	}
	if len(names[0]) == 0 || !reflect.DeepEqual(names[0], names[1]) {
		t.Fatalf("sqlite has %v, postgres has %v", names[0], names[1])
	}
}

// changeSchema makes the schema that is planned for another one until restore is called: a
// check on the servers, which SQLite can only have by rebuilding the table that half of
// the others refer to with ON DELETE CASCADE; a column and an index that are new, and
// one index that goes.
func changeSchema() (restore func()) {
	servers, users := entmigrate.MediaServersTable, entmigrate.UsersTable
	checks, columns, indexes := servers.Annotation.Checks, users.Columns, users.Indexes
	servers.Annotation.Checks = maps.Clone(checks)
	servers.Annotation.Checks["media_servers_revision_00000000"] = "revision >= -5"
	added := *users.Columns[4] // email: text that may be NULL
	added.Name = "nickname"
	users.Columns = append(users.Columns[:len(users.Columns):len(users.Columns)], &added)
	index := *users.Indexes[1]
	index.Name, index.Columns = "user_nickname", nil
	index.Columns = append(index.Columns, &added)
	users.Indexes = append(users.Indexes[1:len(users.Indexes):len(users.Indexes)], &index)
	return func() { servers.Annotation.Checks, users.Columns, users.Indexes = checks, columns, indexes }
}

// P14, R10.4, R10.5: a planned migration goes up, down and up again, table rebuilds on
// SQLite included, without losing a row.
func TestPlannedMigrationLosesNothing(t *testing.T) {
	for _, target := range dialects(hosttest.Server(t)) {
		t.Run(target.folder, func(t *testing.T) {
			dialect := database.Dialect(target.name)
			opts := database.Options{URL: hosttest.URL(t, dialect)}

			d, err := database.Open(t.Context(), opts)
			if err != nil {
				t.Fatal(err)
			}
			hosttest.Fill(t, d, 5)
			want := hosttest.Dump(t, d)
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}

			folder := t.TempDir()
			if err := os.CopyFS(folder, os.DirFS(filepath.Join(migrationsFolder, target.folder))); err != nil {
				t.Fatal(err)
			}
			before, err := target.state(t.Context(), folder)
			if err != nil {
				t.Fatal(err)
			}
			restore := changeSchema()
			text, err := target.migration(t.Context(), folder, "change")
			restore()
			if err != nil {
				t.Fatal(err)
			}
			if target.folder == "sqlite" && !strings.Contains(text, "DROP TABLE `media_servers`") {
				t.Fatalf("the table is not rebuilt, so nothing is tested:\n%s", text)
			}
			files := fstest.MapFS{target.folder + "/99999_change.sql": {Data: []byte(text)}}
			originals, err := filepath.Glob(filepath.Join(folder, "*.sql"))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range originals {
				data, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				files[target.folder+"/"+filepath.Base(f)] = &fstest.MapFile{Data: data}
			}
			changed := database.Options{URL: opts.URL, Migrations: files}

			for range 2 {
				up, err := database.MigrateUp(t.Context(), changed)
				if err != nil || len(up) != 1 {
					t.Fatalf("up: %v, %v\n%s", up, err, text)
				}
				compare(t, changed, want)
				// The program that does not know the new version refuses it.
				var tooNew *database.VersionError
				if _, err := database.Open(t.Context(), opts); !errors.As(err, &tooNew) || tooNew.Database != 99999 {
					t.Fatalf("opened by an older program: %v", err)
				}
				down, err := database.MigrateDown(t.Context(), changed, 1)
				if err != nil || len(down) != 1 {
					t.Fatalf("down: %v, %v\n%s", down, err, text)
				}
				compare(t, opts, want)
			}

			// The way back leads to exactly the schema that was there.
			if err := os.WriteFile(filepath.Join(folder, "99999_back.sql"), []byte(roundTrip(text)), 0o600); err != nil {
				t.Fatal(err)
			}
			after, err := target.state(t.Context(), folder)
			if err != nil {
				t.Fatal(err)
			}
			if err := target.onScratch(t.Context(), func(scratch *sql.DB) error {
				drv, err := target.atlas(scratch)
				if err != nil {
					return err
				}
				changes, err := drv.SchemaDiff(before, after)
				if len(changes) > 0 {
					t.Errorf("up and down changed the schema: %v", changes)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// roundTrip is a migration that goes up and down at once.
func roundTrip(text string) string {
	up, down, _ := strings.Cut(text, "-- +goose Down\n")
	return up + down
}

func compare(t *testing.T, opts database.Options, want map[string][]string) {
	t.Helper()
	d, err := database.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, d)
	// The columns of the schema before: what both can hold.
	for table, rows := range hosttest.Dump(t, d) {
		if !reflect.DeepEqual(rows, want[table]) {
			t.Errorf("%s changed: %d rows, were %d", table, len(rows), len(want[table]))
		}
	}
	if err := d.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func closed(t *testing.T, d *database.DB) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
