package identity

import (
	"sync"
	"testing"
	"time"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/sdk"
)

// Whoever changes an account at the same time, admins and the sweep: in the end
// what is stored is what the media server has.
func TestChangesAtOnceAgreeInTheEnd(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		w := newWorld(t, d)
		now := w.now
		w.service.Now = func() time.Time { return now }
		past, later := now.Add(-time.Hour), now.Add(time.Hour)
		rounds := 6
		if testing.Short() {
			rounds = 2
		}
		for range rounds {
			var all sync.WaitGroup
			patches := []UserPatch{
				{Enabled: new(false)}, {Enabled: new(true), ExpiresAt: new(&later)}, {ExpiresAt: new(&past)}, {ExpiresAt: new((*time.Time)(nil))},
			}
			for _, p := range patches {
				all.Go(func() {
					_, err := w.service.UpdateUser(t.Context(), w.users["home"], p)
					switch fault.CodeOf(err) {
					// Another was faster, or it has expired; and a server that was told
					// otherwise in between does not show what was asked.
					case "", fault.CodeConflict, fault.CodeInvalidInput, fault.CodeAccessNotApplied:
					default:
						t.Error(err)
					}
				})
			}
			all.Go(func() {
				if _, err := w.service.Update(t.Context(), w.person, Patch{Enabled: new(true)}); err != nil && fault.CodeOf(err) != fault.CodeConflict && fault.CodeOf(err) != fault.CodeAccessNotApplied {
					t.Error(err)
				}
			})
			all.Go(func() {
				if err := w.service.Expire(t.Context()); err != nil && fault.CodeOf(err) != fault.CodeConflict {
					t.Error(err)
				}
			})
			all.Wait()
			if err := w.service.Expire(t.Context()); err != nil {
				t.Fatal(err)
			}
			u, person, err := w.service.user(t.Context(), w.users["home"])
			if err != nil {
				t.Fatal(err)
			}
			want := sdk.StatusSuspended
			if effective(u, person, now) {
				want = sdk.StatusActive
			}
			if got := w.account("home").Status; got != want || u.Status != string(want) {
				t.Errorf("enabled %v, expires %v: the server says %s, stored is %s, want %s", u.Enabled, u.ExpiresAt, got, u.Status, want)
			}
			if u.Libraries == nil || len(u.Libraries.LibraryIDs) != 1 {
				t.Errorf("the access was lost: %+v", u.Libraries)
			}
		}
	})
}
