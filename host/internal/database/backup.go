package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrWrongKey says that a backup was made under another secret key: what is sealed in
// it could never be opened.
var ErrWrongKey = errors.New("the backup was made under another secret key: configure that key (as the previous one, if need be) and restore again")

// errNotABackup is about a file that is something else, or damaged.
var errNotABackup = errors.New("this is not a backup of Zondarr, or it is damaged")

// OtherToolError says that PostgreSQL is backed up and restored by its own tools.
type OtherToolError struct {
	Command string // the line to run, without the password
}

func (e *OtherToolError) Error() string {
	return "a PostgreSQL database is backed up and restored by its own tools: " + e.Command
}

// Backup writes a consistent copy of a SQLite database to a file that must not exist,
// while the host goes on serving. fingerprint tells which secret key opens what is
// sealed; the key itself is not in the file and has to be kept as well. On PostgreSQL it
// fails with an *OtherToolError.
func (d *DB) Backup(ctx context.Context, file string, fingerprint []byte) (err error) {
	if d.Dialect == Postgres {
		return &OtherToolError{Command: d.at.tool("pg_dump --format=custom --file=" + quoted(file))}
	}
	// The name is taken first, so that nothing is ever overwritten; the copy is made
	// beside it and takes its place when it is complete.
	reserved, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	partial := file + ".partial"
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("back up: %w", err), os.Remove(file), removeSQLite(partial))
		}
	}()
	if err := errors.Join(reserved.Close(), removeSQLite(partial)); err != nil {
		return err
	}
	// By a connection of its own: the writer stays free, and the readers may not even
	// write another file.
	handle, err := openSQLite(d.at.path, sqliteParams("deferred"), 1)
	if err != nil {
		return err
	}
	if err := errors.Join(snapshotSQLite(ctx, handle, partial), handle.Close()); err != nil {
		return err
	}
	if err := onFile(partial, func(copied *sql.DB) error {
		return setRaw(ctx, copied, KeyFingerprint, fingerprint)
	}); err != nil {
		return err
	}
	if err := syncFile(partial); err != nil {
		return err
	}
	if err := os.Rename(partial, file); err != nil {
		return err
	}
	return syncFile(file)
}

// Restored is what a restore did.
type Restored struct {
	Version  int64  // of the backup; opening the database migrates it further
	Replaced string // where the database that was there before is kept, or ""
}

// Restore puts a backup in the place of a SQLite database, which is kept beside it. It
// refuses while a host runs (ErrLocked), a file that is no sound backup, one of a newer
// Zondarr (*VersionError), and one whose secret key fits says is not ours (ErrWrongKey),
// before it replaces anything. The restored instance is paused (KeyPaused): what it
// knows of the media servers is as old as the backup.
func Restore(ctx context.Context, opts Options, file string, fits func(fingerprint []byte) bool) (r Restored, err error) {
	at, err := opts.location()
	if err != nil {
		return r, err
	}
	if at.dialect == Postgres {
		return r, &OtherToolError{Command: at.tool("pg_restore --clean --if-exists " + quoted(file))}
	}
	held, err := lockSQLite(at.path)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, held.Unlock()) }()

	// Judged and changed in a copy: the backup stays as it is.
	fresh := at.path + ".restoring"
	if err := errors.Join(removeSQLite(fresh), copyFile(file, fresh)); err != nil {
		return r, fmt.Errorf("restore: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeSQLite(fresh))
		}
	}()
	if err := onFile(fresh, func(copied *sql.DB) error {
		fingerprint, version, err := judge(ctx, at, copied)
		if err != nil {
			return err
		}
		if !fits(fingerprint) {
			return ErrWrongKey
		}
		r.Version = version
		if _, err := copied.ExecContext(ctx, "DELETE FROM instance WHERE key IN (?, ?)", KeyFingerprint, KeyMovedTo); err != nil {
			return err
		}
		return setRaw(ctx, copied, KeyPaused, []byte("restored"))
	}); err != nil {
		return r, fmt.Errorf("restore: %w", err)
	}
	if err := syncFile(fresh); err != nil {
		return r, fmt.Errorf("restore: %w", err)
	}
	if r.Replaced, err = setAside(ctx, at.path); err != nil {
		return r, fmt.Errorf("restore: keep the database that is there: %w", err)
	}
	if err := os.Rename(fresh, at.path); err != nil {
		return r, fmt.Errorf("restore: %w", err)
	}
	return r, syncFile(at.path)
}

