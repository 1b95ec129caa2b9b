package database

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/zondarr/zondarr/ent/db"
)

// maxTxAttempts bounds how often a transaction is tried when PostgreSQL ends it for the
// sake of another.
const maxTxAttempts = 6

// WithTx runs fn in a transaction: committed if fn returns nil, rolled back if it
// returns an error or panics. The error of fn is returned as it is.
//
// On PostgreSQL a transaction that loses a deadlock or a serialization conflict is run
// again, so fn must change nothing but the database and what it returns. fn uses the ctx
// that it is given: the pools refuse that one, so that nothing slips past the tx. No
// plugin and no network is called from within; on SQLite everyone else who writes waits.
func WithTx[T any](ctx context.Context, d *DB, fn func(ctx context.Context, tx *db.Tx) (T, error)) (T, error) {
	return retried(ctx, d, nil, fn)
}

// WithReadTx runs fn on one consistent snapshot, for answers that take several queries.
// It may not write. On SQLite it runs beside the writer.
func WithReadTx[T any](ctx context.Context, d *DB, fn func(ctx context.Context, tx *db.Tx) (T, error)) (T, error) {
	return retried(ctx, d, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}, fn)
}

func retried[T any](ctx context.Context, d *DB, opts *sql.TxOptions, fn func(context.Context, *db.Tx) (T, error)) (T, error) {
	for attempt := 1; ; attempt++ {
		v, err := once(ctx, d, opts, fn)
		if err == nil || attempt == maxTxAttempts || !lostToAnother(err) {
			return v, err
		}
		select {
		case <-ctx.Done():
			return v, err
		case <-time.After(rand.N(time.Duration(1<<attempt) * 5 * time.Millisecond)): //nolint:gosec // jitter
		}
	}
}

func once[T any](ctx context.Context, d *DB, opts *sql.TxOptions, fn func(context.Context, *db.Tx) (T, error)) (v T, err error) {
	var zero T
	tx, err := d.Ent.BeginTx(ctx, opts)
	if err != nil {
		return zero, Wrap("begin", "transaction", err)
	}
	done := false
	defer func() {
		if !done { // fn panicked
			_ = tx.Rollback()
		}
	}()
	v, err = fn(context.WithValue(ctx, insideTx{}, d.driver), tx)
	done = true
	if err != nil {
		if rerr := tx.Rollback(); rerr != nil && !errors.Is(rerr, sql.ErrTxDone) {
			err = errors.Join(err, Wrap("roll back", "transaction", rerr))
		}
		return zero, err
	}
	if err := tx.Commit(); err != nil {
		return zero, Wrap("commit", "transaction", err)
	}
	return v, nil
}
