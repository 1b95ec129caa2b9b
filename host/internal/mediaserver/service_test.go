package mediaserver_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/host/internal/mediaserver"
	"github.com/zondarr/zondarr/host/internal/page"
	"github.com/zondarr/zondarr/host/internal/registry"
	"github.com/zondarr/zondarr/host/internal/secret"
	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

type world struct {
	*mediaserver.Service
	fake *sdktest.Fake
	seat *registry.Seat
	home *sdktest.FakeServer
}

func newWorld(t testing.TB, db *database.DB) world {
	t.Helper()
	fake := sdktest.NewFake()
	home := fake.AddServer("home")
	t.Cleanup(home.Close)
	r := registry.New()
	seat, err := r.RegisterLocal(fake)
	if err != nil {
		t.Fatal(err)
	}
	box, err := secret.New(strings.Repeat("k", 32), "")
	if err != nil {
		t.Fatal(err)
	}
	return world{
		Service: &mediaserver.Service{DB: db, Registry: r, Box: box, InstallationID: "installation", Now: database.Now},
		fake:    fake, seat: seat, home: home,
	}
}

func (w world) params() mediaserver.CreateParams {
	return mediaserver.CreateParams{
		Name: "Living room", Enabled: true, Connection: mediaserver.Connection{
			ServerType: sdktest.FakeType, URL: w.home.URL() + "/", Secrets: map[string]string{"api_key": sdktest.FakeKey},
		},
	}
}

func (w world) create(t testing.TB) mediaserver.Server {
	t.Helper()
	s, err := w.Create(t.Context(), w.params())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w world) libraries(t testing.TB, server uuid.UUID) ([]mediaserver.Library, error) {
	t.Helper()
	p, err := w.Libraries(t.Context(), server, page.Request{})
	return p.Items, err
}

func count(t testing.TB, db *database.DB) int {
	t.Helper()
	n, err := db.Ent.MediaServer.Query().Count(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestCreateTestsAndReadsLibraries(t *testing.T) { // R6.1, R6.3
	hosttest.EachDB(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		s := w.create(t)
		if s.URL != w.home.URL() || s.ExternalID == "" || s.Health.State != mediaserver.HealthOK || s.LibraryCount != 2 || s.LibrariesSyncedAt == nil {
			t.Fatalf("created %+v", s)
		}
		if !slices.Equal(s.SecretsSet, []string{"api_key"}) {
			t.Fatalf("secrets set: %v", s.SecretsSet)
		}
		row, err := db.Ent.MediaServer.Get(t.Context(), s.ID)
		if err != nil || strings.Contains(string(row.Secrets), sdktest.FakeKey) {
			t.Fatalf("the key is stored in clear, or %v", err)
		}
		ref, err := w.Ref(t.Context(), s.ID)
		if err != nil || ref.Secrets["api_key"] != sdktest.FakeKey || ref.ExternalID != s.ExternalID || ref.Version != "1.0.0" || ref.InstallationID != "installation" {
			t.Fatalf("Ref = %+v, %v", ref, err)
		}
		libs, err := w.libraries(t, s.ID)
		if err != nil || len(libs) != 2 || libs[0].Name != "Films" || libs[1].Name != "Series" {
			t.Fatalf("Libraries = %+v, %v", libs, err)
		}
		if _, err := w.Create(t.Context(), w.params()); fault.CodeOf(err) != fault.CodeServerAlreadyAdded {
			t.Fatalf("the same server twice: %v", err)
		}
	})
}

func TestFailingConnectionStoresNothing(t *testing.T) { // P10, R6.3
	db := hosttest.NewDB(t, database.SQLite)
	reasons := sdk.Reasons()
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, db)
		reason := rapid.SampledFrom(reasons).Draw(rt, "reason")
		op := rapid.SampledFrom([]string{"TestConnection", "ListLibraries"}).Draw(rt, "op")
		w.home.Fault(op, sdktest.Fault{Err: sdk.Errorf(reason, "as the test wants it")})
		_, err := w.Create(t.Context(), w.params())
		f := fault.As(err)
		if f == nil || f.Kind == fault.Internal {
			rt.Fatalf("%s answers %s: %v; want a typed error", op, reason, err)
		}
		if e, ok := errors.AsType[*sdk.Error](err); !ok || e.Kind() != reason {
			rt.Fatalf("%s answers %s: the cause is lost in %v", op, reason, err)
		}
		if n := count(t, db); n != 0 {
			rt.Fatalf("%s answers %s: %d servers are stored", op, reason, n)
		}
	})
}

