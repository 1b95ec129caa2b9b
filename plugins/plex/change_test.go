package plex

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
	"github.com/zondarr/zondarr/sdk"
)

func (r *rig) setLibraries(id string, access sdk.LibraryAccess) (sdk.User, error) {
	out, err := r.c.SetLibraryAccess(r.t.Context(), sdk.SetLibraryAccessRequest{ID: id, Access: access})
	return out.User, r.saw(err)
}

func (r *rig) setPermission(id, name string, value sdk.Tri) (sdk.User, error) {
	out, err := r.c.SetPermissions(r.t.Context(), sdk.SetPermissionsRequest{ID: id, Permissions: map[string]sdk.Tri{name: value}})
	return out.User, r.saw(err)
}

func all() sdk.LibraryAccess { return sdk.LibraryAccess{Mode: sdk.LibraryAll} }

// R3.6, whatever Plex takes an empty list for when a share is changed: none is
// ever sent there.
func TestSetLibraryAccess(t *testing.T) {
	for _, empty := range []string{"all", "none", "refuse"} {
		r := newRig(t, func(s *plextest.Switches) { s.EmptyUpdate = empty })
		settings := plextest.Settings{AllowSync: true, FilterMovies: "label=a"}
		r.fake.MustAddShare(plextest.ShareSpec{
			Server: r.server.ID(), Invited: "alice", Sections: []int64{r.server.Section("Movies").ID}, Accepted: true, Settings: settings,
		})
		id := str(r.alice.ID)
		steps := []struct {
			access sdk.LibraryAccess
			open   []string
		}{
			{r.only("Shows", "Music"), []string{"Shows", "Music"}},
			{r.only("Shows"), []string{"Shows"}},
			{all(), []string{"Movies", "Shows", "Music"}},
			{all(), []string{"Movies", "Shows", "Music"}},
			{r.only("Movies", "Shows", "Music"), []string{"Movies", "Shows", "Music"}},
			{r.only("Music"), []string{"Music"}},
		}
		for i, step := range steps {
			r.fake.ClearRequests()
			u, err := r.setLibraries(id, step.access)
			if err != nil {
				t.Fatalf("step %d: %v", i, err)
			}
			if u.Libraries.Mode != step.access.Mode || len(u.Libraries.IDs) != len(step.access.IDs) || u.Status != sdk.StatusActive {
				t.Errorf("step %d: %+v", i, u.Libraries)
			}
			r.wantAccess(r.alice, step.open...)
			sh, _ := r.fake.ShareOf(r.server.ID(), r.alice.ID)
			if sh.Settings != settings || sh.AllLibraries != (step.access.Mode == sdk.LibraryAll) {
				t.Errorf("step %d: share %+v", i, sh)
			}
			for _, req := range r.fake.Requests() {
				if strings.Contains(req.Body, "[]") && (req.Method != http.MethodPost || req.Path != "/api/v2/shared_servers" || step.access.Mode != sdk.LibraryAll) {
					t.Errorf("step %d: an empty list was sent with %s %s", i, req.Method, req.Path)
				}
			}
		}
		r.fake.ClearRequests()
		if _, err := r.setLibraries(id, r.only("Music")); err != nil {
			t.Fatal(err)
		}
		r.wantNoWrites() // nothing to change
	}
}

func TestSetLibraryAccessRefused(t *testing.T) {
	r := newRig(t)
	u := r.mustCreate(r.alice, "Movies")
	r.fake.ClearRequests()
	_, err := r.setLibraries(u.ID, sdk.LibraryAccess{Mode: sdk.LibraryNone})
	r.want(err, sdk.ReasonUnsupported, "suspend or delete")
	_, err = r.setLibraries(u.ID, sdk.LibraryAccess{Mode: sdk.LibraryOnly})
	r.want(err, sdk.ReasonInvalid)
	_, err = r.setLibraries(u.ID, sdk.LibraryAccess{})
	r.want(err, sdk.ReasonInvalid)
	if n := len(r.fake.Requests()); n != 0 {
		t.Errorf("%d calls were made", n)
	}
	_, err = r.setLibraries(u.ID, sdk.LibraryAccess{Mode: sdk.LibraryOnly, IDs: []string{r.section("Movies"), "1"}})
	r.want(err, sdk.ReasonLibraryNotFound)
	_, err = r.setLibraries(str(r.bob.ID), r.only("Movies"))
	r.want(err, sdk.ReasonNotFound)
	r.wantNoWrites()
	// Somebody who was deleted does not come back that way, friend or not.
	if _, err := r.delete(u.ID); err != nil {
		t.Fatal(err)
	}
	_, err = r.setLibraries(u.ID, r.only("Movies"))
	r.want(err, sdk.ReasonNotFound)
	r.wantAccess(r.alice)
}

