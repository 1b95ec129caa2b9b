package job

import (
	"context"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/zondarr/zondarr/ent/db/instance"
	"github.com/zondarr/zondarr/host/internal/database"
)

// pausedKey is the row of the instance table whose presence means paused; its
// value is the reason in words.
const pausedKey = "paused"

// Pause is the switch that keeps background work from media servers.
type Pause struct {
	DB  *database.DB
	Now func() time.Time
}

// On says whether the instance is paused.
func (p *Pause) On(ctx context.Context) (bool, error) {
	on, err := p.DB.Ent.Instance.Query().Where(instance.ID(pausedKey)).Exist(ctx)
	return on, database.Wrap("get", "instance", err)
}

// Set pauses the instance; reason is for the admin ("restored from a backup").
func (p *Pause) Set(ctx context.Context, reason string) error {
	err := p.DB.Ent.Instance.Create().SetID(pausedKey).SetValue([]byte(reason)).SetUpdatedAt(p.Now()).
		OnConflict(sql.ConflictColumns(instance.FieldID), sql.ResolveWithNewValues()).Exec(ctx)
	return database.Wrap("update", "instance", err)
}

// Lift resumes the instance, and says whether it was paused.
func (p *Pause) Lift(ctx context.Context) (bool, error) {
	n, err := p.DB.Ent.Instance.Delete().Where(instance.ID(pausedKey)).Exec(ctx)
	return n > 0, database.Wrap("delete", "instance", err)
}
