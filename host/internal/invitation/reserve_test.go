package invitation

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/grant"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/host/internal/mediaserver"
	"github.com/zondarr/zondarr/host/internal/page"
	"github.com/zondarr/zondarr/sdk"
)

// reserve takes a use.
func (w *world) reserve(id uuid.UUID) error {
	_, err := database.WithTx(w.t.Context(), w.db, func(ctx context.Context, tx *db.Tx) (Offer, error) {
		return w.service.ReserveTx(ctx, tx, Offer{InvitationID: id})
	})
	return err
}

func TestUsesAreTakenOnce(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		w := newWorld(t, d, "home")
		inv := w.create(CreateParams{MaxUses: new(new(10)), Servers: []ServerGrant{w.all("home")}})
		var taken, refused atomic.Int32
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				switch err := w.reserve(inv.ID); fault.CodeOf(err) {
				case "":
					taken.Add(1)
				case fault.CodeInvitationExhausted:
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		if taken.Load() != 10 || refused.Load() != 54 {
			t.Errorf("%d taken, %d refused; want 10 and 54", taken.Load(), refused.Load())
		}
		for range 12 { // never below zero
			if _, err := database.WithTx(t.Context(), d, func(ctx context.Context, tx *db.Tx) (struct{}, error) {
				return struct{}{}, w.service.ReleaseTx(ctx, tx, inv.ID)
			}); err != nil {
				t.Fatal(err)
			}
		}
		if got, _ := w.service.Get(t.Context(), inv.ID); got.UseCount != 0 {
			t.Errorf("%d uses after all were given back", got.UseCount)
		}
	})
}

func TestOffer(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite), "home")
	inv := w.create(CreateParams{Servers: []ServerGrant{{ServerID: w.ids["home"], Grant: grant.Grant{
		Access: sdk.LibraryOnly, LibraryIDs: []uuid.UUID{w.libs["home"][0].ID},
	}}}})
	offer, err := w.service.Check(t.Context(), inv.Code)
	if err != nil || len(offer.Targets) != 1 || offer.Targets[0].Facts == nil || offer.Targets[0].LibraryGone() || offer.Targets[0].Libraries[0].ExternalID != "lib-1" {
		t.Fatalf("offer %+v, %v", offer, err)
	}
	w.db.Ent.Library.UpdateOneID(w.libs["home"][0].ID).SetMissingSince(w.now).ExecX(t.Context())
	if offer, err = w.service.Check(t.Context(), inv.Code); err != nil || !offer.Targets[0].LibraryGone() {
		t.Errorf("the last library is gone, and the offer says %+v, %v", offer, err)
	}
	if got, _ := w.service.Get(t.Context(), inv.ID); len(got.Servers[0].Warnings) != 1 || got.Servers[0].Warnings[0].Code != grant.WarnLibraryGone {
		t.Errorf("warnings %+v", got.Servers[0].Warnings)
	}
}

func TestInFlightBlocksDeletion(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		w := newWorld(t, d, "home")
		inv := w.create(CreateParams{Servers: []ServerGrant{w.all("home")}})
		r := d.Ent.Redemption.Create().SetCode(inv.Code).SetPublicID("x").SetInvitationID(inv.ID).SaveX(t.Context())
		if err := w.service.Delete(t.Context(), inv.ID); fault.CodeOf(err) != fault.CodeRedemptionInFlight {
			t.Errorf("got %v", err)
		}
		d.Ent.Redemption.UpdateOne(r).SetFinishedAt(w.now).ExecX(t.Context())
		if err := w.service.Delete(t.Context(), inv.ID); err != nil {
			t.Errorf("finished: %v", err)
		}
		if row := d.Ent.Redemption.GetX(t.Context(), r.ID); row.InvitationID != nil || row.Code != inv.Code {
			t.Error("the redemption did not outlive its invitation with its code")
		}
	})
}

func TestListPages(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		w := newWorld(t, d, "home", "attic")
		for i := range 7 {
			p := CreateParams{Label: new(fmt.Sprintf("label %d", i%3)), CreatedBy: fmt.Sprintf("api_key:%d", i%2), Servers: []ServerGrant{w.all("home")}}
			if i == 3 {
				p.Servers, p.Note = []ServerGrant{w.all("attic")}, new("For ANNA")
			}
			if i%2 == 0 {
				p.ExpiresAt = new(new(w.now.Add(1)))
			}
			w.create(p)
		}
		for _, sort := range []string{"", "label", "-label", "code", "expires_at", "-expires_at", "use_count"} {
			seen := map[uuid.UUID]bool{}
			for cursor := ""; ; {
				got, err := w.service.List(t.Context(), Filter{}, page.Request{Limit: 2, Sort: sort, Cursor: cursor})
				if err != nil {
					t.Fatal(err)
				}
				for _, inv := range got.Items {
					if seen[inv.ID] {
						t.Errorf("by %q, %s came twice", sort, inv.Code)
					}
					seen[inv.ID] = true
				}
				if cursor = got.NextCursor; cursor == "" {
					break
				}
			}
			if len(seen) != 7 {
				t.Errorf("by %q, %d of 7 came", sort, len(seen))
			}
		}
		for name, tc := range map[string]struct {
			filter Filter
			want   int
		}{
			"Server":  {Filter{ServerID: []uuid.UUID{w.ids["attic"]}}, 1},
			"Creator": {Filter{CreatedBy: []string{"api_key:1"}}, 3},
			"Text":    {Filter{Query: "anna"}, 1},
			"Percent": {Filter{Query: "%"}, 0},
			"Both":    {Filter{Query: "label 0", CreatedBy: []string{"api_key:0"}}, 2},
		} {
			if got, err := w.service.List(t.Context(), tc.filter, page.Request{}); err != nil || len(got.Items) != tc.want {
				t.Errorf("%s: %d, %v; want %d", name, len(got.Items), err, tc.want)
			}
		}
	})
}

