package plex

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
	"github.com/zondarr/zondarr/sdk"
)

// scenario is one call on a server that alice, bob and others use, with what
// alice may see before and after.
type scenario struct {
	name    string
	prepare func(r *rig) sdk.User // alice before the call, zero when she is nobody yet
	call    func(r *rig, linked sdk.LinkedAccount, u sdk.User) error
	before  []string
	after   []string
	// anew marks calls that take the share away and make it again.
	anew bool
}

func scenarios() []scenario {
	shared := func(r *rig) sdk.User { return r.mustCreate(r.alice, "Movies", "Shows") }
	return []scenario{
		{
			name: "CreateUser", after: []string{"Movies"},
			call: func(r *rig, linked sdk.LinkedAccount, _ sdk.User) error {
				_, err := r.createLinked(linked, sdk.Grant{Libraries: r.only("Movies")})
				return err
			},
		},
		{
			name: "DeleteUser", prepare: shared, before: []string{"Movies", "Shows"},
			call: func(r *rig, _ sdk.LinkedAccount, u sdk.User) error { _, err := r.delete(u.ID); return err },
		},
		{
			name: "Suspend", prepare: shared, before: []string{"Movies", "Shows"},
			call: func(r *rig, _ sdk.LinkedAccount, u sdk.User) error { _, err := r.suspend(u.ID); return err },
		},
		{
			name: "Resume", after: []string{"Movies", "Shows"},
			prepare: func(r *rig) sdk.User {
				u := shared(r)
				if _, err := r.suspend(u.ID); err != nil {
					r.t.Fatal(err)
				}
				return u
			},
			call: func(r *rig, _ sdk.LinkedAccount, u sdk.User) error { _, err := r.resume(u); return err },
		},
		{
			name: "SetLibraryAccess", prepare: shared, before: []string{"Movies", "Shows"}, after: []string{"Shows"},
			call: func(r *rig, _ sdk.LinkedAccount, u sdk.User) error {
				_, err := r.setLibraries(u.ID, r.only("Shows"))
				return err
			},
		},
		{
			name: "SetLibraryAccessAll", prepare: shared, before: []string{"Movies", "Shows"}, after: []string{"Movies", "Shows", "Music"}, anew: true,
			call: func(r *rig, _ sdk.LinkedAccount, u sdk.User) error {
				_, err := r.setLibraries(u.ID, all())
				return err
			},
		},
		{
			name: "SetPermissions", prepare: shared, before: []string{"Movies", "Shows"}, after: []string{"Movies", "Shows"},
			call: func(r *rig, _ sdk.LinkedAccount, u sdk.User) error {
				_, err := r.setPermission(u.ID, sdk.PermissionDownload, sdk.Allow)
				return err
			},
		},
	}
}

// bystanders is a rig where other people and another server must not change.
func bystanders(t *testing.T) *rig {
	r := newRig(t)
	r.fake.MustAddShare(plextest.ShareSpec{
		Server: r.server.ID(), Invited: "bob", Sections: []int64{r.server.Section("Music").ID}, Accepted: true,
		Settings: plextest.Settings{FilterMovies: "label=b"},
	})
	r.fake.MustAddShare(plextest.ShareSpec{
		Server: r.second.ID(), Invited: "alice", AllLibraries: true, Accepted: true, Settings: plextest.Settings{FilterMusic: "label=a"},
	})
	return r
}

// others is everything that no call about alice on the first server may change.
func (r *rig) others() string {
	var out string
	for _, sh := range r.fake.Shares() {
		if sh.Server != r.server.ID() || sh.InvitedID != r.alice.ID {
			sh.Settings.AllowSync = false // alice's own wish holds on both servers
			out += fmt.Sprintf("%d %s %d %s %v %t %s %+v\n", sh.ID, sh.Server, sh.InvitedID, sh.State, sh.Sections, sh.AllLibraries, sh.InvitedAt, sh.Settings)
		}
	}
	return out + fmt.Sprint(r.fake.Friends(r.owner.ID, r.alice.ID), r.fake.Friends(r.owner.ID, r.bob.ID), r.fake.Accounts())
}

// Whatever breaks, at whichever request of a call, once or for good: nothing is
// lost that is not told, no access is wider than before or than asked, nobody
// else is touched, the words are for people, and repeating ends as asked.
func TestFaultSchedules(t *testing.T) {
	t.Parallel()
	faults := []plextest.Fault{
		{Kind: plextest.FaultDown}, {Kind: plextest.FaultDropRequest}, {Kind: plextest.FaultDropResponse}, {Kind: plextest.FaultHTML},
		{Kind: plextest.FaultRateLimit}, {Kind: plextest.FaultTruncate}, {Kind: plextest.FaultGone},
		{Kind: plextest.FaultStatus, Status: 500}, {Kind: plextest.FaultStatus, Status: 422}, {Kind: plextest.FaultStatus, Status: 404},
		{Kind: plextest.FaultStatus, Status: 401}, {Kind: plextest.FaultStatus, Status: 200, Body: "<html>portal</html>"},
	}
	times := []int{1, 0}
	if testing.Short() {
		faults, times = faults[2:4], times[:1]
	}
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			requests := s.run(t, plextest.Fault{Kind: plextest.FaultDown, From: 1 << 30})
			if requests < 4 {
				t.Fatalf("%d requests", requests)
			}
			for _, fault := range faults {
				for fault.From = 1; fault.From <= requests; fault.From++ {
					for _, fault.Times = range times {
						s.run(t, fault)
					}
				}
			}
		})
	}
}

