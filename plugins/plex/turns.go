package plex

import (
	"context"
	"sync"
)

// turns lets one call at a time change what a person has. Plex keeps one set of
// permissions per person for all servers of an owner, so two servers of one
// invitation would otherwise read it before either has written, and two calls
// for one server could take each other's share for their own.
type turns struct {
	mu   sync.Mutex
	busy map[string]chan struct{} // closed when the turn is over
}

func newTurns() *turns { return &turns{busy: map[string]chan struct{}{}} }

// take waits for the turn of a person; over ends it.
func (t *turns) take(ctx context.Context, id string) (over func(), err error) {
	for {
		t.mu.Lock()
		before, taken := t.busy[id]
		if !taken {
			mine := make(chan struct{})
			t.busy[id] = mine
			t.mu.Unlock()
			return func() {
				t.mu.Lock()
				defer t.mu.Unlock()
				delete(t.busy, id)
				close(mine)
			}, nil
		}
		t.mu.Unlock()
		select {
		case <-before:
		case <-ctx.Done():
			return nil, outOfTime()
		}
	}
}
