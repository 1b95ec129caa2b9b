package database

import (
	"context"
	"errors"
	"io/fs"
	"os"
)

// MissingError says that there is no database where one must be.
type MissingError struct {
	At string // where it was looked for, without a password
}

func (e *MissingError) Error() string {
	return "there is no Zondarr database at " + e.At + ": is this the right folder, and the right database_url (ZONDARR_DATABASE_URL) " +
		"or data_dir (ZONDARR_DATA_DIR)? Without a database_url it is the file zondarr.db in data_dir, which is ./data unless it is set"
}

// exists fails with a *MissingError where no migration was ever applied. It makes
// nothing.
func (l location) exists(ctx context.Context) (err error) {
	missing := &MissingError{At: l.display()}
	if l.dialect == SQLite {
		info, err := os.Stat(l.path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
			return missing
		}
		held, err := shareSQLite(ctx, l.path)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, held.Unlock()) }()
	}
	version, err := migrating(l, func(m *migrator) (int64, error) { return m.version(ctx) })
	if err != nil {
		return explain(err)
	}
	if version == 0 {
		return missing
	}
	return nil
}
