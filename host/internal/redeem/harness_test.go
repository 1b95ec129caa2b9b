package redeem

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/zondarr/zondarr/ent/db"
	invitationrow "github.com/zondarr/zondarr/ent/db/invitation"
	"github.com/zondarr/zondarr/ent/db/redemption"
	"github.com/zondarr/zondarr/ent/db/redemptionstep"
	"github.com/zondarr/zondarr/ent/db/user"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/grant"
	"github.com/zondarr/zondarr/host/internal/identity"
	"github.com/zondarr/zondarr/host/internal/invitation"
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

const goodPassword = "correct horse"

// world is a database, simulated media servers, and the services on them: what a
// host is made of, without HTTP.
type world struct {
	t       testing.TB
	db      *database.DB
	fake    *sdktest.Fake
	seat    *registry.Seat
	plugins *registry.Registry
	box     *secret.Box
	servers *mediaserver.Service
	// fakes are the media servers by the name that Zondarr has for them.
	fakes       map[string]*sdktest.FakeServer
	ids         map[string]uuid.UUID
	libraries   map[string][]mediaserver.Library
	invitations *invitation.Service
	identities  *identity.Service
	pause       *job.Pause
	log         *slog.Logger
	// virtual says that time stands still for the database, too.
	virtual bool
}

// newWorld makes a world with media servers of these names.
func newWorld(t testing.TB, d *database.DB, fake *sdktest.Fake, names ...string) *world {
	t.Helper()
	box, err := secret.New("a secret key of at least thirty-two bytes", "")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, db: d, fake: fake, plugins: registry.New(), box: box, fakes: map[string]*sdktest.FakeServer{}, ids: map[string]uuid.UUID{},
		libraries: map[string][]mediaserver.Library{}, log: slog.New(slog.DiscardHandler), pause: &job.Pause{DB: d},
	}
	if os.Getenv("ZONDARR_TEST_LOG") != "" {
		w.log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	if w.seat, err = w.plugins.RegisterLocal(fake); err != nil {
		t.Fatal(err)
	}
	w.servers = &mediaserver.Service{DB: d, Registry: w.plugins, Box: box, InstallationID: "installation-of-a-test", Now: database.Now}
	w.invitations = &invitation.Service{DB: d, Types: w.plugins, Now: database.Now}
	w.identities = &identity.Service{DB: d, Servers: w.servers, Clients: w.plugins, Box: box, Pause: w.pause, Log: w.log, Now: database.Now}
	for _, name := range names {
		w.addServer(fake, name)
	}
	return w
}

// withType adds a server of another type.
func (w *world) withType(fake *sdktest.Fake, name string) {
	w.t.Helper()
	if _, err := w.plugins.RegisterLocal(fake); err != nil {
		w.t.Fatal(err)
	}
	w.addServer(fake, name)
}

func (w *world) addServer(fake *sdktest.Fake, name string) {
	w.t.Helper()
	fs := fake.AddServer(name)
	w.t.Cleanup(fs.Close)
	public := "https://" + name + ".example.org"
	stored, err := w.servers.Create(w.t.Context(), mediaserver.CreateParams{
		Name: name, PublicURL: &public, Enabled: true,
		Connection: mediaserver.Connection{ServerType: fake.Describe().ServerType, URL: fs.URL(), Secrets: map[string]string{"api_key": sdktest.FakeKey}},
	})
	if err != nil {
		w.t.Fatalf("server %s: %v", name, err)
	}
	w.fakes[name], w.ids[name] = fs, stored.ID
	libraries, err := w.servers.Libraries(w.t.Context(), stored.ID, page.Request{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.libraries[name] = libraries.Items
}

// films is access to the first library of a server, and no download.
func (w *world) films(server string) invitation.ServerGrant {
	return invitation.ServerGrant{ServerID: w.ids[server], Grant: grant.Grant{
		Access: sdk.LibraryOnly, LibraryIDs: []uuid.UUID{w.libraries[server][0].ID}, Permissions: map[string]string{sdk.PermissionDownload: grant.Allow},
	}}
}

// invite makes an invitation for servers.
func (w *world) invite(uses *int, servers ...string) invitation.Invitation {
	w.t.Helper()
	p := invitation.CreateParams{MaxUses: &uses}
	for _, name := range servers {
		p.Servers = append(p.Servers, w.films(name))
	}
	inv, err := w.invitations.Create(w.t.Context(), p)
	if err != nil {
		w.t.Fatal(err)
	}
	return inv
}

// start starts a service of this world; it is stopped when the test ends.
func (w *world) start(change ...func(*Service)) *Service {
	s := w.service(change...)
	s.Start(w.t.Context())
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s.Stop(ctx)
	})
	return s
}

