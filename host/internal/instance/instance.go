// Package instance is what one installation knows of itself: its id, and whether
// its secret key is the right one.
//
// The id goes into every call to a plugin, which derives from it what a media
// server sees of us, so it must be the same after a restart, on every replica
// and after a restore. It knows no other table.
package instance

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/host/internal/database"
)

// The keys of the table.
const (
	keyID    = "installation_id"
	keyCheck = "secret_key_check"
)

const (
	entity     = "instance"
	checkValue = "zondarr"
)

// ErrWrongKey says that this database was written under another secret key.
var ErrWrongKey = errors.New("the secret key is not the one that this database was written under: configure that one (secret_key), or, after a change of keys, the old one as secret_key_previous")

// box seals and opens (package secret).
type box interface {
	Seal(context string, plaintext []byte) ([]byte, error)
	Open(context string, sealed []byte) ([]byte, error)
}

// ID gives the installation's id, and makes it at the first start. Replicas that
// start at once agree on one.
func ID(ctx context.Context, d *database.DB) (string, error) {
	v, err := once(ctx, d, keyID, func() ([]byte, error) { return []byte(uuid.NewString()), nil })
	return string(v), err
}

// CheckKey gives ErrWrongKey if the database was written under a key that the
// box does not have. It writes the check value at the first start.
func CheckKey(ctx context.Context, d *database.DB, b box) error {
	sealed, err := once(ctx, d, keyCheck, func() ([]byte, error) { return b.Seal(entity+":"+keyCheck, []byte(checkValue)) })
	if err != nil {
		return err
	}
	if plain, err := b.Open(entity+":"+keyCheck, sealed); err != nil || string(plain) != checkValue {
		return ErrWrongKey
	}
	return nil
}

// once gives the value of a key, and stores a fresh one if there is none.
func once(ctx context.Context, d *database.DB, key string, fresh func() ([]byte, error)) ([]byte, error) {
	for {
		row, err := d.Ent.Instance.Get(ctx, key)
		if err == nil {
			return row.Value, nil
		}
		if !db.IsNotFound(err) {
			return nil, database.Wrap("get", entity, err)
		}
		value, err := fresh()
		if err != nil {
			return nil, fmt.Errorf("make %s: %w", key, err)
		}
		err = database.Wrap("create", entity, d.Ent.Instance.Create().SetID(key).SetValue(value).Exec(ctx))
		if err != nil && !errors.Is(err, database.ErrConflict) {
			return nil, err
		}
	}
}

// resealer seals again under the current key (package secret).
type resealer interface {
	Reseal(context string, sealed []byte) (resealed []byte, changed bool, err error)
}

// Reseal seals the check value under the current key. It is the last of a
// rotation: once it is done, the previous key opens nothing that is needed.
func Reseal(ctx context.Context, d *database.DB, b resealer) error {
	row, err := d.Ent.Instance.Get(ctx, keyCheck)
	if db.IsNotFound(err) {
		return nil // written at the next start, under the current key
	}
	if err != nil {
		return database.Wrap("get", entity, err)
	}
	sealed, changed, err := b.Reseal(entity+":"+keyCheck, row.Value)
	if err != nil || !changed {
		return err
	}
	return database.Wrap("update", entity, d.Ent.Instance.UpdateOneID(keyCheck).SetValue(sealed).Exec(ctx))
}
