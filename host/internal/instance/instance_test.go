package instance_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/host/internal/instance"
	"github.com/zondarr/zondarr/host/internal/secret"
)

func TestIDIsMadeOnce(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, db *database.DB) {
		ids := make([]string, 8)
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() {
				id, err := instance.ID(t.Context(), db)
				if err != nil {
					t.Error(err)
				}
				ids[i] = id
			})
		}
		wg.Wait()
		for _, id := range ids {
			if id == "" || id != ids[0] {
				t.Fatalf("eight starts at once gave %q", ids)
			}
		}
	})
}

func TestWrongKeyIsFound(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, db *database.DB) {
		box := func(current, previous string) *secret.Box {
			b, err := secret.New(current, previous)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		const a, b = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
		for range 2 {
			if err := instance.CheckKey(t.Context(), db, box(a, "")); err != nil {
				t.Fatal(err)
			}
		}
		if err := instance.CheckKey(t.Context(), db, box(b, "")); !errors.Is(err, instance.ErrWrongKey) {
			t.Fatalf("another key: %v", err)
		}
		if err := instance.CheckKey(t.Context(), db, box(b, a)); err != nil {
			t.Fatalf("while rotating: %v", err)
		}
	})
}
