package database_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

// While a command has the file open it is not replaced, and while it is replaced no
// command opens it: SQLite would mix the WAL of one file with another.
func TestRestoreAndCommandsKeepApart(t *testing.T) {
	at := database.Options{URL: hosttest.URL(t, database.SQLite)}
	filledAt(t, at)
	file := filepath.Join(t.TempDir(), "backup.db")
	names := func(context.Context, database.Getter) (string, error) { return "key", nil }
	if err := database.Backup(t.Context(), at, file, names); err != nil {
		t.Fatal(err)
	}
	at.Beside = true
	beside := open(t, at)
	if _, err := database.Restore(t.Context(), at, file, func(context.Context, database.Getter) error { return nil }); !errors.Is(err, database.ErrLocked) {
		t.Errorf("restored under a command: %v", err)
	}
	closed(t, beside)
	if _, err := database.Restore(t.Context(), at, file, func(ctx context.Context, _ database.Getter) error {
		ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
		for name, attempt := range map[string]func() error{
			"open":    func() error { _, err := database.Open(ctx, at); return err },
			"back up": func() error { return database.Backup(ctx, at, file+".2", names) },
			"look":    func() error { _, err := database.MigrationStatus(ctx, at); return err },
			"open if there": func() error {
				_, err := database.Open(ctx, database.Options{URL: at.URL, Beside: true, MustExist: true})
				return err
			},
		} {
			if err := attempt(); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s during a restore: %v", name, err)
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	closed(t, open(t, at))
}
