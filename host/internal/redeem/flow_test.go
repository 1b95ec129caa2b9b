package redeem

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db/redemption"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/host/internal/invitation"
	"github.com/zondarr/zondarr/host/internal/page"
	"github.com/zondarr/zondarr/host/internal/registry"
	"github.com/zondarr/zondarr/host/internal/secret"
	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

func TestIdempotencyKeys(t *testing.T) {
	virtual(t, []string{"home"}, func(t *testing.T, w *world) {
		s, inv := w.start(slowly), w.invite(new(1), "home")
		first, err := s.Join(t.Context(), inv.Code, bob, "key", Caller{})
		if err != nil {
			t.Fatal(err)
		}
		// Also when the code is used up, and however the code is typed.
		again, err := s.Join(t.Context(), strings.ToLower(inv.Code), bob, "key", Caller{})
		if err != nil || again.PublicID != first.PublicID || len(again.Users) != 1 {
			t.Errorf("again: %+v, %v", again, err)
		}
		// Also under a new secret key, for as long as the old one is known.
		s.Box, err = secret.New("another secret key of thirty-two bytes or more", "a secret key of at least thirty-two bytes")
		if err != nil {
			t.Fatal(err)
		}
		if again, err := s.Join(t.Context(), inv.Code, bob, "key", Caller{}); err != nil || again.PublicID != first.PublicID {
			t.Errorf("after a rotation: %+v, %v", again, err)
		}
		// The password is not part of what is compared: it is stored nowhere.
		if _, err := s.Join(t.Context(), inv.Code, Request{Username: "bob", Password: "another one"}, "key", Caller{}); err != nil {
			t.Errorf("with another password: %v", err)
		}
		for name, req := range map[string]Request{
			"Username": {Username: "eve", Password: goodPassword},
			"Email":    {Username: "bob", Password: goodPassword, Email: new("bob@example.org")},
			"Links":    {Username: "bob", Password: goodPassword, LinkIDs: []string{"x"}},
		} {
			if _, err := s.Join(t.Context(), inv.Code, req, "key", Caller{}); fault.CodeOf(err) != fault.CodeIdempotencyKeyReused {
				t.Errorf("another %s: %v", name, err)
			}
		}
		if _, err := s.Join(t.Context(), inv.Code, bob, strings.Repeat("k", 256), Caller{}); fault.CodeOf(err) != fault.CodeInvalidInput {
			t.Errorf("a long key: %v", err)
		}
		time.Sleep(25 * time.Hour)
		if row := w.db.Ent.Redemption.Query().OnlyX(t.Context()); row.IdempotencyKey != nil || row.RequestMAC != nil {
			t.Error("the key is kept beyond its life")
		}
		if _, err := s.Join(t.Context(), inv.Code, bob, "key", Caller{}); fault.CodeOf(err) != fault.CodeInvitationExhausted {
			t.Errorf("after its life: %v", err)
		}
	})
}

func TestSameRequestAtOnce(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		w := newWorld(t, d, sdktest.NewFake(), "home")
		// The last use too is the same request's, however often it comes.
		s, inv := w.start(), w.invite(new(1), "home")
		ids := make([]string, 8)
		together(8, func(i int) {
			res, err := s.Join(t.Context(), inv.Code, bob, "key", Caller{})
			if err != nil {
				t.Errorf("client %d: %v", i, err)
			}
			ids[i] = res.PublicID
		})
		if slices.Sort(ids); len(slices.Compact(ids)) != 1 || w.uses(inv) != 1 {
			t.Errorf("%d redemptions, %d uses; want one", len(slices.Compact(ids)), w.uses(inv))
		}
	})
}

func TestSlowServerIsAnsweredInProgress(t *testing.T) {
	virtual(t, []string{"home"}, func(t *testing.T, w *world) {
		s, inv := w.start(), w.invite(new(1), "home")
		w.fakes["home"].Fault("CreateUser", sdktest.Fault{Times: 1, Delay: 40 * time.Second})
		began := time.Now()
		res, err := s.Join(t.Context(), inv.Code, bob, "", Caller{})
		if err != nil || res.State != InProgress || res.PublicID == "" || time.Since(began) != 20*time.Second {
			t.Fatalf("after %v: %+v, %v", time.Since(began), res, err)
		}
		if w.uses(inv) != 1 {
			t.Error("a use in progress is not counted")
		}
		time.Sleep(time.Minute)
		if res, err = s.Result(t.Context(), inv.Code, res.PublicID); err != nil || res.State != Completed || len(res.Users) != 1 {
			t.Errorf("polled: %+v, %v", res, err)
		}
	})
}

