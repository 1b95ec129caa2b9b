//go:build unix

package pluginhost

import (
	"context"
	"maps"
	"slices"
	"time"
)

// patientScan waits for files that were written a moment ago: whoever builds and
// starts in one go must not find a host without plugins.
func (h *Host) patientScan(ctx context.Context) map[string]*found {
	const looks = 8
	for look := 1; ; look++ {
		files := h.scanner.scan()
		settled := !slices.Contains(slices.Collect(maps.Values(files)), nil)
		if settled || look == looks || ctx.Err() != nil {
			return files
		}
		time.Sleep(2 * h.policy.Settle / looks)
	}
}

// scanRequest asks for a look now. A patient one waits for files that were
// written a moment ago.
type scanRequest struct {
	done    chan struct{}
	patient bool
}

// scanLoop looks at the directories and the approvals until ctx ends.
func (h *Host) scanLoop(ctx context.Context) {
	ticker := time.NewTicker(h.policy.ScanEvery)
	defer ticker.Stop()
	var readAt time.Time
	for {
		var asked scanRequest
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case asked = <-h.scanAsked:
		}
		var approvals *snapshot // nil: they stay as they are
		if asked.done != nil || time.Since(readAt) >= h.policy.RecordsEvery {
			approvals = h.reload(ctx)
			readAt = time.Now()
		}
		if asked.patient {
			h.apply(ctx, h.patientScan(ctx), approvals)
		} else {
			h.apply(ctx, h.scanner.scan(), approvals)
		}
		if asked.done != nil {
			close(asked.done)
		}
	}
}

// snapshot is the approvals as they were read, and how many decisions had been
// made here before.
type snapshot struct {
	rows      map[string][]approval
	decisions int64
}

// reload reads the approvals; nil when that fails, so that what is known stays.
func (h *Host) reload(ctx context.Context) *snapshot {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	decisions := h.decisions.Load()
	approvals, err := h.records.load(ctx)
	if err != nil {
		if ctx.Err() == nil {
			h.log.Warn("the plugin approvals could not be read", "error", err)
		}
		return nil
	}
	return &snapshot{approvals, decisions}
}

// apply brings the entries up to what a scan found and the database says.
func (h *Host) apply(ctx context.Context, files map[string]*found, approvals *snapshot) {
	var rows map[string][]approval
	if approvals != nil {
		rows = approvals.rows
	}
	h.learnBinaries(ctx, rows)
	h.mu.Lock()
	for name := range files {
		if files[name] != nil {
			h.ensure(ctx, name)
		}
	}
	for name := range rows {
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
func (e *entry) update(f *found, present bool, approvals *snapshot) {
	e.mu.Lock()
	before := e.target()
	first, fresh := e.starting, false
	switch {
	case present && f == nil:
		// Still changing: what was there before counts until it has settled.
		e.lostAt = time.Time{}
	case present:
		// Whoever touches the file wants it tried again, whatever it holds.
		if fresh = f != e.file && f.refused == nil; fresh {
			e.halted, e.blockedFor = nil, ""
		}
		e.file, e.lostAt = f, time.Time{}
	case e.file != nil && e.lostAt.IsZero():
		e.lostAt = e.host.now()
	case e.file != nil && e.host.now().Sub(e.lostAt) >= e.host.policy.Settle:
		e.file, e.lostAt = nil, time.Time{}
	}
	if approvals != nil && approvals.decisions == e.host.decisions.Load() {
		e.approvals = approvals.rows[e.name]
	}
	after := e.target()
	e.starting = false
	e.mu.Unlock()
	if first {
		close(e.ready)
		return
	}
	if fresh || !sameTarget(before, after) {
		e.reconsider()
	}
}

func sameTarget(a, b target) bool {
	if a.art == nil || b.art == nil {
		return a == b
	}
	return a.art.sha256 == b.art.sha256 && a.art.path == b.art.path
}
