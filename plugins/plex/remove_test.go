package plex

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
	"github.com/zondarr/zondarr/sdk"
)

func (r *rig) delete(id string) (bool, error) {
	out, err := r.c.DeleteUser(r.t.Context(), sdk.DeleteUserRequest{ID: id})
	return out.AlreadyGone, r.saw(err)
}

// R3.4: this server's share, and nothing else.
func TestDelete(t *testing.T) {
	r := newRig(t)
	r.fake.MustAddShare(plextest.ShareSpec{Server: r.second.ID(), Invited: "alice", AllLibraries: true, Accepted: true})
	r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "bob", AllLibraries: true, Accepted: true})
	r.mustCreate(r.alice, "Movies")
	if gone, err := r.delete(str(r.alice.ID)); err != nil || gone {
		t.Fatalf("already gone: %t, %v", gone, err)
	}
	r.wantAccess(r.alice)
	if _, open := r.fake.Access(r.second.ID(), r.alice.ID); !open {
		t.Error("the share of another server is gone")
	}
	if !r.fake.Friends(r.owner.ID, r.alice.ID) {
		t.Error("the friendship is gone")
	}
	r.wantAccess(r.bob, "Movies", "Shows", "Music")
	_, err := r.get(str(r.alice.ID))
	r.want(err, sdk.ReasonNotFound)
	r.fake.ClearRequests()
	if gone, err := r.delete(str(r.alice.ID)); err != nil || !gone {
		t.Errorf("again: already gone %t, %v", gone, err)
	}
	r.wantNoWrites()
	for _, req := range r.fake.Requests() {
		if strings.HasPrefix(req.Path, "/api/v2/sharings") || strings.HasPrefix(req.Path, "/api/v2/friends") || strings.HasPrefix(req.Path, "/api/home/users/") {
			t.Errorf("%s %s reaches beyond this server", req.Method, req.Path)
		}
	}
}

func TestDeletePending(t *testing.T) {
	r := newRig(t)
	r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "alice", AllLibraries: true})
	r.fake.MustAddShare(plextest.ShareSpec{Server: r.second.ID(), Invited: "alice", AllLibraries: true})
	r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "nobody@example.com", AllLibraries: true})
	for _, id := range []string{str(r.alice.ID), "nobody@example.com"} {
		if gone, err := r.delete(id); err != nil || gone {
			t.Errorf("%s: already gone %t, %v", id, gone, err)
		}
	}
	left := r.fake.LiveShares()
	if len(left) != 1 || left[0].Server != r.second.ID() {
		t.Errorf("left: %+v", left)
	}
}

