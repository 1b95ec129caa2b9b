package plex

import (
	"errors"
	"net/http"
	"testing"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
	"github.com/zondarr/zondarr/sdk"
)

// What the owner set for a person holds on all of the owner's servers: filters
// stay, and the other server's share is not touched.
func TestCreateKeepsWhatHoldsElsewhere(t *testing.T) {
	r := newRig(t)
	kept := plextest.Settings{FilterMovies: "contentRating=G%2CPG", FilterTelevision: "label!=adult", AllowCameraUpload: true}
	r.fake.MustAddShare(plextest.ShareSpec{
		Server: r.second.ID(), Invited: "alice", AllLibraries: true, Accepted: true, Settings: kept,
	})
	before, _ := r.fake.ShareOf(r.second.ID(), r.alice.ID)
	u := r.mustCreate(r.alice, "Movies")
	if got := r.fake.SharingSettings(r.owner.ID, r.alice.ID); got != kept {
		t.Errorf("settings %+v, want %+v", got, kept)
	}
	after, _ := r.fake.ShareOf(r.second.ID(), r.alice.ID)
	if after.ID != before.ID || after.State != before.State || after.AllLibraries != before.AllLibraries {
		t.Errorf("the other server's share changed: %+v", after)
	}
	if u.Permissions[sdk.PermissionDownload] != sdk.Deny {
		t.Errorf("permissions %v", u.Permissions)
	}
}

// Live TV that a Home member has on another server is not taken away by asking for
// none here, or for nothing, which is none (the declared default); asked for, it
// stays what it is.
func TestCreateKeepsLiveTVElsewhere(t *testing.T) {
	r := newRig(t)
	r.fake.AddHome(r.owner.ID, r.alice.ID)
	kept := plextest.Settings{AllowTuners: 2}
	r.fake.MustAddShare(plextest.ShareSpec{Server: r.second.ID(), Invited: "alice", AllLibraries: true, Accepted: true, Settings: kept})
	grant := sdk.Grant{Libraries: r.only("Movies")}
	for _, tri := range []sdk.Tri{sdk.Deny, sdk.Unset} {
		grant.Permissions = map[string]sdk.Tri{sdk.PermissionLiveTV: tri}
		_, err := r.create(r.alice, grant)
		r.want(err, sdk.ReasonAccessNotApplied, "may watch live TV there", "Nothing was changed")
		r.wantNoWrites()
	}
	grant.Permissions = map[string]sdk.Tri{sdk.PermissionLiveTV: sdk.Allow}
	out, err := r.create(r.alice, grant)
	if err != nil || out.User.Permissions[sdk.PermissionLiveTV] != sdk.Allow {
		t.Errorf("%+v, %v", out.User, err)
	}
	if got := r.fake.SharingSettings(r.owner.ID, r.alice.ID); got != kept {
		t.Errorf("settings %+v, want %+v", got, kept)
	}
}

// A flag about live TV that Plex keeps about somebody outside the Home says
// nothing, and keeps nobody out. It is taken back where nothing else of the owner
// is shared with the person.
func TestCreateLiveTVFlagOutsideHome(t *testing.T) {
	for _, tri := range []sdk.Tri{sdk.Deny, sdk.Unset} {
		r := newRig(t, func(s *plextest.Switches) { s.TunersForAnyone = true })
		kept := plextest.Settings{AllowTuners: 1}
		r.fake.MustAddShare(plextest.ShareSpec{Server: r.second.ID(), Invited: "alice", AllLibraries: true, Accepted: true, Settings: kept})
		out, err := r.create(r.alice, sdk.Grant{Libraries: r.only("Movies"), Permissions: map[string]sdk.Tri{sdk.PermissionLiveTV: tri}})
		if err != nil || out.User.Permissions[sdk.PermissionLiveTV] != sdk.Deny {
			t.Errorf("%+v, %v", out.User, err)
		}
		if got := r.fake.SharingSettings(r.owner.ID, r.alice.ID); got != kept {
			t.Errorf("settings %+v, want %+v", got, kept)
		}

		r.fake.SetSharingSettings(r.owner.ID, r.bob.ID, kept)
		r.fake.Befriend(r.owner.ID, r.bob.ID)
		r.mustCreate(r.bob, "Movies")
		if got := r.fake.SharingSettings(r.owner.ID, r.bob.ID); got != (plextest.Settings{}) {
			t.Errorf("settings %+v", got)
		}
	}
}

// Filters of somebody who was here before are kept too.
func TestCreateKeepsOldFilters(t *testing.T) {
	r := newRig(t)
	sh := r.fake.MustAddShare(plextest.ShareSpec{
		Server: r.server.ID(), Invited: "alice", AllLibraries: true, Accepted: true, Settings: plextest.Settings{FilterMovies: "contentRating=G", AllowSync: true},
	})
	r.fake.Unshare(sh.ID)
	r.mustCreate(r.alice, "Movies")
	if got := r.fake.SharingSettings(r.owner.ID, r.alice.ID); got.FilterMovies != "contentRating=G" || got.AllowSync {
		t.Errorf("settings %+v", got)
	}
}

