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

// reads are the verbs that begin by reading users.
var reads = []string{"GetUser", "ListUsers", "FindUser"}

// A server that was met before says who it is in its first reply; where the first
// request would be a write, it is asked.
func TestIdentityFromAReadOfUsers(t *testing.T) {
	eachVersion(t, func(t *testing.T, u *upstream, _ *client) {
		u.meet()
		id := u.AddUser("bob", password)
		for verb := range everyVerb(t, u.open(), id) {
			c := u.open()
			u.ResetRequests()
			if err := everyVerb(t, c, id)[verb](); err != nil && sdk.ReasonOf(err) != sdk.ReasonUnsupported && sdk.ReasonOf(err) != sdk.ReasonNotFound {
				t.Errorf("%s: %v", verb, err)
			}
			if _, there := u.User("bob"); !there {
				id = u.AddUser("bob", password)
			}
			want := 1
			if slices.Contains(reads, verb) {
				want = 0
			}
			if got := u.CountRequests("GET", "/System/Info/Public"); got != want || want == 1 && u.Requests()[0].Path != "/System/Info/Public" {
				t.Errorf("%s asks %d times: %q", verb, got, paths(u))
			}
			if s, known := c.identity.fresh(c.now()); !known || s.id != u.ID() || s.saidAs != u.Version() {
				t.Errorf("after %s the server is %+v, %t", verb, s, known)
			}
		}
	})
}

// Whatever another server at the address answers, it is recognised by every verb.
// Nothing is written to it, and once it is known, it gets no credential.
func TestWrongServerIsWrittenNothing(t *testing.T) {
	for name, change := range map[string]func(u *upstream){
		"SameKey":  func(*upstream) {},
		"OtherKey": func(u *upstream) { u.DeleteAPIKey(u.ref.Secrets[apiKey]) },
		"NoUser":   func(u *upstream) { _ = u.RemoveUser("bob") },
	} {
		t.Run(name, func(t *testing.T) {
			eachVersion(t, func(t *testing.T, u *upstream, _ *client) {
				u.meet()
				u.ref.ExternalID = strings.Repeat("ab", 16)
				id := u.AddUser("bob", password)
				change(u)
				for verb := range everyVerb(t, u.open(), id) {
					c := u.open()
					for _, when := range []string{"first", "second"} {
						u.ResetRequests()
						if err := everyVerb(t, c, id)[verb](); sdk.ReasonOf(err) != sdk.ReasonWrongServer {
							t.Errorf("the %s %s: %v", when, verb, err)
						}
						for _, r := range u.Requests() {
							unasked := when == "first" && slices.Contains(reads, verb)
							if r.Method != http.MethodGet || slices.Contains(r.Headers, "Authorization") && !unasked {
								t.Errorf("the wrong server got %s %s with %q by the %s %s", r.Method, r.Path, r.Headers, when, verb)
							}
						}
					}
				}
			})
		})
	}
}

// Another server is noticed while the one before it is still believed to be there, and
// is written nothing from then on.
func TestServerThatIsReplacedIsNoticedInAReply(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	u.meet()
	c := u.open()
	must(redeem(t.Context(), c, "bob", only(u.movies)))(t)
	u.SetID(strings.Repeat("cd", 16))
	u.ResetRequests()
	_, err := c.FindUser(t.Context(), sdk.FindUserRequest{Username: "carol"})
	wantReason(t, err, sdk.ReasonWrongServer)
	_, err = c.CreateUser(t.Context(), newBob(only(u.movies)))
	wantReason(t, err, sdk.ReasonWrongServer)
	if got := paths(u); !slices.Equal(got, []string{"GET /Users", "GET /System/Info/Public"}) {
		t.Errorf("requests are %q", got)
	}
}

// After a failed connection or a refused key the server may be another, or of another
// version: then only its own word counts.
func TestServerInDoubtIsAsked(t *testing.T) {
	for name, fault := range map[string]jellyfintest.Fault{
		"Cut":          {Path: "/Users", Action: jellyfintest.Cut, Count: 2}, // a broken connection that was idle is tried again unseen,
		"Unauthorized": {Path: "/Users", Action: jellyfintest.Unauthorized, Count: 1},
	} {
		t.Run(name, func(t *testing.T) {
			u := start(t, jellyfintest.Config{Version: "10.11.6"})
			u.meet()
			u.ref.Version = "10.10.7" // it was upgraded
			c := u.open()
			list(t, c)
			if s, _ := c.identity.fresh(c.now()); s.saidAs != "10.10.7" {
				t.Errorf("the version is %q", s.saidAs)
			}
			u.AddFault(fault)
			_, err := c.FindUser(t.Context(), sdk.FindUserRequest{Username: "bob"})
			wantReason(t, err, sdk.ReasonUnavailable, sdk.ReasonCredentialsRejected)
			if c.identity.expected() != (name == "Unauthorized") { // asked at once, as there was a reply
				t.Errorf("expected: %t", c.identity.expected())
			}
			list(t, c)
			if s, _ := c.identity.fresh(c.now()); s.saidAs != "10.11.6" || u.CountRequests("GET", "/System/Info/Public") != 1 {
				t.Errorf("the version is %q", s.saidAs)
			}
			// What it said itself outlives what the host had kept.
			now := c.now().Add(time.Hour)
			c.now = func() time.Time { return now }
			list(t, c)
			if s, known := c.identity.fresh(now); !known || s.saidAs != "10.11.6" || u.CountRequests("GET", "/System/Info/Public") != 1 {
				t.Errorf("an hour later the version is %q, %t", s.saidAs, known)
			}
		})
	}
}

