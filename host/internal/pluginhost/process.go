//go:build unix

package pluginhost

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-plugin/runner"
)

// process is one plugin process, in go-plugin's words a runner. It exists because
// go-plugin's own waits for ever on a process that is stopped or whose child
// holds its pipes, and leaves it behind when the host is killed. Here the
// process leads a group of its own, which dies as a whole; its pipes are closed
// a moment after it ended, whoever holds the other ends; and every byte it
// writes is read here, so that go-plugin sees one line of it, the handshake, and
// none of its log (which can panic go-plugin's parser).
type process struct {
	path   string
	policy Policy
	output *output

	// env and socketDir are go-plugin's, set before Start.
	env       []string
	socketDir string

	stdin, stdout, stderr *os.File // the host's ends
	handshake             firstLine

	mu      sync.Mutex
	cmd     *exec.Cmd
	started bool
	reaped  bool // from then on the pid may be somebody else's
	doomed  bool // told to end, perhaps before it was started
	killed  bool // while it lived
	words   bool // it wrote something to stdout
	refusal *refusal

	// exited is closed once the process is gone and its output is read.
	exited chan struct{}
}

var _ runner.Runner = (*process)(nil)

func newProcess(path string, policy Policy, out *output) *process {
	return &process{path: path, policy: policy, output: out, handshake: firstLine{ready: make(chan struct{})}, exited: make(chan struct{})}
}

// Start runs the file and returns once it is executing or could not be.
func (p *process) Start(ctx context.Context) error {
	var files []*os.File
	closeAll := func(files []*os.File) {
		for _, f := range files {
			f.Close()
		}
	}
	for range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(files)
			return err
		}
		files = append(files, r, w)
	}
	p.stdin, p.stdout, p.stderr = files[1], files[2], files[4]
	theirs := []*os.File{files[0], files[3], files[5]}
	cmd := &exec.Cmd{
		Path: p.path, Args: []string{p.path}, Env: p.env, Dir: "/",
		Stdin: theirs[0], Stdout: theirs[1], Stderr: theirs[2], SysProcAttr: processAttributes(),
	}

	running, ended := make(chan error, 1), make(chan struct{})
	go p.live(cmd, running, ended)
	err := <-running
	closeAll(theirs)
	if err != nil {
		closeAll([]*os.File{p.stdin, p.stdout, p.stderr})
		return err
	}
	p.output.began(p.pid(), limitProcess(p.pid(), p.policy.Rlimits))
	go p.read(context.WithoutCancel(ctx), ended)
	return nil
}

// live starts the process and stays with it to its end, on one thread: where
// the kernel ends a child with its parent, the parent is the thread that made
// it, which must not go before the host does.
func (p *process) live(cmd *exec.Cmd, running chan<- error, ended chan<- struct{}) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	p.mu.Lock()
	err := context.Canceled
	if !p.doomed {
		err = startCommand(cmd)
	}
	p.cmd, p.started = cmd, err == nil
	p.mu.Unlock()
	running <- err
	if err != nil {
		return
	}

	// What is left of the group is killed while the dead leader still holds its
	// number, so that nobody else can have got it.
	waited := awaitExit(cmd.Process.Pid)
	if !waited {
		_ = cmd.Wait() // the state says how it ended
	}
	p.mu.Lock()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // there may be nobody left
	if waited {
		_ = cmd.Wait()
	}
	p.reaped = true
	p.mu.Unlock()
	close(ended)
	reapGroup(cmd.Process.Pid)
}

// startCommand tries again while another thread of the host, between its fork
// and its exec, still holds the file open for writing.
func startCommand(cmd *exec.Cmd) error {
	for attempt := 0; ; attempt++ {
		fresh := *cmd
		err := fresh.Start()
		if errors.Is(err, syscall.ETXTBSY) && attempt < 10 {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		*cmd = fresh
		return err
	}
}

// read takes everything the process writes, and closes exited when it is gone.
func (p *process) read(ctx context.Context, ended <-chan struct{}) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var pumps sync.WaitGroup
	pumps.Go(func() { p.readStdout(ctx) })
	pumps.Go(func() { p.output.read(ctx, p.stderr) })
	<-ended
	stop()
	// The last words are in the pipes already; whoever still holds the other
	// ends does not keep us.
	deadline := time.Now().Add(p.policy.PipeGrace)
	_ = p.stdout.SetReadDeadline(deadline) // a pipe always takes one
	_ = p.stderr.SetReadDeadline(deadline)
	pumps.Wait()
	p.output.end()
	p.stdin.Close()
	p.stdout.Close()
	p.stderr.Close()
	close(p.exited)
}