func TestClientThatGoesAwayCancelsNothing(t *testing.T) {
	virtual(t, []string{"home"}, func(t *testing.T, w *world) {
		s, inv := w.start(), w.invite(new(1), "home")
		w.fakes["home"].Fault("CreateUser", sdktest.Fault{Times: 1, Delay: 5 * time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if res, err := s.Join(ctx, inv.Code, bob, "", Caller{}); err != nil || res.State != InProgress {
			t.Fatalf("got %+v, %v", res, err)
		}
		time.Sleep(time.Minute)
		if r := w.only(); r.State != Completed {
			t.Errorf("afterwards %s", r.State)
		}
	})
}

func TestLongWorkKeepsItsLease(t *testing.T) {
	virtual(t, []string{"home", "attic", "cellar"}, func(t *testing.T, w *world) {
		// One after another they take longer than a lease; another host looks on.
		s := w.start(func(s *Service) { s.Policy.Parallel = 1 })
		w.start()
		inv := w.invite(new(1), "home", "attic", "cellar")
		for _, fs := range w.fakes {
			fs.Fault("CreateUser", sdktest.Fault{Times: 1, Delay: 50 * time.Second})
		}
		res, err := s.Join(t.Context(), inv.Code, bob, "", Caller{})
		if err != nil || res.State != InProgress {
			t.Fatalf("got %+v, %v", res, err)
		}
		time.Sleep(4 * time.Minute)
		r := w.redemption(res)
		if r.State != Completed || r.fence != 1 {
			t.Errorf("%s with fence %d: the lease was not kept", r.State, r.fence)
		}
	})
}

func TestDisabledServerIsSkippedAndTold(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		w := newWorld(t, d, sdktest.NewFake(), "home", "attic")
		s, inv := w.start(), w.invite(new(1), "home", "attic")
		d.Ent.MediaServer.UpdateOneID(w.ids["attic"]).SetEnabled(false).ExecX(t.Context())
		p, err := s.Preview(t.Context(), inv.Code)
		if err != nil || !p.Servers[0].Available || p.Servers[1].Available || p.State != invitation.StateActive {
			t.Errorf("preview %+v, %v", p, err)
		}
		res, err := s.Join(t.Context(), inv.Code, bob, "", Caller{})
		if err != nil || res.State != Completed || len(res.Users) != 1 || len(res.Failed) != 1 || res.Failed[0].ErrorCode != fault.CodeServerDisabled {
			t.Fatalf("got %+v, %v", res, err)
		}
		if _, there := w.fakes["attic"].UserByName("bob"); there {
			t.Error("the disabled server has an account")
		}
		if st, _ := w.redemption(res).step(w.ids["attic"]); st.State != StepSkipped {
			t.Errorf("its step is %s", st.State)
		}
	})
}