func (w *world) service(change ...func(*Service)) *Service {
	s := &Service{
		DB: w.db, Invitations: w.invitations, Identities: w.identities, Servers: w.servers, Clients: w.plugins, Box: w.box, Pause: w.pause,
		Policy: DefaultPolicy(), Owner: uuid.NewString(), BaseURL: "https://join.example.org", Log: w.log, Now: database.Now,
	}
	if w.virtual {
		s.Time = func(context.Context, *db.Tx) (time.Time, error) { return database.Now(), nil }
	}
	for _, f := range change {
		f(s)
	}
	return s
}

func (w *world) redemption(r Result) Redemption {
	w.t.Helper()
	row, err := withSteps(w.db.Ent.Redemption.Query().Where(redemption.PublicID(r.PublicID))).Only(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return toRedemption(row)
}

// only gives the one redemption there is.
func (w *world) only() Redemption {
	w.t.Helper()
	row, err := withSteps(w.db.Ent.Redemption.Query()).Only(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return toRedemption(row)
}

// balanced checks the ledger: what must hold whenever nothing is in hand.
func (w *world) balanced(before map[string][]sdk.User) error {
	ctx := context.Background()
	for _, inv := range w.db.Ent.Invitation.Query().AllX(ctx) {
		used := w.db.Ent.Redemption.Query().Where(redemption.InvitationID(inv.ID),
			redemption.StateIn(redemption.StateCompleted, redemption.StateInProgress)).CountX(ctx)
		if used != inv.UseCount {
			return fmt.Errorf("invitation %s has use_count %d, and %d redemptions are completed or in progress", inv.Code, inv.UseCount, used)
		}
		if inv.MaxUses != nil && inv.UseCount > *inv.MaxUses {
			return fmt.Errorf("invitation %s was used %d times, at most %d are allowed", inv.Code, inv.UseCount, *inv.MaxUses)
		}
	}
	for name, fs := range w.fakes {
		untouched := map[string]sdk.User{}
		for _, u := range before[name] {
			untouched[u.ID] = u
		}
		there := map[string]bool{}
		for _, u := range fs.Users() {
			there[u.ID] = true
			if old, ok := untouched[u.ID]; ok {
				if fmt.Sprintf("%+v", essence(old)) != fmt.Sprintf("%+v", essence(u)) {
					return fmt.Errorf("%s: the account %s, there before, was changed", name, u.Username)
				}
				continue
			}
			known := w.db.Ent.User.Query().Where(user.ServerID(w.ids[name]), user.ExternalID(u.ID)).CountX(ctx) == 1
			// A name that is held by an unfinished redemption says that the account is
			// known, and looked after.
			held := w.db.Ent.RedemptionStep.Query().Where(redemptionstep.ServerID(w.ids[name]), redemptionstep.ReleasedAtIsNil(),
				redemptionstep.HasRedemptionWith(redemption.FinishedAtIsNil()),
				redemptionstep.Or(redemptionstep.ExternalID(u.ID), redemptionstep.UsernameFolded(identity.Fold(u.Username)))).ExistX(ctx)
			if !known && !held {
				return fmt.Errorf("%s: nobody knows the account %s (%s)", name, u.Username, u.ID)
			}
		}
		for id, u := range untouched {
			if !there[id] {
				return fmt.Errorf("%s: the account %s, there before, is gone", name, u.Username)
			}
		}
		for _, u := range w.db.Ent.User.Query().Where(user.ServerID(w.ids[name])).AllX(ctx) {
			if !there[u.ExternalID] {
				return fmt.Errorf("%s: the user %s has no account", name, u.Username)
			}
		}
	}
	return nil
}

// essence leaves out what is a pointer.
func essence(u sdk.User) sdk.User {
	if u.Libraries != nil {
		u.Kind += fmt.Sprint(*u.Libraries)
	}
	if u.SignedIn != nil {
		u.Kind += fmt.Sprint(*u.SignedIn)
	}
	u.Libraries, u.SignedIn, u.CreatedAt, u.LastActiveAt = nil, nil, time.Time{}, time.Time{}
	return u
}

// all gives every user of every media server.
func (w *world) all() map[string][]sdk.User {
	out := map[string][]sdk.User{}
	for name, fs := range w.fakes {
		out[name] = fs.Users()
	}
	return out
}

func (w *world) uses(inv invitation.Invitation) int {
	w.t.Helper()
	return w.db.Ent.Invitation.Query().Where(invitationrow.ID(inv.ID)).OnlyX(w.t.Context()).UseCount
}

// together runs n of f at once, and waits for all.
func together(n int, f func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	all.Wait()
}

// serial makes a tap that several servers' goroutines call at once.
func serial(tap func(point string) error) func(point string) error {
	var mu sync.Mutex
	return func(point string) error {
		mu.Lock()
		defer mu.Unlock()
		return tap(point)
	}
}