// Only the older list of shares is left: what it tells is read back and compared.
func TestCreateWithOlderLists(t *testing.T) {
	olderLists := func(r *rig) {
		r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: "/api/v2/shared_servers/owned/*"})
	}
	download := map[string]sdk.Tri{sdk.PermissionDownload: sdk.Allow}
	r := newRig(t)
	olderLists(r)
	out, err := r.create(r.alice, sdk.Grant{Libraries: r.only("Movies", "Music"), Permissions: download})
	if err != nil || out.User.Status != sdk.StatusActive || out.User.Permissions[sdk.PermissionDownload] != sdk.Allow {
		t.Errorf("%+v, %v", out.User, err)
	}
	r.wantAccess(r.alice, "Movies", "Music")
	_, err = r.create(r.alice, sdk.Grant{Libraries: r.only("Movies")})
	r.want(err, sdk.ReasonAlreadyMember)

	r = newRig(t)
	olderLists(r)
	linked := r.link(r.alice)
	r.on(http.MethodPost, "/api/v2/shared_servers", func() {
		r.fake.Edit(r.owner.ID, func(a *plextest.Account) { a.PlexPass = false })
	})
	_, err = r.createLinked(linked, sdk.Grant{Libraries: r.only("Movies"), Permissions: download})
	r.want(err, sdk.ReasonAccessNotApplied, "downloads differ")
	if n := len(r.fake.LiveShares()); n != 0 {
		t.Errorf("%d shares are left", n)
	}
}

// Where only the older lists are left, they tell of one server: who uses another
// one of the owner is read elsewhere, since what is allowed holds there too. When
// that list is gone as well, nothing is written blindly.
func TestCreateWithOlderListsKeepsWhatHoldsElsewhere(t *testing.T) {
	kept := plextest.Settings{AllowSync: true, FilterMovies: "label=a"}
	for _, gone := range []string{"/api/v2/shared_servers/owned/*", "/api/v2/shared_servers/owned/accepted"} {
		r := newRig(t)
		r.fake.MustAddShare(plextest.ShareSpec{Server: r.second.ID(), Invited: "alice", AllLibraries: true, Accepted: true, Settings: kept})
		r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: gone})
		grant := sdk.Grant{Libraries: r.only("Movies")}
		_, err := r.create(r.alice, grant)
		r.want(err, sdk.ReasonAccessNotApplied, "may download there", "Nothing was changed")
		r.wantNoWrites()

		r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: "/api/users"})
		_, err = r.create(r.alice, grant)
		r.want(err, sdk.ReasonEndpointGone, "GET /api/users")
		wantUndone(t, err)
		_, err = r.create(r.bob, grant)
		r.want(err, sdk.ReasonEndpointGone, "GET /api/users")
		r.wantNoWrites()

		r.fake.ClearFaults()
		r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: gone})
		grant.Permissions = map[string]sdk.Tri{sdk.PermissionDownload: sdk.Allow}
		if _, err := r.create(r.alice, grant); err != nil {
			t.Fatal(err)
		}
		if got := r.fake.SharingSettings(r.owner.ID, r.alice.ID); got != kept {
			t.Errorf("%s: settings %+v, want %+v", gone, got, kept)
		}
	}
}

// A creation that is taken back leaves what the person was allowed as it was, or
// says that it could not.
func TestCreateTakenBackRestoresSettings(t *testing.T) {
	before := plextest.Settings{FilterMovies: "label=a"}
	for _, fails := range []bool{false, true} {
		r := newRig(t)
		r.fake.Befriend(r.owner.ID, r.alice.ID)
		r.fake.SetSharingSettings(r.owner.ID, r.alice.ID, before)
		linked := r.link(r.alice)
		made := false
		r.before = func(req *http.Request) {
			sh, ok := r.fake.ShareOf(r.server.ID(), r.alice.ID)
			if made || !ok {
				return
			}
			made = true
			r.asOwner(http.MethodPut, "/api/servers/"+r.server.ID()+"/shared_servers/"+str(sh.ID),
				`{"shared_server":{"library_section_ids":[`+r.section("Movies")+`,`+r.section("Music")+`]}}`)
			if fails {
				r.fake.AddFault(plextest.Fault{Kind: plextest.FaultDown, Method: http.MethodPost, Path: "/api/v2/sharing_settings"})
			}
		}
		_, err := r.createLinked(linked, sdk.Grant{
			Libraries: r.only("Movies"), Permissions: map[string]sdk.Tri{sdk.PermissionDownload: sdk.Allow},
		})
		r.want(err, sdk.ReasonAccessNotApplied, "the libraries")
		r.wantAccess(r.alice)
		got := r.fake.SharingSettings(r.owner.ID, r.alice.ID)
		if !fails {
			wantUndone(t, err)
			if got != before {
				t.Errorf("settings %+v, want %+v", got, before)
			}
			continue
		}
		r.want(err, sdk.ReasonAccessNotApplied, "could not be put back")
		if e, _ := errors.AsType[*sdk.Error](err); e.Undone || got == before {
			t.Errorf("%v says that nothing is left; settings %+v", err, got)
		}
	}
}
