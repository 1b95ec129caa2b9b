//go:build unix

package pluginhost

import (
	"context"
	"errors"
	"io/fs"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/registry"
)

// List gives every plugin, by name, without the output of crashes.
func (h *Host) List() []Status { return h.statuses(context.Background()) }

func (h *Host) statuses(ctx context.Context) []Status {
	entries := h.list()
	out := make([]Status, len(entries))
	for i, e := range entries {
		out[i] = h.show(ctx, e)
		if out[i].LastCrash != nil {
			out[i].LastCrash.OutputTail = ""
		}
	}
	return out
}

// Get gives one plugin, or a not-found *fault.Error.
func (h *Host) Get(name string) (Status, error) {
	e, err := h.find(name)
	if err != nil {
		return Status{}, err
	}
	return h.show(context.Background(), e), nil
}

// show gives the whole status of one plugin.
func (h *Host) show(ctx context.Context, e *entry) Status {
	s := e.public()
	h.addMisfits(ctx, e, &s)
	return s
}

func (h *Host) find(name string) (*entry, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.entries[name]; e != nil {
		return e, nil
	}
	return nil, fault.Missing("plugin", name)
}

// Rescan looks at the directories and the approvals now, and gives the list. For
// a file that was written a moment ago it waits until the file has settled.
func (h *Host) Rescan(ctx context.Context) ([]Status, error) {
	if err := h.rescan(ctx, true); err != nil {
		return nil, err
	}
	return h.statuses(ctx), nil
}

func (h *Host) rescan(ctx context.Context, patient bool) error {
	asked := scanRequest{done: make(chan struct{}), patient: patient}
	select {
	case h.scanAsked <- asked:
	case <-ctx.Done():
		return ctx.Err()
	case <-h.hurry.Done():
		return fault.New(fault.Unavailable, fault.CodeStarting, "Zondarr is stopping.")
	}
	select {
	case <-asked.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-h.hurry.Done():
		return fault.New(fault.Unavailable, fault.CodeStarting, "Zondarr is stopping.")
	}
}

// Approve lets the file with this hash run, and enables the plugin. A version
// that replaces another is started first and held to what is stored; when it
// does not start, or no longer serves a stored server, the approval is refused
// and the version before goes on. It returns when the plugin is ready or has
// failed once, or after the policy's ActionWait.
//
// Errors: not found; plugin_changed when the file has another hash by now;
// capability_unsupported for a version that stored servers cannot use; conflict
// for one whose server type is another plugin's; plugin_unavailable for one that
// does not start.
func (h *Host) Approve(ctx context.Context, name, sha256, by string) (Status, error) {
	e, err := h.find(name)
	if err != nil {
		return Status{}, err
	}
	if err := h.rescan(ctx, false); err != nil { // what lies there now is what counts
		return Status{}, err
	}
	art, err := e.candidate(sha256)
	if err != nil {
		return Status{}, err
	}
	if art.origin == OriginDirectory {
		err := h.store.put(e.filePath(), art.sha256, art.fileName)
		if errors.Is(err, errChanged) || errors.Is(err, fs.ErrNotExist) {
			return Status{}, changed(name)
		}
		if err != nil {
			return Status{}, fault.New(fault.Internal, fault.CodeInternal, "The plugin could not be copied.").Wrap(err)
		}
	}
	commit := func() error { return h.recordApproval(ctx, e, art, by) }
	if h.replaces(ctx, e, art) {
		err = e.try(ctx, art, commit)
	} else {
		err = commit()
	}
	if err != nil {
		return Status{}, h.explain(name, err)
	}
	e.mu.Lock()
	e.halted, e.blockedFor = nil, ""
	e.crashes.reset()
	e.mu.Unlock()
	e.reconsider()
	e.settle(ctx, func(e *entry) bool {
		want, has := e.target(), e.handled
		overtaken := want.art == nil || want.art.sha256 != sha256 // by another admin, or another file
		return overtaken || has.art != nil && has.art.sha256 == sha256 && e.atRest()
	})
	return h.show(ctx, e), nil
}

// candidate gives what would run if this hash were approved.
func (e *entry) candidate(sha string) (*artefact, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if f := e.file; f != nil {
		switch {
		case f.sha256 == sha && f.refused != nil:
			return nil, fault.New(fault.Conflict, fault.CodePluginChanged, "The plugin's file cannot be approved. %s", f.refused.message)
		case f.sha256 == sha && f.origin == OriginInstallation:
			return f.artefact(registry.Rank{Installation: true}, f.path), nil
		case f.sha256 == sha:
			art := f.artefact(registry.Rank{ApprovedAt: database.Now()}, e.host.store.path(sha, f.fileName))
			if a := e.approvalOf(sha); a != nil && a.approved() && !a.disabled {
				art.rank.ApprovedAt = a.approvedAt
			}
			return art, nil
		}
	}
	// What was approved before can be enabled again from the store.
	if a := e.approvalOf(sha); a != nil && a.approved() && e.host.store.has(sha, a.fileName) && e.file == nil {
		return &artefact{
			name: e.name, fileName: a.fileName, path: e.host.store.path(sha, a.fileName), sha256: sha, origin: OriginStore,
			rank: registry.Rank{ApprovedAt: database.Now()},
		}, nil
	}
	return nil, changed(e.name)
}

func changed(name string) error {
	f := fault.New(fault.Conflict, fault.CodePluginChanged, "The plugin's file is another one by now. Look at it again before you approve it.")
	f.Resource = &fault.Resource{Type: "plugin", ID: name}
	return f
}

func (e *entry) filePath() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.file == nil {
		return ""
	}
	return e.file.path
}