func TestBadInputIsBlamedWhereItStands(t *testing.T) { // R9.2
	db := hosttest.NewDB(t, database.SQLite)
	w := newWorld(t, db)
	for name, tc := range map[string]struct {
		change   func(*mediaserver.CreateParams)
		code     string
		location string
	}{
		"NoName":        {func(p *mediaserver.CreateParams) { p.Name = " " }, fault.CodeInvalidInput, "body.name"},
		"UnknownType":   {func(p *mediaserver.CreateParams) { p.ServerType = "vhs" }, fault.CodeUnknownServerType, "body.server_type"},
		"NoURL":         {func(p *mediaserver.CreateParams) { p.URL = "home" }, fault.CodeInvalidInput, "body.url"},
		"OtherScheme":   {func(p *mediaserver.CreateParams) { p.URL = "ftp://home" }, fault.CodeInvalidInput, "body.url"},
		"UserInfo":      {func(p *mediaserver.CreateParams) { p.URL = "http://me:hunter2@home" }, fault.CodeInvalidInput, "body.url"},
		"Query":         {func(p *mediaserver.CreateParams) { p.URL = "http://home?api_key=hunter2" }, fault.CodeInvalidInput, "body.url"},
		"NoSecret":      {func(p *mediaserver.CreateParams) { p.Secrets = nil }, fault.CodeInvalidInput, "body.secrets.api_key"},
		"UnknownSecret": {func(p *mediaserver.CreateParams) { p.Secrets["token"] = "x" }, fault.CodeInvalidInput, "body.secrets.token"},
		"SecretInSettings": {func(p *mediaserver.CreateParams) { p.Settings = map[string]any{"api_key": "hunter2"} },
			fault.CodeInvalidInput, "body.settings.api_key"},
		"UnknownSetting": {func(p *mediaserver.CreateParams) { p.Settings = map[string]any{"colour": "red"} }, fault.CodeInvalidInput, "body.settings.colour"},
		"PublicURL":      {func(p *mediaserver.CreateParams) { u := "tv"; p.PublicURL = &u }, fault.CodeInvalidInput, "body.public_url"},
		"CA":             {func(p *mediaserver.CreateParams) { p.TLS.CAPEM = "nonsense" }, fault.CodeInvalidInput, "body.tls.ca_pem"},
		"WrongKey": {func(p *mediaserver.CreateParams) { p.Secrets["api_key"] = "another-key-0000" },
			fault.CodeServerCredentialsRejected, "body.secrets.api_key"},
	} {
		t.Run(name, func(t *testing.T) {
			p := w.params()
			tc.change(&p)
			_, err := w.Create(t.Context(), p)
			f := fault.As(err)
			if f == nil || f.Kind != fault.Invalid || f.Code != tc.code || !slices.ContainsFunc(f.Fields, func(x fault.Field) bool { return x.Location == tc.location }) {
				t.Fatalf("got %v with %+v; want %s at %s", err, f, tc.code, tc.location)
			}
			for _, field := range f.Fields {
				if strings.Contains(field.Message, "hunter2") || strings.Contains(f.Message, "hunter2") {
					t.Error("the error repeats the input")
				}
			}
			if n := count(t, db); n != 0 {
				t.Fatalf("%d servers are stored", n)
			}
		})
	}
}

