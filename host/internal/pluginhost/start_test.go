package pluginhost

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
)

// What cannot run says so in a state and a message, and disturbs nobody.
func TestStartsThatCannotHeal(t *testing.T) {
	certificate := strings.Repeat("A", 300)
	for _, test := range []struct {
		name    string
		variant variant
		code    string
		message string
	}{
		{"GarbageHandshake", variant{Mode: "garbage"}, CodeNotPlugin, "no handshake"},
		{"BinaryHandshake", variant{Mode: "binary"}, CodeNotPlugin, "no end"},
		{"EndsWithoutAWord", variant{Mode: "quiet"}, CodeNotPlugin, "without a word"},
		{"WrongContract", variant{Mode: "handshake:1|99|unix|/x|grpc|" + certificate}, CodeProtocolVersion, "version 99"},
		{"WrongCore", variant{Mode: "handshake:2|1|unix|/x|grpc|" + certificate}, CodeProtocolVersion, "version 2 of the plugin protocol"},
		{"NetRPC", variant{Mode: "handshake:1|1|unix|/x|netrpc|" + certificate}, CodeNotPlugin, "gRPC"},
		{"PlainText", variant{Mode: "handshake:1|1|unix|/x|grpc|"}, CodeNotPlugin, "encrypt"},
		{"ListensElsewhere", variant{Mode: "handshake:1|1|unix|/tmp/elsewhere.sock|grpc|" + certificate}, CodeNotPlugin, "run directory"},
		{"ListensOnTCP", variant{Mode: "handshake:1|1|tcp|127.0.0.1:1|grpc|" + certificate}, CodeNotPlugin, "run directory"},
		{"BadCertificate", variant{Mode: "handshake:1|1|unix|DIR/plugin1|grpc|" + certificate}, CodeNotPlugin, "certificate"},
		{"AnotherName", variant{Name: "other"}, CodeNameMismatch, "zondarr-plugin-other"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			drop(t, h.install, "bad", test.variant)
			drop(t, h.install, "good", variant{})
			h.start()
			s := h.await("bad", StateFailed)
			if s.ErrorCode != test.code || !strings.Contains(s.Message, test.message) || s.PID != 0 {
				t.Errorf("it is %+v", s)
			}
			if s := h.status("good"); s.State != StateReady || s.Restarts != 0 {
				t.Errorf("another plugin was disturbed: %+v", s)
			}
			if left := processesBelow(h.install); len(left) != 1 {
				t.Errorf("processes are left: %v", left)
			}
		})
	}
}

// What may heal is tried again with backoff.
func TestStartsThatMayHeal(t *testing.T) {
	const usual, short = 8 * time.Second, 700 * time.Millisecond
	for _, test := range []struct {
		name    string
		variant variant
		start   time.Duration // within which it must have described itself
		code    string
		message string
	}{
		{"ExitAtStart", variant{Mode: "exit:5"}, usual, CodeCrashed, "It ended while it was starting: exit code 5."},
		{"DiesAfterItsHandshake", variant{Mode: "dieafter"}, usual, CodeCrashed, "It ended while it was starting: exit code 1."},
		{"HandshakeNeverComes", variant{Mode: "silent"}, short, CodeHandshakeTimeout, "It did not answer within 700ms of its start."},
		{"FloodInsteadOfHandshake", variant{Mode: "flood"}, short, CodeHandshakeTimeout, "It did not answer within 700ms of its start."},
		{"DescribeHangs", variant{Mode: "mute"}, usual, CodeHandshakeTimeout, "It did not describe itself within 300ms."},
		{"ConnectionFails", variant{Mode: "hangup"}, usual, CodeUnhealthy, "It shook hands, and then its connection failed."},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, withPolicy(func(p *Policy) {
				p.StartTimeout, p.DescribeTimeout, p.CrashLoop = test.start, 300*time.Millisecond, 100
			}))
			drop(t, h.install, "bad", test.variant)
			drop(t, h.install, "good", variant{})
			h.start()
			eventually(t, "it was tried twice", func() bool {
				h.entries["bad"].mu.Lock()
				defer h.entries["bad"].mu.Unlock()
				return len(h.entries["bad"].crashes.times) >= 2
			})
			s := h.await("bad", StateBackingOff)
			if s.ErrorCode != test.code || s.Message != test.message || s.LastCrash == nil {
				t.Errorf("it is %+v", s)
			}
			if s := h.status("good"); s.State != StateReady || s.Restarts != 0 {
				t.Errorf("another plugin was disturbed: %+v", s)
			}
		})
	}
}

