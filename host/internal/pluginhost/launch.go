//go:build unix

package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/zondarr/zondarr/host/internal/registry"
	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

// artefact is one binary that may run.
type artefact struct {
	name, fileName string
	path           string
	sha256         string
	size           int64
	build          *Build
	origin         Origin
	rank           registry.Rank
}

// instance is one running process of a plugin, from its handshake on.
type instance struct {
	art         *artefact
	proc        *process
	client      *plugin.Client
	remote      *sdkplugin.Remote
	declaration sdkplugin.Declaration
	scrub       *scrubber
	output      *output
	printed     [2]*lineWriter // nil until it is connected
	policy      Policy
	startedAt   time.Time

	served    *registry.Served // set when it answers in the registry
	lastCall  atomic.Pointer[string]
	unhealthy atomic.Bool // killed since it did not answer its health checks
	asked     atomic.Bool // it was told to end
}

// launcher is what every launch has in common.
type launcher struct {
	policy Policy
	runDir string
	env    []string
	log    *slog.Logger
	now    func() time.Time
}

// launchError is why a launch failed.
type launchError struct {
	refusal *refusal // another start would not help
	code    string
	message string
	crash   *Crash
	err     error // for the log
}

func (e *launchError) Error() string {
	if e.err != nil {
		return e.message + " " + e.err.Error()
	}
	return e.message
}

// launch verifies a binary and takes it from exec to its description. progress
// is told when the file is verified. When it fails, nothing is left of it.
func (l *launcher) launch(ctx context.Context, art *artefact, scrub *scrubber, progress func()) (*instance, error) {
	if err := verify(art); err != nil {
		return nil, err
	}
	progress()
	out := newOutput(l.log.With("plugin", art.name), scrub, l.policy)
	i := &instance{
		art: art, scrub: scrub, output: out, policy: l.policy, startedAt: l.now().UTC(),
		proc: newProcess(art.path, l.policy, out),
	}
	ctx, cancel := context.WithTimeout(ctx, l.policy.StartTimeout)
	defer cancel()
	stopWatching := context.AfterFunc(ctx, i.proc.kill) // go-plugin takes no context
	defer stopWatching()

	err := i.connect(context.WithoutCancel(ctx), l)
	if err == nil {
		err = i.describe(ctx)
	}
	if err != nil {
		timedOut := errors.Is(ctx.Err(), context.DeadlineExceeded)
		i.proc.kill()
		i.stop()
		return nil, i.failure(err, timedOut, l.now())
	}
	return i, nil
}

// verify hashes the file that is about to run. Between here and exec only root and
// the host's own user can change it: a plugin of the installation is not taken
// where others may write to its file or its directory, and the store is the host's
// own.
func verify(art *artefact) error {
	unreadable := func(err error) error { // the disk, or too few descriptors: it may pass
		return &launchError{code: CodeUnreadable, message: "The file could not be read just now; the log says why.", err: err}
	}
	f, err := os.Open(art.path)
	if err != nil {
		return unreadable(err)
	}
	defer f.Close()
	sum, _, err := hashOf(f)
	switch {
	case err != nil:
		return unreadable(err)
	case sum != art.sha256:
		return &launchError{refusal: &refusal{CodeStoreDamaged, "The file is not the one that was approved."}, err: errChanged}
	}
	return nil
}