func TestUnknownTypeListsKnown(t *testing.T) { // R4.4, P6
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	p := w.params()
	p.ServerType = "vhs"
	_, err := w.Create(t.Context(), p)
	if err == nil || !strings.Contains(err.Error(), "vhs") || !strings.Contains(fault.As(err).Fields[0].Message, sdktest.FakeType) {
		t.Fatalf("got %v", err)
	}
}

func TestUpdate(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		s := w.create(t)
		ctx := t.Context()
		str := func(v string) *string { return &v }

		calls := w.home.Calls("TestConnection")
		renamed, err := w.Update(ctx, s.ID, mediaserver.Patch{Name: str("Cellar")})
		if err != nil || renamed.Name != "Cellar" || renamed.Revision != s.Revision {
			t.Fatalf("rename: %+v, %v", renamed, err)
		}
		if w.home.Calls("TestConnection") != calls {
			t.Error("a rename tested the connection")
		}

		url := str("https://tv.example.org/")
		if got, err := w.Update(ctx, s.ID, mediaserver.Patch{PublicURL: &url}); err != nil || *got.PublicURL != "https://tv.example.org" {
			t.Fatalf("public URL: %+v, %v", got, err)
		}
		var cleared *string
		if got, err := w.Update(ctx, s.ID, mediaserver.Patch{PublicURL: &cleared}); err != nil || got.PublicURL != nil {
			t.Fatalf("public URL cleared: %+v, %v", got, err)
		}

		_, err = w.Update(ctx, s.ID, mediaserver.Patch{Secrets: map[string]*string{"api_key": str("another-key-0000")}})
		if f := fault.As(err); f == nil || f.Code != fault.CodeServerCredentialsRejected || f.Kind != fault.Invalid {
			t.Fatalf("a wrong key: %v", err)
		}
		if ref, err := w.Ref(ctx, s.ID); err != nil || ref.Secrets["api_key"] != sdktest.FakeKey || ref.Revision != s.Revision {
			t.Fatalf("a refused change was stored: %+v, %v", ref, err)
		}

		w.home.SetKey("the-new-key-0001")
		got, err := w.Update(ctx, s.ID, mediaserver.Patch{Secrets: map[string]*string{"api_key": str("the-new-key-0001")}})
		if err != nil || got.Revision != s.Revision+1 {
			t.Fatalf("a new key: %+v, %v", got, err)
		}
		if _, err := w.Update(ctx, uuid.New(), mediaserver.Patch{Name: str("x")}); fault.CodeOf(err) != fault.CodeNotFound {
			t.Fatalf("a server that is not there: %v", err)
		}
	})
}

func TestAnotherServerBehindTheURL(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	s := w.create(t)
	ctx := t.Context()
	w.home.SetFacts(func(f *sdk.ServerFacts) { f.ExternalID = "another" })

	if _, err := w.SyncLibraries(ctx, s.ID); fault.CodeOf(err) != fault.CodeServerIdentityChanged {
		t.Fatalf("sync: %v", err)
	}
	if got, err := w.Get(ctx, s.ID); err != nil || got.Health.State != mediaserver.HealthWrongServer || got.ExternalID != s.ExternalID {
		t.Fatalf("after the sync: %+v, %v", got.Health, err)
	}
	right := "another"
	for _, wrong := range []string{"a third", ""} {
		if _, err := w.Update(ctx, s.ID, mediaserver.Patch{ConfirmExternalID: &wrong}); fault.CodeOf(err) != fault.CodeServerIdentityChanged {
			t.Fatalf("confirmed %q: %v", wrong, err)
		}
	}
	got, err := w.Update(ctx, s.ID, mediaserver.Patch{ConfirmExternalID: &right})
	if err != nil || got.ExternalID != "another" || got.Health.State != mediaserver.HealthOK {
		t.Fatalf("confirmed: %+v, %v", got, err)
	}
}

