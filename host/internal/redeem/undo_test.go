package redeem

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/host/internal/identity"
	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

// virtual runs a test in virtual time, on both databases.
func virtual(t *testing.T, servers []string, test func(t *testing.T, w *world)) {
	t.Helper()
	virtualWith(t, sdktest.NewFake, servers, test)
}

func virtualWith(t *testing.T, fake func() *sdktest.Fake, servers []string, test func(t *testing.T, w *world)) {
	t.Helper()
	hosttest.EachDialect(t, func(t *testing.T, dialect database.Dialect) { virtualOn(t, dialect, fake(), servers, test) })
}

func virtualOn(t *testing.T, dialect database.Dialect, fake *sdktest.Fake, servers []string, test func(t *testing.T, w *world)) {
	t.Helper()
	if dialect == database.Postgres {
		hosttest.Server(t) // started outside of virtual time
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, hosttest.NewDB(t, dialect), fake, servers...)
		w.virtual = true
		test(t, w)
	})
}

// slowly looks for unfinished work less often, in tests that last for hours.
func slowly(s *Service) { s.Policy.Sweep = 25 * time.Second }

var bob = Request{Username: "bob", Password: goodPassword}

func TestNamesStayClaimedUntilAllIsTakenBack(t *testing.T) {
	virtual(t, []string{"home", "attic"}, func(t *testing.T, w *world) {
		s, inv, before := w.start(), w.invite(nil, "home", "attic"), w.all()
		w.fakes["attic"].Fault("CreateUser", sdktest.Fault{Times: 1, Delay: time.Second, Err: sdk.Errorf(sdk.ReasonLimitReached, "full")})
		w.fakes["home"].Fault("DeleteUser", sdktest.Fault{Err: sdk.Errorf(sdk.ReasonUnavailable, "down")})
		res, err := s.Join(t.Context(), inv.Code, bob, "", Caller{})
		if fault.CodeOf(err) != fault.CodeServerLimitReached || res.State != Undoing {
			t.Fatalf("got %s, %v", res.State, err)
		}
		// What was begun is still there, and nobody is told otherwise.
		if msg := fault.As(err).Message; strings.Contains(msg, "Nothing was created") || !strings.Contains(msg, "not used up") {
			t.Errorf("told %q", msg)
		}
		if w.uses(inv) != 0 {
			t.Error("the use is given back only when all is undone")
		}
		again := Request{Username: "BOB", Password: goodPassword}
		if _, err := s.Join(t.Context(), inv.Code, again, "", Caller{}); fault.CodeOf(err) != fault.CodePreviousAttemptUnfinished {
			t.Errorf("the name meanwhile: %v", err)
		}
		if w.uses(inv) != 0 {
			t.Error("a refused attempt took a use")
		}
		time.Sleep(5 * time.Minute)
		r := w.redemption(res)
		home, _ := r.step(w.ids["home"])
		if r.State != Undoing || home.State != StepUndoing || home.Attempts < 3 || home.NextAttemptAt == nil || !strings.Contains(home.Error.Detail, "unavailable") {
			t.Errorf("while the server is down: %s, step %+v", r.State, home)
		}
		if err := w.balanced(before); err != nil {
			t.Error(err)
		}
		w.fakes["home"].ClearFaults()
		time.Sleep(w.service().Policy.RetryMost * 2)
		if r = w.redemption(res); r.State != Failed || r.FinishedAt == nil {
			t.Errorf("after the server came back: %s", r.State)
		}
		if err := w.balanced(before); err != nil {
			t.Error(err)
		}
		if polled, _ := s.Result(t.Context(), inv.Code, res.PublicID); !strings.Contains(polled.Message, "Nothing was created") || len(polled.Failed) != 1 || polled.Failed[0].ServerName != "attic" {
			t.Errorf("polled afterwards: %+v", polled)
		}
		if res, err := s.Join(t.Context(), inv.Code, again, "", Caller{}); err != nil || res.State != Completed {
			t.Errorf("the name afterwards: %v", err)
		}
	})
}