// What the system lacks at the moment does not end a plugin for good; what it
// will never do does.
func TestSystemThatCannotStartIt(t *testing.T) {
	exec := func(err error) error { return &fs.PathError{Op: "fork/exec", Path: "/p", Err: err} }
	for _, test := range []struct {
		name string
		err  error
		code string // of the refusal; "" for another try
	}{
		{"NoProcess", exec(syscall.EAGAIN), ""},
		{"NoMemory", exec(syscall.ENOMEM), ""},
		{"Busy", exec(syscall.ETXTBSY), ""},
		{"NoDescriptor", os.NewSyscallError("pipe2", syscall.EMFILE), ""},
		{"NoRunDirectory", &fs.PathError{Op: "mkdir", Path: "/p", Err: syscall.ENOENT}, ""},
		{"CalledOff", context.Canceled, ""},
		{"NoRight", exec(syscall.EACCES), CodeCannotExecute},
		{"NoProgram", exec(syscall.ENOEXEC), CodeCannotExecute},
		{"NoInterpreter", exec(syscall.ENOENT), CodeCannotExecute},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := DefaultPolicy()
			out := newOutput(slog.New(slog.DiscardHandler), newScrubber(), p)
			i := &instance{proc: newProcess("/p", p, out), output: out, policy: p}
			failed, ok := errors.AsType[*launchError](i.failure(test.err, false, time.Now()))
			switch {
			case !ok || !errors.Is(failed.err, test.err):
				t.Errorf("it is %#v", failed)
			case test.code == "" && (failed.refusal != nil || failed.code == "" || failed.message == ""):
				t.Errorf("it is no other try: %+v", failed)
			case test.code != "" && (failed.refusal == nil || failed.refusal.code != test.code):
				t.Errorf("it is tried again: %+v", failed)
			}
		})
	}
}

// A run directory that a cleaner took does not keep a plugin from starting again.
func TestRunDirectoryIsTaken(t *testing.T) {
	h := newHouse(t)
	drop(t, h.install, "media", variant{})
	h.start()
	must(t, os.RemoveAll(h.run.path))
	pid := h.status("media").PID
	must(t, syscall.Kill(pid, syscall.SIGKILL))
	eventually(t, "it runs again", func() bool { s := h.status("media"); return s.State == StateReady && s.PID != pid })
	if _, err := h.get(server("media", 1), "bob"); err != nil {
		t.Error(err)
	}
}

// A directory that cannot be read for a while stops nothing.
func TestDirectoryInTrouble(t *testing.T) {
	h := newHouse(t)
	drop(t, h.install, "media", variant{})
	h.start()
	pid := h.status("media").PID
	must(t, os.Rename(h.install, h.install+".aside"))
	must(t, os.WriteFile(h.install, nil, 0o644)) // whoever reads it as a directory gets an error
	time.Sleep(5*h.policy.Settle + 5*h.policy.ScanEvery)
	if s := h.status("media"); s.State != StateReady || s.PID != pid || len(h.logs.lines("cannot be read")) != 1 {
		t.Errorf("it is %+v", s)
	}
	must(t, os.Remove(h.install))
	eventually(t, "a directory that is gone is another matter", func() bool { return len(h.List()) == 0 })
}

// A file that was refused when it was started is tried again once somebody has
// touched it.
func TestTouchedFileIsTriedAgain(t *testing.T) {
	h := newHouse(t)
	path := dropFile(t, h.install, "lost", []byte("#!"+h.dir+"/interpreter\n"))
	h.start()
	h.await("lost", StateFailed)
	must(t, os.Symlink("/bin/true", h.dir+"/interpreter"))
	must(t, os.Chtimes(path, time.Now(), time.Now()))
	eventually(t, "it ran", func() bool { return h.status("lost").ErrorCode == CodeNotPlugin })
}

// A plugin listens on a socket in its run directory and nowhere else.
func TestAddressOfAPlugin(t *testing.T) {
	p := &process{socketDir: "/run/zdr/plugin-dir1"}
	if _, _, err := p.PluginToHost("unix", "/run/zdr/plugin-dir1/plugin1"); err != nil {
		t.Error(err)
	}
	for _, elsewhere := range [][2]string{
		{"tcp", "127.0.0.1:1"}, {"unix", "/tmp/x.sock"}, {"unix", "/run/zdr/plugin-dir1/../plugin-dir2/plugin1"}, {"unix", ""}, {"unix", "plugin1"},
	} {
		if _, _, err := p.PluginToHost(elsewhere[0], elsewhere[1]); err == nil {
			t.Errorf("%v is taken", elsewhere)
		}
	}
}

