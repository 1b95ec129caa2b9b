//go:build unix

package pluginhost

import (
	"context"
	"errors"
	"os"
	"slices"

	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

// launchVerified makes sure that a dropped plugin's copy is there, and launches.
func (h *Host) launchVerified(ctx context.Context, e *entry, art *artefact, progress func()) (*instance, error) {
	if err := h.fetchCopy(e, art); err != nil {
		return nil, err
	}
	i, err := h.launcher.launch(ctx, art, e.scrub, progress)
	var failed *launchError
	if art.origin != OriginInstallation && errors.As(err, &failed) && failed.refusal != nil && failed.refusal.code == CodeStoreDamaged {
		h.log.Warn("a copy in the plugin store is damaged; it is made again", "plugin", art.name)
		if err := errors.Join(os.Remove(art.path), h.fetchCopy(e, art)); err != nil {
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

// remember stores what a binary said of itself, for as long as it takes.
func (h *Host) remember(ctx context.Context, e *entry, i *instance) {
	e.mu.Lock()
	e.known[i.art.sha256] = &i.declaration
	e.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout) // also while stopping
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
