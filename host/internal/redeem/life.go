package redeem

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Start begins to look for unfinished redemptions, and lets Join work. ctx gives
// its values to the work; its end does not stop it, Stop does.
func (s *Service) Start(ctx context.Context) { //nolint:contextcheck // the work outlives the call; Stop ends it
	s.life.mu.Lock()
	defer s.life.mu.Unlock()
	if s.life.started {
		return
	}
	s.life.base, s.life.endBase = context.WithCancel(context.WithoutCancel(ctx))
	s.life.waits, s.life.endWaits = context.WithCancel(s.life.base)
	var sweeping context.Context
	sweeping, s.life.endSweep = context.WithCancel(s.life.base)
	s.life.started, s.life.inHand = true, map[uuid.UUID]*run{}
	s.life.wake, s.life.sweepEnded = make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(s.life.sweepEnded)
		s.sweeps(sweeping)
	}()
}

// Hurry makes every Join that waits answer at once, in progress if it must: the
// host is about to stop, and its clients should learn where to ask.
func (s *Service) Hurry() {
	s.life.mu.Lock()
	defer s.life.mu.Unlock()
	if s.life.endWaits != nil {
		s.life.endWaits()
	}
}

// hurried calls cancel when Hurry is called, until the returned stop is.
func (s *Service) hurried(cancel context.CancelFunc) (stop func() bool) {
	s.life.mu.Lock()
	defer s.life.mu.Unlock()
	if s.life.waits == nil { // not started: an answer that is known already
		return func() bool { return true }
	}
	return context.AfterFunc(s.life.waits, cancel)
}

// Stop takes no new work, and waits for what is in hand until ctx ends; then it
// is cut off, and goes on at the next start or on another host.
func (s *Service) Stop(ctx context.Context) {
	s.life.mu.Lock()
	if !s.life.started {
		s.life.mu.Unlock()
		return
	}
	s.life.started = false
	s.life.mu.Unlock()

	s.life.endSweep()
	<-s.life.sweepEnded
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		s.life.work.Wait()
	}()
	select {
	case <-drained:
	case <-ctx.Done():
	}
	s.life.endBase()
	<-drained
}

func (s *Service) running() bool {
	s.life.mu.Lock()
	defer s.life.mu.Unlock()
	return s.life.started
}

// handed gives the run of a redemption that this host works on, or nil.
func (s *Service) handed(id uuid.UUID) *run {
	s.life.mu.Lock()
	defer s.life.mu.Unlock()
	return s.life.inHand[id]
}

// launch works on a new redemption in a goroutine of the service. It says no
// when the service has stopped.
func (s *Service) launch(ctx context.Context, r *run) bool {
	return s.spawn(ctx, r, func(ctx context.Context) { s.work(ctx, r) })
}

func (s *Service) spawn(ctx context.Context, r *run, work func(ctx context.Context)) bool {
	s.life.mu.Lock()
	defer s.life.mu.Unlock()
	if !s.life.started {
		return false
	}
	base := s.life.base
	s.life.inHand[r.id] = r
	s.life.work.Go(func() {
		defer s.release(r)
		// The caller's values (the correlation id), and the service's life.
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		defer context.AfterFunc(base, cancel)()
		held, stop := s.keep(ctx, r.hold)
		work(held)
		stop()
		if base.Err() != nil {
			s.letGo(ctx, r.hold)
		}
	})
	return true
}

func (s *Service) release(r *run) {
	s.life.mu.Lock()
	if s.life.inHand[r.id] == r { // else an admin's retry has it in hand already
		delete(s.life.inHand, r.id)
	}
	s.life.mu.Unlock()
	close(r.done)
}

// nudge makes the sweep look at once.
func (s *Service) nudge() {
	s.life.mu.Lock()
	defer s.life.mu.Unlock()
	select {
	case s.life.wake <- struct{}{}:
	default:
	}
}

// sweeps looks for unfinished work until ctx ends.
func (s *Service) sweeps(ctx context.Context) {
	for {
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.Log.ErrorContext(ctx, "unfinished redemptions were not looked at; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.life.wake:
		case <-time.After(s.Policy.Sweep):
		}
	}
}
