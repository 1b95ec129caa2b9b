package plex

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
	"github.com/zondarr/zondarr/sdk"
)

// R3.3, R6.4: afterwards the person has exactly the grant.
func TestCreateSome(t *testing.T) {
	r := newRig(t)
	linked := r.link(r.alice)
	out, err := r.createLinked(linked, sdk.Grant{
		Libraries: r.only("Shows", "Movies", "Movies"), Permissions: map[string]sdk.Tri{sdk.PermissionDownload: sdk.Allow},
	})
	if err != nil {
		t.Fatal(err)
	}
	u := out.User
	if u.ID != str(r.alice.ID) || u.Username != "alice" || u.Email != r.alice.Email || u.Kind != kindFriend || u.Status != sdk.StatusActive || u.Protected {
		t.Errorf("user %+v", u)
	}
	want := r.only("Movies", "Shows")
	slices.Sort(want.IDs)
	if u.Libraries == nil || u.Libraries.Mode != sdk.LibraryOnly || !slices.Equal(u.Libraries.IDs, want.IDs) {
		t.Errorf("libraries %+v, want %+v", u.Libraries, want)
	}
	if u.Permissions[sdk.PermissionDownload] != sdk.Allow || u.Permissions[sdk.PermissionLiveTV] != sdk.Deny {
		t.Errorf("permissions %v", u.Permissions)
	}
	if out.Message != "" || len(u.PluginState) == 0 {
		t.Errorf("message %q, state %d bytes", out.Message, len(u.PluginState))
	}
	r.wantAccess(r.alice, "Movies", "Shows")
	sh, _ := r.fake.ShareOf(r.server.ID(), r.alice.ID)
	if sh.AllLibraries || !sh.Settings.AllowSync || sh.SkipFriendship {
		t.Errorf("share %+v", sh)
	}
	// The newcomer sees no library that is added later.
	r.server.AddSection(plextest.Section{Title: "Later"})
	r.wantAccess(r.alice, "Movies", "Shows")
	// Whoever reads later sees the same.
	if got, err := r.get(u.ID); err != nil || got.Status != sdk.StatusActive || !slices.Equal(got.Libraries.IDs, want.IDs) {
		t.Errorf("read later: %+v, %v", got, err)
	}
}

// All libraries are said by the empty list, which includes those to come.
func TestCreateAll(t *testing.T) {
	r := newRig(t)
	out, err := r.create(r.alice, sdk.Grant{Libraries: sdk.LibraryAccess{Mode: sdk.LibraryAll}})
	if err != nil {
		t.Fatal(err)
	}
	if out.User.Libraries.Mode != sdk.LibraryAll || len(out.User.Libraries.IDs) != 0 {
		t.Errorf("libraries %+v", out.User.Libraries)
	}
	r.server.AddSection(plextest.Section{Title: "Later"})
	r.wantAccess(r.alice, "Movies", "Shows", "Music", "Later")
}

// A choice of every library there is does not become "all".
func TestCreateEveryLibraryByName(t *testing.T) {
	r := newRig(t)
	u := r.mustCreate(r.alice, "Movies", "Shows", "Music")
	if u.Libraries.Mode != sdk.LibraryOnly || len(u.Libraries.IDs) != 3 {
		t.Errorf("libraries %+v", u.Libraries)
	}
	r.server.AddSection(plextest.Section{Title: "Later"})
	r.wantAccess(r.alice, "Movies", "Shows", "Music")
}

// About 100 people fit; how plex.tv says no is not known, so all ways are tried.
func TestCreateLimit(t *testing.T) {
	for _, status := range []int{400, 403, 422} {
		for _, v1 := range []bool{false, true} {
			r := newRig(t, func(s *plextest.Switches) { s.ShareLimit, s.ShareLimitStatus, s.V2CreateGone = 1, status, v1 })
			r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "bob", AllLibraries: true, Accepted: true})
			_, err := r.create(r.alice, sdk.Grant{Libraries: r.only("Movies")})
			r.want(err, sdk.ReasonLimitReached, "remove somebody first")
			if n := len(r.fake.LiveShares()); n != 1 {
				t.Errorf("%d shares, want bob's", n)
			}
		}
	}
}

