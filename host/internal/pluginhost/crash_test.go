package pluginhost

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// R4.7: however a process ends, it is recorded, started again, and the calls
// meanwhile get typed errors.
func TestCrashIsRecordedAndHealed(t *testing.T) {
	for _, test := range []struct {
		name, do, signal string
		exitCode         int
		output           string
	}{
		{name: "ExitCode", do: "exit:3", exitCode: 3, output: "about to exit"},
		{name: "ExitZero", do: "exit:0", exitCode: 0, output: "about to exit"},
		{name: "Panic", do: "panic:this", exitCode: 2, output: "panic: no idea what to do with this"},
		{name: "Killed", do: "kill", signal: "SIGKILL", exitCode: -1},
		{name: "OutOfMemory", do: "oom", exitCode: 2, output: "fatal error: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHouse(t, withPolicy(func(p *Policy) { p.Rlimits.Data = 400 << 20; p.Calls.Retries = 0 }))
			drop(t, h.install, "media", variant{})
			h.start()
			before := h.status("media")
			_, err := h.get(server("media", 1), test.do)
			if e, ok := errors.AsType[*sdk.Error](err); !ok || e.Kind() != sdk.ReasonUnavailable || e.Source != sdk.SourceHost {
				t.Errorf("the call's error is %#v", err)
			}
			if u, err := h.get(server("media", 1), "bob"); err != nil || u.Username != "1" {
				t.Errorf("afterwards: %+v, %v", u, err)
			}
			eventually(t, "it runs again", func() bool { return h.status("media").Restarts == 1 })
			after := h.await("media", StateReady)
			if after.PID == before.PID {
				t.Errorf("it was not started again: %+v", after)
			}
			c := after.LastCrash
			if c == nil || c.ExitCode != test.exitCode || c.Signal != test.signal || c.LastCall != "GetUser" || !strings.Contains(c.OutputTail, test.output) {
				t.Errorf("the crash is %+v", c)
			}
			if l := h.List()[0].LastCrash; l == nil || l.OutputTail != "" {
				t.Errorf("the list shows the crash as %+v", l)
			}
		})
	}
}

// A stopped process answers no health check, is killed and started again.
func TestStoppedProcessIsReplaced(t *testing.T) {
	h := newHouse(t)
	drop(t, h.install, "media", variant{})
	drop(t, h.install, "other", variant{})
	h.start()
	pid := h.status("media").PID
	must(t, syscall.Kill(pid, syscall.SIGSTOP))
	eventually(t, "another process", func() bool {
		s := h.status("media")
		return s.State == StateReady && s.PID != pid
	})
	s := h.status("media")
	if s.LastCrash == nil || s.LastCrash.Signal != "SIGKILL" || len(h.logs.lines("health checks")) == 0 {
		t.Errorf("it is %+v", s)
	}
	if s := h.status("other"); s.Restarts != 0 {
		t.Errorf("another plugin was disturbed: %+v", s)
	}
}

// A call that hangs ends by its deadline; the process goes on.
func TestHungCall(t *testing.T) {
	h := newHouse(t, withPolicy(func(p *Policy) { p.Calls.Read = 300 * time.Millisecond }))
	drop(t, h.install, "media", variant{})
	h.start()
	started := time.Now()
	_, err := h.get(server("media", 1), "hang")
	if e, ok := errors.AsType[*sdk.Error](err); !ok || e.Kind() != sdk.ReasonTimeout || e.Source != sdk.SourceHost || e.Op != "GetUser" {
		t.Errorf("the error is %#v", err)
	}
	if took := time.Since(started); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
	if _, err := h.get(server("media", 1), "bob"); err != nil {
		t.Error(err)
	}
	if s := h.status("media"); s.Restarts != 0 || s.State != StateReady {
		t.Errorf("it is %+v", s)
	}
}