// go-plugin leaves a connection and two goroutines behind for any failure of its
// stdio stream but one.
func TestFailureOfStdioIsTolerated(t *testing.T) {
	fail := func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
		return nil, grpcstatus.Error(codes.Canceled, "the process is gone")
	}
	for method, want := range map[string]codes.Code{"/plugin.GRPCStdio/StreamStdio": codes.Unavailable, "/plugin.GRPCBroker/StartStream": codes.Canceled} {
		if _, err := tolerateNoStdio(t.Context(), nil, nil, method, fail); grpcstatus.Code(err) != want {
			t.Errorf("%s gives %v", method, err)
		}
	}
}

// A process that dies between its handshake and its first call leaves nothing.
func TestDeathAfterHandshakeLeaksNothing(t *testing.T) {
	h := newHouse(t, withPolicy(func(p *Policy) { p.BackoffMin, p.BackoffMax = time.Millisecond, 2*time.Millisecond }))
	drop(t, h.install, "bad", variant{Mode: "dieafter"})
	h.start()
	crashes := func(n int) {
		eventually(t, "it died often enough", func() bool {
			h.entries["bad"].mu.Lock()
			defer h.entries["bad"].mu.Unlock()
			return len(h.entries["bad"].crashes.times) >= n
		})
	}
	crashes(3)
	goroutines, fds := settledCounts()
	crashes(30)
	moreGoroutines, moreFDs := settledCounts()
	if moreGoroutines > goroutines+8 || moreFDs > fds+12 { // one start is always under way
		t.Errorf("goroutines %d, then %d; descriptors %d, then %d", goroutines, moreGoroutines, fds, moreFDs)
	}
}

// A slow start is only slow.
func TestSlowStart(t *testing.T) {
	h := newHouse(t)
	drop(t, h.install, "media", variant{Mode: "slow:600ms"})
	h.start()
	if s := h.status("media"); s.State != StateReady {
		t.Errorf("it is %+v", s)
	}
}

// A file is judged by what it holds, without being run.
func TestFilesThatAreNotTaken(t *testing.T) {
	other := bytes.Clone(template)
	binary.LittleEndian.PutUint16(other[18:], uint16(elf.EM_S390))
	for _, test := range []struct {
		name    string
		make    func(t *testing.T, dir string)
		code    string
		message string
	}{
		{"Text", func(t *testing.T, dir string) { dropFile(t, dir, "bad", []byte("just words")) }, CodeNotPlugin, "no program"},
		{"Empty", func(t *testing.T, dir string) { dropFile(t, dir, "bad", nil) }, CodeNotPlugin, "no program"},
		{"WrongArchitecture", func(t *testing.T, dir string) { dropFile(t, dir, "bad", other) }, CodeWrongPlatform, "s390x"},
		{"WindowsProgram", func(t *testing.T, dir string) { dropFile(t, dir, "bad", []byte("MZ\x90\x00 and so on")) }, CodeWrongPlatform, "windows"},
		{"CutShort", func(t *testing.T, dir string) { dropFile(t, dir, "bad", template[:len(template)/2]) }, CodeIncomplete, "not complete"},
		{"CutByOneByte", func(t *testing.T, dir string) { dropFile(t, dir, "bad", template[:len(template)-1]) }, CodeIncomplete, "not complete"},
		{"WorldWritable", func(t *testing.T, dir string) {
			must(t, os.Chmod(drop(t, dir, "bad", variant{}), 0o777))
		}, CodeWorldWritable, "file"},
		{"NotExecutable", func(t *testing.T, dir string) {
			must(t, os.Chmod(drop(t, dir, "bad", variant{}), 0o644))
		}, CodeNotExecutable, "executable"},
		{"ForeignOwner", func(t *testing.T, dir string) {
			must(t, os.Chown(drop(t, dir, "bad", variant{}), 12345, 12345))
		}, CodeForeignOwner, "another user"},
		{"LinkOutside", func(t *testing.T, dir string) {
			must(t, os.Symlink(drop(t, t.TempDir(), "bad", variant{}), filepath.Join(dir, filePrefix+"bad")))
		}, CodeLinkOutside, "leads out"},
		{"LinkNowhere", func(t *testing.T, dir string) {
			must(t, os.Symlink("missing", filepath.Join(dir, filePrefix+"bad")))
		}, CodeUnreadable, "leads nowhere"},
		{"Directory", func(t *testing.T, dir string) {
			must(t, os.Mkdir(filepath.Join(dir, filePrefix+"bad"), 0o755))
		}, CodeNotRegular, "no regular file"},
		{"TooLarge", func(t *testing.T, dir string) {
			must(t, os.Truncate(drop(t, dir, "bad", variant{}), 1<<40)) // a hole; reading it would take an hour
		}, CodeTooLarge, "1024 MiB"},
		{"Pipe", func(t *testing.T, dir string) { mkfifo(t, filepath.Join(dir, filePrefix+"bad")) }, CodeNotRegular, "no regular file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHouse(t)
			h.start()
			test.make(t, h.dir)
			s := h.await("bad", StateFailed)
			if s.ErrorCode != test.code || !strings.Contains(s.Message, test.message) || strings.Contains(s.Message, h.dir) {
				t.Errorf("it is %+v", s)
			}
			if _, err := h.Approve(t.Context(), "bad", s.SHA256, "admin:test"); err == nil {
				t.Error("it was approved")
			}
		})
	}
}

