package redeem

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zondarr/zondarr/ent/db/redemption"
	"github.com/zondarr/zondarr/ent/db/redemptionstep"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/host/internal/identity"
	"github.com/zondarr/zondarr/host/internal/invitation"
	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

// TestFaultSchedules: whatever fails, hangs, answers late, is done and loses its
// answer, and wherever hosts die: after recovery the ledger balances, every
// account on every media server is known to a row, no account that was there
// before was touched, and every client was told the truth.
//
// Time is virtual, so that minutes of waiting cost nothing. A failure prints the
// seed; ZONDARR_TEST_SEED=n runs that schedule alone.
func TestFaultSchedules(t *testing.T) {
	n := 150
	if testing.Short() {
		n = 15
	}
	schedules(t, database.SQLite, 1, n)
}

func TestFaultSchedulesOnPostgres(t *testing.T) {
	n := 50
	if testing.Short() {
		n = 5
	}
	schedules(t, database.Postgres, 100_001, n)
}

func schedules(t *testing.T, dialect database.Dialect, first, n int) {
	if one := os.Getenv("ZONDARR_TEST_SEED"); one != "" {
		seed, err := strconv.Atoi(one)
		if err != nil {
			t.Fatal(err)
		}
		first, n = seed, 1
	}
	if dialect == database.Postgres {
		hosttest.Server(t) // started outside of virtual time
	}
	var told outcomes
	for seed := first; seed < first+n && !t.Failed(); seed++ {
		synctest.Test(t, func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Logf("the schedule replays with ZONDARR_TEST_SEED=%d", seed)
				}
			}()
			runSchedule(t, hosttest.NewDB(t, dialect), uint64(seed), &told)
		})
	}
	t.Logf("%d schedules: %+v", n, told.counts)
	if !t.Failed() && n >= 50 {
		// Schedules under which nothing ever goes wrong, or nothing ever works,
		// would prove nothing.
		wanted := []string{"completed", "refused", "undone", "died", "recovered", "frozen"}
		if n >= 100 {
			wanted = append(wanted, "asked") // which is rare
		}
		for _, what := range wanted {
			if told.counts[what] == 0 {
				t.Errorf("in no schedule was anything %s", what)
			}
		}
	}
}

type outcomes struct {
	mu     sync.Mutex
	counts map[string]int
}

func (o *outcomes) add(what string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.counts == nil {
		o.counts = map[string]int{}
	}
	o.counts[what]++
}

// answer is what one client was told.
type answer struct {
	req    Request
	key    string
	result Result
	err    error
	// died: its host died, and it was told nothing.
	died         bool
	began, ended time.Time
}

func runSchedule(t *testing.T, d *database.DB, seed uint64, told *outcomes) {
	rng := rand.New(rand.NewPCG(seed, 1))
	fake := sdktest.NewFake()
	traits := fake.Describe().Traits
	traits.CreationNoticed = rng.IntN(3) == 0
	fake.Traits = &traits
	names := []string{"home", "attic", "cellar"}[:1+rng.IntN(3)]
	w := newWorld(t, d, fake, names...)
	w.virtual = true
	for _, name := range names {
		for i := range rng.IntN(4) {
			w.fakes[name].AddUser(sdk.User{Username: fmt.Sprintf("guest%d", i)}, "a password of long ago")
		}
		if rng.IntN(3) == 0 {
			w.fakes[name].Fault("FindUser", sdktest.Fault{Stale: true}) // its plugin keeps a list from before the guests
		}
	}
	before := w.all()
	var uses *int
	if rng.IntN(3) > 0 {
		uses = new(1 + rng.IntN(6))
	}
	inv := w.invite(uses, names...)

	c := &chaos{seed: seed, world: w, counts: map[string]int{}, trouble: rng.IntN(60)}
	hosts := &hosts{world: w, chaos: c, told: told, deaths: rng.IntN(4), freezes: rng.IntN(3), replicas: 1 + rng.IntN(2)}
	hosts.start(t)

	// Clients come within a minute, some with one name, some twice with one key.
	clients := 1 + rng.IntN(8)
	answers := make([]answer, clients)
	var all sync.WaitGroup
	for i := range clients {
		a := &answers[i]
		a.req = Request{Username: []string{"guest0", "bob", "Bob", "alice", "carol", "dave", "erin", "frank"}[rng.IntN(8)], Password: goodPassword}
		if i > 0 && rng.IntN(4) == 0 {
			a.req, a.key = answers[i-1].req, answers[i-1].key
		} else if rng.IntN(2) == 0 {
			a.key = fmt.Sprintf("key-%d", i)
		}
		wait := time.Duration(rng.IntN(60)) * time.Second
		all.Go(func() {
			time.Sleep(wait)
			hosts.join(t.Context(), inv.Code, a, i)
		})
	}
	all.Wait()
	c.calm.Store(true)
	hosts.immortal.Store(true)
	// Every look, retry and lease has its time.
	for range 40 {
		time.Sleep(time.Minute)
		if w.unfinished() == 0 && c.late.Load() == 0 {
			break
		}
	}
	if err := w.balanced(before); err != nil {
		t.Error(err)
	}
	w.decide(t, hosts.alive().Service, before, told)
	hosts.stop()
	c.live.Wait()

	if err := w.balanced(before); err != nil {
		t.Error(err)
	}
	if n := w.unfinished(); n > 0 {
		t.Errorf("%d redemptions are not finished after recovery: %s", n, w.describe())
	}
	used := d.Ent.Redemption.Query().Where(redemption.StateEQ(redemption.StateCompleted)).CountX(t.Context())
	if used != w.uses(inv) {
		t.Errorf("%d redemptions are completed, and %d uses are taken", used, w.uses(inv))
	}
	for i := range answers {
		w.truthful(t, inv, &answers[i], answers, before, told)
	}
	told.mu.Lock()
	told.counts["undone"] += d.Ent.RedemptionStep.Query().Where(redemptionstep.StateEQ(redemptionstep.StateUndone)).CountX(t.Context())
	told.mu.Unlock()
}

