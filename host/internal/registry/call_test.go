package registry

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// dead is what sdkplugin answers when the process under a call is gone.
var dead = &sdk.Error{Reason: sdk.ReasonUnavailable, Source: sdk.SourceHost, Retryable: true, Message: "the plugin process is gone"}

// serve registers a plugin and gives its seat.
func serve(t *testing.T, r *Registry, m *media) (*Seat, Offer, func() *Served) {
	t.Helper()
	o := Offer{Plugin: m.desc.Name, Description: m.desc.WithCapabilities(m.desc.Capabilities())}
	seat, err := r.Register(o)
	if err != nil {
		t.Fatal(err)
	}
	return seat, o, func() *Served { return seat.Serve(o, &localSession{plugin: m, open: map[string]*localClient{}}) }
}

var refA = sdk.ServerRef{ID: "1", ServerType: "a", URL: "http://a.test"}

// R4.7: a call waits at most two seconds for a plugin that is not there, and then
// fails with a typed error.
func TestCallWaitsForReady(t *testing.T) {
	ok := func(context.Context, string) (sdk.User, error) { return sdk.User{ID: "u"}, nil }
	t.Run("ReadyInTime", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, m := New(), newMedia("a")
			m.getUser = ok
			_, _, up := serve(t, r, m)
			time.AfterFunc(1900*time.Millisecond, func() { up() })
			if u, err := get(t.Context(), clientOf(t, r, refA), "1"); err != nil || u.ID != "u" {
				t.Errorf("GetUser gives %v, %v", u, err)
			}
		})
	})
	t.Run("NeverReady", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, m := New(), newMedia("a")
			serve(t, r, m)
			started := time.Now()
			_, err := get(t.Context(), clientOf(t, r, refA), "1")
			e, _ := errors.AsType[*sdk.Error](err)
			down, _ := errors.AsType[*PluginDownError](err)
			if e == nil || e.Kind() != sdk.ReasonUnavailable || e.Source != sdk.SourceHost || down == nil || down.Plugin != "a" {
				t.Errorf("the error is %#v", err)
			}
			if waited := time.Since(started); waited != 2*time.Second {
				t.Errorf("it took %s", waited)
			}
		})
	})
	t.Run("HopelessFailsAtOnce", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, m := New(), newMedia("a")
			seat, _, _ := serve(t, r, m)
			for _, down := range []Down{{Reason: "failed", Final: true}, {Reason: "crashed", RetryAt: time.Now().Add(30 * time.Second)}} {
				seat.Down(down)
				started := time.Now()
				_, err := get(t.Context(), clientOf(t, r, refA), "1")
				if sdk.ReasonOf(err) != sdk.ReasonUnavailable || time.Since(started) != 0 {
					t.Errorf("%v after %s", err, time.Since(started))
				}
				e, _ := errors.AsType[*sdk.Error](err)
				if e == nil || e.Retryable == down.Final {
					t.Errorf("final %v, and the error is %#v", down.Final, err)
				}
				if !down.RetryAt.IsZero() && e.RetryAfter != 30*time.Second {
					t.Errorf("retry after is %s", e.RetryAfter)
				}
			}
		})
	})
	// Those who queue at a server that is down must not wait one after another.
	t.Run("ManyFailTogether", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, m := New(), newMedia("a")
			serve(t, r, m)
			started := time.Now()
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() {
					if _, err := get(t.Context(), clientOf(t, r, refA), "1"); err == nil {
						t.Error("it went well")
					}
				})
			}
			wg.Wait()
			if waited := time.Since(started); waited != 2*time.Second {
				t.Errorf("it took %s", waited)
			}
		})
	})
}