// A Home member loses the share and stays in the Home; a managed user is not
// deleted with it.
func TestDeleteHomeMember(t *testing.T) {
	r := crowded(t)
	users, err := r.list()
	if err != nil {
		t.Fatal(err)
	}
	members := r.fake.HomeMembers(r.owner.ID)
	for _, name := range []string{"carol", "Kid"} {
		u := byName(users)[name]
		before, err := r.get(u.ID)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := r.suspend(u.ID); err != nil || s.Status != sdk.StatusSuspended {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
		if s, err := r.get(u.ID); err != nil || s.Status != sdk.StatusSuspended || s.Kind != u.Kind {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
		if s, err := r.suspend(u.ID); err != nil || s.Status != sdk.StatusSuspended {
			t.Errorf("%s again: %+v, %v", name, s, err)
		}
		if s, err := r.resume(before); err != nil || s.Status != sdk.StatusActive || s.Permissions[sdk.PermissionLiveTV] != before.Permissions[sdk.PermissionLiveTV] {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
		if gone, err := r.delete(u.ID); err != nil || gone {
			t.Errorf("%s: already gone %t, %v", name, gone, err)
		}
		_, err = r.c.FindUser(t.Context(), sdk.FindUserRequest{AccountID: u.ID})
		r.want(err, sdk.ReasonNotFound)
		if gone, err := r.delete(u.ID); err != nil || !gone {
			t.Errorf("%s again: already gone %t, %v", name, gone, err)
		}
	}
	if got := r.fake.HomeMembers(r.owner.ID); !slices.Equal(got, members) {
		t.Errorf("the Home has %v, had %v", got, members)
	}
}

// The owner is never touched.
func TestOwnerIsProtected(t *testing.T) {
	r := crowded(t)
	owner := str(r.owner.ID)
	_, err := r.delete(owner)
	r.want(err, sdk.ReasonProtected)
	_, err = r.suspend(owner)
	r.want(err, sdk.ReasonProtected)
	_, err = r.c.Resume(t.Context(), sdk.ResumeRequest{ID: owner, Grant: sdk.Grant{Libraries: r.only("Movies")}})
	r.want(err, sdk.ReasonProtected)
	_, err = r.c.SetLibraryAccess(t.Context(), sdk.SetLibraryAccessRequest{ID: owner, Access: r.only("Movies")})
	r.want(err, sdk.ReasonProtected)
	_, err = r.c.SetPermissions(t.Context(), sdk.SetPermissionsRequest{ID: owner, Permissions: map[string]sdk.Tri{sdk.PermissionDownload: sdk.Deny}})
	r.want(err, sdk.ReasonProtected)
	r.wantNoWrites()
}

// Each endpoint that removes a share may be gone.
func TestDeleteFallbacks(t *testing.T) {
	const v1 = "/api/servers/*/shared_servers/*"
	goneV1 := func(r *rig) {
		r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Method: http.MethodDelete, Path: v1})
	}
	t.Run("NewerWorks", func(t *testing.T) {
		r := newRig(t, func(s *plextest.Switches) { s.V2ShareDelete = http.StatusNoContent })
		r.mustCreate(r.alice, "Movies")
		goneV1(r)
		if _, err := r.delete(str(r.alice.ID)); err != nil {
			t.Fatal(err)
		}
		r.wantAccess(r.alice)
	})
	t.Run("NoneWorks", func(t *testing.T) {
		r := newRig(t)
		r.mustCreate(r.alice, "Movies")
		goneV1(r)
		_, err := r.delete(str(r.alice.ID))
		r.want(err, sdk.ReasonEndpointGone, "removed the endpoint DELETE /api/servers/{}/shared_servers/{}")
		r.wantAccess(r.alice, "Movies")
	})
	t.Run("PendingIsWithdrawn", func(t *testing.T) {
		for _, who := range []string{"alice", "nobody+x@example.com"} {
			r := newRig(t)
			sh := r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: who, AllLibraries: true})
			goneV1(r)
			id := sh.InvitedEmail
			if id == "" {
				id = str(sh.InvitedID)
			}
			if _, err := r.delete(id); err != nil {
				t.Fatal(err)
			}
			if n := len(r.fake.LiveShares()); n != 0 {
				t.Errorf("%d shares are left", n)
			}
		}
	})
	t.Run("PendingOnTwoServers", func(t *testing.T) {
		for _, olderLists := range []bool{false, true} {
			r := newRig(t)
			for _, id := range []string{r.server.ID(), r.second.ID()} {
				r.fake.MustAddShare(plextest.ShareSpec{Server: id, Invited: "alice", AllLibraries: true})
			}
			goneV1(r)
			if olderLists {
				r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: "/api/v2/shared_servers/owned/*"})
			}
			_, err := r.delete(str(r.alice.ID))
			r.want(err, sdk.ReasonEndpointGone)
			if n := len(r.fake.LiveShares()); n != 2 {
				t.Errorf("%d shares are left, want both: withdrawing would take the other server's too", n)
			}
		}
	})
	t.Run("WithdrawingIsGoneToo", func(t *testing.T) {
		r := newRig(t, func(s *plextest.Switches) { s.V1RequestedGone = true })
		r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "alice", AllLibraries: true})
		goneV1(r)
		_, err := r.delete(str(r.alice.ID))
		r.want(err, sdk.ReasonEndpointGone, "DELETE /api/servers/{}/shared_servers/{}")
	})
	t.Run("WithdrawingIsGoneAlone", func(t *testing.T) {
		r := newRig(t, func(s *plextest.Switches) { s.V1RequestedGone = true })
		r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "alice", AllLibraries: true})
		if _, err := r.delete(str(r.alice.ID)); err != nil {
			t.Fatal(err)
		}
	})
}

// The row that a withdrawn invite leaves is swept.
func TestDeleteSweepsLeftover(t *testing.T) {
	r := newRig(t, func(s *plextest.Switches) { s.OrphanRow = true })
	r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "alice", AllLibraries: true})
	r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Method: http.MethodDelete, Path: "/api/servers/*/shared_servers/*", Times: 1})
	if _, err := r.delete(str(r.alice.ID)); err != nil {
		t.Fatal(err)
	}
	for _, sh := range r.fake.Shares() {
		if sh.Orphan || sh.State != plextest.ShareDeleted {
			t.Errorf("left: %+v", sh)
		}
	}
}

