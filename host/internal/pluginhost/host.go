//go:build unix

package pluginhost

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/registry"
	"github.com/zondarr/zondarr/sdk"
)

// Config is what a Host is made of.
type Config struct {
	// InstallationDir holds the plugins that ship with the host and are trusted
	// as its own binary is; empty for none. Dirs are the operator's, in order.
	// A directory need not exist.
	InstallationDir string
	Dirs            []string
	// DataDir holds the store of approved binaries. RunDir holds the sockets;
	// empty is "run" in DataDir.
	DataDir string
	RunDir  string
	// DB holds the approvals.
	DB *database.DB
	// Registry is told who answers for which server type.
	Registry *registry.Registry
	// Logger takes the host's lines and, scrubbed, those of the plugins.
	Logger *slog.Logger
	// Policy holds every time and limit; zero is DefaultPolicy.
	Policy Policy
	// Env is the environment from which plugins get an allow-list; nil is the
	// process's own.
	Env []string
	// StoredServers gives the servers that are stored, with their secrets, so
	// that a new version can be held to them; nil for none.
	StoredServers func(ctx context.Context) ([]sdk.ServerRef, error)
}

// Host is the plugin host. Make it with New, start it once, stop it once.
type Host struct {
	policy        Policy
	registry      *registry.Registry
	log           *slog.Logger
	records       records
	store         store
	scanner       *scanner
	launcher      launcher
	runBase       string
	storedServers func(ctx context.Context) ([]sdk.ServerRef, error)
	now           func() time.Time

	run    *runDir
	logCtx context.Context // carries nothing: the host's own lines belong to no call
	cancel context.CancelFunc
	// hurry ends every wait for calls in flight.
	hurry     context.Context
	hurryNow  context.CancelFunc
	loops     sync.WaitGroup // keepers and the scan loop
	work      sync.WaitGroup // what they started
	scanAsked chan scanRequest

	// deciding serialises what changes approvals here; decisions counts those that
	// are written, so that approvals read before one was are not taken for the
	// present.
	deciding  sync.Mutex
	decisions atomic.Int64

	mu      sync.Mutex
	entries map[string]*entry
	// binaries is what the database knows of hashes that entries name.
	binaries map[string]*binaryRecord
	stopped  bool
}

// recordTimeout bounds every look into the database.
const recordTimeout = 10 * time.Second

// New makes a host that has done nothing yet.
func New(c Config) *Host {
	if c.Policy == (Policy{}) {
		c.Policy = DefaultPolicy()
	}
	c.Policy.StopGrace = min(c.Policy.StopGrace, maxStopGrace)
	if c.RunDir == "" {
		c.RunDir = filepath.Join(c.DataDir, "run")
	}
	if c.Env == nil {
		c.Env = os.Environ()
	}
	if c.StoredServers == nil {
		c.StoredServers = func(context.Context) ([]sdk.ServerRef, error) { return nil, nil }
	}
	c.Registry.UsePolicy(c.Policy.Calls)
	h := &Host{
		policy: c.Policy, registry: c.Registry, log: c.Logger, records: records{c.DB},
		store:   store{filepath.Join(c.DataDir, "plugin-store")},
		runBase: c.RunDir, storedServers: c.StoredServers, now: time.Now, logCtx: context.Background(),
		scanner: &scanner{
			installation: c.InstallationDir, dirs: c.Dirs, settle: c.Policy.Settle, maxSize: c.Policy.MaxFile, log: c.Logger, now: time.Now, seen: map[string]*sighting{},
		},
		launcher:  launcher{policy: c.Policy, env: inherited(c.Env), log: c.Logger, now: time.Now},
		scanAsked: make(chan scanRequest),
		entries:   map[string]*entry{}, binaries: map[string]*binaryRecord{},
	}
	h.hurry, h.hurryNow = context.WithCancel(context.Background())
	return h
}