// Only reads and idempotent sets and deletes are sent again after a crash.
func TestRetryAfterCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, m := New(), newMedia("a")
		var seat *Seat
		var up func() *Served
		calls := 0
		die := func() error {
			if calls++; calls > 1 {
				return nil
			}
			// The process dies; a moment later it is noticed and started again.
			time.AfterFunc(5*time.Millisecond, func() { seat.Down(Down{Reason: "crashed"}) })
			time.AfterFunc(500*time.Millisecond, func() { up() })
			return dead
		}
		m.getUser = func(context.Context, string) (sdk.User, error) { return sdk.User{ID: "u"}, die() }
		m.create = die
		seat, _, up = serve(t, r, m)
		up()
		c := clientOf(t, r, refA)

		if u, err := get(t.Context(), c, "1"); err != nil || u.ID != "u" || calls != 2 {
			t.Errorf("a read: %v, %v, %d calls", u, err, calls)
		}
		calls = 0
		if _, err := c.DeleteUser(t.Context(), sdk.DeleteUserRequest{ID: "1"}); err != nil || calls != 2 {
			t.Errorf("a delete: %v, %d calls", err, calls)
		}
		calls = 0
		_, err := c.CreateUser(t.Context(), sdk.CreateUserRequest{Username: "bob"})
		e, _ := errors.AsType[*sdk.Error](err)
		if e == nil || e.Kind() != sdk.ReasonAmbiguous || e.Source != sdk.SourceHost || calls != 1 {
			t.Errorf("a create: %v, %d calls", err, calls)
		}
		time.Sleep(time.Second)
	})
}

// A call that kills the plugin each time kills it twice, not for ever.
func TestRetryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, m := New(), newMedia("a")
		var up func() *Served
		calls := 0
		m.getUser = func(context.Context, string) (sdk.User, error) {
			calls++
			time.AfterFunc(time.Millisecond, func() { up() })
			return sdk.User{}, dead
		}
		_, _, up = serve(t, r, m)
		up()
		_, err := get(t.Context(), clientOf(t, r, refA), "1")
		if sdk.ReasonOf(err) != sdk.ReasonUnavailable || calls != 2 {
			t.Errorf("%v after %d calls", err, calls)
		}
		time.Sleep(time.Second)
	})
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, m := New(), newMedia("a")
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		m.getUser = func(ctx context.Context, _ string) (sdk.User, error) { return sdk.User{}, hang(ctx) }
		m.list = func(ctx context.Context, yield func(sdk.User) error) error {
			for range 3 {
				time.Sleep(9 * time.Second)
				if err := yield(sdk.User{}); err != nil {
					return err
				}
			}
			return hang(ctx)
		}
		_, _, up := serve(t, r, m)
		up()
		c := clientOf(t, r, refA)
		started := time.Now()
		_, err := get(t.Context(), c, "1")
		e, _ := errors.AsType[*sdk.Error](err)
		if e == nil || e.Kind() != sdk.ReasonTimeout || e.Source != sdk.SourceHost || time.Since(started) != 15*time.Second {
			t.Errorf("a read: %v after %s", err, time.Since(started))
		}

		// A list may take its time as long as it gets on; a slow reader is not its
		// fault.
		started = time.Now()
		err = c.ListUsers(t.Context(), sdk.ListUsersRequest{}, func(sdk.User) error { time.Sleep(20 * time.Second); return nil })
		if sdk.ReasonOf(err) != sdk.ReasonTimeout || time.Since(started) != 3*(9+20)*time.Second+10*time.Second {
			t.Errorf("a list: %v after %s", err, time.Since(started))
		}
	})
}

