package host

import (
	"bytes"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	_ "github.com/lib/pq" // the driver "postgres"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/host/internal/instance"
	"github.com/zondarr/zondarr/host/internal/secret"
)

// command runs the program in this process, with key A unless environ says otherwise.
func command(t *testing.T, url string, environ []string, args ...string) (code int, out, problem string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	environ = append([]string{"ZONDARR_SECRET_KEY=" + keyA, "ZONDARR_DATA_DIR=" + t.TempDir(), "ZONDARR_DATABASE_URL=" + url}, environ...)
	code = Main(t.Context(), args, environ, Stdio{In: strings.NewReader(""), Out: &stdout, Err: &stderr})
	return code, stdout.String(), stderr.String()
}

// succeeds runs a command that must.
func succeeds(t *testing.T, url string, environ []string, args ...string) (out string) {
	t.Helper()
	code, out, problem := command(t, url, environ, args...)
	if code != 0 {
		t.Fatalf("%q: %d, %s", args, code, problem)
	}
	return out
}

// filled makes a database with rows whose values are sealed under key A.
func filled(t *testing.T, url string) map[string][]uuid.UUID {
	t.Helper()
	d, err := database.Open(t.Context(), database.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	rows := sealedRows(t, d, newBox(t, keyA, ""), 3)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return rows
}

func opened(t *testing.T, url string) *database.DB {
	t.Helper()
	d, err := database.Open(t.Context(), database.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// `database copy` moves an instance to PostgreSQL and back, where a folder has to be
// made; what is sealed opens there, and the places that were left are refused.
func TestDatabaseCopyCommand(t *testing.T) {
	first, second := hosttest.URL(t, database.SQLite), hosttest.URL(t, database.Postgres)
	third := "sqlite://" + filepath.Join(t.TempDir(), "not", "there", "zondarr.db")
	rows := filled(t, first)
	for _, move := range [][2]string{{first, second}, {second, third}} {
		out := succeeds(t, move[0], nil, "database", "copy", "--to", move[1])
		if !strings.Contains(out, "users                           3 rows, checksum ") || !strings.Contains(out, "Moved.") {
			t.Errorf("it says %s", out)
		}
		for _, args := range [][]string{{"serve", "--addr", "127.0.0.1:0"}, {"secret", "rotate"}, {"database", "copy", "--to", hosttest.URL(t, database.SQLite)}} {
			code, _, problem := command(t, move[0], []string{"ZONDARR_SECRET_KEY_PREVIOUS=" + keyB}, args...)
			if code != 1 || !strings.Contains(problem, "was moved to") {
				t.Errorf("%q on the source: %d, %s", args, code, problem)
			}
		}
	}
	allOpen(t, opened(t, third), newBox(t, keyA, ""), rows)
}

// A backup taken while the WAL holds rows is restored to a place whose folders are not
// there yet, for the owner alone; what is sealed opens.
func TestRestoreIntoAMissingFolder(t *testing.T) {
	from := hosttest.URL(t, database.SQLite)
	rows := filled(t, from)
	running := opened(t, from)
	running.Ent.Instance.Create().SetID("in the WAL").SetValue([]byte("v")).ExecX(t.Context())
	if info, err := os.Stat(strings.TrimPrefix(from, "sqlite://") + "-wal"); err != nil || info.Size() == 0 {
		t.Fatalf("nothing is in the WAL: %v, %v", info, err)
	}
	file := filepath.Join(t.TempDir(), "backup.db")
	if out := succeeds(t, from, nil, "backup", file); !strings.Contains(out, "secret key is needed too") {
		t.Errorf("the backup says %s", out)
	}
	folder := filepath.Join(t.TempDir(), "a")
	to := "sqlite://" + folder + "/b/zondarr.db"
	if out := succeeds(t, to, nil, "restore", file); strings.Contains(out, "is kept as") || !strings.Contains(out, "paused") {
		t.Errorf("the restore says %s", out)
	}
	restored := opened(t, to)
	if _, err := restored.Get(t.Context(), "in the WAL"); err != nil {
		t.Error(err)
	}
	allOpen(t, restored, newBox(t, keyA, ""), rows)
	for name, mode := range map[string]fs.FileMode{
		"": 0o700 | fs.ModeDir, "b": 0o700 | fs.ModeDir, "b/zondarr.db": 0o600, "b/zondarr.db-wal": 0o600, "b/zondarr.db-shm": 0o600, "b/zondarr.db.lock": 0o600,
	} {
		if info, err := os.Stat(filepath.Join(folder, name)); err != nil || info.Mode() != mode {
			t.Errorf("%q: %v, %v", name, info, err)
		}
	}
}

// A backup bears the names of the keys that it needs: not of one that opens nothing,
// and of two while the key is being changed.
func TestBackupNamesItsKeys(t *testing.T) {
	from := hosttest.URL(t, database.SQLite)
	rows := filled(t, from)
	key := func(current, previous string) []string {
		return []string{"ZONDARR_SECRET_KEY=" + current, "ZONDARR_SECRET_KEY_PREVIOUS=" + previous}
	}
	file := filepath.Join(t.TempDir(), "backup.db")
	if code, _, problem := command(t, from, key(keyC, ""), "backup", file); code != 1 || !strings.Contains(problem, "not the one that this database was written under") {
		t.Errorf("under a wrong key: %d, %s", code, problem)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a backup was left behind")
	}
	// A backup changes nothing: until a host or a rotation begins to use the new key, all
	// is under the old one.
	early, to := file+".early", hosttest.URL(t, database.SQLite)
	succeeds(t, from, key(keyB, keyA), "backup", early)
	succeeds(t, to, key(keyA, ""), "restore", early)
	// From here on values may be under either key.
	d := opened(t, from)
	if err := instance.CheckKey(t.Context(), d, newBox(t, keyB, keyA)); err != nil {
		t.Fatal(err)
	}
	succeeds(t, from, key(keyB, keyA), "backup", file)
	for _, held := range [][]string{key(keyA, ""), key(keyB, ""), key(keyC, keyB), key(keyC, keyA)} {
		if code, _, problem := command(t, to, held, "restore", file); code != 1 || !strings.Contains(problem, "another secret key") {
			t.Errorf("restored with %q: %d, %s", held, code, problem)
		}
	}
	succeeds(t, to, key(keyB, keyA), "restore", file)
	succeeds(t, to, key(keyB, keyA), "secret", "rotate")
	allOpen(t, opened(t, to), newBox(t, keyB, ""), rows)
}

// The databases that a restore and a migration keep are put back by the same command, if
// a configured key fits; nothing in them says which but their check value.
func TestRestoreWhatWasKept(t *testing.T) {
	at := hosttest.URL(t, database.SQLite)
	path := strings.TrimPrefix(at, "sqlite://")
	rows := filled(t, at)
	d := opened(t, at)
	if err := errors.Join(instance.CheckKey(t.Context(), d, newBox(t, keyA, "")), d.Close()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "backup.db")
	succeeds(t, at, nil, "backup", file)
	succeeds(t, at, nil, "restore", file)
	succeeds(t, at, nil, "migrate", "down")
	for _, pattern := range []string{".replaced-*", ".v*.bak"} {
		kept, err := filepath.Glob(path + pattern)
		if err != nil || len(kept) != 1 {
			t.Fatalf("kept: %v, %v", kept, err)
		}
		to := hosttest.URL(t, database.SQLite)
		if code, _, problem := command(t, to, []string{"ZONDARR_SECRET_KEY=" + keyC}, "restore", kept[0]); code != 1 || !strings.Contains(problem, "not the one that this database was written under") {
			t.Errorf("%s under a wrong key: %d, %s", pattern, code, problem)
		}
		succeeds(t, to, nil, "restore", kept[0])
		allOpen(t, opened(t, to), newBox(t, keyA, ""), rows)
	}
}

// On PostgreSQL there is no copy to go back to: what would go is named, and must be
// agreed to.
func TestMigrateDownAsks(t *testing.T) {
	at := hosttest.URL(t, database.Postgres)
	filled(t, at)
	code, out, problem := command(t, at, nil, "migrate", "down")
	if code != 1 || out != "" || !strings.Contains(problem, "table users (3 rows)") || !strings.Contains(problem, "--yes") || !strings.Contains(problem, "nothing was changed") {
		t.Errorf("without --yes: %d, %s, %s", code, out, problem)
	}
	host, err := database.Open(t.Context(), database.Options{URL: at})
	if err != nil {
		t.Fatal(err)
	}
	if code, _, problem := command(t, at, nil, "migrate", "down", "--yes"); code != 1 || !strings.Contains(problem, "connected to the database: stop them first") {
		t.Errorf("under a host: %d, %s", code, problem)
	}
	if n := host.Ent.User.Query().CountX(t.Context()); n != 3 {
		t.Errorf("%d users are left", n)
	}
	if err := host.Close(); err != nil {
		t.Fatal(err)
	}
	if out := succeeds(t, at, nil, "migrate", "down", "--yes"); !strings.Contains(out, "rolled back") {
		t.Errorf("it says %s", out)
	}
}

// What refuses says why, and what to do; nothing secret is in it.
func TestStorageCommandsRefuse(t *testing.T) {
	free, held := hosttest.URL(t, database.SQLite), hosttest.URL(t, database.SQLite)
	filled(t, free)
	filled(t, held)
	opened(t, held)
	backup := filepath.Join(t.TempDir(), "backup.db")
	succeeds(t, free, nil, "backup", backup)
	server := "postgres://u:s3cret@127.0.0.1:1/zondarr?sslmode=disable"

	// Taken back to nothing, and then on to a version that this program does not know.
	newer := hosttest.URL(t, database.Postgres)
	filled(t, newer)
	if out := succeeds(t, newer, nil, "migrate", "down", "--yes"); !strings.Contains(out, "rolled back") {
		t.Errorf("migrate down says %s", out)
	}
	if out := succeeds(t, newer, nil, "migrate", "status"); !strings.Contains(out, "pending") || strings.Contains(out, "applied") {
		t.Errorf("migrate status says %s", out)
	}
	succeeds(t, newer, nil, "migrate", "up")
	handle, err := sql.Open("postgres", newer)
	if err != nil {
		t.Fatal(err)
	}
	_, err = handle.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)")
	if err := handle.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if out := succeeds(t, newer, nil, "migrate", "status"); !strings.Contains(out, "unknown to this version") {
		t.Errorf("migrate status says %s", out)
	}

	previous := []string{"ZONDARR_SECRET_KEY_PREVIOUS=" + keyC}
	for _, test := range []struct {
		url     string
		environ []string
		args    []string
		code    int
		want    string
	}{
		{free, nil, []string{"backup", backup}, 1, "file exists"},
		{free, nil, []string{"backup"}, 2, "the file to write"},
		{free, nil, []string{"restore", backup + ".none"}, 1, "no such file"},
		{free, nil, []string{"secret", "rotate"}, 2, "ZONDARR_SECRET_KEY_PREVIOUS is not set"},
		{free, []string{"ZONDARR_SECRET_KEY=" + keyB, previous[0]}, []string{"secret", "rotate"}, 1, "not the one that this database was written under"},
		{free, []string{"ZONDARR_SECRET_KEY=" + keyB}, []string{"restore", backup}, 1, "under another secret key"},
		{free, nil, []string{"database", "copy"}, 2, "--to is required"},
		{free, nil, []string{"database", "copy", "--to", "mysql://u:s3cret@h/db"}, 2, "sqlite:// or postgres://"},
		{free, nil, []string{"database", "copy", "--to", held}, 1, "in use by another Zondarr process"},
		{free, nil, []string{"database", "copy", "--to", server}, 1, "connection refused"},
		{free, nil, []string{"migrate", "down", "--steps", "0"}, 2, "--steps must be at least 1"},
		{held, nil, []string{"restore", backup}, 1, "in use by another Zondarr process; stop it first"},
		{held, previous, []string{"secret", "rotate"}, 1, "in use by another Zondarr process; stop it first"},
		{held, nil, []string{"database", "copy", "--to", free}, 1, "in use by another Zondarr process; stop it first"},
		{held, nil, []string{"migrate", "up"}, 1, "in use by another Zondarr process; stop it first"},
		{held, nil, []string{"migrate", "down"}, 1, "in use by another Zondarr process; stop it first"},
		{held, nil, []string{"serve", "--addr", "127.0.0.1:0"}, 1, "in use by another Zondarr process; stop it first"},
		{newer, nil, []string{"serve", "--addr", "127.0.0.1:0"}, 1, "migrated to version 99999 by a newer Zondarr; this one knows versions up to"},
		{newer, nil, []string{"migrate", "down"}, 1, "take the database back with its `zondarr migrate down`"},
		{server, nil, []string{"restore", backup}, 1, "pg_restore --clean --if-exists --single-transaction '" + backup + "' --dbname='postgres://u@127.0.0.1:1/zondarr?sslmode=disable'"},
		{server, nil, []string{"backup", backup + ".2"}, 1, "pg_dump --format=custom --file='" + backup + ".2' --dbname='postgres://u@127.0.0.1:1/zondarr?sslmode=disable'"},
		{"sqlite://" + backup + ".none", nil, []string{"backup", backup + ".2"}, 1, "there is no Zondarr database at sqlite://" + backup + ".none"},
		{server, nil, []string{"migrate", "status"}, 1, "connection refused"},
	} {
		code, out, problem := command(t, test.url, test.environ, test.args...)
		if code != test.code || !strings.Contains(problem, test.want) || out != "" && out != "nothing to do\n" {
			t.Errorf("%q: %d, want %d; it says %q and %s", test.args, code, test.code, out, problem)
		}
		if strings.Contains(problem, "s3cret") || strings.Contains(problem, keyA) || strings.Contains(problem, keyB) {
			t.Errorf("%q gives a secret away: %s", test.args, problem)
		}
	}

	// `backup` leaves a PostgreSQL database alone: it is for before an upgrade.
	postgres := hosttest.URL(t, database.Postgres)
	if code, _, problem := command(t, postgres, nil, "backup", backup+".2"); code != 1 || !strings.Contains(problem, "pg_dump") || !strings.Contains(problem, "secret key") {
		t.Errorf("back up PostgreSQL: %d, %s", code, problem)
	}
	if out := succeeds(t, postgres, nil, "migrate", "status"); strings.Contains(out, "applied") {
		t.Errorf("back up PostgreSQL migrated it: %s", out)
	}
}

// The secret key is for its owner alone, and made once.
func TestInitMakesTheKeyOnce(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	environ := []string{"ZONDARR_SECRET_KEY=", "ZONDARR_DATA_DIR=" + data}
	var keys []string
	for range 2 {
		succeeds(t, "", environ, "init")
		key, err := os.ReadFile(SecretKeyFile(data))
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, string(key))
	}
	if keys[0] != keys[1] || len(keys[0]) < secret.MinKeyLength {
		t.Error("the key was made twice, or is short")
	}
	for path, mode := range map[string]fs.FileMode{data: 0o700 | fs.ModeDir, SecretKeyFile(data): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
}
