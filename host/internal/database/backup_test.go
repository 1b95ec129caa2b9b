package database_test

import (
	"bytes"
	"context"
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

const ourKey = "fingerprint of our key"

var errOtherKey = errors.New("another key")

// named gives the name of our key, for a backup.
func named(context.Context, database.Getter) (string, error) { return ourKey, nil }

// ours refuses to restore what does not bear the name of our key.
func ours(ctx context.Context, get database.Getter) error {
	name, err := get(ctx, database.KeyFingerprint)
	if err == nil && string(name) != ourKey {
		err = errOtherKey
	}
	return err
}

// anyKey restores whatever there is.
func anyKey(context.Context, database.Getter) error { return nil }

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
	if err := database.Backup(t.Context(), at, file, named); err != nil {
		t.Fatal(err)
	}
	stop()
	writer.Wait()
	if err := host.Close(); err != nil {
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
	at := database.Options{URL: hosttest.URL(t, database.SQLite)}
	d := open(t, at)
	defer closed(t, d)
	file := filepath.Join(t.TempDir(), "precious")
	write := func(path string) {
		t.Helper()
		if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file)
	if err := database.Backup(t.Context(), at, file, named); !errors.Is(err, os.ErrExist) {
		t.Errorf("back up: %v", err)
	}
	// Nor what appears while the backup is made, nor what only has a similar name.
	late := filepath.Join(t.TempDir(), "late")
	write(late + ".partial")
	if err := database.Backup(t.Context(), at, late, func(context.Context, database.Getter) (string, error) {
		write(late)
		return ourKey, nil
	}); !errors.Is(err, os.ErrExist) {
		t.Errorf("back up over a file that appeared: %v", err)
	}
	for _, path := range []string{file, late, late + ".partial"} {
		if left := mustRead(t, path); string(left) != "precious" {
			t.Errorf("%s is %q", path, left)
		}
	}
	// One that fails leaves nothing behind.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	folder := t.TempDir()
	if err := database.Backup(ctx, at, filepath.Join(folder, "b"), named); err == nil {
		t.Error("backed up under a cancelled context")
	}
	refuse := func(context.Context, database.Getter) (string, error) { return "", errOtherKey }
	if err := database.Backup(t.Context(), at, filepath.Join(folder, "b"), refuse); !errors.Is(err, errOtherKey) {
		t.Errorf("backed up under a key that opens nothing: %v", err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// The backup before an upgrade is for the program from before: the new one makes it
// without migrating, under a running host or none, and changes nothing.
func TestBackupDoesNotMigrate(t *testing.T) {
	old := database.Options{URL: hosttest.URL(t, database.SQLite)}
	path := strings.TrimPrefix(old.URL, "sqlite://")
	d := open(t, old)
	hosttest.Fill(t, d, 2)
	want := hosttest.Dump(t, d)
	next := database.Options{URL: old.URL, Migrations: newer(t)}
	files := []string{filepath.Join(t.TempDir(), "beside.db"), filepath.Join(t.TempDir(), "stopped.db")}
	if err := errors.Join(database.Backup(t.Context(), next, files[0], named), d.Close()); err != nil {
		t.Fatal(err)
	}
	before := mustRead(t, path)
	if err := database.Backup(t.Context(), next, files[1], named); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(mustRead(t, path), before) {
		t.Error("the database changed")
	}
	if copies, err := filepath.Glob(path + ".v*"); err != nil || len(copies) > 0 {
		t.Errorf("it was migrated: %v, %v", copies, err)
	}
	for _, file := range files {
		elsewhere := database.Options{URL: hosttest.URL(t, database.SQLite)}
		if _, err := database.Restore(t.Context(), elsewhere, file, ours); err != nil {
			t.Errorf("the program from before: %v", err)
			continue
		}
		restored := open(t, elsewhere)
		if err := restored.Unset(t.Context(), database.KeyPaused); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(hosttest.Dump(t, restored), want) {
			t.Error("the restored rows are not those that were backed up")
		}
		closed(t, restored)
	}
}

// Where there is no database of ours nothing is backed up, and nothing is made.
func TestBackupRefusesWhatIsNoDatabase(t *testing.T) {
	folder := t.TempDir()
	for name, content := range map[string][]byte{"empty.db": nil, "text.db": []byte(strings.Repeat("once upon a time ", 500)), "other.db": mustRead(t, otherSQLite(t))} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"missing.db": "there is no Zondarr database at", "empty.db": "there is no Zondarr database at",
		"other.db": "there is no Zondarr database at", "text.db": "the file is damaged, or it is no SQLite database",
	} {
		at := database.Options{URL: "sqlite://" + filepath.Join(folder, name)}
		err := database.Backup(t.Context(), at, filepath.Join(folder, "backup"), named)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after, err := os.ReadDir(folder); err != nil || len(after) != len(before) {
		t.Errorf("left behind: %v, %v", after, err)
	}

	moved := database.Options{URL: hosttest.URL(t, database.SQLite)}
	d := open(t, moved)
	if err := errors.Join(d.Set(t.Context(), database.KeyMovedTo, []byte("elsewhere")), d.Close()); err != nil {
		t.Fatal(err)
	}
	var e *database.MovedError
	if err := database.Backup(t.Context(), moved, filepath.Join(folder, "backup"), named); !errors.As(err, &e) || e.To != "elsewhere" {
		t.Errorf("an instance that was moved: %v", err)
	}
}

// Which keys open what is sealed is read from the copy: a change of keys that begins
// meanwhile is not in it.
func TestBackupJudgesTheCopy(t *testing.T) {
	at := database.Options{URL: hosttest.URL(t, database.SQLite)}
	d := open(t, at)
	defer closed(t, d)
	if err := d.Set(t.Context(), "key", []byte("before")); err != nil {
		t.Fatal(err)
	}
	if err := database.Backup(t.Context(), at, filepath.Join(t.TempDir(), "b"), func(ctx context.Context, get database.Getter) (string, error) {
		if err := errors.Join(d.Set(ctx, "key", []byte("after")), d.Set(ctx, "next", []byte("v"))); err != nil {
			t.Error(err)
		}
		if value, err := get(ctx, "key"); err != nil || string(value) != "before" {
			t.Errorf("the key is %q, %v", value, err)
		}
		if _, err := get(ctx, "next"); !errors.Is(err, database.ErrNotFound) {
			t.Errorf("the next one is there: %v", err)
		}
		return ourKey, nil
	}); err != nil {
		t.Fatal(err)
	}
}

// Nothing is opened: no server answers at these addresses.
func TestPostgresHasToolsOfItsOwn(t *testing.T) {
	at := database.Options{URL: "postgres://u:s3cret@127.0.0.1:1/db?sslmode=verify-full&sslrootcert=/ca.pem&sslkey=/key.pem&sslpassword=s3cret&password=s3cret&statement_cache=off"}
	const reached = " --dbname='postgres://u@127.0.0.1:1/db?sslkey=%2Fkey.pem&sslmode=verify-full&sslrootcert=%2Fca.pem'"
	for name, test := range map[string]struct {
		err  error
		want []string
	}{
		"Backup": {
			database.Backup(t.Context(), at, "it's", named),
			[]string{`pg_dump --format=custom --file='it'\''s'` + reached, "The secret key is not in that file", "keep a copy of the key"},
		},
		"Restore": {
			func() error { _, err := database.Restore(t.Context(), at, "file", ours); return err }(),
			[]string{"pg_restore --clean --if-exists --single-transaction 'file'" + reached, "secret key of that time is needed", "zondarr serve --paused"},
		},
	} {
		var e *database.OtherToolError
		if !errors.As(test.err, &e) {
			t.Fatalf("%s: %v", name, test.err)
		}
		for _, want := range test.want {
			if !strings.Contains(test.err.Error(), want) {
				t.Errorf("%s does not say %q: %v", name, want, test.err)
			}
		}
		if strings.Contains(test.err.Error(), "s3cret") {
			t.Errorf("%s gives the password away: %v", name, test.err)
		}
	}
	inline := database.Options{URL: "postgres://u@h/db?sslinline=true&sslkey=s3cret&sslcert=c"}
	if err := database.Backup(t.Context(), inline, "file", named); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("an inline key is given away: %v", err)
	}
}
