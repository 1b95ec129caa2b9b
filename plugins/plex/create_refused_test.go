package plex

import (
	"net/http"
	"strings"
	"testing"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
	"github.com/zondarr/zondarr/sdk"
)

// What can be known to be wrong is refused before any call.
func TestCreateRefusedBeforeAnyCall(t *testing.T) {
	r := newRig(t)
	linked := r.link(r.alice)
	movies := r.only("Movies")
	allow := func(name string) sdk.Grant {
		return sdk.Grant{Libraries: movies, Permissions: map[string]sdk.Tri{name: sdk.Allow}}
	}
	tests := map[string]struct {
		grant  sdk.Grant
		link   *sdk.LinkedAccount
		reason sdk.Reason
	}{
		"None":            {sdk.Grant{Libraries: sdk.LibraryAccess{Mode: sdk.LibraryNone}}, &linked, sdk.ReasonUnsupported},
		"OnlyEmpty":       {sdk.Grant{Libraries: sdk.LibraryAccess{Mode: sdk.LibraryOnly}}, &linked, sdk.ReasonInvalid},
		"NoMode":          {sdk.Grant{}, &linked, sdk.ReasonInvalid},
		"UnknownMode":     {sdk.Grant{Libraries: sdk.LibraryAccess{Mode: "most"}}, &linked, sdk.ReasonInvalid},
		"AllWithIDs":      {sdk.Grant{Libraries: sdk.LibraryAccess{Mode: sdk.LibraryAll, IDs: movies.IDs}}, &linked, sdk.ReasonInvalid},
		"IDWithWords":     {sdk.Grant{Libraries: sdk.LibraryAccess{Mode: sdk.LibraryOnly, IDs: []string{"1; drop"}}}, &linked, sdk.ReasonLibraryNotFound},
		"UnknownPerm":     {allow("plex.fly"), &linked, sdk.ReasonUnsupported},
		"Limit":           {sdk.Grant{Libraries: movies, Limits: map[string]int64{"max_sessions": 2}}, &linked, sdk.ReasonUnsupported},
		"Option":          {sdk.Grant{Libraries: movies, Options: map[string]any{"x": 1}}, &linked, sdk.ReasonUnsupported},
		"NoLink":          {sdk.Grant{Libraries: movies}, nil, sdk.ReasonInvalid},
		"OtherRealm":      {sdk.Grant{Libraries: movies}, &sdk.LinkedAccount{Realm: "emby", ID: linked.ID, State: linked.State}, sdk.ReasonInvalid},
		"NoID":            {sdk.Grant{Libraries: movies}, &sdk.LinkedAccount{Realm: realm, State: linked.State}, sdk.ReasonInvalid},
		"NoState":         {sdk.Grant{Libraries: movies}, &sdk.LinkedAccount{Realm: realm, ID: linked.ID}, sdk.ReasonInvalid},
		"NotApprovedLink": {sdk.Grant{Libraries: movies}, &sdk.LinkedAccount{Realm: realm, ID: linked.ID, State: []byte(`{"v":1,"client":"c","pin":"1","code":"x"}`)}, sdk.ReasonLinkExpired},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r.fake.ClearRequests()
			_, err := r.c.CreateUser(t.Context(), sdk.CreateUserRequest{Link: tt.link, Grant: tt.grant})
			r.want(err, tt.reason)
			if n := len(r.fake.Requests()); n > 0 {
				t.Errorf("%d calls were made", n)
			}
		})
	}
}