// Removing is repeated until it is known to be done.
func TestDeleteFaults(t *testing.T) {
	const path = "/api/servers/*/shared_servers/*"
	for _, kind := range []plextest.FaultKind{
		plextest.FaultDropResponse, plextest.FaultDropRequest, plextest.FaultDown, plextest.FaultHTML, plextest.FaultRateLimit, plextest.FaultTruncate,
	} {
		r := newRig(t)
		r.mustCreate(r.alice, "Movies")
		r.fake.AddFault(plextest.Fault{Kind: kind, Method: http.MethodDelete, Path: path, Times: 1})
		if _, err := r.delete(str(r.alice.ID)); err != nil {
			t.Errorf("%s once: %v", kind, err)
		}
		r.wantAccess(r.alice)
	}
	r := newRig(t)
	r.mustCreate(r.alice, "Movies")
	r.fake.AddFault(plextest.Fault{Kind: plextest.FaultDown, Method: http.MethodDelete, Path: path})
	_, err := r.delete(str(r.alice.ID))
	r.want(err, sdk.ReasonUnavailable)
	r.wantAccess(r.alice, "Movies")
}

// plex.tv says yes and does nothing: that is told, not believed.
func TestDeleteWithoutEffect(t *testing.T) {
	r := newRig(t)
	r.mustCreate(r.alice, "Movies")
	r.fake.AddFault(plextest.Fault{Kind: plextest.FaultStatus, Status: 200, Method: http.MethodDelete})
	_, err := r.delete(str(r.alice.ID))
	r.want(err, sdk.ReasonServerError, "still lists it")
}

// Somebody who was removed lingers in one of Plex's lists; it is not that one
// which is believed.
func TestDeleteWithLingeringUsers(t *testing.T) {
	r := newRig(t, func(s *plextest.Switches) { s.UsersLag = time.Hour })
	r.mustCreate(r.alice, "Movies")
	if _, err := r.delete(str(r.alice.ID)); err != nil {
		t.Fatal(err)
	}
	_, err := r.get(str(r.alice.ID))
	r.want(err, sdk.ReasonNotFound)
	if gone, err := r.delete(str(r.alice.ID)); err != nil || !gone {
		t.Errorf("already gone: %t, %v", gone, err)
	}
}

// Another server at the address: nothing is written, not even by deleting.
func TestWrongServerWritesNothing(t *testing.T) {
	r := newRig(t)
	u := r.mustCreate(r.alice, "Movies")
	r.server.SetIdentity(strings.Repeat("b", 40))
	r.fake.ClearRequests()
	ctx, grant := t.Context(), sdk.Grant{Libraries: r.only("Movies")}
	calls := map[string]func() error{
		"GetUser":    func() error { _, err := r.get(u.ID); return err },
		"ListUsers":  func() error { _, err := r.list(); return err },
		"FindUser":   func() error { _, err := r.c.FindUser(ctx, sdk.FindUserRequest{AccountID: u.ID}); return err },
		"DeleteUser": func() error { _, err := r.delete(u.ID); return err },
		"Suspend":    func() error { _, err := r.c.Suspend(ctx, sdk.SuspendRequest{ID: u.ID}); return err },
		"Resume":     func() error { _, err := r.c.Resume(ctx, sdk.ResumeRequest{ID: u.ID, Grant: grant}); return err },
		"SetLibraryAccess": func() error {
			_, err := r.c.SetLibraryAccess(ctx, sdk.SetLibraryAccessRequest{ID: u.ID, Access: grant.Libraries})
			return err
		},
		"SetPermissions": func() error {
			_, err := r.c.SetPermissions(ctx, sdk.SetPermissionsRequest{ID: u.ID, Permissions: map[string]sdk.Tri{sdk.PermissionDownload: sdk.Allow}})
			return err
		},
		"ListSessions": func() error { _, err := r.c.ListSessions(ctx, sdk.ListSessionsRequest{}); return err },
	}
	for name, call := range calls {
		if err := r.saw(call()); sdk.ReasonOf(err) != sdk.ReasonWrongServer {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.wantNoWrites()
	for _, req := range r.fake.Requests() {
		if req.Account != 0 {
			t.Errorf("%s %s went out with a token", req.Method, req.Path)
		}
	}
}
