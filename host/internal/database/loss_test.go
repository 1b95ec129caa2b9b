package database_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

// What goes with a migration that is taken back is told by name before, on PostgreSQL,
// where no copy is kept.
func TestLosses(t *testing.T) {
	opts := database.Options{URL: hosttest.URL(t, database.Postgres), Migrations: newer(t)}
	files := opts.Migrations.(fstest.MapFS)
	files["postgres/99998_more.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE extra (v int);\nINSERT INTO extra VALUES (1), (2);\n" +
		"ALTER TABLE users ADD COLUMN extra1 int, ADD COLUMN extra2 int;\n" +
		"-- +goose Down\n-- DROP TABLE not_this_one;\nALTER TABLE \"users\" DROP COLUMN extra1, DROP COLUMN \"extra2\";\nDROP TABLE extra;\n")}
	if losses, err := database.Losses(t.Context(), opts, 1); err != nil || losses != nil {
		t.Errorf("of nothing: %v, %v", losses, err)
	}
	d := open(t, opts)
	hosttest.Fill(t, d, 2)
	closed(t, d)
	want := []database.Loss{
		{Migration: database.Migration{Version: 99999, Name: "later"}, Goes: []string{"column instance.note"}},
		{Migration: database.Migration{Version: 99998, Name: "more"}, Goes: []string{"column users.extra1", "column users.extra2", "table extra (2 rows)"}},
	}
	for steps := range 3 {
		if losses, err := database.Losses(t.Context(), opts, steps); err != nil || len(losses) != steps || steps > 0 && !reflect.DeepEqual(losses, want[:steps]) {
			t.Errorf("%d steps: %v, %v", steps, losses, err)
		}
	}
	losses, err := database.Losses(t.Context(), opts, 100)
	if err != nil || len(losses) < 3 || !slices.Contains(losses[len(losses)-1].Goes, "table users (2 rows)") {
		t.Errorf("all: %v, %v", losses, err)
	}
	var e *database.VersionError
	if _, err := database.Losses(t.Context(), database.Options{URL: opts.URL}, 1); !errors.As(err, &e) {
		t.Errorf("by an older program: %v", err)
	}
	if losses, err := database.Losses(t.Context(), database.Options{URL: hosttest.URL(t, database.SQLite)}, 1); err != nil || losses != nil {
		t.Errorf("SQLite: %v, %v", losses, err)
	}
}

// Tables are not dropped under a host.
func TestMigrateDownUnderAHost(t *testing.T) {
	hosttest.EachDialect(t, func(t *testing.T, dialect database.Dialect) {
		at := hosttest.URL(t, dialect)
		want := database.ErrLocked
		if dialect == database.Postgres {
			want = database.ErrInUse
		}
		for _, key := range []string{"", "abc"} { // one that seals nothing is found too
			host := open(t, database.Options{URL: at, Key: key})
			if done, err := database.MigrateDown(t.Context(), database.Options{URL: at, Key: key}, 1); !errors.Is(err, want) || len(done) > 0 {
				t.Errorf("under a host: %v, %v", done, err)
			}
			if err := host.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			closed(t, host)
		}
		if done, err := database.MigrateDown(t.Context(), database.Options{URL: at}, 1); err != nil || len(done) != 1 {
			t.Errorf("at rest: %v, %v", done, err)
		}
	})
}