// However a program is laid out, its own headers tell that a part is missing.
func TestCutProgramIsIncomplete(t *testing.T) {
	self, err := os.Executable() // with symbols and debug information, unlike the test plugin
	must(t, err)
	for _, path := range []string{self, dropFile(t, t.TempDir(), "whole", template)} {
		f, err := os.Open(path)
		must(t, err)
		defer f.Close()
		info, err := f.Stat()
		must(t, err)
		must(t, checkFormat(f, info.Size()))
		cut, err := os.CreateTemp(t.TempDir(), "cut")
		must(t, err)
		defer cut.Close()
		_, err = io.Copy(cut, f)
		must(t, err)
		for _, size := range []int64{info.Size() - 1, info.Size() - 1000, info.Size() * 9 / 10, info.Size() / 2, 100_000, 1000, 64, 20} {
			must(t, cut.Truncate(size))
			if err := checkFormat(cut, size); !errors.Is(err, errIncomplete) {
				t.Errorf("of %d bytes %d are taken for a program: %v", info.Size(), size, err)
			}
		}
	}
}

// A file that nobody has approved cannot take the host down, nor its memory, by
// what it says of itself.
func TestFileMadeToBreakItsReader(t *testing.T) {
	self, err := os.Executable()
	must(t, err)
	program, err := os.ReadFile(self)
	must(t, err)
	size := int64(len(program))
	for _, from := range []int64{0, 16, 64, size / 2} {
		r := &trap{file: program, from: from}
		_, err := inspect(r, size)
		if refused, ok := errors.AsType[*refusal](err); !r.sprung || !ok || refused.code != CodeNotPlugin {
			t.Errorf("panicking at %d: %v", from, err)
		}
	}

	sections := make([]byte, 128) // as many as there are bytes in the file, and more
	copy(sections, program[:64])
	binary.LittleEndian.PutUint64(sections[40:], 64)    // e_shoff
	binary.LittleEndian.PutUint16(sections[56:], 0)     // e_phnum
	binary.LittleEndian.PutUint16(sections[58:], 64)    // e_shentsize
	binary.LittleEndian.PutUint16(sections[60:], 0)     // e_shnum: see the first section
	binary.LittleEndian.PutUint64(sections[96:], 1<<30) // its sh_size
	r := &trap{file: sections, from: -1}
	_, err = inspect(r, 256<<20)
	if refused, ok := errors.AsType[*refusal](err); !ok || refused.code != CodeNotPlugin || r.read > 2*maxHeaders {
		t.Errorf("it read %d MiB: %v", r.read>>20, err)
	}
}

// trap is a file with a hole of 256 MiB at its end, and a panic at one place.
type trap struct {
	file   []byte
	from   int64 // -1 for nowhere
	sprung bool
	read   int
}

func (f *trap) ReadAt(p []byte, off int64) (int, error) {
	if f.from >= 0 && off+int64(len(p)) > f.from {
		f.sprung = true
		panic("index out of range")
	}
	if off+int64(len(p)) > 256<<20 {
		return 0, io.EOF
	}
	f.read += len(p)
	clear(p)
	if off < int64(len(f.file)) {
		copy(p, f.file[off:])
	}
	return len(p), nil
}