// maxHandshake bounds the first line: a certificate takes about 1 KiB of it.
const maxHandshake = 16 << 10

// readStdout hands the first line to go-plugin and treats the rest as output.
func (p *process) readStdout(ctx context.Context) {
	in := bufio.NewReaderSize(p.stdout, maxHandshake)
	line, err := in.ReadSlice('\n')
	line = bytes.Clone(line)
	refusal := checkHandshake(line, err, p.socketDir)
	if refusal != nil && len(line) > 0 {
		p.output.line(ctx, bytes.TrimSpace(line))
	}
	p.mu.Lock()
	p.refusal, p.words = refusal, len(line) > 0
	p.mu.Unlock()
	p.handshake.set(line)
	p.output.read(ctx, in)
}

// firstLine is the stdout that go-plugin sees: one line, once there is one.
type firstLine struct {
	ready chan struct{}
	rest  *bytes.Reader
}

func (l *firstLine) set(line []byte) {
	l.rest = bytes.NewReader(line)
	close(l.ready)
}

// Read implements io.Reader.
func (l *firstLine) Read(p []byte) (int, error) {
	<-l.ready
	return l.rest.Read(p)
}

// Close implements io.Closer; the process closes its pipes itself.
func (l *firstLine) Close() error { return nil }

// kill ends the whole group, also before it was started.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doomed = true
	if p.started && !p.reaped {
		p.killed = true
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it may have left its group
		_ = syscall.Kill(p.cmd.Process.Pid, syscall.SIGKILL)
	}
}

func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.started {
		return 0
	}
	return p.cmd.Process.Pid
}

// handshakeRefusal says what was wrong with the first line, or nil.
func (p *process) handshakeRefusal() *refusal {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refusal
}

// spoke says whether it wrote anything to stdout.
func (p *process) spoke() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.words
}

// exitState says how it ended; nil before, or when it never ran.
func (p *process) exitState() *os.ProcessState {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		return nil
	}
	return p.cmd.ProcessState
}

// awaitEnd waits for the end of a process whose connection broke: it is noticed a
// moment later than that.
func (p *process) awaitEnd() {
	timer := time.NewTimer(p.policy.PipeGrace + 250*time.Millisecond)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
	}
}

// wasKilled says whether it was the host that ended the process.
func (p *process) wasKilled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.killed || !p.reaped {
		return false
	}
	ws, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && ws.Signaled() && ws.Signal() == syscall.SIGKILL
}

// Wait implements runner.Runner.
func (p *process) Wait(context.Context) error {
	<-p.exited
	return nil
}

// Kill implements runner.Runner.
func (p *process) Kill(context.Context) error {
	p.kill()
	return nil
}

// Stdout implements runner.Runner.
func (p *process) Stdout() io.ReadCloser { return &p.handshake }

// Stderr implements runner.Runner: go-plugin gets none of it.
func (p *process) Stderr() io.ReadCloser { return io.NopCloser(bytes.NewReader(nil)) }

// Name implements runner.Runner.
func (p *process) Name() string { return filepath.Base(p.path) }

// ID implements runner.Runner.
func (p *process) ID() string { return strconv.Itoa(p.pid()) }

// Diagnose implements runner.Runner.
func (p *process) Diagnose(context.Context) string { return "" }

// PluginToHost implements runner.Runner. A plugin listens where it was told, and
// nowhere else.
func (p *process) PluginToHost(network, address string) (string, string, error) {
	if !inSocketDir(network, address, p.socketDir) {
		return "", "", fmt.Errorf("the plugin listens on %s, not on a socket in its run directory", network)
	}
	return network, address, nil
}

// HostToPlugin implements runner.Runner.
func (p *process) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