func TestProfiles(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		w := newWorld(t, d, "home", "attic")
		p, err := w.service.CreateProfile(t.Context(), ProfileParams{
			Name: " Friends ", Label: "A friend", ExpiresAfterDays: new(7), MaxUses: new((*int)(nil)), DurationDays: new(30), Default: true,
			Servers: []ServerGrant{w.all("home")},
		})
		if err != nil {
			t.Fatal(err)
		}
		if p.Name != "Friends" || p.MaxUses != nil || !p.Default || len(p.Servers) != 1 {
			t.Errorf("profile %+v", p)
		}
		if _, err := w.service.CreateProfile(t.Context(), ProfileParams{Name: "Friends", Servers: []ServerGrant{w.all("home")}}); fault.CodeOf(err) != fault.CodeNameTaken {
			t.Errorf("the name a second time: %v", err)
		}
		// An invitation that names neither servers nor a profile starts from the
		// default one, and what it says itself is stronger.
		inv := w.create(CreateParams{MaxUses: new(new(2))})
		if inv.Label != "A friend" || *inv.MaxUses != 2 || *inv.DurationDays != 30 || inv.ProfileID == nil || *inv.ProfileID != p.ID ||
			!inv.ExpiresAt.Equal(w.now.Add(7*24*60*60*1e9)) || inv.Servers[0].Name != "home" {
			t.Errorf("from the default: %+v", inv)
		}
		other, err := w.service.CreateProfile(t.Context(), ProfileParams{Name: "Family", Default: true, Servers: []ServerGrant{w.all("attic")}})
		if err != nil {
			t.Fatal(err)
		}
		if p, _ = w.service.GetProfile(t.Context(), p.ID); p.Default {
			t.Error("two profiles are the default")
		}
		// The invitation keeps its own copy.
		if p, err = w.service.UpdateProfile(t.Context(), p.ID, ProfilePatch{Label: new("B"), DurationDays: new((*int)(nil)), Servers: &[]ServerGrant{w.all("attic")}}); err != nil {
			t.Fatal(err)
		}
		if p.Label != "B" || p.DurationDays != nil || p.Servers[0].Name != "attic" || p.MaxUses != nil {
			t.Errorf("changed %+v", p)
		}
		if got, _ := w.service.Get(t.Context(), inv.ID); got.Label != "A friend" || got.Servers[0].Name != "home" {
			t.Errorf("the invitation changed with its profile: %+v", got)
		}
		if list, err := w.service.ListProfiles(t.Context(), ProfileFilter{Query: "fam"}, page.Request{}); err != nil || len(list.Items) != 1 || list.Items[0].ID != other.ID {
			t.Errorf("list %+v, %v", list, err)
		}
		if err := w.service.DeleteProfile(t.Context(), p.ID); err != nil {
			t.Fatal(err)
		}
		if got, err := w.service.Get(t.Context(), inv.ID); err != nil || got.ProfileID != nil {
			t.Errorf("after the profile was deleted: %+v, %v", got, err)
		}
		if err := w.service.DeleteProfile(t.Context(), p.ID); fault.CodeOf(err) != fault.CodeNotFound {
			t.Errorf("deleted twice: %v", err)
		}
	})
}

// A use is taken on what stands now, whatever was seen a moment ago.
func TestOfferThatChangedIsReadAgain(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		w := newWorld(t, d, "home", "attic")
		inv := w.create(CreateParams{MaxUses: new((*int)(nil)), Servers: []ServerGrant{w.all("home")}})
		reserve := func(seen Offer) Offer {
			t.Helper()
			offer, err := database.WithTx(t.Context(), d, func(ctx context.Context, tx *db.Tx) (Offer, error) {
				return w.service.ReserveTx(ctx, tx, seen)
			})
			if err != nil {
				t.Fatal(err)
			}
			return offer
		}
		check := func() Offer {
			t.Helper()
			offer, err := w.service.Check(t.Context(), inv.Code)
			if err != nil {
				t.Fatal(err)
			}
			return offer
		}
		seen := check()
		if reserve(seen); check().version != seen.version {
			t.Error("taking a use moved the version")
		}
		// The clock stands still: an edit moves the version nevertheless.
		if _, err := w.service.Update(t.Context(), inv.ID, Patch{Servers: &[]ServerGrant{w.all("home"), w.all("attic")}}); err != nil {
			t.Fatal(err)
		}
		if got := reserve(seen); len(got.Targets) != 2 {
			t.Errorf("an edit was not seen: %d targets", len(got.Targets))
		}
		seen = check()
		if _, err := w.servers.Update(t.Context(), w.ids["attic"], mediaserver.Patch{Enabled: new(false)}); err != nil {
			t.Fatal(err)
		}
		if got := reserve(seen); got.Targets[1].Enabled {
			t.Error("a server that was switched off is not skipped")
		}
		// Whoever writes a server, and leaves its time as it was.
		seen = check()
		attic := w.db.Ent.MediaServer.GetX(t.Context(), w.ids["attic"])
		attic.Update().SetEnabled(true).SetUpdatedAt(attic.UpdatedAt).ExecX(t.Context())
		if got := reserve(seen); !got.Targets[1].Enabled {
			t.Error("a server that was switched on is skipped")
		}
		seen = check()
		if err := w.servers.Delete(t.Context(), w.ids["attic"]); err != nil {
			t.Fatal(err)
		}
		if got := reserve(seen); len(got.Targets) != 1 {
			t.Errorf("a server that was deleted is offered: %d targets", len(got.Targets))
		}
	})
}
