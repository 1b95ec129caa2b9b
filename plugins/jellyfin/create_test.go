package jellyfin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zondarr/zondarr/plugins/jellyfin/jellyfintest"
	"github.com/zondarr/zondarr/sdk"
)

// list makes a client know who is there, as the host's sync does.
func list(t *testing.T, c *client) {
	t.Helper()
	if err := c.ListUsers(t.Context(), sdk.ListUsersRequest{}, func(sdk.User) error { return nil }); err != nil {
		t.Fatal(err)
	}
}

// An account costs as many requests on a large server as on an empty one: four
// with the first, and three after that.
func TestCreateCostsFourRequests(t *testing.T) {
	for _, users := range []int{0, 5000} {
		t.Run(fmt.Sprint(users, " users"), func(t *testing.T) {
			eachVersion(t, func(t *testing.T, u *upstream, c *client) {
				u.AddUsers("user", users)
				for i, want := range []int{4, 3, 3} {
					u.ResetRequests()
					req := newBob(only(u.movies))
					req.Username = fmt.Sprint("bob", i)
					if _, err := c.CreateUser(t.Context(), req); err != nil {
						t.Fatal(err)
					}
					if got := u.RequestCount(); got != want {
						t.Errorf("account %d cost %d requests, want %d: %v", i, got, want, paths(u))
					}
				}
				list(t, c) // the index is there, and costs nothing
				u.ResetRequests()
				if _, err := c.CreateUser(t.Context(), newBob(only(u.movies))); err != nil {
					t.Fatal(err)
				}
				if got := u.RequestCount(); got != 3 {
					t.Errorf("with an index, an account cost %d requests: %v", got, paths(u))
				}
			})
		})
	}
}

// redeem makes an account as a host does: it looks whether the name is free, in what
// is a minute old at most, and then creates.
func redeem(ctx context.Context, c *client, name string, g sdk.Grant) (sdk.User, error) {
	_, err := c.FindUser(ctx, sdk.FindUserRequest{Username: name, MaxAge: time.Minute})
	if sdk.ReasonOf(err) != sdk.ReasonNotFound {
		return sdk.User{}, fmt.Errorf("looking for %s gives %w", name, err)
	}
	resp, err := c.CreateUser(ctx, sdk.CreateUserRequest{OperationID: name, Username: name, Password: password, Grant: g})
	return resp.User, err
}

// With the look before it, too, an account costs four requests at most: for a client
// that was just opened, later, and however many users there are.
func TestRedemptionCostsFourRequests(t *testing.T) {
	for _, users := range []int{0, 2000} {
		t.Run(fmt.Sprint(users, " users"), func(t *testing.T) {
			eachVersion(t, func(t *testing.T, u *upstream, _ *client) {
				u.AddUsers("user", users)
				u.meet()
				create := []string{"POST /Users/New", "POST /Users/ID/Policy", "GET /Users/ID"}
				listed := append([]string{"GET /Users"}, create...)
				asked := append([]string{"GET /System/Info/Public"}, create...)
				n := 0
				costs := func(c *client, when string, want []string) {
					t.Helper()
					n++
					u.ResetRequests()
					made, err := redeem(t.Context(), c, fmt.Sprint("bob", n), only(u.movies))
					if err != nil {
						t.Fatalf("%s: %v", when, err)
					}
					got := paths(u)
					for i := range got {
						got[i] = strings.Replace(got[i], made.ID, "ID", 1)
					}
					if !slices.Equal(got, want) {
						t.Errorf("%s: %d requests, %q", when, len(got), got)
					}
				}
				for _, client := range []string{"first client", "after a restart"} {
					c := u.open()
					now := time.Now()
					c.now = func() time.Time { return now }
					costs(c, client+", cold", listed)
					costs(c, client+", at once", create)
					now = now.Add(59 * time.Second)
					costs(c, client+", within the minute", create)
					now = now.Add(identityTTL - 90*time.Second)
					costs(c, client+", after the list's time", listed)
					now = now.Add(45 * time.Second)
					costs(c, client+", after the identity's time", asked)
					now = now.Add(time.Hour)
					costs(c, client+", after an hour", listed)
				}
			})
		})
	}
}

