//go:build unix

package pluginhost

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// filePrefix begins the name of every plugin's file; what follows is its name.
const filePrefix = "zondarr-plugin-"

// namePattern is the SDK's for the name of a plugin.
var namePattern = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// found is a plugin's file that has stopped changing.
type found struct {
	name, fileName, path string
	origin               Origin
	foundAt              time.Time
	inspection
	refused *refusal // why it is not taken; the inspection may be empty then
}

// scanner looks at the plugin directories. It is used by one goroutine.
type scanner struct {
	installation string   // "" for none
	dirs         []string // the operator's, in order
	settle       time.Duration
	maxSize      int64 // of a file, in bytes
	log          *slog.Logger
	now          func() time.Time

	seen   map[string]*sighting // by path
	warned map[string]string    // what was said about a path, so that it is said once
}

// sighting is one file as it was last seen.
type sighting struct {
	shape
	since  time.Time
	result *found // nil until it has settled
}

// shape is what changes when a file does.
type shape struct {
	device, inode uint64
	size          int64
	mode          fs.FileMode
	modified      time.Time
	changed       time.Time
	dir           holder
	target        string
}

// holder is who may write into a directory.
type holder struct {
	mode         fs.FileMode
	owner, group uint32
}

// scan gives what lies in the directories now: by name, the settled file, or nil
// for one that is still changing.
func (s *scanner) scan() map[string]*found {
	out := map[string]*found{}
	gone := s.seen
	s.seen = map[string]*sighting{}
	look := func(dir string, origin Origin) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				s.warn(dir, "a plugin directory cannot be read: what was found there before still counts", err)
				s.keep(filepath.Clean(dir), gone, out)
			}
			return
		}
		for _, e := range entries {
			name, ok := strings.CutPrefix(e.Name(), filePrefix)
			if !ok {
				continue
			}
			path := filepath.Join(dir, e.Name())
			if !namePattern.MatchString(name) {
				s.warn(path, "a plugin's file has a name that is not allowed: want a lower case letter and then at most 31 lower case letters, digits, _ and -", nil)
				continue
			}
			if _, taken := out[name]; taken {
				s.warn(path, "a plugin's file is ignored: another directory comes first with the same name", nil)
				continue
			}
			f, present := s.look(dir, path, origin, gone[path])
			if present {
				out[name] = f
			}
		}
	}
	if s.installation != "" {
		look(s.installation, OriginInstallation)
	}
	for _, dir := range s.dirs {
		if dir != s.installation {
			look(dir, OriginDirectory)
		}
	}
	for path := range s.warned {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			delete(s.warned, path)
		}
	}
	return out
}

// keep takes over what an earlier scan found in a directory: a disk in trouble
// or a host without a descriptor to spare is no reason to stop what runs.
func (s *scanner) keep(dir string, before map[string]*sighting, out map[string]*found) {
	for path, last := range before {
		name := strings.TrimPrefix(filepath.Base(path), filePrefix)
		if _, taken := out[name]; !taken && filepath.Dir(path) == dir {
			s.seen[path], out[name] = last, last.result
		}
	}
}

func (s *scanner) warn(path, msg string, err error) {
	if s.warned == nil {
		s.warned = map[string]string{}
	}
	if s.warned[path] == msg {
		return
	}
	s.warned[path] = msg
	args := []any{"path", path}
	if err != nil {
		args = append(args, "error", err)
	}
	s.log.Warn(msg, args...)
}

// look looks at one file; present is false when it is gone by now.
func (s *scanner) look(dir, path string, origin Origin, last *sighting) (f *found, present bool) {
	shape, err := shapeOf(dir, path, origin)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false
	}
	now := s.now()
	seen := &sighting{shape: shape, since: now}
	s.seen[path] = seen
	if last != nil && last.shape == shape {
		seen.since, seen.result = last.since, last.result
	}
	if seen.result != nil {
		return seen.result, true
	}
	base := found{
		name: strings.TrimPrefix(filepath.Base(path), filePrefix), fileName: filepath.Base(path), path: path,
		origin: origin, foundAt: now.UTC(),
	}
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		base.refused = refused
	case err != nil:
		s.warn(path, "a plugin's file cannot be read", err)
		base.refused = &refusal{CodeUnreadable, "The file cannot be read."}
	case shape.size > s.maxSize: // reading it would keep the other files waiting
		base.refused = &refusal{CodeTooLarge, fmt.Sprintf("The file is larger than %d MiB: this is no plugin.", s.maxSize>>20)}
	case !s.settled(seen, now):
		return nil, true
	default:
		if !s.read(&base, shape) {
			return nil, true
		}
	}
	if base.refused == nil || base.refused.code != CodeUnreadable { // that may pass without the file changing
		seen.result = &base
	}
	return &base, true
}