// An invite that waits keeps the libraries it was sent with: it is sent anew.
func TestSetLibraryAccessPending(t *testing.T) {
	for _, invited := range []string{"alice", "nobody@example.com"} {
		r := newRig(t)
		r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: invited, AllLibraries: true, Settings: plextest.Settings{FilterMusic: "label=b"}})
		users, err := r.list()
		if err != nil {
			t.Fatal(err)
		}
		u, err := r.setLibraries(users[1].ID, r.only("Music"))
		if err != nil || u.Status != sdk.StatusPending || u.Libraries.Mode != sdk.LibraryOnly {
			t.Fatalf("%+v, %v", u, err)
		}
		live := r.fake.LiveShares()
		if len(live) != 1 || live[0].AllLibraries || live[0].Settings.FilterMusic != "label=b" {
			t.Errorf("shares %+v", live)
		}
	}
}

// A Home member without a share, who may see everything, gets an explicit choice.
func TestSetLibraryAccessOfHomeMember(t *testing.T) {
	r := newRig(t)
	r.fake.AddHome(r.owner.ID, r.alice.ID)
	u, err := r.setLibraries(str(r.alice.ID), r.only("Music"))
	if err != nil || u.Kind != kindHome || u.Libraries.Mode != sdk.LibraryOnly {
		t.Fatalf("%+v, %v", u, err)
	}
	r.wantAccess(r.alice, "Music")
}

// The way to change libraries is gone: the newer one does it, filters and all.
func TestSetLibraryAccessFallback(t *testing.T) {
	r := newRig(t)
	settings := plextest.Settings{AllowSync: true, FilterMovies: "label=a", FilterPhotos: "label=p"}
	r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "alice", AllLibraries: true, Accepted: true, Settings: settings})
	r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Method: http.MethodPut})
	if _, err := r.setLibraries(str(r.alice.ID), r.only("Music")); err != nil {
		t.Fatal(err)
	}
	r.wantAccess(r.alice, "Music")
	if got := r.fake.SharingSettings(r.owner.ID, r.alice.ID); got != settings {
		t.Errorf("settings %+v", got)
	}
	r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Method: http.MethodPost, Path: "/api/v2/shared_servers/*"})
	_, err := r.setLibraries(str(r.alice.ID), r.only("Movies"))
	r.want(err, sdk.ReasonEndpointGone, "POST /api/v2/shared_servers/{}")
	r.wantAccess(r.alice, "Music")
}

// plex.tv says yes and changes nothing.
func TestSetLibraryAccessNotApplied(t *testing.T) {
	r := newRig(t)
	u := r.mustCreate(r.alice, "Movies")
	r.fake.AddFault(plextest.Fault{Kind: plextest.FaultStatus, Status: 200, Method: http.MethodPut})
	_, err := r.setLibraries(u.ID, r.only("Music"))
	r.want(err, sdk.ReasonAccessNotApplied)
	r.wantAccess(r.alice, "Movies")
}

// Making a share anew fails: the person gets back what there was.
func TestReplaceRestores(t *testing.T) {
	r := newRig(t)
	u := r.mustCreate(r.alice, "Movies")
	// plex.tv refuses everything that would share all libraries.
	cloud := r.c.wire.cloud.Transport
	r.c.wire.cloud.Transport = roundTrip(func(req *http.Request) (*http.Response, error) {
		if req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/shared_servers") {
			body, err := req.GetBody()
			if err != nil {
				t.Error(err)
			}
			data := make([]byte, 4096)
			n, _ := body.Read(data)
			if strings.Contains(string(data[:n]), `_ids":[]`) || strings.Contains(string(data[:n]), `Ids":[]`) {
				id := r.fake.AddFault(plextest.Fault{Kind: plextest.FaultStatus, Status: 422, Method: http.MethodPost, Times: 1})
				_ = id
			}
		}
		return cloud.RoundTrip(req)
	})
	_, err := r.setLibraries(u.ID, all())
	r.want(err, sdk.ReasonInvalid, "refused to share")
	r.wantAccess(r.alice, "Movies")
}

