package plex

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
	"github.com/zondarr/zondarr/sdk"
)

// R4.6, R3.7: what is declared follows from what is implemented.
func TestDescribe(t *testing.T) {
	d := New().Describe()
	want := []sdk.Capability{
		sdk.CapLibraryAccess, sdk.CapLinkAccount, sdk.CapPermissions, sdk.CapProvision, sdk.CapReadUsers, sdk.CapSessions, sdk.CapSuspend,
	}
	if got := d.Capabilities(); !slices.Equal(got, want) {
		t.Errorf("capabilities %v, want %v", got, want)
	}
	if d.JoinFlow != sdk.JoinLinkedAccount || d.Realm != "plex" {
		t.Errorf("join flow %q in realm %q", d.JoinFlow, d.Realm)
	}
	if slices.Contains(d.Traits.LibraryModes, sdk.LibraryNone) {
		t.Error("none is declared, which Plex cannot express")
	}
	token, _ := d.SettingsSchema.Property("token")
	if !token.Secret || !token.Required {
		t.Errorf("token is %+v, want a required secret", token)
	}
	for name, value := range map[string]string{
		"cloud_url": "https://plex.tv", "clients_url": "https://clients.plex.tv", "app_url": "https://app.plex.tv",
	} {
		p, ok := d.SettingsSchema.Property(name)
		if !ok || !p.Endpoint || p.Secret || p.Required || p.Default != value {
			t.Errorf("%s is %+v, want an optional endpoint %s", name, p, value)
		}
	}
}

func TestOpen(t *testing.T) {
	open := func(settings map[string]any, token string) error {
		c, err := New().Open(t.Context(), sdk.OpenRequest{Server: sdk.ServerRef{
			URL: "http://127.0.0.1:1", Settings: settings, Secrets: map[string]string{"token": token},
		}})
		if err == nil {
			err = c.Close()
		}
		return err
	}
	if err := open(nil, "abc"); err != nil {
		t.Errorf("a token alone: %v", err)
	}
	for name, err := range map[string]error{
		"no token":         open(nil, " "),
		"token with blank": open(nil, "a b"),
		"token with break": open(nil, "a\r\nX-Evil: 1"),
		"cloud_url":        open(map[string]any{"cloud_url": "ftp://plex.tv"}, "abc"),
		"user info":        open(map[string]any{"clients_url": "https://a:b@plex.tv"}, "abc"),
	} {
		e, ok := errors.AsType[*sdk.Error](err)
		if !ok || e.Kind() != sdk.ReasonInvalid || len(e.Fields) == 0 {
			t.Errorf("%s: %v, want invalid with a field", name, err)
		}
	}
}

