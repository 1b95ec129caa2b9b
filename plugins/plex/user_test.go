package plex

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
	"github.com/zondarr/zondarr/sdk"
)

// crowded is a rig with every sort of person.
func crowded(t *testing.T, change ...func(*plextest.Switches)) *rig {
	r := newRig(t, change...)
	f, id := r.fake, r.server.ID()
	movies := []int64{r.server.Section("Movies").ID}
	f.MustAddShare(plextest.ShareSpec{Server: id, Invited: "alice", Sections: movies, Accepted: true, Settings: plextest.Settings{AllowSync: true}})
	f.MustAddShare(plextest.ShareSpec{Server: id, Invited: "bob", AllLibraries: true})
	f.MustAddShare(plextest.ShareSpec{Server: id, Invited: "nobody@example.com", Sections: movies})
	for _, name := range []string{"carol", "dave", "erin", "frank"} {
		f.MustAddAccount(plextest.Account{Username: name})
	}
	carol, _ := f.Account("carol")
	dave, _ := f.Account("dave")
	f.AddHome(r.owner.ID, carol.ID, dave.ID)
	kid := f.AddManagedUser(r.owner.ID, "Kid")
	f.MustAddShare(plextest.ShareSpec{Server: id, Invited: "carol", AllLibraries: true, Settings: plextest.Settings{AllowTuners: 2}})
	f.MustAddShare(plextest.ShareSpec{Server: id, Invited: str(kid.ID), Sections: movies})
	f.MustAddShare(plextest.ShareSpec{Server: r.second.ID(), Invited: "erin", AllLibraries: true, Accepted: true}) // another server
	left := f.MustAddShare(plextest.ShareSpec{Server: id, Invited: "frank", AllLibraries: true, Accepted: true})
	f.Leave(left.ID)
	return r
}

func byName(users []sdk.User) map[string]sdk.User {
	out := map[string]sdk.User{}
	for _, u := range users {
		out[u.Username] = u
	}
	return out
}

// R3.11: accepted, pending and Home; the owner marked; nobody else.
func TestListUsers(t *testing.T) {
	for _, left := range []bool{false, true} {
		r := crowded(t, func(s *plextest.Switches) { s.ListLeft = left })
		r.fake.ClearRequests()
		users, err := r.list()
		if err != nil {
			t.Fatal(err)
		}
		r.wantNoWrites()
		got := byName(users)
		if len(users) != 7 || len(got) != 7 {
			t.Fatalf("users %+v", users)
		}
		check := func(name, kind string, status sdk.Status, protected bool, mode sdk.LibraryMode) {
			t.Helper()
			u, ok := got[name]
			if !ok {
				t.Errorf("%s is missing", name)
				return
			}
			if u.Kind != kind || u.Status != status || u.Protected != protected {
				t.Errorf("%s is %+v", name, u)
			}
			if mode == "" && u.Libraries != nil || mode != "" && (u.Libraries == nil || u.Libraries.Mode != mode) {
				t.Errorf("%s sees %+v, want %q", name, u.Libraries, mode)
			}
		}
		check("owner", kindOwner, sdk.StatusActive, true, sdk.LibraryAll)
		check("alice", kindFriend, sdk.StatusActive, false, sdk.LibraryOnly)
		check("bob", kindFriend, sdk.StatusPending, false, sdk.LibraryAll)
		check("nobody@example.com", kindFriend, sdk.StatusPending, false, sdk.LibraryOnly)
		check("carol", kindHome, sdk.StatusActive, false, sdk.LibraryAll)
		check("dave", kindHome, sdk.StatusSuspended, false, "")
		check("Kid", kindManaged, sdk.StatusActive, false, sdk.LibraryOnly)
		if got["nobody@example.com"].ID != "nobody@example.com" {
			t.Errorf("an address without an account has id %q", got["nobody@example.com"].ID)
		}
		if p := got["carol"].Permissions; p[sdk.PermissionLiveTV] != sdk.Allow {
			t.Errorf("carol may %v", p)
		}
		if p := got["alice"].Permissions; p[sdk.PermissionLiveTV] != sdk.Deny || p[sdk.PermissionDownload] != sdk.Allow {
			t.Errorf("alice may %v", p)
		}
		kinds := New().Describe().UserKinds
		for _, u := range users {
			i := slices.IndexFunc(kinds, func(k sdk.UserKindInfo) bool { return k.Name == u.Kind })
			if i < 0 || kinds[i].Protected != u.Protected {
				t.Errorf("kind %q of %s is not as declared", u.Kind, u.Username)
			}
			// What the list says, reading one says too.
			one, err := r.get(u.ID)
			if err != nil || one.Username != u.Username || one.Status != u.Status || one.Kind != u.Kind {
				t.Errorf("reading %s: %+v, %v", u.Username, one, err)
			}
		}
	}
}

