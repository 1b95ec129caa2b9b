package database_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

// Whatever is wrong with a backup, the database that is there stays as it is.
func TestRestoreRefuses(t *testing.T) {
	at := database.Options{URL: hosttest.URL(t, database.SQLite)}
	path := strings.TrimPrefix(at.URL, "sqlite://")
	d := open(t, at)
	hosttest.Fill(t, d, 2)
	file := filepath.Join(t.TempDir(), "backup.db")
	if err := database.Backup(t.Context(), at, file, named); err != nil {
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
	later := database.Options{URL: hosttest.URL(t, database.SQLite), Migrations: newer(t)}
	if err := errors.Join(open(t, later).Close(), database.Backup(t.Context(), later, newerFile, named)); err != nil {
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
		fits func(context.Context, database.Getter) error
		want func(error) bool
	}{
		"WrongKey": {file, func(context.Context, database.Getter) error { return errOtherKey }, func(err error) bool { return errors.Is(err, errOtherKey) }},
		"Newer":    {newerFile, ours, func(err error) bool { return errors.As(err, &version) && version.Database == 99999 }},
		"Missing":  {filepath.Join(t.TempDir(), "none"), ours, func(err error) bool { return errors.Is(err, os.ErrNotExist) }},
		"Text":     {write("text", []byte("once upon a time")), ours, says("no SQLite database")},
		"Empty":    {write("empty", nil), ours, says("holds no Zondarr")},
		"Cut":      {write("cut", raw[:len(raw)/2]), ours, says("damaged")},
		"Damaged":  {write("damaged", damaged), ours, says("damaged")},
		"Unnamed":  {write("live.db", mustRead(t, path)), ours, func(err error) bool { return errors.Is(err, database.ErrNotFound) }},
		"NotOurs":  {otherSQLite(t), ours, says("holds no Zondarr")},
		"Itself":   {path, anyKey, says("is the database that is there")},
		"ByLink":   {linked(t, path), anyKey, says("is the database that is there")},
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

func says(text string) func(error) bool {
	return func(err error) bool { return err != nil && strings.Contains(err.Error(), text) }
}

func linked(t *testing.T, path string) string {
	t.Helper()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	return link
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

// The database that a restore replaces is kept, even one that is damaged, and nothing
// of it (no WAL) gets into the new one.
func TestRestoreKeepsWhatWasThere(t *testing.T) {
	at := database.Options{URL: hosttest.URL(t, database.SQLite)}
	path := strings.TrimPrefix(at.URL, "sqlite://")
	d := open(t, at)
	file := filepath.Join(t.TempDir(), "backup.db")
	if err := database.Backup(t.Context(), at, file, named); err != nil {
		t.Fatal(err)
	}
	d.Ent.Instance.Create().SetID("after the backup").SetValue([]byte("v")).ExecX(t.Context())
	// As after a crash: with a WAL that was never moved into the file.
	crashed, also := filepath.Join(t.TempDir(), "crashed.db"), filepath.Join(t.TempDir(), "also.db")
	for _, suffix := range []string{"", "-wal"} {
		for _, base := range []string{crashed, also} {
			if err := os.WriteFile(base+suffix, mustRead(t, path+suffix), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}

	r, err := database.Restore(t.Context(), database.Options{URL: "sqlite://" + crashed}, file, ours)
	if err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(r.Replaced + "-*"); err != nil || len(left) > 0 {
		t.Errorf("left beside a sound one: %v, %v", left, err)
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

	// What was kept is put back by the same command, and so is a file with its WAL.
	for _, file := range []string{r.Replaced, also} {
		back := database.Options{URL: hosttest.URL(t, database.SQLite)}
		held, err := filepath.Glob(file + "*")
		if err != nil {
			t.Fatal(err)
		}
		if file == r.Replaced { // it is open above
			file = filepath.Join(t.TempDir(), "kept.db")
			if err := os.WriteFile(file, mustRead(t, r.Replaced), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := database.Restore(t.Context(), back, file, anyKey); err != nil {
			t.Fatalf("%v: %v", held, err)
		}
		d := open(t, back)
		if _, err := d.Get(t.Context(), "after the backup"); err != nil {
			t.Errorf("%v: %v", held, err)
		}
		closed(t, d)
	}
	// That of a running host is not torn out of its hands.
	if _, err := database.Restore(t.Context(), at, crashed, anyKey); !errors.Is(err, database.ErrLocked) {
		t.Errorf("restored from under a host: %v", err)
	}

	for _, suffix := range []string{"", "-wal", "-journal"} {
		if err := os.WriteFile(path+suffix, []byte(strings.Repeat("damaged"+suffix, 2000)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err = database.Restore(t.Context(), at, file, ours)
	if err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-journal"} {
		if !strings.HasPrefix(string(mustRead(t, r.Replaced+suffix)), "damaged"+suffix) {
			t.Errorf("%s%s is not what was there", r.Replaced, suffix)
		}
	}
	again := open(t, at)
	defer closed(t, again)
	if err := again.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// A host that starts after a crash in the middle of a restore finds the database where
// it was, sound or damaged, and does not begin an empty one.
func TestSetAsideLosesNothing(t *testing.T) {
	for name, content := range map[string]func(path string) []byte{
		"Sound":   func(path string) []byte { return mustRead(t, path) },
		"Damaged": func(string) []byte { return []byte(strings.Repeat("damaged", 2000)) },
	} {
		t.Run(name, func(t *testing.T) {
			at := hosttest.URL(t, database.SQLite)
			path := strings.TrimPrefix(at, "sqlite://")
			closed(t, open(t, database.Options{URL: at}))
			want := content(path)
			if err := os.WriteFile(path, want, 0o600); err != nil {
				t.Fatal(err)
			}
			aside, err := database.SetAside(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			there := mustRead(t, path)
			if !bytes.Equal(there, mustRead(t, aside)) || name == "Damaged" && !bytes.Equal(there, want) {
				t.Error("the database is not at both places")
			}
			if name == "Sound" {
				closed(t, open(t, database.Options{URL: at}))
			}
		})
	}
	// A WAL whose database is gone would get into the next one of that name.
	path := filepath.Join(t.TempDir(), "zondarr.db")
	if err := os.WriteFile(path+"-wal", []byte("left"), 0o600); err != nil {
		t.Fatal(err)
	}
	aside, err := database.SetAside(t.Context(), path)
	if err != nil || string(mustRead(t, aside+"-wal")) != "left" {
		t.Errorf("kept as %q, %v", aside, err)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the WAL stayed: %v", err)
	}
}

// Where there are no links, names are given without them, and nothing is overwritten.
func TestNamesWithoutLinks(t *testing.T) {
	none := func(string, string) error { return &os.LinkError{Op: "link", Err: syscall.EPERM} }
	for name, give := range map[string]func(from, to string, link func(string, string) error) error{"publish": database.Publish, "alias": database.Alias} {
		folder := t.TempDir()
		from, to, taken := filepath.Join(folder, "from"), filepath.Join(folder, "to"), filepath.Join(folder, "taken")
		for _, path := range []string{from, taken} {
			if err := os.WriteFile(path, []byte(path), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, link := range []func(string, string) error{os.Link, none} {
			if err := give(from, taken, link); !errors.Is(err, os.ErrExist) || string(mustRead(t, taken)) != taken {
				t.Errorf("%s over a file: %v", name, err)
			}
		}
		if err := give(from, to, none); err != nil || string(mustRead(t, to)) != from {
			t.Errorf("%s: %v", name, err)
		}
	}
}