// A plex.tv whose refusal says nothing, on a server with about 100 people.
func TestCreateLimitUnsaid(t *testing.T) {
	r := newRig(t)
	for i := range crowd {
		name := "p" + str(int64(i))
		r.fake.MustAddAccount(plextest.Account{Username: name})
		r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: name, AllLibraries: true, Accepted: true})
	}
	r.fake.AddFault(plextest.Fault{Kind: plextest.FaultStatus, Status: 400, Method: "POST", Path: "/api/v2/shared_servers"})
	_, err := r.create(r.alice, sdk.Grant{Libraries: r.only("Movies")})
	r.want(err, sdk.ReasonLimitReached)
}

// The newer call is gone: the older one does the same.
func TestCreateV1(t *testing.T) {
	r := newRig(t, func(s *plextest.Switches) { s.V2CreateGone = true })
	out, err := r.create(r.alice, sdk.Grant{Libraries: r.only("Movies"), Permissions: map[string]sdk.Tri{sdk.PermissionDownload: sdk.Allow}})
	if err != nil {
		t.Fatal(err)
	}
	if out.User.Status != sdk.StatusActive || out.User.Permissions[sdk.PermissionDownload] != sdk.Allow {
		t.Errorf("user %+v", out.User)
	}
	r.wantAccess(r.alice, "Movies")
	r2 := newRig(t, func(s *plextest.Switches) { s.V2CreateGone = true })
	if _, err := r2.create(r2.alice, sdk.Grant{Libraries: sdk.LibraryAccess{Mode: sdk.LibraryAll}}); err != nil {
		t.Fatal(err)
	}
	r2.wantAccess(r2.alice, "Movies", "Shows", "Music")
}

// A short list of libraries at plex.tv does not make an existing one unknown.
func TestCreateWithShortSections(t *testing.T) {
	r := newRig(t, func(s *plextest.Switches) { s.PartialSections = true })
	r.mustCreate(r.alice, "Music")
	r.wantAccess(r.alice, "Music")
}

// A media server that sleeps does not keep anybody out: the share lives at plex.tv.
func TestCreateWhileServerSleeps(t *testing.T) {
	r := newRig(t)
	r.fake.AddFault(plextest.Fault{Kind: plextest.FaultDropRequest, Target: r.server.ID()})
	r.mustCreate(r.alice, "Movies")
	r.wantAccess(r.alice, "Movies")
}

// Friends and people who had a share before are accepted at once.
func TestCreateForFriend(t *testing.T) {
	r := newRig(t)
	r.fake.Befriend(r.owner.ID, r.alice.ID)
	if u := r.mustCreate(r.alice, "Movies"); u.Status != sdk.StatusActive {
		t.Errorf("status %s", u.Status)
	}
}

// The invite takes time to reach the invitee, or never does.
func TestCreateInviteDelay(t *testing.T) {
	t.Run("Seconds", func(t *testing.T) {
		r := newRig(t, func(s *plextest.Switches) { s.InviteDelay = 8 * time.Second })
		if u := r.mustCreate(r.alice, "Movies"); u.Status != sdk.StatusActive {
			t.Errorf("status %s", u.Status)
		}
	})
	t.Run("TooLong", func(t *testing.T) {
		r := newRig(t, func(s *plextest.Switches) { s.InviteDelay = time.Hour })
		out, err := r.create(r.alice, sdk.Grant{Libraries: r.only("Movies")})
		if err != nil {
			t.Fatal(err)
		}
		if out.User.Status != sdk.StatusPending || out.Message != acceptByHand {
			t.Errorf("%+v, %q; want pending with words", out.User, out.Message)
		}
		r.wantAccess(r.alice)
		if u, err := r.get(str(r.alice.ID)); err != nil || u.Status != sdk.StatusPending {
			t.Errorf("read later: %+v, %v", u, err)
		}
	})
}

// plex.tv often names the owner by username alone, and answers an acceptance
// with or without a body.
func TestCreateAcceptVariants(t *testing.T) {
	r := newRig(t, func(s *plextest.Switches) { s.OwnerUsernameOnly, s.AcceptStatus = true, 204 })
	r.mustCreate(r.alice, "Movies")
	r.wantAccess(r.alice, "Movies")
}

