package sdktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"

	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

// startTimeout bounds the handshake of a plugin program.
const startTimeout = 20 * time.Second

// program is a running plugin program, started as the host starts it: mutual TLS, an
// environment of its own, and a pipe on standard input.
type program struct {
	client  *plugin.Client
	remote  *sdkplugin.Remote
	process *process
	version int
	// dir holds the program's socket.
	dir string
	// synced is what it printed after the handshake, where go-plugin's Go half
	// redirects standard output.
	synced locked
}

// startProgram starts a plugin program; logs takes its standard error.
func startProgram(path string, logs io.Writer) (*program, error) {
	path, err := filepath.Abs(path) // it starts in another directory
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "zt")
	if err != nil {
		return nil, err
	}
	p := &program{dir: dir}
	p.client = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  sdkplugin.Handshake,
		VersionedPlugins: sdkplugin.VersionedPlugins(),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     startTimeout,
		GRPCDialOptions:  sdkplugin.DialOptions(),
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: dir},
		Stderr:           logs,
		SyncStdout:       &p.synced,
		SyncStderr:       logs,
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Off, Output: io.Discard}),
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, socketDir string) (runner.Runner, error) {
			p.process, err = newProcess(path, socketDir, cmd.Env)
			return p.process, err
		},
	})
	if err := p.connect(); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func (p *program) connect() error {
	rpc, err := p.client.Client()
	if err != nil {
		return fmt.Errorf("the handshake failed: %w", err)
	}
	raw, err := rpc.Dispense(sdkplugin.PluginName)
	if err != nil {
		return fmt.Errorf("the handshake failed: %w", err)
	}
	remote, ok := raw.(*sdkplugin.Remote)
	if !ok {
		return fmt.Errorf("the handshake gave a %T", raw)
	}
	p.remote, p.version = remote, p.client.NegotiatedVersion()
	return nil
}

// stop ends the program, if need be by force.
func (p *program) stop() {
	killed := make(chan struct{})
	go func() { // ends when the program does
		defer close(killed)
		p.client.Kill()
	}()
	select {
	case <-killed:
	case <-time.After(5 * time.Second): // Kill waits for ever for a program that hangs
		if p.process != nil {
			_ = p.process.Kill(context.Background())
			_ = p.process.stdout.Close() // which a child of the program may hold open
			_ = p.process.stderr.Close()
		}
		<-killed
	}
	if p.process != nil {
		p.process.end()
	}
	_ = os.RemoveAll(p.dir)
}

// stdout gives what the program printed beside its handshake.
func (p *program) stdout() string {
	_, rest, _ := strings.Cut(p.process.stdout.text(), "\n")
	return rest + p.synced.String()
}

// process is a program as go-plugin's Runner. Unlike go-plugin's own it gives the
// program a pipe on standard input, which the host holds open while it lives.
type process struct {
	cmd *exec.Cmd
	// socketDir is where the program was told to listen.
	socketDir string

	stdin  io.WriteCloser
	stdout *tee
	stderr io.ReadCloser
	done   chan struct{}
	once   sync.Once
	err    error // of Wait, after done
}

// tee keeps the first bytes of what is read through it.
type tee struct {
	io.ReadCloser
	mu   sync.Mutex
	kept bytes.Buffer
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	t.mu.Lock()
	defer t.mu.Unlock()
	if room := 1<<16 - t.kept.Len(); room > 0 {
		t.kept.Write(p[:min(n, room)])
	}
	return n, err
}

func (t *tee) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.kept.String()
}

func newProcess(path, socketDir string, env []string) (*process, error) {
	// Not tied to a context: checks end the program in their own ways.
	cmd := exec.CommandContext(context.Background(), path)
	cmd.Env = slices.Concat(env, []string{"PATH=" + os.Getenv("PATH"), "TZ=UTC"})
	cmd.Dir = "/" // whatever directory the host is in
	cmd.WaitDelay = 5 * time.Second
	p := &process{cmd: cmd, socketDir: socketDir, done: make(chan struct{})}
	var err error
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.stdout = &tee{ReadCloser: out}
	p.stderr, err = cmd.StderrPipe()
	return p, err
}

// Start starts the program.
func (p *process) Start(context.Context) error { return p.cmd.Start() }

// Wait waits for the program's end.
func (p *process) Wait(context.Context) error {
	p.once.Do(func() {
		p.err = p.cmd.Wait()
		close(p.done)
	})
	<-p.done
	return p.err
}

// Kill ends the program by force.
func (p *process) Kill(context.Context) error {
	if p.cmd.Process == nil {
		return nil
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// end makes sure that the program and the pipe to it are gone.
func (p *process) end() {
	_ = p.stdin.Close()
	if p.cmd.Process == nil {
		return
	}
	if !p.exited(time.Second) {
		_ = p.Kill(context.Background())
	}
	p.exited(5 * time.Second)
}

// exited waits for the program's end at most so long, and says whether it came.
func (p *process) exited(within time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(within):
		return false
	}
}

// Stdout of the program.
func (p *process) Stdout() io.ReadCloser { return p.stdout }

// Stderr of the program.
func (p *process) Stderr() io.ReadCloser { return p.stderr }

// Name of the program.
func (p *process) Name() string { return filepath.Base(p.cmd.Path) }

// ID of the program.
func (p *process) ID() string {
	if p.cmd.Process == nil {
		return ""
	}
	return strconv.Itoa(p.cmd.Process.Pid)
}

// Diagnose has nothing to add.
func (p *process) Diagnose(context.Context) string { return "" }

// PluginToHost refuses the addresses that the host refuses.
func (p *process) PluginToHost(network, addr string) (string, string, error) {
	if network != "unix" || filepath.Dir(filepath.Clean(addr)) != filepath.Clean(p.socketDir) {
		return "", "", fmt.Errorf("it listens on %s %s: listen on a unix socket in the directory PLUGIN_UNIX_SOCKET_DIR", network, addr)
	}
	return network, addr, nil
}

// HostToPlugin changes no address.
func (p *process) HostToPlugin(network, addr string) (string, string, error) {
	return network, addr, nil
}

var _ runner.Runner = (*process)(nil)