// run makes the call with a fault and says how many requests it took.
func (s scenario) run(t *testing.T, fault plextest.Fault) (requests int) {
	name := fmt.Sprintf("%s%d from %d times %d", fault.Kind, fault.Status, fault.From, fault.Times)
	ok := t.Run(name, func(t *testing.T) {
		r := bystanders(t)
		var u sdk.User
		if s.prepare != nil {
			u = s.prepare(r)
		}
		linked := r.link(r.alice)
		others := r.others()
		r.fake.ClearRequests()
		r.fake.AddFault(fault)
		err := r.saw(s.call(r, linked, u))
		requests = len(r.fake.Requests())
		r.fake.ClearFaults()

		if got := r.others(); got != others {
			t.Errorf("others changed:\n%s\nwere:\n%s", got, others)
		}
		for _, title := range r.access(r.alice) {
			if !slices.Contains(s.before, title) && !slices.Contains(s.after, title) {
				t.Errorf("alice can open %s, which was neither hers nor asked for", title)
			}
		}
		s.judge(t, r, u, err)
		if s.prepare != nil {
			s.repeat(t, r, linked, u, err)
		}
	})
	if !ok {
		t.FailNow()
	}
	return requests
}

// judge compares what the call says with what is so.
func (s scenario) judge(t *testing.T, r *rig, u sdk.User, err error) {
	t.Helper()
	got := r.access(r.alice)
	sh, exists := r.fake.ShareOf(r.server.ID(), r.alice.ID)
	reason := sdk.ReasonOf(err)
	known := []sdk.Reason{
		sdk.ReasonUnavailable, sdk.ReasonTimeout, sdk.ReasonRateLimited, sdk.ReasonServerError, sdk.ReasonEndpointGone, sdk.ReasonAmbiguous,
		sdk.ReasonCredentialsRejected, sdk.ReasonInvalid, sdk.ReasonNotFound, sdk.ReasonLinkExpired, sdk.ReasonAccessNotApplied,
		sdk.ReasonAccountNotReady,
	}
	switch {
	case err == nil && exists && sh.State == plextest.SharePending:
		if len(sh.Sections) != len(s.after) {
			t.Errorf("pending with %v, asked for %v", sh.Sections, s.after)
		}
	case err == nil:
		if !slices.Equal(got, s.after) {
			t.Errorf("success, but alice can open %v, not %v", got, s.after)
		}
	case !slices.Contains(known, reason):
		t.Errorf("reason %q: %v", reason, err)
	case len(err.Error()) < 20:
		t.Errorf("too few words: %q", err)
	case reason == sdk.ReasonAmbiguous:
	case s.anew && !exists:
		t.Errorf("alice's share is lost, and the error says %v", err)
	case s.prepare == nil && exists:
		t.Errorf("failed (%v), but there is a share: %+v", err, sh)
	}
	_ = u
}

// repeat makes the call again when the fault is over, as the host does for calls
// that are idempotent; where the share was lost on the way, after resuming it.
func (s scenario) repeat(t *testing.T, r *rig, linked sdk.LinkedAccount, u sdk.User, err error) {
	t.Helper()
	if _, exists := r.fake.ShareOf(r.server.ID(), r.alice.ID); !exists && s.before != nil && s.after != nil {
		if sdk.ReasonOf(err) != sdk.ReasonAmbiguous {
			t.Fatalf("the share is lost, and the error says %v", err)
		}
		if _, err := r.resume(u); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.saw(s.call(r, linked, u)); err != nil {
		t.Fatalf("again: %v", err)
	}
	if got := r.access(r.alice); !slices.Equal(got, s.after) {
		t.Errorf("again: alice can open %v, want %v", got, s.after)
	}
}

// Each endpoint that Plex may remove is named when it is, whoever calls it.
func TestEveryRemovedEndpointIsNamed(t *testing.T) {
	for _, s := range scenarios() {
		r := bystanders(t)
		var u sdk.User
		if s.prepare != nil {
			u = s.prepare(r)
		}
		linked := r.link(r.alice)
		r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Target: "cloud"})
		err := s.call(r, linked, u)
		r.want(err, sdk.ReasonEndpointGone, "removed the endpoint GET /api/v2/user")
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
			r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Target: "cloud", Method: method})
		}
		r.fake.ClearFaults()
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
			r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Target: "cloud", Method: method})
		}
		err = s.call(r, linked, u)
		r.want(err, sdk.ReasonEndpointGone, "/api/")
		r.wantAccess(r.alice, s.before...)
	}
}
