package identity

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/user"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/grant"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/host/internal/job"
	"github.com/zondarr/zondarr/host/internal/mediaserver"
	"github.com/zondarr/zondarr/host/internal/page"
	"github.com/zondarr/zondarr/host/internal/registry"
	"github.com/zondarr/zondarr/host/internal/secret"
	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

// world is a person with one account on each of two media servers.
type world struct {
	t        *testing.T
	db       *database.DB
	fake     *sdktest.Fake
	servers  map[string]*sdktest.FakeServer
	ids      map[string]uuid.UUID
	registry *registry.Registry
	service  *Service
	person   uuid.UUID
	users    map[string]uuid.UUID
	now      time.Time
}

func newWorld(t *testing.T, d *database.DB) *world {
	t.Helper()
	box, err := secret.New("a secret key of at least thirty-two bytes", "")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, db: d, fake: sdktest.NewFake(), servers: map[string]*sdktest.FakeServer{}, ids: map[string]uuid.UUID{}, registry: registry.New(),
		users: map[string]uuid.UUID{}, now: database.Now(),
	}
	if _, err := w.registry.RegisterLocal(w.fake); err != nil {
		t.Fatal(err)
	}
	media := &mediaserver.Service{DB: d, Registry: w.registry, Box: box, InstallationID: "i", Now: database.Now}
	w.service = &Service{
		DB: d, Servers: media, Clients: w.registry, Box: box, Pause: &job.Pause{DB: d},
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return w.now },
	}
	person := New{DisplayName: "Bob"}
	names := []string{"home", "attic"}
	for _, name := range names {
		fs := w.fake.AddServer(name)
		t.Cleanup(fs.Close)
		stored, err := media.Create(t.Context(), mediaserver.CreateParams{Name: name, Enabled: true, Connection: mediaserver.Connection{
			ServerType: sdktest.FakeType, URL: fs.URL(), Secrets: map[string]string{"api_key": sdktest.FakeKey},
		}})
		if err != nil {
			t.Fatal(err)
		}
		libs, err := media.Libraries(t.Context(), stored.ID, page.Request{})
		if err != nil {
			t.Fatal(err)
		}
		w.servers[name], w.ids[name] = fs, stored.ID
		account := fs.AddUser(sdk.User{
			Username: "bob", Libraries: &sdk.LibraryAccess{Mode: sdk.LibraryOnly, IDs: []string{libs.Items[0].ExternalID}},
			Permissions: map[string]sdk.Tri{sdk.PermissionDownload: sdk.Allow},
		}, "correct horse")
		fs.ChangeUser(account.ID, func(u *sdk.User) { u.PluginState = []byte("state of " + account.ID) })
		person.Users = append(person.Users, NewUser{
			ServerID: stored.ID, Account: account, Origin: OriginRedemption, OnExpiry: grant.ExpiryDisable,
			Asked:     sdk.Grant{Libraries: *account.Libraries, Permissions: account.Permissions},
			Libraries: map[string]string{libs.Items[0].ExternalID: libs.Items[0].ID.String()},
		})
	}
	created, err := database.WithTx(t.Context(), d, func(ctx context.Context, tx *db.Tx) (Created, error) { return w.service.CreateTx(ctx, tx, person) })
	if err != nil {
		t.Fatal(err)
	}
	w.person = created.IdentityID
	for i, name := range names {
		w.users[name] = created.UserIDs[i]
	}
	return w
}

func (w *world) user(name string) User {
	w.t.Helper()
	u, err := w.service.GetUser(w.t.Context(), w.users[name])
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

func (w *world) account(name string) sdk.User {
	w.t.Helper()
	u, ok := w.servers[name].UserByName("bob")
	if !ok {
		w.t.Fatalf("%s has no bob", name)
	}
	return u
}

func TestSuspendAndResumeLoseNothing(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		w := newWorld(t, d)
		u, err := w.service.UpdateUser(t.Context(), w.users["home"], UserPatch{Enabled: new(false)})
		if err != nil {
			t.Fatal(err)
		}
		if u.Enabled || u.Status != StatusSuspended || w.account("home").Status != sdk.StatusSuspended {
			t.Fatalf("after disabling: %+v, on the server %s", u, w.account("home").Status)
		}
		if row := d.Ent.User.GetX(t.Context(), u.ID); len(row.PluginState) == 0 || string(row.PluginState) == "state of "+u.ExternalID {
			t.Error("the plugin's state is not kept, or not sealed")
		}
		if w.account("attic").Status != sdk.StatusActive {
			t.Error("the account on the other server was touched")
		}
		// The server forgets what the account could do, as some do to suspend.
		w.servers["home"].ChangeUser(u.ExternalID, func(u *sdk.User) {
			u.Libraries, u.Permissions = &sdk.LibraryAccess{Mode: sdk.LibraryNone}, nil
		})
		if u, err = w.service.UpdateUser(t.Context(), u.ID, UserPatch{Enabled: new(true)}); err != nil {
			t.Fatal(err)
		}
		account := w.account("home")
		if !u.Enabled || u.Status != StatusActive || account.Status != sdk.StatusActive {
			t.Errorf("after enabling: %+v, on the server %s", u, account.Status)
		}
		if account.Libraries.Mode != sdk.LibraryOnly || !slices.Equal(account.Libraries.IDs, []string{"lib-1"}) ||
			account.Permissions[sdk.PermissionDownload] != sdk.Allow {
			t.Errorf("the access that came back is %+v %v", account.Libraries, account.Permissions)
		}
		if row := d.Ent.User.GetX(t.Context(), u.ID); len(row.PluginState) != 0 {
			t.Error("the plugin's state is kept beyond the suspension")
		}
	})
}