// Accepting takes the invite of this server alone, though another waits.
func TestCreateAcceptsThisServerAlone(t *testing.T) {
	other := func(r *rig) {
		r.fake.MustAddShare(plextest.ShareSpec{Server: r.second.ID(), Invited: "alice", AllLibraries: true})
	}
	state := func(r *rig) plextest.ShareState {
		sh, _ := r.fake.ShareOf(r.second.ID(), r.alice.ID)
		return sh.State
	}
	r := newRig(t)
	other(r)
	r.mustCreate(r.alice, "Movies")
	if state(r) != plextest.SharePending {
		t.Error("the other server's invite was accepted too")
	}
	// Also while the other one shows already and this one does not yet.
	r = newRig(t, func(s *plextest.Switches) { s.InviteDelay = 5 * time.Second })
	other(r)
	r.fake.Advance(time.Minute)
	if u := r.mustCreate(r.alice, "Movies"); u.Status != sdk.StatusActive || state(r) != plextest.SharePending {
		t.Errorf("status %s, the other server's invite is %s", u.Status, state(r))
	}
	// The older call accepts everything, so it is not used then.
	r = newRig(t, func(s *plextest.Switches) { s.V1RequestsGone, s.InviteDelay = false, 0 })
	r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: "/api/v2/shared_servers/invites/**"})
	other(r)
	if u := r.mustCreate(r.alice, "Movies"); u.Status != sdk.StatusPending || state(r) != plextest.SharePending {
		t.Errorf("status %s, the other server's invite is %s", u.Status, state(r))
	}
	// Nor while the other one alone shows: then it is not this one's.
	for _, gone := range []string{"/api/v2/shared_servers/invites/received/pending", "/api/v2/shared_servers/owned/*"} {
		r = newRig(t, func(s *plextest.Switches) { s.V1RequestsGone, s.InviteDelay = false, time.Hour })
		other(r)
		r.fake.Advance(2 * time.Hour)
		r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: "/api/v2/shared_servers/invites/received/pending"})
		r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: gone}) // with the older lists too
		if u := r.mustCreate(r.alice, "Movies"); u.Status != sdk.StatusPending || state(r) != plextest.SharePending {
			t.Errorf("status %s, the other server's invite is %s", u.Status, state(r))
		}
	}
}

func TestCreateAcceptFallbacks(t *testing.T) {
	gone := []plextest.Fault{
		{Kind: plextest.FaultGone, Path: "/api/v2/shared_servers/invites/received/pending"},
		{Kind: plextest.FaultGone, Path: "/api/v2/shared_servers/*/accept"},
		{Kind: plextest.FaultGone, Path: "/api/v2/shared_servers/**", Method: http.MethodGet},
	}
	for _, fault := range gone {
		r := newRig(t, func(s *plextest.Switches) { s.V1RequestsGone = false })
		r.fake.AddFault(fault)
		if u := r.mustCreate(r.alice, "Movies"); u.Status != sdk.StatusActive {
			t.Errorf("%s: status %s, want active by the older call", fault.Path, u.Status)
		}
		r = newRig(t, func(s *plextest.Switches) { s.InviteDelay = 0 })
		r.fake.AddFault(fault)
		if u := r.mustCreate(r.alice, "Movies"); u.Status != sdk.StatusPending {
			t.Errorf("%s: status %s, want pending", fault.Path, u.Status)
		}
	}
}

// The account turns out to be unable to accept: the share is taken back.
func TestCreateAcceptRefused(t *testing.T) {
	r := newRig(t)
	linked := r.link(r.alice)
	r.on("POST", "/api/v2/shared_servers", func() {
		r.fake.Edit(r.alice.ID, func(a *plextest.Account) { a.Unconfirmed = true })
	})
	_, err := r.createLinked(linked, sdk.Grant{Libraries: r.only("Movies")})
	r.want(err, sdk.ReasonAccountNotReady, "Verify the e-mail address")
	if n := len(r.fake.LiveShares()); n != 0 {
		t.Errorf("%d shares are left", n)
	}
}

// The invitee's sign-in ends in the middle: the invite waits for the person.
func TestCreateSignedOutMeanwhile(t *testing.T) {
	r := newRig(t)
	linked := r.link(r.alice)
	r.on("POST", "/api/v2/shared_servers", func() { r.fake.SignOutEverywhere(r.alice.ID) })
	out, err := r.createLinked(linked, sdk.Grant{Libraries: r.only("Movies")})
	if err != nil || out.User.Status != sdk.StatusPending || out.Message == "" {
		t.Errorf("%+v, %v", out, err)
	}
}