// Words that the invitee or the admin can act on, and nothing written.
func TestCreateRefused(t *testing.T) {
	grant := func(r *rig) sdk.Grant { return sdk.Grant{Libraries: r.only("Movies")} }
	download := func(r *rig) sdk.Grant {
		return sdk.Grant{Libraries: r.only("Movies"), Permissions: map[string]sdk.Tri{sdk.PermissionDownload: sdk.Allow}}
	}
	tests := []struct {
		name   string
		who    func(r *rig) plextest.Account
		set    func(r *rig)
		grant  func(r *rig) sdk.Grant
		reason sdk.Reason
		says   string
	}{
		{
			name: "Owner", reason: sdk.ReasonProtected, says: "owns the Plex server",
			who: func(r *rig) plextest.Account { return r.owner },
		},
		{
			name: "Accepted", reason: sdk.ReasonAlreadyMember, says: "shared with the account already",
			set: func(r *rig) {
				r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "alice", AllLibraries: true, Accepted: true})
			},
		},
		{
			name: "Pending", reason: sdk.ReasonAlreadyMember, says: "waits to be accepted",
			set: func(r *rig) {
				r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "alice", AllLibraries: true})
			},
		},
		{
			name: "PendingByMail", reason: sdk.ReasonAlreadyMember, says: "waits to be accepted",
			set: func(r *rig) {
				r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "late@example.com", AllLibraries: true})
				r.fake.Edit(r.alice.ID, func(a *plextest.Account) { a.Email = "Late@example.com" })
			},
		},
		{
			name: "HomeWithShare", reason: sdk.ReasonAlreadyMember, says: "shared with the account already",
			set: func(r *rig) {
				r.fake.AddHome(r.owner.ID, r.alice.ID)
				r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "alice", AllLibraries: true})
			},
		},
		{
			name: "LiveTVOutsideHome", reason: sdk.ReasonUnsupported, says: "Plex Home only",
			grant: func(r *rig) sdk.Grant {
				return sdk.Grant{Libraries: r.only("Movies"), Permissions: map[string]sdk.Tri{sdk.PermissionLiveTV: sdk.Allow}}
			},
		},
		{
			name: "EmailNotVerified", reason: sdk.ReasonAccountNotReady, says: "Verify the e-mail address at plex.tv",
			set: func(r *rig) { r.fake.Edit(r.alice.ID, func(a *plextest.Account) { a.Unconfirmed = true }) },
		},
		{
			name: "LibraryGone", reason: sdk.ReasonLibraryNotFound, says: "Nothing was changed",
			grant: func(r *rig) sdk.Grant {
				g := sdk.Grant{Libraries: r.only("Movies", "Music")}
				r.server.RemoveSection(r.server.Section("Music").ID)
				return g
			},
		},
		{
			name: "LibraryByItsKey", reason: sdk.ReasonLibraryNotFound, says: "Nothing was changed",
			grant: func(*rig) sdk.Grant {
				return sdk.Grant{Libraries: sdk.LibraryAccess{Mode: sdk.LibraryOnly, IDs: []string{"1"}}}
			},
		},
		{
			name: "LibraryOfAnotherServer", reason: sdk.ReasonLibraryNotFound, says: "Nothing was changed",
			grant: func(r *rig) sdk.Grant {
				return sdk.Grant{Libraries: sdk.LibraryAccess{Mode: sdk.LibraryOnly, IDs: []string{str(r.second.Section("Films").ID)}}}
			},
		},
		{
			name: "DownloadWithoutPass", reason: sdk.ReasonUnsupported, says: "Plex Pass", grant: download,
			set: func(r *rig) { r.fake.Set(func(s *plextest.Switches) { s.NoPlexPass = true }) },
		},
		{
			name: "DownloadAllowedElsewhere", reason: sdk.ReasonAccessNotApplied, says: "and may download there",
			set: func(r *rig) {
				r.fake.MustAddShare(plextest.ShareSpec{
					Server: r.second.ID(), Invited: "alice", AllLibraries: true, Accepted: true, Settings: plextest.Settings{AllowSync: true},
				})
			},
		},
		{
			name: "DownloadDeniedElsewhere", reason: sdk.ReasonAccessNotApplied, says: "and may not download there", grant: download,
			set: func(r *rig) {
				r.fake.MustAddShare(plextest.ShareSpec{Server: r.second.ID(), Invited: "alice", AllLibraries: true, Accepted: true})
			},
		},
		{
			name: "WrongServer", reason: sdk.ReasonWrongServer, says: "nothing was changed",
			set: func(r *rig) { r.server.SetIdentity(strings.Repeat("a", 40)) },
		},
		{
			name: "TokenRotated", reason: sdk.ReasonCredentialsRejected, says: "enter a new one",
			set: func(r *rig) { r.fake.Rotate(r.owner.ID, "owner-device") },
		},
		{
			name: "CloudDown", reason: sdk.ReasonUnavailable, says: "plex.tv is not available",
			set: func(r *rig) { r.fake.AddFault(plextest.Fault{Kind: plextest.FaultDown, Target: "cloud"}) },
		},
		{
			name: "RateLimited", reason: sdk.ReasonRateLimited, says: "fewer calls",
			set: func(r *rig) {
				r.fake.AddFault(plextest.Fault{Kind: plextest.FaultRateLimit, Path: "/api/v2/user"})
			},
		},
		{
			name: "ListsGone", reason: sdk.ReasonEndpointGone, says: "removed the endpoint GET /api/v2/shared_servers/owned/pending",
			set: func(r *rig) {
				r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: "/api/v2/shared_servers/owned/*"})
				r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: "/api/servers/*/shared_servers"})
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			who := r.alice
			if tt.who != nil {
				who = tt.who(r)
			}
			linked := r.link(who)
			if tt.set != nil {
				tt.set(r)
			}
			g := grant
			if tt.grant != nil {
				g = tt.grant
			}
			ask := g(r)
			before := r.fake.LiveShares()
			r.fake.ClearRequests()
			_, err := r.createLinked(linked, ask)
			r.want(err, tt.reason, tt.says)
			wantUndone(t, err)
			r.wantNoWrites()
			if after := r.fake.LiveShares(); len(after) != len(before) {
				t.Errorf("shares changed: %+v", after)
			}
		})
	}
}

