//go:build linux

package pluginhost

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zondarr/zondarr/sdk"
)

// R4.8: a plugin gets nothing of the host's environment but an allow-list.
func TestEnvironmentIsAllowList(t *testing.T) {
	h := newHouse(t, func(c *Config) {
		c.Env = []string{
			"PATH=/usr/bin:/bin", "TZ=UTC", "LANG=C", "SSL_CERT_FILE=/certs.pem", "https_proxy=http://p.test", "NO_PROXY=localhost",
			"GOMAXPROCS=2", "ZONDARR_SECRET_KEY=secret", "ZONDARR_DATABASE_URL=postgres://u:p@h/d", "HOME=/root", "LD_PRELOAD=/x.so",
			"GODEBUG=x=1", "PLUGIN_UNIX_SOCKET_DIR=/tmp", "AWS_SECRET_ACCESS_KEY=x", "MY_PROXY_PASSWORD=x",
		}
	})
	drop(t, h.install, "media", variant{})
	h.start()
	u, err := h.get(server("media", 1), "environ")
	must(t, err)
	allowed := []string{
		"PATH", "TZ", "LANG", "SSL_CERT_FILE", "https_proxy", "NO_PROXY", "GOMAXPROCS",
		// go-plugin's own:
		"ZONDARR_PLUGIN", "PLUGIN_MIN_PORT", "PLUGIN_MAX_PORT", "PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_CLIENT_CERT", "PLUGIN_UNIX_SOCKET_DIR",
	}
	seen := map[string]int{}
	for line := range strings.Lines(u.Options["environ"].(string)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || name != strings.Trim(name, "+/") || strings.ContainsAny(name, "- ") { // a line of the certificate
			continue
		}
		if seen[name]++; !slices.Contains(allowed, name) && len(value) > 0 && name == strings.ToUpper(name) {
			t.Errorf("the plugin got %s", name)
		}
		if name == "PLUGIN_UNIX_SOCKET_DIR" && !strings.HasPrefix(value, h.run.path) {
			t.Errorf("the sockets are in %s", value)
		}
	}
	for _, name := range allowed {
		if seen[name] != 1 {
			t.Errorf("%s is there %d times", name, seen[name])
		}
	}
}

// No descriptor of the host reaches a plugin, also none that the host itself
// inherited.
func TestNoDescriptorIsInherited(t *testing.T) {
	path := filepath.Join(t.TempDir(), "inherited")
	must(t, os.WriteFile(path, nil, 0o600))
	fd, err := syscall.Open(path, syscall.O_RDONLY, 0) // without O_CLOEXEC
	must(t, err)
	defer func() { _ = syscall.Close(fd) }()
	h := newHouse(t)
	drop(t, h.install, "alpha", variant{})
	drop(t, h.install, "beta", variant{})
	h.start()
	for _, name := range []string{"alpha", "beta"} {
		u, err := h.get(server(name, 1), "fds")
		must(t, err)
		pipes := 0
		for line := range strings.Lines(u.Options["fds"].(string)) {
			number, target, _ := strings.Cut(strings.TrimSpace(line), " ")
			switch {
			case target == "": // the directory that was read, closed again
			case strings.HasPrefix(target, "/sys/fs/cgroup/"): // opened by the plugin's own Go runtime
			case strings.HasPrefix(target, "/proc/"), strings.HasPrefix(target, "anon_inode:"), strings.HasPrefix(target, "socket:"):
			case strings.HasPrefix(target, "pipe:"):
				pipes++ // stdin, stdout, stderr, and two of go-plugin's own with both ends
			default:
				t.Errorf("%s has descriptor %s: %s", name, number, target)
			}
		}
		if pipes > 3+4 {
			t.Errorf("%s has %d pipe ends:\n%s", name, pipes, u.Options["fds"])
		}
	}
}

