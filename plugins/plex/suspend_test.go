package plex

import (
	"bytes"
	"net/http"
	"slices"
	"testing"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
	"github.com/zondarr/zondarr/sdk"
)

func (r *rig) suspend(id string) (sdk.User, error) {
	out, err := r.c.Suspend(r.t.Context(), sdk.SuspendRequest{ID: id})
	return out.User, r.saw(err)
}

// resume gives back what a user had, as the host does.
func (r *rig) resume(u sdk.User) (sdk.User, error) {
	out, err := r.c.Resume(r.t.Context(), sdk.ResumeRequest{
		ID: u.ID, Grant: sdk.Grant{Libraries: *u.Libraries, Permissions: u.Permissions}, PluginState: u.PluginState,
	})
	return out.User, r.saw(err)
}

// R3.5: suspended and resumed, a person has what there was: libraries, whether
// those to come are among them, downloads, filters, flags.
func TestSuspendAndResume(t *testing.T) {
	settings := plextest.Settings{
		AllowSync: true, AllowCameraUpload: true, AllowChannels: true, AllowSubtitleAdmin: true, AllowTuners: 1,
		FilterMovies: "contentRating=G%2CPG|label=a%2Cb", FilterTelevision: "label!=x", FilterMusic: "label=y",
		FilterPhotos: "label=z", FilterAll: "label=all",
	}
	for _, all := range []bool{false, true} {
		for _, v1 := range []bool{false, true} {
			r := newRig(t, func(s *plextest.Switches) { s.V2CreateGone, s.TunersForAnyone = v1, true })
			spec := plextest.ShareSpec{Server: r.server.ID(), Invited: "alice", AllLibraries: all, Accepted: true, Settings: settings}
			if !all {
				spec.Sections = []int64{r.server.Section("Movies").ID, r.server.Section("Music").ID}
			}
			old := r.fake.MustAddShare(spec)
			before, err := r.get(str(r.alice.ID))
			if err != nil {
				t.Fatal(err)
			}
			access := r.access(r.alice)
			s, err := r.suspend(before.ID)
			if err != nil || s.Status != sdk.StatusSuspended || s.ID != before.ID || s.Username != "alice" {
				t.Fatalf("suspended: %+v, %v", s, err)
			}
			r.wantAccess(r.alice)
			if !r.fake.Friends(r.owner.ID, r.alice.ID) {
				t.Error("the friendship is gone")
			}
			if again, err := r.suspend(before.ID); err != nil || again.Status != sdk.StatusSuspended {
				t.Errorf("suspended again: %+v, %v", again, err)
			}
			// The settings may be lost at Plex meanwhile: the state has them.
			r.fake.SetSharingSettings(r.owner.ID, r.alice.ID, plextest.Settings{})
			after, err := r.resume(before)
			if err != nil {
				t.Fatal(err)
			}
			if after.Status != sdk.StatusActive || after.Libraries.Mode != before.Libraries.Mode || !slices.Equal(after.Libraries.IDs, before.Libraries.IDs) {
				t.Errorf("resumed: %+v, was %+v", after, before)
			}
			if !bytes.Equal(after.PluginState, before.PluginState) {
				t.Errorf("state %s, was %s", after.PluginState, before.PluginState)
			}
			if got := r.access(r.alice); !slices.Equal(got, access) {
				t.Errorf("access %v, was %v", got, access)
			}
			got, _ := r.fake.ShareOf(r.server.ID(), r.alice.ID)
			if got.Settings != settings || got.ID == old.ID || got.AllLibraries != all {
				t.Errorf("share %+v", got)
			}
			if again, err := r.resume(before); err != nil || again.Status != sdk.StatusActive || len(r.fake.LiveShares()) != 1 {
				t.Errorf("resumed again: %+v, %v", again, err)
			}
		}
	}
}