// A confirmed replacement takes the new server's libraries over at once: those of the
// old one are gone, so that no invitation grants what is not there.
func TestReplacedServerReplacesLibraries(t *testing.T) { // R6.2
	hosttest.EachDB(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		s := w.create(t)
		ctx := t.Context()
		replace := func(externalID string) error {
			w.home.SetFacts(func(f *sdk.ServerFacts) { f.ExternalID = externalID })
			_, err := w.Update(ctx, s.ID, mediaserver.Patch{ConfirmExternalID: &externalID})
			return err
		}
		present := func() []string {
			t.Helper()
			libs, err := w.libraries(t, s.ID)
			if err != nil {
				t.Fatal(err)
			}
			names := []string{}
			for _, l := range libs {
				if l.MissingSince == nil {
					names = append(names, l.Name)
				}
			}
			return names
		}
		for _, l := range w.home.Libraries() {
			w.home.RemoveLibrary(l.ID)
		}
		music := w.home.AddLibrary("Music", sdk.LibraryMusic)
		w.home.Fault("ListLibraries", sdktest.Fault{Times: 1, Err: sdk.Errorf(sdk.ReasonUnavailable, "refused")})
		if err := replace("another"); fault.CodeOf(err) != fault.CodeServerUnreachable {
			t.Fatalf("its libraries cannot be read: %v", err)
		}
		if got, err := w.Get(ctx, s.ID); err != nil || got.ExternalID != s.ExternalID || !slices.Equal(present(), []string{"Films", "Series"}) {
			t.Fatalf("a refused replacement was stored: %q with %v, %v", got.ExternalID, present(), err)
		}
		if err := replace("another"); err != nil || !slices.Equal(present(), []string{"Music"}) {
			t.Fatalf("after the replacement: %v, %v", present(), err)
		}
		// Another server's list that is empty says nothing of itself, but none of the
		// old server's libraries can be there.
		w.home.RemoveLibrary(music.ID)
		if err := replace("a third"); err != nil || len(present()) != 0 {
			t.Fatalf("after a replacement without libraries: %v, %v", present(), err)
		}
		if libs, err := w.libraries(t, s.ID); err != nil || len(libs) != 3 {
			t.Fatalf("%d libraries are kept, %v; want 3", len(libs), err)
		}
	})
}

// An admin is told why a plugin is down, for which server, and when to try again, if
// that helps.
func TestPluginDown(t *testing.T) { // R9.7
	for name, tc := range map[string]struct {
		down    func(*registry.Seat)
		because string
		retry   time.Duration // 0: trying again does not help
	}{
		"Starting": {func(s *registry.Seat) { s.Down(registry.Down{Reason: "it is starting"}) }, "it is starting", 5 * time.Second},
		"Crashed": {func(s *registry.Seat) {
			s.Down(registry.Down{Reason: "It ended: exit status 2.", RetryAt: time.Now().Add(time.Hour)})
		}, "exit status 2", time.Hour},
		"Failed":   {func(s *registry.Seat) { s.Down(registry.Down{Reason: "It is for another machine.", Final: true}) }, "another machine", 0},
		"Disabled": {func(s *registry.Seat) { s.Vacate("An admin disabled it.") }, "An admin disabled it.", 0},
		"Removed":  {func(s *registry.Seat) { s.Unregister() }, "No plugin serves this server type", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, hosttest.NewDB(t, database.SQLite))
			s := w.create(t)
			tc.down(w.seat)
			ctx := t.Context()
			url := w.home.URL()
			for verb, call := range map[string]func() error{
				"Test":   func() error { _, err := w.TestStored(ctx, s.ID); return err },
				"Sync":   func() error { _, err := w.SyncLibraries(ctx, s.ID); return err },
				"Update": func() error { _, err := w.Update(ctx, s.ID, mediaserver.Patch{URL: &url}); return err },
			} {
				f := fault.As(call())
				if f == nil || f.Kind != fault.Unavailable || f.Code != fault.CodePluginUnavailable || !strings.Contains(f.Message, tc.because) {
					t.Fatalf("%s: %v", verb, f)
				}
				if f.Server == nil || *f.Server != (fault.Server{ID: s.ID.String(), Name: s.Name}) {
					t.Errorf("%s blames the server %+v", verb, f.Server)
				}
				if f.Retryable != (tc.retry > 0) || f.RetryAfter > tc.retry || f.RetryAfter < tc.retry-time.Minute {
					t.Errorf("%s: retryable %v, after %s", verb, f.Retryable, f.RetryAfter)
				}
				if strings.Contains(f.Message, "Try again") != f.Retryable {
					t.Errorf("%s advises %q", verb, f.Message)
				}
			}
			if got, err := w.Get(ctx, s.ID); err != nil || got.Health.State != mediaserver.HealthPluginUnavailable {
				t.Errorf("the health is %+v, %v", got.Health, err)
			}
		})
	}
}