// plex.tv is away between the two halves, for a moment or for good.
func TestReplaceFaults(t *testing.T) {
	for _, kind := range []plextest.FaultKind{
		plextest.FaultDropResponse, plextest.FaultDropRequest, plextest.FaultDown, plextest.FaultHTML, plextest.FaultRateLimit, plextest.FaultTruncate,
	} {
		r := newRig(t)
		u := r.mustCreate(r.alice, "Movies")
		r.fake.AddFault(plextest.Fault{Kind: kind, Method: http.MethodPost, Path: "/api/v2/shared_servers", Times: 1})
		if _, err := r.setLibraries(u.ID, all()); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		r.wantAccess(r.alice, "Movies", "Shows", "Music")
	}
	r := newRig(t)
	u := r.mustCreate(r.alice, "Movies")
	before, err := r.get(u.ID)
	if err != nil {
		t.Fatal(err)
	}
	r.fake.AddFault(plextest.Fault{Kind: plextest.FaultDown, Method: http.MethodPost, Path: "/api/v2/shared_servers"})
	_, err = r.setLibraries(u.ID, all())
	r.want(err, sdk.ReasonAmbiguous, "may be without access until resumed")
	r.fake.ClearFaults()
	if _, err := r.resume(before); err != nil {
		t.Fatal(err)
	}
	r.wantAccess(r.alice, "Movies")
}

// R3.12: only what is asked changes; filters and flags stay.
func TestSetPermissions(t *testing.T) {
	settings := plextest.Settings{
		AllowCameraUpload: true, AllowSubtitleAdmin: true, FilterMovies: "label=a", FilterTelevision: "contentRating=G", FilterAll: "label=x",
	}
	fallbacks := map[string][]plextest.Fault{
		"Newer": nil,
		"Older": {{Kind: plextest.FaultGone, Method: http.MethodPost, Path: "/api/v2/sharing_settings"}},
		"OlderRead": {
			{Kind: plextest.FaultGone, Path: "/api/v2/sharing_settings"},
		},
	}
	for name, faults := range fallbacks {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "alice", AllLibraries: true, Accepted: true, Settings: settings})
			for _, f := range faults {
				r.fake.AddFault(f)
			}
			for _, value := range []sdk.Tri{sdk.Allow, sdk.Allow, sdk.Deny} {
				u, err := r.setPermission(str(r.alice.ID), sdk.PermissionDownload, value)
				if err != nil || u.Permissions[sdk.PermissionDownload] != value || u.Libraries.Mode != sdk.LibraryAll {
					t.Fatalf("%s: %+v, %v", value, u, err)
				}
				want := settings
				want.AllowSync = value == sdk.Allow
				if got := r.fake.SharingSettings(r.owner.ID, r.alice.ID); got != want {
					t.Errorf("%s: settings %+v, want %+v", value, got, want)
				}
			}
			r.fake.ClearRequests()
			if _, err := r.setPermission(str(r.alice.ID), sdk.PermissionDownload, sdk.Unset); err != nil {
				t.Fatal(err)
			}
			r.wantNoWrites()
		})
	}
	t.Run("AllGone", func(t *testing.T) {
		r := newRig(t)
		u := r.mustCreate(r.alice, "Movies")
		r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Method: http.MethodPost, Path: "/api/v2/sharing_settings"})
		r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Method: http.MethodPut})
		_, err := r.setPermission(u.ID, sdk.PermissionDownload, sdk.Allow)
		r.want(err, sdk.ReasonEndpointGone, "PUT /api/v2/sharings/{}")
	})
	t.Run("Pending", func(t *testing.T) {
		r := newRig(t)
		r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "alice", AllLibraries: true})
		u, err := r.setPermission(str(r.alice.ID), sdk.PermissionDownload, sdk.Allow)
		if err != nil || u.Permissions[sdk.PermissionDownload] != sdk.Allow || u.Status != sdk.StatusPending {
			t.Errorf("%+v, %v", u, err)
		}
	})
}

