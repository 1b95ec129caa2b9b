package job

import (
	"context"
	"errors"

	"github.com/zondarr/zondarr/host/internal/database"
)

// Pause is the switch that keeps background work from media servers.
type Pause struct {
	DB *database.DB
}

// On says whether the instance is paused.
func (p *Pause) On(ctx context.Context) (bool, error) {
	_, err := p.DB.Get(ctx, database.KeyPaused)
	if errors.Is(err, database.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Set pauses the instance; reason is for the admin ("restored from a backup").
func (p *Pause) Set(ctx context.Context, reason string) error {
	return p.DB.Set(ctx, database.KeyPaused, []byte(reason))
}

// Lift resumes the instance, and says whether it was paused.
func (p *Pause) Lift(ctx context.Context) (bool, error) {
	was, err := p.On(ctx)
	if err != nil || !was {
		return false, err
	}
	return true, p.DB.Unset(ctx, database.KeyPaused)
}
