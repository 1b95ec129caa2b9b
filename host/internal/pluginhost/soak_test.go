//go:build soak

package pluginhost

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// Two minutes in which a random plugin is killed every second while 32 callers
// work: no call hangs, nothing leaks, each failed call is typed.
func TestSoakKilledPlugins(t *testing.T) {
	const (
		length  = 2 * time.Minute
		callers = 32
	)
	names := []string{"alpha", "beta", "gamma", "delta"}
	h := newHouse(t, withPolicy(func(p *Policy) {
		p.BackoffMin, p.BackoffMax = 50*time.Millisecond, 200*time.Millisecond
		p.Calls.Read, p.Calls.Write = 3*time.Second, 3*time.Second
	}))
	for _, name := range names {
		drop(t, h.install, name, variant{MaxConcurrent: 16})
	}
	h.start()
	count := filepath.Join(t.TempDir(), "count")
	// longest is more than any call may take: its queue, the wait for a plugin, and
	// its deadline twice.
	const longest = 12 * time.Second
	var (
		wg                   sync.WaitGroup
		stop                 atomic.Bool
		calls, failed, worst atomic.Int64
	)
	work := func(random *rand.Rand, i int) {
		ref := server(names[random.IntN(len(names))], i)
		ref.Settings = map[string]any{"count_file": count}
		started := time.Now()
		var err error
		switch random.IntN(5) {
		case 0:
			var c sdk.MediaClient
			if c, err = h.registry.Client(t.Context(), ref); err == nil {
				_, err = c.(sdk.Provisioner).CreateUser(t.Context(), sdk.CreateUserRequest{
					OperationID: "019a0000-0000-7000-8000-000000000000", Username: "bob", Password: "correct horse",
					Grant: sdk.Grant{Libraries: sdk.LibraryAccess{Mode: sdk.LibraryAll}},
				})
			}
		case 1:
			var c sdk.MediaClient
			if c, err = h.registry.Client(t.Context(), ref); err == nil {
				err = c.(sdk.UserReader).ListUsers(t.Context(), sdk.ListUsersRequest{}, func(sdk.User) error { return nil })
			}
		case 2:
			_, err = h.get(ref, "slow:20ms")
		default:
			_, err = h.get(ref, "bob")
		}
		took := time.Since(started)
		for {
			old := worst.Load()
			if int64(took) <= old || worst.CompareAndSwap(old, int64(took)) {
				break
			}
		}
		calls.Add(1)
		if took > longest {
			t.Errorf("a call took %s", took)
		}
		if err == nil {
			return
		}
		failed.Add(1)
		if e, ok := errors.AsType[*sdk.Error](err); !ok || e.Reason == "" || e.Source == "" || e.Op == "" || e.ServerURL == "" {
			t.Errorf("an untyped failure: %#v", err)
		}
	}
	warm := func() {
		for _, name := range names {
			h.await(name, StateReady)
			if _, err := h.get(server(name, 1), "bob"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	warm()
	goroutines, fds := settledCounts()
	for i := range callers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for !stop.Load() {
				work(random, i)
				time.Sleep(time.Duration(random.IntN(5)) * time.Millisecond)
			}
		})
	}
	random := rand.New(rand.NewPCG(2, 2))
	kills := 0
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(time.Second) {
		if pid := h.status(names[random.IntN(len(names))]).PID; pid != 0 {
			sig := []syscall.Signal{syscall.SIGKILL, syscall.SIGKILL, syscall.SIGSEGV, syscall.SIGSTOP}[random.IntN(4)]
			if syscall.Kill(pid, sig) == nil {
				kills++
			}
		}
		must(t, os.Truncate(mustFile(t, count), 0))
	}
	stop.Store(true)
	wg.Wait()
	warm()
	moreGoroutines, moreFDs := settledCounts()
	t.Logf("%d kills, %d calls, %d failed, the longest took %s; goroutines %d → %d, descriptors %d → %d",
		kills, calls.Load(), failed.Load(), time.Duration(worst.Load()).Round(time.Millisecond), goroutines, moreGoroutines, fds, moreFDs)
	if moreGoroutines > goroutines+4 || moreFDs > fds+4 {
		t.Error("goroutines or descriptors leak")
	}
	if kills < 80 || calls.Load() < 10_000 || failed.Load()*10 > calls.Load() {
		t.Error("that was no soak")
	}
}

// mustFile makes sure that the file is there.
func mustFile(t *testing.T, path string) string {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	must(t, err)
	f.Close()
	return path
}
