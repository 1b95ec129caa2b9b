package database_test

import (
	"database/sql"
	"errors"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

// breaking is the migrations of a Zondarr whose next version loses rows that others
// refer to.
func breaking(t *testing.T) fs.FS {
	t.Helper()
	files := newer(t).(fstest.MapFS)
	files["sqlite/99999_later.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nDELETE FROM media_servers;\n-- +goose Down\nSELECT 1;\n")}
	return files
}

// R10.4: a database whose references a migration broke is refused at every start, until
// they are whole again; the copy from before is put back by `zondarr restore`.
func TestBrokenReferencesAreRefused(t *testing.T) {
	old := database.Options{URL: hosttest.URL(t, database.SQLite)}
	path := strings.TrimPrefix(old.URL, "sqlite://")
	d := open(t, old)
	hosttest.Fill(t, d, 2)
	want := hosttest.Dump(t, d)
	closed(t, d)
	broken := database.Options{URL: old.URL, Migrations: breaking(t)}
	beside := broken
	beside.Beside = true
	refused := func(what string, err error) {
		t.Helper()
		var e *database.ReferencesError
		if !errors.As(err, &e) || e.Broken["users to media_servers"] != 2 || !strings.Contains(err.Error(), path+".v") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for range 2 {
		_, err := database.Open(t.Context(), broken)
		refused("open", err)
		_, err = database.Open(t.Context(), beside)
		refused("open beside", err)
		_, err = database.MigrateUp(t.Context(), broken)
		refused("migrate up", err)
		_, err = database.MigrateDown(t.Context(), broken, 1)
		refused("migrate down", err)
	}
	copies, err := filepath.Glob(path + ".v*.bak")
	if err != nil || len(copies) != 1 {
		t.Fatalf("copies: %v, %v", copies, err)
	}

	// A backup of it is refused wherever it is put.
	file := filepath.Join(t.TempDir(), "backup.db")
	if err := database.Backup(t.Context(), broken, file, named); err != nil {
		t.Fatal(err)
	}
	elsewhere := database.Options{URL: hosttest.URL(t, database.SQLite), Migrations: broken.Migrations}
	if _, err := database.Restore(t.Context(), elsewhere, file, ours); err != nil {
		t.Fatal(err)
	}
	_, err = database.Open(t.Context(), elsewhere)
	var e *database.ReferencesError
	if !errors.As(err, &e) {
		t.Errorf("open the restored one: %v", err)
	}

	// Mended by hand, it opens.
	handle := openHandle(t, elsewhere.URL)
	for rows := orphans(t, handle); len(rows) > 0; rows = orphans(t, handle) { // others refer to them
		for _, where := range rows {
			if _, err := handle.ExecContext(t.Context(), "DELETE FROM "+where); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := handle.Close(); err != nil {
		t.Fatal(err)
	}
	closed(t, open(t, elsewhere))

	// The copy from before is as it was.
	if _, err := database.Restore(t.Context(), old, copies[0], anyKey); err != nil {
		t.Fatal(err)
	}
	d = open(t, old)
	defer closed(t, d)
	if err := d.Unset(t.Context(), database.KeyPaused); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(hosttest.Dump(t, d), want) {
		t.Error("the copy does not hold what was there")
	}
}

// orphans are the rows that refer to one that is not there: "table WHERE rowid = 1".
func orphans(t *testing.T, handle *sql.DB) (found []string) {
	t.Helper()
	rows, err := handle.QueryContext(t.Context(), `SELECT DISTINCT "table" || ' WHERE rowid = ' || rowid FROM pragma_foreign_key_check`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var where string
		if err := rows.Scan(&where); err != nil {
			t.Fatal(err)
		}
		found = append(found, where)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// Who is killed between a migration and the check leaves the check to the next.
func TestReferencesAreCheckedLater(t *testing.T) {
	at := database.Options{URL: hosttest.URL(t, database.SQLite)}
	d := open(t, at)
	hosttest.Fill(t, d, 1)
	closed(t, d)
	handle := openHandle(t, at.URL)
	defer func() { _ = handle.Close() }()
	exec := func(statement string) {
		t.Helper()
		if _, err := handle.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	mark := func() (mark int) {
		t.Helper()
		if err := handle.QueryRowContext(t.Context(), "PRAGMA user_version").Scan(&mark); err != nil {
			t.Fatal(err)
		}
		return mark
	}
	for _, beside := range []bool{false, true} {
		exec("PRAGMA user_version = 1")
		closed(t, open(t, database.Options{URL: at.URL, Beside: beside}))
		if mark() != 0 {
			t.Errorf("beside %v: it was not checked", beside)
		}
	}
	exec("PRAGMA user_version = 1")
	exec("DELETE FROM media_servers")
	var e *database.ReferencesError
	if _, err := database.Open(t.Context(), at); !errors.As(err, &e) {
		t.Errorf("open: %v", err)
	}
	// What was broken before is not migrated, so that the older program still serves it.
	exec("PRAGMA user_version = 0")
	next := database.Options{URL: at.URL, Migrations: newer(t)}
	if _, err := database.Open(t.Context(), next); !errors.As(err, &e) {
		t.Errorf("migrate: %v", err)
	}
	if mark() != 0 {
		t.Error("it was marked")
	}
	if copies, err := filepath.Glob(strings.TrimPrefix(at.URL, "sqlite://") + ".v*"); err != nil || len(copies) > 0 {
		t.Errorf("copies: %v, %v", copies, err)
	}
	closed(t, open(t, at))
}
