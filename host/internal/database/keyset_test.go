package database_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/identity"
	"github.com/zondarr/zondarr/ent/db/predicate"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

// Pages of any size, in either order, over rows with many equal values, are the whole
// list: nothing twice, nothing missing.
func TestKeysetWalksTheWholeList(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		const rows = 30
		for i := range rows {
			// Sub-second parts of different lengths: on SQLite these are compared as text.
			at := start.Add(time.Duration(i/4) * 250 * time.Millisecond)
			d.Ent.Identity.Create().SetDisplayName(string(rune('a' + i%3))).SetCreatedAt(at).ExecX(t.Context())
		}
		rapid.Check(t, func(rt *rapid.T) {
			column := rapid.SampledFrom([]string{identity.FieldCreatedAt, identity.FieldDisplayName}).Draw(rt, "column")
			k := database.Keyset{Column: column, Desc: rapid.Bool().Draw(rt, "desc")}
			size := rapid.IntRange(1, rows+1).Draw(rt, "size")
			var seen []*db.Identity
			for {
				page, err := d.Ent.Identity.Query().
					Where(database.After[predicate.Identity](k)).
					Order(database.Order[identity.OrderOption](k)).
					Limit(size).All(t.Context())
				if err != nil {
					rt.Fatal(err)
				}
				seen = append(seen, page...)
				if len(page) < size {
					break
				}
				last := page[len(page)-1]
				k.ID, k.Value = last.ID, any(last.CreatedAt)
				if column == identity.FieldDisplayName {
					k.Value = last.DisplayName
				}
			}
			ids := map[uuid.UUID]bool{}
			for _, row := range seen {
				ids[row.ID] = true
			}
			if len(seen) != rows || len(ids) != rows {
				rt.Fatalf("%d rows, %d of them different, want %d", len(seen), len(ids), rows)
			}
			sorted := slices.IsSortedFunc(seen, func(a, b *db.Identity) int {
				by := a.CreatedAt.Compare(b.CreatedAt)
				if column == identity.FieldDisplayName {
					by = int(a.DisplayName[0]) - int(b.DisplayName[0])
				}
				if by == 0 {
					by = slices.Compare(a.ID[:], b.ID[:])
				}
				if k.Desc {
					by = -by
				}
				return by
			})
			if !sorted {
				rt.Fatal("out of order")
			}
		})
	})
}
