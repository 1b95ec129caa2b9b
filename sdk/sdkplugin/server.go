package sdkplugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"time"

	"google.golang.org/grpc"

	"github.com/zondarr/zondarr/sdk"
	pb "github.com/zondarr/zondarr/sdk/internal/pluginpb"
)

// Server is the plugin's half of the wire: it answers the host's calls with an
// sdk.Plugin. Serve makes one; others do to serve a plugin without a process of its
// own, in tests.
type Server struct {
	pb.UnimplementedPluginServiceServer
	describe *pb.DescribeResponse
	desc     sdk.Description
	pool     *pool
	log      *slog.Logger
}

// ServerOption changes a Server from what Serve makes.
type ServerOption func(*serverConfig)

type serverConfig struct {
	log  io.Writer
	idle time.Duration
}

// LogTo says where the author's log lines go, in the form that ParseLogLine reads;
// they go nowhere otherwise.
func LogTo(w io.Writer) ServerOption { return func(c *serverConfig) { c.log = w } }

// CloseIdleAfter says how long a client may be unused before it is closed; 15 min
// otherwise.
func CloseIdleAfter(d time.Duration) ServerOption { return func(c *serverConfig) { c.idle = d } }

// NewServer makes the plugin's half, or says what is wrong with the plugin's
// description. The caller closes it.
func NewServer(p sdk.Plugin, options ...ServerOption) (*Server, error) {
	config := serverConfig{log: io.Discard, idle: idleTimeout}
	for _, o := range options {
		o(&config)
	}
	desc, err := describePlugin(p)
	if err != nil {
		return nil, err
	}
	answer, err := toDescription(desc)
	if err != nil {
		return nil, err
	}
	log := &lockedWriter{out: config.log}
	return &Server{describe: answer, desc: desc, pool: newPool(p, desc, log, config.idle), log: newLogger(log, nil)}, nil
}

// describePlugin asks an author's plugin what it is, twice.
func describePlugin(p sdk.Plugin) (desc sdk.Description, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the plugin's Describe panicked: %v", r)
		}
	}()
	desc = p.Describe()
	if desc.Client == nil {
		return desc, errors.New("description: Client is nil: name the type that Open returns, as in (*client)(nil)")
	}
	if err := desc.Validate(); err != nil {
		return desc, fmt.Errorf("description: %w", err)
	}
	if again := p.Describe(); !reflect.DeepEqual(desc, again) {
		return desc, errors.New("description: Describe answers differently the second time")
	}
	return desc, nil
}

// Register adds the service to a gRPC server made with ServerOptions.
func (s *Server) Register(r grpc.ServiceRegistrar) { pb.RegisterPluginServiceServer(r, s) }

// Close waits for the calls in flight and closes every media client; it gives up
// when the context ends.
func (s *Server) Close(ctx context.Context) error { return s.pool.shut(ctx) }

// margin is how much earlier than the host's deadline an author's context ends, so
// that a failure of the media server still arrives as such.
func margin(left time.Duration) time.Duration { return min(500*time.Millisecond, left/5) }

// call is the way of every call that names a media server: find its client, see that
// it has the interface C, run fn and turn what goes wrong into a status.
func call[C any](ctx context.Context, s *Server, op string, ref *pb.ServerRef, secrets []string, fn func(context.Context, C) error) (err error) {
	if _, ok := any(s.desc.Client).(C); !ok {
		return statusOf(unsupported(op), redactor{})
	}
	ctx = incoming(ctx)
	if at, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, at.Add(-margin(time.Until(at))))
		defer cancel()
	}
	o, err := s.pool.acquire(ctx, ref)
	if err != nil {
		r := newSecretSet(ref.GetSecrets()).redactor()
		e := s.typed(context.WithoutCancel(ctx), s.log, r, op, err) // Open asks no media server
		e.Undone = true                                             // there was no client to do anything
		return statusOf(e, r)
	}
	defer s.pool.release(o)
	o.secrets.hold(secrets)
	defer o.secrets.drop(secrets)
	defer func() {
		if p := recover(); p != nil {
			err = panicked(ctx, o.log, op, p)
		}
		if err != nil {
			r := o.secrets.redactor()
			err = statusOf(s.failure(ctx, o.log, r, op, err), r)
		}
	}()
	return fn(ctx, o.client.(C)) //nolint:forcetypeassert // Open's type is the prototype's, which has C
}

func unsupported(op string) *sdk.Error {
	return &sdk.Error{Reason: sdk.ReasonUnsupported, Source: sdk.SourcePlugin, Message: "the plugin does not support " + op}
}

// failure gives the typed form of what a verb of an author's client returned.
func (s *Server) failure(ctx context.Context, log *slog.Logger, r redactor, op string, err error) *sdk.Error {
	e := s.typed(ctx, log, r, op, err)
	if op == "CreateUser" && e.Kind() == sdk.ReasonInternal {
		// Nobody knows what an account was made of before the plugin broke.
		e.Reason, e.Source = sdk.ReasonAmbiguous, sdk.SourcePlugin
	}
	return e
}

// typed gives the typed form of what an author returned. An error that is not
// typed is the author's oversight: its text goes to the log, where its author
// finds it, and not to the admin, since nobody vouches for what it holds.
func (s *Server) typed(ctx context.Context, log *slog.Logger, r redactor, op string, err error) *sdk.Error {
	e, typed := errors.AsType[*sdk.Error](err)
	switch {
	case typed && e != nil:
		out := *e
		if out.Message == "" {
			out.Message = string(out.Kind())
		}
		return &out
	case ctx.Err() != nil: // and so whatever was under way failed
		return &sdk.Error{Reason: sdk.ReasonTimeout, Source: sdk.SourceUpstream, Retryable: true, Message: "the server did not answer in time"}
	default:
		log.ErrorContext(ctx, "the plugin returned an error without a reason from "+op, "error", r.text(sdk.Errorf("", "%w", err).Message))
		return &sdk.Error{Reason: sdk.ReasonInternal, Source: sdk.SourcePlugin, Message: "the plugin failed (its log says why)"}
	}
}
