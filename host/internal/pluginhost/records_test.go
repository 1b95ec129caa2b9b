package pluginhost

import (
	"strings"
	"testing"
	"time"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/sdk"
)

// Approvals and descriptions are kept alike on both databases.
func TestRecords(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		r := records{d}
		first, second := strings.Repeat("a", 64), strings.Repeat("b", 64)
		at := database.Now()
		must(t, r.disable(t.Context(), "media", approval{sha256: first, fileName: "zondarr-plugin-media", origin: OriginDirectory}))
		all, err := r.load(t.Context())
		must(t, err)
		if rows := all["media"]; len(rows) != 1 || rows[0].approved() || !rows[0].disabled || rows[0].sha256 != first {
			t.Errorf("disabled, the rows are %+v", all)
		}
		a := approval{sha256: second, fileName: "zondarr-plugin-media", origin: OriginDirectory, approvedAt: at, approvedBy: "admin:1"}
		must(t, r.approve(t.Context(), "media", a))
		a.approvedAt, a.approvedBy, a.origin = at.Add(time.Second), "admin:2", OriginStore
		must(t, r.approve(t.Context(), "media", a)) // again
		all, err = r.load(t.Context())
		must(t, err)
		rows := all["media"]
		if len(rows) != 2 || rows[0].disabled || rows[1] != a {
			t.Errorf("approved, the rows are %+v, want %+v", rows, a)
		}
		must(t, r.disable(t.Context(), "media", rows[1]))
		all, err = r.load(t.Context())
		must(t, err)
		for _, row := range all["media"] {
			if !row.disabled {
				t.Errorf("disabled by name, a row is %+v", row)
			}
		}
		if row := all["media"][1]; !row.approvedAt.Equal(a.approvedAt) || row.approvedBy != "admin:2" {
			t.Errorf("the approval was lost: %+v", row)
		}

		if b, err := r.recall(t.Context(), first); b != nil || err != nil {
			t.Errorf("what never ran is recalled as %+v, %v", b, err)
		}
		h := newHouse(t)
		drop(t, h.install, "media", variant{})
		h.start()
		h.entries["media"].mu.Lock()
		i := h.entries["media"].current
		h.entries["media"].mu.Unlock()
		for range 2 {
			must(t, r.remember(t.Context(), i.art, i.declaration))
		}
		b, err := r.recall(t.Context(), i.art.sha256)
		must(t, err)
		if b == nil || b.size != i.art.size || b.build == nil || *b.build != *i.art.build || b.declaration == nil ||
			b.declaration.Description.ServerType != "media" || !b.declaration.Description.Has(sdk.CapProvision) {
			t.Errorf("it is recalled as %+v", b)
		}
	})
}
