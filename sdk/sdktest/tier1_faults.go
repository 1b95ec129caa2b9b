package sdktest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// Deadlines of the calls to a media server that fails.
const (
	faultDeadline = 5 * time.Second
	slowDeadline  = 2500 * time.Millisecond
	// grace is how long after its deadline a call may end.
	grace = time.Second
)

// faultChecks call everything that is declared on media servers that fail.
func faultChecks() []Check {
	var checks []Check
	for _, kind := range faultKinds() {
		checks = append(checks, Check{
			Tier: 1, Name: "fails well on " + kind.name,
			Why: "The admin is told what to do by the reason, the host decides by it whether to try again, and calls that outlive their deadline pile up.",
			Run: func(ctx context.Context, s *Subject) error { return checkFault(ctx, s, kind) },
		})
	}
	return append(checks, Check{
		Tier: 1, Name: "hangs up when a call is cancelled",
		Why: "Calls that go on without anybody waiting use up the media server's connections and do things that nobody knows of.",
		Run: checkCancel,
	})
}

// each calls fn for every declared verb at once, each with a client and a listener of
// its own, and joins what is wrong.
func (s *Subject) each(kind faultKind, fn func(v verb, c Client, f *fault) error) error {
	var (
		mu    sync.Mutex
		wrong []error
		group sync.WaitGroup
	)
	for _, v := range verbs() {
		if !s.declares(v) {
			continue
		}
		group.Go(func() {
			f, err := newFault(kind)
			if err == nil {
				defer f.close()
				err = fn(v, s.Client(s.refAt("fault-"+v.op+"-"+s.name(), f.url)), f)
			}
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				wrong = append(wrong, err)
			}
		})
	}
	group.Wait()
	slices.SortFunc(wrong, func(a, b error) int {
		if a.Error() < b.Error() {
			return -1
		}
		return 1
	})
	return errors.Join(wrong...)
}

func checkFault(ctx context.Context, s *Subject, kind faultKind) error {
	deadline := faultDeadline
	if kind.slow {
		deadline = slowDeadline
	}
	return s.each(kind, func(v verb, c Client, f *fault) error {
		ctx, cancel := context.WithTimeout(ctx, deadline)
		defer cancel()
		start := time.Now()
		done := make(chan error, 1)
		go func() { done <- v.call(ctx, c, s.aProbe()) }() // ends with the call
		var err error
		select {
		case err = <-done:
		case <-time.After(deadline + grace):
			return fmt.Errorf("%s does not end within its deadline of %s (and %s)", v.op, deadline, grace)
		}
		s.heard(err)
		if err := judge(v, kind, err, f); err != nil {
			return fmt.Errorf("%s after %s: %w", v.op, time.Since(start).Round(10*time.Millisecond), err)
		}
		return nil
	})
}

// judge says what is wrong with how a call ended on a failing media server.
func judge(v verb, kind faultKind, err error, f *fault) error {
	refusedHere := v.local && !kind.refused && f.reached() == 0
	if err == nil {
		if refusedHere || kind.gone && v.local {
			return nil // nothing to end, or already gone
		}
		return errors.New("it succeeds")
	}
	e, err := typedError(v.op, err)
	if err != nil {
		return err
	}
	if refusedHere && !kind.tls && e.Origin() == sdk.SourceRequest {
		return nil // made-up arguments, known to be none without asking
	}
	if (kind.tls || kind.refused) && v.local && e.Origin() == sdk.SourceRequest {
		return nil
	}
	if kind.gone && v.local && (e.Kind() == sdk.ReasonNotFound || e.Kind() == sdk.ReasonLinkExpired) {
		return nil
	}
	if e.Origin() == sdk.SourceHost {
		return fmt.Errorf("the plugin did not answer before the deadline; the host gave up (%s)", e.Message)
	}
	unclear := v.op == "CreateUser" && e.Kind() == sdk.ReasonAmbiguous
	if !slices.Contains(kind.reasons, e.Kind()) && !unclear {
		return fmt.Errorf("the reason is %q (%s), want one of %v", e.Kind(), e.Message, kind.reasons)
	}
	if e.Origin() != sdk.SourceUpstream {
		return fmt.Errorf("the source is %q, want %q: it is the media server that fails", e.Origin(), sdk.SourceUpstream)
	}
	if kind.wait > 0 && e.RetryAfter != kind.wait {
		return fmt.Errorf("RetryAfter is %s, but the server asked to wait %s", e.RetryAfter, kind.wait)
	}
	if e.Kind().Transient() && !e.Retryable {
		return fmt.Errorf("%q is not marked as retryable", e.Kind())
	}
	if e.Message == "" {
		return errors.New("it says nothing of the cause")
	}
	return nil
}

func checkCancel(ctx context.Context, s *Subject) error {
	hung := faultKinds()[len(faultKinds())-1]
	return s.each(hung, func(v verb, c Client, f *fault) error {
		ctx, cancel := context.WithTimeout(ctx, faultDeadline)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- v.call(ctx, c, s.aProbe()) }() // ends with the call
		for f.waiting.Load() == 0 {
			select {
			case err := <-done:
				if v.local && f.reached() == 0 {
					return nil // it was refused without asking
				}
				return fmt.Errorf("%s ended before it was cancelled: %w", v.op, err)
			case <-time.After(5 * time.Millisecond):
			}
		}
		cancel()
		for range 200 {
			if f.let.Load() > 0 {
				s.heard(<-done)
				return nil
			}
			time.Sleep(10 * time.Millisecond)
		}
		return fmt.Errorf("%s was cancelled, and 2 s later its request to the media server is still open", v.op)
	})
}
