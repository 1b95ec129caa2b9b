package auth_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"entgo.io/ent"
	"github.com/google/uuid"

	"github.com/zondarr/zondarr/host/internal/auth"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/host/internal/page"
)

func TestAPIKeys(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, db *database.DB) {
		ctx := t.Context()
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		s := &auth.Service{DB: db, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }}

		if _, _, err := s.Create(ctx, "  ", "system"); fault.CodeOf(err) != fault.CodeInvalidInput {
			t.Fatalf("a key without a name: %v", err)
		}
		key, text, err := s.Create(ctx, "laptop", "system")
		if err != nil {
			t.Fatal(err)
		}
		if len(text) != 36 || !strings.HasPrefix(text, "zdr_") || !strings.HasPrefix(text, key.Prefix) {
			t.Fatalf("the key has another form: %d characters", len(text))
		}

		got, err := s.Verify(ctx, text)
		if err != nil || got.ID != key.ID {
			t.Fatalf("Verify = %+v, %v", got, err)
		}
		last := text[:len(text)-1] + map[bool]string{true: "A", false: "B"}[text[len(text)-1] != 'A']
		for name, wrong := range map[string]string{"Empty": "", "Short": text[:20], "LastCharacter": last, "OtherPrefix": "zdr_" + strings.Repeat("A", 32), "Long": text + "A"} {
			t.Run(name, func(t *testing.T) {
				if _, err := s.Verify(ctx, wrong); fault.CodeOf(err) != fault.CodeUnauthenticated {
					t.Errorf("Verify = %v", err)
				}
			})
		}

		list, err := s.List(ctx, page.Request{})
		if err != nil || len(list.Items) != 1 || list.Items[0].LastUsedAt == nil || !list.Items[0].LastUsedAt.Equal(now) {
			t.Fatalf("List = %+v, %v; want one key, used now", list, err)
		}
		names, err := s.Names(ctx, key.Actor(), "system")
		if err != nil || len(names) != 1 || names[key.Actor()] != "laptop" {
			t.Fatalf("Names = %v, %v", names, err)
		}

		for range 2 { // the second changes nothing
			if err := s.Revoke(ctx, key.ID); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Verify(ctx, text); fault.CodeOf(err) != fault.CodeUnauthenticated {
			t.Fatalf("a revoked key: %v", err)
		}
		if err := s.Revoke(ctx, uuid.New()); fault.CodeOf(err) != fault.CodeNotFound {
			t.Fatalf("revoking what is not there: %v", err)
		}
	})
}

func TestNothingStoredOpensTheDoor(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, db *database.DB) {
		s := &auth.Service{DB: db, Log: slog.New(slog.DiscardHandler), Now: database.Now}
		_, text, err := s.Create(t.Context(), "laptop", "system")
		if err != nil {
			t.Fatal(err)
		}
		row, err := db.Ent.APIKey.Query().Only(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(row.Hash), text) || row.Prefix == text {
			t.Fatal("the key itself is stored")
		}
	})
}

// A key opens the door although its use cannot be noted: a disk that is full must
// not keep the admin out.
func TestUseThatCannotBeNoted(t *testing.T) {
	db := hosttest.NewDB(t, database.SQLite)
	s := &auth.Service{DB: db, Log: slog.New(slog.DiscardHandler), Now: database.Now}
	key, text, err := s.Create(t.Context(), "laptop", "system")
	if err != nil {
		t.Fatal(err)
	}
	db.Ent.APIKey.Use(func(next ent.Mutator) ent.Mutator {
		return ent.MutateFunc(func(context.Context, ent.Mutation) (ent.Value, error) { return nil, errors.New("disk full") })
	})
	if got, err := s.Verify(t.Context(), text); err != nil || got.ID != key.ID {
		t.Fatalf("Verify = %+v, %v", got, err)
	}
}
