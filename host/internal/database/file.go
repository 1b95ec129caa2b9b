package database

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// besides are the files that SQLite keeps beside one of its own.
var besides = []string{"-wal", "-shm", "-journal"}

// snapshotSQLite writes a consistent copy of an open database to a file that must not
// exist, after finish has worked on it (nil: it stays as it is). The file gets its name
// when it is complete and durable: a process that is killed leaves a file
// "….partial-NUMBER" beside it, which is in nobody's way.
func snapshotSQLite(ctx context.Context, from *sql.DB, path string, finish func(*sql.DB) error) (err error) {
	if isThere(path) { // said before the work; that nothing is overwritten is seen to below
		return &fs.PathError{Op: "create", Path: path, Err: syscall.EEXIST}
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".partial-*") // for the owner alone
	if err != nil {
		return err
	}
	partial := f.Name()
	defer func() { err = errors.Join(err, removeSQLite(partial)) }()
	if err := f.Close(); err != nil {
		return err
	}
	if _, err := from.ExecContext(ctx, "VACUUM INTO ?", partial); err != nil { // into an empty file
		return err
	}
	if finish != nil {
		if err := onFile(partial, finish); err != nil {
			return err
		}
	}
	if err := syncFile(partial); err != nil {
		return err
	}
	if err := publish(partial, path, os.Link); err != nil {
		return err
	}
	return syncFolder(path)
}

// publish gives a complete file the name that it is to have, which must not exist. link
// is os.Link: unlike a rename it never overwrites, and there is no moment at which the
// name stands for less than the whole.
func publish(partial, path string, link func(from, to string) error) error {
	err := link(partial, path)
	if !linkless(err) {
		return err
	}
	// Without links the name is taken first: who is killed right here leaves an empty file.
	taken, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err = errors.Join(taken.Close(), os.Rename(partial, path)); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// alias gives a file a second name, which must not exist, and makes a copy where there
// are no links.
func alias(path, second string, link func(from, to string) error) error {
	err := link(path, second)
	if linkless(err) {
		return copyFile(path, second)
	}
	return err
}

// linkless says whether a link failed because the file system has none (exFAT, some
// network shares), or the system does not let us make this one.
func linkless(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission)
}

// onFile opens a SQLite file that nobody else uses, and leaves no WAL beside it.
func onFile(path string, fn func(*sql.DB) error) error {
	handle, err := openSQLite(path, sqliteParams("immediate", "foreign_keys(0)", "synchronous(FULL)", "journal_mode(DELETE)"), 1)
	if err != nil {
		return err
	}
	return errors.Join(fn(handle), handle.Close())
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
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// removeSQLite removes what an attempt left at path. Its journal would be rolled back
// into the next file of that name.
func removeSQLite(path string) error {
	err := removeIfThere(path)
	for _, suffix := range besides {
		err = errors.Join(err, removeIfThere(path+suffix))
	}
	return err
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func isThere(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// syncFile makes what is in a file durable.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// syncFolder makes the names in the folder of a file durable, where the file system can.
func syncFolder(path string) error {
	err := syncFile(filepath.Dir(path))
	if errors.Is(err, syscall.EINVAL) { // so they answer that cannot
		return nil
	}
	return err
}
