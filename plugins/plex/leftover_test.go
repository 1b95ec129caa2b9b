package plex

import (
	"net/http"
	"strings"
	"testing"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
	"github.com/zondarr/zondarr/sdk"
)

// pendingShort makes the newer list of pending shares come back empty.
func (r *rig) pendingShort() {
	r.fake.AddFault(plextest.Fault{Kind: plextest.FaultStatus, Status: http.StatusOK, Body: "[]", Path: "/api/v2/shared_servers/owned/pending"})
}

// An invite that the newer list leaves out for a moment is no leftover: it is
// listed, stands in the way, and is removed only when that is asked for.
func TestShortPendingListDestroysNoInvite(t *testing.T) {
	for _, gone := range [][]string{
		nil,
		{"/api/v2/shared_servers/invites/owned/pending"},
		{"/api/invites/requested"},
		{"/api/v2/shared_servers/invites/owned/pending", "/api/invites/requested"},
	} {
		t.Run(strings.Join(gone, " "), func(t *testing.T) {
			r := newRig(t)
			sh := r.fake.MustAddShare(plextest.ShareSpec{
				Server: r.server.ID(), Invited: "alice", Sections: []int64{r.server.Section("Music").ID}, Settings: plextest.Settings{AllowSync: true},
			})
			mail := r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "nobody@example.com", AllLibraries: true})
			r.pendingShort()
			for _, path := range gone {
				r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: path})
			}
			_, err := r.create(r.alice, sdk.Grant{Libraries: r.only("Movies")})
			r.want(err, sdk.ReasonAlreadyMember)
			r.wantNoWrites()
			for _, id := range []string{str(r.alice.ID), "nobody@example.com"} {
				if u, err := r.get(id); err != nil || u.Status != sdk.StatusPending {
					t.Errorf("%s: %+v, %v", id, u, err)
				}
			}
			if gone, err := r.delete(str(r.alice.ID)); err != nil || gone {
				t.Errorf("already gone %t, %v", gone, err)
			}
			left := r.fake.LiveShares()
			if len(left) != 1 || left[0].ID != mail.ID {
				t.Errorf("left: %+v, want all but %d", left, sh.ID)
			}
		})
	}
}

// A list of open invites that fails is not taken for an empty one.
func TestLeftoverUnsure(t *testing.T) {
	for _, fault := range []plextest.Fault{
		{Kind: plextest.FaultDown}, {Kind: plextest.FaultStatus, Status: http.StatusOK, Body: "null"},
		{Kind: plextest.FaultStatus, Status: http.StatusOK, Body: "<html>portal</html>"},
	} {
		r := newRig(t)
		sh := r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "alice", AllLibraries: true})
		r.pendingShort()
		fault.Path = "/api/v2/shared_servers/invites/owned/pending"
		r.fake.AddFault(fault)
		_, err := r.create(r.alice, sdk.Grant{Libraries: r.only("Movies")})
		if reason := sdk.ReasonOf(err); reason != sdk.ReasonUnavailable && reason != sdk.ReasonServerError {
			t.Errorf("%s: %v", fault.Kind, err)
		}
		if now, ok := r.fake.ShareOf(r.server.ID(), r.alice.ID); !ok || now.ID != sh.ID {
			t.Errorf("%s: share %d is now %+v", fault.Kind, sh.ID, now)
		}
	}
}

// Either list of open invites can confirm that a row is a leftover; without both
// it is not removed unseen, and an admin can remove it by deleting the user.
func TestLeftoverConfirmed(t *testing.T) {
	for _, both := range []bool{false, true} {
		r := newRig(t, func(s *plextest.Switches) { s.OrphanRow = true })
		sh := r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "alice", AllLibraries: true})
		r.withdrawn(sh)
		r.fake.ClearRequests()
		r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: "/api/v2/shared_servers/invites/owned/pending"})
		if both {
			r.fake.Set(func(s *plextest.Switches) { s.V1RequestedGone = true })
			_, err := r.create(r.alice, sdk.Grant{Libraries: r.only("Movies")})
			r.want(err, sdk.ReasonAlreadyMember)
			r.wantNoWrites()
			if gone, err := r.delete(str(r.alice.ID)); err != nil || gone {
				t.Fatalf("already gone %t, %v", gone, err)
			}
		}
		r.mustCreate(r.alice, "Movies")
		r.wantAccess(r.alice, "Movies")
	}
}
