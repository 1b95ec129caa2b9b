package database

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// A command beside a host cannot take the host's lock. But where a file is put in the
// place of another, one that has the old file open would write its WAL beside the new
// file, and SQLite would mix them. So there is a second lock, which such commands share,
// and a restore takes for itself.

func besideLock(path string) *flock.Flock {
	return flock.New(path+".beside.lock", flock.SetPermissions(0o600))
}

// shareSQLite keeps the file at path from being replaced. It waits a little for whoever
// is doing that, and then gives ErrLocked.
func shareSQLite(ctx context.Context, path string) (*flock.Flock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, besidePatience)
	defer cancel()
	lock := besideLock(path)
	if _, err := lock.TryRLockContext(waiting, 50*time.Millisecond); err != nil {
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			err = ErrLocked
		}
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// replaceSQLite waits for nobody: it gives ErrLocked while a command has the file open.
func replaceSQLite(path string) (*flock.Flock, error) {
	lock := besideLock(path)
	ok, err := lock.TryLock()
	if err == nil && !ok {
		err = ErrLocked
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}