func TestUnknownOutcomeIsLookedForAfterTheDeadline(t *testing.T) {
	virtual(t, []string{"home"}, func(t *testing.T, w *world) {
		s, inv := w.start(), w.invite(new(1), "home")
		w.fakes["home"].Fault("CreateUser", sdktest.Fault{Times: 1, Err: sdk.Errorf(sdk.ReasonAmbiguous, "no answer")})
		res, err := s.Join(t.Context(), inv.Code, bob, "", Caller{})
		if fault.CodeOf(err) != fault.CodeServerUnreachable || res.State != Undoing || w.uses(inv) != 0 {
			t.Fatalf("got %s, %v, %d uses", res.State, err, w.uses(inv))
		}
		began, looked := time.Now(), w.fakes["home"].Calls("FindUser")
		lookedAt := func() (at []time.Duration) {
			for time.Since(began) < 15*time.Minute {
				time.Sleep(time.Second)
				if n := w.fakes["home"].Calls("FindUser"); n > looked {
					looked = n
					at = append(at, time.Since(began).Round(10*time.Second))
				}
			}
			return at
		}()
		if len(lookedAt) != 3 || lookedAt[0] != time.Minute || lookedAt[1] != 2*time.Minute || lookedAt[2] != 11*time.Minute {
			t.Errorf("looked for at %v, want at the deadline of 1m, and 1 and 10 minutes later", lookedAt)
		}
		if r := w.redemption(res); r.State != Failed || r.Steps[0].State != StepUndone {
			t.Errorf("afterwards %s, %s", r.State, r.Steps[0].State)
		}
	})
}

