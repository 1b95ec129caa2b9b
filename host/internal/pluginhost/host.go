//go:build unix

package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/registry"
	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
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
	scanAsked chan chan struct{}

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
	return &Host{
		policy: c.Policy, registry: c.Registry, log: c.Logger, records: records{c.DB},
		store:   store{filepath.Join(c.DataDir, "plugin-store")},
		runBase: c.RunDir, storedServers: c.StoredServers, now: time.Now, logCtx: context.Background(),
		scanner: &scanner{
			installation: c.InstallationDir, dirs: c.Dirs, settle: c.Policy.Settle, log: c.Logger, now: time.Now, seen: map[string]*sighting{},
		},
		launcher:  launcher{policy: c.Policy, env: inherited(c.Env), log: c.Logger, now: time.Now},
		scanAsked: make(chan chan struct{}),
		entries:   map[string]*entry{}, binaries: map[string]*binaryRecord{},
	}
}

// Start hardens the process, looks for plugins and starts what may run. It
// returns once every plugin of the installation is ready or has failed once, and
// each other has begun to start or is known not to, but no later than the policy's
// StartWait; the rest goes on in the background until Stop. An error means that nothing was started.
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
	h.sweepStore(approvals)
	if h.run, err = openRunDir(h.runBase); err != nil {
		return err
	}
	h.launcher.runDir = h.run.path

	//nolint:contextcheck // the host lives until Stop, longer than the caller's context
	loopCtx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	h.hurry, h.hurryNow = context.WithCancel(context.Background())
	h.apply(loopCtx, h.firstScan(ctx), approvals)
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

// firstScan waits for files that were written a moment ago: whoever builds and
// starts in one go must not find a host without plugins.
func (h *Host) firstScan(ctx context.Context) map[string]*found {
	deadline := time.NewTimer(2 * h.policy.Settle)
	defer deadline.Stop()
	for {
		files := h.scanner.scan()
		if !slices.Contains(slices.Collect(maps.Values(files)), nil) {
			return files
		}
		select {
		case <-time.After(h.policy.Settle / 4):
		case <-deadline.C:
			return files
		case <-ctx.Done():
			return files
		}
	}
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

// scanLoop looks at the directories and the approvals until ctx ends.
func (h *Host) scanLoop(ctx context.Context) {
	ticker := time.NewTicker(h.policy.ScanEvery)
	defer ticker.Stop()
	var approvals map[string][]approval
	var readAt time.Time
	for {
		var answer chan struct{}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case answer = <-h.scanAsked:
		}
		if answer != nil || time.Since(readAt) >= h.policy.RecordsEvery {
			approvals = h.reload(ctx)
			readAt = time.Now()
		}
		h.apply(ctx, h.scanner.scan(), approvals)
		approvals = nil // they stay as they are until they are read again
		if answer != nil {
			close(answer)
		}
	}
}

// reload reads the approvals; nil when that fails, so that what is known stays.
func (h *Host) reload(ctx context.Context) map[string][]approval {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	approvals, err := h.records.load(ctx)
	if err != nil {
		if ctx.Err() == nil {
			h.log.Warn("the plugin approvals could not be read", "error", err)
		}
		return nil
	}
	return approvals
}

// apply brings the entries up to what a scan found and the database says.
func (h *Host) apply(ctx context.Context, files map[string]*found, approvals map[string][]approval) {
	h.learnBinaries(ctx, approvals)
	h.mu.Lock()
	for name := range files {
		if files[name] != nil {
			h.ensure(ctx, name)
		}
	}
	for name := range approvals {
		h.ensure(ctx, name)
	}
	all := maps.Clone(h.entries)
	h.mu.Unlock()
	for name, e := range all {
		f, present := files[name]
		e.update(f, present, approvals)
		if e.forgotten() {
			h.mu.Lock()
			delete(h.entries, name)
			h.mu.Unlock()
			e.poke() // its keeper ends by itself
		}
	}
}

// ensure needs h.mu.
func (h *Host) ensure(ctx context.Context, name string) {
	if h.stopped || h.entries[name] != nil {
		return
	}
	e := newEntry(h, name)
	e.starting = true
	h.entries[name] = e
	h.loops.Go(func() {
		<-e.ready
		e.keep(ctx)
	})
}

// update takes in what a scan and the database say about a plugin.
func (e *entry) update(f *found, present bool, approvals map[string][]approval) {
	e.mu.Lock()
	before := e.target()
	first := e.starting
	switch {
	case present && f == nil:
		// Still changing: what was there before counts until it has settled.
		e.lostAt = time.Time{}
	case present:
		e.file, e.lostAt = f, time.Time{}
	case e.file != nil && e.lostAt.IsZero():
		e.lostAt = e.host.now()
	case e.file != nil && e.host.now().Sub(e.lostAt) >= e.host.policy.Settle:
		e.file, e.lostAt = nil, time.Time{}
	}
	if approvals != nil {
		e.approvals = approvals[e.name]
	}
	after := e.target()
	e.starting = false
	e.mu.Unlock()
	if first {
		close(e.ready)
		return
	}
	if !sameTarget(before, after) {
		e.reconsider()
	}
}

