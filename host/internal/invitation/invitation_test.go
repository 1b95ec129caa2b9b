package invitation

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/grant"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/host/internal/mediaserver"
	"github.com/zondarr/zondarr/host/internal/page"
	"github.com/zondarr/zondarr/host/internal/registry"
	"github.com/zondarr/zondarr/host/internal/secret"
	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

// world is a database with media servers of a simulated type.
type world struct {
	t       *testing.T
	db      *database.DB
	fakes   map[string]*sdktest.FakeServer
	ids     map[string]uuid.UUID
	libs    map[string][]mediaserver.Library
	servers *mediaserver.Service
	service *Service
	now     time.Time
}

func newWorld(t *testing.T, d *database.DB, names ...string) *world {
	t.Helper()
	box, err := secret.New("a secret key of at least thirty-two bytes", "")
	if err != nil {
		t.Fatal(err)
	}
	fake, types := sdktest.NewFake(), registry.New()
	if _, err := types.RegisterLocal(fake); err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, db: d, fakes: map[string]*sdktest.FakeServer{}, ids: map[string]uuid.UUID{}, libs: map[string][]mediaserver.Library{}, now: database.Now(),
		servers: &mediaserver.Service{DB: d, Registry: types, Box: box, InstallationID: "i", Now: database.Now},
	}
	w.service = &Service{DB: d, Types: types, Now: func() time.Time { return w.now }}
	for _, name := range names {
		fs := fake.AddServer(name)
		t.Cleanup(fs.Close)
		w.fakes[name] = fs
		stored, err := w.servers.Create(t.Context(), mediaserver.CreateParams{Name: name, Enabled: true, Connection: mediaserver.Connection{
			ServerType: sdktest.FakeType, URL: fs.URL(), Secrets: map[string]string{"api_key": sdktest.FakeKey},
		}})
		if err != nil {
			t.Fatal(err)
		}
		w.ids[name] = stored.ID
		libs, err := w.servers.Libraries(t.Context(), stored.ID, page.Request{})
		if err != nil {
			t.Fatal(err)
		}
		w.libs[name] = libs.Items
	}
	return w
}

func (w *world) all(server string) ServerGrant {
	return ServerGrant{ServerID: w.ids[server], Grant: grant.Grant{Access: sdk.LibraryAll}}
}

func (w *world) create(p CreateParams) Invitation {
	w.t.Helper()
	inv, err := w.service.Create(w.t.Context(), p)
	if err != nil {
		w.t.Fatal(err)
	}
	return inv
}

// facts changes what a media server says of itself, and has Zondarr hear it.
func (w *world) facts(server string, change func(*sdk.ServerFacts)) {
	w.t.Helper()
	w.fakes[server].SetFacts(change)
	if _, err := w.servers.TestStored(w.t.Context(), w.ids[server]); err != nil {
		w.t.Fatal(err)
	}
}

