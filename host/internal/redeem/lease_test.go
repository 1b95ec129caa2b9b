package redeem

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

// Whoever had a redemption in hand before can change nothing any more, although
// its state is still the same.
func TestOldHandsChangeNothing(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		w := newWorld(t, d, sdktest.NewFake(), "home")
		now := database.Now()
		clock := func(s *Service) {
			s.Time = func(context.Context, *db.Tx) (time.Time, error) { return now, nil }
		}
		first, second := w.service(clock), w.service(clock)
		inv := w.invite(new(1), "home")
		offer, err := w.invitations.Check(t.Context(), inv.Code)
		if err != nil {
			t.Fatal(err)
		}
		r, err := first.begin(t.Context(), first.plan(offer), bob, nil, Caller{})
		if err != nil {
			t.Fatal(err)
		}
		stored := w.only()
		if _, mine, err := second.take(t.Context(), stored, InProgress); err != nil || mine {
			t.Fatalf("taken while it is in hand: %v, %v", mine, err)
		}
		now = now.Add(first.Policy.Lease) // it lapses
		held, mine, err := second.take(t.Context(), stored, InProgress)
		if err != nil || !mine {
			t.Fatalf("not taken when the lease had lapsed: %v, %v", mine, err)
		}
		if _, mine, err := second.take(t.Context(), stored, InProgress); err != nil || mine {
			t.Fatalf("taken twice: %v, %v", mine, err)
		}
		for name, write := range map[string]func() error{
			"creating": func() error { return first.markCreating(t.Context(), r.hold, r.parts[0]) },
			"done": func() error {
				r.parts[0].account.ID = "x"
				return first.markDone(t.Context(), r.hold, r.parts[0])
			},
			"complete": func() error {
				_, err := inTx(t.Context(), first, "complete", func(ctx context.Context, tx *db.Tx) (struct{}, error) {
					return struct{}{}, first.record(ctx, tx, r.redemption, r.hold, nil)
				})
				return err
			},
			"step": func() error { return first.setStep(t.Context(), r.hold, r.parts[0].step, StepUndone, nil) },
		} {
			if err := write(); !errors.Is(err, errLost) {
				t.Errorf("%s: %v, want it lost", name, err)
			}
		}
		if first.turnBack(t.Context(), r.redemption, r.hold, Failure{}, nil) {
			t.Error("turned back by old hands")
		}
		if mine, err := first.renew(t.Context(), r.hold); err != nil || mine {
			t.Errorf("renewed by old hands: %v, %v", mine, err)
		}
		first.letGo(t.Context(), r.hold)
		if mine, err := second.renew(t.Context(), held); err != nil || !mine {
			t.Errorf("the lease was lost to old hands: %v, %v", mine, err)
		}
		if after := w.only(); after.State != InProgress || after.Steps[0].State != StepPending || w.uses(inv) != 1 {
			t.Errorf("changed to %s, step %s, %d uses", after.State, after.Steps[0].State, w.uses(inv))
		}
	})
}