func TestRefusedBeforeAnythingIsDone(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite), sdktest.NewFake(), "home")
	s, inv := w.start(), w.invite(new(1), "home")
	refused := func(t *testing.T, code, with string, req Request) {
		t.Helper()
		_, err := s.Join(t.Context(), with, req, "", Caller{})
		if fault.CodeOf(err) != code {
			t.Errorf("got %v, want %s", err, code)
		}
		if n := w.db.Ent.Redemption.Query().CountX(t.Context()); n != 0 || w.uses(inv) != 0 {
			t.Errorf("%d redemptions, %d uses; want none", n, w.uses(inv))
		}
	}
	t.Run("UnknownCode", func(t *testing.T) { refused(t, fault.CodeInvitationNotFound, "NOSUCHCODE", bob) })
	t.Run("BadPassword", func(t *testing.T) {
		refused(t, fault.CodeInvalidInput, inv.Code, Request{Username: "bob", Password: "short"})
	})
	t.Run("LibraryGone", func(t *testing.T) {
		id := w.libraries["home"][0].ID
		w.db.Ent.Library.UpdateOneID(id).SetMissingSince(database.Now()).ExecX(t.Context())
		refused(t, fault.CodeLibraryGone, inv.Code, bob)
		w.db.Ent.Library.UpdateOneID(id).ClearMissingSince().ExecX(t.Context())
	})
	t.Run("Paused", func(t *testing.T) {
		if err := w.pause.Set(t.Context(), "restored"); err != nil {
			t.Fatal(err)
		}
		refused(t, fault.CodePaused, inv.Code, bob)
		if _, err := w.pause.Lift(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("PluginDown", func(t *testing.T) {
		w.seat.Down(registry.Down{Reason: "it crashed", Final: true})
		_, err := s.Join(t.Context(), inv.Code, bob, "", Caller{})
		if f := fault.As(err); f == nil || f.Code != fault.CodePluginUnavailable || f.Kind != fault.Unavailable || f.Retryable || strings.Contains(f.Message, "again") {
			t.Errorf("down for good: got %v", err)
		}
		w.seat.Down(registry.Down{Reason: "it crashed", RetryAt: time.Now().Add(time.Minute)})
		_, err = s.Join(t.Context(), inv.Code, bob, "", Caller{})
		if f := fault.As(err); f == nil || f.Code != fault.CodePluginUnavailable || f.Kind != fault.Unavailable || !f.Retryable {
			t.Errorf("down for a minute: got %v", err)
		}
		if w.uses(inv) != 0 {
			t.Error("the use is not given back")
		}
	})
}

func TestUsernameTakenUpstream(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite), sdktest.NewFake(), "home")
	s, inv, before := w.start(), w.invite(new(1), "home"), w.all()
	res, err := s.Join(t.Context(), inv.Code, Request{Username: "ADMIN", Password: goodPassword}, "", Caller{})
	f := fault.As(err)
	if f == nil || f.Code != fault.CodeUsernameTaken || f.Kind != fault.Conflict || f.Fields[0].Location != "body.username" || f.Fields[0].Code != fault.FieldTaken {
		t.Fatalf("got %+v, %v", res, err)
	}
	if r := w.redemption(res); r.State != Failed || r.Steps[0].State != StepFailed || r.Steps[0].Attempts != 0 {
		t.Errorf("%s, step %+v: a create was sent for a name that is taken", r.State, r.Steps[0])
	}
	if err := w.balanced(before); err != nil {
		t.Error(err)
	}
}

// A mail that is sent cannot be taken back: such steps wait until all others have
// worked.
func TestWhatIsNoticedRunsLast(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		quiet, loud := sdktest.NewFake(), &sdktest.Fake{Type: "mailer"}
		traits := loud.Describe().Traits
		traits.CreationNoticed = true
		loud.Traits = &traits
		w := newWorld(t, d, quiet, "home")
		w.withType(loud, "post")
		s, inv := w.start(), w.invite(new(1), "post", "home") // first in the invitation
		w.fakes["home"].Fault("CreateUser", sdktest.Fault{Times: 1, Err: sdk.Errorf(sdk.ReasonPasswordRejected, "weak")})
		if _, err := s.Join(t.Context(), inv.Code, bob, "", Caller{}); fault.CodeOf(err) != fault.CodeInvalidInput {
			t.Fatalf("got %v", err)
		}
		if n := w.fakes["post"].Calls("CreateUser"); n != 0 {
			t.Errorf("the mail was sent %d times although the other server refused", n)
		}
		if res, err := s.Join(t.Context(), inv.Code, bob, "", Caller{}); err != nil || len(res.Users) != 2 {
			t.Errorf("got %+v, %v", res, err)
		}
	})
}