func TestDisablingTwiceKeepsTheRealAccess(t *testing.T) {
	hosttest.EachDB(t, disablingTwiceKeepsTheRealAccess)
}

func disablingTwiceKeepsTheRealAccess(t *testing.T, d *database.DB) {
	w := newWorld(t, d)
	for range 2 {
		if _, err := w.service.UpdateUser(t.Context(), w.users["home"], UserPatch{Enabled: new(false)}); err != nil {
			t.Fatal(err)
		}
		w.servers["home"].ChangeUser(w.account("home").ID, func(u *sdk.User) { u.Libraries = &sdk.LibraryAccess{Mode: sdk.LibraryNone} })
	}
	if u := w.user("home"); u.Libraries == nil || u.Libraries.Access != sdk.LibraryOnly || len(u.Libraries.LibraryIDs) != 1 {
		t.Errorf("the second disabling stored the emptied access: %+v", u.Libraries)
	}
}

func TestRefusedWrites(t *testing.T) { hosttest.EachDB(t, refusedWrites) }

func refusedWrites(t *testing.T, d *database.DB) {
	w := newWorld(t, d)
	home := w.users["home"]
	lacks := func(c sdk.Capability) {
		w.servers["home"].SetFacts(func(f *sdk.ServerFacts) {
			f.Capabilities = slices.DeleteFunc(f.Capabilities, func(have sdk.Capability) bool { return have == c })
		})
		if _, err := w.service.Servers.(*mediaserver.Service).TestStored(t.Context(), w.ids["home"]); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("ServerDown", func(t *testing.T) {
		w.servers["home"].Fault("Suspend", sdktest.Fault{Err: sdk.Errorf(sdk.ReasonUnavailable, "connection refused")})
		_, err := w.service.UpdateUser(t.Context(), home, UserPatch{Enabled: new(false)})
		if f := fault.As(err); f == nil || f.Code != fault.CodeServerUnreachable || f.Server.Name != "home" {
			t.Errorf("got %v", err)
		}
		if u := w.user("home"); !u.Enabled || u.Status != StatusActive {
			t.Errorf("what the server did not do was stored: %+v", u)
		}
		w.servers["home"].ClearFaults()
	})
	t.Run("EnabledWhileExpired", func(t *testing.T) {
		past := w.now.Add(-time.Hour)
		_, err := w.service.UpdateUser(t.Context(), home, UserPatch{Enabled: new(true), ExpiresAt: new(&past)})
		if fault.CodeOf(err) != fault.CodeInvalidInput {
			t.Errorf("got %v", err)
		}
	})
	t.Run("CapabilityMissing", func(t *testing.T) {
		lacks(sdk.CapSuspend)
		if _, err := w.service.UpdateUser(t.Context(), home, UserPatch{Enabled: new(false)}); fault.CodeOf(err) != fault.CodeCapabilityUnsupported {
			t.Errorf("disable: %v", err)
		}
		soon := w.now.Add(time.Hour)
		if _, err := w.service.UpdateUser(t.Context(), home, UserPatch{ExpiresAt: new(&soon)}); fault.CodeOf(err) != fault.CodeExpiryActionUnsupported {
			t.Errorf("expiry: %v", err)
		}
		if _, err := w.service.Update(t.Context(), w.user("home").IdentityID, Patch{ExpiresAt: new(&soon)}); fault.CodeOf(err) != fault.CodeExpiryActionUnsupported {
			t.Errorf("expiry of the person: %v", err)
		}
		if _, err := w.service.UpdateUser(t.Context(), home, UserPatch{ExpiresAt: new(&soon), OnExpiry: new(grant.ExpiryDelete)}); err != nil {
			t.Errorf("an expiry that deletes: %v", err)
		}
	})
	t.Run("Protected", func(t *testing.T) {
		w.servers["attic"].ChangeUser(w.account("attic").ID, func(u *sdk.User) { u.Protected = true })
		for range 2 { // learned from the server, then known
			if _, err := w.service.UpdateUser(t.Context(), w.users["attic"], UserPatch{Enabled: new(false)}); fault.CodeOf(err) != fault.CodeProtectedAccount {
				t.Errorf("disable: %v", err)
			}
		}
		if err := w.service.DeleteUser(t.Context(), w.users["attic"], true); fault.CodeOf(err) != fault.CodeProtectedAccount {
			t.Errorf("delete: %v", err)
		}
		if err := w.service.Delete(t.Context(), w.person, true); fault.CodeOf(err) != fault.CodeProtectedAccount {
			t.Errorf("delete the person: %v", err)
		}
		if _, there := w.servers["home"].UserByName("bob"); !there {
			t.Error("an account was deleted although the whole was refused")
		}
	})
}

func TestPersonIsDisabledEverywhere(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		w := newWorld(t, d)
		// The second server is down: the person stays, and the repetition goes on.
		w.servers["attic"].Fault("Suspend", sdktest.Fault{Times: 1, Err: sdk.Errorf(sdk.ReasonUnavailable, "down")})
		if _, err := w.service.Update(t.Context(), w.person, Patch{Enabled: new(false)}); fault.CodeOf(err) != fault.CodeServerUnreachable {
			t.Fatalf("got %v", err)
		}
		if i, _ := w.service.Get(t.Context(), w.person); !i.Enabled || i.State != StateActive {
			t.Error("the person is stored as disabled although an account works")
		}
		i, err := w.service.Update(t.Context(), w.person, Patch{Enabled: new(false), Note: new(new("moved away"))})
		if err != nil {
			t.Fatal(err)
		}
		if i.State != StateDisabled || i.Note == nil || *i.Note != "moved away" || len(i.Users) != 2 {
			t.Errorf("got %+v", i)
		}
		for _, name := range []string{"home", "attic"} {
			// R2.9: effectively enabled when both are; what we want of the user stays.
			if u := w.user(name); !u.Enabled || u.Status != StatusSuspended || w.account(name).Status != sdk.StatusSuspended {
				t.Errorf("%s: %+v", name, u)
			}
		}
		if _, err := w.service.Update(t.Context(), w.person, Patch{Enabled: new(true)}); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"home", "attic"} {
			if u := w.user(name); u.Status != StatusActive || w.account(name).Status != sdk.StatusActive {
				t.Errorf("%s did not come back: %+v", name, u)
			}
		}
	})
}