// judge reads a backup: whose key it needs, and which version it has.
func judge(ctx context.Context, at location, copied *sql.DB) (fingerprint []byte, version int64, err error) {
	var verdict string
	if err := copied.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil || verdict != "ok" {
		return nil, 0, errors.Join(errNotABackup, err)
	}
	m := &migrator{at: at, handle: copied}
	if version, err = m.version(ctx); err != nil || version == 0 {
		return nil, 0, errors.Join(errNotABackup, err)
	}
	known, err := at.known()
	if err != nil {
		return nil, 0, err
	}
	if newest := known[len(known)-1].Version; version > newest {
		return nil, 0, &VersionError{Database: version, Program: newest}
	}
	err = copied.QueryRowContext(ctx, "SELECT value FROM instance WHERE key = ?", KeyFingerprint).Scan(&fingerprint)
	if err != nil {
		return nil, 0, errors.Join(errNotABackup, err)
	}
	return fingerprint, version, nil
}

// setAside keeps the database at path under another name, and leaves nothing at path
// that SQLite would mix with another: no WAL. Until it is replaced by a rename, the
// database is still at path as well, so that a crash in between loses nothing.
func setAside(ctx context.Context, path string) (string, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	aside := path + ".replaced-" + time.Now().UTC().Format("20060102T150405.000000")
	settled := onFile(path, func(old *sql.DB) error { // moves the WAL into the file
		var busy, pages, moved int
		if err := old.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved); err != nil {
			return err
		}
		if busy != 0 {
			return errors.New("another process reads the database")
		}
		return nil
	})
	if settled == nil {
		if err := errors.Join(removeIfThere(path+"-wal"), removeIfThere(path+"-shm")); err != nil {
			return "", err
		}
		return aside, copyFile(path, aside)
	}
	var e *sqlite.Error
	if !errors.As(settled, &e) || e.Code()&0xff != sqlite3.SQLITE_CORRUPT && e.Code()&0xff != sqlite3.SQLITE_NOTADB {
		return "", settled
	}
	// It is damaged, which may be why it is being replaced. Kept as it is, WAL included.
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return aside, nil
}

// onFile opens a SQLite file that nobody else uses, and leaves no WAL beside it.
func onFile(path string, fn func(*sql.DB) error) error {
	handle, err := openSQLite(path, sqliteParams("immediate", "foreign_keys(0)", "synchronous(FULL)", "journal_mode(DELETE)"), 1)
	if err != nil {
		return err
	}
	return errors.Join(fn(handle), handle.Close())
}

func setRaw(ctx context.Context, handle *sql.DB, key string, value []byte) error {
	_, err := handle.ExecContext(ctx, "INSERT INTO instance (key, value, updated_at) VALUES (?, ?, ?) "+
		"ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at", key, value, Now())
	return err
}

// copyFile copies to a file of the owner alone, which must not exist.
func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// removeSQLite removes what an attempt that was killed left at path. Its journal would
// be rolled back into the next file of that name.
func removeSQLite(path string) error {
	var all []error
	for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
		all = append(all, removeIfThere(path+suffix))
	}
	return errors.Join(all...)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// tool is a command line for the database, which asks for the password itself.
func (l location) tool(command string) string {
	return command + " --dbname=" + quoted(l.display())
}

// quoted is text as a shell takes it.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// display is the URL without its password and parameters, for messages.
func (l location) display() string {
	if l.dialect == SQLite {
		return "sqlite://" + l.path
	}
	u := url.URL{Scheme: l.server.Scheme, Host: l.server.Host, Path: l.server.Path}
	if l.server.User != nil {
		u.User = url.User(l.server.User.Username())
	}
	if host := l.server.Query().Get("host"); host != "" {
		u.RawQuery = url.Values{"host": {host}}.Encode()
	}
	return u.String()
}
