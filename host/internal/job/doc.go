// Package job runs what recurs: sweeps that look at the database now and then
// and do what is due.
//
// A Periodic that only one host may do at a time names a lease. A lease is a row
// in the database, held in database time: whoever has it renews it while it
// works, and another host takes it over when it lapses. Each change of owner
// raises its fence.
//
// Pause is the instance's switch against background writes: a restored or cloned
// database starts paused, and whatever would touch a media server on its own
// asks here first.
//
// The package does not know what the work is. Work must be safe to do twice,
// since a host that loses its lease may not notice at once.
package job

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/zondarr/zondarr/host/internal/database"
)

// Periodic is one piece of recurring work.
type Periodic struct {
	// Name is for the log, and the name of the lease.
	Name string
	// Every is the time from the end of one run to the start of the next; a tenth
	// is added or taken at random, so that hosts and sweeps spread out.
	Every time.Duration
	// Leased work is done by one host at a time.
	Leased bool
	// Run does what is due. Its context ends with the runner, or when the lease
	// is lost.
	Run func(ctx context.Context) error
}

// Runner runs periodic work until its context ends.
type Runner struct {
	DB *database.DB
	// Owner names this process among the hosts of the database.
	Owner string
	// LeaseFor is how long a lease holds without being renewed; it is renewed
	// each quarter of it, and given up once it was not for two thirds.
	LeaseFor time.Duration
	Log      *slog.Logger
}

// Run runs every job, each in its own goroutine, and returns when ctx is done
// and all have ended. Leases that are held are given back.
func (r *Runner) Run(ctx context.Context, jobs ...Periodic) {
	var all sync.WaitGroup
	for _, j := range jobs {
		all.Go(func() { r.loop(ctx, j) })
	}
	all.Wait()
}

func (r *Runner) loop(ctx context.Context, j Periodic) {
	lease := Lease{DB: r.DB, Name: j.Name, Owner: r.Owner, For: r.LeaseFor}
	defer func() {
		if !j.Leased {
			return
		}
		// The stop must not wait for a database that is gone.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if err := lease.Release(ctx); err != nil {
			r.Log.WarnContext(ctx, "lease not given back; it lapses by itself", "job", j.Name, "error", err)
		}
	}()
	for wait := time.Duration(0); ; wait = spread(j.Every) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if err := r.once(ctx, j, lease); err != nil && ctx.Err() == nil {
			r.Log.ErrorContext(ctx, "periodic work failed; it is tried again", "job", j.Name, "error", err)
		}
	}
}

// once does the work a single time, if this host may.
func (r *Runner) once(ctx context.Context, j Periodic, lease Lease) error {
	if !j.Leased {
		return r.guarded(ctx, j)
	}
	asked := time.Now()
	mine, err := lease.Take(ctx)
	if err != nil || !mine {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var renewing sync.WaitGroup
	renewing.Go(func() { lease.keep(ctx, asked, cancel) })
	err = r.guarded(ctx, j)
	cancel()
	renewing.Wait()
	return err
}

// guarded keeps a bug in one sweep from ending the host.
func (r *Runner) guarded(ctx context.Context, j Periodic) error {
	defer func() {
		if p := recover(); p != nil {
			r.Log.ErrorContext(ctx, "periodic work panicked", "job", j.Name, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	return j.Run(ctx)
}

// spread gives d give or take a tenth.
func spread(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1) //nolint:gosec // jitter, not a secret
}
