package sdkplugin_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

// clients counts what is opened and closed.
type clients struct {
	opened, closed atomic.Int64
	delay          time.Duration
	do             func(ctx context.Context, op string, req any) error
}

func (c *clients) open(ctx context.Context, _ sdk.OpenRequest) (sdk.MediaClient, error) {
	c.opened.Add(1)
	select {
	case <-time.After(c.delay):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return &stub{do: c.do, closed: func() { c.closed.Add(1) }}, nil
}

// until waits for something that happens beside the test.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func at(id string, revision int64) sdk.ServerRef {
	r := ref(id)
	r.Revision = revision
	return r
}

func TestOpensOnceUnderConcurrency(t *testing.T) {
	n := &clients{delay: 20 * time.Millisecond}
	remote := sdktest.Connect(t, &stubPlugin{open: n.open})
	var group sync.WaitGroup
	for i := range 64 {
		group.Go(func() {
			if err := ops["ListSessions"](t.Context(), remote.Client(at(fmt.Sprint(i%2), 1))); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n.opened.Load() != 2 || n.closed.Load() != 0 {
		t.Errorf("64 callers of 2 servers opened %d clients and closed %d", n.opened.Load(), n.closed.Load())
	}
}

// A caller who gives up while a client is being opened takes it from nobody else.
func TestOpeningOutlivesItsCaller(t *testing.T) {
	n := &clients{delay: 100 * time.Millisecond}
	remote := sdktest.Connect(t, &stubPlugin{open: n.open})
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := ops["ListSessions"](short, remote.Client(at("1", 1))); sdk.ReasonOf(err) != sdk.ReasonTimeout {
		t.Errorf("the first caller got %v", err)
	}
	if err := ops["ListSessions"](t.Context(), remote.Client(at("1", 1))); err != nil || n.opened.Load() != 1 {
		t.Errorf("the second got %v after %d were opened", err, n.opened.Load())
	}
}

func TestRevisions(t *testing.T) {
	hold, held := make(chan struct{}), make(chan struct{})
	n := &clients{do: func(_ context.Context, op string, _ any) error {
		if op == "ListLibraries" {
			close(held)
			<-hold
		}
		return nil
	}}
	remote := sdktest.Connect(t, &stubPlugin{open: n.open})
	inFlight := make(chan error, 1)
	go func() { inFlight <- ops["ListLibraries"](t.Context(), remote.Client(at("1", 1))) }()
	<-held
	call := func(revision int64) {
		t.Helper()
		if err := ops["ListSessions"](t.Context(), remote.Client(at("1", revision))); err != nil {
			t.Fatal(err)
		}
	}
	call(2)
	if n.opened.Load() != 2 {
		t.Errorf("a new revision opened %d clients in all", n.opened.Load())
	}
	time.Sleep(20 * time.Millisecond) // long enough for a close that should not be
	if n.closed.Load() != 0 {
		t.Error("a client was closed under a call in flight")
	}
	call(2)
	close(hold)
	if err := <-inFlight; err != nil {
		t.Errorf("the call in flight: %v", err)
	}
	until(t, "the old client is closed", func() bool { return n.closed.Load() == 1 })
	call(1) // somebody who is late gets a client of its own
	until(t, "the late client is closed", func() bool { return n.closed.Load() == 2 })
	call(2)
	if n.opened.Load() != 3 {
		t.Errorf("in all %d were opened", n.opened.Load())
	}
}

func TestUnsavedServers(t *testing.T) {
	n := &clients{}
	remote := sdktest.Connect(t, &stubPlugin{open: n.open})
	for range 3 {
		if err := ops["ListSessions"](t.Context(), remote.Client(at("", 0))); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "each is closed", func() bool { return n.closed.Load() == 3 })
	if n.opened.Load() != 3 {
		t.Errorf("%d were opened", n.opened.Load())
	}
}

func TestIdleClients(t *testing.T) {
	n := &clients{}
	remote := sdktest.Connect(t, &stubPlugin{open: n.open}, sdkplugin.CloseIdleAfter(30*time.Millisecond))
	c := remote.Client(at("1", 1))
	for round := int64(1); round <= 2; round++ {
		if err := ops["ListSessions"](t.Context(), c); err != nil {
			t.Fatal(err)
		}
		until(t, "it is closed when idle", func() bool { return n.closed.Load() == round })
	}
}

func TestStopping(t *testing.T) {
	n := &clients{}
	t.Run("serving", func(t *testing.T) {
		remote := sdktest.Connect(t, &stubPlugin{open: n.open})
		for _, id := range []string{"1", "2", "3"} {
			if err := ops["ListSessions"](t.Context(), remote.Client(at(id, 1))); err != nil {
				t.Fatal(err)
			}
		}
	})
	if n.closed.Load() != 3 {
		t.Errorf("of 3 clients %d were closed", n.closed.Load())
	}
}

// A client whose Close does not end keeps neither the next calls of its server nor the
// end of the plugin.
func TestCloseThatHangs(t *testing.T) {
	hung, free := make(chan struct{}), make(chan struct{})
	server, err := sdkplugin.NewServer(&stubPlugin{open: func(_ context.Context, req sdk.OpenRequest) (sdk.MediaClient, error) {
		c := &stub{}
		if req.Server.Revision == 1 {
			c.closed = func() { close(hung); <-free }
		}
		return c, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, server)
	for revision := range int64(2) {
		if err := ops["ListSessions"](t.Context(), c.Client(at("1", revision+1))); err != nil {
			t.Fatal(err)
		}
	}
	<-hung
	if err := ops["ListSessions"](t.Context(), c.Client(at("1", 2))); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := server.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close gave %v", err)
	}
	if err := ops["ListSessions"](t.Context(), c.Client(at("1", 2))); sdk.ReasonOf(err) != sdk.ReasonUnavailable {
		t.Errorf("a call of a plugin that stops gave %v", err)
	}
	close(free)
	if err := server.Close(t.Context()); err != nil {
		t.Errorf("afterwards Close gave %v", err)
	}
}

func TestOpenFails(t *testing.T) {
	answer := error(sdk.Errorf(sdk.ReasonInvalid, "the key canary-key-0001 is not one"))
	p := &stubPlugin{}
	p.open = func(context.Context, sdk.OpenRequest) (sdk.MediaClient, error) { return nil, answer }
	c := sdktest.Connect(t, p).Client(at("1", 1))
	err := ops["GetUser"](t.Context(), c)
	if sdk.ReasonOf(err) != sdk.ReasonInvalid || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
	answer = errors.New("untyped")
	if err := ops["GetUser"](t.Context(), c); sdk.ReasonOf(err) != sdk.ReasonInternal {
		t.Errorf("an untyped error: %v", err)
	}
	for name, open := range map[string]func(context.Context, sdk.OpenRequest) (sdk.MediaClient, error){
		"panics":       func(context.Context, sdk.OpenRequest) (sdk.MediaClient, error) { panic("no") },
		"gives nil":    func(context.Context, sdk.OpenRequest) (sdk.MediaClient, error) { return nil, nil },
		"another type": func(context.Context, sdk.OpenRequest) (sdk.MediaClient, error) { return another{}, nil },
	} {
		p.open = open
		if err := ops["GetUser"](t.Context(), c); sdk.ReasonOf(err) != sdk.ReasonInternal {
			t.Errorf("%s: %v", name, err)
		}
	}
	p.open = nil // the next call tries again
	p.stub = &stub{answers: answers{user: sdk.User{ID: "u", Status: sdk.StatusActive}}}
	if err := ops["GetUser"](t.Context(), c); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// P4: what fails before there is a client has made no account, and the answer says so: the
// name stays free, whatever went wrong in Open.
func TestOpenFailsBeforeAnAccount(t *testing.T) {
	p := &stubPlugin{stub: &stub{}}
	server, err := sdkplugin.NewServer(p)
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, server).Client(at("1", 1))
	create := func(name string) *sdk.Error {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		e, ok := errors.AsType[*sdk.Error](ops["CreateUser"](ctx, c))
		if !ok || !e.Undone || e.Origin() != sdk.SourcePlugin {
			t.Fatalf("%s: %+v", name, e)
		}
		return e
	}
	for name, open := range map[string]func(context.Context, sdk.OpenRequest) (sdk.MediaClient, error){
		"panics":  func(context.Context, sdk.OpenRequest) (sdk.MediaClient, error) { panic("no") },
		"untyped": func(context.Context, sdk.OpenRequest) (sdk.MediaClient, error) { return nil, errors.New("no") },
	} {
		p.open = open
		if e := create(name); e.Kind() != sdk.ReasonInternal {
			t.Errorf("%s: %+v", name, e)
		}
	}
	free := make(chan struct{})
	p.open = func(context.Context, sdk.OpenRequest) (sdk.MediaClient, error) {
		<-free
		return p.stub, nil
	}
	const slow = "the plugin did not open the server in time"
	if e := create("hangs"); e.Kind() != sdk.ReasonTimeout || e.Message != slow || !e.Retryable {
		t.Errorf("hangs: %+v", e)
	}
	close(free)
	if err := server.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := create("stopping"); e.Kind() != sdk.ReasonUnavailable {
		t.Errorf("stopping: %+v", e)
	}
}

// another is no stub, and cannot do what Describe declares.
type another struct{ sdk.MediaClient }

func (another) Close() error { return nil }
