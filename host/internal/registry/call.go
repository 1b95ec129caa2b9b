package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

// verb is one operation of the contract.
type verb struct {
	name string
	// deadline picks the verb's deadline, from the moment it is sent.
	deadline func(CallPolicy) time.Duration
	// repeatable verbs may be sent again after a crash: reads, and sets and
	// deletes that are idempotent. A create never is.
	repeatable bool
}

func testDeadline(p CallPolicy) time.Duration  { return p.Test }
func readDeadline(p CallPolicy) time.Duration  { return p.Read }
func listDeadline(p CallPolicy) time.Duration  { return p.List }
func writeDeadline(p CallPolicy) time.Duration { return p.Write }

// call sends one verb to whoever serves the client's type. lent are the secrets
// of the request beyond those of the server.
func call[T any](ctx context.Context, c *client, v verb, lent []string, do func(context.Context, sdk.MediaClient) (T, error)) (T, error) {
	var none T
	policy := c.registry.callPolicy()
	turn, err := c.enter(ctx, v, policy)
	if err != nil {
		return none, c.explain(v, notSent(v, err), lent)
	}
	defer turn.leave()

	for attempt := 0; ; attempt++ {
		served, err := turn.acquire(ctx)
		if err != nil && attempt == 0 {
			err = notSent(v, err)
		}
		if err != nil {
			return none, c.explain(v, err, lent)
		}
		resp, err := send(ctx, c, served, v.name, v.deadline(policy), lent, do)
		served.done(processGone(err) || errors.Is(err, errCut))
		switch {
		case err == nil:
			return resp, nil
		case !processGone(err):
			return none, c.explain(v, err, lent)
		case !v.repeatable:
			return none, c.explain(v, &sdk.Error{
				Reason: sdk.ReasonAmbiguous, Source: sdk.SourceHost, Retryable: false,
				Message: "the plugin's process ended during the call, which may or may not have taken effect", Err: err,
			}, lent)
		case attempt >= policy.Retries || ctx.Err() != nil:
			return none, c.explain(v, err, lent)
		}
		turn.avoid = served
	}
}

func send[T any](ctx context.Context, c *client, served *Served, op string, deadline time.Duration, lent []string, do func(context.Context, sdk.MediaClient) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	served.session.Lend(lent...)
	served.session.Calling(op)
	m, release, err := served.session.Open(ctx, c.ref)
	if err != nil {
		var none T
		return none, err
	}
	defer release()
	return do(ctx, m)
}

// turn is a call's place at its server.
type turn struct {
	client *client
	leave  func()
	// until bounds all the waiting for a plugin that is not there.
	wait time.Duration
	// avoid is the session that just died under the call: it may still be
	// listed for a moment.
	avoid *Served
}

// enter waits until the plugin is there and then until the server has room. The
// order matters: whoever queues at a server must not hold up those who only
// need to hear that the plugin is down.
func (c *client) enter(ctx context.Context, v verb, policy CallPolicy) (*turn, error) {
	t := &turn{client: c, wait: policy.ReadyWait}
	served, err := t.acquire(ctx)
	if err != nil {
		return nil, err
	}
	served.done(false)

	desc, err := c.registry.Describe(c.ref.ServerType)
	if err != nil {
		return nil, err
	}
	key := limitKey{serverType: c.ref.ServerType, server: c.ref.ID, declared: desc.CallLimits}
	if key.server == "" {
		key.server = c.ref.URL
	}
	if key.declared.MaxConcurrent <= 0 {
		key.declared.MaxConcurrent = policy.MaxConcurrent
	}
	queue, cancel := context.WithTimeout(ctx, policy.QueueWait)
	defer cancel()
	t.leave, err = c.registry.limits.enter(queue, key)
	switch {
	case err == nil:
		return t, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	default:
		return nil, &sdk.Error{
			Reason: sdk.ReasonUnavailable, Source: sdk.SourceHost, Retryable: true, Err: err,
			Message: fmt.Sprintf("%s was not sent: the calls before it to this server took too long", v.name),
		}
	}
}

