package jellyfin

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zondarr/zondarr/plugins/jellyfin/jellyfintest"
	"github.com/zondarr/zondarr/sdk"
)

func testConnection(t *testing.T, c *client) (sdk.ServerFacts, error) {
	t.Helper()
	resp, err := c.TestConnection(t.Context(), sdk.TestConnectionRequest{})
	return resp.Facts, err
}

func TestFactsSayWhatTheVersionLacks(t *testing.T) {
	for v, want := range map[string][]string{
		"10.8.13":  {"set_password", "jellyfin.collections", "jellyfin.subtitles"},
		"10.10.7":  nil,
		"10.11.6":  nil,
		"10.11.11": nil,
		"12.0.0":   nil,
	} {
		t.Run(v, func(t *testing.T) {
			f := must(testConnection(t, start(t, jellyfintest.Config{Version: v}).open()))(t)
			var got []string
			for _, m := range f.Missing {
				got = append(got, m.Name)
				if !strings.Contains(m.Reason, "needs Jellyfin 10.9 or newer") {
					t.Errorf("%s is missing because %q", m.Name, m.Reason)
				}
				if slices.Contains(f.Permissions, m.Name) || slices.Contains(f.Capabilities, sdk.Capability(m.Name)) {
					t.Errorf("%s is both there and missing", m.Name)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("missing %q, want %q", got, want)
			}
			if len(f.Warnings) != 0 {
				t.Errorf("warnings: %q", f.Warnings)
			}
		})
	}
}

func TestFactsWarnOfAVersionNotSeenYet(t *testing.T) {
	f := must(testConnection(t, start(t, jellyfintest.Config{Version: "13.1.0"}).open()))(t)
	if len(f.Warnings) != 1 || !strings.Contains(f.Warnings[0], "newer") {
		t.Errorf("warnings: %q", f.Warnings)
	}
}

// R3.9: what is wrong with a connection is told apart.
func TestConnectionFailures(t *testing.T) {
	type failure struct {
		cfg    jellyfintest.Config
		change func(u *upstream)
		want   sdk.Reason
		words  string
		field  string
	}
	for name, f := range map[string]failure{
		"ErrKeyUnknown": {
			change: func(u *upstream) { u.ref.Secrets = map[string]string{apiKey: "ffffffffffffffffffffffffffffffff"} },
			want:   sdk.ReasonCredentialsRejected, words: "does not accept the API key", field: "secrets.api_key",
		},
		"ErrKeyDeleted": {
			change: func(u *upstream) { u.DeleteAPIKey(u.ref.Secrets[apiKey]) },
			want:   sdk.ReasonCredentialsRejected, words: "does not accept the API key", field: "secrets.api_key",
		},
		"ErrUserTokenOfNoAdmin": {
			change: func(u *upstream) { u.useToken(u.AddUser("eve", "pw")) },
			want:   sdk.ReasonNotAdmin, words: "not an administrator's", field: "secrets.api_key",
		},
		"ErrUserTokenOfAdmin": {
			change: func(u *upstream) { u.useToken("admin") },
			want:   sdk.ReasonCredentialsRejected, words: "token of somebody's sign-in", field: "secrets.api_key",
		},
		"ErrTooOld":          {cfg: jellyfintest.Config{Version: "10.7.7"}, want: sdk.ReasonVersionUnsupported, words: "10.8 or newer"},
		"ErrBasePathMissing": {cfg: jellyfintest.Config{BasePath: "/jf"}, change: func(u *upstream) { u.ref.URL = strings.TrimSuffix(u.ref.URL, "/jf") }, want: sdk.ReasonWrongProduct, words: "base URL is /jf", field: "url"},
		"ErrBasePathWrong":   {change: func(u *upstream) { u.ref.URL += "/jf" }, want: sdk.ReasonWrongProduct, words: "no Jellyfin at this URL", field: "url"},
		"ErrStartingOld": {
			cfg:    jellyfintest.Config{Version: "10.10.7"},
			change: func(u *upstream) { u.AddFault(jellyfintest.Fault{Action: jellyfintest.Starting}) },
			want:   sdk.ReasonStarting, words: "is starting",
		},
		"ErrStartingNew": {
			change: func(u *upstream) { u.AddFault(jellyfintest.Fault{Action: jellyfintest.Starting}) },
			want:   sdk.ReasonStarting, words: "is starting",
		},
		"ErrStartingNewWithKnownID": {
			change: func(u *upstream) {
				u.ref.ExternalID = u.ID()
				u.AddFault(jellyfintest.Fault{Action: jellyfintest.Starting})
			},
			want: sdk.ReasonStarting, words: "is starting",
		},
		"ErrBlockedOld": {
			cfg:    jellyfintest.Config{Version: "10.8.13"},
			change: func(u *upstream) { u.AddFault(jellyfintest.Fault{Action: jellyfintest.Blocked}) },
			want:   sdk.ReasonServerError, words: "address filter",
		},
		"ErrBlockedNew": {
			change: func(u *upstream) { u.AddFault(jellyfintest.Fault{Action: jellyfintest.Blocked}) },
			want:   sdk.ReasonUnavailable, words: "address filter",
		},
		"ErrHTML": {
			change: func(u *upstream) { u.AddFault(jellyfintest.Fault{Action: jellyfintest.HTML}) },
			want:   sdk.ReasonWrongProduct, words: "a web page answers", field: "url",
		},
		"ErrHTMLForTheKey": {
			change: func(u *upstream) {
				u.AddFault(jellyfintest.Fault{Path: "/Auth/Providers", Action: jellyfintest.HTML})
			},
			want: sdk.ReasonServerError, words: "proxy",
		},
		"ErrProxySignIn": {
			change: func(u *upstream) { u.AddFault(jellyfintest.Fault{Action: jellyfintest.HTML, Status: 401}) },
			want:   sdk.ReasonCredentialsRejected, words: "in front of Jellyfin",
		},
		"ErrProxyForbids": {
			change: func(u *upstream) {
				u.AddFault(jellyfintest.Fault{Path: "/Auth/Providers", Action: jellyfintest.HTML, Status: 403})
			},
			want: sdk.ReasonNotAdmin, words: "in front of Jellyfin",
		},
		"ErrProxyCannotReachIt": {
			change: func(u *upstream) { u.AddFault(jellyfintest.Fault{Action: jellyfintest.HTML, Status: 502}) },
			want:   sdk.ReasonUnavailable, words: "proxy",
		},
		"ErrRateLimited": {
			change: func(u *upstream) { u.AddFault(jellyfintest.Fault{Action: jellyfintest.RateLimited, RetryAfter: 3600}) },
			want:   sdk.ReasonRateLimited, words: "429",
		},
		"ErrCut": {
			change: func(u *upstream) { u.AddFault(jellyfintest.Fault{Action: jellyfintest.Cut}) },
			want:   sdk.ReasonUnavailable, words: "broke",
		},
		"ErrCutInTheBody": {
			change: func(u *upstream) { u.AddFault(jellyfintest.Fault{Action: jellyfintest.CutBody, Bytes: 10}) },
			want:   sdk.ReasonServerError, words: "broke off",
		},
		"ErrLocked": {
			change: func(u *upstream) { u.AddFault(jellyfintest.Fault{Action: jellyfintest.Locked}) },
			want:   sdk.ReasonServerError, words: "locked",
		},
		"ErrNobodyThere": {change: func(u *upstream) { u.Close() }, want: sdk.ReasonUnavailable, words: "nothing listens"},
		"ErrNoSuchHost":  {change: func(u *upstream) { u.ref.URL = "http://nowhere.invalid" }, want: sdk.ReasonUnavailable, words: "name"},
		"ErrNoTLS":       {change: func(u *upstream) { u.ref.URL = strings.Replace(u.ref.URL, "http:", "https:", 1) }, want: sdk.ReasonUnavailable, words: "https"},
	} {
		t.Run(name, func(t *testing.T) {
			u := start(t, f.cfg)
			if f.change != nil {
				f.change(u)
			}
			_, err := testConnection(t, u.open())
			wantReason(t, err, f.want)
			e := problem(err)
			if !strings.Contains(e.Message, f.words) {
				t.Errorf("words are %q, want %q in them", e.Message, f.words)
			}
			if e.Origin() != sdk.SourceUpstream {
				t.Errorf("source is %q", e.Origin())
			}
			if (f.field == "") != (len(e.Fields) == 0) || f.field != "" && e.Fields[0].Field != f.field {
				t.Errorf("fields are %+v, want %q", e.Fields, f.field)
			}
			if e.Retryable != f.want.Transient() {
				t.Errorf("retryable is %t", e.Retryable)
			}
			if f.want == sdk.ReasonRateLimited && e.RetryAfter.Hours() != 1 {
				t.Errorf("retry after %v", e.RetryAfter)
			}
		})
	}
}

// Another product answers in its own way.
func TestConnectionToAnotherProduct(t *testing.T) {
	for body, words := range map[string]string{
		`{"ServerName":"x","Version":"4.8.11.0","Id":"` + strings.Repeat("a", 32) + `"}`: "Emby",
		`{"hello":"world"}`: "not Jellyfin",
		`{"ProductName":"Jellyfin Server","Version":"ten","Id":"x"}`:   "version",
		`{"ProductName":"Jellyfin Server","Version":"10.11.6","Id":7}`: "not what its API promises",
		`[]`: "not what its API promises",
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" {
				t.Error("the key was sent")
			}
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			_, _ = w.Write([]byte(body))
		}))
		c := openAt(t, sdk.ServerRef{URL: srv.URL, Secrets: map[string]string{apiKey: "k"}})
		_, err := testConnection(t, c)
		wantReason(t, err, sdk.ReasonWrongProduct, sdk.ReasonVersionUnsupported, sdk.ReasonServerError)
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%s: words are %q, want %q", body, err, words)
		}
		srv.Close()
	}
}