// The sign-in must be alive and the account's own.
func TestCreateWithAnotherSignIn(t *testing.T) {
	r := newRig(t)
	linked := r.link(r.alice)
	bobs := r.link(r.bob)
	mixed := linked
	mixed.State = bobs.State
	_, err := r.createLinked(mixed, sdk.Grant{Libraries: r.only("Movies")})
	r.want(err, sdk.ReasonLinkExpired, "another account")
	r.fake.SignOutEverywhere(r.alice.ID)
	_, err = r.createLinked(linked, sdk.Grant{Libraries: r.only("Movies")})
	r.want(err, sdk.ReasonLinkExpired, "sign in again")
	r.wantNoWrites()
}

// plex.tv refuses what it will not do twice, or for its owner, with a number and no
// words: the lists and the owner's account tell what it was. The older call, and a
// plex.tv that finds words, say it themselves.
func TestRefusalsWithoutWords(t *testing.T) {
	variants := map[string]func(*plextest.Switches){
		"Silent": func(*plextest.Switches) {},
		"Words":  func(s *plextest.Switches) { s.V2RefusalWords = true },
		"V1":     func(s *plextest.Switches) { s.V2CreateGone = true },
	}
	for name, change := range variants {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, change)
			linked := r.link(r.alice)
			r.on(http.MethodPost, "/shared_servers", func() {
				r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "alice", AllLibraries: true})
			})
			_, err := r.createLinked(linked, sdk.Grant{Libraries: r.only("Movies")})
			r.want(err, sdk.ReasonAlreadyMember, "nothing was changed")
			wantUndone(t, err)

			// An address that turns out to be the owner's own.
			user := sdk.User{ID: r.owner.Email, Libraries: &sdk.LibraryAccess{Mode: sdk.LibraryAll}}
			_, err = r.resume(user)
			r.want(err, sdk.ReasonProtected, "owns the Plex server")

			// An address whose owner registers, and is shared with, in the same moment.
			r.on(http.MethodPost, "/shared_servers", func() {
				r.fake.MustAddAccount(plextest.Account{Username: "newcomer", Email: "new@example.com"})
				r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "newcomer", AllLibraries: true})
			})
			user.ID = "new@example.com"
			_, err = r.resume(user)
			r.want(err, sdk.ReasonInvalid, "account id")
			if n := len(r.fake.LiveShares()); n != 2 {
				t.Errorf("%d shares, want the two that were made by hand", n)
			}
		})
	}
}