func TestDoubtIsLeftToAnAdmin(t *testing.T) {
	// lost makes an account whose answer is lost, so that it is looked for.
	lost := func(t *testing.T, w *world, s *Service, code string, change func(*sdk.User)) Redemption {
		t.Helper()
		w.fakes["home"].Fault("CreateUser", sdktest.Fault{Times: 1, Commit: true, Err: sdk.Errorf(sdk.ReasonAmbiguous, "no answer")})
		res, err := s.Join(t.Context(), code, bob, "", Caller{})
		if err == nil {
			t.Fatalf("got %+v", res)
		}
		u, ok := w.fakes["home"].UserByName("bob")
		if !ok {
			t.Fatal("the account was not made")
		}
		if change != nil {
			w.fakes["home"].ChangeUser(u.ID, change)
		}
		time.Sleep(2 * time.Minute)
		return w.redemption(res)
	}
	signedIn := func(u *sdk.User) { u.SignedIn = new(true) }

	t.Run("OursIsDeleted", func(t *testing.T) {
		virtual(t, []string{"home"}, func(t *testing.T, w *world) {
			s, inv := w.start(), w.invite(new(1), "home")
			r := lost(t, w, s, inv.Code, nil)
			if _, there := w.fakes["home"].UserByName("bob"); there || r.State != Failed || r.Steps[0].State != StepUndone || r.Steps[0].ExternalID == nil {
				t.Errorf("there: %v, %s, step %+v", there, r.State, r.Steps[0])
			}
		})
	})
	for name, change := range map[string]func(*sdk.User){
		"SignedIn":       signedIn,
		"NobodyCanTell":  func(u *sdk.User) { u.SignedIn = nil },
		"Protected":      func(u *sdk.User) { u.Protected = true },
		"OlderThanWeAre": func(u *sdk.User) { u.CreatedAt = u.CreatedAt.Add(-time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, []string{"home"}, func(t *testing.T, w *world) {
				s, inv := w.start(slowly), w.invite(new(1), "home")
				r := lost(t, w, s, inv.Code, change)
				if r.State != NeedsAttention || r.Steps[0].State != StepNeedsAttention || !strings.Contains(r.Steps[0].Error.Detail, "for you to decide") {
					t.Fatalf("%s, step %+v, error %+v", r.State, r.Steps[0].State, r.Steps[0].Error)
				}
				time.Sleep(6 * time.Hour)
				if _, there := w.fakes["home"].UserByName("bob"); !there {
					t.Error("an account in doubt was deleted")
				}
				if w.uses(inv) != 0 {
					t.Error("the use is not given back")
				}
				// It is in flight: what it belongs to is not deleted.
				if err := w.invitations.Delete(t.Context(), inv.ID); fault.CodeOf(err) != fault.CodeRedemptionInFlight {
					t.Errorf("the invitation: %v", err)
				}
				if err := w.servers.Delete(t.Context(), w.ids["home"]); fault.CodeOf(err) != fault.CodeRedemptionInFlight {
					t.Errorf("the server: %v", err)
				}
			})
		})
	}
	t.Run("DeleteAccount", func(t *testing.T) {
		virtual(t, []string{"home"}, func(t *testing.T, w *world) {
			s, inv := w.start(), w.invite(new(1), "home")
			r := lost(t, w, s, inv.Code, signedIn)
			if _, err := s.Resolve(t.Context(), r.ID, w.ids["home"], DeleteAccount, "eve"); fault.CodeOf(err) != fault.CodeInvalidInput {
				t.Errorf("with another name: %v", err)
			}
			got, err := s.Resolve(t.Context(), r.ID, w.ids["home"], DeleteAccount, "bob")
			if err != nil || got.State != Failed || got.Steps[0].State != StepUndone || got.FinishedAt == nil {
				t.Errorf("got %+v, %v", got, err)
			}
			if _, there := w.fakes["home"].UserByName("bob"); there {
				t.Error("the account is still there")
			}
			if _, err := s.Resolve(t.Context(), r.ID, w.ids["home"], Forget, ""); fault.CodeOf(err) != fault.CodeRedemptionFinished {
				t.Errorf("again: %v", err)
			}
		})
	})
	t.Run("KeepAccount", func(t *testing.T) {
		virtual(t, []string{"home"}, func(t *testing.T, w *world) {
			s, inv, before := w.start(), w.invite(new(1), "home"), w.all()
			r := lost(t, w, s, inv.Code, signedIn)
			got, err := s.Resolve(t.Context(), r.ID, w.ids["home"], KeepAccount, "")
			if err != nil || got.State != Failed || got.Steps[0].State != StepDone || got.Steps[0].UserID == nil || got.IdentityID == nil {
				t.Fatalf("got %+v, %v", got, err)
			}
			u, err := w.identities.GetUser(t.Context(), *got.Steps[0].UserID)
			if err != nil || u.Username != "bob" || u.ExternalID != *got.Steps[0].ExternalID {
				t.Errorf("user %+v, %v", u, err)
			}
			if err := w.balanced(before); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("Forget", func(t *testing.T) {
		virtual(t, []string{"home"}, func(t *testing.T, w *world) {
			s, inv := w.start(), w.invite(new(1), "home")
			r := lost(t, w, s, inv.Code, signedIn)
			got, err := s.Resolve(t.Context(), r.ID, w.ids["home"], Forget, "")
			if err != nil || got.State != Failed || got.Steps[0].State != StepFailed {
				t.Errorf("got %+v, %v", got, err)
			}
			if _, there := w.fakes["home"].UserByName("bob"); !there {
				t.Error("a forgotten account was deleted")
			}
			told, err := s.Result(t.Context(), inv.Code, got.PublicID)
			if err != nil || strings.Contains(told.Message, "Nothing was created") || len(told.Failed) != 1 || !strings.Contains(told.Failed[0].Message, "left as it is") {
				t.Errorf("the invitee is told %+v, %v", told, err)
			}
			if _, err := s.Join(t.Context(), inv.Code, bob, "", Caller{}); fault.CodeOf(err) != fault.CodeUsernameTaken {
				t.Errorf("the name afterwards: %v, want it free here and taken there", err)
			}
		})
	})
	t.Run("DeleteSomebodyElses", func(t *testing.T) {
		virtual(t, []string{"home"}, func(t *testing.T, w *world) {
			s, inv := w.start(), w.invite(new(1), "home")
			r := lost(t, w, s, inv.Code, signedIn)
			u, _ := w.fakes["home"].UserByName("bob")
			w.fakes["home"].ChangeUser(u.ID, func(u *sdk.User) { u.Username = "robert" })
			w.db.Ent.RedemptionStep.Update().SetExternalID(u.ID).ExecX(t.Context())
			if _, err := s.Resolve(t.Context(), r.ID, w.ids["home"], DeleteAccount, "bob"); fault.CodeOf(err) != fault.CodeConflict {
				t.Errorf("of another name: %v", err)
			}
			w.fakes["home"].ChangeUser(u.ID, func(u *sdk.User) { u.Username = "bob" })
			_, err := database.WithTx(t.Context(), w.db, func(ctx context.Context, tx *db.Tx) (identity.Created, error) {
				return w.identities.CreateTx(ctx, tx, identity.New{DisplayName: "Bob", Users: []identity.NewUser{{
					ServerID: w.ids["home"], Account: u, OnExpiry: "disable", Origin: "manual",
				}}})
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Resolve(t.Context(), r.ID, w.ids["home"], DeleteAccount, "bob"); fault.CodeOf(err) != fault.CodeAlreadyMember {
				t.Errorf("of a user: %v", err)
			}
			if _, there := w.fakes["home"].User(u.ID); !there {
				t.Error("somebody else's account was deleted")
			}
			if got, err := s.Get(t.Context(), r.ID); err != nil || got.State != NeedsAttention {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	})
	t.Run("OldList", func(t *testing.T) {
		virtual(t, []string{"home"}, func(t *testing.T, w *world) {
			// Made by hand a moment ago: the plugin's list is from before.
			theirs := w.fakes["home"].AddUser(sdk.User{Username: "bob"}, "theirs")
			w.fakes["home"].Fault("FindUser", sdktest.Fault{Times: 1, Stale: true})
			w.fakes["home"].Fault("CreateUser", sdktest.Fault{Times: 1, Err: sdk.Errorf(sdk.ReasonAmbiguous, "no answer")})
			s, inv := w.start(), w.invite(new(1), "home")
			res, err := s.Join(t.Context(), inv.Code, bob, "", Caller{})
			if err == nil {
				t.Fatalf("got %+v", res)
			}
			time.Sleep(time.Hour)
			if _, there := w.fakes["home"].User(theirs.ID); !there {
				t.Error("an account that was there before was deleted")
			}
			if r := w.redemption(res); r.State != NeedsAttention {
				t.Errorf("%s: %+v", r.State, r.Steps[0].Error)
			}
		})
	})
	t.Run("RetryUsesUpNoLook", func(t *testing.T) {
		virtual(t, []string{"home"}, func(t *testing.T, w *world) {
			s, inv, before := w.start(), w.invite(new(1), "home"), w.all()
			w.fakes["home"].Fault("CreateUser", sdktest.Fault{Times: 1, Err: sdk.Errorf(sdk.ReasonAmbiguous, "no answer")})
			res, _ := s.Join(t.Context(), inv.Code, bob, "", Caller{})
			id := w.redemption(res).ID
			time.Sleep(61 * time.Second)
			for range 5 {
				if _, err := s.Retry(t.Context(), id); err != nil {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Second)
			}
			if r := w.redemption(res); r.State != Undoing {
				t.Errorf("long before the last look it is %s", r.State)
			}
			w.fakes["home"].AddUser(sdk.User{Username: "bob", SignedIn: new(false)}, goodPassword) // it comes late
			time.Sleep(time.Hour)
			if err := w.balanced(before); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("Retry", func(t *testing.T) {
		virtual(t, []string{"home"}, func(t *testing.T, w *world) {
			s, inv := w.start(), w.invite(new(1), "home")
			r := lost(t, w, s, inv.Code, func(u *sdk.User) { u.Protected = true })
			u, _ := w.fakes["home"].UserByName("bob")
			w.fakes["home"].ChangeUser(u.ID, func(u *sdk.User) { u.Protected = false })
			if _, err := s.Retry(t.Context(), r.ID); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if got, err := s.Get(t.Context(), r.ID); err != nil || got.State != Failed || got.Steps[0].State != StepUndone {
				t.Errorf("got %+v, %v", got, err)
			}
			if _, err := s.Retry(t.Context(), r.ID); fault.CodeOf(err) != fault.CodeRedemptionFinished {
				t.Errorf("again: %v", err)
			}
		})
	})
}

func TestAccountThatBecameAUserIsNotTakenBack(t *testing.T) {
	virtual(t, []string{"home"}, func(t *testing.T, w *world) {
		s, inv := w.start(), w.invite(nil, "home")
		if _, err := s.Join(t.Context(), inv.Code, bob, "", Caller{}); err != nil {
			t.Fatal(err)
		}
		known, _ := w.fakes["home"].UserByName("bob")
		// A plugin that gives an id that is known already is not believed, and the
		// account that the id belongs to is left alone.
		w.fakes["home"].Fault("CreateUser", sdktest.Fault{Times: 1, Answer: func(u *sdk.User) { u.ID = known.ID }})
		res, err := s.Join(t.Context(), inv.Code, Request{Username: "alice", Password: goodPassword}, "", Caller{})
		if err == nil || res.State != NeedsAttention {
			t.Errorf("got %s, %v", res.State, err)
		}
		if _, there := w.fakes["home"].User(known.ID); !there {
			t.Error("somebody else's account was deleted")
		}
		if w.uses(inv) != 1 {
			t.Errorf("%d uses, want 1", w.uses(inv))
		}
	})
}

func TestOldStepsAreNotUndoneWithoutAnAdmin(t *testing.T) {
	virtual(t, []string{"home", "attic"}, func(t *testing.T, w *world) {
		// A backup taken while the second account was being made, restored days later.
		s, inv := w.service(), w.invite(new(1), "home", "attic")
		died := false
		s.tap = serial(func(point string) error {
			if point == "turn back" || died {
				return errDead
			}
			if point == "before turn back" {
				died = true
				return errDead
			}
			return nil
		})
		s.Start(t.Context())
		w.fakes["attic"].Fault("CreateUser", sdktest.Fault{Times: 1, Delay: time.Second, Err: sdk.Errorf(sdk.ReasonPasswordRejected, "weak")})
		_, _ = s.Join(t.Context(), inv.Code, bob, "", Caller{})
		s.Stop(t.Context())
		time.Sleep(25 * time.Hour)
		w.start(slowly)
		time.Sleep(time.Hour)
		row := w.only()
		home, _ := row.step(w.ids["home"])
		if row.State != NeedsAttention || home.State != StepNeedsAttention || !strings.Contains(home.Error.Detail, "backup") {
			t.Errorf("%s, step %s, %+v", row.State, home.State, home.Error)
		}
		if _, there := w.fakes["home"].UserByName("bob"); !there {
			t.Error("an account was deleted of which only something old is known")
		}
		if w.uses(inv) != 0 {
			t.Error("the use is not given back")
		}
	})
}
