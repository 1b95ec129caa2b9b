package redeem

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

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
	if b.dead.Load() { // another of its goroutines died meanwhile
		h.mu.Unlock()
		return errDead
	}
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

// alive gives a host, when all that died have been born again.
func (h *hosts) alive() *host {
	h.ended.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.running[0]
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
