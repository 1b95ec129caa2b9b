package redeem

import (
	"context"
	"time"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/predicate"
	"github.com/zondarr/zondarr/ent/db/redemption"
	"github.com/zondarr/zondarr/host/internal/database"
)

// held is true for the redemption while it is in this hand and in one of the
// states.
func (h hold) held(states []State) []predicate.Redemption {
	in := make([]redemption.State, len(states))
	for i, s := range states {
		in[i] = redemption.State(s)
	}
	return []predicate.Redemption{redemption.ID(h.id), redemption.LeaseFence(h.fence), redemption.StateIn(in...)}
}

// free is true for redemptions that nobody has in hand.
func free(now time.Time) predicate.Redemption {
	return redemption.Or(redemption.LeaseUntilIsNil(), redemption.LeaseUntilLTE(now))
}

// take takes an unfinished redemption in hand, or says that it could not. The
// fence rises, so that whoever had it before can change nothing any more.
func (s *Service) take(ctx context.Context, r Redemption, states ...State) (hold, bool, error) {
	return s.takeWhere(ctx, r, hold{r.ID, r.fence}.held(states))
}

func (s *Service) takeWhere(ctx context.Context, r Redemption, where []predicate.Redemption) (hold, bool, error) {
	h := hold{id: r.ID, fence: r.fence + 1}
	n, err := inTx(ctx, s, "take", func(ctx context.Context, tx *db.Tx) (int, error) {
		now, err := s.now(ctx, tx)
		if err != nil {
			return 0, err
		}
		n, err := tx.Redemption.Update().Where(where...).Where(free(now)).
			SetLeaseOwner(s.Owner).SetLeaseFence(h.fence).SetLeaseUntil(now.Add(s.Policy.Lease)).SetUpdatedAt(s.Now()).Save(ctx)
		return n, database.Wrap("take", entity, err)
	})
	return h, n == 1, err
}

// keep renews the lease until the returned stop is called. The context that it
// gives ends when the lease is lost, or may be.
func (s *Service) keep(ctx context.Context, h hold) (held context.Context, stop func()) {
	held, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		last := time.Now()
		tick := time.NewTicker(s.Policy.Lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-held.Done():
				return
			case <-tick.C:
			}
			switch mine, err := s.renew(held, h); {
			case err == nil && mine:
				last = time.Now()
			case err == nil, time.Since(last) > s.Policy.Lease*2/3:
				cancel(errLost)
				return
			default:
				s.Log.WarnContext(held, "lease of a redemption not renewed; trying again", "redemption", h.id, "error", err)
			}
		}
	}()
	return held, func() { cancel(nil); <-ended }
}

func (s *Service) renew(ctx context.Context, h hold) (bool, error) {
	n, err := inTx(ctx, s, "renew", func(ctx context.Context, tx *db.Tx) (int, error) {
		now, err := s.now(ctx, tx)
		if err != nil {
			return 0, err
		}
		n, err := tx.Redemption.Update().Where(h.held([]State{InProgress, Undoing, NeedsAttention})...).
			SetLeaseUntil(now.Add(s.Policy.Lease)).Save(ctx)
		return n, database.Wrap("renew", entity, err)
	})
	return n == 1, err
}

// letGo gives a redemption out of hand that this host cannot go on with, since it
// stops: another one, or the next start, need not wait for the lease to lapse.
func (s *Service) letGo(ctx context.Context, h hold) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_, err := inTx(ctx, s, "let go", func(ctx context.Context, tx *db.Tx) (int, error) {
		return tx.Redemption.Update().Where(redemption.ID(h.id), redemption.LeaseFence(h.fence), redemption.FinishedAtIsNil()).
			ClearLeaseUntil().ClearLeaseOwner().Save(ctx)
	})
	if err != nil {
		s.Log.WarnContext(ctx, "redemption not given out of hand; its lease lapses by itself", "redemption", h.id, "error", err)
	}
}
