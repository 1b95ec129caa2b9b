package registry

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// RegisterLocal serves a plugin in this process, under the name and type that
// it describes: the demo and the tests of services need no other process. It
// answers at once. Unregister on the seat takes it away again.
func (r *Registry) RegisterLocal(p sdk.Plugin) (*Seat, error) {
	d := p.Describe()
	o := Offer{
		// What the host sees must not differ from what it sees over the wire.
		Plugin: d.Name, Description: d.WithCapabilities(d.Capabilities()), SDKVersion: "local", ProtocolVersion: 1,
		Rank: Rank{Installation: true},
	}
	seat, err := r.Register(o)
	if err != nil {
		return nil, err
	}
	seat.Serve(o, &localSession{plugin: p, open: map[string]*localClient{}})
	return seat, nil
}

// localSession keeps one client per server, as the SDK does in a process of its
// own.
type localSession struct {
	plugin sdk.Plugin
	mu     sync.Mutex
	open   map[string]*localClient
}

type localClient struct {
	sdk.MediaClient
	revision int64
	calls    int
	stale    bool
}

// Lend implements Session; a local plugin has no log of its own.
func (s *localSession) Lend(...string) {}

// Calling implements Session.
func (s *localSession) Calling(string) {}

// Open implements Session.
func (s *localSession) Open(ctx context.Context, ref sdk.ServerRef) (sdk.MediaClient, func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.open[ref.ID]
	if ref.ID == "" || c == nil || c.revision != ref.Revision {
		m, err := s.plugin.Open(ctx, sdk.OpenRequest{
			Server: ref, HTTP: &http.Client{Timeout: 30 * time.Second}, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			return nil, nil, err
		}
		if c != nil {
			c.stale = true
			s.settle(c)
		}
		c = &localClient{MediaClient: m, revision: ref.Revision, stale: ref.ID == ""}
		if ref.ID != "" {
			s.open[ref.ID] = c
		}
	}
	c.calls++
	release := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		c.calls--
		s.settle(c)
	}
	return c.MediaClient, release, nil
}

// settle closes a client that nobody uses and nobody will ask for again.
func (s *localSession) settle(c *localClient) {
	if c.stale && c.calls == 0 {
		_ = c.Close() // there is nobody left to tell
	}
}
