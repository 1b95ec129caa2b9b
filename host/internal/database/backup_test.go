package database_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

var ourKey = []byte("fingerprint of our key")

func ours(fingerprint []byte) bool { return string(fingerprint) == string(ourKey) }

func open(t *testing.T, opts database.Options) *database.DB {
	t.Helper()
	d, err := database.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A backup made beside a host that goes on writing, put into another place, holds the
// same rows; nothing but the pause is different.
func TestBackupAndRestore(t *testing.T) {
	at := database.Options{URL: hosttest.URL(t, database.SQLite)}
	host := open(t, at)
	hosttest.Fill(t, host, 4)
	want := hosttest.Dump(t, host)

	// What is written meanwhile is in the backup whole or not at all.
	ctx, stop := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			_, err := database.WithTx(ctx, host, func(ctx context.Context, tx *db.Tx) (int, error) {
				for _, half := range []string{"a", "b"} {
					if err := tx.Instance.Create().SetID(fmt.Sprint(half, i)).SetValue([]byte("v")).Exec(ctx); err != nil {
						return 0, err
					}
				}
				return 0, nil
			})
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	file := filepath.Join(t.TempDir(), "backup.db")
	beside := open(t, database.Options{URL: at.URL, Beside: true})
	if err := beside.Backup(t.Context(), file, ourKey); err != nil {
		t.Fatal(err)
	}
	stop()
	writer.Wait()
	if err := errors.Join(beside.Close(), host.Close()); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("the backup: %v, %v", info, err)
	}

	elsewhere := database.Options{URL: hosttest.URL(t, database.SQLite)}
	r, err := database.Restore(t.Context(), elsewhere, file, ours)
	if err != nil || r.Replaced != "" || r.Version == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	restored := open(t, elsewhere)
	defer closed(t, restored)
	if why, err := restored.Get(t.Context(), database.KeyPaused); err != nil || string(why) != "restored" {
		t.Errorf("paused: %q, %v", why, err)
	}
	if _, err := restored.Get(t.Context(), database.KeyFingerprint); !errors.Is(err, database.ErrNotFound) {
		t.Errorf("the fingerprint stayed: %v", err)
	}
	if err := restored.Unset(t.Context(), database.KeyPaused); err != nil {
		t.Fatal(err)
	}
	got := hosttest.Dump(t, restored)
	written := len(got["instance"]) - len(want["instance"])
	if written < 0 || written%2 != 0 {
		t.Errorf("%d rows were written meanwhile, half a transaction", written)
	}
	delete(got, "instance")
	delete(want, "instance")
	if !reflect.DeepEqual(got, want) {
		t.Error("the restored rows are not those that were backed up")
	}
}