func TestExpiry(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		w := newWorld(t, d)
		end := w.now.Add(time.Hour)
		if _, err := w.service.UpdateUser(t.Context(), w.users["home"], UserPatch{ExpiresAt: new(&end)}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.service.UpdateUser(t.Context(), w.users["attic"], UserPatch{OnExpiry: new(grant.ExpiryDelete)}); err != nil {
			t.Fatal(err)
		}
		sweep := func() {
			t.Helper()
			if err := w.service.Expire(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		w.now = end.Add(-time.Microsecond)
		sweep()
		if w.account("home").Status != sdk.StatusActive {
			t.Fatal("the account ended before its time")
		}
		w.now = end // an instant at expires_at is expired
		// Paused, nothing is touched, and the admin is told what would be.
		pause := w.service.Pause.(*job.Pause)
		if err := pause.Set(t.Context(), "restored"); err != nil {
			t.Fatal(err)
		}
		sweep()
		intents, err := w.service.Pending(t.Context())
		if err != nil || len(intents) != 1 || intents[0].Would != grant.ExpiryDisable || intents[0].ServerName != "home" {
			t.Errorf("intents %+v, %v", intents, err)
		}
		if w.account("home").Status != sdk.StatusActive {
			t.Fatal("a paused instance touched a media server")
		}
		if _, err := pause.Lift(t.Context()); err != nil {
			t.Fatal(err)
		}
		// Its server is down: it waits, and the other accounts do not.
		w.servers["home"].Fault("Suspend", sdktest.Fault{Times: 1, Err: sdk.Errorf(sdk.ReasonUnavailable, "down")})
		if _, err := w.service.Update(t.Context(), w.person, Patch{ExpiresAt: new(&end)}); err != nil { // R2.9: the earlier of both
			t.Fatal(err)
		}
		sweep()
		if _, there := w.servers["attic"].UserByName("bob"); there {
			t.Error("the account that should be deleted is still there")
		}
		if _, err := w.service.GetUser(t.Context(), w.users["attic"]); fault.CodeOf(err) != fault.CodeNotFound {
			t.Errorf("its record: %v", err)
		}
		if w.user("home").Status != StatusActive {
			t.Error("an account is stored as suspended although its server was down")
		}
		sweep()
		if u := w.user("home"); u.Status != StatusSuspended || !u.Enabled || w.account("home").Status != sdk.StatusSuspended {
			t.Errorf("after the server came back: %+v", u)
		}
		// A later expiry gives the access back.
		later := w.now.Add(24 * time.Hour)
		if _, err := w.service.Update(t.Context(), w.person, Patch{ExpiresAt: new((*time.Time)(nil))}); err != nil {
			t.Fatal(err)
		}
		if w.account("home").Status != sdk.StatusSuspended {
			t.Error("the account works although its own expiry has passed")
		}
		if u, err := w.service.UpdateUser(t.Context(), w.users["home"], UserPatch{ExpiresAt: new(&later)}); err != nil || u.Status != StatusActive {
			t.Errorf("extended: %+v, %v", u, err)
		}
	})
}

func TestDelete(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		w := newWorld(t, d)
		if err := w.service.DeleteUser(t.Context(), w.users["home"], false); err != nil {
			t.Fatal(err)
		}
		if _, there := w.servers["home"].UserByName("bob"); !there {
			t.Error("the account was deleted although it should be kept")
		}
		w.servers["attic"].Fault("DeleteUser", sdktest.Fault{Times: 1, Err: sdk.Errorf(sdk.ReasonUnavailable, "down")})
		if err := w.service.Delete(t.Context(), w.person, true); fault.CodeOf(err) != fault.CodeServerUnreachable {
			t.Fatalf("got %v", err)
		}
		if _, err := w.service.GetUser(t.Context(), w.users["attic"]); err != nil {
			t.Errorf("the record of an account that is still there is gone: %v", err)
		}
		if err := w.service.Delete(t.Context(), w.person, true); err != nil {
			t.Fatal(err)
		}
		if _, there := w.servers["attic"].UserByName("bob"); there {
			t.Error("the account is still there")
		}
		if _, err := w.service.Get(t.Context(), w.person); fault.CodeOf(err) != fault.CodeNotFound {
			t.Errorf("the person: %v", err)
		}
		if n := d.Ent.User.Query().CountX(t.Context()); n != 0 {
			t.Errorf("%d users are left", n) // R2.8
		}
	})
}