// What the owner changed by hand while somebody was suspended counts more than
// what was saved: a filter that was added stays, also beside other settings.
func TestResumeKeepsWhatChangedMeanwhile(t *testing.T) {
	for _, saved := range []string{"", "label=a"} {
		r := newRig(t)
		r.fake.MustAddShare(plextest.ShareSpec{
			Server: r.server.ID(), Invited: "alice", AllLibraries: true, Accepted: true, Settings: plextest.Settings{FilterMovies: saved, AllowSync: true},
		})
		u, err := r.get(str(r.alice.ID))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.suspend(u.ID); err != nil {
			t.Fatal(err)
		}
		r.asOwner(http.MethodPost, "/api/v2/sharing_settings", `{"invitedId":`+u.ID+`,"settings":{"allowSync":false,"filterMovies":"contentRating=G"}}`)
		after, err := r.resume(u)
		if err != nil || after.Permissions[sdk.PermissionDownload] != sdk.Allow {
			t.Errorf("%+v, %v", after, err)
		}
		want := plextest.Settings{FilterMovies: "contentRating=G", AllowSync: true} // downloads are the grant's
		if got := r.fake.SharingSettings(r.owner.ID, r.alice.ID); got != want {
			t.Errorf("settings %+v, want %+v", got, want)
		}
	}
}

// Somebody who is no longer connected has to accept again.
func TestResumePending(t *testing.T) {
	r := newRig(t)
	u := r.mustCreate(r.alice, "Movies")
	if _, err := r.suspend(u.ID); err != nil {
		t.Fatal(err)
	}
	r.asOwner(http.MethodDelete, "/api/v2/sharings/"+u.ID, "")
	_, err := r.suspend(u.ID)
	r.want(err, sdk.ReasonNotFound)
	after, err := r.resume(u)
	if err != nil || after.Status != sdk.StatusPending || after.Libraries.Mode != sdk.LibraryOnly {
		t.Fatalf("%+v, %v", after, err)
	}
	r.wantAccess(r.alice)
	if again, err := r.resume(u); err != nil || again.Status != sdk.StatusPending || len(r.fake.LiveShares()) != 1 {
		t.Errorf("again: %+v, %v", again, err)
	}
}

// An invite that waits is withdrawn, and sent again.
func TestSuspendPending(t *testing.T) {
	for _, invited := range []string{"alice", "nobody@example.com"} {
		r := newRig(t)
		sh := r.fake.MustAddShare(plextest.ShareSpec{
			Server: r.server.ID(), Invited: invited, Sections: []int64{r.server.Section("Movies").ID}, Settings: plextest.Settings{FilterMovies: "label=a"},
		})
		id := sh.InvitedEmail
		if id == "" {
			id = str(sh.InvitedID)
		}
		before, err := r.get(id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.suspend(id); err != nil {
			t.Fatal(err)
		}
		if n := len(r.fake.LiveShares()); n != 0 {
			t.Errorf("%d shares", n)
		}
		after, err := r.resume(before)
		if err != nil || after.Status != sdk.StatusPending || after.ID != id {
			t.Fatalf("%+v, %v", after, err)
		}
		live := r.fake.LiveShares()
		if len(live) != 1 || live[0].AllLibraries || len(live[0].Sections) != 1 || live[0].Settings.FilterMovies != "label=a" {
			t.Errorf("shares %+v", live)
		}
	}
}

func TestResumeRefused(t *testing.T) {
	r := newRig(t)
	u := r.mustCreate(r.alice, "Movies")
	if _, err := r.suspend(u.ID); err != nil {
		t.Fatal(err)
	}
	resume := func(change func(*sdk.ResumeRequest)) error {
		req := sdk.ResumeRequest{ID: u.ID, Grant: sdk.Grant{Libraries: *u.Libraries}, PluginState: u.PluginState}
		change(&req)
		_, err := r.c.Resume(t.Context(), req)
		return err
	}
	r.fake.ClearRequests()
	r.want(resume(func(q *sdk.ResumeRequest) { q.Grant.Libraries = sdk.LibraryAccess{Mode: sdk.LibraryNone} }), sdk.ReasonUnsupported)
	r.want(resume(func(q *sdk.ResumeRequest) { q.Grant.Libraries = sdk.LibraryAccess{Mode: sdk.LibraryOnly} }), sdk.ReasonInvalid)
	r.want(resume(func(q *sdk.ResumeRequest) { q.Grant.Libraries = sdk.LibraryAccess{} }), sdk.ReasonInvalid)
	r.want(resume(func(q *sdk.ResumeRequest) { q.PluginState = []byte("{") }), sdk.ReasonInvalid)
	r.want(resume(func(q *sdk.ResumeRequest) { q.PluginState = []byte(`{"v":9}`) }), sdk.ReasonInvalid)
	r.want(resume(func(q *sdk.ResumeRequest) { q.Grant.Limits = map[string]int64{"x": 1} }), sdk.ReasonUnsupported)
	if n := len(r.fake.Requests()); n > 0 {
		t.Errorf("%d calls were made", n)
	}
	r.want(resume(func(q *sdk.ResumeRequest) {
		q.Grant.Permissions = map[string]sdk.Tri{sdk.PermissionLiveTV: sdk.Allow}
	}), sdk.ReasonUnsupported, "Plex Home")
	r.want(resume(func(q *sdk.ResumeRequest) { q.ID = "not-an-id" }), sdk.ReasonNotFound)
	r.want(resume(func(q *sdk.ResumeRequest) {
		q.Grant.Libraries = sdk.LibraryAccess{Mode: sdk.LibraryOnly, IDs: []string{"123456789"}}
	}), sdk.ReasonLibraryNotFound)
	r.wantNoWrites()
	r.want(resume(func(q *sdk.ResumeRequest) { q.ID = "99999999" }), sdk.ReasonNotFound, "nothing was shared")
	if n := len(r.fake.LiveShares()); n != 0 {
		t.Errorf("%d shares", n)
	}
	_, err := r.suspend("99999999")
	r.want(err, sdk.ReasonNotFound)
}

// A library that was removed meanwhile keeps nobody out; one that plex.tv does not
// list for a moment is not taken for removed.
func TestResumeWithoutALibrary(t *testing.T) {
	r := newRig(t)
	u := r.mustCreate(r.alice, "Movies", "Music")
	if _, err := r.suspend(u.ID); err != nil {
		t.Fatal(err)
	}
	r.fake.Set(func(s *plextest.Switches) { s.PartialSections = true })
	gone := r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: "/api/servers/" + r.server.ID()})
	_, err := r.resume(u)
	r.want(err, sdk.ReasonServerError, "does not list 2 of the server's 3 libraries")
	if n := len(r.fake.LiveShares()); n != 0 || r.fake.FaultHits(gone) == 0 {
		t.Errorf("%d shares", n)
	}
	r.fake.ClearFaults()
	r.fake.Set(func(s *plextest.Switches) { s.PartialSections = false })
	r.server.RemoveSection(r.server.Section("Music").ID)
	after, err := r.resume(u)
	if err != nil || after.Status != sdk.StatusActive || !slices.Equal(after.Libraries.IDs, []string{r.section("Movies")}) {
		t.Errorf("%+v, %v", after, err)
	}
	r.wantAccess(r.alice, "Movies")
}

