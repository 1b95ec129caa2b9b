package database_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

// backUpOrRestore is the whole life of a process that TestAfterAKilledBackupAndRestore
// starts. It ends itself half-way, or is ended by the test.
func backUpOrRestore(what string) {
	at, file := database.Options{URL: os.Getenv("TEST_KILL_URL")}, os.Getenv("TEST_KILL_FILE")
	halfWay := func() {
		if os.Getenv("TEST_KILL_HALFWAY") != "" {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // it is on its way
		}
	}
	var err error
	if what == "backup" {
		err = database.Backup(context.Background(), at, file, func(context.Context, database.Getter) (string, error) {
			halfWay()
			return ourKey, nil
		})
	} else {
		_, err = database.Restore(context.Background(), at, file, func(context.Context, database.Getter) error {
			halfWay()
			return nil
		})
	}
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
	os.Exit(0)
}

// A process that is killed in the middle leaves nothing under the name of the backup,
// and the database where it was; the same command then succeeds.
func TestAfterAKilledBackupAndRestore(t *testing.T) {
	at := database.Options{URL: hosttest.URL(t, database.SQLite)}
	path := strings.TrimPrefix(at.URL, "sqlite://")
	d := open(t, at)
	hosttest.Fill(t, d, 2)
	// So much that to copy it takes a while.
	for range 16 {
		if _, err := d.Ent.ExecContext(t.Context(), "INSERT INTO instance (key, value, updated_at) VALUES (hex(randomblob(8)), randomblob(1 << 20), '2026-01-02 03:04:05+00:00')"); err != nil {
			t.Fatal(err)
		}
	}
	want := hosttest.Dump(t, d)
	closed(t, d)
	folder := t.TempDir()
	file := filepath.Join(folder, "backup.db")
	backup := func() {
		t.Helper()
		if err := database.Backup(t.Context(), at, file, named); err != nil {
			t.Fatal(err)
		}
	}
	start := func(what string, environ ...string) *exec.Cmd {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(append(os.Environ(), "TEST_KILL="+what, "TEST_KILL_URL="+at.URL, "TEST_KILL_FILE="+file), environ...)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	wasKilled := func(cmd *exec.Cmd) bool {
		t.Helper()
		var exit *exec.ExitError
		err := cmd.Wait()
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return err != nil && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
	}
	killed := func(cmd *exec.Cmd) {
		t.Helper()
		if !wasKilled(cmd) {
			t.Fatal("it was not killed")
		}
	}

	// While SQLite writes, and when all is written but not named.
	duringBackup := func() bool {
		cmd := start("backup")
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			if partial, err := filepath.Glob(file + ".partial-*"); err != nil || time.Now().After(deadline) {
				t.Fatalf("no copy is being made: %v", err)
			} else if len(partial) > 0 {
				break
			}
		}
		_ = cmd.Process.Kill() // on a busy machine it may be done already
		return wasKilled(cmd)
	}
	for tries := 1; !duringBackup(); tries++ {
		if err := os.Remove(file); err != nil || tries == 10 {
			t.Fatalf("it is never killed in time: %v", err)
		}
	}
	killed(start("backup", "TEST_KILL_HALFWAY=1"))
	if left, err := filepath.Glob(file + "*"); err != nil || len(left) < 2 {
		t.Fatalf("it was not killed in the middle: %v, %v", left, err)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("something has the name of the backup: %v", err)
	}
	backup()

	killed(start("restore", "TEST_KILL_HALFWAY=1"))
	if _, err := os.Stat(path + ".restoring"); err != nil {
		t.Fatalf("it was not killed in the middle: %v", err)
	}
	d = open(t, at)
	if !reflect.DeepEqual(hosttest.Dump(t, d), want) {
		t.Error("the database changed")
	}
	closed(t, d)
	// What it left is not taken for a backup, nor lost by the attempt.
	if _, err := database.Restore(t.Context(), at, path+".restoring", anyKey); err == nil || !strings.Contains(err.Error(), "a working file of it") {
		t.Errorf("restored from its own working file: %v", err)
	}
	if info, err := os.Stat(path + ".restoring"); err != nil || info.Size() == 0 {
		t.Errorf("the working file: %v, %v", info, err)
	}
	if _, err := database.Restore(t.Context(), at, file, ours); err != nil {
		t.Fatal(err)
	}
	d = open(t, at)
	defer closed(t, d)
	if err := d.Unset(t.Context(), database.KeyPaused); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(hosttest.Dump(t, d), want) {
		t.Error("the restored rows are not those that were backed up")
	}
}

// What killed ones left does not get into the next ones, whatever it is.
func TestLeftoversOfKilledOnes(t *testing.T) {
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
		for _, left := range []string{file + ".partial-1", path + ".restoring"} {
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
	if err := errors.Join(database.Backup(t.Context(), at, file, named), d.Close()); err != nil {
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