func TestCreateAndReadBack(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		w := newWorld(t, d, "home", "attic")
		expires := w.now.Add(time.Hour).Add(123 * time.Nanosecond).In(time.FixedZone("x", 7200))
		made := w.create(CreateParams{
			Code: " Family-2026 ", Label: new("Family"), Note: new("private"), ExpiresAt: new(&expires), MaxUses: new((*int)(nil)),
			DurationDays: new(new(30)), OnExpiry: new(grant.ExpiryDelete), Email: new(EmailRequired), CreatedBy: "api_key:1",
			Servers: []ServerGrant{w.all("attic"), {ServerID: w.ids["home"], Grant: grant.Grant{
				Access: sdk.LibraryOnly, LibraryIDs: []uuid.UUID{w.libs["home"][1].ID, w.libs["home"][0].ID, w.libs["home"][1].ID},
				Permissions: map[string]string{sdk.PermissionDownload: grant.Deny}, Limits: map[string]int64{sdk.LimitMaxSessions: 2},
				Options: map[string]any{sdktest.FakeOptionTheme: "dark"},
			}}},
		})
		// P8: what was stored is what is read, by id and by code (R5.3).
		read, err := w.service.Get(t.Context(), made.ID)
		if err != nil || !reflect.DeepEqual(read, made) {
			t.Errorf("read back %+v, %v\nwant %+v", read, err, made)
		}
		if made.Code != "FAMILY-2026" || made.MaxUses != nil || made.UseCount != 0 || !made.Enabled || made.State != StateActive {
			t.Errorf("stored %+v", made)
		}
		if !made.ExpiresAt.Equal(expires.Truncate(time.Microsecond)) || made.ExpiresAt.Location() != time.UTC {
			t.Errorf("expires at %v, want %v in UTC with microseconds", made.ExpiresAt, expires)
		}
		home := made.Servers[1]
		if made.Servers[0].Name != "attic" || len(home.Grant.LibraryIDs) != 2 || home.Grant.Permissions[sdk.PermissionDownload] != grant.Deny ||
			home.Grant.Limits[sdk.LimitMaxSessions] != 2 || home.Grant.Options[sdktest.FakeOptionTheme] != "dark" || !home.Available {
			t.Errorf("targets %+v", made.Servers)
		}
		for _, typed := range []string{"family-2026", "  FAMILY-2026\t", "Family-2026"} {
			if got, err := w.service.ByCode(t.Context(), typed); err != nil || got.ID != made.ID {
				t.Errorf("typed %q: %v", typed, err)
			}
		}
		if _, err := w.service.ByCode(t.Context(), "family2026"); fault.CodeOf(err) != fault.CodeInvitationNotFound {
			t.Errorf("a hyphen of an own code was forgiven: %v", err)
		}
		if _, err := w.service.Create(t.Context(), CreateParams{Code: "FAMILY-2026", Servers: []ServerGrant{w.all("home")}}); fault.CodeOf(err) != fault.CodeCodeTaken {
			t.Errorf("the code a second time: %v", err)
		}
	})
}

func TestGeneratedCodes(t *testing.T) {
	seen := map[rune]bool{}
	for range 2000 {
		code := newCode()
		if len(code) != 12 || strings.ContainsAny(code, "0OIL1") || !codePattern.MatchString(code) {
			t.Fatalf("code %q", code)
		}
		for _, r := range code {
			seen[r] = true
		}
		// Hyphens and blanks that people put into it are forgiven.
		if got := typed(" " + strings.ToLower(code[:4]) + "-" + code[4:8] + " " + code[8:]); !slices.Contains(got, code) {
			t.Fatalf("typed in groups, %q may mean %v", code, got)
		}
	}
	if len(seen) != len(codeAlphabet) {
		t.Errorf("%d characters are used, want %d", len(seen), len(codeAlphabet))
	}
}

func TestDefaults(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite), "home")
	inv := w.create(CreateParams{Servers: []ServerGrant{w.all("home")}})
	if inv.MaxUses == nil || *inv.MaxUses != 1 || inv.ExpiresAt != nil || inv.DurationDays != nil || inv.OnExpiry != grant.ExpiryDisable ||
		inv.Email != EmailOptional || inv.CreatedBy != "system" || len(inv.Code) != 12 {
		t.Errorf("defaults: %+v", inv)
	}
}