func TestLists(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		w := newWorld(t, d)
		past := w.now.Add(-time.Minute)
		d.Ent.User.Update().Where(user.ID(w.users["attic"])).SetExpiresAt(past).ExecX(t.Context())
		for name, tc := range map[string]struct {
			filter UserFilter
			want   int
		}{
			"All":           {UserFilter{}, 2},
			"ByServer":      {UserFilter{ServerID: []uuid.UUID{w.ids["home"]}}, 1},
			"ByPerson":      {UserFilter{IdentityID: []uuid.UUID{w.person}}, 2},
			"ExpiresBefore": {UserFilter{ExpiresBefore: &w.now}, 1},
			"Enabled":       {UserFilter{Enabled: new(false)}, 0},
			"Status":        {UserFilter{Status: []string{StatusActive}}, 2},
			"Text":          {UserFilter{Query: "BO"}, 2},
			"TextElsewhere": {UserFilter{Query: "alice"}, 0},
			"Origin":        {UserFilter{Origin: []string{OriginImport}}, 0},
		} {
			got, err := w.service.ListUsers(t.Context(), tc.filter, page.Request{})
			if err != nil || len(got.Items) != tc.want {
				t.Errorf("%s: %d users, %v; want %d", name, len(got.Items), err, tc.want)
			}
		}
		for _, sort := range []string{"username", "-created_at", "expires_at", "-expires_at"} {
			var seen []uuid.UUID
			for cursor := ""; ; {
				got, err := w.service.ListUsers(t.Context(), UserFilter{}, page.Request{Limit: 1, Sort: sort, Cursor: cursor})
				if err != nil {
					t.Fatal(err)
				}
				for _, u := range got.Items {
					seen = append(seen, u.ID)
				}
				if cursor = got.NextCursor; cursor == "" {
					break
				}
			}
			if len(seen) != 2 || seen[0] == seen[1] {
				t.Errorf("by %s, page by page: %v", sort, seen)
			}
		}
		people, err := w.service.List(t.Context(), Filter{State: []State{StateActive}, ServerID: []uuid.UUID{w.ids["home"]}, Query: "bob"}, page.Request{})
		if err != nil || len(people.Items) != 1 || len(people.Items[0].Users) != 2 || people.Items[0].Users[0].ServerName == "" {
			t.Errorf("people %+v, %v", people, err)
		}
	})
}
