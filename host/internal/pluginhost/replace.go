//go:build unix

package pluginhost

import (
	"context"
	"errors"
	"fmt"

	"github.com/zondarr/zondarr/host/internal/registry"
	"github.com/zondarr/zondarr/sdk"
)

// replace starts a version beside the one that runs, holds it to what that one
// promised the stored servers, and swaps. On an error nothing has changed.
func (k *keeper) replace(ctx context.Context, art *artefact, tr *trial) error {
	before := k.host.lastDeclaration(ctx, k.entry)
	stood := k.snapshot()
	i, err := k.launch(ctx, art, tr != nil)
	if err != nil {
		k.restore(stood)
		return err
	}
	if before != nil {
		err = k.fits(ctx, before.Description, i)
	}
	if err == nil {
		err = k.host.registry.MayRegister(i.offer()) // before it is recorded what takeSeat will ask again
	}
	if err == nil && tr != nil {
		err = tr.commit()
	}
	if err == nil {
		err = k.takeSeat(i)
	}
	if err != nil {
		i.stop()
		k.host.remember(ctx, k.entry, i) // so that the next look at it shows what is wrong
		k.restore(stood)
		return err
	}
	k.adopt(ctx, i)
	return nil
}

func (k *keeper) snapshot() status {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.status
}

// restore takes back what the launch of a version that was not taken has shown.
func (k *keeper) restore(stood status) {
	if now := k.snapshot().state; now != StateVerifying && now != StateStarting {
		return
	}
	k.set(stood.state, stood.code, stood.message, func(s *status) { s.art = stood.art })
}

// misfitError says which stored servers a version would no longer serve.
type misfitError struct{ misfits []Misfit }

func (e *misfitError) Error() string { return tellMisfits(e.misfits) }

func (k *keeper) fits(ctx context.Context, before sdk.Description, i *instance) error {
	stored, err := k.host.stored(ctx)
	if err != nil {
		return err
	}
	if m := misfits(before, i.declaration.Description, stored); len(m) > 0 {
		return &misfitError{m}
	}
	return nil
}

// tell gives an error in words for an admin.
func tell(err error) string {
	var failed *launchError
	var refused *refusal
	var unfit *misfitError
	var taken *registry.TypeTakenError
	switch {
	case errors.As(err, &failed) && failed.refusal != nil:
		return failed.refusal.message
	case errors.As(err, &failed):
		return failed.message
	case errors.As(err, &refused):
		return refused.message
	case errors.As(err, &unfit):
		return "it no longer serves what is stored. " + unfit.Error()
	case errors.Is(err, errInterrupted):
		return "its start was called off."
	case errors.As(err, &taken):
		return fmt.Sprintf("the server type %s is served by the plugin %s.", taken.ServerType, taken.Holder)
	default:
		return "an internal error, see the log."
	}
}