// A create that comes right after a crash waits for the new process: it must not
// be sent to one whose end is about to be noticed.
func TestNobodyIsSentToADyingProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, m := New(), newMedia("a")
		var seat *Seat
		var up func() *Served
		created, gone := 0, true
		m.getUser = func(context.Context, string) (sdk.User, error) {
			time.AfterFunc(20*time.Millisecond, func() { seat.Down(Down{Reason: "crashed"}) })
			time.AfterFunc(time.Second, func() { gone = false; up() })
			return sdk.User{}, dead
		}
		m.create = func() error {
			if gone {
				return dead
			}
			created++
			return nil
		}
		seat, _, up = serve(t, r, m)
		p := DefaultCallPolicy()
		p.Retries = 0
		r.UsePolicy(p)
		up()
		c := clientOf(t, r, refA)
		if _, err := get(t.Context(), c, "1"); err == nil {
			t.Error("the read went well")
		}
		if _, err := c.CreateUser(t.Context(), sdk.CreateUserRequest{}); err != nil || created != 1 {
			t.Errorf("%v, %d created", err, created)
		}
		// Where the process turns out to live, calls go on a moment later.
		served := up()
		served.calls++
		served.done(true)
		seatCalls := created
		if _, err := c.CreateUser(t.Context(), sdk.CreateUserRequest{}); err != nil || created != seatCalls+1 {
			t.Errorf("%v, %d created", err, created)
		}
	})
}

// A list that broke off is not started again behind the caller's back.
func TestCutListIsNotRepeated(t *testing.T) {
	r, m := New(), newMedia("a")
	calls := 0
	m.list = func(_ context.Context, yield func(sdk.User) error) error {
		calls++
		if err := yield(sdk.User{ID: "1"}); err != nil {
			return err
		}
		return dead
	}
	_, _, up := serve(t, r, m)
	up()
	seen := 0
	err := clientOf(t, r, refA).ListUsers(t.Context(), sdk.ListUsersRequest{}, func(sdk.User) error { seen++; return nil })
	if sdk.ReasonOf(err) != sdk.ReasonUnavailable || calls != 1 || seen != 1 {
		t.Errorf("%v after %d calls and %d users", err, calls, seen)
	}
}

func TestLimitsOfOneServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, m := New(), newMedia("a")
		m.desc.CallLimits = sdk.CallLimits{MaxConcurrent: 3}
		var now, most atomic.Int64
		m.getUser = func(context.Context, string) (sdk.User, error) {
			n := now.Add(1)
			for {
				old := most.Load()
				if n <= old || most.CompareAndSwap(old, n) {
					break
				}
			}
			time.Sleep(time.Second)
			now.Add(-1)
			return sdk.User{}, nil
		}
		_, _, up := serve(t, r, m)
		up()
		started := time.Now()
		var wg sync.WaitGroup
		for range 9 {
			wg.Go(func() { _, _ = get(t.Context(), clientOf(t, r, refA), "1") })
		}
		other := refA
		other.ID = "2"
		wg.Go(func() {
			if _, err := get(t.Context(), clientOf(t, r, other), "1"); err != nil || time.Since(started) != time.Second {
				t.Errorf("another server waited: %v after %s", err, time.Since(started))
			}
		})
		// Whoever waits can be called off.
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := get(ctx, clientOf(t, r, refA), "1"); sdk.ReasonOf(err) != sdk.ReasonUnavailable || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error is %v", err)
		}
		wg.Wait()
		if most.Load() != 4 || time.Since(started) != 3*time.Second { // three here, one there
			t.Errorf("%d calls at once, %s in all", most.Load(), time.Since(started))
		}
	})
}

func TestTurnsAreFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, m := New(), newMedia("a")
		m.desc.CallLimits = sdk.CallLimits{MaxConcurrent: 1}
		var order []string
		m.getUser = func(_ context.Context, id string) (sdk.User, error) {
			order = append(order, id)
			time.Sleep(time.Second)
			return sdk.User{}, nil
		}
		_, _, up := serve(t, r, m)
		up()
		var wg sync.WaitGroup
		for _, id := range []string{"a", "b", "c", "d", "e"} {
			wg.Go(func() { _, _ = get(t.Context(), clientOf(t, r, refA), id) })
			synctest.Wait()
		}
		wg.Wait()
		for i, id := range []string{"a", "b", "c", "d", "e"} {
			if order[i] != id {
				t.Fatalf("the order is %v", order)
			}
		}
	})
}

func TestRateOfOneServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, m := New(), newMedia("a")
		m.desc.CallLimits = sdk.CallLimits{MaxConcurrent: 100, MaxPerSecond: 2}
		var starts []time.Time
		var mu sync.Mutex
		m.getUser = func(context.Context, string) (sdk.User, error) {
			mu.Lock()
			defer mu.Unlock()
			starts = append(starts, time.Now())
			return sdk.User{}, nil
		}
		_, _, up := serve(t, r, m)
		up()
		var wg sync.WaitGroup
		for range 7 {
			wg.Go(func() { _, _ = get(t.Context(), clientOf(t, r, refA), "1") })
		}
		wg.Wait()
		if took := starts[len(starts)-1].Sub(starts[0]); len(starts) != 7 || took < 2990*time.Millisecond {
			t.Errorf("%d calls in %s", len(starts), took)
		}
	})
}

// A queue that does not move ends in an error that says the call was never sent.
func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, m := New(), newMedia("a")
		p := DefaultCallPolicy()
		p.MaxConcurrent, p.QueueWait = 1, 5*time.Second
		r.UsePolicy(p)
		sent := 0
		m.create = func() error { sent++; time.Sleep(30 * time.Second); return nil }
		_, _, up := serve(t, r, m)
		up()
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = clientOf(t, r, refA).CreateUser(t.Context(), sdk.CreateUserRequest{}) })
		synctest.Wait()
		_, err := clientOf(t, r, refA).CreateUser(t.Context(), sdk.CreateUserRequest{})
		e, _ := errors.AsType[*sdk.Error](err)
		if e == nil || e.Kind() != sdk.ReasonUnavailable || e.Source != sdk.SourceHost || sent != 1 {
			t.Errorf("%v, %d sent", err, sent)
		}
		wg.Wait()
	})
}

// Whoever gives up before the plugin has seen the call is told that it was never
// sent: a create that may have happened would be looked for.
func TestCallThatWasNeverSentSaysSo(t *testing.T) {
	for _, test := range []struct {
		name      string
		queue     bool // another call has the only place
		dies      bool // the plugin goes away while the call queues, and then its turn comes
		calledOff bool
		cause     error
	}{
		{name: "WhileThePluginStarts", cause: context.DeadlineExceeded},
		{name: "InTheQueue", queue: true, cause: context.DeadlineExceeded},
		{name: "CalledOffInTheQueue", queue: true, calledOff: true, cause: context.Canceled},
		{name: "AfterTheQueue", queue: true, dies: true, cause: context.DeadlineExceeded},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, m := New(), newMedia("a")
				m.desc.CallLimits = sdk.CallLimits{MaxConcurrent: 1}
				sent := 0
				m.create = func() error { sent++; return nil }
				m.getUser = func(context.Context, string) (sdk.User, error) {
					if time.Sleep(500 * time.Millisecond); !test.dies {
						time.Sleep(time.Second)
					}
					return sdk.User{}, nil
				}
				seat, _, up := serve(t, r, m)
				var wg sync.WaitGroup
				if test.queue {
					up()
					wg.Go(func() { _, _ = get(t.Context(), clientOf(t, r, refA), "1") })
					synctest.Wait()
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if test.dies {
					time.AfterFunc(300*time.Millisecond, func() { seat.Down(Down{Reason: "crashed"}) })
				}
				if test.calledOff {
					time.AfterFunc(300*time.Millisecond, cancel)
				}
				_, err := clientOf(t, r, refA).CreateUser(ctx, sdk.CreateUserRequest{Username: "bob"})
				e, _ := errors.AsType[*sdk.Error](err)
				if e == nil || e.Kind() != sdk.ReasonUnavailable || e.Source != sdk.SourceHost || !e.Retryable ||
					!strings.Contains(e.Message, "CreateUser was not sent") || !errors.Is(err, test.cause) || sent != 0 {
					t.Errorf("%#v, %d sent", err, sent)
				}
				wg.Wait()
			})
		})
	}
}

func TestSwapDrainsTheOldSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, m := New(), newMedia("a")
		m.getUser = func(context.Context, string) (sdk.User, error) {
			time.Sleep(time.Second)
			return sdk.User{}, nil
		}
		_, _, up := serve(t, r, m)
		first := up()
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = get(t.Context(), clientOf(t, r, refA), "1") })
		synctest.Wait()
		second := up()
		select {
		case <-first.Drained():
			t.Error("it is drained while a call is in flight")
		case <-time.After(900 * time.Millisecond):
		}
		wg.Go(func() { _, _ = get(t.Context(), clientOf(t, r, refA), "1") })
		synctest.Wait()
		if second.Calls() != 1 || first.Calls() != 1 {
			t.Errorf("calls in flight: %d on the new one, %d on the old", second.Calls(), first.Calls())
		}
		started := time.Now()
		<-first.Drained()
		if time.Since(started) != 100*time.Millisecond {
			t.Errorf("it was drained after %s", time.Since(started))
		}
		wg.Wait()
	})
}

func TestSeats(t *testing.T) {
	r := New()
	seat, err := r.RegisterLocal(newMedia("a"))
	if err != nil {
		t.Fatal(err)
	}
	later := Offer{Plugin: "late", Description: newMedia("a").desc, Rank: Rank{ApprovedAt: time.Unix(1, 0)}}
	seat.Down(Down{Reason: "crashed"}) // it is no less taken
	_, err = r.Register(later)
	for _, err := range []error{err, r.MayRegister(later)} {
		if taken, ok := errors.AsType[*TypeTakenError](err); !ok || taken.Holder != "a" || taken.ServerType != "a" {
			t.Errorf("the error is %v", err)
		}
	}
	seat.Vacate("it is disabled")
	if err := r.MayRegister(later); err != nil {
		t.Errorf("a vacated type cannot be had: %v", err)
	}
	if typ, err := r.Type("a"); err != nil || typ.Available || typ.Plugin != "a" {
		t.Errorf("a vacated type is %+v, %v", typ, err)
	}
	mine, err := r.Register(later)
	if err != nil {
		t.Fatal(err)
	}
	seat.Down(Down{Final: true}) // without effect: the seat is lost
	seat.Unregister()
	if seat.Serve(later, nil) != nil {
		t.Error("a lost seat served")
	}
	first := Offer{Plugin: "first", Description: newMedia("a").desc, Rank: Rank{Installation: true}}
	if _, err := r.Register(first); err != nil {
		t.Fatal(err)
	}
	select {
	case <-mine.Evicted():
	default:
		t.Error("the one that comes later was not evicted")
	}
	if typ, _ := r.Type("a"); typ.Plugin != "first" {
		t.Errorf("the type is served by %q", typ.Plugin)
	}
}

func TestLocalPluginOpensOncePerRevision(t *testing.T) {
	r, m := New(), newMedia("a")
	m.getUser = func(context.Context, string) (sdk.User, error) { return sdk.User{}, nil }
	if _, err := r.RegisterLocal(m); err != nil {
		t.Fatal(err)
	}
	ref := refA
	for range 3 {
		_, _ = get(t.Context(), clientOf(t, r, ref), "1")
	}
	ref.Revision++
	_, _ = get(t.Context(), clientOf(t, r, ref), "1")
	if m.opened.Load() != 2 || m.closed.Load() != 1 {
		t.Errorf("%d opened, %d closed", m.opened.Load(), m.closed.Load())
	}
	ref.ID = "" // a server that is being tested
	_, _ = get(t.Context(), clientOf(t, r, ref), "1")
	if m.opened.Load() != 3 || m.closed.Load() != 2 {
		t.Errorf("%d opened, %d closed", m.opened.Load(), m.closed.Load())
	}
}