func TestWorldWritableDirectory(t *testing.T) {
	h := newHouse(t)
	h.start()
	drop(t, h.dir, "media", variant{})
	must(t, os.Chmod(h.dir, 0o777))
	if s := h.await("media", StateFailed); s.ErrorCode != CodeWorldWritable || !strings.Contains(s.Message, "directory") {
		t.Errorf("it is %+v", s)
	}
	must(t, os.Chmod(h.dir, 0o755))
	h.await("media", StateAwaitingApproval)
}

// What ships with the host runs without approval, so nobody may have changed it but
// its owner, whose own group may write as a umask of 002 has it. What was dropped
// runs from the copy that was approved.
func TestGroupWritable(t *testing.T) {
	const others = 12345
	for _, test := range []struct {
		name string
		make func(t *testing.T, h *house)
		code string
	}{
		{"OwnGroup", func(t *testing.T, h *house) {
			must(t, os.Chmod(drop(t, h.install, "media", variant{}), 0o775))
			must(t, os.Chmod(h.install, 0o775))
		}, ""},
		{"File", func(t *testing.T, h *house) {
			path := drop(t, h.install, "media", variant{})
			must(t, errors.Join(os.Chown(path, -1, others), os.Chmod(path, 0o775)))
		}, CodeGroupWritable},
		{"Directory", func(t *testing.T, h *house) {
			drop(t, h.install, "media", variant{})
			must(t, errors.Join(os.Chown(h.install, -1, others), os.Chmod(h.install, 0o775)))
		}, CodeGroupWritable},
		{"Dropped", func(t *testing.T, h *house) {
			path := drop(t, h.dir, "media", variant{})
			must(t, errors.Join(os.Chown(path, -1, others), os.Chmod(path, 0o775)))
		}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHouse(t)
			test.make(t, h)
			h.start()
			switch s := h.status("media"); {
			case test.code == "" && s.State != StateReady && s.State != StateAwaitingApproval:
				t.Errorf("it is %+v", s)
			case test.code != "" && (s.State != StateFailed || s.ErrorCode != test.code || !strings.Contains(s.Message, "chmod g-w")):
				t.Errorf("it is %+v", s)
			}
		})
	}
}

// A directory that is given to another group is seen, though no file has changed.
func TestDirectoryChangesHands(t *testing.T) {
	h := newHouse(t)
	must(t, os.Chmod(h.install, 0o775))
	drop(t, h.install, "media", variant{})
	h.start()
	h.await("media", StateReady)
	must(t, errors.Join(os.Chown(h.install, -1, 12345), os.Chmod(h.install, 0o775)))
	h.await("media", StateFailed)
}

// A link within the directory is a file like any other.
func TestLinkInside(t *testing.T) {
	h := newHouse(t)
	h.start()
	must(t, os.WriteFile(filepath.Join(h.dir, "media-1.0"), variant{}.binary(), 0o755))
	must(t, os.Symlink("media-1.0", filepath.Join(h.dir, filePrefix+"media")))
	h.await("media", StateAwaitingApproval)
	if s := h.approve("media"); s.State != StateReady {
		t.Errorf("it is %+v", s)
	}
}

// A script is run like any program, and is no plugin if it does not behave.
func TestScript(t *testing.T) {
	h := newHouse(t)
	dropFile(t, h.install, "script", []byte("#!/bin/sh\necho hello\nsleep 60\n"))
	dropFile(t, h.install, "lost", []byte("#!/no/such/interpreter\n"))
	h.start()
	if s := h.await("script", StateFailed); s.ErrorCode != CodeNotPlugin {
		t.Errorf("it is %+v", s)
	}
	if s := h.await("lost", StateFailed); s.ErrorCode != CodeCannotExecute || !strings.Contains(s.Message, "interpreter") {
		t.Errorf("it is %+v", s)
	}
}

// Names that no plugin may have are told in the log, once, and their files never
// run: a copy that somebody keeps beside a plugin is no plugin.
func TestInvalidNames(t *testing.T) {
	h := newHouse(t)
	names := []string{"Bad", "a b", "2fa", "media.bak", "media.new", strings.Repeat("a", 33)}
	for _, name := range names {
		dropFile(t, h.dir, name, variant{}.binary())
		dropFile(t, h.install, name, variant{}.binary())
	}
	must(t, os.WriteFile(filepath.Join(h.dir, "README"), []byte("plugins go here"), 0o644))
	h.start()
	time.Sleep(10 * h.policy.ScanEvery)
	if l := h.List(); len(l) != 0 {
		t.Errorf("listed are %+v", l)
	}
	if lines := h.logs.lines("not allowed"); len(lines) != 2*len(names) {
		t.Errorf("the log says %v", lines)
	}
}
