package pluginhost

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// store keeps copies of approved binaries, each under its hash and with its own
// file name: <dir>/<sha256>/zondarr-plugin-<name>.
type store struct {
	dir string // 0700, the host's own
}

func (s store) path(sha, fileName string) string {
	return filepath.Join(s.dir, sha, fileName)
}

// has says whether there is a copy. Its content is checked when it is started.
func (s store) has(sha, fileName string) bool {
	info, err := os.Lstat(s.path(sha, fileName))
	return err == nil && info.Mode().IsRegular()
}

// errChanged says that a file is not what it was.
var errChanged = errors.New("the file has changed")

// put copies a file whose hash must be sha, or errChanged. The copy appears as a
// whole or not at all.
func (s store) put(from, sha, fileName string) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dir := filepath.Join(s.dir, sha)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".copy-")
	if err != nil {
		return err
	}
	defer func() {
		tmp.Close()
		if err != nil {
			_ = os.Remove(tmp.Name()) // what is left is swept at the next start
			_ = os.Remove(dir)        // if it is empty
		}
	}()
	got, _, err := hashOf(io.TeeReader(src, tmp))
	switch {
	case err != nil:
		return fmt.Errorf("copy the plugin: %w", err)
	case got != sha:
		return errChanged
	}
	if err := errors.Join(tmp.Chmod(0o500), tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("copy the plugin: %w", err)
	}
	return os.Rename(tmp.Name(), s.path(sha, fileName))
}

// remove forgets a copy.
func (s store) remove(sha string) error { return os.RemoveAll(filepath.Join(s.dir, sha)) }

// sweep removes every copy that keep does not name.
func (s store) sweep(keep func(sha string) bool) error {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if !keep(e.Name()) {
			err = errors.Join(err, s.remove(e.Name()))
		}
	}
	return err
}
