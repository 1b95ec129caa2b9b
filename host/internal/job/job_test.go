package job

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

func TestLease(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		ctx := t.Context()
		a := Lease{DB: d, Name: "sweep", Owner: "a", For: 400 * time.Millisecond}
		b := Lease{DB: d, Name: "sweep", Owner: "b", For: 400 * time.Millisecond}
		take := func(l Lease, want bool) {
			t.Helper()
			if got, err := l.Take(ctx); err != nil || got != want {
				t.Fatalf("%s takes: %v, %v; want %v", l.Owner, got, err, want)
			}
		}
		take(a, true)
		take(b, false)
		take(a, true) // renewed
		take(b, false)
		time.Sleep(500 * time.Millisecond)
		take(b, true) // lapsed
		take(a, false)
		if row := d.Ent.Lease.GetX(ctx, "sweep"); row.Fence != 2 {
			t.Errorf("the fence is %d after one change of owner, want 2", row.Fence)
		}
		if err := a.Release(ctx); err != nil {
			t.Fatal(err)
		}
		take(a, false) // releasing what another holds gives nothing away
		if err := b.Release(ctx); err != nil {
			t.Fatal(err)
		}
		take(a, true)
	})
}

func TestLeasedWorkRunsOnOneHost(t *testing.T) { hosttest.EachDB(t, leasedWorkRunsOnOneHost) }

func leasedWorkRunsOnOneHost(t *testing.T, d *database.DB) {
	ctx, cancel := context.WithCancel(t.Context())
	var running, overlaps, runs atomic.Int32
	work := Periodic{Name: "sweep", Every: time.Millisecond, Leased: true, Run: func(context.Context) error {
		if running.Add(1) > 1 {
			overlaps.Add(1)
		}
		time.Sleep(2 * time.Millisecond)
		running.Add(-1)
		if runs.Add(1) == 20 {
			cancel()
		}
		return nil
	}}
	done := make(chan struct{})
	for _, owner := range []string{"a", "b"} {
		go func() {
			r := Runner{DB: d, Owner: owner, LeaseFor: time.Minute, Log: slog.New(slog.DiscardHandler)}
			r.Run(ctx, work)
			done <- struct{}{}
		}()
	}
	<-done
	<-done
	if overlaps.Load() > 0 {
		t.Errorf("two hosts worked at once, %d times", overlaps.Load())
	}
	if row := d.Ent.Lease.GetX(t.Context(), "sweep"); row.Until.After(time.Now()) {
		t.Error("a lease is still held after the stop")
	}
}

// A lease that cannot be renewed is lost while it still holds for the others, whatever
// becomes of the question: over a connection that swallows everything it has no answer.
func TestLeaseIsLostInTime(t *testing.T) {
	const whole = time.Minute
	for name, test := range map[string]struct {
		take func(ctx context.Context, n int) (bool, error)
		lost time.Duration // after the start; 0: never
	}{
		"NoAnswer": {func(context.Context, int) (bool, error) { time.Sleep(10 * whole); return true, nil }, 40 * time.Second},
		"SilentLater": {func(_ context.Context, n int) (bool, error) {
			time.Sleep(time.Duration(n/3) * 10 * whole)
			return true, nil
		}, 70 * time.Second},
		"Errors": {func(context.Context, int) (bool, error) { return false, errors.New("no") }, 40 * time.Second},
		"Taken":  {func(context.Context, int) (bool, error) { return false, nil }, 15 * time.Second},
		"OneError": {func(_ context.Context, n int) (bool, error) {
			if n%2 == 1 {
				return false, errors.New("no")
			}
			return true, nil
		}, 0},
		"SlowAnswers": {func(context.Context, int) (bool, error) { time.Sleep(15 * time.Second); return true, nil }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, end := context.WithTimeout(t.Context(), 30*whole)
				defer end()
				started, n := time.Now(), 0
				var lost time.Duration
				renew(ctx, Lease{For: whole}, started, func(ctx context.Context) (bool, error) { n++; return test.take(ctx, n) }, func() {
					if ctx.Err() == nil {
						lost = time.Since(started)
					}
					end()
				})
				if lost != test.lost {
					t.Errorf("lost after %v, want %v", lost, test.lost)
				}
			})
		})
	}
}

func TestPanicDoesNotEndTheHost(t *testing.T) {
	d := hosttest.NewDB(t, database.SQLite)
	ctx, cancel := context.WithCancel(t.Context())
	runs := 0
	r := Runner{DB: d, Owner: "a", LeaseFor: time.Minute, Log: slog.New(slog.DiscardHandler)}
	r.Run(ctx, Periodic{Name: "sweep", Every: time.Millisecond, Run: func(context.Context) error {
		if runs++; runs == 2 {
			cancel()
		}
		panic("a bug")
	}})
	if runs != 2 {
		t.Errorf("ran %d times, want 2: the work goes on after a panic", runs)
	}
}

func TestPause(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		ctx := t.Context()
		p := Pause{DB: d}
		is := func(want bool) {
			t.Helper()
			if on, err := p.On(ctx); err != nil || on != want {
				t.Fatalf("paused: %v, %v; want %v", on, err, want)
			}
		}
		is(false)
		for range 2 { // setting it twice is no error
			if err := p.Set(ctx, "restored"); err != nil {
				t.Fatal(err)
			}
		}
		is(true)
		if was, err := p.Lift(ctx); err != nil || !was {
			t.Fatalf("lift: %v, %v", was, err)
		}
		if was, err := p.Lift(ctx); err != nil || was {
			t.Fatalf("lift again: %v, %v", was, err)
		}
		is(false)
	})
}