// An address that was invited gets an account: from then on the person is known
// by its id, and no call takes the address for somebody who is gone.
func TestInvitedAddressRegisters(t *testing.T) {
	for _, accepts := range []bool{false, true} {
		r := newRig(t)
		sh := r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "new@example.com", AllLibraries: true})
		before, err := r.get("New@example.com")
		if err != nil {
			t.Fatal(err)
		}
		a := r.fake.MustAddAccount(plextest.Account{Username: "newcomer", Email: "new@example.com"})
		status := sdk.StatusPending
		if accepts {
			status = sdk.StatusActive
			if !r.fake.Accept(sh.ID) {
				t.Fatal("the share cannot be accepted")
			}
		}
		r.fake.ClearRequests()
		calls := map[string]func(id string) error{
			"GetUser": func(id string) error { _, err := r.get(id); return err },
			"DeleteUser": func(id string) error {
				_, err := r.delete(id)
				return err
			},
			"Suspend":          func(id string) error { _, err := r.suspend(id); return err },
			"Resume":           func(string) error { _, err := r.resume(before); return err },
			"SetLibraryAccess": func(id string) error { _, err := r.setLibraries(id, r.only("Music")); return err },
			"SetPermissions":   func(id string) error { _, err := r.setPermission(id, sdk.PermissionDownload, sdk.Allow); return err },
		}
		for name, call := range calls {
			for _, id := range []string{"new@example.com", "New@Example.com"} {
				err := r.saw(call(id))
				if sdk.ReasonOf(err) != sdk.ReasonInvalid || !strings.Contains(err.Error(), "account id") {
					t.Errorf("%s(%s), accepted %t: %v, want words about the account id", name, id, accepts, err)
				}
			}
		}
		r.wantNoWrites()
		if u, err := r.get(str(a.ID)); err != nil || u.Status != status {
			t.Errorf("%+v, %v", u, err)
		}
		if gone, err := r.delete(str(a.ID)); err != nil || gone {
			t.Errorf("by id: already gone %t, %v", gone, err)
		}
		if gone, err := r.delete("new@example.com"); err != nil || !gone {
			t.Errorf("afterwards: already gone %t, %v", gone, err)
		}
	}
}

// The same while the share is being removed: the address that has none any more
// does not stand for a share that is gone.
func TestInvitedAddressRegistersMeanwhile(t *testing.T) {
	r := newRig(t)
	sh := r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "new@example.com", AllLibraries: true})
	seen := 0
	r.before = func(req *http.Request) {
		if strings.HasSuffix(req.URL.Path, "/owned/pending") {
			if seen++; seen == 2 {
				r.fake.MustAddAccount(plextest.Account{Username: "newcomer", Email: "new@example.com"})
				r.fake.Accept(sh.ID)
			}
		}
	}
	_, err := r.delete("new@example.com")
	r.want(err, sdk.ReasonInvalid, "account id")
}