func TestSetPermissionsLiveTV(t *testing.T) {
	for _, anyone := range []bool{false, true} {
		r := newRig(t, func(s *plextest.Switches) { s.TunersForAnyone = anyone })
		r.fake.AddHome(r.owner.ID, r.bob.ID)
		r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "bob", AllLibraries: true})
		u := r.mustCreate(r.alice, "Movies")
		_, err := r.setPermission(u.ID, sdk.PermissionLiveTV, sdk.Allow)
		r.want(err, sdk.ReasonUnsupported, "Plex Home")
		if u, err := r.setPermission(u.ID, sdk.PermissionLiveTV, sdk.Deny); err != nil || u.Permissions[sdk.PermissionLiveTV] != sdk.Deny {
			t.Errorf("%+v, %v", u, err)
		}
		bob := str(r.bob.ID)
		tuners := func() int { return r.fake.SharingSettings(r.owner.ID, r.bob.ID).AllowTuners }
		if u, err := r.setPermission(bob, sdk.PermissionLiveTV, sdk.Allow); err != nil || u.Permissions[sdk.PermissionLiveTV] != sdk.Allow || tuners() != 1 {
			t.Errorf("%+v, %d, %v", u, tuners(), err)
		}
		// Who may record keeps that.
		r.fake.SetSharingSettings(r.owner.ID, r.bob.ID, plextest.Settings{AllowTuners: 2})
		if _, err := r.setPermission(bob, sdk.PermissionLiveTV, sdk.Allow); err != nil || tuners() != 2 {
			t.Errorf("%d, %v", tuners(), err)
		}
		if _, err := r.setPermission(bob, sdk.PermissionLiveTV, sdk.Deny); err != nil || tuners() != 0 {
			t.Errorf("%d, %v", tuners(), err)
		}
	}
}

func TestSetPermissionsRefused(t *testing.T) {
	r := newRig(t)
	u := r.mustCreate(r.alice, "Movies")
	r.fake.ClearRequests()
	_, err := r.setPermission(u.ID, "plex.fly", sdk.Allow)
	r.want(err, sdk.ReasonUnsupported)
	_, err = r.setPermission(str(r.bob.ID), sdk.PermissionDownload, sdk.Allow)
	r.want(err, sdk.ReasonNotFound)
	r.fake.Set(func(s *plextest.Switches) { s.NoPlexPass = true })
	_, err = r.setPermission(u.ID, sdk.PermissionDownload, sdk.Allow)
	r.want(err, sdk.ReasonUnsupported, "Plex Pass")
	r.wantNoWrites()
	r.fake.Set(func(s *plextest.Switches) { s.NoPlexPass = false })
	r.fake.AddHome(r.owner.ID, r.bob.ID)
	_, err = r.setPermission(str(r.bob.ID), sdk.PermissionDownload, sdk.Allow)
	r.want(err, sdk.ReasonUnsupported, "choose the libraries first")
	r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "nobody@example.com", AllLibraries: true})
	_, err = r.setPermission("nobody@example.com", sdk.PermissionDownload, sdk.Allow)
	r.want(err, sdk.ReasonUnsupported, "has no Plex account yet")
	r.wantNoWrites()
}

// Plex keeps the switch off in silence, or says no: what there was stays.
func TestSetPermissionsNotApplied(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		r := newRig(t, func(s *plextest.Switches) { s.RefuseWithoutPass = refuse })
		settings := plextest.Settings{FilterMovies: "label=a"}
		r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "alice", AllLibraries: true, Accepted: true, Settings: settings})
		r.on(http.MethodPost, "/api/v2/sharing_settings", func() {
			r.fake.Edit(r.owner.ID, func(a *plextest.Account) { a.PlexPass = false })
		})
		_, err := r.setPermission(str(r.alice.ID), sdk.PermissionDownload, sdk.Allow)
		if refuse {
			r.want(err, sdk.ReasonUnsupported, "Plex Pass")
		} else {
			r.want(err, sdk.ReasonAccessNotApplied, "downloads")
		}
		if got := r.fake.SharingSettings(r.owner.ID, r.alice.ID); got.AllowSync {
			t.Errorf("settings %+v", got)
		}
	}
}

// Downloads of a person on two servers are one setting; the other share stays.
func TestSetPermissionsHoldsElsewhere(t *testing.T) {
	r := newRig(t)
	other := r.fake.MustAddShare(plextest.ShareSpec{Server: r.second.ID(), Invited: "alice", AllLibraries: true, Accepted: true})
	u := r.mustCreate(r.alice, "Movies")
	if _, err := r.setPermission(u.ID, sdk.PermissionDownload, sdk.Allow); err != nil {
		t.Fatal(err)
	}
	got, _ := r.fake.ShareOf(r.second.ID(), r.alice.ID)
	if got.ID != other.ID || !slices.Equal(got.Sections, other.Sections) || !got.Settings.AllowSync {
		t.Errorf("the other share is %+v", got)
	}
}
