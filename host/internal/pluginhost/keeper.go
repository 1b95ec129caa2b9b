//go:build unix

package pluginhost

import (
	"context"
	"errors"
	"time"

	"github.com/zondarr/zondarr/host/internal/registry"
)

// keeper makes what runs equal to what should run, for one plugin. It is one
// goroutine; only it starts, swaps and lets go of the plugin's processes.
type keeper struct {
	*entry
	cur      *instance
	seat     *registry.Seat // held, or given up
	retryAt  time.Time      // no start before
	rejected string         // a hash that could not replace what runs
}

// keep runs until ctx ends or the plugin is forgotten, and leaves no process.
func (e *entry) keep(ctx context.Context) {
	k := &keeper{entry: e}
	defer k.leave()
	for ctx.Err() == nil && !k.forgotten() {
		if k.step(ctx) {
			continue
		}
		k.wait(ctx)
	}
}

// wait waits for something to happen, and deals with what happened to the
// process.
func (k *keeper) wait(ctx context.Context) {
	var retry <-chan time.Time
	if k.cur == nil && !k.retryAt.IsZero() {
		timer := time.NewTimer(k.retryAt.Sub(k.host.now()))
		defer timer.Stop()
		retry = timer.C
	}
	select {
	case <-ctx.Done():
	case <-k.wake:
	case <-retry:
	case <-k.exited():
		k.crashed()
	case <-k.evicted():
		k.lostType()
	}
}

// step does the next thing that is to do, and says whether there was one.
func (k *keeper) step(ctx context.Context) bool {
	want, tr, restart := k.next()
	if restart {
		k.retryAt, k.rejected = time.Time{}, ""
	}
	switch {
	case tr != nil:
		err := k.replace(ctx, tr.art, tr)
		tr.done <- err
		return true
	case want.art == nil:
		k.rest(ctx, want)
	case k.isHalted(want.art):
	case k.cur == nil && k.host.now().Before(k.retryAt):
	case k.cur == nil:
		k.start(ctx, want.art)
		k.handledRestart(restart)
		return true
	case restart, k.cur.art.sha256 != want.art.sha256 && k.rejected != want.art.sha256:
		if err := k.replace(ctx, want.art, nil); err != nil && ctx.Err() == nil {
			k.rejected = want.art.sha256
			k.log.Warn("a plugin was not replaced; the process before goes on", "reason", tell(err), "error", k.cause(err))
			if k.cur != nil {
				k.set(StateReady, CodeReplaceFailed, "A new process was not taken, and the one before goes on: "+tell(err), nil)
			}
		}
		k.handledRestart(restart)
		return true
	}
	k.handledRestart(restart)
	k.idle(want)
	return false
}

// next takes what is wanted. A restart forgives what went wrong before.
func (k *keeper) next() (want target, tr *trial, restart bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.trials) > 0 {
		tr, k.trials = k.trials[0], k.trials[1:]
	}
	if restart = k.restarts != k.restarted; restart {
		k.crashes.reset()
		k.halted, k.blockedFor = nil, ""
	}
	return k.target(), tr, restart
}

func (k *keeper) handledRestart(was bool) {
	if !was {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.restarted = k.restarts
}

// idle tells whoever waits that the target has been acted on.
func (k *keeper) idle(want target) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.handled = want
	k.rounds++
	close(k.changed)
	k.changed = make(chan struct{})
}

func (k *keeper) isHalted(art *artefact) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.halted != nil && k.halted.sha256 != art.sha256 {
		k.halted, k.blockedFor = nil, ""
	}
	return k.halted != nil && k.cur == nil
}

func (k *keeper) exited() <-chan struct{} {
	if k.cur == nil {
		return nil
	}
	return k.cur.proc.exited
}

func (k *keeper) evicted() <-chan struct{} {
	if k.cur == nil {
		return nil
	}
	return k.seat.Evicted()
}

// launched is what came of a launch.
type launched struct {
	instance *instance
	err      error
}

// errInterrupted says that a launch was called off.
var errInterrupted = errors.New("the start was called off")

// launch starts a process beside whatever runs, and keeps an eye on that.
func (k *keeper) launch(ctx context.Context, art *artefact, isTrial bool) (*instance, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	k.mu.Lock()
	k.launching = &launching{sha256: art.sha256, isTrial: isTrial, cancel: cancel}
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		k.launching = nil
		k.mu.Unlock()
	}()
	k.reconsider() // the target may have moved before this could be called off
	alone := k.cur == nil
	if alone {
		k.set(StateVerifying, "", "", func(s *status) { s.art, s.pid, s.startedAt = art, 0, time.Time{} })
	}
	done := make(chan launched, 1)
	go func() {
		i, err := k.host.launchVerified(ctx, k.entry, art, func() {
			if alone {
				k.set(StateStarting, "", "", nil)
			}
		})
		done <- launched{i, err}
	}()
	for {
		select {
		case r := <-done:
			if r.err != nil && ctx.Err() != nil {
				return nil, errInterrupted
			}
			return r.instance, r.err
		case <-k.exited():
			k.crashed()
		case <-k.evicted():
			k.lostType()
		}
	}
}