func TestUnfinishedWizardIsAWarning(t *testing.T) {
	u := start(t, jellyfintest.Config{FirstRun: true})
	f := must(testConnection(t, u.open()))(t)
	if len(f.Warnings) != 1 || !strings.Contains(f.Warnings[0], "wizard") {
		t.Errorf("warnings are %q", f.Warnings)
	}
}

// The server's id is compared before the key is sent, by every verb.
func TestWrongServerGetsNoKey(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	u.ref.ExternalID = strings.Repeat("ab", 16)
	c := u.open()
	id := u.AddUser("bob", password)
	for name, call := range everyVerb(t, c, id) {
		if err := call(); sdk.ReasonOf(err) != sdk.ReasonWrongServer {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, r := range u.Requests() {
		if r.Path != "/System/Info/Public" || slices.Contains(r.Headers, "Authorization") {
			t.Errorf("the wrong server got %s %s with %q", r.Method, r.Path, r.Headers)
		}
	}
}

// The id is compared normalised, and again when the server may have changed.
func TestServerIDIsComparedNormalised(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	id := u.ID()
	u.ref.ExternalID = strings.ToUpper(id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:])
	c := u.open()
	if f := must(testConnection(t, c))(t); f.ExternalID != id {
		t.Errorf("id is %q, want %q", f.ExternalID, id)
	}
	u.SetID(strings.Repeat("cd", 16))
	if _, err := c.ListLibraries(t.Context(), sdk.ListLibrariesRequest{}); err != nil {
		t.Errorf("asked again at once: %v", err)
	}
	now := c.now().Add(identityTTL)
	c.now = func() time.Time { return now }
	_, err := c.ListLibraries(t.Context(), sdk.ListLibrariesRequest{})
	wantReason(t, err, sdk.ReasonWrongServer)
}

// A refused key may mean that another server has taken the address: the next call
// asks first.
func TestServerIsAskedAgainAfterARefusal(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	u.ref.ExternalID = u.ID()
	c := u.open()
	must(c.ListLibraries(t.Context(), sdk.ListLibrariesRequest{}))(t)
	u.SetID(strings.Repeat("cd", 16))
	u.DeleteAPIKey(u.ref.Secrets[apiKey])
	_, err := c.ListLibraries(t.Context(), sdk.ListLibrariesRequest{})
	wantReason(t, err, sdk.ReasonCredentialsRejected)
	_, err = c.ListLibraries(t.Context(), sdk.ListLibrariesRequest{})
	wantReason(t, err, sdk.ReasonWrongServer)
}

// The page of a starting server is told from a proxy's.
func TestStartingPages(t *testing.T) {
	for _, row := range []struct {
		contentType, retryAfter, body string
		want                          sdk.Reason
	}{
		{"text/html", "005", "<html>Wait</html>", sdk.ReasonStarting},
		{"text/html; charset=utf-8", "", "<html>Jellyfin is starting</html>", sdk.ReasonStarting},
		{"text/html", "", "<html>The server is loading</html>", sdk.ReasonStarting},
		{"text/html", "5", "<html>Maintenance</html>", sdk.ReasonUnavailable},
		{"text/plain", "", "upstream connect error", sdk.ReasonUnavailable},
		{"", "", "", sdk.ReasonUnavailable},
	} {
		resp := &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{}}
		resp.Header.Set("Content-Type", row.contentType)
		resp.Header.Set("Retry-After", row.retryAfter)
		if got := refused(request{auth: "x"}, resp, []byte(row.body)).Kind(); got != row.want {
			t.Errorf("%+v is %q", row, got)
		}
	}
}