// decide does what an admin does about what recovery left in doubt: it deletes the
// accounts that were not there before, and lets the others be.
func (w *world) decide(t *testing.T, s *Service, before map[string][]sdk.User, told *outcomes) {
	t.Helper()
	for _, row := range withSteps(w.db.Ent.Redemption.Query().Where(redemption.StateEQ(redemption.StateNeedsAttention))).AllX(t.Context()) {
		r := toRedemption(row)
		for _, st := range r.Steps {
			if st.State != StepNeedsAttention {
				continue
			}
			told.add("asked")
			if st.absentBefore {
				t.Errorf("an admin was asked about %s, although nobody had the name: %+v", st.Username, st.Error)
			}
			action := DeleteAccount
			for _, u := range before[st.ServerName] {
				if identity.Fold(u.Username) == identity.Fold(st.Username) {
					action = Forget
				}
			}
			if _, err := s.Resolve(t.Context(), r.ID, *st.ServerID, action, st.Username); err != nil {
				t.Errorf("%s %s: %v", action, st.Username, err)
			}
		}
	}
}

func (w *world) unfinished() int {
	return w.db.Ent.Redemption.Query().Where(redemption.FinishedAtIsNil()).CountX(context.Background())
}

func (w *world) describe() string {
	out := ""
	for _, row := range withSteps(w.db.Ent.Redemption.Query().Where(redemption.FinishedAtIsNil())).AllX(context.Background()) {
		r := toRedemption(row)
		out += fmt.Sprintf("\n  %s %s next %v error %+v", r.Username, r.State, r.nextAttemptAt, r.Error)
		for _, st := range r.Steps {
			out += fmt.Sprintf("\n    %s %s id %v next %v error %+v", st.ServerName, st.State, st.ExternalID, st.NextAttemptAt, st.Error)
		}
	}
	return out
}

// truthful checks what one client was told against what is.
func (w *world) truthful(t *testing.T, inv invitation.Invitation, a *answer, all []answer, before map[string][]sdk.User, told *outcomes) {
	t.Helper()
	if a.died {
		return
	}
	res, code := a.result, fault.CodeOf(a.err)
	if a.err == nil && res.State == InProgress {
		told.add("polled")
		var err error
		if res, err = w.service().Result(t.Context(), inv.Code, res.PublicID); err != nil {
			t.Errorf("polled: %v", err)
			return
		}
		if res.State == Failed {
			code = res.ErrorCode
		}
	}
	switch {
	case a.err == nil && res.State == Completed:
		told.add("completed")
		if len(res.Users) != len(w.fakes) {
			t.Errorf("%s was told of %d accounts, want %d", a.req.Username, len(res.Users), len(w.fakes))
		}
		for name, fs := range w.fakes {
			u, ok := fs.UserByName(a.req.Username)
			if !ok || !fs.SignsIn(a.req.Username, goodPassword) || u.Libraries.Mode != sdk.LibraryOnly || len(u.Libraries.IDs) != 1 {
				t.Errorf("%s was told that it worked, and has no such account on %s: %+v", a.req.Username, name, u)
			}
		}
	case res.PublicID != "":
		told.add("refused")
		r := w.redemption(res)
		if r.State != Failed {
			t.Errorf("%s was told %s, and the redemption is %s", a.req.Username, code, r.State)
		}
		if code == fault.CodeUsernameTaken && !w.mayBeTaken(a, all, before) {
			t.Errorf("%s was told that the name is taken, and nobody ever had it", a.req.Username)
		}
	default:
		told.add(code)
		switch code {
		case fault.CodeInvitationExhausted:
			if inv.MaxUses == nil {
				t.Error("an unlimited invitation was called used")
			}
		case fault.CodePreviousAttemptUnfinished:
			if !w.mayBeTaken(a, all, nil) {
				t.Errorf("%s was told of an earlier attempt, and there was none", a.req.Username)
			}
		case fault.CodeIdempotencyKeyReused:
			t.Error("the same request with its own key was refused")
		default:
			t.Errorf("%s was told %v", a.req.Username, a.err)
		}
	}
	// The same key is the same redemption, also when the code is used up since.
	for i := range all {
		o := &all[i]
		if a.key != "" && o.key == a.key && o.result.PublicID != "" && o.ended.Before(a.began) && a.result.PublicID == "" {
			t.Errorf("the same request with the same key was told %v, and not what became of the first", a.err)
		}
		if a.key != "" && o.key == a.key && o.result.PublicID != "" && a.result.PublicID != "" && o.result.PublicID != a.result.PublicID {
			t.Error("one key gave two redemptions")
		}
	}
}

func (w *world) mayBeTaken(a *answer, all []answer, before map[string][]sdk.User) bool {
	for i := range all {
		if &all[i] != a && identity.Fold(all[i].req.Username) == identity.Fold(a.req.Username) {
			return true
		}
	}
	for _, users := range before {
		for _, u := range users {
			if identity.Fold(u.Username) == identity.Fold(a.req.Username) {
				return true
			}
		}
	}
	return false
}