// start starts the plugin where nothing runs.
func (k *keeper) start(ctx context.Context, art *artefact) {
	k.retryAt = time.Time{}
	if !k.holdsSeat() {
		k.claimFromMemory(ctx, art)
	} else {
		k.seat.Down(registry.Down{Reason: "it is starting"})
	}
	i, err := k.launch(ctx, art, false)
	if err != nil {
		k.startFailed(art, err)
		return
	}
	if err := k.takeSeat(i); err != nil {
		i.stop()
		k.typeTaken(art.sha256, i.declaration.Description.ServerType, err)
		return
	}
	k.adopt(ctx, i)
}

// claimFromMemory claims the type that the binary named when it last ran, so
// that it is listed while the plugin starts or stays down.
func (k *keeper) claimFromMemory(ctx context.Context, art *artefact) {
	d := k.host.recall(ctx, k.entry, art.sha256)
	if d == nil {
		return
	}
	seat, err := k.host.registry.Register(registry.Offer{
		Plugin: k.name, Description: d.Description, SDKVersion: d.SDKVersion, ProtocolVersion: d.ProtocolVersion, Rank: art.rank,
	})
	if err == nil { // else it is settled once the plugin itself has spoken
		k.seat = seat
	}
}

func (k *keeper) holdsSeat() bool {
	if k.seat == nil {
		return false
	}
	select {
	case <-k.seat.Evicted():
		return false
	default:
		return true
	}
}

// takeSeat makes sure that the seat is the one for the instance's type.
func (k *keeper) takeSeat(i *instance) error {
	serverType := i.declaration.Description.ServerType
	if k.holdsSeat() && k.seat.ServerType() == serverType {
		return nil
	}
	seat, err := k.host.registry.Register(i.offer())
	if err != nil {
		return err
	}
	if k.seat != nil && k.seat.ServerType() != serverType {
		freed := k.seat.ServerType()
		k.seat.Unregister()
		k.host.typeFreed(freed)
	}
	k.seat = seat
	return nil
}

// adopt makes an instance the one that answers, in one step, and lets the one
// before go.
func (k *keeper) adopt(ctx context.Context, i *instance) {
	before := k.cur
	i.served = k.seat.Serve(i.offer(), i)
	k.cur = i
	k.host.work.Go(i.watch)
	k.mu.Lock()
	k.known[i.art.sha256] = &i.declaration
	k.halted, k.blockedFor = nil, ""
	k.current = i
	k.mu.Unlock()
	k.retryAt, k.rejected = time.Time{}, ""
	k.set(StateReady, "", "", func(s *status) {
		s.art, s.pid, s.startedAt, s.starts = i.art, i.proc.pid(), i.startedAt, s.starts+1
	})
	if before != nil {
		k.letGo(before)
	}
	k.host.remember(ctx, k.entry, i)
}

// letGo drains and stops an instance that answers no more, in the background.
func (k *keeper) letGo(i *instance) {
	i.asked.Store(true)
	k.mu.Lock()
	k.leaving++
	k.mu.Unlock()
	k.host.work.Go(func() {
		k.host.drain(i)
		i.stop()
		k.mu.Lock()
		k.leaving--
		k.mu.Unlock()
		k.poke()
	})
}

// rest makes sure that nothing runs.
func (k *keeper) rest(ctx context.Context, want target) {
	k.retryAt = time.Time{}
	if k.holdsSeat() {
		freed := k.seat.ServerType()
		k.seat.Vacate(want.message)
		k.host.typeFreed(freed)
	} else if k.seat == nil {
		k.mention(ctx, want)
	}
	if k.cur != nil {
		k.letGo(k.cur)
		k.cur = nil
	}
	k.mu.Lock()
	leaving := k.leaving > 0
	k.halted, k.blockedFor = nil, ""
	k.mu.Unlock()
	if leaving {
		k.set(StateDraining, "", "Calls in flight may finish.", nil)
		return
	}
	k.set(want.state, want.code, want.message, func(s *status) { s.pid, s.startedAt = 0, time.Time{} })
}

// mention lists the type of a plugin that ran once and does not run now.
func (k *keeper) mention(ctx context.Context, want target) {
	k.mu.Lock()
	var sha string
	for _, a := range k.approvals {
		sha = a.sha256
	}
	k.mu.Unlock()
	if sha == "" {
		return
	}
	if d := k.host.recall(ctx, k.entry, sha); d != nil {
		k.seat = k.host.registry.Mention(registry.Offer{
			Plugin: k.name, Description: d.Description, SDKVersion: d.SDKVersion, ProtocolVersion: d.ProtocolVersion,
		}, want.message)
	}
}

// leave ends everything when the host stops or the plugin is forgotten.
func (k *keeper) leave() {
	why := "Zondarr is stopping."
	switch {
	case k.forgotten():
		why = "The plugin's file was removed."
		if k.seat != nil {
			k.seat.Unregister()
			k.host.typeFreed(k.seat.ServerType())
		}
	case k.holdsSeat():
		k.seat.Down(registry.Down{Reason: why, Final: true})
	}
	if i := k.cur; i != nil {
		k.cur = nil
		k.set(StateDraining, "", why, nil)
		i.asked.Store(true)
		k.host.drain(i)
		i.stop()
	}
	k.mu.Lock()
	trials := k.trials
	k.trials = nil
	k.mu.Unlock()
	for _, tr := range trials {
		tr.done <- errInterrupted
	}
	k.set(StateStopped, "", "", func(s *status) { s.pid, s.startedAt = 0, time.Time{} })
}