// connect starts the process and shakes hands. ctx is for the log.
func (i *instance) connect(ctx context.Context, l *launcher) error {
	if err := os.MkdirAll(l.runDir, 0o700); err != nil { // a cleaner may have taken it
		return err
	}
	// go-plugin puts streams of its own in the place of a Go plugin's os.Stdout and
	// os.Stderr once it serves; what is printed there arrives here.
	for n := range i.printed {
		i.printed[n] = &lineWriter{ctx: ctx, to: i.output, gone: i.proc.exited}
	}
	i.client = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  sdkplugin.Handshake,
		VersionedPlugins: sdkplugin.VersionedPlugins(),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: l.runDir},
		GRPCDialOptions:  append(sdkplugin.DialOptions(), grpc.WithChainStreamInterceptor(tolerateNoStdio)),
		// The watch on the context is what ends a start; go-plugin's own clock
		// comes after it.
		StartTimeout: l.policy.StartTimeout + time.Second,
		SyncStdout:   i.printed[0], SyncStderr: i.printed[1], Stderr: io.Discard,
		// What go-plugin has to say is said again here, with the plugin's name.
		Logger: hclog.NewNullLogger(),
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, socketDir string) (runner.Runner, error) {
			i.proc.env = append(inherited(l.env), cmd.Env...)
			i.proc.socketDir = socketDir
			return i.proc, nil
		},
	})
	if _, err := i.client.Start(); err != nil {
		return err
	}
	protocol, err := i.client.Client()
	if err != nil {
		return err
	}
	raw, err := protocol.Dispense(sdkplugin.PluginName)
	if err != nil {
		return err
	}
	i.remote = raw.(*sdkplugin.Remote) // what VersionedPlugins gives
	return nil
}

// tolerateNoStdio makes every failure of go-plugin's stdio stream one that it
// takes for "not offered": it would otherwise leave a connection and two
// goroutines behind when a plugin dies in this very moment.
func tolerateNoStdio(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := streamer(ctx, desc, cc, method, opts...)
	if err != nil && method == "/plugin.GRPCStdio/StreamStdio" {
		err = grpcstatus.Error(codes.Unavailable, err.Error())
	}
	return s, err
}

// describe asks the plugin what it is and holds it to its name.
func (i *instance) describe(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, i.policy.DescribeTimeout)
	defer cancel()
	d, err := i.remote.Describe(within)
	// The plugin keeps the deadline too, and may be the first to say that it has passed.
	late := within.Err() != nil || sdk.ReasonOf(err) == sdk.ReasonTimeout
	if err != nil && late && ctx.Err() == nil {
		return &launchError{code: CodeHandshakeTimeout, message: fmt.Sprintf("It did not describe itself within %s.", i.policy.DescribeTimeout), err: err}
	}
	if e, ok := errors.AsType[*sdk.Error](err); ok && e.Origin() == sdk.SourcePlugin {
		return i.notValid(e.Message)
	}
	if err != nil {
		i.proc.awaitEnd()
		return err
	}
	if d.Description.Name != i.art.name {
		return &refusal{CodeNameMismatch, fmt.Sprintf("The plugin calls itself %q: its file must be named %s%s.", d.Description.Name, filePrefix, d.Description.Name)}
	}
	d.ProtocolVersion = i.client.NegotiatedVersion()
	i.declaration = d
	return nil
}

// maxTold is how much of a plugin's own words is kept and told, in bytes: they may
// repeat a whole description.
const maxTold = 2 << 10

// notValid refuses a description.
func (i *instance) notValid(why string) *refusal {
	return &refusal{CodeDescription, "The plugin's description is not valid: " + i.scrub.head(why, maxTold) + "."}
}

// failure says why a launch failed, once its process is gone.
func (i *instance) failure(err error, timedOut bool, now time.Time) error {
	if e, ok := errors.AsType[*launchError](err); ok {
		e.crash = i.crash(now)
		return e
	}
	e := &launchError{err: err, code: CodeCrashed}
	if refused, ok := errors.AsType[*refusal](err); ok {
		e.refusal = refused
		return e
	}
	if refused := i.proc.handshakeRefusal(); refused != nil {
		e.refusal = refused
		return e
	}
	state := i.proc.exitState()
	switch {
	case state == nil && cannotExecute(err) != "":
		e.refusal = &refusal{CodeCannotExecute, cannotExecute(err)}
		return e
	case state == nil:
		e.code, e.message = CodeCannotExecute, "The system could not start it just now; the log says why."
		return e
	case timedOut:
		e.code, e.message = CodeHandshakeTimeout, fmt.Sprintf("It did not answer within %s of its start.", i.policy.StartTimeout)
	case state.Exited() && state.ExitCode() == 0 && !i.proc.spoke():
		e.refusal = notPlugin("it ended without a word")
		return e
	case i.proc.wasKilled():
		e.code, e.message = CodeUnhealthy, "It shook hands, and then its connection failed."
	default:
		e.message = "It ended while it was starting: " + ending(state) + "."
	}
	e.crash = i.crash(now)
	return e
}

