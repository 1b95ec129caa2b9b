package pluginhost

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A thousand calls in flight across the replacement of a version: none is lost,
// each is answered by the version that it was sent to, and after the approval
// nobody reaches the old one.
func TestReplacementUnderLoad(t *testing.T) {
	h := newHouse(t)
	h.start()
	drop(t, h.dir, "media", variant{Version: "1", MaxConcurrent: 2000})
	h.await("media", StateAwaitingApproval)
	old := h.approve("media")
	drop(t, h.dir, "media", variant{Version: "2", MaxConcurrent: 2000})
	eventually(t, "it is pending", func() bool { return h.status("media").Pending != nil })

	callers := int64(1000)
	if testing.Short() {
		callers = 100
	}
	var (
		wg            sync.WaitGroup
		swapped, stop atomic.Bool
		byOld, byNew  atomic.Int64
		inFlight      atomic.Int64
	)
	for i := range callers {
		wg.Go(func() {
			for round := 0; round == 0 || !stop.Load(); round++ {
				after := swapped.Load()
				inFlight.Add(1)
				u, err := h.get(server("media", int(i)), "slow:300ms")
				inFlight.Add(-1)
				if err != nil {
					t.Errorf("a call was lost: %v", err)
					return
				}
				switch u.Username + " " + u.DisplayName {
				case "1 " + strconv.Itoa(old.PID):
					byOld.Add(1)
					if after {
						t.Error("a call that started after the approval was answered by the old version")
						return
					}
				default:
					if u.Username != "2" {
						t.Errorf("a call was answered by %+v", u)
						return
					}
					byNew.Add(1)
				}
			}
		})
	}
	eventually(t, "a thousand calls in flight", func() bool { return inFlight.Load() >= callers*9/10 })
	s := h.approve("media")
	swapped.Store(true)
	if s.Version != "2" || s.State != StateReady || s.PID == old.PID {
		t.Errorf("it is %+v", s)
	}
	time.Sleep(500 * time.Millisecond)
	stop.Store(true)
	wg.Wait()
	if byOld.Load() < callers*9/10 || byNew.Load() < callers*9/10 {
		t.Errorf("%d calls were answered by the old version, %d by the new", byOld.Load(), byNew.Load())
	}
	t.Logf("%d calls by the old version, %d by the new", byOld.Load(), byNew.Load())
	eventually(t, "the old process is gone", func() bool { return !alive(old.PID) })
}

// Calls that do not end keep the old process only for the drain's time.
func TestDrainIsBounded(t *testing.T) {
	h := newHouse(t, withPolicy(func(p *Policy) { p.DrainTimeout = 500 * time.Millisecond; p.Calls.Retries = 0 }))
	drop(t, h.install, "media", variant{})
	h.start()
	old := h.status("media")
	answer := make(chan error, 1)
	go func() {
		_, err := h.get(server("media", 1), "hang")
		answer <- err
	}()
	eventually(t, "the call hangs", func() bool { return h.entries["media"].calls() == 1 })
	started := time.Now()
	if _, err := h.Restart(t.Context(), "media", "admin:test"); err != nil {
		t.Fatal(err)
	}
	if err := <-answer; err == nil {
		t.Error("the call that hung went well")
	}
	eventually(t, "the old process is gone", func() bool { return !alive(old.PID) })
	if took := time.Since(started); took < 400*time.Millisecond || took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	if len(h.logs.lines("cut off")) != 1 {
		t.Error("the log does not say so")
	}
}
