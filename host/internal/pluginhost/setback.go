//go:build unix

package pluginhost

import (
	"errors"
	"fmt"
	"time"

	"github.com/zondarr/zondarr/host/internal/registry"
)

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
		k.log.Warn("a plugin cannot run", "code", r.code, "reason", r.message, "error", k.cause(failed))
		k.halt(art.sha256, *r)
		return
	}
	k.log.Warn("a plugin did not start", "code", failed.code, "reason", failed.message, "error", k.cause(failed))
	crash := failed.crash
	if crash == nil {
		crash = &Crash{At: k.host.now().UTC(), ExitCode: -1}
	}
	k.backOff(0, crash, failed.code, failed.message)
}

// cause gives what the log says of a launch: go-plugin repeats what a plugin
// printed, which may be anything.
func (k *keeper) cause(err error) string {
	if failed, ok := errors.AsType[*launchError](err); ok && failed.err != nil {
		err = failed.err
	}
	return k.scrub.head(err.Error(), k.host.policy.OutputLine)
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
