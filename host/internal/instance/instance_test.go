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

// Whether a file can be restored is told by the names in a backup, or by the check
// values of a database that was kept as it was; nothing is written.
func TestFits(t *testing.T) {
	const a, b, c = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "cccccccccccccccccccccccccccccccc"
	box := func(current, previous string) *secret.Box {
		t.Helper()
		made, err := secret.New(current, previous)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	db := hosttest.NewDB(t, database.SQLite)
	fits := func(what string, held *secret.Box, want error) {
		t.Helper()
		before := db.Ent.Instance.Query().CountX(t.Context())
		if err := instance.Fits(t.Context(), db.Get, held); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		if after := db.Ent.Instance.Query().CountX(t.Context()); after != before {
			t.Errorf("%s: something was written", what)
		}
	}
	check := func(held *secret.Box) {
		t.Helper()
		if err := instance.CheckKey(t.Context(), db, held); err != nil {
			t.Fatal(err)
		}
	}
	fits("never served, so nothing is sealed", box(c, ""), nil)
	check(box(a, ""))
	fits("the key", box(a, ""), nil)
	fits("as the previous one", box(b, a), nil)
	fits("another", box(b, ""), instance.ErrWrongKey)
	check(box(b, a))
	fits("both of a change", box(b, a), nil)
	fits("the old one alone", box(a, ""), instance.ErrUnfinished)
	fits("the new one alone", box(b, ""), instance.ErrWrongKey)

	names, err := instance.KeyNames(t.Context(), db.Get, box(b, a))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Set(t.Context(), database.KeyFingerprint, []byte(names)); err != nil {
		t.Fatal(err)
	}
	fits("a backup, with both", box(b, a), nil)
	fits("a backup, with one", box(b, ""), instance.ErrKeyOfBackup)
}
