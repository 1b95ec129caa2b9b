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
	row "github.com/zondarr/zondarr/ent/db/instance"
	"github.com/zondarr/zondarr/host/internal/database"
)

// The keys of the table.
const (
	keyID    = "installation_id"
	keyCheck = "secret_key_check"
	// keyNext is a check value under the key that a change leads to, while it lasts.
	keyNext = "secret_key_next"
)

const (
	entity       = "instance"
	checkContext = entity + ":" + keyCheck
	checkValue   = "zondarr"
)

// ErrWrongKey says that this database was written under another secret key.
var ErrWrongKey = errors.New("the secret key is not the one that this database was written under: configure that one (secret_key), or, after a change of keys, the old one as secret_key_previous")

// ErrUnfinished says that what is sealed is under two keys, and not both are there.
var ErrUnfinished = errors.New("a change of the secret key was begun and is not finished, or not by this key: configure both of its keys (secret_key and secret_key_previous) and run `zondarr secret rotate`")

// box seals and opens (package secret).
type box interface {
	Seal(context string, plaintext []byte) ([]byte, error)
	Open(context string, sealed []byte) ([]byte, error)
	Current(sealed []byte) bool
	KeyOf(sealed []byte) string
	Fits(names string) bool
}

// ID gives the installation's id, and makes it at the first start. Replicas that
// start at once agree on one.
func ID(ctx context.Context, d *database.DB) (string, error) {
	v, err := once(ctx, d, keyID, func() ([]byte, error) { return []byte(uuid.NewString()), nil })
	return string(v), err
}

// CheckKey gives ErrWrongKey if the database was written under a key that the
// box does not have, and ErrUnfinished if a change to another key was begun. It
// writes the check value at the first start, and another one when a change of keys
// begins: from then until Rotated, what is sealed may be under either key, and the
// database is refused to whoever has only one of them, or a third.
func CheckKey(ctx context.Context, d *database.DB, b box) error {
	check, err := once(ctx, d, keyCheck, sealer(b))
	if err != nil {
		return err
	}
	if !opens(b, check) {
		return ErrWrongKey
	}
	if !b.Current(check) {
		if _, err := once(ctx, d, keyNext, sealer(b)); err != nil {
			return err
		}
	}
	_, err = KeyNames(ctx, d.Get, b)
	return err
}

// KeyNames gives the names of the keys that open what is sealed in a database
// (secret.Box.Fits), one, or two while they change, or the errors of CheckKey. It
// writes nothing. A database that no host has ever served holds nothing sealed: what
// it needs is the key that the first start would take.
func KeyNames(ctx context.Context, get database.Getter, b box) (string, error) {
	check, err := get(ctx, keyCheck)
	if errors.Is(err, database.ErrNotFound) {
		check, err = sealer(b)()
	}
	if err != nil {
		return "", err
	}
	if !opens(b, check) {
		return "", ErrWrongKey
	}
	next, err := get(ctx, keyNext)
	switch {
	case errors.Is(err, database.ErrNotFound):
		return b.KeyOf(check), nil
	case err != nil:
		return "", err
	case !opens(b, next):
		return "", ErrUnfinished
	}
	return b.KeyOf(check) + " " + b.KeyOf(next), nil
}

// ErrKeyOfBackup says that what is sealed in a backup could never be opened.
var ErrKeyOfBackup = errors.New("the backup was made under another secret key: configure that key (as the previous one, if need be) and restore again")

// Fits gives an error if the box lacks a key that opens what is sealed in a file that is
// to be restored: ErrKeyOfBackup for a backup, which bears the names of its keys; for a
// database that was kept as it was, which does not, the errors of CheckKey.
func Fits(ctx context.Context, get database.Getter, b box) error {
	names, err := get(ctx, database.KeyFingerprint)
	switch {
	case errors.Is(err, database.ErrNotFound):
		_, err = KeyNames(ctx, get, b)
		return err
	case err != nil:
		return err
	case !b.Fits(string(names)):
		return ErrKeyOfBackup
	}
	return nil
}

func sealer(b box) func() ([]byte, error) {
	return func() ([]byte, error) { return b.Seal(checkContext, []byte(checkValue)) }
}

func opens(b box, sealed []byte) bool {
	plain, err := b.Open(checkContext, sealed)
	return err == nil && string(plain) == checkValue
}

// Rotated says that everything else is sealed under the current key: the previous
// one opens nothing that is needed any more.
func Rotated(ctx context.Context, d *database.DB, b box) error {
	sealed, err := b.Seal(checkContext, []byte(checkValue))
	if err != nil {
		return err
	}
	_, err = database.WithTx(ctx, d, func(ctx context.Context, tx *db.Tx) (struct{}, error) {
		if err := tx.Instance.UpdateOneID(keyCheck).SetValue(sealed).Exec(ctx); err != nil {
			return struct{}{}, err
		}
		_, err := tx.Instance.Delete().Where(row.ID(keyNext)).Exec(ctx)
		return struct{}{}, err
	})
	return database.Wrap("update", entity, err)
}

// once gives the value of a key, and stores a fresh one if there is none.
func once(ctx context.Context, d *database.DB, key string, fresh func() ([]byte, error)) ([]byte, error) {
	for {
		value, err := d.Get(ctx, key)
		if !errors.Is(err, database.ErrNotFound) {
			return value, err
		}
		if value, err = fresh(); err != nil {
			return nil, fmt.Errorf("make %s: %w", key, err)
		}
		err = database.Wrap("create", entity, d.Ent.Instance.Create().SetID(key).SetValue(value).Exec(ctx))
		if err != nil && !errors.Is(err, database.ErrConflict) {
			return nil, err
		}
	}
}