// Start hardens the process, looks for plugins and starts what may run. It
// returns once every plugin of the installation is ready or has failed once, and
// each other has begun to start or is known not to, but no later than the policy's
// StartWait; the rest goes on in the background until Stop. An error means that
// nothing was started.
func (h *Host) Start(ctx context.Context) (err error) {
	if err := hardenHost(); err != nil {
		h.log.Warn("the host could not be shielded from its plugins", "error", err)
	}
	if os.Geteuid() == 0 {
		h.log.Warn("the host runs as root, and so do its plugins: run it as a user of its own")
	}
	if err := os.MkdirAll(h.store.dir, 0o700); err != nil {
		return fmt.Errorf("make the plugin store: %w", err)
	}
	if h.store.dir, err = filepath.Abs(h.store.dir); err != nil {
		return fmt.Errorf("find the plugin store: %w", err)
	}
	approvals, err := h.records.load(ctx)
	if err != nil {
		return err
	}
	known := &snapshot{rows: approvals}
	h.sweepStore(approvals)
	if h.run, err = openRunDir(h.runBase); err != nil {
		return err
	}
	h.launcher.runDir = h.run.path

	// The host lives until Stop, longer than the caller's context.
	loopCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	h.cancel = cancel
	h.apply(loopCtx, h.patientScan(ctx), known)
	h.loops.Go(func() { h.scanLoop(loopCtx) })

	ctx, stopWaiting := context.WithTimeout(ctx, h.policy.StartWait)
	defer stopWaiting()
	for _, e := range h.list() {
		own := e.ofInstallation()
		if !e.await(ctx, func(e *entry) bool { return e.rounds > 0 || !own && e.status.state != "" }) {
			h.log.Warn("a plugin takes long to start; the host goes on without it", "plugin", e.name)
		}
	}
	return nil
}

// Stop drains and stops every plugin, in parallel, and returns when none is
// left. Calls in flight may finish until ctx's deadline is near, and are cut off
// when it ends; that and a process that does not react cost at most StopGrace
// more.
func (h *Host) Stop(ctx context.Context) error {
	h.mu.Lock()
	if h.stopped || h.cancel == nil {
		h.mu.Unlock()
		return nil
	}
	h.stopped = true
	h.mu.Unlock()
	if deadline, ok := ctx.Deadline(); ok {
		timer := time.AfterFunc(time.Until(deadline)-h.policy.StopGrace, h.hurryNow)
		defer timer.Stop()
	}
	defer context.AfterFunc(ctx, h.hurryNow)()
	h.cancel()
	h.loops.Wait()
	h.work.Wait()
	h.hurryNow()
	return h.run.close()
}

// list gives the entries by name.
func (h *Host) list() []*entry {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]*entry, 0, len(h.entries))
	for _, name := range slices.Sorted(maps.Keys(h.entries)) {
		out = append(out, h.entries[name])
	}
	return out
}

func (e *entry) ofInstallation() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.file != nil && e.file.origin == OriginInstallation
}

// await waits until a condition on the entry holds, and says whether it does.
func (e *entry) await(ctx context.Context, holds func(*entry) bool) bool {
	for {
		e.mu.Lock()
		ok, changed := holds(e), e.changed
		e.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// drain waits for the calls in flight on an instance that answers no more.
func (h *Host) drain(i *instance) {
	if i.served == nil {
		return
	}
	timer := time.NewTimer(h.policy.DrainTimeout)
	defer timer.Stop()
	select {
	case <-i.served.Drained():
	case <-i.proc.exited:
	case <-timer.C:
		h.log.Warn("calls to a plugin did not finish in time and are cut off", "plugin", i.art.name, "calls", i.served.Calls())
	case <-h.hurry.Done():
	}
}

// stored gives the stored servers.
func (h *Host) stored(ctx context.Context) ([]sdk.ServerRef, error) {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	refs, err := h.storedServers(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the stored servers: %w", err)
	}
	return refs, nil
}

// typeFreed lets the plugins try again that wait for a server type.
func (h *Host) typeFreed(serverType string) {
	for _, e := range h.list() {
		e.mu.Lock()
		waiting := e.blockedFor == serverType && serverType != ""
		if waiting {
			e.halted, e.blockedFor = nil, ""
		}
		e.mu.Unlock()
		if waiting {
			e.poke()
		}
	}
}