// settled says whether a file has not changed for long enough, by being watched
// or by its own times. A clock that is wrong on another machine can only delay
// it.
func (s *scanner) settled(seen *sighting, now time.Time) bool {
	if now.Sub(seen.since) >= s.settle {
		return true
	}
	return now.Sub(seen.modified) >= s.settle && now.Sub(seen.changed) >= s.settle
}

// read inspects a settled file. It says false when the file turns out to be
// changing after all.
func (s *scanner) read(f *found, before shape) bool {
	file, err := os.Open(f.path)
	if err != nil {
		s.warn(f.path, "a plugin's file cannot be read", err)
		f.refused = &refusal{CodeUnreadable, "The file cannot be read."}
		return true
	}
	defer file.Close()
	if openForWriting(file) {
		return false
	}
	f.inspection, err = inspect(file, before.size)
	after, statErr := shapeOf(filepath.Dir(f.path), f.path, f.origin)
	if statErr != nil || after != before {
		return false
	}
	var refused *refusal
	switch {
	case errors.Is(err, errIncomplete):
		f.refused = &refusal{CodeIncomplete, "The file is not complete: it is still being copied, or the copy broke off."}
	case errors.As(err, &refused):
		f.refused = refused
	case err != nil:
		s.warn(f.path, "a plugin's file cannot be read", err)
		f.refused = &refusal{CodeUnreadable, "The file cannot be read."}
	}
	return true
}

// shapeOf looks at a file without opening it. The error is a *refusal for what
// is not taken as it lies there.
func shapeOf(dir, path string, origin Origin) (shape, error) {
	dirInfo, err := os.Stat(dir)
	if err != nil {
		return shape{}, err
	}
	link, err := os.Lstat(path)
	if err != nil {
		return shape{}, err
	}
	info := link
	out := shape{dir: holder{mode: dirInfo.Mode()}}
	if st, ok := dirInfo.Sys().(*syscall.Stat_t); ok {
		out.dir.owner, out.dir.group = st.Uid, st.Gid
	}
	if link.Mode()&fs.ModeSymlink != 0 {
		target, err := filepath.EvalSymlinks(path)
		if err != nil {
			return out.of(link), &refusal{CodeUnreadable, "The file is a link that leads nowhere."}
		}
		home, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return out.of(link), err
		}
		out.target = target
		if filepath.Dir(target) != home {
			return out.of(link), &refusal{CodeLinkOutside, "The file is a link that leads out of the plugin directory. Copy the program there instead."}
		}
		if info, err = os.Stat(path); err != nil {
			return out.of(link), err
		}
	}
	out = out.of(info)
	const worldWritable = 0o002
	switch {
	case !info.Mode().IsRegular():
		return out, &refusal{CodeNotRegular, "This is no regular file."}
	case dirInfo.Mode().Perm()&worldWritable != 0:
		return out, &refusal{CodeWorldWritable, "Anybody may write into the plugin directory. Take that right away (chmod o-w)."}
	case info.Mode().Perm()&worldWritable != 0:
		return out, &refusal{CodeWorldWritable, "Anybody may write into the file. Take that right away (chmod o-w)."}
	case origin == OriginInstallation && (groupMayWrite(dirInfo) || groupMayWrite(info)):
		// It runs without approval; what was dropped runs from the copy that was approved.
		return out, &refusal{CodeGroupWritable, "A whole group may write into the file or the plugin directory. Take that right away (chmod g-w)."}
	case !ours(dirInfo) || !ours(info):
		return out, &refusal{CodeForeignOwner, "The file or the plugin directory belongs to another user than the one Zondarr runs as."}
	case info.Mode().Perm()&0o111 == 0:
		return out, &refusal{CodeNotExecutable, "The file is not executable (chmod +x)."}
	}
	return out, nil
}

func (s shape) of(info fs.FileInfo) shape {
	s.size, s.mode, s.modified = info.Size(), info.Mode(), info.ModTime()
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.device, s.inode = uint64(st.Dev), st.Ino //nolint:unconvert // int32 on darwin
		s.changed = changeTime(st)
	}
	return s
}

// groupMayWrite says whether a group may write to a file, other than the group
// that bears its owner's name and is that user's alone: where users have such
// groups, files are usually made with that right.
func groupMayWrite(info fs.FileInfo) bool {
	const groupWritable = 0o020
	if info.Mode().Perm()&groupWritable == 0 {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	owner, err := user.LookupId(strconv.FormatUint(uint64(st.Uid), 10))
	if err != nil {
		return true
	}
	group, err := user.LookupGroupId(strconv.FormatUint(uint64(st.Gid), 10))
	return err != nil || group.Name != owner.Username
}

// ours says whether a file belongs to root or to the host's own user: whoever
// else owns it may change it at any time.
func ours(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (st.Uid == 0 || int(st.Uid) == os.Geteuid())
}
