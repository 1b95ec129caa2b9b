//go:build unix

package pluginhost

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/zondarr/zondarr/host/internal/registry"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

// entry is everything about one plugin, by its name. What should run follows
// from the disk and the approvals (target); its keeper goroutine makes it so.
type entry struct {
	host  *Host
	name  string
	log   *slog.Logger
	scrub *scrubber
	wake  chan struct{} // one place: something has changed

	mu sync.Mutex
	// what is wanted
	file      *found // as the last scan saw it; nil when there is none
	lostAt    time.Time
	approvals []approval
	restarts  int // asked for by admins
	trials    []*trial
	// what is known
	known map[string]*sdkplugin.Declaration // by hash, of what ran or once ran
	// what is
	status     status
	restarted  int // handled of restarts
	handled    target
	rounds     int // how often the keeper had nothing left to do
	leaving    int // processes that drain
	launching  *launching
	current    *instance     // what answers, for reading; the keeper's own is cur
	starting   bool          // until the first update
	ready      chan struct{} // closed by it: only then does the keeper look
	crashes    crashes
	halted     *halt // no start of this hash until something changes
	blockedFor string
	changed    chan struct{} // closed and replaced at each change of status
}

// status is the part of a Status that the keeper sets.
type status struct {
	state     State
	since     time.Time
	code      string
	message   string
	pid       int
	startedAt time.Time
	starts    int
	art       *artefact // what runs, or ran last
}

// target is what should run: a binary, or nothing and why.
type target struct {
	art     *artefact
	state   State
	code    string
	message string
}

// halt is a hash that is not started again by itself.
type halt struct {
	sha256 string
	refusal
}

// launching is a start that may be called off.
type launching struct {
	sha256  string
	isTrial bool
	cancel  func()
}

// trial is an admin's approval on its way: the keeper starts the version, checks
// it, has the approval recorded, and swaps.
type trial struct {
	art    *artefact
	commit func() error
	done   chan error
}

func newEntry(h *Host, name string) *entry {
	s := newScrubber()
	s.keep(proxyPasswords(h.launcher.env)...)
	return &entry{
		host: h, name: name, log: h.log.With("plugin", name), scrub: s,
		wake: make(chan struct{}, 1), ready: make(chan struct{}), changed: make(chan struct{}), known: map[string]*sdkplugin.Declaration{},
	}
}

// reconsider tells the keeper to look again, and calls off a start that nobody
// wants any more.
func (e *entry) reconsider() {
	e.mu.Lock()
	if l := e.launching; l != nil {
		want := e.target()
		// A trial is for what is not wanted yet; only Disable calls it off.
		if !l.isTrial && (want.art == nil || want.art.sha256 != l.sha256) {
			l.cancel()
		}
	}
	e.mu.Unlock()
	e.poke()
}

// poke tells the keeper to look again.
func (e *entry) poke() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// target needs e.mu.
func (e *entry) target() target {
	if slices.ContainsFunc(e.approvals, func(a approval) bool { return a.disabled }) {
		return target{state: StateDisabled, code: CodeDisabled, message: "An admin disabled the plugin. Approve it to enable it again."}
	}
	if f := e.file; f != nil && f.refused == nil {
		if f.origin == OriginInstallation {
			return target{art: f.artefact(registry.Rank{Installation: true}, f.path)}
		}
		if a := e.approvalOf(f.sha256); a != nil && a.approved() {
			return target{art: f.artefact(registry.Rank{ApprovedAt: a.approvedAt}, e.host.store.path(f.sha256, f.fileName))}
		}
	}
	// The approved version goes on while its file is another or refused; without
	// a file only when an admin said so.
	if a := e.lastStored(); a != nil && (e.file != nil || a.origin == OriginStore) {
		art := &artefact{
			name: e.name, fileName: a.fileName, path: e.host.store.path(a.sha256, a.fileName), sha256: a.sha256,
			origin: OriginDirectory, rank: registry.Rank{ApprovedAt: a.approvedAt},
		}
		if e.file == nil {
			art.origin = OriginStore
		}
		if b := e.host.binary(a.sha256); b != nil {
			art.size, art.build = b.size, b.build
		}
		return target{art: art}
	}
	switch f := e.file; {
	case f == nil:
		return target{state: StateDisabled, code: CodeFileRemoved, message: "The plugin's file was removed from its directory."}
	case f.refused != nil:
		return target{state: StateFailed, code: f.refused.code, message: f.refused.message}
	default:
		return target{state: StateAwaitingApproval, message: "An admin has to approve the plugin before it runs."}
	}
}

func (f *found) artefact(rank registry.Rank, path string) *artefact {
	return &artefact{
		name: f.name, fileName: f.fileName, path: path, sha256: f.sha256, size: f.size, build: f.build, origin: f.origin, rank: rank,
	}
}

func (e *entry) approvalOf(sha string) *approval {
	for i := range e.approvals {
		if e.approvals[i].sha256 == sha {
			return &e.approvals[i]
		}
	}
	return nil
}

// lastStored gives the latest approval that this host has a copy of.
func (e *entry) lastStored() *approval {
	var last *approval
	for i := range e.approvals {
		a := &e.approvals[i]
		if a.approved() && e.host.store.has(a.sha256, a.fileName) && (last == nil || a.approvedAt.After(last.approvedAt)) {
			last = a
		}
	}
	return last
}

// forgotten says that there is neither a file nor an approval.
func (e *entry) forgotten() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.file == nil && len(e.approvals) == 0 && e.lostAt.IsZero()
}

// set changes the status. An empty code and message clear them.
func (e *entry) set(state State, code, message string, change func(*status)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := &e.status
	moved := s.state != state || s.code != code || s.message != message
	if s.state != state {
		s.since = e.host.now().UTC()
	}
	s.state, s.code, s.message = state, code, message
	if change != nil {
		change(s)
	}
	close(e.changed)
	e.changed = make(chan struct{})
	if !moved {
		return
	}
	level := slog.LevelInfo
	if state == StateFailed || state == StateBackingOff {
		level = slog.LevelWarn
	}
	args := []any{"state", string(state)}
	if s.pid != 0 {
		args = append(args, "pid", s.pid)
	}
	if code != "" {
		args = append(args, "code", code)
	}
	if message != "" {
		args = append(args, "reason", message)
	}
	e.log.Log(e.host.logCtx, level, "plugin "+string(state), args...)
}