// A backup is taken in the middle of a redemption, which is then completed. The
// restored instance is paused: nobody is touched, and the admin is told what
// would be.
func TestPausedInstanceTouchesNothing(t *testing.T) {
	virtual(t, []string{"home", "attic"}, func(t *testing.T, w *world) {
		s, inv := w.service(), w.invite(new(2), "home", "attic")
		frozen := false
		s.tap = serial(func(point string) error {
			if frozen = frozen || point == "before complete"; frozen {
				return errDead // what the backup holds ends here
			}
			return nil
		})
		s.Start(t.Context())
		if res, err := s.Join(t.Context(), inv.Code, bob, "", Caller{}); err == nil && res.State != InProgress {
			t.Fatalf("got %+v, %v", res, err)
		}
		s.Stop(t.Context())
		before := w.all()
		if err := w.pause.Set(t.Context(), "restored"); err != nil {
			t.Fatal(err)
		}
		restored := w.start(slowly)
		time.Sleep(12 * time.Hour)
		intents, err := restored.Pending(t.Context())
		if err != nil || len(intents) != 2 || intents[0].Would != WouldRecord || intents[0].Username != "bob" {
			t.Errorf("intents %+v, %v", intents, err)
		}
		if _, err := restored.Retry(t.Context(), w.only().ID); fault.CodeOf(err) != fault.CodePaused {
			t.Errorf("retry while paused: %v", err)
		}
		for name, users := range w.all() {
			if len(users) != len(before[name]) {
				t.Errorf("%s was touched", name)
			}
		}
		// An admin's slip of the pen decides nothing.
		id := w.only().ID
		if _, err := restored.Resolve(t.Context(), id, id, Forget, ""); fault.CodeOf(err) != fault.CodeNotFound {
			t.Errorf("another server: %v", err)
		}
		if _, err := restored.Resolve(t.Context(), id, w.ids["home"], DeleteAccount, "bop"); fault.CodeOf(err) != fault.CodeInvalidInput {
			t.Errorf("another name: %v", err)
		}
		if r := w.only(); r.State != InProgress || r.fence != 1 {
			t.Errorf("the redemption was touched: %s", r.State)
		}
		if _, err := w.pause.Lift(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if r := w.only(); r.State != Completed || r.IdentityID == nil {
			t.Errorf("resumed, it is %s; every account was recorded", r.State)
		}
	})
}

// An admin who does not want what recovery would do decides while it is paused.
func TestPausedInstanceCanBeResolved(t *testing.T) {
	virtual(t, []string{"home", "attic"}, func(t *testing.T, w *world) {
		s, inv := w.service(), w.invite(new(2), "home", "attic")
		done, frozen := 0, false
		s.tap = serial(func(point string) error {
			if point == "after done" {
				done++
			}
			if frozen = frozen || done == 1 && point != "after done"; frozen {
				return errDead
			}
			return nil
		})
		s.Policy.Parallel = 1
		s.Start(t.Context())
		_, _ = s.Join(t.Context(), inv.Code, bob, "", Caller{})
		s.Stop(t.Context())
		if err := w.pause.Set(t.Context(), "restored"); err != nil {
			t.Fatal(err)
		}
		restored := w.start(slowly)
		time.Sleep(time.Hour)
		r := w.only()
		if r.State != InProgress || w.uses(inv) != 1 {
			t.Fatalf("%s, %d uses", r.State, w.uses(inv))
		}
		var made Step
		for _, st := range r.Steps {
			if st.State == StepDone {
				made = st
			}
		}
		r, err := restored.Resolve(t.Context(), r.ID, *made.ServerID, KeepAccount, "")
		if err != nil || r.State != Failed || r.IdentityID == nil || w.uses(inv) != 0 {
			t.Fatalf("got %+v, %v, %d uses", r, err, w.uses(inv))
		}
		if _, err := w.pause.Lift(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if _, there := w.fakes[made.ServerName].UserByName("bob"); !there {
			t.Error("the account that was kept is gone")
		}
	})
}

func TestStopDrains(t *testing.T) {
	virtual(t, []string{"home"}, func(t *testing.T, w *world) {
		s, inv := w.start(), w.invite(new(2), "home")
		w.fakes["home"].Fault("CreateUser", sdktest.Fault{Times: 1, Delay: 3 * time.Second})
		joined := make(chan Result)
		go func() {
			res, err := s.Join(t.Context(), inv.Code, bob, "", Caller{})
			if err != nil {
				t.Error(err)
			}
			joined <- res
		}()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancel()
		s.Stop(ctx)
		if res := <-joined; res.State != Completed {
			t.Errorf("what was in hand is %s", res.State)
		}
		if _, err := s.Join(t.Context(), inv.Code, Request{Username: "eve", Password: goodPassword}, "", Caller{}); fault.CodeOf(err) != fault.CodeStarting {
			t.Errorf("after the stop: %v", err)
		}
	})
}

func TestStopCutsOffWhatHangsAndTheNextStartGoesOn(t *testing.T) {
	virtual(t, []string{"home"}, func(t *testing.T, w *world) {
		s, inv, before := w.start(), w.invite(new(1), "home"), w.all()
		w.fakes["home"].Fault("CreateUser", sdktest.Fault{Times: 1, Hang: true})
		go func() { _, _ = s.Join(t.Context(), inv.Code, bob, "", Caller{}) }()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancel()
		began := time.Now()
		s.Stop(ctx)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the stop took %v", took)
		}
		if row := w.db.Ent.Redemption.Query().OnlyX(t.Context()); row.LeaseUntil != nil {
			t.Error("the lease was not given back")
		}
		w.start()
		time.Sleep(15 * time.Minute)
		if r := w.only(); r.State != Failed || w.uses(inv) != 0 {
			t.Errorf("afterwards %s, %d uses", r.State, w.uses(inv))
		}
		if err := w.balanced(before); err != nil {
			t.Error(err)
		}
	})
}

func TestPreview(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite), sdktest.NewFake(), "home")
	s, inv := w.start(), w.invite(new(1), "home")
	p, err := s.Preview(t.Context(), strings.ToLower(inv.Code))
	if err != nil {
		t.Fatal(err)
	}
	if p.State != invitation.StateActive || p.ErrorCode != "" || len(p.Servers) != 1 || !slices.Equal(p.Servers[0].Libraries, []string{"Films"}) ||
		p.Servers[0].DisplayName != "Fake" || p.Servers[0].JoinFlow != sdk.JoinPassword || len(p.Links) != 0 {
		t.Errorf("preview %+v", p)
	}
	if len(p.Fields) != 3 || p.Fields[0].Name != "username" || p.Fields[0].Rules[0].Pattern != `^[^/]+$` {
		t.Errorf("fields %+v", p.Fields)
	}
	if _, err := w.invitations.Disable(t.Context(), inv.ID); err != nil {
		t.Fatal(err)
	}
	if p, err = s.Preview(t.Context(), inv.Code); err != nil || p.State != invitation.StateDisabled || p.ErrorCode != fault.CodeInvitationDisabled || p.Message == "" {
		t.Errorf("disabled: %+v, %v", p, err)
	}
}