func TestOpenNeedsAKeyAndAURL(t *testing.T) {
	for field, ref := range map[string]sdk.ServerRef{
		"secrets.api_key": {URL: "http://localhost", Secrets: map[string]string{apiKey: " "}},
		"url":             {URL: "ftp://localhost", Secrets: map[string]string{apiKey: "k"}},
	} {
		_, err := New().Open(t.Context(), sdk.OpenRequest{Server: ref})
		wantReason(t, err, sdk.ReasonInvalid)
		if e := problem(err); len(e.Fields) != 1 || e.Fields[0].Field != field {
			t.Errorf("fields are %+v, want %q", e.Fields, field)
		}
	}
}

// everyVerb calls each verb once, with what would be right.
func everyVerb(t *testing.T, c *client, id string) map[string]func() error {
	t.Helper()
	ctx := t.Context()
	all := sdk.LibraryAccess{Mode: sdk.LibraryAll}
	return map[string]func() error{
		"TestConnection": func() error { _, err := c.TestConnection(ctx, sdk.TestConnectionRequest{}); return err },
		"ListLibraries":  func() error { _, err := c.ListLibraries(ctx, sdk.ListLibrariesRequest{}); return err },
		"GetUser":        func() error { _, err := c.GetUser(ctx, sdk.GetUserRequest{ID: id}); return err },
		"ListUsers":      func() error { return c.ListUsers(ctx, sdk.ListUsersRequest{}, func(sdk.User) error { return nil }) },
		"FindUser":       func() error { _, err := c.FindUser(ctx, sdk.FindUserRequest{Username: "bob"}); return err },
		"CreateUser": func() error {
			_, err := c.CreateUser(ctx, sdk.CreateUserRequest{Username: "carol", Password: password, Grant: sdk.Grant{Libraries: all}})
			return err
		},
		"Suspend": func() error { _, err := c.Suspend(ctx, sdk.SuspendRequest{ID: id}); return err },
		"Resume": func() error {
			_, err := c.Resume(ctx, sdk.ResumeRequest{ID: id, Grant: sdk.Grant{Libraries: all}})
			return err
		},
		"SetLibraryAccess": func() error {
			_, err := c.SetLibraryAccess(ctx, sdk.SetLibraryAccessRequest{ID: id, Access: all})
			return err
		},
		"SetPermissions": func() error {
			_, err := c.SetPermissions(ctx, sdk.SetPermissionsRequest{ID: id, Permissions: map[string]sdk.Tri{sdk.PermissionDownload: sdk.Deny}})
			return err
		},
		"SetPassword": func() error {
			_, err := c.SetPassword(ctx, sdk.SetPasswordRequest{ID: id, Password: password})
			return err
		},
		"VerifyPassword": func() error {
			_, err := c.VerifyPassword(ctx, sdk.VerifyPasswordRequest{Username: "bob", Password: password})
			return err
		},
		"ListSessions": func() error { _, err := c.ListSessions(ctx, sdk.ListSessionsRequest{}); return err },
		"DeleteUser":   func() error { _, err := c.DeleteUser(ctx, sdk.DeleteUserRequest{ID: id}); return err },
	}
}
