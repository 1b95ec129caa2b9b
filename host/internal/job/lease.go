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

// Take takes or renews the lease, and says whether the owner has it now.
func (l Lease) Take(ctx context.Context) (bool, error) {
	_, held, err := l.DB.Lease(ctx, l.Name, l.Owner, l.For)
	return held, err
}

// Release gives the lease back; it does nothing for one that is not held.
func (l Lease) Release(ctx context.Context) error { return l.DB.Release(ctx, l.Name, l.Owner) }

// keep renews the lease until ctx ends, and calls lost once it cannot be sure to
// hold it.
func (l Lease) keep(ctx context.Context, lost context.CancelFunc) {
	held := time.Now()
	tick := time.NewTicker(l.For / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		mine, err := l.Take(ctx)
		switch {
		case err == nil && mine:
			held = time.Now()
		case err == nil, time.Since(held) > l.For*2/3:
			lost()
			return
		}
	}
}
