package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pressly/goose/v3/lock"
)

const (
	// turnPatience is how long the migrations of another replica may take.
	turnPatience = 10 * time.Minute
	// turnInterval is how often we ask whether it is our turn.
	turnInterval = 200 * time.Millisecond
	// turnCheck is how often we make sure that it still is.
	turnCheck = time.Second
)

// errTurnLost ends a migration whose lock is gone: another replica may be migrating.
var errTurnLost = errors.New("the connection that held the lock of the migrations was lost")

// inTurn runs fn while no other replica migrates. On PostgreSQL a transaction on a
// connection of its own holds an advisory lock meanwhile: a lock of the session would be
// left behind on a connection of the pooler, where there is one. On SQLite the lock of
// the file has seen to it.
func (m *migrator) inTurn(ctx context.Context, fn func(ctx context.Context) error) error {
	if m.at.dialect == SQLite {
		return fn(ctx)
	}
	// The lock outlives a cancelled ctx until fn has ended.
	hold, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	cancelled := context.AfterFunc(ctx, release)
	tx, err := m.takeTurn(hold)
	if !cancelled() {
		return Wrap("lock", "migrations", ctx.Err())
	}
	if err != nil {
		return Wrap("lock", "migrations", err)
	}
	defer func() { _ = tx.Rollback() }()

	ctx, end := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { keepTurn(ctx, hold, tx, end) })
	err = fn(ctx)
	lost := errors.Is(context.Cause(ctx), errTurnLost)
	end(nil)
	watch.Wait()
	if err != nil && lost {
		return fmt.Errorf("%w: %w", errTurnLost, err)
	}
	return err
}

// takeTurn gives the transaction that holds the lock. It asks again and again: to wait
// inside PostgreSQL would occupy a server connection, and the pooler may have no other
// for the one whom we wait for.
func (m *migrator) takeTurn(ctx context.Context) (*sql.Tx, error) {
	for until := time.Now().Add(turnPatience); ; {
		tx, err := m.tryTurn(ctx)
		if err != nil || tx != nil {
			return tx, err
		}
		if time.Now().After(until) {
			return nil, fmt.Errorf("another replica has been migrating for %s: %w", turnPatience, context.DeadlineExceeded)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(turnInterval):
		}
	}
}

// tryTurn gives nil if another replica has the lock.
func (m *migrator) tryTurn(ctx context.Context) (_ *sql.Tx, err error) {
	tx, err := m.handle.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	// The lock is goose's own, so that its command line waits for us too. The limits are
	// those of the role or of the pooler's connection; this one sits idle for long.
	const limits = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
	var mine bool
	if _, err = tx.ExecContext(ctx, limits); err == nil {
		err = tx.QueryRowContext(ctx, fmt.Sprintf("SELECT pg_try_advisory_xact_lock(%d)", lock.DefaultLockID)).Scan(&mine)
	}
	if err == nil && mine {
		return tx, nil
	}
	return nil, errors.Join(err, tx.Rollback())
}

// keepTurn makes sure that the transaction which holds the lock lives for as long as
// ctx, and ends ctx if it does not.
func keepTurn(ctx, hold context.Context, tx *sql.Tx, end context.CancelCauseFunc) {
	tick := time.NewTicker(turnCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if _, err := tx.ExecContext(hold, "SELECT 1"); err != nil {
				end(fmt.Errorf("%w: %w", errTurnLost, err))
				return
			}
		}
	}
}