func TestBackupRefusesToOverwrite(t *testing.T) {
	d := hosttest.NewDB(t, database.SQLite)
	file := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Backup(t.Context(), file, ourKey); !errors.Is(err, os.ErrExist) {
		t.Errorf("back up: %v", err)
	}
	if left, err := os.ReadFile(file); err != nil || string(left) != "precious" {
		t.Errorf("the file is %q, %v", left, err)
	}
	// One that fails leaves nothing behind.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	folder := t.TempDir()
	if err := d.Backup(ctx, filepath.Join(folder, "b"), ourKey); err == nil {
		t.Error("backed up under a cancelled context")
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Whatever is wrong with a backup, the database that is there stays as it is.
func TestRestoreRefuses(t *testing.T) {
	at := database.Options{URL: hosttest.URL(t, database.SQLite)}
	path := strings.TrimPrefix(at.URL, "sqlite://")
	d := open(t, at)
	hosttest.Fill(t, d, 2)
	file := filepath.Join(t.TempDir(), "backup.db")
	if err := d.Backup(t.Context(), file, ourKey); err != nil {
		t.Fatal(err)
	}
	want := hosttest.Dump(t, d)
	if _, err := database.Restore(t.Context(), at, file, ours); !errors.Is(err, database.ErrLocked) {
		t.Errorf("under a running host: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}

	newerFile := filepath.Join(t.TempDir(), "newer.db")
	later := open(t, database.Options{URL: hosttest.URL(t, database.SQLite), Migrations: newer(t)})
	if err := errors.Join(later.Backup(t.Context(), newerFile, ourKey), later.Close()); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, content []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	damaged := append([]byte{}, raw...)
	for i := range damaged[8192:40000] {
		damaged[8192+i] = 0xff
	}
	var version *database.VersionError
	for name, test := range map[string]struct {
		file string
		fits func([]byte) bool
		want func(error) bool
	}{
		"WrongKey":  {file, func([]byte) bool { return false }, func(err error) bool { return errors.Is(err, database.ErrWrongKey) }},
		"Newer":     {newerFile, ours, func(err error) bool { return errors.As(err, &version) && version.Database == 99999 }},
		"Missing":   {filepath.Join(t.TempDir(), "none"), ours, func(err error) bool { return errors.Is(err, os.ErrNotExist) }},
		"Text":      {write("text", []byte("once upon a time")), ours, func(err error) bool { return err != nil }},
		"Empty":     {write("empty", nil), ours, func(err error) bool { return err != nil }},
		"Cut":       {write("cut", raw[:len(raw)/2]), ours, func(err error) bool { return err != nil }},
		"Damaged":   {write("damaged", damaged), ours, func(err error) bool { return err != nil }},
		"NoBackup":  {write("live.db", mustRead(t, path)), ours, func(err error) bool { return err != nil }},
		"NotZondar": {otherSQLite(t), ours, func(err error) bool { return err != nil }},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := database.Restore(t.Context(), at, test.file, test.fits); !test.want(err) {
				t.Errorf("restore: %v", err)
			}
			d := open(t, at)
			defer closed(t, d)
			if !reflect.DeepEqual(hosttest.Dump(t, d), want) {
				t.Error("the database changed")
			}
			if left, err := filepath.Glob(path + ".re*"); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// otherSQLite is a SQLite database of another program.
func otherSQLite(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "other.db")
	handle := openHandle(t, "sqlite://"+path)
	if _, err := handle.ExecContext(t.Context(), "CREATE TABLE instance (key text, value blob)"); err != nil {
		t.Fatal(err)
	}
	if err := handle.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// What a killed backup and a killed restore left does not get into the next ones.
func TestAfterAKilledBackupAndRestore(t *testing.T) {
	at := database.Options{URL: hosttest.URL(t, database.SQLite)}
	path := strings.TrimPrefix(at.URL, "sqlite://")
	d := open(t, at)
	hosttest.Fill(t, d, 2)
	want := hosttest.Dump(t, d)
	file := filepath.Join(t.TempDir(), "backup.db")
	// A copy of something else, in the middle of a transaction.
	other := otherSQLite(t)
	handle, err := sql.Open("sqlite", "file:"+other+"?_pragma=journal_mode(DELETE)&_pragma=cache_size(1)&_pragma=cache_spill(1)")
	if err != nil {
		t.Fatal(err)
	}
	handle.SetMaxOpenConns(1)
	for _, statement := range []string{
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) INSERT INTO instance SELECT i, randomblob(3000) FROM n", "BEGIN IMMEDIATE",
		"UPDATE instance SET value = randomblob(3001)",
	} {
		if _, err := handle.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	for _, suffix := range []string{"", "-journal"} {
		for _, left := range []string{file + ".partial", path + ".restoring"} {
			if err := os.WriteFile(left+suffix, mustRead(t, other+suffix), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := handle.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := handle.Close(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Backup(t.Context(), file, ourKey), d.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := database.Restore(t.Context(), at, file, ours); err != nil {
		t.Fatal(err)
	}
	restored := open(t, at)
	defer closed(t, restored)
	if err := restored.Unset(t.Context(), database.KeyPaused); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(hosttest.Dump(t, restored), want) {
		t.Error("the restored rows are not those that were backed up")
	}
}

// The database that a restore replaces is kept, even one that is damaged, and nothing
// of it (no WAL) gets into the new one.
func TestRestoreKeepsWhatWasThere(t *testing.T) {
	at := database.Options{URL: hosttest.URL(t, database.SQLite)}
	path := strings.TrimPrefix(at.URL, "sqlite://")
	d := open(t, at)
	file := filepath.Join(t.TempDir(), "backup.db")
	if err := d.Backup(t.Context(), file, ourKey); err != nil {
		t.Fatal(err)
	}
	d.Ent.Instance.Create().SetID("after the backup").SetValue([]byte("v")).ExecX(t.Context())
	// As after a crash: with a WAL that was never moved into the file.
	crashed := filepath.Join(t.TempDir(), "crashed.db")
	for _, suffix := range []string{"", "-wal"} {
		if err := os.WriteFile(crashed+suffix, mustRead(t, path+suffix), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}

	r, err := database.Restore(t.Context(), database.Options{URL: "sqlite://" + crashed}, file, ours)
	if err != nil {
		t.Fatal(err)
	}
	kept := open(t, database.Options{URL: "sqlite://" + r.Replaced})
	defer closed(t, kept)
	if _, err := kept.Get(t.Context(), "after the backup"); err != nil {
		t.Errorf("what was in the WAL is lost: %v", err)
	}
	restored := open(t, database.Options{URL: "sqlite://" + crashed})
	defer closed(t, restored)
	if _, err := restored.Get(t.Context(), "after the backup"); !errors.Is(err, database.ErrNotFound) {
		t.Errorf("the old WAL got into the new database: %v", err)
	}

	if err := os.WriteFile(path, []byte(strings.Repeat("damaged", 2000)), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err = database.Restore(t.Context(), at, file, ours)
	if err != nil || !strings.HasPrefix(string(mustRead(t, r.Replaced)), "damaged") {
		t.Fatalf("%+v, %v", r, err)
	}
	again := open(t, at)
	defer closed(t, again)
}

func TestPostgresHasToolsOfItsOwn(t *testing.T) {
	d := hosttest.NewDB(t, database.Postgres)
	var e *database.OtherToolError
	if err := d.Backup(t.Context(), filepath.Join(t.TempDir(), "b"), ourKey); !errors.As(err, &e) || !strings.Contains(e.Command, "pg_dump") {
		t.Errorf("back up: %v", err)
	}
	_, err := database.Restore(t.Context(), database.Options{URL: "postgres://u:s3cret@h/db"}, "file", ours)
	if !errors.As(err, &e) || !strings.Contains(e.Command, "pg_restore") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("restore: %v", err)
	}
}