// Seen in the wild: the owner has Plex Pass, and downloads stay off all the same.
func TestDownloadsStayOff(t *testing.T) {
	r := newRig(t, func(s *plextest.Switches) { s.SyncStaysOff = true })
	_, err := r.create(r.alice, sdk.Grant{Libraries: r.only("Movies"), Permissions: map[string]sdk.Tri{sdk.PermissionDownload: sdk.Allow}})
	r.want(err, sdk.ReasonAccessNotApplied, "downloads differ")
	if n := len(r.fake.LiveShares()); n != 0 {
		t.Errorf("%d shares are left", n)
	}
	u := r.mustCreate(r.alice, "Movies")
	_, err = r.setPermission(u.ID, sdk.PermissionDownload, sdk.Allow)
	r.want(err, sdk.ReasonAccessNotApplied, "downloads differ", "restored")
	r.wantAccess(r.alice, "Movies")
}

// What plex.tv silently does not apply is taken back.
func TestCreateNotApplied(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		r := newRig(t, func(s *plextest.Switches) { s.RefuseWithoutPass = refuse })
		linked := r.link(r.alice)
		r.on("POST", "/api/v2/shared_servers", func() {
			r.fake.Edit(r.owner.ID, func(a *plextest.Account) { a.PlexPass = false })
		})
		_, err := r.createLinked(linked, sdk.Grant{
			Libraries: r.only("Movies"), Permissions: map[string]sdk.Tri{sdk.PermissionDownload: sdk.Allow},
		})
		if refuse {
			r.want(err, sdk.ReasonUnsupported, "Plex Pass")
		} else {
			r.want(err, sdk.ReasonAccessNotApplied, "downloads differ")
		}
		if n := len(r.fake.LiveShares()); n != 0 {
			t.Errorf("%d shares are left", n)
		}
	}
}

