package registry

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/zondarr/zondarr/sdk"
)

// limits keep calls to one media server within what its type declares. They
// belong to the server, not to the plugin's process: a restart does not open
// the gate.
type limits struct {
	mu   sync.Mutex
	byID map[limitKey]*limit
}

// limitKey holds the declared limits too, so that a new version of a plugin
// which declares others gets them at once.
type limitKey struct {
	serverType string
	server     string // its id, or its URL while it has none
	declared   sdk.CallLimits
}

type limit struct {
	slots *semaphore.Weighted // first come, first served
	rate  *rate.Limiter       // nil without a rate
	users int
	used  time.Time
}

// limitKeep is how long a server's limiter outlives its last call: longer than
// any rate needs to be remembered.
const limitKeep = time.Minute

// enter waits for a turn and gives the func that ends it.
func (l *limits) enter(ctx context.Context, key limitKey) (func(), error) {
	g := l.take(key)
	if err := g.slots.Acquire(ctx, 1); err != nil {
		l.put(g)
		return nil, err
	}
	leave := func() {
		g.slots.Release(1)
		l.put(g)
	}
	if g.rate != nil {
		if err := g.rate.Wait(ctx); err != nil {
			leave()
			return nil, err
		}
	}
	return leave, nil
}

func (l *limits) take(key limitKey) *limit {
	l.mu.Lock()
	defer l.mu.Unlock()
	g, ok := l.byID[key]
	if !ok {
		if l.byID == nil {
			l.byID = map[limitKey]*limit{}
		}
		for k, idle := range l.byID {
			if idle.users == 0 && time.Since(idle.used) > limitKeep {
				delete(l.byID, k)
			}
		}
		g = &limit{slots: semaphore.NewWeighted(int64(key.declared.MaxConcurrent))}
		if perSecond := key.declared.MaxPerSecond; perSecond > 0 {
			g.rate = rate.NewLimiter(rate.Limit(perSecond), 1)
		}
		l.byID[key] = g
	}
	g.users++
	return g
}

func (l *limits) put(g *limit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g.users--
	g.used = time.Now()
}
