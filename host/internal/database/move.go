package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/instance"
)

// MovedError says that the instance lives elsewhere now, or is on its way.
type MovedError struct {
	To string // the other database, without its password
	// Unfinished says that a copy was begun, and neither came to its end nor was undone.
	Unfinished bool

	id string // of the move
}

func (e *MovedError) Error() string {
	if e.Unfinished {
		return fmt.Sprintf("a move of this instance to %s was begun and is not finished: finish it by the same `zondarr database copy`, "+
			"or take it back with `zondarr database copy --undo`", e.To)
	}
	return fmt.Sprintf("this instance was moved to %s; two hosts on two copies would undo each other's work. "+
		"Set the database URL to the new one (or see `zondarr database copy --undo`)", e.To)
}

// checkMoved gives a *MovedError for a database that bears a mark of Copy.
func (d *DB) checkMoved(ctx context.Context) error {
	rows, err := d.Ent.Instance.Query().Where(instance.IDIn(KeyMovedTo, KeyMovingTo)).Order(instance.ByID()).All(ctx)
	if err != nil {
		return Wrap("read", "instance", err)
	}
	if len(rows) == 0 {
		return nil
	}
	mark := rows[0]
	if mark.ID == KeyMovedTo {
		return &MovedError{To: string(mark.Value)}
	}
	id, to, _ := strings.Cut(string(mark.Value), " ")
	return &MovedError{To: to, Unfinished: true, id: id}
}

// Copy moves an instance to another database, of either dialect, which must be empty:
// every row in one transaction, read back and compared by table before it is committed.
// The hosts must be stopped; Open refuses the source from the first moment on, so that
// at no time both can be served. Where it fails the source is as it was.
//
// Where the process is killed, or the connection is lost while it commits, the source
// stays marked. The same call then goes on: it copies again, or finds that the copy is
// complete and says so by giving no tables. TakeBack is the other way out.
func Copy(ctx context.Context, from, to Options) ([]CopiedTable, error) {
	return (&move{reached: func(string) {}}).run(ctx, from, to)
}

// move is one run of Copy.
type move struct {
	source, target *DB
	id             string
	sent           bool // the commit, whether or not it arrived
	// reached is told of the points at which a test cuts the move off.
	reached func(point string)
}

func (m *move) run(ctx context.Context, from, to Options) (copied []CopiedTable, err error) {
	m.id = uuid.NewString()
	from.MustExist = true
	from.Key = keyOfOne()
	to.Key = keyOfOne()
	goal, err := to.location()
	if err != nil {
		return nil, fmt.Errorf("the target: %w", err)
	}
	if m.source, err = openMarked(ctx, from); err != nil {
		return nil, fmt.Errorf("open the source: %w", err)
	}
	defer func() { err = errors.Join(err, m.source.Close()) }()
	if m.source.at.display() == goal.display() {
		return nil, errors.New("the target is the source")
	}
	var before *MovedError
	if err := m.source.checkMoved(ctx); errors.As(err, &before) && before.Unfinished && before.To == goal.display() {
		m.id = before.id
	} else if err != nil {
		return nil, fmt.Errorf("open the source: %w", err)
	}
	if err := m.source.Alone(ctx); err != nil {
		return nil, fmt.Errorf("the source: %w: stop them first", err)
	}
	if m.target, err = Open(ctx, to); err != nil {
		return nil, fmt.Errorf("open the target: %w", err)
	}
	defer func() { err = errors.Join(err, m.target.Close()) }()
	// This also waits for the commit of a move that was killed: what is not in the
	// target now will not come.
	if err := m.target.Alone(ctx); err != nil {
		return nil, fmt.Errorf("the target: %w: stop them first", err)
	}
	if arrived, err := m.target.Get(ctx, KeyMovedFrom); err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	} else if string(arrived) == m.id {
		return nil, m.finish(ctx)
	}

	if err := m.source.Set(ctx, KeyMovingTo, []byte(m.id+" "+m.target.at.display())); err != nil {
		return nil, fmt.Errorf("mark the source: %w", err)
	}
	m.reached("marked")
	if copied, err = m.copy(ctx); err == nil {
		m.reached("committed")
		return copied, m.finish(ctx)
	}
	if m.sent {
		return nil, fmt.Errorf("whether the copy is complete is not known; run the same again to find out: %w", Wrap("copy", "database", err))
	}
	return nil, errors.Join(Wrap("copy", "database", err), m.unmark(ctx))
}