// A share that comes out wider than asked is taken back before it is accepted.
func TestCreateWidened(t *testing.T) {
	r := newRig(t)
	linked := r.link(r.alice)
	cloud := r.c.wire.cloud.Transport
	r.c.wire.cloud.Transport = roundTrip(func(req *http.Request) (*http.Response, error) {
		if req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/api/v2/shared_servers") {
			// plex.tv misunderstands the list.
			var body map[string]any
			if err := json.NewDecoder(req.Body).Decode(&body); err != nil {
				t.Error(err)
			}
			body["librarySectionIds"] = []int{}
			data, _ := json.Marshal(body)
			again, _ := http.NewRequestWithContext(req.Context(), req.Method, req.URL.String(), strings.NewReader(string(data)))
			again.Header = req.Header
			return cloud.RoundTrip(again)
		}
		return cloud.RoundTrip(req)
	})
	_, err := r.createLinked(linked, sdk.Grant{Libraries: r.only("Movies")})
	r.want(err, sdk.ReasonAccessNotApplied, "the libraries differ")
	shares := r.fake.Shares()
	if len(shares) != 1 || shares[0].State != plextest.ShareDeleted || !shares[0].AcceptedAt.IsZero() {
		t.Errorf("shares %+v", shares)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// A creation whose answer is lost is looked up, and never sent twice.
func TestCreateAnswerLost(t *testing.T) {
	posts := func(r *rig) (n int) {
		for _, w := range r.writes() {
			if w == "POST /api/v2/shared_servers" {
				n++
			}
		}
		return n
	}
	for _, kind := range []plextest.FaultKind{plextest.FaultDropResponse, plextest.FaultTruncate, plextest.FaultHangResponse, plextest.FaultSlowBody} {
		t.Run(string(kind), func(t *testing.T) {
			r := newRig(t)
			linked := r.link(r.alice)
			r.c.wire.timeout = 300 * time.Millisecond
			r.fake.AddFault(plextest.Fault{Kind: kind, Method: "POST", Path: "/api/v2/shared_servers"})
			out, err := r.createLinked(linked, sdk.Grant{Libraries: r.only("Movies")})
			if err != nil || out.User.Status != sdk.StatusActive {
				t.Fatalf("%+v, %v; want the share adopted", out.User, err)
			}
			if posts(r) != 1 || len(r.fake.LiveShares()) != 1 {
				t.Errorf("%d creations, %d shares", posts(r), len(r.fake.LiveShares()))
			}
			r.wantAccess(r.alice, "Movies")
		})
	}
	for _, kind := range []plextest.FaultKind{plextest.FaultDropRequest, plextest.FaultDown, plextest.FaultHTML, plextest.FaultStatus} {
		t.Run(string(kind), func(t *testing.T) {
			r := newRig(t)
			linked := r.link(r.alice)
			r.fake.AddFault(plextest.Fault{Kind: kind, Method: "POST", Path: "/api/v2/shared_servers"})
			_, err := r.createLinked(linked, sdk.Grant{Libraries: r.only("Movies")})
			r.want(err, sdk.ReasonAmbiguous, "must be looked up")
			if posts(r) != 1 || len(r.fake.LiveShares()) != 0 {
				t.Errorf("%d creations, %d shares", posts(r), len(r.fake.LiveShares()))
			}
			// The host looks before it acts.
			_, err = r.c.FindUser(t.Context(), sdk.FindUserRequest{AccountID: linked.ID})
			r.want(err, sdk.ReasonNotFound)
		})
	}
}

// Being rate limited means that nothing was done, so asking again is safe.
func TestCreateRateLimited(t *testing.T) {
	r := newRig(t)
	linked := r.link(r.alice)
	r.fake.AddFault(plextest.Fault{Kind: plextest.FaultRateLimit, Method: "POST", Path: "/api/v2/shared_servers", Times: 2, RetryAfter: "3"})
	if _, err := r.createLinked(linked, sdk.Grant{Libraries: r.only("Movies")}); err != nil {
		t.Fatal(err)
	}
	r = newRig(t)
	linked = r.link(r.alice)
	r.fake.AddFault(plextest.Fault{Kind: plextest.FaultRateLimit, Method: "POST", Path: "/api/v2/shared_servers", RetryAfter: "600"})
	_, err := r.createLinked(linked, sdk.Grant{Libraries: r.only("Movies")})
	r.want(err, sdk.ReasonRateLimited)
	wantUndone(t, err)
	if n := len(r.fake.LiveShares()); n != 0 {
		t.Errorf("%d shares", n)
	}
}

// The row of a withdrawn invite stands in the way: it is removed, once.
func TestCreateOverLeftover(t *testing.T) {
	for _, v1 := range []bool{false, true} {
		r := newRig(t, func(s *plextest.Switches) { s.OrphanRow, s.V2CreateGone = true, v1 })
		sh := r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "alice", AllLibraries: true})
		r.withdrawn(sh)
		if u := r.mustCreate(r.alice, "Movies"); u.Status != sdk.StatusActive {
			t.Errorf("status %s", u.Status)
		}
		r.wantAccess(r.alice, "Movies")
	}
}

// withdrawn cancels an invite as the owner does from Plex's own pages.
func (r *rig) withdrawn(sh plextest.Share) {
	r.t.Helper()
	r.asOwner(http.MethodDelete, "/api/invites/requested/"+str(sh.InvitedID)+"?friend=1&home=0&server=1", "")
}

// asOwner makes a call that the owner's other programs make.
func (r *rig) asOwner(method, path, body string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.fake.CloudURL()+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("X-Plex-Token", r.token)
	req.Header.Set("X-Plex-Client-Identifier", "owner-device")
	req.Header.Set("Content-Type", "application/json")
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode > 299 {
		r.t.Fatalf("%s %s answered %d", method, path, resp.StatusCode)
	}
}

// Somebody else shares in the same moment: that share is not ours to change.
func TestCreateRace(t *testing.T) {
	r := newRig(t)
	linked := r.link(r.alice)
	r.on("POST", "/api/v2/shared_servers", func() {
		r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "alice", AllLibraries: true, Accepted: true})
	})
	_, err := r.createLinked(linked, sdk.Grant{Libraries: r.only("Movies")})
	r.want(err, sdk.ReasonAlreadyMember, "nothing was changed")
	r.wantAccess(r.alice, "Movies", "Shows", "Music")
}