// An admin who accepts any certificate of the media server has not accepted any
// certificate of plex.tv.
func TestSkipVerifyIsForTheServerAlone(t *testing.T) {
	cloud := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the token went to a cloud whose certificate nobody trusts")
	}))
	cloud.Config.ErrorLog = quiet()
	cloud.StartTLS()
	defer cloud.Close()
	pms := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"MediaContainer":{"claimed":true,"machineIdentifier":"m","version":"1"}}`))
	}))
	defer pms.Close()
	server := cloud.Client() // trusts the certificate, as SkipVerify does
	defer server.CloseIdleConnections()
	c, err := New().Open(t.Context(), sdk.OpenRequest{HTTP: server, Server: sdk.ServerRef{
		URL: pms.URL, Secrets: map[string]string{"token": "abc"}, TLS: sdk.TLSOptions{SkipVerify: true},
		Settings: map[string]any{"cloud_url": cloud.URL, "clients_url": cloud.URL},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	c.(*client).wire.sleep = noWait
	_, err = c.TestConnection(t.Context(), sdk.TestConnectionRequest{})
	if sdk.ReasonOf(err) != sdk.ReasonUnavailable || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("error is %v, want one about the certificate", err)
	}
}

// R3.1, R6.3
func TestConnectionOK(t *testing.T) {
	r := newRig(t)
	out, err := r.c.TestConnection(t.Context(), sdk.TestConnectionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	f := out.Facts
	if f.Product != "Plex Media Server" || f.ExternalID != r.server.ID() || f.Name != "Home" || f.Version != r.server.Spec().Version {
		t.Errorf("facts %+v", f)
	}
	if !slices.Equal(f.Capabilities, New().Describe().Capabilities()) || f.JoinFlow != sdk.JoinLinkedAccount {
		t.Errorf("facts %+v", f)
	}
	if !slices.Equal(f.Permissions, []string{sdk.PermissionDownload}) {
		t.Errorf("permissions %v", f.Permissions)
	}
	want := []sdk.Missing{{Name: sdk.PermissionLiveTV, Reason: "Plex offers Live TV to Home members only, and the owner of this server leads no Plex Home with others in it."}}
	if !slices.Equal(f.Missing, want) {
		t.Errorf("missing %v", f.Missing)
	}
	for _, req := range r.fake.Requests() {
		if req.Target != "cloud" && req.Path == "/identity" && req.Account != 0 {
			t.Error("a token went with the question who is there")
		}
	}
	r.wantNoWrites()
}

// The order of the checks: who is there, whose token, who owns, does it answer.
func TestConnectionOrder(t *testing.T) {
	r := newRig(t)
	if _, err := r.c.TestConnection(t.Context(), sdk.TestConnectionRequest{}); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, req := range r.fake.Requests() {
		paths = append(paths, req.Path)
	}
	if want := []string{"/identity", "/api/v2/user", "/api/v2/resources", "/"}; !slices.Equal(paths, want) {
		t.Errorf("calls %v, want %v", paths, want)
	}
}

func TestConnectionFacts(t *testing.T) {
	test := func(c *client) sdk.ServerFacts {
		t.Helper()
		out, err := c.TestConnection(t.Context(), sdk.TestConnectionRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return out.Facts
	}
	t.Run("NoPlexPass", func(t *testing.T) {
		r := newRig(t, func(s *plextest.Switches) { s.NoPlexPass = true })
		f := test(r.c)
		if len(f.Permissions) != 0 || f.Missing[0].Name != sdk.PermissionDownload || !strings.Contains(f.Missing[0].Reason, "Plex Pass") {
			t.Errorf("facts %+v", f)
		}
	})
	t.Run("Home", func(t *testing.T) {
		// Who signs in may be a Home member, so live TV can be asked for.
		r := newRig(t)
		r.fake.AddHome(r.owner.ID, r.bob.ID)
		f := test(r.c)
		if !slices.Equal(f.Permissions, []string{sdk.PermissionDownload, sdk.PermissionLiveTV}) || len(f.Missing) != 0 {
			t.Errorf("facts %+v", f)
		}
	})
	t.Run("HomeOfSomebodyElse", func(t *testing.T) {
		r := newRig(t)
		r.fake.AddHome(r.bob.ID, r.owner.ID)
		f := test(r.c)
		if slices.Contains(f.Permissions, sdk.PermissionLiveTV) || len(f.Missing) != 1 || f.Missing[0].Name != sdk.PermissionLiveTV {
			t.Errorf("facts %+v", f)
		}
	})
}

// Each trouble has its own reason and words (P10).
func TestConnectionFailures(t *testing.T) {
	tests := []struct {
		name   string
		set    func(r *rig)
		open   func(r *rig, req *sdk.OpenRequest)
		reason sdk.Reason
		says   string
		field  string
	}{
		{
			name: "ServerDown", reason: sdk.ReasonUnavailable, says: "the Plex server could not be reached",
			open: func(_ *rig, req *sdk.OpenRequest) { req.Server.URL = "http://127.0.0.1:1" },
		},
		{
			name: "ServerStarting", reason: sdk.ReasonStarting, says: "starting",
			set: func(r *rig) { r.fake.AddFault(plextest.Fault{Kind: plextest.FaultMaintenance, Target: r.server.ID()}) },
		},
		{
			name: "NotPlex", reason: sdk.ReasonWrongProduct, says: "not a Plex Media Server", field: "url",
			open: func(r *rig, req *sdk.OpenRequest) { req.Server.URL = r.fake.CloudURL() },
		},
		{
			name: "NotPlexButOK", reason: sdk.ReasonWrongProduct, says: "not a Plex Media Server", field: "url",
			set: func(r *rig) {
				r.fake.AddFault(plextest.Fault{Kind: plextest.FaultStatus, Target: r.server.ID(), Status: 200, Body: "<html>hello</html>"})
			},
		},
		{
			name: "WrongServer", reason: sdk.ReasonWrongServer, says: "not the one that was confirmed", field: "url",
			set: func(r *rig) { r.server.SetIdentity(strings.Repeat("f", 40)) },
		},
		{
			name: "Unclaimed", reason: sdk.ReasonInvalid, says: "belongs to no account", field: "url",
			set: func(r *rig) { r.server.Change(func(s *plextest.ServerSpec) { s.Unclaimed = true }) },
		},
		{
			name: "BadToken", reason: sdk.ReasonCredentialsRejected, says: "plex.tv does not accept the token", field: "secrets.token",
			open: func(_ *rig, req *sdk.OpenRequest) { req.Server.Secrets["token"] = "notAToken" },
		},
		{
			name: "TokenRotated", reason: sdk.ReasonCredentialsRejected, says: "replaced", field: "secrets.token",
			set: func(r *rig) { r.fake.Rotate(r.owner.ID, "owner-device") },
		},
		{
			// The media server goes on taking a token that plex.tv has ended.
			name: "TokenRotatedUnnoticed", reason: sdk.ReasonCredentialsRejected, says: "replaced", field: "secrets.token",
			set: func(r *rig) {
				r.fake.Set(func(s *plextest.Switches) { s.StaleTokenOnPMS = true })
				r.fake.Rotate(r.owner.ID, "owner-device")
			},
		},
		{
			name: "TokenExpired", reason: sdk.ReasonCredentialsRejected, says: "expired", field: "secrets.token",
			set: func(r *rig) { r.fake.Set(func(s *plextest.Switches) { s.JWTExpired = true }) },
			open: func(r *rig, req *sdk.OpenRequest) {
				req.Server.Secrets["token"] = r.fake.JWT(r.owner.ID, "owner-device")
			},
		},
		{
			name: "Stranger", reason: sdk.ReasonNotAdmin, says: "does not list this server", field: "secrets.token",
			open: func(r *rig, req *sdk.OpenRequest) { req.Server.Secrets["token"] = r.fake.Token(r.bob.ID, "x") },
		},
		{
			name: "Friend", reason: sdk.ReasonNotAdmin, says: "shared with", field: "secrets.token",
			open: func(r *rig, req *sdk.OpenRequest) {
				r.fake.Set(func(s *plextest.Switches) { s.FriendTokenOnPMS = true })
				r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "bob", AllLibraries: true, Accepted: true})
				req.Server.Secrets["token"] = r.fake.Token(r.bob.ID, "x")
			},
		},
		{
			name: "CloudDown", reason: sdk.ReasonUnavailable, says: "the token could not be checked",
			set: func(r *rig) { r.fake.AddFault(plextest.Fault{Kind: plextest.FaultDown, Target: "cloud"}) },
		},
		{
			name: "CloudEdgeError", reason: sdk.ReasonUnavailable, says: "the token could not be checked",
			set: func(r *rig) { r.fake.AddFault(plextest.Fault{Kind: plextest.FaultHTML, Target: "cloud"}) },
		},
		{
			name: "CloudHangs", reason: sdk.ReasonTimeout, says: "the token could not be checked",
			set: func(r *rig) { r.fake.AddFault(plextest.Fault{Kind: plextest.FaultHang, Target: "cloud"}) },
		},
		{
			name: "CloudRateLimits", reason: sdk.ReasonRateLimited, says: "the token could not be checked",
			set: func(r *rig) {
				r.fake.AddFault(plextest.Fault{Kind: plextest.FaultRateLimit, Target: "cloud", RetryAfter: "120"})
			},
		},
		{
			name: "CloudNonsense", reason: sdk.ReasonServerError, says: "something that is not its API",
			set: func(r *rig) {
				r.fake.AddFault(plextest.Fault{Kind: plextest.FaultStatus, Target: "cloud", Status: 200, Body: "<html>portal</html>"})
			},
		},
		{
			name: "UserEndpointGone", reason: sdk.ReasonEndpointGone, says: "removed the endpoint GET /api/v2/user",
			set: func(r *rig) { r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: "/api/v2/user"}) },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			if tt.set != nil {
				tt.set(r)
			}
			c := r.c
			if tt.open != nil {
				c = r.open(func(req *sdk.OpenRequest) { tt.open(r, req) })
			}
			c.wire.timeout = 300 * time.Millisecond
			r.fake.ClearRequests()
			_, err := c.TestConnection(t.Context(), sdk.TestConnectionRequest{})
			r.want(err, tt.reason, tt.says)
			e, _ := errors.AsType[*sdk.Error](err)
			if tt.field != "" && (len(e.Fields) != 1 || e.Fields[0].Field != tt.field) {
				t.Errorf("fields %+v, want %s", e.Fields, tt.field)
			}
			if tt.field == "" && len(e.Fields) > 0 {
				t.Errorf("fields %+v blame an input that is not to blame", e.Fields)
			}
			if e.Retryable != tt.reason.Transient() {
				t.Errorf("retryable is %t", e.Retryable)
			}
			for _, req := range r.fake.Requests() {
				if req.Target == r.server.ID() && req.Account != 0 {
					t.Error("a credential reached the server")
				}
			}
			r.wantNoWrites()
		})
	}
}

// The server's own refusal is told apart from plex.tv's.
func TestConnectionServerRefusesToken(t *testing.T) {
	r := newRig(t)
	r.fake.AddFault(plextest.Fault{Kind: plextest.FaultStatus, Target: r.server.ID(), Path: "/", Status: 401, Body: "<html/>"})
	_, err := r.c.TestConnection(t.Context(), sdk.TestConnectionRequest{})
	r.want(err, sdk.ReasonCredentialsRejected, "the Plex server does not accept the token that plex.tv gives for it")
}

// A JWT of the owner works although media servers may refuse it: the server gets
// the token that plex.tv made for it. Both readings of the open question.
func TestJWTOwner(t *testing.T) {
	for _, onPMS := range []bool{false, true} {
		r := newRig(t, func(s *plextest.Switches) { s.JWTOnPMS = onPMS })
		c := r.open(func(req *sdk.OpenRequest) { req.Server.Secrets["token"] = r.fake.JWT(r.owner.ID, "owner-device") })
		if _, err := c.TestConnection(t.Context(), sdk.TestConnectionRequest{}); err != nil {
			t.Error(r.saw(err))
		}
		if _, err := c.ListLibraries(t.Context(), sdk.ListLibrariesRequest{}); err != nil {
			t.Error(r.saw(err))
		}
	}
}

// The owner's account token goes to plex.tv alone.
func TestAccountTokenStaysInTheCloud(t *testing.T) {
	r := newRig(t)
	var got []string
	pms := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		got = append(got, req.Header.Get("X-Plex-Token"))
		req.Host = ""
		r.server.Handler().ServeHTTP(w, req)
	}))
	defer pms.Close()
	c := r.open(func(req *sdk.OpenRequest) { req.Server.URL = pms.URL })
	if _, err := c.TestConnection(t.Context(), sdk.TestConnectionRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ListLibraries(t.Context(), sdk.ListLibrariesRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ListSessions(t.Context(), sdk.ListSessionsRequest{}); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(got, r.token) || !slices.Contains(got, r.server.OwnerToken()) {
		t.Error("the media server saw the token of the account")
	}
}

// R6.2
func TestListLibraries(t *testing.T) {
	r := newRig(t)
	out, err := r.c.ListLibraries(t.Context(), sdk.ListLibrariesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	want := []sdk.Library{
		{ID: r.section("Movies"), Name: "Movies", Type: sdk.LibraryMovies},
		{ID: r.section("Shows"), Name: "Shows", Type: sdk.LibraryShows},
		{ID: r.section("Music"), Name: "Music", Type: sdk.LibraryMusic},
	}
	if !slices.Equal(out.Libraries, want) {
		t.Errorf("libraries %v, want %v", out.Libraries, want)
	}
	for _, l := range out.Libraries {
		if len(l.ID) != 9 {
			t.Errorf("id %q is not one of plex.tv's", l.ID)
		}
	}
}

// A list of plex.tv that lacks a library of the server is not believed.
func TestListLibrariesShort(t *testing.T) {
	list := func(r *rig) ([]sdk.Library, error) {
		out, err := r.c.ListLibraries(r.t.Context(), sdk.ListLibrariesRequest{})
		return out.Libraries, err
	}
	t.Run("OlderListIsWhole", func(t *testing.T) {
		r := newRig(t, func(s *plextest.Switches) { s.PartialSections = true })
		if libs, err := list(r); err != nil || len(libs) != 3 {
			t.Errorf("%v, %v; want three", libs, err)
		}
	})
	t.Run("EmptyNewerList", func(t *testing.T) {
		r := newRig(t, func(s *plextest.Switches) { s.PartialSections, s.PartialCount = true, 0 })
		if libs, err := list(r); err != nil || len(libs) != 3 {
			t.Errorf("%v, %v; want three", libs, err)
		}
	})
	t.Run("OlderListIsGone", func(t *testing.T) {
		r := newRig(t, func(s *plextest.Switches) { s.PartialSections = true })
		r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: "/api/servers/*"})
		libs, err := list(r)
		r.want(err, sdk.ReasonServerError, "does not list 2 of the server's 3 libraries")
		if libs != nil {
			t.Errorf("a short list was given: %v", libs)
		}
	})
	t.Run("NewerListIsGone", func(t *testing.T) {
		r := newRig(t)
		r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: "/api/v2/servers/*"})
		if libs, err := list(r); err != nil || len(libs) != 3 {
			t.Errorf("%v, %v; want three", libs, err)
		}
	})
	t.Run("BothGone", func(t *testing.T) {
		r := newRig(t)
		r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: "/api/v2/servers/*"})
		r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: "/api/servers/*"})
		_, err := list(r)
		r.want(err, sdk.ReasonEndpointGone, "removed the endpoint GET /api/servers/{}")
	})
	t.Run("NewLibrary", func(t *testing.T) {
		r := newRig(t)
		r.server.AddSection(plextest.Section{Title: "New", Hidden: time.Minute})
		_, err := list(r)
		r.want(err, sdk.ReasonServerError, "a new library takes a while")
		r.fake.Advance(time.Hour)
		if libs, err := list(r); err != nil || len(libs) != 4 {
			t.Errorf("%v, %v; want four", libs, err)
		}
	})
	t.Run("ServerUnreachable", func(t *testing.T) {
		r := newRig(t)
		r.fake.AddFault(plextest.Fault{Kind: plextest.FaultDown, Target: r.server.ID(), Path: "/library/**"})
		_, err := list(r)
		r.want(err, sdk.ReasonStarting)
	})
	t.Run("WrongServer", func(t *testing.T) {
		r := newRig(t)
		r.server.SetIdentity(strings.Repeat("e", 40))
		_, err := list(r)
		r.want(err, sdk.ReasonWrongServer)
	})
}

func TestListSessions(t *testing.T) {
	r := newRig(t)
	r.server.AddSession(plextest.Session{ID: "abc", Account: r.owner.ID, Title: "Alien", Player: "TV"})
	r.server.AddSession(plextest.Session{ID: "def", Account: r.bob.ID, Title: "Brazil", Player: "Phone", Remote: true})
	out, err := r.c.ListSessions(t.Context(), sdk.ListSessionsRequest{})
	if err != nil {
		t.Fatal(r.saw(err))
	}
	if len(out.Sessions) != 2 {
		t.Fatalf("sessions %+v", out.Sessions)
	}
	own, other := out.Sessions[0], out.Sessions[1]
	if own.ID != "abc" || own.UserID != str(r.owner.ID) || own.NowPlaying != "Alien" || own.Device != "TV" {
		t.Errorf("the owner's session is %+v", own)
	}
	if other.UserID != str(r.bob.ID) || other.Username != "bob" {
		t.Errorf("bob's session is %+v", other)
	}
}

func TestSchemaTakesItsDefaults(t *testing.T) {
	s := New().Describe().SettingsSchema
	values := map[string]any{"token": "abc"}
	for _, p := range s.Properties {
		if p.Default != nil {
			values[p.Name] = p.Default
		}
	}
	if problems := s.Check(values); len(problems) > 0 {
		t.Errorf("the defaults are refused: %v", problems)
	}
	if _, err := json.Marshal(s); err != nil {
		t.Error(err)
	}
}

func TestLibraryType(t *testing.T) {
	for in, want := range map[[2]string]sdk.LibraryType{
		{"movie", "tv.plex.agents.movie"}:    sdk.LibraryMovies,
		{"movie", "com.plexapp.agents.none"}: sdk.LibraryHomeVideos,
		{"movie", "tv.plex.agents.none"}:     sdk.LibraryHomeVideos,
		{"show", ""}:                         sdk.LibraryShows,
		{"artist", ""}:                       sdk.LibraryMusic,
		{"photo", ""}:                        sdk.LibraryPhotos,
		{"hologram", ""}:                     sdk.LibraryOther,
	} {
		if got := libraryType(in[0], in[1]); got != want {
			t.Errorf("%v is %s, want %s", in, got, want)
		}
	}
}

// Waiting ends with the call.
func TestSleep(t *testing.T) {
	if err := sleep(t.Context(), time.Millisecond); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sleep(ctx, time.Hour); err == nil {
		t.Error("slept on")
	}
	w := &wire{sleep: sleep}
	short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if w.pause(short, time.Minute) || !w.pause(short, 0) {
		t.Error("a pause that is longer than the call")
	}
}
