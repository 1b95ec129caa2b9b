package invitation

import (
	"fmt"
	"sync"
	"testing"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/host/internal/page"
)

// Of changes at the same moment none is lost, and one profile is the default.
func TestProfilesAreChangedAtOnce(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		w := newWorld(t, d, "home")
		p, err := w.service.CreateProfile(t.Context(), ProfileParams{Name: "Friends", Servers: []ServerGrant{w.all("home")}})
		if err != nil {
			t.Fatal(err)
		}
		for round := range 8 {
			text := fmt.Sprint(round)
			patches := []ProfilePatch{
				{Label: &text}, {Note: new(&text)}, {MaxUses: new(new(round + 1))}, {DurationDays: new(new(round + 1))},
				{ExpiresAfterDays: new(new(round + 1))}, {Name: new("Friends " + text)},
			}
			var all sync.WaitGroup
			for _, patch := range patches {
				all.Go(func() {
					if _, err := w.service.UpdateProfile(t.Context(), p.ID, patch); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			got, err := w.service.GetProfile(t.Context(), p.ID)
			if err != nil || got.Label != text || *got.Note != text || *got.MaxUses != round+1 || *got.DurationDays != round+1 ||
				*got.ExpiresAfterDays != round+1 || got.Name != "Friends "+text {
				t.Fatalf("round %d: a change was lost: %+v, %v", round, got, err)
			}
		}
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				if _, err := w.service.CreateProfile(t.Context(), ProfileParams{Name: fmt.Sprint(i), Default: true, Servers: []ServerGrant{w.all("home")}}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		list, err := w.service.ListProfiles(t.Context(), ProfileFilter{}, page.Request{})
		defaults := 0
		for _, p := range list.Items {
			if p.Default {
				defaults++
			}
		}
		if err != nil || len(list.Items) != 7 || defaults != 1 {
			t.Errorf("%d profiles, %d of them the default, %v", len(list.Items), defaults, err)
		}
		if _, err := w.service.UpdateProfile(t.Context(), w.ids["home"], ProfilePatch{}); fault.CodeOf(err) != fault.CodeNotFound {
			t.Errorf("a profile that is not there: %v", err)
		}
	})
}
