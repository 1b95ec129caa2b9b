package redeem

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zondarr/zondarr/ent/db"
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
	if !t.Failed() && n > 10 {
		// Schedules under which nothing ever goes wrong, or nothing ever works,
		// would prove nothing.
		for _, what := range []string{"completed", "refused", "undone", "died", "recovered", "frozen"} {
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
	for _, name := range names {
		for i := range rng.IntN(4) {
			w.fakes[name].AddUser(sdk.User{Username: fmt.Sprintf("guest%d", i)}, "a password of long ago")
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

func (w *world) unfinished() int {
	return w.db.Ent.Redemption.Query().Where(redemption.FinishedAtIsNil()).CountX(context.Background())
}

func (w *world) describe() string {
	out := ""
	for _, row := range withSteps(w.db.Ent.Redemption.Query().Where(redemption.FinishedAtIsNil())).AllX(context.Background()) {
		r := toRedemption(row)
		out += fmt.Sprintf("\n  %s %s next %v error %+v", r.Username, r.State, r.nextAttemptAt, r.Error)
		for _, st := range r.Steps {
			out += fmt.Sprintf("\n    %s %s id %v checks %d next %v error %+v", st.ServerName, st.State, st.ExternalID, st.checks, st.NextAttemptAt, st.Error)
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

// hosts are the processes of a schedule: replicas that die and start again.
type hosts struct {
	world    *world
	chaos    *chaos
	told     *outcomes
	replicas int
	deaths   int // how many are left
	freezes  int
	immortal atomic.Bool

	mu      sync.Mutex
	running []*host
	born    int
	ended   sync.WaitGroup
}

// host is one process.
type host struct {
	*Service
	n    int
	dead atomic.Bool
	// thaw is when a host that stands still goes on: a stopped virtual machine, a
	// swapped out process.
	thaw atomic.Pointer[time.Time]
	died chan struct{}
	taps map[string]int
}

var errDead = errors.New("the process is dead")

func (h *hosts) start(t *testing.T) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for range h.replicas {
		h.running = append(h.running, h.birth(t))
	}
}

// birth needs h.mu.
func (h *hosts) birth(t *testing.T) *host {
	h.born++
	b := &host{n: h.born, died: make(chan struct{}), taps: map[string]int{}}
	b.Service = h.world.service(func(s *Service) {
		s.Clients = &chaosClients{chaos: h.chaos, host: b}
		s.Time = func(context.Context, *db.Tx) (time.Time, error) { return database.Now(), nil }
		s.tap = func(point string) error { return h.tap(t, b, point) }
	})
	b.Start(context.Background())
	return b
}

// tap lets a host die at a durable point, once in a while.
func (h *hosts) tap(t *testing.T, b *host, point string) error {
	b.stand()
	if b.dead.Load() {
		return errDead
	}
	h.mu.Lock()
	b.taps[point]++
	x := draw(h.chaos.seed, "freeze", strconv.Itoa(b.n), point, strconv.Itoa(b.taps[point]))
	if !h.immortal.Load() && h.freezes > 0 && x%15 == 0 {
		h.freezes--
		h.told.add("frozen")
		until := time.Now().Add(time.Duration(x/15%300) * time.Second)
		b.thaw.Store(&until)
		h.mu.Unlock()
		b.stand()
		return nil
	}
	defer h.mu.Unlock()
	if h.immortal.Load() || h.deaths == 0 || draw(h.chaos.seed, "death", strconv.Itoa(b.n), point, strconv.Itoa(b.taps[point]))%12 > 0 {
		return nil
	}
	h.deaths--
	h.told.add("died")
	b.dead.Store(true)
	close(b.died)
	h.ended.Go(func() {
		// A dead process writes nothing more, and its calls end; another starts.
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		b.Stop(ctx)
		time.Sleep(time.Duration(draw(h.chaos.seed, "rebirth", strconv.Itoa(b.n))%120) * time.Second)
		h.mu.Lock()
		defer h.mu.Unlock()
		for i, r := range h.running {
			if r == b {
				h.running[i] = h.birth(t)
			}
		}
		h.told.add("recovered")
	})
	return errDead
}

// stand stands still for as long as the host does.
func (b *host) stand() {
	if until := b.thaw.Load(); until != nil {
		time.Sleep(time.Until(*until))
	}
}

func (h *hosts) join(ctx context.Context, code string, a *answer, i int) {
	h.mu.Lock()
	b := h.running[i%len(h.running)]
	h.mu.Unlock()
	a.began = time.Now()
	defer func() { a.ended = time.Now() }()
	done := make(chan struct{})
	h.ended.Go(func() {
		defer close(done)
		result, err := b.Join(ctx, code, a.req, a.key, Caller{})
		if !b.dead.Load() {
			a.result, a.err = result, err
		}
	})
	select {
	case <-done:
	case <-b.died:
		<-done
	}
	a.died = b.dead.Load()
}

func (h *hosts) stop() {
	h.ended.Wait()
	h.mu.Lock()
	running := h.running
	h.mu.Unlock()
	for _, b := range running {
		b.Stop(context.Background())
	}
}

// chaos decides what goes wrong: by the seed and by what is called, so that it
// does not depend on who comes first.
type chaos struct {
	seed    uint64
	world   *world
	trouble int // percent of calls
	calm    atomic.Bool
	live    sync.WaitGroup
	late    atomic.Int32

	mu     sync.Mutex
	counts map[string]int
}

func draw(seed uint64, parts ...string) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d", seed)
	for _, p := range parts {
		fmt.Fprintf(h, "|%s", p)
	}
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return x
}

func (c *chaos) draw(parts ...string) uint64 {
	c.mu.Lock()
	key := fmt.Sprint(parts)
	c.counts[key]++
	n := c.counts[key]
	c.mu.Unlock()
	return draw(c.seed, append(parts, strconv.Itoa(n))...)
}

type chaosClients struct {
	*chaos
	host *host
}

func (c *chaosClients) Describe(serverType string) (sdk.Description, error) {
	return c.world.plugins.Describe(serverType)
}

func (c *chaosClients) Client(ctx context.Context, ref sdk.ServerRef) (sdk.MediaClient, error) {
	m, err := c.world.plugins.Client(ctx, ref)
	if err != nil {
		return nil, err
	}
	return &chaosClient{MediaClient: m, chaos: c.chaos, host: c.host, server: ref.ID}, nil
}

type chaosClient struct {
	sdk.MediaClient
	chaos  *chaos
	host   *host
	server string
}

func (c *chaosClient) FindUser(ctx context.Context, req sdk.FindUserRequest) (sdk.FindUserResponse, error) {
	return disturbed(ctx, c, "FindUser", req.Username, func(ctx context.Context) (sdk.FindUserResponse, error) {
		return c.MediaClient.(sdk.Provisioner).FindUser(ctx, req)
	})
}

func (c *chaosClient) CreateUser(ctx context.Context, req sdk.CreateUserRequest) (sdk.CreateUserResponse, error) {
	return disturbed(ctx, c, "CreateUser", req.Username, func(ctx context.Context) (sdk.CreateUserResponse, error) {
		return c.MediaClient.(sdk.Provisioner).CreateUser(ctx, req)
	})
}

func (c *chaosClient) DeleteUser(ctx context.Context, req sdk.DeleteUserRequest) (sdk.DeleteUserResponse, error) {
	return disturbed(ctx, c, "DeleteUser", req.ID, func(ctx context.Context) (sdk.DeleteUserResponse, error) {
		return c.MediaClient.(sdk.Provisioner).DeleteUser(ctx, req)
	})
}

func (c *chaosClient) GetUser(ctx context.Context, req sdk.GetUserRequest) (sdk.GetUserResponse, error) {
	return disturbed(ctx, c, "GetUser", req.ID, func(ctx context.Context) (sdk.GetUserResponse, error) {
		return c.MediaClient.(sdk.UserReader).GetUser(ctx, req)
	})
}

// disturbed makes a call go wrong in one of the ways in which calls do.
func disturbed[T any](ctx context.Context, c *chaosClient, op, about string, call func(context.Context) (T, error)) (T, error) {
	var zero T
	c.host.stand()
	if c.host.dead.Load() {
		return zero, errDead
	}
	if ctx.Err() != nil {
		return zero, &sdk.Error{Reason: sdk.ReasonTimeout, Source: sdk.SourceHost, Retryable: true, Message: "too late", Err: ctx.Err()}
	}
	away := context.WithoutCancel(ctx) // the media server goes on although the caller has gone
	x := c.chaos.draw(op, c.server, about)
	if c.chaos.calm.Load() || int(x%100) >= c.chaos.trouble {
		return call(ctx)
	}
	x /= 100
	long := time.Duration(1+x/16%50) * time.Second
	refusals := []*sdk.Error{
		sdk.Errorf(sdk.ReasonUnavailable, "connection refused"), sdk.Errorf(sdk.ReasonServerError, "status 503"),
		sdk.Errorf(sdk.ReasonRateLimited, "slow down"),
		{Reason: sdk.ReasonUnavailable, Source: sdk.SourceHost, Retryable: true, Message: "the plugin is not running"},
	}
	lost := []*sdk.Error{
		sdk.Errorf(sdk.ReasonAmbiguous, "no answer"), sdk.Errorf(sdk.ReasonTimeout, "no answer"), sdk.Errorf(sdk.ReasonServerError, "status 502"),
		{Reason: sdk.ReasonAmbiguous, Source: sdk.SourceHost, Message: "the process died under the call"}, {Reason: "a reason of tomorrow"},
	}
	if op == "CreateUser" {
		refusals = append(refusals, sdk.Errorf(sdk.ReasonPasswordRejected, "too weak"), sdk.Errorf(sdk.ReasonLimitReached, "full"),
			sdk.Errorf(sdk.ReasonAccessNotApplied, "read back differs; undone"))
	}
	in := func(d time.Duration) { // done by the media server later
		c.chaos.late.Add(1)
		c.chaos.live.Go(func() {
			defer c.chaos.late.Add(-1)
			time.Sleep(d)
			_, _ = call(away)
		})
	}
	hang := func() (T, error) {
		<-ctx.Done()
		return zero, &sdk.Error{Reason: sdk.ReasonTimeout, Source: sdk.SourceHost, Retryable: true, Message: "no answer in time", Err: ctx.Err()}
	}
	switch x % 6 {
	case 0: // nothing was done, and it says so
		return zero, refusals[x/6%uint64(len(refusals))]
	case 1: // nothing was done, and nobody says anything
		return hang()
	case 2: // it is done, and nobody says anything
		in(0)
		return hang()
	case 3: // it is done, and the answer is lost
		_, _ = call(away)
		return zero, lost[x/6%uint64(len(lost))]
	case 4: // it is done much later, when nobody waits any more
		in(long * 8)
		if x%2 == 0 {
			return hang()
		}
		return zero, lost[x/6%uint64(len(lost))]
	default: // it is slow
		type outcome struct {
			v   T
			err error
		}
		done := make(chan outcome, 1)
		c.chaos.live.Go(func() {
			time.Sleep(long)
			v, err := call(away)
			done <- outcome{v, err}
		})
		select {
		case o := <-done:
			return o.v, o.err
		case <-ctx.Done():
			return hang()
		}
	}
}