func TestSyncLibraries(t *testing.T) { // R6.2
	hosttest.EachDB(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		s := w.create(t)
		ctx := t.Context()
		sync := func(want map[string]int64) {
			t.Helper()
			run, err := w.SyncLibraries(ctx, s.ID)
			if err != nil || run.State != "completed" {
				t.Fatalf("sync: %+v, %v", run, err)
			}
			for k, v := range want {
				if run.Counts[k] != v {
					t.Fatalf("counts %v; want %v", run.Counts, want)
				}
			}
		}
		sync(map[string]int64{"unchanged": 2, "added": 0, "gone": 0})
		music := w.home.AddLibrary("Music", sdk.LibraryMusic)
		sync(map[string]int64{"unchanged": 2, "added": 1})
		w.home.RemoveLibrary(music.ID)
		sync(map[string]int64{"unchanged": 2, "gone": 1})
		libs, err := w.libraries(t, s.ID)
		if err != nil || len(libs) != 3 || libs[1].Name != "Music" || libs[1].MissingSince == nil {
			t.Fatalf("a library that vanished must stay, marked: %+v, %v", libs, err)
		}
		for _, l := range w.home.Libraries() {
			w.home.RemoveLibrary(l.ID)
		}
		sync(map[string]int64{"gone": 0}) // an empty list proves nothing
		w.home.Fault("ListLibraries", sdktest.Fault{Err: sdk.Errorf(sdk.ReasonUnavailable, "refused")})
		if _, err := w.SyncLibraries(ctx, s.ID); fault.CodeOf(err) != fault.CodeServerUnreachable {
			t.Fatalf("unreachable: %v", err)
		}
		got, err := w.Get(ctx, s.ID)
		if err != nil || got.Health.State != mediaserver.HealthUnreachable || got.LibraryCount != 2 {
			t.Fatalf("after a failed sync: %+v, %v", got.Health, err)
		}
	})
}

func TestListAndDelete(t *testing.T) { // R5.1, R5.2, R2.8
	hosttest.EachDB(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		ctx := t.Context()
		s := w.create(t)
		attic := w.fake.AddServer("attic")
		t.Cleanup(attic.Close)
		p := w.params()
		p.Name, p.URL, p.Enabled = "Attic", attic.URL(), false
		if _, err := w.Create(ctx, p); err != nil {
			t.Fatal(err)
		}
		list, err := w.List(ctx, mediaserver.Filter{Query: "living"}, page.Request{Sort: "name"})
		if err != nil || len(list.Items) != 1 || list.Items[0].LibraryCount != 2 {
			t.Fatalf("List = %+v, %v", list, err)
		}
		enabled, err := w.ListEnabled(ctx)
		if err != nil || len(enabled) != 1 || enabled[0].ID != s.ID {
			t.Fatalf("ListEnabled = %+v, %v", enabled, err)
		}
		if refs, err := w.Refs(ctx); err != nil || len(refs) != 2 {
			t.Fatalf("Refs = %v, %v", refs, err)
		}
		if err := w.Delete(ctx, s.ID); err != nil {
			t.Fatal(err)
		}
		if err := w.Delete(ctx, s.ID); fault.CodeOf(err) != fault.CodeNotFound {
			t.Fatalf("deleting twice: %v", err)
		}
		if n, err := db.Ent.Library.Query().Count(ctx); err != nil || n != 2 {
			t.Fatalf("%d libraries are left, %v; want those of the other server", n, err)
		}
	})
}

