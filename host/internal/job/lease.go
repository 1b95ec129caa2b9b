package job

import (
	"context"
	"time"

	"github.com/zondarr/zondarr/host/internal/database"
)

// Lease is the right of one owner, for a while, to do what only one may do.
type Lease struct {
	DB    *database.DB
	Name  string
	Owner string
	// For is how long it holds after it was taken or renewed.
	For time.Duration
}

// sure is how long the owner may rely on a lease, counted from when it asked for it: the
// rest is for what takes a moment to notice that it is lost.
func (l Lease) sure() time.Duration { return l.For * 2 / 3 }

// Take takes or renews the lease, and says whether the owner has it now. It asks for no
// longer than the answer is good for, and an answer that comes later is a no.
func (l Lease) Take(ctx context.Context) (bool, error) {
	asked := time.Now()
	ctx, cancel := context.WithTimeout(ctx, l.sure())
	defer cancel()
	_, held, err := l.DB.Lease(ctx, l.Name, l.Owner, l.For)
	return held && time.Since(asked) < l.sure(), err
}

// Release gives the lease back; it does nothing for one that is not held.
func (l Lease) Release(ctx context.Context) error { return l.DB.Release(ctx, l.Name, l.Owner) }

// keep renews the lease that was asked for at that time until ctx ends, and calls lost
// once it cannot be sure to hold it.
func (l Lease) keep(ctx context.Context, asked time.Time, lost context.CancelFunc) {
	renew(ctx, l, asked, l.Take, lost)
}

func renew(ctx context.Context, l Lease, asked time.Time, take func(context.Context) (bool, error), lost context.CancelFunc) {
	// A timer of its own: over a connection that swallows everything, take may not even
	// heed the end of its context.
	overdue := time.AfterFunc(time.Until(asked.Add(l.sure())), lost)
	defer overdue.Stop()
	tick := time.NewTicker(l.For / 4) // so that one failure costs nothing
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		asked := time.Now()
		mine, err := take(ctx)
		switch {
		case err != nil: // it is tried again until it is overdue
		case !mine:
			lost()
			return
		default:
			overdue.Reset(time.Until(asked.Add(l.sure())))
		}
	}
}