func TestAdminList(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		w := newWorld(t, d, sdktest.NewFake(), "home", "attic")
		s, inv, other := w.start(), w.invite(new(3), "home"), w.invite(new(1), "attic")
		began := database.Now()
		for _, name := range []string{"bob", "alice", "admin"} {
			_, _ = s.Join(t.Context(), inv.Code, Request{Username: name, Password: goodPassword}, "", Caller{})
		}
		_, _ = s.Join(t.Context(), other.Code, bob, "", Caller{})
		person := d.Ent.Redemption.Query().Where(redemption.Username("alice")).OnlyX(t.Context()).IdentityID
		for name, tc := range map[string]struct {
			filter Filter
			want   int
		}{
			"All":        {Filter{}, 4},
			"Invitation": {Filter{InvitationID: []uuid.UUID{inv.ID}}, 3},
			"Server":     {Filter{ServerID: []uuid.UUID{w.ids["attic"]}}, 1},
			"State":      {Filter{State: []State{Failed}}, 1},
			"Identity":   {Filter{IdentityID: []uuid.UUID{*person}}, 1},
			"Text":       {Filter{Query: "ALI"}, 1},
			"Code":       {Filter{Query: other.Code}, 1},
			"Before":     {Filter{CreatedBefore: &began}, 0},
			"After":      {Filter{CreatedAfter: &began}, 4},
		} {
			got, err := s.List(t.Context(), tc.filter, page.Request{})
			if err != nil || len(got.Items) != tc.want {
				t.Errorf("%s: %d, %v; want %d", name, len(got.Items), err, tc.want)
			}
		}
		if _, err := s.Get(t.Context(), uuid.New()); fault.CodeOf(err) != fault.CodeNotFound {
			t.Errorf("unknown: %v", err)
		}
	})
}
