package job

import (
	"context"
	stdsql "database/sql"
	"errors"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/lease"
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
	return database.WithTx(ctx, l.DB, func(ctx context.Context, tx *db.Tx) (bool, error) {
		now, err := l.DB.Time(ctx, tx)
		if err != nil {
			return false, err
		}
		until := now.Add(l.For)
		n, err := tx.Lease.Update().Where(lease.ID(l.Name), lease.Owner(l.Owner)).SetUntil(until).Save(ctx)
		if err != nil || n == 1 {
			return n == 1, database.Wrap("renew", "lease", err)
		}
		n, err = tx.Lease.Update().Where(lease.ID(l.Name), lease.UntilLTE(now)).SetOwner(l.Owner).SetUntil(until).AddFence(1).Save(ctx)
		if err != nil || n == 1 {
			return n == 1, database.Wrap("take", "lease", err)
		}
		// It is held, or nobody ever had it. The database says which.
		err = tx.Lease.Create().SetID(l.Name).SetOwner(l.Owner).SetUntil(until).OnConflict(sql.DoNothing()).Exec(ctx)
		if err != nil && !errors.Is(err, stdsql.ErrNoRows) { // no row was inserted: it is held
			return false, database.Wrap("create", "lease", err)
		}
		mine, err := tx.Lease.Query().Where(lease.ID(l.Name), lease.Owner(l.Owner)).Exist(ctx)
		return mine, database.Wrap("get", "lease", err)
	})
}

// Release gives the lease back; it does nothing for one that is not held. The
// row stays, so that the fence goes on rising.
func (l Lease) Release(ctx context.Context) error {
	_, err := l.DB.Ent.Lease.Update().Where(lease.ID(l.Name), lease.Owner(l.Owner)).SetUntil(time.Unix(0, 0).UTC()).Save(ctx)
	return database.Wrap("release", "lease", err)
}

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