// Taking back fails too: nobody may think that nothing is there.
func TestCreateUndoFails(t *testing.T) {
	r := newRig(t)
	linked := r.link(r.alice)
	r.fake.AddFault(plextest.Fault{Kind: plextest.FaultDown, Method: "DELETE", Path: "/api/servers/**"})
	r.on("POST", "/api/v2/shared_servers", func() {
		r.fake.Edit(r.alice.ID, func(a *plextest.Account) { a.Unconfirmed = true })
	})
	_, err := r.createLinked(linked, sdk.Grant{Libraries: r.only("Movies")})
	r.want(err, sdk.ReasonAmbiguous, "could not be taken back")
	found, err := r.c.FindUser(t.Context(), sdk.FindUserRequest{AccountID: linked.ID})
	if err != nil || found.User.Status != sdk.StatusPending {
		t.Errorf("%+v, %v; want the share found", found.User, err)
	}
}

// Two servers of one owner, one after the other and with one sign-in.
func TestCreateOnTwoServers(t *testing.T) {
	r := newRig(t)
	linked := r.link(r.alice)
	second := r.open(func(req *sdk.OpenRequest) { req.Server.URL, req.Server.ExternalID = r.second.URL(), r.second.ID() })
	if _, err := r.createLinked(linked, sdk.Grant{Libraries: r.only("Movies")}); err != nil {
		t.Fatal(err)
	}
	films := sdk.LibraryAccess{Mode: sdk.LibraryOnly, IDs: []string{str(r.second.Section("Films").ID)}}
	if _, err := second.CreateUser(t.Context(), sdk.CreateUserRequest{Link: &linked, Grant: sdk.Grant{Libraries: films}}); err != nil {
		t.Fatal(r.saw(err))
	}
	r.wantAccess(r.alice, "Movies")
	if titles, _ := r.fake.Access(r.second.ID(), r.alice.ID); !slices.Equal(titles, []string{"Films"}) {
		t.Errorf("on the second server: %v", titles)
	}
	// Failing on the second undoes the first, and nothing else.
	if _, err := r.c.DeleteUser(t.Context(), sdk.DeleteUserRequest{ID: linked.ID}); err != nil {
		t.Fatal(r.saw(err))
	}
	r.wantAccess(r.alice)
	if _, open := r.fake.Access(r.second.ID(), r.alice.ID); !open {
		t.Error("the other server's share is gone")
	}
}

// A plex.tv that hangs for good: the call ends in its time, and says that nobody
// knows.
func TestCreateEndsInTime(t *testing.T) {
	r := newRig(t)
	linked := r.link(r.alice)
	r.fake.AddFault(plextest.Fault{Kind: plextest.FaultHangResponse, Method: http.MethodPost, Path: "/api/v2/shared_servers"})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := r.c.CreateUser(ctx, sdk.CreateUserRequest{Link: &linked, Grant: sdk.Grant{Libraries: r.only("Movies")}})
	r.want(err, sdk.ReasonAmbiguous)
}

// Somebody widens the share while it is being made: it is taken back.
func TestCreateWidenedMeanwhile(t *testing.T) {
	r := newRig(t)
	linked := r.link(r.alice)
	accepted := false
	r.before = func(req *http.Request) {
		switch {
		case strings.HasSuffix(req.URL.Path, "/accept"):
			accepted = true
		case accepted:
			accepted = false
			sh, _ := r.fake.ShareOf(r.server.ID(), r.alice.ID)
			r.asOwner(http.MethodPut, "/api/servers/"+r.server.ID()+"/shared_servers/"+str(sh.ID),
				`{"shared_server":{"library_section_ids":[`+r.section("Movies")+`,`+r.section("Music")+`]}}`)
		}
	}
	_, err := r.createLinked(linked, sdk.Grant{Libraries: r.only("Movies")})
	r.want(err, sdk.ReasonAccessNotApplied, "the libraries differ")
	r.wantAccess(r.alice)
}

// A Home member has no share of this server by that alone: it is made like any
// other, accepted at once, and may hold live TV.
func TestCreateForHomeMember(t *testing.T) {
	r := newRig(t)
	r.fake.AddHome(r.owner.ID, r.alice.ID)
	out, err := r.create(r.alice, sdk.Grant{Libraries: r.only("Movies"), Permissions: map[string]sdk.Tri{sdk.PermissionLiveTV: sdk.Allow}})
	if err != nil {
		t.Fatal(err)
	}
	if u := out.User; u.Kind != kindHome || u.Status != sdk.StatusActive || u.Permissions[sdk.PermissionLiveTV] != sdk.Allow {
		t.Errorf("user %+v", u)
	}
	r.wantAccess(r.alice, "Movies")
}