func sameTarget(a, b target) bool {
	if a.art == nil || b.art == nil {
		return a == b
	}
	return a.art.sha256 == b.art.sha256 && a.art.path == b.art.path
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

// launchVerified makes sure that a dropped plugin's copy is there, and launches.
func (h *Host) launchVerified(ctx context.Context, e *entry, art *artefact, progress func()) (*instance, error) {
	if err := h.fetchCopy(e, art); err != nil {
		return nil, err
	}
	i, err := h.launcher.launch(ctx, art, e.scrub, progress)
	var failed *launchError
	if art.origin != OriginInstallation && errors.As(err, &failed) && failed.refusal != nil && failed.refusal.code == CodeStoreDamaged {
		h.log.Warn("a copy in the plugin store is damaged; it is made again", "plugin", art.name)
		if err := errors.Join(h.store.remove(art.sha256), h.fetchCopy(e, art)); err != nil {
			return nil, failed
		}
		return h.launcher.launch(ctx, art, e.scrub, progress)
	}
	return i, err
}

// fetchCopy copies a dropped file into the store, unless there is a copy.
func (h *Host) fetchCopy(e *entry, art *artefact) error {
	if art.origin == OriginInstallation || h.store.has(art.sha256, art.fileName) {
		return nil
	}
	e.mu.Lock()
	file := e.file
	e.mu.Unlock()
	if file == nil || file.sha256 != art.sha256 {
		return &launchError{refusal: &refusal{CodeStoreDamaged, "The approved version is not in the store any more, and its file is gone."}}
	}
	if err := h.store.put(file.path, art.sha256, art.fileName); err != nil {
		return &launchError{code: CodeUnreadable, message: "The file could not be copied into the plugin store.", err: err}
	}
	return nil
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

// remember stores what a binary said of itself, for as long as it takes.
func (h *Host) remember(e *entry, i *instance) {
	e.mu.Lock()
	e.known[i.art.sha256] = &i.declaration
	e.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), recordTimeout)
	defer cancel()
	if err := h.records.remember(ctx, i.art, i.declaration); err != nil {
		h.log.Warn("a plugin's description could not be stored", "plugin", i.art.name, "error", err)
	}
}

// recall gives what a binary said of itself when it last ran; nil if it never
// did, or when that cannot be read now.
func (h *Host) recall(ctx context.Context, e *entry, sha string) *sdkplugin.Declaration {
	e.mu.Lock()
	d := e.known[sha]
	e.mu.Unlock()
	if d != nil {
		return d
	}
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	b, err := h.records.recall(ctx, sha)
	if err != nil {
		h.log.Warn("a plugin's description could not be read", "plugin", e.name, "error", err)
	}
	if b == nil || b.declaration == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.known[sha] = b.declaration
	return b.declaration
}

// lastDeclaration gives what the version that runs, or ran last, promises.
func (h *Host) lastDeclaration(ctx context.Context, e *entry) *sdkplugin.Declaration {
	e.mu.Lock()
	var sha string
	if a := e.lastStored(); a != nil {
		sha = a.sha256
	}
	if e.status.art != nil {
		sha = e.status.art.sha256
	}
	e.mu.Unlock()
	if sha == "" {
		return nil
	}
	return h.recall(ctx, e, sha)
}

// learnBinaries reads what is known of the hashes that approvals name.
func (h *Host) learnBinaries(ctx context.Context, approvals map[string][]approval) {
	for name, rows := range approvals {
		for _, a := range rows {
			h.mu.Lock()
			_, known := h.binaries[a.sha256]
			h.mu.Unlock()
			if known {
				continue
			}
			ctx, cancel := context.WithTimeout(ctx, recordTimeout)
			b, err := h.records.recall(ctx, a.sha256)
			cancel()
			if err != nil {
				h.log.Warn("a plugin's description could not be read", "plugin", name, "error", err)
			}
			if b != nil {
				h.mu.Lock()
				h.binaries[a.sha256] = b
				h.mu.Unlock()
			}
		}
	}
}

func (h *Host) binary(sha string) *binaryRecord {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.binaries[sha]
}

// sweepStore removes the copies that nobody can ask for any more: those without
// an approval, and all but the two latest of a name.
func (h *Host) sweepStore(approvals map[string][]approval) {
	keep := map[string]bool{}
	for _, rows := range approvals {
		rows = slices.DeleteFunc(slices.Clone(rows), func(a approval) bool { return !a.approved() })
		slices.SortFunc(rows, func(a, b approval) int { return b.approvedAt.Compare(a.approvedAt) })
		for _, a := range rows[:min(2, len(rows))] {
			keep[a.sha256] = true
		}
	}
	if err := h.store.sweep(func(sha string) bool { return keep[sha] }); err != nil {
		h.log.Warn("the plugin store could not be swept", "error", err)
	}
}