func TestCreateRefuses(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite), "home", "attic")
	w.facts("attic", func(f *sdk.ServerFacts) {
		f.Permissions = slices.DeleteFunc(f.Permissions, func(p string) bool { return p == sdk.PermissionDownload })
		f.LibraryModes = []sdk.LibraryMode{sdk.LibraryAll, sdk.LibraryOnly}
		f.Capabilities = slices.DeleteFunc(f.Capabilities, func(c sdk.Capability) bool { return c == sdk.CapSuspend })
		f.Missing = []sdk.Missing{{Name: sdk.PermissionDownload, Reason: "needs version 2"}, {Name: "none", Reason: "it always shows one"}}
	})
	with := func(server string, change func(*grant.Grant)) []ServerGrant {
		g := w.all(server)
		change(&g.Grant)
		return []ServerGrant{g}
	}
	download := func(g *grant.Grant) { g.Permissions = map[string]string{sdk.PermissionDownload: grant.Deny} }
	for name, tc := range map[string]struct {
		params   CreateParams
		code     string
		location string
	}{
		"NoServer":        {CreateParams{}, fault.CodeInvalidInput, "body.servers"},
		"UnknownServer":   {CreateParams{Servers: []ServerGrant{{ServerID: uuid.New(), Grant: grant.Grant{Access: sdk.LibraryAll}}}}, fault.CodeInvalidInput, "body.servers[0].server_id"},
		"ServerTwice":     {CreateParams{Servers: []ServerGrant{w.all("home"), w.all("home")}}, fault.CodeInvalidInput, "body.servers[1].server_id"},
		"AccessUnsaid":    {CreateParams{Servers: with("home", func(g *grant.Grant) { g.Access = "" })}, fault.CodeInvalidInput, "body.servers[0].libraries.access"}, // R2.6
		"OnlyNothing":     {CreateParams{Servers: with("home", func(g *grant.Grant) { g.Access = sdk.LibraryOnly })}, fault.CodeInvalidInput, "body.servers[0].libraries.library_ids"},
		"AllWithList":     {CreateParams{Servers: with("home", func(g *grant.Grant) { g.LibraryIDs = []uuid.UUID{w.libs["home"][0].ID} })}, fault.CodeInvalidInput, "body.servers[0].libraries.library_ids"},
		"ForeignLibrary":  {CreateParams{Servers: with("home", func(g *grant.Grant) { g.Access, g.LibraryIDs = sdk.LibraryOnly, []uuid.UUID{w.libs["attic"][0].ID} })}, fault.CodeInvalidInput, "body.servers[0].libraries.library_ids[0]"},
		"NoneUnsupported": {CreateParams{Servers: with("attic", func(g *grant.Grant) { g.Access = sdk.LibraryNone })}, fault.CodeLibraryAccessUnsupported, "body.servers[0].libraries.access"},
		"NobodyCan":       {CreateParams{Servers: with("attic", download)}, fault.CodeInvalidInput, "body.servers[0].permissions.download"},
		"PermissionWord":  {CreateParams{Servers: with("home", func(g *grant.Grant) { g.Permissions = map[string]string{sdk.PermissionStream: "yes"} })}, fault.CodeInvalidInput, "body.servers[0].permissions.stream"},
		"UnknownName":     {CreateParams{Servers: with("home", func(g *grant.Grant) { g.Permissions = map[string]string{"fly": grant.Allow} })}, fault.CodeInvalidInput, "body.servers[0].permissions.fly"},
		"LimitRange":      {CreateParams{Servers: with("home", func(g *grant.Grant) { g.Limits = map[string]int64{sdk.LimitMaxSessions: 101} })}, fault.CodeInvalidInput, "body.servers[0].limits.max_sessions"},
		"LimitNegative":   {CreateParams{Servers: with("home", func(g *grant.Grant) { g.Limits = map[string]int64{sdk.LimitMaxSessions: -1} })}, fault.CodeInvalidInput, "body.servers[0].limits.max_sessions"},
		"OptionUnknown":   {CreateParams{Servers: with("home", func(g *grant.Grant) { g.Options = map[string]any{"color": "red"} })}, fault.CodeInvalidInput, "body.servers[0].options.color"},
		"OptionValue":     {CreateParams{Servers: with("home", func(g *grant.Grant) { g.Options = map[string]any{sdktest.FakeOptionTheme: "red"} })}, fault.CodeInvalidInput, "body.servers[0].options.theme"},
		"ExpiryAction":    {CreateParams{DurationDays: new(new(1)), Servers: []ServerGrant{w.all("home"), w.all("attic")}}, fault.CodeExpiryActionUnsupported, "body.on_expiry"},
		"CodeShort":       {CreateParams{Code: "abc", Servers: []ServerGrant{w.all("home")}}, fault.CodeInvalidInput, "body.code"},
		"CodeAlphabet":    {CreateParams{Code: "grün", Servers: []ServerGrant{w.all("home")}}, fault.CodeInvalidInput, "body.code"},
		"MaxUsesZero":     {CreateParams{MaxUses: new(new(0)), Servers: []ServerGrant{w.all("home")}}, fault.CodeInvalidInput, "body.max_uses"},
		"DurationZero":    {CreateParams{DurationDays: new(new(0)), Servers: []ServerGrant{w.all("home")}}, fault.CodeInvalidInput, "body.duration_days"},
		"OnExpiryWord":    {CreateParams{OnExpiry: new("explode"), Servers: []ServerGrant{w.all("home")}}, fault.CodeInvalidInput, "body.on_expiry"},
		"EmailWord":       {CreateParams{Email: new("maybe"), Servers: []ServerGrant{w.all("home")}}, fault.CodeInvalidInput, "body.email"},
		"LabelLong":       {CreateParams{Label: new(strings.Repeat("x", 201)), Servers: []ServerGrant{w.all("home")}}, fault.CodeInvalidInput, "body.label"},
		"UnknownProfile":  {CreateParams{ProfileID: new(uuid.New())}, fault.CodeInvalidInput, "body.profile_id"},
		"ProfileAndMore":  {CreateParams{ProfileID: new(uuid.New()), Servers: []ServerGrant{w.all("home")}}, fault.CodeInvalidInput, "body.profile_id"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.service.Create(t.Context(), tc.params)
			f := fault.As(err)
			if f == nil || f.Code != tc.code || f.Kind != fault.Invalid || len(f.Fields) == 0 || f.Fields[0].Location != tc.location {
				t.Errorf("got %+v, want %s at %s", f, tc.code, tc.location)
			}
		})
	}
	if n := w.db.Ent.Invitation.Query().CountX(t.Context()); n != 0 {
		t.Errorf("%d refused invitations are stored", n)
	}
	// What only some support is a warning on the others.
	inv := w.create(CreateParams{Servers: append(with("home", download), with("attic", download)...)})
	if len(inv.Servers[0].Warnings) != 0 || len(inv.Servers[1].Warnings) != 1 || inv.Servers[1].Warnings[0].Code != grant.WarnPermissionUnsupported ||
		!strings.Contains(inv.Servers[1].Warnings[0].Message, "needs version 2") {
		t.Errorf("warnings %+v", inv.Servers)
	}
}

