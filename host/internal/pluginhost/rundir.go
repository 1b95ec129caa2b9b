//go:build unix

package pluginhost

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/gofrs/flock"
)

// runDir is where the sockets of one host process are: a fresh 0700 directory,
// held by a lock for as long as the host lives, so that another host's sweep can
// tell that it is in use.
type runDir struct {
	path string
	lock *flock.Flock
}

const (
	runPrefix = "zdr-"
	runLock   = "lock"
	// maxSocketPath leaves room below the system's limit: 108 bytes on Linux,
	// 104 elsewhere.
	maxSocketPath = 100
)

// socketName stands for the longest path that go-plugin makes below a run
// directory.
var socketName = filepath.Join("plugin-dir"+strings.Repeat("0", 10), "plugin"+strings.Repeat("0", 10))

// openRunDir makes a run directory below base, or below one of the system's when
// the path of a socket would be too long there; never below /tmp, which cleaners
// empty.
func openRunDir(base string) (*runDir, error) {
	base, err := filepath.Abs(base)
	if err != nil {
		return nil, err
	}
	fits := func(dir string) bool {
		return len(filepath.Join(dir, runPrefix+strings.Repeat("0", 10), socketName)) <= maxSocketPath
	}
	if fits(base) {
		if err := os.MkdirAll(base, 0o700); err != nil {
			return nil, fmt.Errorf("make the run directory: %w", err)
		}
		return newRunDir(base)
	}
	var errs error
	for _, dir := range []string{"/run", fmt.Sprintf("/run/user/%d", os.Getuid()), "/dev/shm"} {
		run, err := newRunDir(dir)
		if err == nil {
			return run, nil
		}
		errs = errors.Join(errs, err)
	}
	return nil, fmt.Errorf("the run directory %s is too long for a socket's path (set ZONDARR_RUN_DIR to a shorter one), and there is no other: %w", base, errs)
}

func newRunDir(parent string) (*runDir, error) {
	sweepRunDirs(parent)
	for attempt := 0; ; attempt++ {
		dir, err := os.MkdirTemp(parent, runPrefix)
		if err != nil {
			return nil, err
		}
		path := filepath.Join(dir, runLock)
		lock := flock.New(path)
		ok, err := lock.TryLock()
		if err == nil && ok {
			// Another host's sweep may have been here between the two steps.
			if _, err = os.Stat(path); err == nil {
				return &runDir{path: dir, lock: lock}, nil
			}
		}
		_ = lock.Unlock()
		_ = os.RemoveAll(dir)
		if attempt == 3 {
			return nil, fmt.Errorf("lock the run directory: %w", err)
		}
	}
}

// sweepRunDirs removes what hosts left behind that died without cleaning up.
func sweepRunDirs(parent string) {
	left, err := filepath.Glob(filepath.Join(parent, runPrefix+"*"))
	if err != nil {
		return // only for a pattern that is wrong
	}
	for _, dir := range left {
		// Everybody may write to /dev/shm: what lies in a directory of another user
		// may be anything. One without its lock is being made right now.
		if info, err := os.Lstat(dir); err != nil || !info.IsDir() || !ownedByHost(info) {
			continue
		}
		if info, err := os.Lstat(filepath.Join(dir, runLock)); err != nil || !info.Mode().IsRegular() {
			continue
		}
		lock := flock.New(filepath.Join(dir, runLock))
		if ok, err := lock.TryLock(); err != nil || !ok {
			continue
		}
		_ = os.RemoveAll(dir) // what cannot be removed harms nobody
		_ = lock.Unlock()
	}
}

func ownedByHost(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// close removes the directory.
func (r *runDir) close() error {
	return errors.Join(os.RemoveAll(r.path), r.lock.Unlock())
}