// A share that somebody made by hand meanwhile is brought to the grant.
func TestResumeOverOtherShare(t *testing.T) {
	r := newRig(t)
	u := r.mustCreate(r.alice, "Movies")
	if _, err := r.suspend(u.ID); err != nil {
		t.Fatal(err)
	}
	r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "alice", AllLibraries: true, Settings: plextest.Settings{AllowSync: true}})
	after, err := r.resume(u)
	if err != nil || after.Libraries.Mode != sdk.LibraryOnly || after.Permissions[sdk.PermissionDownload] != sdk.Deny {
		t.Errorf("%+v, %v", after, err)
	}
	r.wantAccess(r.alice, "Movies")
}

// The answer to sharing again is lost, or plex.tv is away for a moment.
func TestResumeFaults(t *testing.T) {
	for _, kind := range []plextest.FaultKind{plextest.FaultDropResponse, plextest.FaultTruncate, plextest.FaultRateLimit} {
		r := newRig(t)
		u := r.mustCreate(r.alice, "Movies")
		if _, err := r.suspend(u.ID); err != nil {
			t.Fatal(err)
		}
		r.fake.AddFault(plextest.Fault{Kind: kind, Method: http.MethodPost, Path: "/api/v2/shared_servers", Times: 1})
		if after, err := r.resume(u); err != nil || after.Status != sdk.StatusActive {
			t.Errorf("%s: %+v, %v", kind, after, err)
		}
		r.wantAccess(r.alice, "Movies")
	}
	// Suspended and the call failed: what is kept brings everything back later.
	r := newRig(t)
	u := r.mustCreate(r.alice, "Movies")
	if _, err := r.suspend(u.ID); err != nil {
		t.Fatal(err)
	}
	r.fake.AddFault(plextest.Fault{Kind: plextest.FaultDown, Method: http.MethodPost})
	_, err := r.resume(u)
	r.want(err, sdk.ReasonAmbiguous)
	r.fake.ClearFaults()
	if _, err := r.resume(u); err != nil {
		t.Fatal(err)
	}
	r.wantAccess(r.alice, "Movies")
}
