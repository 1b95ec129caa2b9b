package database

import (
	"context"

	"github.com/zondarr/zondarr/ent/db/instance"
)

// The keys of the instance table that this package writes; those who read the others
// name them.
const (
	// KeyPaused is set by a restore: the host answers reads, but does nothing on media
	// servers, until an admin has looked and resumes it. The value says why.
	KeyPaused = "paused"
	// KeyMovedTo is set on the source of a copy: where the instance lives now.
	KeyMovedTo = "moved_to"
	// KeyMovingTo is set on the source while a copy is made: the id of the move, a blank,
	// and where the instance will live.
	KeyMovingTo = "moving_to"
	// KeyMovedFrom is set in a complete copy: the id of the move that made it.
	KeyMovedFrom = "moved_from"
	// KeyFingerprint is set in a backup: which secret key opens what is sealed in it.
	KeyFingerprint = "key_fingerprint"
)

// Set keeps a value of the instance, in place of the one before.
func (d *DB) Set(ctx context.Context, key string, value []byte) error {
	return Wrap("set", "instance", d.Ent.Instance.Create().SetID(key).SetValue(value).SetUpdatedAt(Now()).
		OnConflictColumns(instance.FieldID).UpdateNewValues().Exec(ctx))
}

// Get is a value of the instance; ErrNotFound if it was never set.
func (d *DB) Get(ctx context.Context, key string) ([]byte, error) {
	row, err := d.Ent.Instance.Get(ctx, key)
	if err != nil {
		return nil, Wrap("get", "instance", err)
	}
	return row.Value, nil
}

// Unset forgets a value of the instance; one that is not there is forgotten already.
func (d *DB) Unset(ctx context.Context, key string) error {
	_, err := d.Ent.Instance.Delete().Where(instance.ID(key)).Exec(ctx)
	return Wrap("unset", "instance", err)
}