func TestDamagedSecretsAreNotShown(t *testing.T) {
	db := hosttest.NewDB(t, database.SQLite)
	w := newWorld(t, db)
	s := w.create(t)
	other, err := secret.New(strings.Repeat("x", 32), "")
	if err != nil {
		t.Fatal(err)
	}
	w.Box = other
	if _, err := w.Ref(context.Background(), s.ID); !errors.Is(err, secret.ErrWrongKey) {
		t.Fatalf("Ref under another key: %v", err)
	}
}

// A change that waits for its connection test undoes nothing that was changed
// meanwhile.
func TestSlowChangeKeepsWhatOthersChanged(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		s := w.create(t)
		tested, release := make(chan struct{}), make(chan struct{})
		w.home.Fault("TestConnection", sdktest.Fault{Commit: true, Times: 1, Hook: func() { close(tested); <-release }})
		slow := make(chan error, 1)
		go func() {
			url := w.home.URL()
			_, err := w.Update(t.Context(), s.ID, mediaserver.Patch{URL: &url})
			slow <- err
		}()
		<-tested
		name, off := "Renamed", false
		if _, err := w.Update(t.Context(), s.ID, mediaserver.Patch{Name: &name, Enabled: &off}); err != nil {
			t.Fatal(err)
		}
		close(release)
		if err := <-slow; err != nil {
			t.Fatal(err)
		}
		if got, err := w.Get(t.Context(), s.ID); err != nil || got.Name != name || got.Enabled {
			t.Fatalf("the slow change undid the other: %q, enabled %v, %v", got.Name, got.Enabled, err)
		}
	})
}

// A sync that read the libraries of a server that was replaced meanwhile does not bring
// them back.
func TestSlowSyncOfAReplacedServer(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		s := w.create(t)
		listed, release := make(chan struct{}), make(chan struct{})
		w.home.Fault("ListLibraries", sdktest.Fault{Commit: true, Times: 1, Hook: func() { close(listed); <-release }})
		slow := make(chan error, 1)
		go func() {
			_, err := w.SyncLibraries(t.Context(), s.ID)
			slow <- err
		}()
		<-listed
		for _, l := range w.home.Libraries() {
			w.home.RemoveLibrary(l.ID)
		}
		w.home.AddLibrary("Music", sdk.LibraryMusic)
		another := "another"
		w.home.SetFacts(func(f *sdk.ServerFacts) { f.ExternalID = another })
		if _, err := w.Update(t.Context(), s.ID, mediaserver.Patch{ConfirmExternalID: &another}); err != nil {
			t.Fatal(err)
		}
		close(release)
		if err := <-slow; err != nil {
			t.Fatal(err)
		}
		libs, err := w.libraries(t, s.ID)
		if err != nil || len(libs) != 3 {
			t.Fatalf("%d libraries, %v", len(libs), err)
		}
		for _, l := range libs {
			if (l.MissingSince == nil) != (l.Name == "Music") {
				t.Errorf("%s is missing since %v", l.Name, l.MissingSince)
			}
		}
	})
}

func TestSyncsAtOnce(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		s := w.create(t)
		for round := range 5 {
			w.home.AddLibrary(strings.Repeat("x", round+1), sdk.LibraryOther)
			errs := make(chan error, 4)
			for range cap(errs) {
				go func() {
					_, err := w.SyncLibraries(t.Context(), s.ID)
					errs <- err
				}()
			}
			for range cap(errs) {
				if err := <-errs; err != nil {
					t.Error(err)
				}
			}
		}
	})
}
