package redeem

import (
	"slices"
	"testing"
	"time"

	"github.com/zondarr/zondarr/host/internal/fault"
)

// One server takes three transactions: each is a sync of the disk, and on SQLite
// everyone waits for it.
func TestOneServerTakesThreeTransactions(t *testing.T) {
	virtual(t, []string{"home"}, func(t *testing.T, w *world) {
		s, inv := w.service(), w.invite(new(1), "home")
		var points []string
		s.tap = serial(func(point string) error {
			points = append(points, point)
			return nil
		})
		s.Start(t.Context())
		t.Cleanup(func() { s.Stop(t.Context()) })
		if _, err := s.Join(t.Context(), inv.Code, bob, "", Caller{}); err != nil {
			t.Fatal(err)
		}
		want := []string{"before begin", "after begin", "before creating", "after creating", "before complete", "after complete"}
		if !slices.Equal(points, want) {
			t.Errorf("got %q", points)
		}
	})
}

// A host that dies with the answer of the only server in its memory leaves an
// account that is looked for, found to be ours, and taken back (R6.7).
func TestTheOnlyAccountIsTakenBackAfterDeath(t *testing.T) {
	virtual(t, []string{"home"}, func(t *testing.T, w *world) {
		s, inv, before := w.service(), w.invite(new(1), "home"), len(w.all()["home"])
		frozen := false
		s.tap = serial(func(point string) error {
			if frozen = frozen || point == "before complete"; frozen {
				return errDead
			}
			return nil
		})
		s.Start(t.Context())
		_, _ = s.Join(t.Context(), inv.Code, bob, "", Caller{})
		s.Stop(t.Context())
		if n := len(w.all()["home"]); n != before+1 {
			t.Fatalf("%d accounts after the death, %d before", n, before)
		}
		w.start(slowly)
		time.Sleep(time.Hour)
		if r := w.only(); r.State != Failed || w.uses(inv) != 0 || len(w.all()["home"]) != before {
			t.Errorf("%s, %d uses, %d accounts", r.State, w.uses(inv), len(w.all()["home"]))
		}
	})
}

// While a host starts it answers a key that it knows, and takes no new work.
func TestJoinBeforeTheStart(t *testing.T) {
	virtual(t, []string{"home"}, func(t *testing.T, w *world) {
		s, inv := w.start(slowly), w.invite(new(2), "home")
		if _, err := s.Join(t.Context(), inv.Code, bob, "key", Caller{}); err != nil {
			t.Fatal(err)
		}
		next := w.service()
		if got, err := next.Join(t.Context(), inv.Code, bob, "key", Caller{}); err != nil || got.State != Completed {
			t.Errorf("a key that is known: %+v, %v", got, err)
		}
		if _, err := next.Join(t.Context(), inv.Code, bob, "", Caller{}); fault.CodeOf(err) != fault.CodeStarting {
			t.Errorf("new work: %v", err)
		}
	})
}