// cannotExecute says why the system will never run the file, or gives "" for
// what may pass: too many processes, no memory, no descriptor to spare.
func cannotExecute(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); !ok || p.Op != "fork/exec" {
		return ""
	}
	switch {
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return "The system does not let Zondarr run the file: the file system may be mounted without the right to execute."
	case errors.Is(err, syscall.ENOEXEC):
		return "The system cannot run the file: it is no program for this machine."
	case errors.Is(err, syscall.ENOENT):
		return "The system cannot run the file: the interpreter that it names is missing."
	default:
		return ""
	}
}

// crash makes the record of a process that is gone.
func (i *instance) crash(now time.Time) *Crash {
	i.flush()
	c := &Crash{At: now.UTC(), OutputTail: i.output.text()}
	if state := i.proc.exitState(); state != nil {
		c.ExitCode = state.ExitCode()
		if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			c.Signal = unix.SignalName(ws.Signal())
		}
	}
	if call := i.lastCall.Load(); call != nil {
		c.LastCall = *call
	}
	return c
}

// ending tells how a process ended.
func ending(state *os.ProcessState) string {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return "killed by " + unix.SignalName(ws.Signal())
	}
	return fmt.Sprintf("exit code %d", state.ExitCode())
}

// stop ends the process: it is asked, and killed with its group when it takes
// longer than the grace. It returns when nothing is left.
func (i *instance) stop() {
	i.asked.Store(true)
	watchdog := time.AfterFunc(i.policy.StopGrace, i.proc.kill)
	defer watchdog.Stop()
	if i.client != nil {
		i.client.Kill()
	}
	i.proc.kill()
	if i.proc.exitState() != nil || i.proc.pid() != 0 {
		<-i.proc.exited
	}
	i.flush()
	if i.proc.socketDir != "" {
		_ = os.RemoveAll(i.proc.socketDir) // go-plugin does, where it got that far
	}
}

// flush logs what was printed last without an end of line.
func (i *instance) flush() {
	for _, w := range i.printed {
		if w != nil {
			w.flush()
		}
	}
}

// watch checks the health until the process is gone, and kills one that does
// not answer.
func (i *instance) watch() {
	ticker := time.NewTicker(i.policy.HealthEvery)
	defer ticker.Stop()
	for {
		select {
		case <-i.proc.exited:
			return
		case <-ticker.C:
		}
		failures := 0
		for failures < i.policy.HealthFailures && i.ping() != nil {
			failures++
		}
		if failures == i.policy.HealthFailures && !i.asked.Load() {
			i.unhealthy.Store(true)
			i.proc.kill()
		}
	}
}

// ping asks whether the RPC loop answers.
func (i *instance) ping() error {
	ctx, cancel := context.WithTimeout(context.Background(), i.policy.HealthTimeout)
	defer cancel()
	return i.remote.Ping(ctx)
}

// Open implements registry.Session.
func (i *instance) Open(_ context.Context, ref sdk.ServerRef) (sdk.MediaClient, func(), error) {
	for _, secret := range ref.Secrets {
		if ref.ID == "" { // somebody tries a key, perhaps a wrong one
			i.scrub.lend(secret)
		} else {
			i.scrub.keep(secret)
		}
	}
	return i.remote.Client(ref), func() {}, nil
}

// Lend implements registry.Session.
func (i *instance) Lend(secrets ...string) { i.scrub.lend(secrets...) }

// Calling implements registry.Session.
func (i *instance) Calling(op string) { i.lastCall.Store(&op) }

// offer is what the instance brings to the registry.
func (i *instance) offer() registry.Offer {
	return registry.Offer{
		Plugin: i.art.name, Description: i.declaration.Description, SDKVersion: i.declaration.SDKVersion,
		ProtocolVersion: i.declaration.ProtocolVersion, Rank: i.art.rank,
	}
}
