package plex

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// One person, several calls at once: one share, made once.
func TestCreateAtOnce(t *testing.T) {
	r := newRig(t)
	linked := r.link(r.alice)
	reasons := make([]sdk.Reason, 4)
	var group sync.WaitGroup
	for i := range reasons {
		group.Go(func() {
			_, err := r.c.CreateUser(t.Context(), sdk.CreateUserRequest{Link: &linked, Grant: sdk.Grant{Libraries: r.only("Movies")}})
			reasons[i] = sdk.ReasonOf(err)
		})
	}
	group.Wait()
	slices.Sort(reasons)
	if want := []sdk.Reason{"", sdk.ReasonAlreadyMember, sdk.ReasonAlreadyMember, sdk.ReasonAlreadyMember}; !slices.Equal(reasons, want) {
		t.Errorf("reasons %q", reasons)
	}
	if n := len(r.fake.LiveShares()); n != 1 {
		t.Errorf("%d shares", n)
	}
	r.wantAccess(r.alice, "Movies")
}

// Two servers of one owner at once: what both ask of the one set of permissions
// must agree, or one of them is refused.
func TestCreateOnTwoServersAtOnce(t *testing.T) {
	for _, second := range []sdk.Tri{sdk.Deny, sdk.Allow} {
		r := newRig(t)
		linked := r.link(r.alice)
		other := r.open(func(req *sdk.OpenRequest) { req.Server.URL, req.Server.ExternalID = r.second.URL(), r.second.ID() })
		other.turns = r.c.turns // one plugin serves both
		var group sync.WaitGroup
		errs := make([]error, 2)
		for i, c := range []*client{r.c, other} {
			group.Go(func() {
				grant := sdk.Grant{Libraries: all(), Permissions: map[string]sdk.Tri{sdk.PermissionDownload: []sdk.Tri{sdk.Deny, second}[i]}}
				_, errs[i] = c.CreateUser(t.Context(), sdk.CreateUserRequest{Link: &linked, Grant: grant})
			})
		}
		group.Wait()
		ok := 0
		for _, err := range errs {
			if r.saw(err) == nil {
				ok++
			} else if sdk.ReasonOf(err) != sdk.ReasonAccessNotApplied {
				t.Errorf("%v", err)
			}
		}
		want := 2
		if second == sdk.Allow {
			want = 1
		}
		shares := r.fake.LiveShares()
		if ok != want || len(shares) != want {
			t.Errorf("%d succeed and %d shares are there, want %d", ok, len(shares), want)
		}
		if allowed := r.fake.SharingSettings(r.owner.ID, r.alice.ID).AllowSync; allowed != (second == sdk.Allow && errs[1] == nil) {
			t.Errorf("downloads are %t", allowed)
		}
	}
}

func TestTurns(t *testing.T) {
	turns := newTurns()
	over, err := turns.take(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	other, err := turns.take(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	other()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := turns.take(ctx, "a"); sdk.ReasonOf(err) != sdk.ReasonTimeout {
		t.Errorf("error is %v", err)
	}
	over()
	if over, err = turns.take(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	over()
	if len(turns.busy) != 0 {
		t.Errorf("left: %v", turns.busy)
	}
}