func TestUpdate(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		w := newWorld(t, d, "home", "attic")
		inv := w.create(CreateParams{Note: new("n"), MaxUses: new(new(5)), Servers: []ServerGrant{w.all("home")}})
		for range 3 {
			if err := w.reserve(inv.ID); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.service.Update(t.Context(), inv.ID, Patch{MaxUses: new(new(2))}); fault.CodeOf(err) != fault.CodeInvalidInput {
			t.Errorf("max uses below the use count: %v", err)
		}
		got, err := w.service.Update(t.Context(), inv.ID, Patch{
			MaxUses: new(new(3)), Note: new((*string)(nil)), Label: new("L"), Enabled: new(false), DurationDays: new(new(7)),
			Servers: &[]ServerGrant{w.all("attic"), w.all("home")},
		})
		if err != nil {
			t.Fatal(err)
		}
		if *got.MaxUses != 3 || got.Note != nil || got.Label != "L" || got.Enabled || got.State != StateDisabled || *got.DurationDays != 7 ||
			got.UseCount != 3 || got.Code != inv.Code || len(got.Servers) != 2 || got.Servers[0].Name != "attic" {
			t.Errorf("got %+v", got)
		}
		if got, err = w.service.Update(t.Context(), inv.ID, Patch{Enabled: new(true), DurationDays: new((*int)(nil)), MaxUses: new((*int)(nil))}); err != nil {
			t.Fatal(err)
		}
		if got.DurationDays != nil || got.MaxUses != nil || got.State != StateActive || len(got.Servers) != 2 {
			t.Errorf("cleared: %+v", got)
		}
		if _, err := w.service.Update(t.Context(), uuid.New(), Patch{}); fault.CodeOf(err) != fault.CodeNotFound {
			t.Errorf("unknown: %v", err)
		}
		if got, err := w.service.Disable(t.Context(), inv.ID); err != nil || got.State != StateDisabled {
			t.Errorf("disable: %+v, %v", got, err)
		}
		if err := w.service.Delete(t.Context(), inv.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.service.Get(t.Context(), inv.ID); fault.CodeOf(err) != fault.CodeNotFound {
			t.Errorf("deleted: %v", err)
		}
	})
}