// replaces says whether an approval is for another version than one that ran.
func (h *Host) replaces(ctx context.Context, e *entry, art *artefact) bool {
	e.mu.Lock()
	var sha string
	if e.status.art != nil {
		sha = e.status.art.sha256
	}
	e.mu.Unlock()
	return sha != art.sha256 && h.lastDeclaration(ctx, e) != nil
}

// recordApproval writes an approval.
func (h *Host) recordApproval(ctx context.Context, e *entry, art *artefact, by string) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	a := approval{sha256: art.sha256, fileName: art.fileName, origin: art.origin, approvedAt: art.rank.ApprovedAt, approvedBy: by}
	if a.approvedAt.IsZero() {
		a.approvedAt = database.Now()
	}
	err := h.decide(ctx, e, func() error { return h.records.approve(ctx, e.name, a) })
	if err == nil {
		h.log.Info("plugin approved", "plugin", e.name, "sha256", art.sha256, "by", by)
	}
	return err
}

// decide writes a decision and has the entry know it at once.
func (h *Host) decide(ctx context.Context, e *entry, write func() error) error {
	h.deciding.Lock()
	defer h.deciding.Unlock()
	err := write()
	// Counted only now: whoever read the approvals while this was being written has
	// the count of before, and is not believed. It counts also when it failed, since
	// it may have been written all the same.
	h.decisions.Add(1)
	if err != nil {
		return err
	}
	all, err := h.records.load(ctx)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.approvals = all[e.name]
	return nil
}

// try hands a version to the keeper and waits for its verdict.
func (e *entry) try(ctx context.Context, art *artefact, commit func() error) error {
	tr := &trial{art: art, commit: commit, done: make(chan error, 1)}
	e.mu.Lock()
	e.trials = append(e.trials, tr)
	e.mu.Unlock()
	e.poke()
	select {
	case err := <-tr.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-e.host.hurry.Done(): // the keeper may have left before it saw this
		return errInterrupted
	}
}

// explain gives the failure of a trial in the words of the API.
func (h *Host) explain(name string, err error) error {
	if fault.As(err) != nil {
		return err
	}
	var unfit *misfitError
	var taken *registry.TypeTakenError
	var stored *database.Error
	var f *fault.Error
	switch {
	case errors.As(err, &unfit):
		f = fault.New(fault.Conflict, fault.CodeCapabilityUnsupported,
			"The new version was not approved: it no longer serves what is stored. %s", unfit.Error())
	case errors.As(err, &taken):
		f = fault.New(fault.Conflict, fault.CodeConflict, "The new version was not approved: %s", tell(err))
	case errors.As(err, &stored), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	default:
		f = fault.New(fault.Unavailable, fault.CodePluginUnavailable, "The new version was not approved: %s", tell(err))
	}
	f.Plugin = name
	f.Resource = &fault.Resource{Type: "plugin", ID: name}
	return f.Wrap(err)
}

// Disable keeps a plugin from running until it is approved again, and frees its
// server type. Calls in flight may finish; new ones fail at once. It returns
// when the plugin has stopped, or after the policy's ActionWait.
func (h *Host) Disable(ctx context.Context, name, by string) (Status, error) {
	e, err := h.find(name)
	if err != nil {
		return Status{}, err
	}
	a, known := e.mark()
	if !known {
		return Status{}, fault.New(fault.Conflict, fault.CodeConflict, "The plugin's file cannot be read: there is nothing to disable.")
	}
	rctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	if err := h.decide(rctx, e, func() error { return h.records.disable(rctx, name, a) }); err != nil {
		return Status{}, err
	}
	h.log.Info("plugin disabled", "plugin", name, "by", by)
	e.mu.Lock()
	if e.launching != nil {
		e.launching.cancel()
	}
	e.mu.Unlock()
	e.poke()
	e.settle(ctx, func(e *entry) bool {
		overtaken := e.target().code != CodeDisabled
		return overtaken || e.handled.code == CodeDisabled && e.leaving == 0 && e.status.state == StateDisabled
	})
	return h.show(ctx, e), nil
}

// mark gives the hash that a plugin is known by.
func (e *entry) mark() (approval, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.approvals) > 0 {
		return e.approvals[len(e.approvals)-1], true
	}
	if f := e.file; f != nil && f.sha256 != "" {
		return approval{sha256: f.sha256, fileName: f.fileName, origin: f.origin}, true
	}
	return approval{}, false
}

// Restart starts a new process and lets the one before go, and forgets what went
// wrong before: backoff, crash loop, a start that was given up. It returns when
// the plugin is ready or has failed once, or after the policy's ActionWait.
func (h *Host) Restart(ctx context.Context, name, by string) (Status, error) {
	e, err := h.find(name)
	if err != nil {
		return Status{}, err
	}
	e.mu.Lock()
	want := e.target()
	if want.art == nil {
		e.mu.Unlock()
		f := fault.New(fault.Conflict, fault.CodeConflict, "The plugin cannot be restarted. %s", want.message)
		f.Plugin = name
		return Status{}, f
	}
	e.restarts++
	mine := e.restarts
	e.mu.Unlock()
	h.log.Info("plugin restart asked for", "plugin", name, "by", by)
	e.poke()
	e.settle(ctx, func(e *entry) bool { return e.restarted >= mine && e.atRest() })
	return h.show(ctx, e), nil
}

// settle waits for the effect of an action, or until another has overtaken it, for
// a bounded time.
func (e *entry) settle(ctx context.Context, holds func(*entry) bool) {
	ctx, cancel := context.WithTimeout(ctx, e.host.policy.ActionWait)
	defer cancel()
	e.await(ctx, holds)
}