// notSent gives the failure of a call that no plugin has seen: where its caller
// went away or had no time left, that is no call without an answer, which may
// have happened all the same. Other failures say so already.
func notSent(v verb, err error) error {
	if _, typed := errors.AsType[*sdk.Error](err); typed {
		return err
	}
	var why string
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		why = "its time was over while it waited"
	case errors.Is(err, context.Canceled):
		why = "its caller went away while it waited"
	default:
		return err
	}
	return &sdk.Error{
		Reason: sdk.ReasonUnavailable, Source: sdk.SourceHost, Retryable: true, Err: err,
		Message: fmt.Sprintf("%s was not sent: %s", v.name, why),
	}
}

// acquire gives the session that answers now and counts a call on it; the
// caller ends it with done.
func (t *turn) acquire(ctx context.Context) (*Served, error) {
	r := t.client.registry
	started := time.Now()
	defer func() { t.wait -= time.Since(started) }()
	timer := time.NewTimer(max(t.wait, 0))
	defer timer.Stop()
	expired := false
	for {
		r.mu.Lock()
		e, err := r.entry(t.client.ref.ServerType)
		if err != nil {
			r.mu.Unlock()
			return nil, err
		}
		var doubt time.Duration
		if e.current != nil && e.current != t.avoid {
			if doubt = time.Until(e.current.suspectUntil); doubt <= 0 {
				e.current.calls++
				served := e.current
				r.mu.Unlock()
				return served, nil
			}
		}
		down := e.whyDown()
		final := e.current == nil && e.down.Final
		hopeless := final || e.current == nil && time.Until(e.down.RetryAt) > t.wait
		changed := e.changed
		r.mu.Unlock()
		if hopeless || expired {
			return nil, &sdk.Error{
				Reason: sdk.ReasonUnavailable, Source: sdk.SourceHost, Retryable: !final, RetryAfter: down.RetryAfter,
				Message: down.Error(), Err: down,
			}
		}
		if doubt <= 0 {
			doubt = t.wait
		}
		select {
		case <-changed:
		case <-time.After(doubt):
		case <-timer.C:
			expired = true // look once more, then give up
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// whyDown needs r.mu.
func (e *entry) whyDown() *PluginDownError {
	d := &PluginDownError{Plugin: e.offer.Plugin, ServerType: e.offer.Description.ServerType, Reason: e.down.Reason}
	if e.current != nil {
		d.Reason = "its process has just ended"
	}
	if !e.down.RetryAt.IsZero() {
		d.RetryAfter = max(time.Until(e.down.RetryAt), 0)
	}
	return d
}

func (r *Registry) callPolicy() CallPolicy {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.policy
}

// processGone says whether an error means that the process under a call died, and
// that the call had handed nothing on by then.
func processGone(err error) bool {
	e, ok := errors.AsType[*sdk.Error](err)
	return ok && e.Kind() == sdk.ReasonUnavailable && e.Source == sdk.SourceHost && !errors.Is(err, errCut)
}

// explain gives every failure the same form: an *sdk.Error of its own, with the
// operation and the server, and without the secrets that the call carried. An
// unknown type stays what it is.
func (c *client) explain(v verb, err error, lent []string) error {
	if _, ok := errors.AsType[*UnknownTypeError](err); ok {
		return err
	}
	e := &sdk.Error{Reason: sdk.ReasonInternal, Source: sdk.SourcePlugin, Message: err.Error(), Err: err}
	switch typed, ok := errors.AsType[*sdk.Error](err); {
	case ok:
		copied := *typed
		e = &copied
	case errors.Is(err, context.DeadlineExceeded):
		e.Reason, e.Source, e.Retryable, e.Message = sdk.ReasonTimeout, sdk.SourceHost, true, "no answer in time"
	case errors.Is(err, context.Canceled):
		e.Reason, e.Source, e.Message = sdk.ReasonTimeout, sdk.SourceHost, "the caller went away before there was an answer"
	}
	e.Op, e.ServerURL = v.name, c.ref.URL
	secrets := slices.Clone(lent)
	for _, s := range c.ref.Secrets {
		secrets = append(secrets, s)
	}
	e.Message = sdkplugin.Redact(e.Message, secrets)
	e.Fields = slices.Clone(e.Fields)
	for i := range e.Fields {
		e.Fields[i].Message = sdkplugin.Redact(e.Fields[i].Message, secrets)
	}
	return e
}