func TestLimitsAreSet(t *testing.T) {
	h := newHouse(t)
	drop(t, h.install, "media", variant{})
	h.start()
	u, err := h.get(server("media", 1), "limits")
	must(t, err)
	limits := u.Options["limits"].(string)
	for name, want := range map[string]string{
		"Max core file size": "0 0", "Max open files": "1024 1024", "Max data size": fmt.Sprintf("%d %[1]d", 1<<30), "Max address space": "unlimited unlimited",
	} {
		_, rest, _ := strings.Cut(limits, name)
		if got := strings.Join(strings.Fields(rest)[:2], " "); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	pid := h.status("media").PID
	if group, err := syscall.Getpgid(pid); err != nil || group != pid {
		t.Errorf("its group is %d (%v)", group, err)
	}
}

// R4.8: a plugin cannot read the host's environment or memory, although both run
// as the same user. Root always can, so the host here is another user.
func TestHostCannotBeRead(t *testing.T) {
	_, report := startRole(t, map[string]variant{"media": {}}, "host:environ", "host:mem", "host:status")
	for _, what := range []string{"host:environ", "host:mem"} {
		if answer := report.Answers[what]; !strings.Contains(answer, "permission denied") {
			t.Errorf("%s: %s", what, answer)
		}
	}
	// The question itself works.
	if answer := report.Answers["host:status"]; !strings.HasPrefix(answer, "<nil>") {
		t.Errorf("status: %s", answer)
	}
}

// R4.8: no plugin outlives a host that is killed, whatever it is doing.
func TestHostKilledLeavesNoOrphan(t *testing.T) {
	cmd, report := startRole(t, map[string]variant{"media": {}, "deaf": {Mode: "deaf"}, "stopped": {}}, "grandchild:group")
	if len(report.PIDs) != 3 {
		t.Fatalf("the host reports %+v", report)
	}
	// A child of a plugin has no such tie to the host; it is not left to the machine.
	var child int
	if _, err := fmt.Sscanf(report.Answers["grandchild:group"], "%d", &child); err != nil {
		t.Fatalf("the child is %v", report.Answers)
	}
	defer func() { _ = syscall.Kill(child, syscall.SIGKILL) }()
	for name, pid := range report.PIDs {
		if !alive(pid) {
			t.Fatalf("%s does not run", name)
		}
	}
	must(t, syscall.Kill(report.PIDs["stopped"], syscall.SIGSTOP))
	must(t, cmd.Process.Kill())
	killed := time.Now()
	for name, pid := range report.PIDs {
		for alive(pid) {
			if time.Since(killed) > time.Second {
				t.Fatalf("%s lives on a second later", name)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	t.Logf("gone after %s", time.Since(killed).Round(time.Millisecond))
}

// Stop is bounded, whatever the processes do, and nothing is left.
func TestStopIsBounded(t *testing.T) {
	h := newHouse(t)
	for _, name := range []string{"stopped", "grandchild", "escaped", "hung", "atstart", "normal"} {
		v := variant{}
		if name == "atstart" {
			v.Mode = "grandchild:group"
		}
		drop(t, h.install, name, v)
	}
	h.start()
	escaped, err := h.get(server("escaped", 1), "grandchild:session")
	must(t, err)
	child, err := h.get(server("grandchild", 1), "grandchild:group")
	must(t, err)
	go func() { _, _ = h.get(server("hung", 1), "hang") }()
	eventually(t, "the call hangs", func() bool { return h.entries["hung"].calls() == 1 })
	must(t, syscall.Kill(h.status("stopped").PID, syscall.SIGSTOP))

	started := time.Now()
	h.stop()
	if took := time.Since(started); took > 8500*time.Millisecond {
		t.Errorf("it took %s", took)
	}
	if alive(pidOf(t, child)) {
		t.Error("the child in the plugin's group is left")
	}
	// A child that left the group is its own master; it must not keep us.
	_ = syscall.Kill(pidOf(t, escaped), syscall.SIGKILL)
}

// pidOf reads the answer to "grandchild".
func pidOf(t *testing.T, u sdk.User) int {
	t.Helper()
	pid, err := strconv.Atoi(u.Email)
	must(t, err)
	return pid
}

// The death of a process is noticed although its child holds the pipes.
func TestDeathIsNoticedWhileAChildHoldsThePipes(t *testing.T) {
	for _, kind := range []string{"group", "session"} {
		t.Run(kind, func(t *testing.T) {
			h := newHouse(t)
			drop(t, h.install, "media", variant{})
			h.start()
			u, err := h.get(server("media", 1), "grandchild:"+kind)
			must(t, err)
			child := pidOf(t, u)
			defer func() { _ = syscall.Kill(child, syscall.SIGKILL) }()
			started := time.Now()
			must(t, syscall.Kill(h.status("media").PID, syscall.SIGKILL))
			eventually(t, "another process", func() bool { return h.status("media").Restarts == 1 })
			if took := time.Since(started); took > 2*time.Second {
				t.Errorf("it took %s", took)
			}
			if kind == "group" && alive(child) {
				t.Error("the child is left")
			}
		})
	}
}

// Where the host is the first process of a container, the dead of a plugin's group
// are its to bury.
func TestInheritedChildrenAreReaped(t *testing.T) {
	must(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	defer func() { must(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)) }()
	h := newHouse(t)
	drop(t, h.install, "media", variant{})
	h.start()
	u, err := h.get(server("media", 1), "grandchild:group")
	must(t, err)
	must(t, syscall.Kill(h.status("media").PID, syscall.SIGKILL))
	eventually(t, "the child is buried", func() bool {
		_, err := os.Stat("/proc/" + u.Email)
		return os.IsNotExist(err)
	})
}

// Service managers signal the whole group of the host; plugins wait for the
// host's word.
func TestSignalsOfServiceManagersAreIgnored(t *testing.T) {
	h := newHouse(t)
	drop(t, h.install, "media", variant{})
	h.start()
	pid := h.status("media").PID
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT} {
		must(t, syscall.Kill(pid, sig))
	}
	time.Sleep(100 * time.Millisecond)
	if _, err := h.get(server("media", 1), "bob"); err != nil || h.status("media").PID != pid {
		t.Errorf("%v, %+v", err, h.status("media"))
	}
}

func TestRunDirectory(t *testing.T) {
	h := newHouse(t)
	drop(t, h.install, "media", variant{})
	h.start()
	info, err := os.Stat(h.run.path)
	must(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("its mode is %v", info.Mode())
	}
	sockets, _ := filepath.Glob(filepath.Join(h.run.path, "plugin-dir*", "*"))
	if len(sockets) != 1 || len(sockets[0]) > maxSocketPath {
		t.Errorf("the sockets are %v", sockets)
	}
	// What a dead host left is swept; what a living one holds is not.
	left := filepath.Join(h.runBase, runPrefix+"dead")
	must(t, os.MkdirAll(filepath.Join(left, "plugin-dir1"), 0o700))
	must(t, os.WriteFile(filepath.Join(left, runLock), nil, 0o600))
	second, err := openRunDir(h.runBase)
	must(t, err)
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("what a dead host left is still there: %v", err)
	}
	if _, err := h.get(server("media", 1), "bob"); err != nil {
		t.Errorf("the living host was disturbed: %v", err)
	}
	must(t, second.close())
	run := h.run.path
	h.stop()
	if _, err := os.Stat(run); !os.IsNotExist(err) {
		t.Errorf("the run directory is left: %v", err)
	}
}

// A path that is too long for a socket leads to one of the system's directories,
// and never to /tmp.
// In a directory that everybody may write to, what somebody else put there neither
// stops the host nor is touched by it.
func TestSweepLeavesWhatIsNotOurs(t *testing.T) {
	base := t.TempDir()
	trap := filepath.Join(base, runPrefix+"trap")
	must(t, os.Mkdir(trap, 0o700))
	must(t, syscall.Mkfifo(filepath.Join(trap, runLock), 0o666)) // whoever opens it waits
	foreign := filepath.Join(base, runPrefix+"foreign")
	must(t, os.Mkdir(foreign, 0o777))
	must(t, os.WriteFile(filepath.Join(foreign, runLock), nil, 0o666))
	must(t, os.Chown(foreign, 12345, 12345))
	done := make(chan error, 1)
	go func() {
		run, err := newRunDir(base)
		if err == nil {
			err = run.close()
		}
		done <- err
	}()
	select {
	case err := <-done:
		must(t, err)
	case <-time.After(5 * time.Second):
		f, err := os.OpenFile(filepath.Join(trap, runLock), os.O_RDWR, 0) // so that it ends
		must(t, err)
		defer f.Close()
		t.Errorf("the sweep waited for a pipe; then: %v", <-done)
	}
	for _, dir := range []string{trap, foreign} {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("it was touched: %v", err)
		}
	}
}

func TestLongRunDirectory(t *testing.T) {
	run, err := openRunDir(filepath.Join(t.TempDir(), strings.Repeat("long/", 20)))
	must(t, err)
	defer func() { must(t, run.close()) }()
	if strings.HasPrefix(run.path, "/tmp") || len(filepath.Join(run.path, socketName)) > maxSocketPath {
		t.Errorf("it is %s", run.path)
	}
	info, err := os.Stat(run.path)
	must(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("its mode is %v", info.Mode())
	}
}
