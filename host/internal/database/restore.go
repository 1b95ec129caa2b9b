package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

var (
	errDamaged = errors.New("the file is damaged, or it is no SQLite database")
	errNotOurs = errors.New("the file is a SQLite database, but holds no Zondarr: it wants a file that `zondarr backup` wrote, " +
		"or a database that was kept beside the one in use (.replaced-…, .v…-….bak)")
)

// Restored is what a restore did.
type Restored struct {
	Version  int64  // of the backup; opening the database migrates it further
	Replaced string // where the database that was there before is kept, or ""
}

// Restore puts a file in the place of a SQLite database, which is kept beside it. The file
// is a backup, or a database that a migration or a restore has kept. It refuses while a
// host runs (ErrLocked), a file that is no sound database of Zondarr, one of a newer
// Zondarr (*VersionError), and one that fits refuses: by the values of the file it tells
// whether the secret keys in use open what is sealed (KeyFingerprint is among them in a
// backup only). All that before it replaces anything.
//
// The restored instance is paused (KeyPaused): what it knows of the media servers is as
// old as the file. On PostgreSQL it fails with an *OtherToolError.
func Restore(ctx context.Context, opts Options, file string, fits func(context.Context, Getter) error) (Restored, error) {
	at, err := opts.location()
	if err != nil {
		return Restored{}, err
	}
	if at.dialect == Postgres {
		return Restored{}, &OtherToolError{
			Command: at.tool("pg_restore --clean --if-exists --single-transaction " + quoted(file)),
			Note: "Stop every host first. The secret key of that time is needed as well. Afterwards start with `zondarr serve --paused`:\n" +
				"what the database knows of the media servers is as old as the file. Then look at `zondarr resume`.",
		}
	}
	r, err := at.restore(ctx, file, fits)
	if err != nil && !errors.Is(err, ErrLocked) {
		err = fmt.Errorf("restore: %w", err)
	}
	return r, err
}

func (l location) restore(ctx context.Context, file string, fits func(context.Context, Getter) error) (r Restored, err error) {
	held, err := lockSQLite(l.path)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, held.Unlock()) }()

	beside, err := replaceSQLite(l.path)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, beside.Unlock()) }()

	// Judged and changed in a copy: the file that was given stays as it is.
	fresh := l.path + ".restoring"
	if err := l.takeCopy(file, fresh); err != nil {
		return r, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeSQLite(fresh))
		}
	}()
	if err := onFile(fresh, func(copied *sql.DB) error {
		if r.Version, err = judge(ctx, l, copied); err != nil {
			return err
		}
		if err := fits(ctx, getter(copied)); err != nil {
			return err
		}
		if _, err := copied.ExecContext(ctx, "DELETE FROM instance WHERE key IN (?, ?, ?)", KeyFingerprint, KeyMovedTo, KeyMovingTo); err != nil {
			return err
		}
		return setRaw(ctx, copied, KeyPaused, []byte("restored"))
	}); err != nil {
		return r, err
	}
	if err := syncFile(fresh); err != nil {
		return r, err
	}
	if r.Replaced, err = setAside(ctx, l.path); err != nil {
		return r, fmt.Errorf("keep the database that is there: %w", err)
	}
	if err := os.Rename(fresh, l.path); err != nil {
		return r, err
	}
	return r, syncFolder(l.path)
}

// takeCopy copies a SQLite file that is at rest, with what SQLite has not moved into it
// yet, to a name where a restore that was killed may have left something.
func (l location) takeCopy(file, to string) (err error) {
	given, err := os.Stat(file)
	if err != nil {
		return err
	}
	for _, base := range []string{l.path, to} {
		for _, suffix := range append(besides, "", ".lock") {
			ours, err := os.Stat(base + suffix)
			if err == nil && os.SameFile(given, ours) {
				return fmt.Errorf("%s is the database that is there, or a working file of it: copy it elsewhere first if it is what you want", file)
			}
		}
	}
	// Another instance that is being served cannot be copied like this.
	if other := behindLinks(file); isThere(other + ".lock") {
		held, err := lockSQLite(other)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, held.Unlock()) }()
	}
	if err := removeSQLite(to); err != nil {
		return err
	}
	if err := copyFile(file, to); err != nil {
		return err
	}
	for _, suffix := range []string{"-wal", "-journal"} {
		if err := copyFile(file+suffix, to+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(err, removeSQLite(to))
		}
	}
	return nil
}

// judge gives the version of a file, or says why it is no database of ours.
func judge(ctx context.Context, at location, copied *sql.DB) (version int64, err error) {
	var verdict string
	if err := copied.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil || verdict != "ok" {
		return 0, errors.Join(errDamaged, err)
	}
	m := &migrator{at: at, handle: copied}
	if version, err = m.version(ctx); err != nil || version == 0 {
		return 0, errors.Join(errNotOurs, err)
	}
	known, err := at.known()
	if err != nil {
		return 0, err
	}
	if newest := known[len(known)-1].Version; version > newest {
		return 0, &VersionError{Database: version, Program: newest}
	}
	return version, nil
}

// setAside gives the database at path a second name, and leaves nothing beside path that
// SQLite would mix with another database: no WAL, no journal. What is in them goes into
// the file first, or, where the file is damaged (which may be why it is being replaced),
// is kept beside the second name.
//
// Until a rename replaces it the database is at path as well: a host that starts after a
// crash finds it there, and does not begin an empty one.
func setAside(ctx context.Context, path string) (kept string, err error) {
	aside := path + ".replaced-" + time.Now().UTC().Format("20060102T150405.000000")
	// Copied before SQLite looks: it throws away what it cannot read.
	for _, suffix := range []string{"-wal", "-journal"} {
		err := copyFile(path+suffix, aside+suffix)
		if err == nil {
			kept = aside
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", errors.Join(err, removeSQLite(aside))
		}
	}
	if isThere(path) {
		err := settleSQLite(ctx, path)
		if !damaged(err) {
			err = errors.Join(err, removeSQLite(aside))
			if err != nil {
				return "", err
			}
		}
		if err := alias(path, aside, os.Link); err != nil {
			return "", errors.Join(err, removeSQLite(aside))
		}
		kept = aside
	}
	if err := syncFolder(path); err != nil {
		return "", err
	}
	for _, suffix := range besides {
		if err := removeIfThere(path + suffix); err != nil {
			return "", err
		}
	}
	return kept, nil
}

// settleSQLite moves the WAL into the file.
func settleSQLite(ctx context.Context, path string) error {
	return onFile(path, func(handle *sql.DB) error {
		var busy, pages, moved int
		if err := handle.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved); err != nil {
			return err
		}
		if busy != 0 {
			return errors.New("another process reads the database")
		}
		return nil
	})
}
