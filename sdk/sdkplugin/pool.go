package sdkplugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"runtime/debug"
	"sync"
	"time"

	"github.com/zondarr/zondarr/sdk"
	pb "github.com/zondarr/zondarr/sdk/internal/pluginpb"
)

// Bounds of a client's life.
const (
	// openTimeout bounds Plugin.Open, which is local.
	openTimeout = 10 * time.Second
	// idleTimeout is how long a client may be unused before it is closed.
	idleTimeout = 15 * time.Minute
)

// What can go wrong before there is a client, beside what Open itself answers.
var (
	errClosing = &sdk.Error{Reason: sdk.ReasonUnavailable, Source: sdk.SourcePlugin, Retryable: true, Message: "the plugin is stopping"}
	errSlow    = &sdk.Error{Reason: sdk.ReasonTimeout, Source: sdk.SourcePlugin, Retryable: true, Message: "the plugin did not open the server in time"}
)

// pool keeps one opened client for each stored media server, at the newest revision
// that a call has named. Whatever replaces a client, its calls in flight finish
// before it is closed.
type pool struct {
	plugin sdk.Plugin
	desc   sdk.Description
	log    io.Writer
	idle   time.Duration

	mu      sync.Mutex
	clients map[string]*opened // by server id
	closed  bool
	stop    chan struct{}
	running sync.WaitGroup
}

// opened is one client and the calls that hold it. The fields of the client are
// set before ready is closed and never again.
type opened struct {
	revision int64
	ready    chan struct{}
	client   sdk.MediaClient
	log      *slog.Logger
	free     func() // closes the HTTP connections
	err      error

	secrets *secretSet
	// guarded by pool.mu
	calls    int
	retired  bool
	lastUsed time.Time
}

func newPool(p sdk.Plugin, desc sdk.Description, log io.Writer, idle time.Duration) *pool {
	pool := &pool{plugin: p, desc: desc, log: log, idle: idle, clients: map[string]*opened{}, stop: make(chan struct{})}
	pool.running.Go(pool.sweep)
	return pool
}

// acquire gives the client of a server, opening it if need be; the caller releases
// it. A call with an empty id or an older revision than the newest gets a client of
// its own.
func (p *pool) acquire(ctx context.Context, ref *pb.ServerRef) (*opened, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errClosing
	}
	p.running.Add(1) // this call, until release
	o := p.clients[ref.GetId()]
	if o != nil && o.revision == ref.GetRevision() {
		o.calls++
	} else {
		own := ref.GetId() == "" || o != nil && o.revision > ref.GetRevision()
		fresh := &opened{revision: ref.GetRevision(), ready: make(chan struct{}), calls: 1, retired: own, secrets: newSecretSet(ref.GetSecrets())}
		if !own {
			p.clients[ref.GetId()] = fresh
			p.retireLocked(o)
		}
		o = fresh
		// The first caller may go away; those who wait for the same client stay.
		ctx := context.WithoutCancel(ctx)
		p.running.Go(func() { p.open(ctx, o, ref) })
	}
	p.mu.Unlock()
	select {
	case <-o.ready:
	case <-ctx.Done():
		p.release(o)
		return nil, errSlow
	}
	if o.err != nil {
		p.release(o)
		return nil, o.err
	}
	return o, nil
}

// release ends one call's hold on a client.
func (p *pool) release(o *opened) {
	defer p.running.Done()
	p.mu.Lock()
	defer p.mu.Unlock()
	o.calls--
	o.lastUsed = time.Now()
	if o.retired && o.calls == 0 {
		p.running.Go(func() { p.close(o) })
	}
}

// retireLocked takes a client out of use; the last call that holds it closes it.
func (p *pool) retireLocked(o *opened) {
	if o == nil || o.retired {
		return
	}
	o.retired = true
	if o.calls == 0 {
		p.running.Go(func() { p.close(o) })
	}
}

func (p *pool) open(ctx context.Context, o *opened, ref *pb.ServerRef) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	o.client, o.err = p.openClient(ctx, o, ref)
	if o.err != nil {
		p.mu.Lock()
		if p.clients[ref.GetId()] == o { // the next call tries again
			delete(p.clients, ref.GetId())
			o.retired = true
		}
		p.mu.Unlock()
	}
	close(o.ready)
}

func (p *pool) openClient(ctx context.Context, o *opened, ref *pb.ServerRef) (client sdk.MediaClient, err error) {
	o.log = newLogger(p.log, o.secrets.redactLine)
	if ref.GetId() != "" {
		o.log = o.log.With(serverAttr, ref.GetId())
	}
	defer func() {
		if r := recover(); r != nil {
			client, err = nil, panicked(ctx, o.log, "Open", r)
		}
	}()
	server, err := fromServer(ref)
	if err != nil {
		return nil, sdk.Errorf(sdk.ReasonInvalid, "settings: %w", err)
	}
	web, free, err := NewHTTPClient(server, "zondarr-plugin-"+p.desc.Name+"/"+p.desc.Version)
	if err != nil {
		return nil, err
	}
	o.free = free
	client, err = p.plugin.Open(ctx, sdk.OpenRequest{Server: server, HTTP: web, Logger: o.log})
	switch {
	case err != nil:
		return nil, err
	case client == nil:
		return nil, errors.New("the plugin's Open returned neither a client nor an error")
	}
	if got, want := reflect.TypeOf(client), reflect.TypeOf(p.desc.Client); got != want {
		_ = client.Close()
		return nil, fmt.Errorf("the plugin's Open returned a %v, but its Describe declares a %v", got, want)
	}
	return client, nil
}

// close closes a client that no call holds.
func (p *pool) close(o *opened) {
	<-o.ready
	defer func() {
		if r := recover(); r != nil {
			o.log.Error("the plugin panicked in Close", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
	}()
	if o.free != nil {
		defer o.free()
	}
	if o.client == nil {
		return
	}
	if err := o.client.Close(); err != nil {
		o.log.Warn("closing a media client failed", "error", err)
	}
}

// sweep closes clients that have been idle.
func (p *pool) sweep() {
	tick := time.NewTicker(max(p.idle/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case now := <-tick.C:
			p.mu.Lock()
			for id, o := range p.clients {
				if o.calls == 0 && now.Sub(o.lastUsed) > p.idle {
					delete(p.clients, id)
					p.retireLocked(o)
				}
			}
			p.mu.Unlock()
		}
	}
}

// shut refuses new calls, lets those in flight finish and closes every client. It
// gives up waiting when the context ends.
func (p *pool) shut(ctx context.Context) error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.stop)
		for id, o := range p.clients {
			delete(p.clients, id)
			p.retireLocked(o)
		}
	}
	p.mu.Unlock()
	done := make(chan struct{})
	go func() { // ends when the last client is closed
		defer close(done)
		p.running.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// panicked logs a panic of the author's code, with its stack, and gives the error
// that the caller sees.
func panicked(ctx context.Context, log *slog.Logger, op string, cause any) error {
	log.ErrorContext(ctx, "the plugin panicked in "+op, "panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
	return &sdk.Error{Reason: sdk.ReasonInternal, Source: sdk.SourcePlugin, Message: "the plugin panicked (its log says where)"}
}