// Replies prove which server answers, not of which version it is: what it was once
// said to be is believed for a while, however often the server is read.
func TestVersionExpires(t *testing.T) {
	u := start(t, jellyfintest.Config{Version: "10.11.11"})
	id := u.AddUser("bob", password)
	u.meet()
	u.ref.Version = "10.8.13" // it was upgraded since
	c := u.open()
	now := time.Now()
	c.now = func() time.Time { return now }
	setPassword := func() error {
		must(c.GetUser(t.Context(), sdk.GetUserRequest{ID: id}))(t)
		_, err := c.SetPassword(t.Context(), sdk.SetPasswordRequest{ID: id, Password: "another password"})
		return err
	}
	wantReason(t, setPassword(), sdk.ReasonUnsupported)
	now = now.Add(identityTTL - time.Second)
	wantReason(t, setPassword(), sdk.ReasonUnsupported)
	now = now.Add(time.Second)
	if err := setPassword(); err != nil {
		t.Errorf("the version is never asked for: %v", err)
	}
	if got := u.CountRequests("GET", "/System/Info/Public"); got != 1 {
		t.Errorf("asked %d times", got)
	}
	// Upgraded once more, while it is read all the time.
	c.identity.keep(confirmed(u.ref), now)
	for range 3 {
		now = now.Add(identityTTL / 2)
		must(c.GetUser(t.Context(), sdk.GetUserRequest{ID: id}))(t)
	}
	if err := setPassword(); err != nil {
		t.Errorf("what it said itself is believed for ever: %v", err)
	}
}

// A creation, which has no request to spare, goes by the version that was known
// last. Only before it is refused for that version's sake, the server is asked.
func TestCreationIsNotRefusedForAnOldVersion(t *testing.T) {
	for name, req := range map[string]sdk.CreateUserRequest{
		"Name":       {Username: "bob+films", Password: password},
		"Permission": {Username: "bob", Password: password, Grant: sdk.Grant{Permissions: map[string]sdk.Tri{"jellyfin.collections": sdk.Allow}}},
	} {
		t.Run(name, func(t *testing.T) {
			u := start(t, jellyfintest.Config{Version: "10.11.11"})
			req.Grant.Libraries = only(u.movies).Libraries
			u.meet()
			u.ref.Version = "10.8.13"
			c := u.open()
			now := time.Now()
			c.now = func() time.Time { return now }
			list(t, c)
			_, err := c.CreateUser(t.Context(), req)
			wantReason(t, err, sdk.ReasonUsernameInvalid, sdk.ReasonUnsupported)
			now = now.Add(time.Hour)
			list(t, c)
			must(c.CreateUser(t.Context(), req))(t)
			if got := u.CountRequests("GET", "/System/Info/Public"); got != 1 {
				t.Errorf("asked %d times", got)
			}
		})
	}
}

// Replies that name no server prove nothing: the server is asked before they count.
func TestRepliesThatNameNoServer(t *testing.T) {
	confirmedID, user := strings.Repeat("ab", 16), strings.Repeat("12", 16)
	for name, row := range map[string]struct {
		users string
		id    string // which the server says when it is asked
		want  sdk.Reason
	}{
		"EmptyList":             {`[]`, confirmedID, sdk.ReasonNotFound},
		"EmptyListElsewhere":    {`[]`, strings.Repeat("cd", 16), sdk.ReasonWrongServer},
		"NamelessUser":          {`[{"Name":"carol","Id":"` + user + `"}]`, confirmedID, sdk.ReasonNotFound},
		"NamelessUserElsewhere": {`[{"Name":"carol","Id":"` + user + `"}]`, strings.Repeat("cd", 16), sdk.ReasonWrongServer},
		"OneOfAnotherServer":    {`[{"Name":"carol","Id":"` + user + `","ServerId":"` + confirmedID + `"},{"Name":"dave","Id":"` + user + `","ServerId":"x"}]`, confirmedID, sdk.ReasonWrongServer},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json; charset=utf-8")
				body := row.users
				if r.URL.Path == "/System/Info/Public" {
					asked++
					body = `{"ServerName":"x","Version":"10.11.6","ProductName":"Jellyfin Server","Id":"` + row.id + `","StartupWizardCompleted":true}`
				}
				_, _ = w.Write([]byte(body))
			}))
			defer srv.Close()
			c := openAt(t, sdk.ServerRef{URL: srv.URL, ExternalID: confirmedID, Version: "10.11.6", Secrets: map[string]string{apiKey: "k"}})
			_, err := c.FindUser(t.Context(), sdk.FindUserRequest{Username: "bob", MaxAge: time.Minute})
			wantReason(t, err, row.want)
			if told := name == "OneOfAnotherServer"; told == (asked != 0) {
				t.Errorf("asked %d times", asked)
			}
			if row.want == sdk.ReasonWrongServer && c.names.list != nil {
				t.Error("the list of another server is believed")
			}
		})
	}
}

// A version that says nothing is asked for before anything else is sent.
func TestVersionThatSaysNothing(t *testing.T) {
	for _, v := range []string{"", "ten", "10.7.7"} {
		u := start(t, jellyfintest.Config{})
		u.meet()
		u.ref.Version = v
		list(t, u.open())
		if got := paths(u); !slices.Equal(got, []string{"GET /System/Info/Public", "GET /Users"}) {
			t.Errorf("%q: %q", v, got)
		}
	}
}
