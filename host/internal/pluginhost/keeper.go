//go:build unix

package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/zondarr/zondarr/host/internal/registry"
	"github.com/zondarr/zondarr/sdk"
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
		k.rest(want)
	case k.isHalted(want.art):
	case k.cur == nil && k.host.now().Before(k.retryAt):
	case k.cur == nil:
		k.start(ctx, want.art)
		k.handledRestart(restart)
		return true
	case restart, k.cur.art.sha256 != want.art.sha256 && k.rejected != want.art.sha256:
		if err := k.replace(ctx, want.art, nil); err != nil && ctx.Err() == nil {
			k.rejected = want.art.sha256
			k.log.Warn("a plugin was not replaced; the process before goes on", "error", err)
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
	k.adopt(i)
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
func (k *keeper) adopt(i *instance) {
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
	k.host.remember(k.entry, i)
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
func (k *keeper) rest(want target) {
	k.retryAt = time.Time{}
	if k.holdsSeat() {
		freed := k.seat.ServerType()
		k.seat.Vacate(want.message)
		k.host.typeFreed(freed)
	} else if k.seat == nil {
		k.mention(want)
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
func (k *keeper) mention(want target) {
	k.mu.Lock()
	var sha string
	for _, a := range k.approvals {
		sha = a.sha256
	}
	k.mu.Unlock()
	if sha == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), recordTimeout)
	defer cancel()
	if d := k.host.recall(ctx, k.entry, sha); d != nil {
		k.seat = k.host.registry.Mention(registry.Offer{
			Plugin: k.name, Description: d.Description, SDKVersion: d.SDKVersion, ProtocolVersion: d.ProtocolVersion,
		}, want.message)
	}
}

// startFailed decides what follows a launch that failed where nothing ran.
func (k *keeper) startFailed(art *artefact, err error) {
	if errors.Is(err, errInterrupted) {
		return
	}
	var failed *launchError
	if !errors.As(err, &failed) {
		failed = &launchError{code: CodeCrashed, message: "It could not be started.", err: err}
	}
	if r := failed.refusal; r != nil {
		k.log.Warn("a plugin cannot run", "code", r.code, "reason", r.message, "error", failed.err)
		k.halt(art.sha256, *r)
		return
	}
	k.log.Warn("a plugin did not start", "code", failed.code, "reason", failed.message, "error", failed.err)
	crash := failed.crash
	if crash == nil {
		crash = &Crash{At: k.host.now().UTC(), ExitCode: -1}
	}
	k.backOff(0, crash, failed.code, failed.message)
}

// halt is the end of a hash, until an admin or a change of the file says
// otherwise.
func (k *keeper) halt(sha string, r refusal) {
	k.mu.Lock()
	k.halted = &halt{sha256: sha, refusal: r}
	k.mu.Unlock()
	if k.holdsSeat() {
		k.seat.Down(registry.Down{Reason: r.message, Final: true})
	}
	k.set(StateFailed, r.code, r.message, func(s *status) { s.pid, s.startedAt = 0, time.Time{} })
}

// typeTaken halts a plugin until the type that it claims is free.
func (k *keeper) typeTaken(sha, serverType string, err error) {
	holder := "another plugin"
	if taken, ok := errors.AsType[*registry.TypeTakenError](err); ok {
		holder = "the plugin " + taken.Holder
	}
	k.halt(sha, refusal{CodeServerTypeTaken, fmt.Sprintf("The server type %s is served by %s, which comes first. Disable that one to use this.", serverType, holder)})
	k.mu.Lock()
	k.blockedFor = serverType
	k.mu.Unlock()
}

// lostType stops a plugin whose type went to one that comes before it.
func (k *keeper) lostType() {
	i := k.cur
	k.cur = nil
	holder := "another plugin"
	if t, err := k.host.registry.Type(k.seat.ServerType()); err == nil {
		holder = t.Plugin
	}
	k.typeTaken(i.art.sha256, k.seat.ServerType(), &registry.TypeTakenError{ServerType: k.seat.ServerType(), Holder: holder})
	k.letGo(i)
}

// crashed takes note of a process that ended without being asked.
func (k *keeper) crashed() {
	i := k.cur
	k.cur = nil
	now := k.host.now()
	crash := i.crash(now)
	code, message := CodeCrashed, "It ended: "+ending(i.proc.exitState())+"."
	if i.unhealthy.Load() {
		code, message = CodeUnhealthy, fmt.Sprintf("It did not answer %d health checks and was killed.", i.policy.HealthFailures)
	}
	k.log.Error("a plugin ended unasked", "pid", i.proc.pid(), "reason", message, "exit_code", crash.ExitCode,
		"signal", crash.Signal, "last_call", crash.LastCall)
	k.backOff(now.Sub(i.startedAt), crash, code, message)
	i.stop()
}

// backOff plans the next start.
func (k *keeper) backOff(lived time.Duration, crash *Crash, code, message string) {
	now, p := k.host.now(), k.host.policy
	k.mu.Lock()
	k.crashes.add(p, lived, crash, now)
	wait := p.backoff(k.crashes.inRow)
	if k.crashes.looping(p, now) {
		code = CodeCrashLooping
	}
	k.mu.Unlock()
	k.retryAt = now.Add(wait)
	if k.holdsSeat() {
		k.seat.Down(registry.Down{Reason: message, RetryAt: k.retryAt})
	}
	k.set(StateBackingOff, code, message, func(s *status) { s.pid, s.startedAt = 0, time.Time{} })
}

// replace starts a version beside the one that runs, holds it to what that one
// promised the stored servers, and swaps. On an error nothing has changed.
func (k *keeper) replace(ctx context.Context, art *artefact, tr *trial) error {
	before := k.host.lastDeclaration(ctx, k.entry)
	stood := k.snapshot()
	i, err := k.launch(ctx, art, tr != nil)
	if err != nil {
		k.restore(stood)
		return err
	}
	if before != nil {
		err = k.fits(ctx, before.Description, i)
	}
	if err == nil {
		err = k.mayTakeSeat(i)
	}
	if err == nil && tr != nil {
		err = tr.commit()
	}
	if err == nil {
		err = k.takeSeat(i)
	}
	if err != nil {
		i.stop()
		k.host.remember(k.entry, i) // so that the next look at it shows what is wrong
		k.restore(stood)
		return err
	}
	k.adopt(i)
	return nil
}

func (k *keeper) snapshot() status {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.status
}

// restore takes back what the launch of a version that was not taken has shown.
func (k *keeper) restore(stood status) {
	if now := k.snapshot().state; now != StateVerifying && now != StateStarting {
		return
	}
	k.set(stood.state, stood.code, stood.message, func(s *status) { s.art = stood.art })
}

// misfitError says which stored servers a version would no longer serve.
type misfitError struct{ misfits []Misfit }

func (e *misfitError) Error() string { return tellMisfits(e.misfits) }

func (k *keeper) fits(ctx context.Context, before sdk.Description, i *instance) error {
	stored, err := k.host.stored(ctx)
	if err != nil {
		return err
	}
	if m := misfits(before, i.declaration.Description, stored); len(m) > 0 {
		return &misfitError{m}
	}
	return nil
}

// mayTakeSeat asks before the approval is recorded what takeSeat will ask again.
func (k *keeper) mayTakeSeat(i *instance) error {
	t, err := k.host.registry.Type(i.declaration.Description.ServerType)
	if err != nil || t.Plugin == k.name || !t.Available {
		return nil
	}
	return &registry.TypeTakenError{ServerType: i.declaration.Description.ServerType, Holder: t.Plugin}
}

// leave ends everything when the host stops or the plugin is forgotten.
func (k *keeper) leave() {
	if k.holdsSeat() {
		k.seat.Down(registry.Down{Reason: "Zondarr is stopping", Final: true})
	}
	if i := k.cur; i != nil {
		k.cur = nil
		k.set(StateDraining, "", "Zondarr is stopping.", nil)
		i.asked.Store(true)
		k.host.drain(i)
		i.stop()
	}
	if k.forgotten() && k.seat != nil {
		k.seat.Unregister()
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

// tell gives an error in words for an admin.
func tell(err error) string {
	var failed *launchError
	var refused *refusal
	var unfit *misfitError
	var taken *registry.TypeTakenError
	switch {
	case errors.As(err, &failed) && failed.refusal != nil:
		return failed.refusal.message
	case errors.As(err, &failed):
		return failed.message
	case errors.As(err, &refused):
		return refused.message
	case errors.As(err, &unfit):
		return "it no longer serves what is stored. " + unfit.Error()
	case errors.As(err, &taken):
		return "another plugin serves its server type."
	default:
		return "an internal error, see the log."
	}
}