func TestHugeReplyIsRefused(t *testing.T) {
	h := newHouse(t)
	drop(t, h.install, "media", variant{})
	h.start()
	ref := server("media", 1)
	ref.URL += "/104857600"
	c, err := h.registry.Client(t.Context(), ref)
	must(t, err)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = c.ListLibraries(t.Context(), sdk.ListLibrariesRequest{})
	runtime.ReadMemStats(&after)
	if e, ok := errors.AsType[*sdk.Error](err); !ok || e.Kind() != sdk.ReasonInternal || e.Source != sdk.SourcePlugin {
		t.Errorf("the error is %#v", err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 40<<20 {
		t.Errorf("the host took %d MiB for it", grown>>20)
	}
	if s := h.status("media"); s.Restarts != 0 {
		t.Errorf("it is %+v", s)
	}
}

// Deletes are repeated after a crash, creates never: the process counts.
func TestOnlySafeCallsAreRepeated(t *testing.T) {
	h := newHouse(t)
	drop(t, h.install, "media", variant{})
	h.start()
	count := filepath.Join(t.TempDir(), "count")
	ref := server("media", 1)
	ref.Settings = map[string]any{"count_file": count}
	c, err := h.registry.Client(t.Context(), ref)
	must(t, err)
	if _, err := c.(sdk.Provisioner).DeleteUser(t.Context(), sdk.DeleteUserRequest{ID: "1"}); err != nil {
		t.Errorf("DeleteUser: %v", err)
	}
	_, err = c.(sdk.Provisioner).CreateUser(t.Context(), sdk.CreateUserRequest{
		OperationID: "019a0000-0000-7000-8000-000000000000", Username: "die", Password: "correct horse",
		Grant: sdk.Grant{Libraries: sdk.LibraryAccess{Mode: sdk.LibraryAll}},
	})
	if sdk.ReasonOf(err) != sdk.ReasonAmbiguous {
		t.Errorf("CreateUser: %v", err)
	}
	h.await("media", StateReady)
	lines, err := os.ReadFile(count)
	must(t, err)
	if got := string(lines); got != "delete\ndelete\ncreate\n" {
		t.Errorf("the calls were %q", got)
	}
}

// Fifty crashes in a row leave neither goroutines nor descriptors behind.
func TestCrashStormLeaksNothing(t *testing.T) {
	h := newHouse(t, withPolicy(func(p *Policy) { p.BackoffMin, p.BackoffMax = time.Millisecond, 2*time.Millisecond }))
	drop(t, h.install, "media", variant{})
	h.start()
	crash := func(n int) {
		for range n {
			s := h.await("media", StateReady)
			must(t, syscall.Kill(s.PID, syscall.SIGKILL))
			eventually(t, "its end is noticed", func() bool { return h.status("media").PID != s.PID })
		}
		h.await("media", StateReady)
	}
	crash(3)
	goroutines, fds := settledCounts()
	storm := 50
	if testing.Short() {
		storm = 10
	}
	crash(storm)
	moreGoroutines, moreFDs := settledCounts()
	if moreGoroutines > goroutines+2 || moreFDs > fds+2 {
		t.Errorf("goroutines %d, then %d; descriptors %d, then %d", goroutines, moreGoroutines, fds, moreFDs)
	}
	s := h.status("media")
	if !s.CrashLooping || s.Restarts != 3+storm {
		t.Errorf("it is %+v", s)
	}
	left, err := filepath.Glob(filepath.Join(h.run.path, "*"))
	must(t, err)
	if len(left) > 2 { // the lock, and the directory of the process that runs
		t.Errorf("the run directory holds %v", left)
	}
	// An admin's restart forgets them.
	s, err = h.Restart(t.Context(), "media", "admin:test")
	if err != nil || s.CrashLooping || s.State != StateReady {
		t.Errorf("after the restart: %+v, %v", s, err)
	}
}

// settledCounts waits for what is ending to end.
func settledCounts() (goroutines, fds int) {
	goroutines, fds = 1<<30, 1<<30
	for range 20 {
		time.Sleep(20 * time.Millisecond)
		entries, _ := os.ReadDir("/proc/self/fd")
		goroutines, fds = min(goroutines, runtime.NumGoroutine()), min(fds, len(entries))
	}
	return goroutines, fds
}

func TestCrashLoopIsShownAndCallsFailFast(t *testing.T) {
	h := newHouse(t, withPolicy(func(p *Policy) { p.BackoffMin, p.BackoffMax = 10*time.Millisecond, time.Minute; p.BackoffJitter = 0 }))
	drop(t, h.install, "media", variant{Mode: "exit:7"})
	h.start()
	eventually(t, "it loops", func() bool { return h.status("media").CrashLooping })
	s := h.status("media")
	if s.State != StateBackingOff && s.State != StateStarting && s.State != StateVerifying {
		t.Errorf("it is %+v", s)
	}
	if c := s.LastCrash; c == nil || c.ExitCode != 7 || !strings.Contains(c.OutputTail, "no such luck") {
		t.Errorf("the crash is %+v", c)
	}
	eventually(t, "the code", func() bool { return h.status("media").ErrorCode == CodeCrashLooping })
}

// Many callers across a crash: each gets an answer or a typed error, soon.
func TestCallersAcrossACrash(t *testing.T) {
	h := newHouse(t)
	drop(t, h.install, "media", variant{MaxConcurrent: 64})
	h.start()
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for range 20 {
				_, err := h.get(server("media", i), "slow:2ms")
				if err != nil {
					if _, ok := errors.AsType[*sdk.Error](err); !ok {
						t.Errorf("an untyped error: %v", err)
					}
				}
			}
		})
	}
	time.Sleep(5 * time.Millisecond)
	must(t, syscall.Kill(h.status("media").PID, syscall.SIGKILL))
	wg.Wait()
	h.await("media", StateReady)
}