func paths(u *upstream) []string {
	var all []string
	for _, r := range u.Requests() {
		all = append(all, r.Method+" "+r.Path)
	}
	return all
}

// A taken name is told as such: from the index without trying, without one by a
// list after the refusal.
func TestCreateTakenName(t *testing.T) {
	eachVersion(t, func(t *testing.T, u *upstream, c *client) {
		id := u.AddUser("Bob", password)
		_, err := c.CreateUser(t.Context(), newBob(only(u.movies)))
		wantReason(t, err, sdk.ReasonUsernameTaken)
		if lists := u.CountRequests("GET", "/Users"); lists != 1 {
			t.Errorf("%d lists", lists)
		}
		u.ResetRequests()
		_, err = c.CreateUser(t.Context(), newBob(only(u.movies)))
		wantReason(t, err, sdk.ReasonUsernameTaken)
		if got := paths(u); !slices.Equal(got, []string{"GET /Users/" + id}) {
			t.Errorf("with an index: %q", got)
		}
		// Behind the plugin's back the name became free, and the index does not
		// stand in the way.
		if err := u.RemoveUser("Bob"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.CreateUser(t.Context(), newBob(only(u.movies))); err != nil {
			t.Error(err)
		}
	})
}

// What the server refuses although nobody has the name is the name's fault.
func TestCreateRefusedName(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	u.AddFault(jellyfintest.Fault{Method: "POST", Path: "/Users/New", Action: jellyfintest.HTML, Status: 400})
	_, err := c.CreateUser(t.Context(), newBob(only(u.movies)))
	if sdk.ReasonOf(err) == sdk.ReasonUsernameTaken || sdk.ReasonOf(err) == sdk.ReasonUsernameInvalid {
		t.Errorf("a proxy's refusal was taken for the server's: %v", err)
	}
	cr := creation{client: c, name: "bob"}
	refused := sdk.Errorf(sdk.ReasonInvalid, "x")
	refused.Err = &refusal{status: 400, shape: thrown}
	wantReason(t, cr.whyRefused(t.Context(), refused), sdk.ReasonUsernameInvalid)
}

// However many are refused at once, the lists are few.
func TestRefusalsShareOneList(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	var wg sync.WaitGroup
	for i := range 32 {
		name := fmt.Sprint("bob", i)
		u.AddUser(name, password)
		wg.Go(func() {
			req := newBob(only(u.movies))
			req.Username = name
			if _, err := c.CreateUser(t.Context(), req); sdk.ReasonOf(err) != sdk.ReasonUsernameTaken {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	wg.Wait()
	if lists := u.CountRequests("GET", "/Users"); lists > 16 {
		t.Errorf("%d lists for 32 refusals", lists)
	}
}

// One name, many callers: one account, and everybody else is told why.
func TestCreateOneNameAtOnce(t *testing.T) {
	for _, v := range versions {
		u := start(t, jellyfintest.Config{Version: v, HashRounds: 20_000}) // long enough to meet
		c := u.open()
		var wg sync.WaitGroup
		var mu sync.Mutex
		made := 0
		for i := range 16 {
			wg.Go(func() {
				req := newBob(only(u.movies))
				req.Username = []string{"bob", "BOB", "Bob"}[i%3]
				_, err := c.CreateUser(t.Context(), req)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					made++
				} else if sdk.ReasonOf(err) != sdk.ReasonUsernameTaken {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if made != 1 || u.UserCount() != 2 {
			t.Errorf("%d callers made an account, the server has %d users", made, u.UserCount())
		}
		if n := u.CountRequests("POST", "/Users/New"); n > 2 {
			t.Errorf("%s: %d callers tried to make the account", v, n)
		}
	}
}

func TestCreateWithAnUnknownLibrary(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	if _, err := c.ListLibraries(t.Context(), sdk.ListLibrariesRequest{}); err != nil {
		t.Fatal(err)
	}
	gone := strings.Repeat("ab", 16)
	_, err := c.CreateUser(t.Context(), newBob(only(u.movies, gone)))
	wantReason(t, err, sdk.ReasonLibraryNotFound)
	if _, there := u.User("bob"); there {
		t.Error("an account was made")
	}
	// One that was added since is found by looking again.
	later := u.AddLibrary(jellyfintest.Library{Name: "Later", Type: "movies"})
	if _, err := c.CreateUser(t.Context(), newBob(only(later))); err != nil {
		t.Error(err)
	}
}

// outcome is what a creation that failed left behind, and what was said of it.
type outcome string

const (
	made      outcome = "made"      // success, with exactly the access
	nothing   outcome = "nothing"   // a failure that says so, and no account
	ambiguous outcome = "ambiguous" // it is not known, and that is said
)

// createFaults are failures of each request of a creation. Without an index, the
// plugin cannot know whether an account that it finds was there before.
var createFaults = map[string]struct {
	fault  jellyfintest.Fault
	want   outcome
	reason sdk.Reason // of a failure that left nothing
	blind  outcome    // when the plugin had no index; the same if empty
	left   bool       // blind, the account is there
	only   string     // the one version that it happens in
}{
	"NewLocked":             {fault: jellyfintest.Fault{Path: "/Users/New", Action: jellyfintest.Locked}, want: nothing, reason: sdk.ReasonServerError},
	"NewStarting":           {fault: jellyfintest.Fault{Path: "/Users/New", Action: jellyfintest.Starting}, want: nothing, reason: sdk.ReasonStarting},
	"NewBlocked":            {fault: jellyfintest.Fault{Path: "/Users/New", Action: jellyfintest.Blocked}, want: nothing, reason: sdk.ReasonUnavailable, only: "10.11.6"},
	"NewRateLimited":        {fault: jellyfintest.Fault{Path: "/Users/New", Action: jellyfintest.RateLimited}, want: nothing, reason: sdk.ReasonRateLimited},
	"NewUnauthorized":       {fault: jellyfintest.Fault{Path: "/Users/New", Action: jellyfintest.Unauthorized}, want: nothing, reason: sdk.ReasonCredentialsRejected},
	"NewRedirected":         {fault: jellyfintest.Fault{Path: "/Users/New", Action: jellyfintest.Redirect}, want: nothing, reason: sdk.ReasonWrongProduct},
	"NewCut":                {fault: jellyfintest.Fault{Path: "/Users/New", Action: jellyfintest.Cut}, want: ambiguous},
	"NewHTML":               {fault: jellyfintest.Fault{Path: "/Users/New", Action: jellyfintest.HTML}, want: ambiguous},
	"NewBadGateway":         {fault: jellyfintest.Fault{Path: "/Users/New", Action: jellyfintest.HTML, Status: 502}, want: ambiguous},
	"NewEmpty":              {fault: jellyfintest.Fault{Path: "/Users/New", Action: jellyfintest.Empty}, want: ambiguous},
	"NewForgotten":          {fault: jellyfintest.Fault{Path: "/Users/New", Action: jellyfintest.Forget}, want: nothing, reason: sdk.ReasonNotFound},
	"NewCutAfterCommit":     {fault: jellyfintest.Fault{Path: "/Users/New", Action: jellyfintest.Cut, AfterCommit: true}, want: nothing, reason: sdk.ReasonUnavailable, blind: ambiguous, left: true},
	"NewCutInTheReply":      {fault: jellyfintest.Fault{Path: "/Users/New", Action: jellyfintest.CutBody, Bytes: 100}, want: nothing, reason: sdk.ReasonServerError, blind: ambiguous, left: true},
	"NewHTMLAfterCommit":    {fault: jellyfintest.Fault{Path: "/Users/New", Action: jellyfintest.HTML, AfterCommit: true}, want: nothing, reason: sdk.ReasonServerError, blind: ambiguous, left: true},
	"NewTimeoutAfterCommit": {fault: jellyfintest.Fault{Path: "/Users/New", Action: jellyfintest.HTML, Status: 504, AfterCommit: true}, want: nothing, reason: sdk.ReasonTimeout, blind: ambiguous, left: true},
	"NewEmptyAfterCommit":   {fault: jellyfintest.Fault{Path: "/Users/New", Action: jellyfintest.Empty, AfterCommit: true}, want: nothing, reason: sdk.ReasonServerError, blind: ambiguous, left: true},
	"NewHungAfterCommit":    {fault: jellyfintest.Fault{Path: "/Users/New", Action: jellyfintest.Hang, AfterCommit: true}, want: nothing, reason: sdk.ReasonTimeout, blind: ambiguous, left: true, only: "10.11.6"},
	"PolicyLockedOnce":      {fault: jellyfintest.Fault{Path: "/Users/*/Policy", Action: jellyfintest.Locked, Count: 1}, want: made},
	"PolicyLocked":          {fault: jellyfintest.Fault{Path: "/Users/*/Policy", Action: jellyfintest.Locked}, want: nothing, reason: sdk.ReasonServerError},
	"PolicyConflictOnce":    {fault: jellyfintest.Fault{Path: "/Users/*/Policy", Action: jellyfintest.Conflict, Count: 1}, want: made},
	"PolicyConflict":        {fault: jellyfintest.Fault{Path: "/Users/*/Policy", Action: jellyfintest.Conflict}, want: nothing, reason: sdk.ReasonServerError},
	"PolicyCut":             {fault: jellyfintest.Fault{Path: "/Users/*/Policy", Action: jellyfintest.Cut}, want: nothing, reason: sdk.ReasonUnavailable},
	"PolicyCutAfterCommit":  {fault: jellyfintest.Fault{Path: "/Users/*/Policy", Action: jellyfintest.Cut, AfterCommit: true}, want: nothing, reason: sdk.ReasonUnavailable},
	"PolicyEmpty":           {fault: jellyfintest.Fault{Path: "/Users/*/Policy", Action: jellyfintest.Empty}, want: nothing, reason: sdk.ReasonServerError},
	"PolicyHTML":            {fault: jellyfintest.Fault{Path: "/Users/*/Policy", Action: jellyfintest.HTML}, want: nothing, reason: sdk.ReasonServerError},
	"PolicyHung":            {fault: jellyfintest.Fault{Path: "/Users/*/Policy", Action: jellyfintest.Hang}, want: nothing, reason: sdk.ReasonTimeout, only: "10.11.6"},
	"PolicyUnauthorized":    {fault: jellyfintest.Fault{Path: "/Users/*/Policy", Action: jellyfintest.Unauthorized}, want: nothing, reason: sdk.ReasonCredentialsRejected},
	"PolicyForgottenOnce":   {fault: jellyfintest.Fault{Path: "/Users/*/Policy", Action: jellyfintest.Forget, Count: 1}, want: made},
	"PolicyForgotten":       {fault: jellyfintest.Fault{Path: "/Users/*/Policy", Action: jellyfintest.Forget}, want: nothing, reason: sdk.ReasonAccessNotApplied},
	"PolicyRevertedOnce":    {fault: jellyfintest.Fault{Path: "/Users/*/Policy", Action: jellyfintest.RevertPolicy, Count: 1}, want: made},
	"PolicyReverted":        {fault: jellyfintest.Fault{Path: "/Users/*/Policy", Action: jellyfintest.RevertPolicy}, want: nothing, reason: sdk.ReasonAccessNotApplied},
	"ReadBackLockedOnce":    {fault: jellyfintest.Fault{Method: "GET", Path: "/Users/*", Action: jellyfintest.Locked, Count: 1}, want: made},
	"ReadBackCut":           {fault: jellyfintest.Fault{Method: "GET", Path: "/Users/*", Action: jellyfintest.Cut}, want: nothing, reason: sdk.ReasonUnavailable},
	"ReadBackCutInside":     {fault: jellyfintest.Fault{Method: "GET", Path: "/Users/*", Action: jellyfintest.CutBody, Bytes: 200}, want: nothing, reason: sdk.ReasonServerError},
	"ReadBackEmpty":         {fault: jellyfintest.Fault{Method: "GET", Path: "/Users/*", Action: jellyfintest.Empty}, want: nothing, reason: sdk.ReasonServerError},
	"ReadBackHung":          {fault: jellyfintest.Fault{Method: "GET", Path: "/Users/*", Action: jellyfintest.Hang}, want: nothing, reason: sdk.ReasonTimeout, only: "10.11.6"},
}

// R3.3: after a creation, whatever fails in it, there is the account with exactly
// the access, or none, or it is said that this is not known.
func TestCreateFaults(t *testing.T) {
	for _, indexed := range []bool{true, false} {
		for name, f := range createFaults {
			name := fmt.Sprintf("%s/indexed=%t", name, indexed)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				for _, v := range versions {
					if f.only != "" && f.only != v {
						continue
					}
					u := start(t, jellyfintest.Config{Version: v})
					c := u.open()
					if indexed {
						list(t, c)
					}
					u.AddFault(f.fault)
					ctx, cancel := context.WithTimeout(t.Context(), 600*time.Millisecond)
					g := only(u.movies)
					resp, err := c.CreateUser(ctx, newBob(g))
					cancel()
					want, left := f.want, false
					if !indexed && f.blind != "" {
						want, left = f.blind, f.left
					}
					have, there := u.User("bob")
					switch want {
					case made:
						if err != nil {
							t.Errorf("%s: %v", v, err)
							break
						}
						wantGrant(t, resp.User, g)
						if !there || have.Policy.EnableAllFolders {
							t.Errorf("%s: the server has %+v", v, have)
						}
					case nothing:
						wantReason(t, err, f.reason)
						if there {
							t.Errorf("%s: an account is left behind", v)
						}
					case ambiguous:
						wantReason(t, err, sdk.ReasonAmbiguous)
						if there != left {
							t.Errorf("%s: an account is there: %t", v, there)
						}
					}
				}
			})
		}
	}
}

// An exception between the server's two writes leaves an account that opens to an
// empty password. It is taken back at once: up to 11 the server says that there is no
// password, and 12, which says of everybody that they have one, lets an empty one in.
func TestCreateThatLostItsPassword(t *testing.T) {
	eachVersion(t, func(t *testing.T, u *upstream, c *client) {
		list(t, c)
		u.AddFault(jellyfintest.Fault{Path: "/Users/New", Action: jellyfintest.NoPassword})
		_, err := c.CreateUser(t.Context(), newBob(only(u.movies)))
		wantReason(t, err, sdk.ReasonServerError)
		if !problem(err).Undone {
			t.Error("it is not said that nothing is left")
		}
		if _, there := u.User("bob"); there {
			t.Error("an account without a password is left behind")
		}
	})
}

// An account that somebody has set up since is not tried with passwords: that could
// lock it, or ask a sign-in extension that takes an empty one.
func TestCreateTriesNoPasswordOnWhatIsSetUp(t *testing.T) {
	for name, edit := range map[string]func(p *jellyfintest.Policy){
		"Lockout":  func(p *jellyfintest.Policy) { p.LoginAttemptsBeforeLockout = 2 },
		"Provider": func(p *jellyfintest.Policy) { p.AuthenticationProviderId = "LDAP" },
	} {
		t.Run(name, func(t *testing.T) {
			eachVersion(t, func(t *testing.T, u *upstream, c *client) {
				u.AddProvider(jellyfintest.Provider{ID: "LDAP", Name: "LDAP", Foreign: true})
				list(t, c)
				u.AddUser("bob", "", edit)
				u.AddFault(jellyfintest.Fault{Path: "/Users/New", Action: jellyfintest.Locked})
				_, err := c.CreateUser(t.Context(), newBob(only(u.movies)))
				wantReason(t, err, sdk.ReasonUsernameTaken)
				if n := u.CountRequests("POST", "/Users/AuthenticateByName"); n != 0 {
					t.Errorf("%d sign-ins", n)
				}
				mustHave(t, u, "bob")
			})
		})
	}
}

// Two answers lost in a row: of the creation, and of the sign-in that was to show
// whose the account is. The server has noted that sign-in, so that the account looks
// used from then on, by us alone. It is told by a second sign-in, or not at all: a
// name that is called taken is one that nobody looks at again.
func TestCreateAndSignInThatWereLost(t *testing.T) {
	for name, row := range map[string]struct {
		created  jellyfintest.Action
		signIns  int // that are lost; 0 means all
		want     sdk.Reason
		password string // another one than ours, set while the sign-in is under way
		edit     func(p *jellyfintest.Policy)
		left     bool
	}{
		"OneSignIn":         {created: jellyfintest.Cut, signIns: 1, want: sdk.ReasonUnavailable},
		"AllSignIns":        {created: jellyfintest.Cut, want: sdk.ReasonAmbiguous, left: true},
		"Failed/OneSignIn":  {created: jellyfintest.Locked, signIns: 1, want: sdk.ReasonServerError},
		"Failed/AllSignIns": {created: jellyfintest.Locked, want: sdk.ReasonAmbiguous, left: true},
		"ThenSetUp": {created: jellyfintest.Cut, signIns: 1, want: sdk.ReasonAmbiguous, left: true,
			edit: func(p *jellyfintest.Policy) { p.EnableAllFolders = false }},
		"ThenTakenOver": {created: jellyfintest.Cut, signIns: 1, want: sdk.ReasonAmbiguous, left: true, password: "theirs"},
	} {
		t.Run(name, func(t *testing.T) {
			eachVersion(t, func(t *testing.T, u *upstream, c *client) {
				list(t, c)
				u.AddFault(jellyfintest.Fault{Path: "/Users/New", Action: row.created, AfterCommit: true})
				u.AddFault(jellyfintest.Fault{Path: "/Users/AuthenticateByName", Action: jellyfintest.Cut, AfterCommit: true, Count: row.signIns})
				c.after("/Users/AuthenticateByName", func() {
					if row.edit != nil {
						if err := u.SetPolicy("bob", row.edit); err != nil {
							t.Error(err)
						}
					}
					if row.password != "" {
						if err := u.SetPassword("bob", row.password); err != nil {
							t.Error(err)
						}
					}
				})
				_, err := c.CreateUser(t.Context(), newBob(only(u.movies)))
				wantReason(t, err, row.want)
				if undone := problem(err).Undone; undone == row.left {
					t.Errorf("undone is %t", undone)
				}
				if _, there := u.User("bob"); there != row.left {
					t.Errorf("the account is there: %t", there)
				}
				if n := u.CountRequests("POST", "/Users/AuthenticateByName"); n > 2 {
					t.Errorf("%d sign-ins", n)
				}
			})
		})
	}
}

// Who is faster by a moment keeps the account.
func TestCreateThatLostARace(t *testing.T) {
	for _, indexed := range []bool{true, false} {
		eachVersion(t, func(t *testing.T, u *upstream, c *client) {
			if indexed {
				list(t, c)
			}
			u.AddFault(jellyfintest.Fault{Path: "/Users/New", Action: jellyfintest.LoseRace})
			_, err := c.CreateUser(t.Context(), newBob(only(u.movies)))
			wantReason(t, err, sdk.ReasonUsernameTaken, sdk.ReasonAmbiguous)
			if err := u.SignIn("bob", "rival"); err != nil {
				t.Errorf("the other's account: %v", err)
			}
		})
	}
}

// Accounts that were there are never touched, whatever becomes of a creation of
// their name: found again, they are somebody's.
func TestCreateNeverTouchesWhatWasThere(t *testing.T) {
	for name, edit := range map[string]func(u *upstream){
		"AsNew": func(u *upstream) { u.AddUser("bob", password) },
		"InUse": func(u *upstream) { u.AddUser("bob", password); _ = u.SetLastActivity("bob", time.Now(), time.Now()) },
		"SetUp": func(u *upstream) {
			u.AddUser("bob", password, func(p *jellyfintest.Policy) { p.EnableAllFolders = false })
		},
		"Disabled": func(u *upstream) { u.AddUser("bob", password, func(p *jellyfintest.Policy) { p.IsDisabled = true }) },
		"Admin":    func(u *upstream) { u.AddAdmin("bob", password) },
	} {
		for faultName, f := range createFaults {
			if !strings.HasPrefix(faultName, "New") {
				continue
			}
			t.Run(name+"/"+faultName, func(t *testing.T) {
				t.Parallel()
				u := start(t, jellyfintest.Config{})
				c := u.open()
				edit(u)
				before := mustHave(t, u, "bob")
				u.AddFault(f.fault)
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				_, err := c.CreateUser(ctx, newBob(only(u.movies)))
				if err == nil {
					t.Error("an account was made of a name that is taken")
				}
				if after, there := u.User("bob"); !there || after.ID != before.ID || fmt.Sprint(after.Policy) != fmt.Sprint(before.Policy) {
					t.Errorf("the account that was there is now %+v", after)
				}
			})
		}
	}
}

// A minute is long enough for somebody else to make an account of that name. It is
// not ours, whatever it looks like.
func TestCreateNeverTouchesWhatCameMeanwhile(t *testing.T) {
	for name, row := range map[string]struct {
		add  func(u *upstream)
		want sdk.Reason
	}{
		"AsNew": {func(u *upstream) { u.AddUser("bob", "theirs") }, sdk.ReasonAmbiguous},
		"InUse": {func(u *upstream) { u.AddUser("bob", password); _ = u.SetLastActivity("bob", time.Now(), time.Time{}) }, sdk.ReasonUsernameTaken},
		"SetUp": {func(u *upstream) {
			u.AddUser("bob", password, func(p *jellyfintest.Policy) { p.EnableAllFolders = false })
		}, sdk.ReasonUsernameTaken},
		"Disabled":  {func(u *upstream) { u.AddUser("bob", password, func(p *jellyfintest.Policy) { p.IsDisabled = true }) }, sdk.ReasonUsernameTaken},
		"Admin":     {func(u *upstream) { u.AddAdmin("bob", password) }, sdk.ReasonUsernameTaken},
		"OtherCase": {func(u *upstream) { u.AddUser("BOB", password) }, sdk.ReasonAmbiguous},
	} {
		for _, after := range []jellyfintest.Action{jellyfintest.Cut, jellyfintest.Locked} {
			t.Run(fmt.Sprint(name, " ", after), func(t *testing.T) {
				u := start(t, jellyfintest.Config{})
				c := u.open()
				list(t, c)
				row.add(u)
				u.AddFault(jellyfintest.Fault{Path: "/Users/New", Action: after, AfterCommit: true})
				_, err := c.CreateUser(t.Context(), newBob(only(u.movies)))
				wantReason(t, err, row.want)
				if _, there := u.User("bob"); !there {
					t.Error("an account was deleted")
				}
			})
		}
	}
}

// Nor is one without a password, unless the server itself failed in between.
func TestCreateThatWasCutBesideAnOpenAccount(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	list(t, c)
	u.AddUser("bob", "")
	u.AddFault(jellyfintest.Fault{Path: "/Users/New", Action: jellyfintest.Cut})
	_, err := c.CreateUser(t.Context(), newBob(only(u.movies)))
	wantReason(t, err, sdk.ReasonAmbiguous)
	if _, there := u.User("bob"); !there {
		t.Error("an account was deleted")
	}
}

// An exception after the account was stored whole: it opens with our password.
func TestCreateThatFailedAtItsEnd(t *testing.T) {
	eachVersion(t, func(t *testing.T, u *upstream, c *client) {
		list(t, c)
		u.AddFault(jellyfintest.Fault{Path: "/Users/New", Action: jellyfintest.Locked, AfterCommit: true})
		_, err := c.CreateUser(t.Context(), newBob(only(u.movies)))
		wantReason(t, err, sdk.ReasonServerError)
		if _, there := u.User("bob"); there {
			t.Error("an account is left behind")
		}
	})
}

// What the policy does not say is checked as well.
func TestCreateChecksWhatItMade(t *testing.T) {
	no := false
	cr := creation{name: "bob", server: server{version: v10_11}}
	good := record{account: account{Name: "bob"}}
	if err := cr.asAsked(good); err != nil {
		t.Error(err)
	}
	renamed, open := good, good
	renamed.Name, open.HasPassword = "bob1", &no
	for _, r := range []record{renamed, open} {
		wantReason(t, cr.asAsked(r), sdk.ReasonAccessNotApplied)
	}
	cr.server.version = v12 // which tells nothing of passwords
	if err := cr.asAsked(open); err != nil {
		t.Error(err)
	}
}

// What cannot be taken back is at least disabled, and said.
func TestCreateThatCannotBeUndone(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	u.AddFault(jellyfintest.Fault{Path: "/Users/*/Policy", Action: jellyfintest.Forget, Count: changeAttempts})
	u.AddFault(jellyfintest.Fault{Method: "DELETE", Path: "/Users/*", Action: jellyfintest.Locked})
	_, err := c.CreateUser(t.Context(), newBob(only(u.movies)))
	wantReason(t, err, sdk.ReasonAmbiguous)
	if p := mustHave(t, u, "bob").Policy; !p.IsDisabled || p.EnableAllFolders {
		t.Errorf("the account that is left has the policy %+v", p)
	}
}

// A proxy that fails for a moment does not keep an account from being taken back.
func TestUndoPersists(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	u.AddFault(jellyfintest.Fault{Path: "/Users/*/Policy", Action: jellyfintest.Cut})
	u.AddFault(jellyfintest.Fault{Method: "DELETE", Path: "/Users/*", Action: jellyfintest.Cut, Count: 1})
	u.AddFault(jellyfintest.Fault{Method: "DELETE", Path: "/Users/*", Action: jellyfintest.HTML, Status: 502, Skip: 1, Count: 1})
	_, err := c.CreateUser(t.Context(), newBob(only(u.movies)))
	wantReason(t, err, sdk.ReasonUnavailable)
	if _, there := u.User("bob"); there {
		t.Error("an account is left behind")
	}
}

// A cancelled call still takes its account back.
func TestCancelledCreateIsUndone(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	u.AddFault(jellyfintest.Fault{Path: "/Users/*/Policy", Action: jellyfintest.Hang})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for u.FaultHits() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	_, err := c.CreateUser(ctx, newBob(only(u.movies)))
	wantReason(t, err, sdk.ReasonTimeout)
	if _, there := u.User("bob"); there {
		t.Error("an account is left behind")
	}
}

// Cancelled before the answer, it says at once that the outcome is not known.
func TestCancelledCreateIsAmbiguous(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	u.AddFault(jellyfintest.Fault{Path: "/Users/New", Action: jellyfintest.Hang})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for u.FaultHits() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	_, err := c.CreateUser(ctx, newBob(only(u.movies)))
	wantReason(t, err, sdk.ReasonAmbiguous)
}

// An account that arrives after its answer was given up is found on the second
// look.
func TestCreateThatArrivesLate(t *testing.T) {
	t.Parallel()
	u := start(t, jellyfintest.Config{})
	c := u.open()
	c.waits.late = 500 * time.Millisecond
	list(t, c)
	u.AddFault(jellyfintest.Fault{Path: "/Users/New", Action: jellyfintest.Delay, Delay: 1300 * time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := c.CreateUser(ctx, newBob(only(u.movies)))
	wantReason(t, err, sdk.ReasonTimeout)
	if _, there := u.User("bob"); there {
		t.Error("the account that arrived late is left behind")
	}
}

// Nothing was sent, so that nothing is in doubt.
func TestCreateOnAServerThatIsDown(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	if _, err := c.ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	u.Close()
	c.http.CloseIdleConnections()
	_, err := c.CreateUser(t.Context(), newBob(only(u.movies)))
	wantReason(t, err, sdk.ReasonUnavailable)
	if e, ok := errors.AsType[*sdk.Error](err); !ok || !e.Undone {
		t.Errorf("%v leaves in doubt whether anything was made", err)
	}
}

// A creation that failed for a passing reason and left nothing, because it was
// never sent, was refused, or has deleted its account again, says so, so that
// nobody has to look for it.
func TestCreateThatWasTakenBackSaysSo(t *testing.T) {
	for name, tc := range map[string]struct {
		fault  jellyfintest.Fault
		undone bool
	}{
		"Refused":        {jellyfintest.Fault{Method: "POST", Path: "/Users/New", Action: jellyfintest.RateLimited}, true},
		"PolicyLocked":   {jellyfintest.Fault{Method: "POST", Path: "/Users/*/Policy", Action: jellyfintest.Locked}, true},
		"CannotBeUndone": {jellyfintest.Fault{Method: "DELETE", Path: "/Users/*", Action: jellyfintest.Locked}, false},
	} {
		t.Run(name, func(t *testing.T) {
			u := start(t, jellyfintest.Config{})
			c := u.open()
			u.AddFault(tc.fault)
			if !tc.undone {
				u.AddFault(jellyfintest.Fault{Method: "POST", Path: "/Users/*/Policy", Action: jellyfintest.Locked})
			}
			_, err := c.CreateUser(t.Context(), sdk.CreateUserRequest{Username: "bob", Password: password, Grant: only(u.movies)})
			e, ok := errors.AsType[*sdk.Error](err)
			if !ok || e.Undone != tc.undone {
				t.Fatalf("undone is %v, %v; want %v", ok && e.Undone, err, tc.undone)
			}
			if _, there := u.User("bob"); there == tc.undone {
				t.Errorf("the account is there: %v", there)
			}
		})
	}
}