func TestLabelChangesThoughTheServerDid(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite), "home")
	inv := w.create(CreateParams{DurationDays: new(new(1)), Servers: []ServerGrant{w.all("home")}})
	w.facts("home", func(f *sdk.ServerFacts) {
		f.Capabilities = slices.DeleteFunc(f.Capabilities, func(c sdk.Capability) bool { return c == sdk.CapSuspend })
	})
	if _, err := w.service.Update(t.Context(), inv.ID, Patch{Label: new("new")}); err != nil {
		t.Errorf("the label: %v", err)
	}
	if _, err := w.service.Update(t.Context(), inv.ID, Patch{DurationDays: new(new(2))}); fault.CodeOf(err) != fault.CodeExpiryActionUnsupported {
		t.Errorf("the duration: %v", err)
	}
}

// P11: for all invitations and instants the answer and its reason agree with a
// plain model of the rules; and the list's filter by state agrees too.
func TestValidityAgreesWithTheModel(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		w := newWorld(t, d, "home", "attic")
		inv := w.create(CreateParams{Servers: []ServerGrant{w.all("home"), w.all("attic")}})
		start := w.now
		rapid.Check(t, func(r *rapid.T) {
			enabled := rapid.Bool().Draw(r, "enabled")
			var expires *time.Time
			if rapid.Bool().Draw(r, "expires") {
				expires = new(start.Add(time.Duration(rapid.IntRange(-2, 2).Draw(r, "in")) * time.Microsecond))
			}
			var most *int
			if rapid.Bool().Draw(r, "limited") {
				most = new(rapid.IntRange(1, 3).Draw(r, "most"))
			}
			used := rapid.IntRange(0, 3).Draw(r, "used")
			if most != nil && used > *most {
				used = *most // the schema lets nothing else be stored
			}
			on := [2]bool{rapid.Bool().Draw(r, "home on"), rapid.Bool().Draw(r, "attic on")}
			u := d.Ent.Invitation.UpdateOneID(inv.ID).SetEnabled(enabled).SetUseCount(used)
			database.Put(expires, u.SetExpiresAt, u.ClearExpiresAt)
			database.Put(most, u.SetMaxUses, u.ClearMaxUses)
			u.ExecX(t.Context())
			for i, name := range []string{"home", "attic"} {
				d.Ent.MediaServer.UpdateOneID(w.ids[name]).SetEnabled(on[i]).ExecX(t.Context())
			}
			w.now = start.Add(time.Duration(rapid.IntRange(-2, 2).Draw(r, "now")) * time.Microsecond)

			// The model, R6.5: the first reason that holds, in this order.
			want := StateActive
			if !on[0] && !on[1] {
				want = StateNoServer
			}
			if most != nil && used == *most {
				want = StateExhausted
			}
			if expires != nil && !w.now.Before(*expires) {
				want = StateExpired
			}
			if !enabled {
				want = StateDisabled
			}
			got, err := w.service.Check(t.Context(), inv.Code)
			if err != nil || got.State != want {
				r.Fatalf("checked: %s, %v; want %s", got.State, err, want)
			}
			for _, state := range []State{StateDisabled, StateExpired, StateExhausted, StateNoServer, StateActive} {
				listed, err := w.service.List(t.Context(), Filter{State: []State{state}}, page.Request{})
				if err != nil || (len(listed.Items) == 1) != (state == want) {
					r.Fatalf("listed as %s: %d, %v; it is %s", state, len(listed.Items), err, want)
				}
			}
			// A use can be taken exactly when the answer is active, and the refusal
			// carries that reason's own code (R6.6).
			err = w.reserve(inv.ID)
			if (err == nil) != (want == StateActive) || err != nil && fault.CodeOf(err) != want.ErrorCode() {
				r.Fatalf("reserved: %v; it is %s", err, want)
			}
		})
	})
}

// Whatever somebody types means only codes that can be stored, and means a stored
// code when it is that code.
func FuzzTyped(f *testing.F) {
	for _, s := range []string{"", "abcd", " K7M2-QX9P-R4TD ", "k7m2qx9pr4td", "ſecret", "ı-ı-ı", "----", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, code string) {
		meant := typed(code)
		for _, m := range meant {
			if !codePattern.MatchString(m) {
				t.Errorf("%q may mean %q, which no code is", code, m)
			}
		}
		if codePattern.MatchString(code) && (len(meant) == 0 || meant[0] != code) {
			t.Errorf("%q does not mean itself first: %q", code, meant)
		}
	})
}