// copy fills the target in one transaction, from one snapshot of the source.
func (m *move) copy(ctx context.Context) ([]CopiedTable, error) {
	// Who came before the mark is seen now, and who comes later is refused.
	if err := m.source.Alone(ctx); err != nil {
		return nil, fmt.Errorf("the source: %w: stop them first", err)
	}
	in, err := m.source.driver.read.db.BeginTx(ctx, m.source.snapshot())
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Rollback() }()
	out, err := m.target.driver.write.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Rollback() }() // does nothing after the commit
	if err := errors.Join(takeYourTime(ctx, in, m.source.Dialect), takeYourTime(ctx, out, m.target.Dialect)); err != nil {
		return nil, err
	}
	copied, err := copyTables(ctx, in, out, m.target.Dialect)
	if err != nil {
		return nil, err
	}
	if _, err := out.ExecContext(ctx, "INSERT INTO instance (key, value, updated_at) VALUES ($1, $2, $3)", KeyMovedFrom, []byte(m.id), Now()); err != nil {
		return nil, err
	}
	m.reached("copied")
	if err := m.source.Alone(ctx); err != nil {
		return nil, fmt.Errorf("the source: %w: stop them first", err)
	}
	m.sent = true
	return copied, out.Commit()
}

// takeYourTime lifts the limits of time for one transaction, also behind a pooler,
// where they are those of the server.
func takeYourTime(ctx context.Context, tx *sql.Tx, dialect Dialect) error {
	if dialect == SQLite {
		return nil
	}
	for _, limit := range timeLimits {
		if _, err := tx.ExecContext(ctx, "SET LOCAL "+limit+" = 0"); err != nil {
			return err
		}
	}
	return nil
}

// finish makes the mark of the source final.
func (m *move) finish(ctx context.Context) error {
	_, err := WithTx(ctx, m.source, func(ctx context.Context, tx *db.Tx) (struct{}, error) {
		if _, err := tx.Instance.Delete().Where(instance.ID(KeyMovingTo)).Exec(ctx); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, tx.Instance.Create().SetID(KeyMovedTo).SetValue([]byte(m.target.at.display())).Exec(ctx)
	})
	if err != nil {
		return fmt.Errorf("the copy is complete, but the source could not be marked as moved; run the same again: %w", Wrap("mark", "instance", err))
	}
	return nil
}

// unmark gives the source back, also after an interrupt.
func (m *move) unmark(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := m.source.Unset(ctx, KeyMovingTo); err != nil {
		return fmt.Errorf("nothing was moved, but the source is still marked; run the same again, or `zondarr database copy --undo`: %w", err)
	}
	return nil
}

// TakeBack takes the mark of Copy away, of one that is complete as well as of one that
// is not, and says where the instance was moved to. From then on two hosts on two copies
// could undo each other's work: the admin answers for it that the other is not served.
func TakeBack(ctx context.Context, opts Options) (to string, err error) {
	opts.MustExist = true
	opts.Key = keyOfOne()
	d, err := openMarked(ctx, opts)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := d.Alone(ctx); err != nil { // a move that goes on
		return "", err
	}
	var moved *MovedError
	if err := d.checkMoved(ctx); !errors.As(err, &moved) {
		return "", err
	}
	_, err = d.Ent.Instance.Delete().Where(instance.IDIn(KeyMovedTo, KeyMovingTo)).Exec(ctx)
	return moved.To, Wrap("take back", "move", err)
}

// keyOfOne is an Options.Key that no other process has: whoever is connected counts.
func keyOfOne() string { return strings.ReplaceAll(uuid.NewString(), "-", "")[:12] }