// A list that plex.tv cuts short makes nobody disappear.
func TestListUsersNewerListsEmpty(t *testing.T) {
	r := crowded(t)
	r.fake.AddFault(plextest.Fault{Kind: plextest.FaultStatus, Status: 200, Body: "[]", Path: "/api/v2/shared_servers/owned/accepted"})
	users, err := r.list()
	if err != nil {
		t.Fatal(err)
	}
	if got := byName(users); got["alice"].Status != sdk.StatusActive || got["alice"].Libraries == nil || got["alice"].Libraries.Mode != sdk.LibraryOnly || len(got) != 7 {
		t.Errorf("users %+v", users)
	}
}

func TestListUsersFallbacks(t *testing.T) {
	t.Run("NewerListsGone", func(t *testing.T) {
		r := crowded(t)
		r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: "/api/v2/shared_servers/owned/*"})
		users, err := r.list()
		if err != nil {
			t.Fatal(err)
		}
		got := byName(users)
		if len(got) != 7 || got["bob"].Status != sdk.StatusPending || got["Kid"].Kind != kindManaged || got["alice"].Permissions[sdk.PermissionDownload] != sdk.Allow {
			t.Errorf("users %+v", users)
		}
		if u, err := r.get(got["alice"].ID); err != nil || len(u.PluginState) == 0 {
			t.Errorf("%+v, %v", u, err)
		}
		if !strings.Contains(r.log.String(), "no longer offers the newer lists") {
			t.Error("nothing in the log about it")
		}
	})
	t.Run("OlderListGone", func(t *testing.T) {
		r := crowded(t)
		r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: "/api/servers/*/shared_servers"})
		if users, err := r.list(); err != nil || len(users) != 7 {
			t.Errorf("%d users, %v", len(users), err)
		}
	})
	t.Run("NewerHomeGone", func(t *testing.T) {
		r := crowded(t)
		r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: "/api/v2/home/users"})
		if users, err := r.list(); err != nil || len(users) != 7 || byName(users)["Kid"].Kind != kindManaged {
			t.Errorf("%+v, %v", users, err)
		}
	})
	t.Run("HomeGone", func(t *testing.T) {
		r := crowded(t)
		r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: "/api/v2/home/users"})
		r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: "/api/home/users"})
		_, err := r.list()
		r.want(err, sdk.ReasonEndpointGone, "GET /api/home/users")
	})
}

// Nobody is told as gone on an error: no list, no "not found".
func TestReadsFailLoudly(t *testing.T) {
	paths := []string{
		"/api/v2/user", "/api/v2/shared_servers/owned/pending", "/api/v2/shared_servers/owned/accepted",
		"/api/servers/*/shared_servers", "/api/v2/home/users",
	}
	faults := []plextest.Fault{
		{Kind: plextest.FaultDown}, {Kind: plextest.FaultHTML}, {Kind: plextest.FaultRateLimit}, {Kind: plextest.FaultDropRequest},
		{Kind: plextest.FaultTruncate}, {Kind: plextest.FaultStatus, Status: 200, Body: "<html><body>portal</body></html>"},
		{Kind: plextest.FaultStatus, Status: 200, Body: "null"}, {Kind: plextest.FaultStatus, Status: 200},
		{Kind: plextest.FaultStatus, Status: 403}, {Kind: plextest.FaultStatus, Status: 500},
	}
	r := crowded(t)
	for _, path := range paths {
		for _, fault := range faults {
			fault.Path = path
			r.fake.AddFault(fault)
			users, err := r.list()
			if err == nil {
				t.Errorf("%s with %s %d %q: a list of %d users", path, fault.Kind, fault.Status, fault.Body, len(users))
			}
			_, err = r.get(str(r.alice.ID))
			if reason := sdk.ReasonOf(err); err == nil || reason == sdk.ReasonNotFound || reason == sdk.ReasonInternal {
				t.Errorf("%s with %s %d %q: reading alice says %v", path, fault.Kind, fault.Status, fault.Body, err)
			}
			r.fake.ClearFaults()
		}
	}
}

