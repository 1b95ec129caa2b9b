//go:build soak

package database_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

// An instance of 100,000 users and invitations moves to PostgreSQL and back; every
// checksum holds. (It also makes a backup and restores it.)
func TestSoakMove(t *testing.T) {
	from, over, back := database.Options{URL: hosttest.URL(t, database.SQLite)},
		database.Options{URL: hosttest.URL(t, database.Postgres)}, database.Options{URL: hosttest.URL(t, database.SQLite)}
	if _, err := database.MigrateUp(t.Context(), from); err != nil {
		t.Fatal(err)
	}
	handle := openHandle(t, from.URL)
	hosttest.Many(t, handle, database.SQLite, hosttest.ManyRows)
	if err := handle.Close(); err != nil {
		t.Fatal(err)
	}
	timed := func(what string, fn func()) {
		start := time.Now()
		fn()
		t.Logf("%s: %v", what, time.Since(start).Round(time.Millisecond))
	}
	file := t.TempDir() + "/backup.db"
	timed("back up", func() {
		if err := database.Backup(t.Context(), from, file, named); err != nil {
			t.Fatal(err)
		}
	})
	timed("restore", func() {
		if _, err := database.Restore(t.Context(), from, file, ours); err != nil {
			t.Fatal(err)
		}
	})
	var there, here []database.CopiedTable
	var err error
	timed("copy to PostgreSQL", func() {
		if there, err = database.Copy(t.Context(), from, over); err != nil {
			t.Fatal(err)
		}
	})
	timed("copy back", func() {
		if here, err = database.Copy(t.Context(), over, back); err != nil {
			t.Fatal(err)
		}
	})
	if !reflect.DeepEqual(there, here) {
		t.Error("the checksums differ")
	}
}
