package jellyfin

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// writesInFlight is how many changes one server gets at a time. Each rewrites a
// whole user under a database lock, so more of them only wait there.
const writesInFlight = 3

// gate lets as many callers in as it has room for. Waiting ends with the context.
type gate chan struct{}

func (g gate) enter(ctx context.Context) error {
	select {
	case g <- struct{}{}:
		return nil
	default:
	}
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ended(ctx, "earlier calls to the server have not ended")
	}
}

func (g gate) leave() { <-g }

// turns keep calls about the same thing one after the other.
type turns struct {
	mu  sync.Mutex
	own map[string]*turn
}

// turn is the gate of one thing, there as long as somebody is in it or waits.
type turn struct {
	gate gate
	held int
}

// take waits for the thing's turn and gives what ends it.
func (t *turns) take(ctx context.Context, thing string) (done func(), err error) {
	t.mu.Lock()
	if t.own == nil {
		t.own = map[string]*turn{}
	}
	own := t.own[thing]
	if own == nil {
		own = &turn{gate: make(gate, 1)}
		t.own[thing] = own
	}
	own.held++
	t.mu.Unlock()
	if err := own.gate.enter(ctx); err != nil {
		t.drop(thing, own)
		return nil, err
	}
	return func() {
		own.gate.leave()
		t.drop(thing, own)
	}, nil
}

func (t *turns) drop(thing string, own *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if own.held--; own.held == 0 {
		delete(t.own, thing)
	}
}

// waits are the pauses between attempts; tests shorten them.
type waits struct {
	// retry are the pauses before an idempotent request is sent again after the
	// 500 of a locked database; there are as many retries as pauses.
	retry []time.Duration
	// reread is the pause before a change is made again that was not kept.
	reread time.Duration
	// settle is the pause before a look at what a failed creation left behind:
	// another creation of that name may be half done.
	settle time.Duration
	// late is the pause before the second look for an account that may appear
	// late.
	late time.Duration
}

func defaultWaits() waits {
	return waits{
		retry:  []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second},
		reread: 200 * time.Millisecond,
		settle: time.Second,
		late:   2 * time.Second,
	}
}

// pause waits, give or take a fifth, and says whether there is still time: it
// does not wait for what would come after the deadline.
func pause(ctx context.Context, d time.Duration) bool {
	d += time.Duration((rand.Float64() - 0.5) * 0.4 * float64(d)) //nolint:gosec // spreads retries; nothing to guess
	if until, ok := ctx.Deadline(); ok && time.Until(until) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// ended is the failure of a call whose time was up before it could ask the server.
func ended(ctx context.Context, words string) *sdk.Error {
	e := sdk.Errorf(sdk.ReasonTimeout, "%s", words)
	e.Source, e.Err = sdk.SourceUpstream, ctx.Err()
	return notSent(e)
}