func TestListUsersStopsWhenToldTo(t *testing.T) {
	r := crowded(t)
	stop := errors.New("enough")
	n := 0
	err := r.c.ListUsers(t.Context(), sdk.ListUsersRequest{}, func(sdk.User) error {
		n++
		return stop
	})
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("%v after %d", err, n)
	}
}

func TestFindUser(t *testing.T) {
	r := crowded(t)
	find := func(req sdk.FindUserRequest) (sdk.User, error) {
		out, err := r.c.FindUser(t.Context(), req)
		return out.User, r.saw(err)
	}
	for _, req := range []sdk.FindUserRequest{{AccountID: str(r.alice.ID)}, {Username: "ALICE"}, {Username: strings.ToUpper(r.alice.Email)}} {
		if u, err := find(req); err != nil || u.ID != str(r.alice.ID) {
			t.Errorf("%+v: %+v, %v", req, u, err)
		}
	}
	for name, kind := range map[string]string{"owner": kindOwner, "Kid": kindManaged, "carol": kindHome} {
		if u, err := find(sdk.FindUserRequest{Username: name}); err != nil || u.Kind != kind {
			t.Errorf("%s: %+v, %v", name, u, err)
		}
	}
	for _, req := range []sdk.FindUserRequest{{Username: "erin"}, {Username: "frank"}, {Username: "dave"}, {AccountID: "12345"}, {AccountID: str(r.owner.ID)}} {
		_, err := find(req)
		r.want(err, sdk.ReasonNotFound)
	}
	for _, req := range []sdk.FindUserRequest{{}, {Username: "a", AccountID: "1"}} {
		_, err := find(req)
		r.want(err, sdk.ReasonInvalid)
	}
}

// An unknown id is not found, whatever it looks like.
func TestGetUserUnknown(t *testing.T) {
	r := crowded(t)
	for _, id := range []string{"", "0", "1", "999999999999999999999", "x", "../../user", "a@b", "alice"} {
		_, err := r.get(id)
		r.want(err, sdk.ReasonNotFound)
	}
}

// A list that counts more libraries than it names is completed.
func TestShortLibraries(t *testing.T) {
	r := newRig(t)
	sh := r.fake.MustAddShare(plextest.ShareSpec{
		Server: r.server.ID(), Invited: "alice", Accepted: true,
		Sections: []int64{r.server.Section("Movies").ID, r.server.Section("Music").ID},
	})
	r.fake.AddFault(plextest.Fault{
		Kind: plextest.FaultStatus, Status: 200, Path: "/api/v2/shared_servers/owned/accepted",
		Body: `[{"id":` + str(sh.ID) + `,"machineIdentifier":"` + r.server.ID() + `","invitedId":` + str(r.alice.ID) +
			`,"accepted":true,"allLibraries":false,"numLibraries":2,"sharingSettings":{"allowSync":false},"libraries":[]}]`,
	})
	u, err := r.get(str(r.alice.ID))
	if err != nil || u.Libraries == nil || len(u.Libraries.IDs) != 2 {
		t.Errorf("%+v, %v", u.Libraries, err)
	}
}

// Somebody accepts between two lists that are read one after the other: nobody
// is missing from both, whichever lists there are.
func TestListUsersWhileSomebodyAccepts(t *testing.T) {
	for _, path := range []string{"/owned/pending", "/owned/accepted", "/shared_servers"} {
		r := newRig(t)
		r.fake.AddFault(plextest.Fault{Kind: plextest.FaultGone, Path: "/api/servers/*/shared_servers"})
		sh := r.fake.MustAddShare(plextest.ShareSpec{Server: r.server.ID(), Invited: "alice", AllLibraries: true})
		r.on(http.MethodGet, path, func() { r.fake.Accept(sh.ID) })
		users, err := r.list()
		if err != nil || len(users) != 2 {
			t.Errorf("accepted before %s: %+v, %v", path, users, err)
		}
	}
}
