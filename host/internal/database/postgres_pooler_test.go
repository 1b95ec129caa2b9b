package database_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/instance"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

// pooled is an empty database that was migrated and opened through a transaction pooler.
func pooled(t *testing.T, parameters string) *database.DB {
	t.Helper()
	d := open(t, database.Options{URL: hosttest.Pooled(t, hosttest.URL(t, database.Postgres)) + parameters})
	t.Cleanup(func() { closed(t, d) })
	return d
}

// asker asks raw questions: the client, or a transaction.
type asker interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// texts is the first column of an answer.
func texts(ctx context.Context, q asker, query string, args ...any) (got []string, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		got = append(got, text)
	}
	return got, rows.Err()
}

// unread asks and reads no answer.
func unread(ctx context.Context, q asker, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	return errors.Join(rows.Close(), rows.Err()) //nolint:sqlclosecheck // what Close says is what we want to know
}

// More callers than the pooler has servers, each with a question of its own: everyone
// gets the answer to that, outside and inside transactions, from ent and without it.
func TestPoolerGivesEachCallerItsAnswer(t *testing.T) {
	d := pooled(t, "")
	var group sync.WaitGroup
	for i := range 3 * hosttest.PoolerServers {
		letter := string(rune('a' + i))
		ask := func(ctx context.Context, q asker, n int) error {
			want := fmt.Sprintf("%s%d", letter, n)
			got, err := texts(ctx, q, "SELECT '"+letter+"' || $1::text", n)
			if err == nil && !slices.Equal(got, []string{want}) {
				err = fmt.Errorf("%s got the answer %v", want, got)
			}
			return err
		}
		group.Go(func() {
			if err := d.Ent.Instance.Create().SetID(letter).SetValue([]byte{0}).Exec(t.Context()); err != nil {
				t.Error(err)
				return
			}
			for n := range 30 {
				_, err := database.WithTx(t.Context(), d, func(ctx context.Context, tx *db.Tx) (int, error) { return 0, ask(ctx, tx, n) })
				updated, uerr := d.Ent.Instance.Update().Where(instance.ID(letter)).SetValue([]byte{byte(n)}).Save(t.Context())
				row, gerr := d.Ent.Instance.Get(t.Context(), letter)
				if err := errors.Join(ask(t.Context(), d.Ent, n), err, uerr, gerr); err != nil {
					t.Error(err)
					return
				}
				if updated != 1 || row.ID != letter || !slices.Equal(row.Value, []byte{byte(n)}) {
					t.Errorf("%s %d: %d rows updated, got %s", letter, n, updated, row)
				}
			}
		})
	}
	group.Wait()
}

// A pooler does not take settings when a connection is made; they hold all the same.
func TestPoolerKeepsSettings(t *testing.T) {
	check := func(t *testing.T, parameters string, want map[string]string) {
		d := pooled(t, parameters)
		for setting, value := range want {
			inside, err := database.WithTx(t.Context(), d, func(ctx context.Context, tx *db.Tx) ([]string, error) {
				return texts(ctx, tx, "SHOW "+setting)
			})
			if outside := show(t, d, setting); err != nil || outside != value || inside[0] != value {
				t.Errorf("%s is %s, inside a transaction %v (%v), want %s", setting, outside, inside, err, value)
			}
		}
	}
	t.Run("Defaults", func(t *testing.T) {
		check(t, "", map[string]string{
			"statement_timeout": "30s", "idle_in_transaction_session_timeout": "1min", "random_page_cost": "1.1",
			"timezone": "UTC", "application_name": "zondarr",
		})
	})
	t.Run("OperatorsChoice", func(t *testing.T) {
		check(t, "&statement_timeout=4321&random_page_cost=2", map[string]string{"statement_timeout": "4321ms", "random_page_cost": "2"})
	})
}

// What is asked outside a transaction is kept where it went well, whether or not its
// rows were read, and leaves no trace where it did not; what the commit says is told.
func TestPoolerCommits(t *testing.T) {
	d := pooled(t, "&max_conns=2") // what is left open is missing soon
	if _, err := d.Ent.ExecContext(t.Context(), "CREATE TABLE kept (v int, u int UNIQUE DEFERRABLE INITIALLY DEFERRED)"); err != nil {
		t.Fatal(err)
	}
	kept := func(t *testing.T, want ...string) {
		t.Helper()
		if got, err := texts(t.Context(), d.Ent, "SELECT v FROM kept WHERE v > $1 ORDER BY v", 0); err != nil || !slices.Equal(got, want) {
			t.Errorf("kept are %v, %v, want %v", got, err, want)
		}
	}
	const put, returning = "INSERT INTO kept VALUES ($1, $2)", " RETURNING v"
	res, err := d.Ent.ExecContext(t.Context(), put, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := res.RowsAffected(); n != 1 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
	kept(t, "1")
	if err := unread(t.Context(), d.Ent, put+", ($3, $4)"+returning, 2, 2, 3, 3); err != nil {
		t.Fatal(err)
	}
	kept(t, "1", "2", "3")

	for range 3 {
		_, err = d.Ent.ExecContext(t.Context(), put, 4, 1)
		isOnly(t, database.Wrap("commit", "exec", err), database.ErrConflict)
		_, err = texts(t.Context(), d.Ent, put+returning, 5, 1)
		isOnly(t, database.Wrap("commit", "rows", err), database.ErrConflict)
		isOnly(t, database.Wrap("commit", "unread rows", unread(t.Context(), d.Ent, put+returning, 5, 1)), database.ErrConflict)
		_, err = d.Ent.ExecContext(t.Context(), put, 6, "a word")
		isOnly(t, database.Wrap("exec", "test", err), database.ErrInvalid)
		if _, err = d.Ent.ExecContext(t.Context(), put, 6); err == nil {
			t.Error("an argument is missing, and it went well")
		}
		// The second row fails, after the first was written and read.
		_, err = texts(t.Context(), d.Ent, "INSERT INTO kept SELECT v, 100 + v FROM (VALUES (7), (8)) AS n (v) RETURNING 1/($1 - v)", 8)
		isOnly(t, database.Wrap("read", "rows", err), database.ErrInvalid)
	}
	kept(t, "1", "2", "3")
}

// A commit that got no answer may have been done: it is an error, and no second attempt.
func TestPoolerCommitsNothingTwice(t *testing.T) {
	d := pooled(t, "")
	const dies = `CREATE SEQUENCE attempts; CREATE TABLE dying (v bigint);
		CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
		CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON dying DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()`
	if _, err := d.Ent.ExecContext(t.Context(), dies); err != nil {
		t.Fatal(err)
	}
	const put = "INSERT INTO dying SELECT nextval('attempts') + $1"
	_, err := d.Ent.ExecContext(t.Context(), put, 0)
	isOnly(t, database.Wrap("commit", "exec", err), database.ErrUnavailable)
	_, err = texts(t.Context(), d.Ent, put+" RETURNING v", 0)
	isOnly(t, database.Wrap("commit", "rows", err), database.ErrUnavailable)
	if got, err := texts(t.Context(), d.Ent, "SELECT last_value::text FROM attempts"); err != nil || !slices.Equal(got, []string{"2"}) {
		t.Errorf("%v attempts were made, %v, want 2", got, err)
	}
}

// A caller whose time is up gets away: from a statement, from rows, and from waiting for
// a server while others have them all.
func TestPoolerLetsGo(t *testing.T) {
	d := pooled(t, "")
	soon := func(what string, ask func(ctx context.Context) error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		if err := ask(ctx); !errors.Is(database.Wrap("ask", "test", err), database.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%s: took %s", what, took)
		}
	}
	sleep := func(ctx context.Context) error {
		_, err := d.Ent.ExecContext(ctx, "SELECT pg_sleep($1)", 20)
		return err
	}
	rows := func(ctx context.Context) error {
		_, err := texts(ctx, d.Ent, "SELECT pg_sleep($1)::text || n FROM generate_series(1, 1000) AS n", 0.02)
		return err
	}
	soon("a statement", sleep)
	soon("rows", rows)

	var group sync.WaitGroup
	held, release := make(chan struct{}), make(chan struct{})
	for range hosttest.PoolerServers {
		group.Go(func() {
			rows, err := d.Ent.QueryContext(t.Context(), "SELECT $1::int", 1) // its server stays until it is closed
			held <- struct{}{}
			if err != nil {
				t.Error(err)
				return
			}
			defer rows.Close()
			<-release
			if rows.Next(); rows.Err() != nil {
				t.Error(rows.Err())
			}
		})
	}
	for range hosttest.PoolerServers {
		<-held
	}
	soon("waiting, ent", func(ctx context.Context) error { return d.Ping(ctx) })
	soon("waiting, transaction", func(ctx context.Context) error {
		_, err := database.WithTx(ctx, d, func(ctx context.Context, tx *db.Tx) (int, error) { return tx.User.Query().Count(ctx) })
		return err
	})
	close(release)
	group.Wait()
	for range 2 * hosttest.PoolerServers {
		if err := d.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// R10.4 through a pooler, with fewer servers than replicas: each migration is applied
// once, nobody waits for somebody who waits for him, and no lock is left behind.
func TestPoolerMigratesOnce(t *testing.T) {
	direct := hosttest.URL(t, database.Postgres)
	opts := database.Options{URL: hosttest.Pooled(t, direct), Migrations: sleeping(t, 20, 0.02)}
	defer bystanders(t, opts.URL)()
	var mu sync.Mutex
	applied := map[int64]int{}
	var group sync.WaitGroup
	for range hosttest.PoolerServers + 3 {
		group.Go(func() {
			done, err := database.MigrateUp(t.Context(), opts)
			if err != nil {
				t.Errorf("migrate: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, m := range done {
				applied[m.Version]++
			}
		})
	}
	group.Wait()
	status, err := database.MigrationStatus(t.Context(), opts)
	if err != nil || len(status) < 2 {
		t.Fatal(status, err)
	}
	for _, m := range status {
		if n := applied[m.Version]; n != 1 || m.AppliedAt == nil {
			t.Errorf("%d was applied %d times, at %v", m.Version, n, m.AppliedAt)
		}
	}
	if n := locks(t, direct); n != 0 {
		t.Errorf("%d advisory locks were left behind", n)
	}
}

// bystanders keep the pooler's servers going from hand to hand, until they are stopped.
func bystanders(t *testing.T, at string) (stop func()) {
	_, pool, err := database.FloorPools(at)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range hosttest.PoolerServers {
		group.Go(func() {
			for ctx.Err() == nil {
				if _, err := pool.ExecContext(ctx, "SELECT pg_sleep(0.005)"); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	return func() {
		cancel()
		group.Wait()
		_ = pool.Close()
	}
}

// locks is how many advisory locks there are in the database.
func locks(t *testing.T, at string) (n int) {
	t.Helper()
	handle, err := sql.Open("postgres", at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = handle.Close() }()
	const count = "SELECT count(*) FROM pg_locks l, pg_database d WHERE locktype = 'advisory' AND database = d.oid AND datname = current_database()"
	if err := handle.QueryRowContext(t.Context(), count).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// freed waits until PostgreSQL has noticed that the one who held the lock is gone.
func freed(t *testing.T, at string) {
	t.Helper()
	for range 200 {
		if locks(t, at) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("an advisory lock was left behind")
}

// sleeping is the migrations and a number of steps that take their time, and that
// PostgreSQL would let two apply.
func sleeping(t *testing.T, steps int, seconds float64) fs.FS {
	files := newer(t).(fstest.MapFS)
	for i := range steps {
		files[fmt.Sprintf("postgres/%d_later.sql", 99999-i)] = &fstest.MapFile{Data: fmt.Appendf(nil, "-- +goose Up\nSELECT pg_sleep(%f);\n-- +goose Down\n", seconds)}
	}
	return files
}

// asleep waits until a migration sleeps, and gives the backend that holds the lock.
func asleep(t *testing.T, admin *sql.DB) (backend int) {
	t.Helper()
	const holder = `SELECT l.pid FROM pg_stat_activity a, pg_locks l WHERE a.datname = current_database() AND a.query LIKE 'SELECT pg_sleep%'
		AND a.state = 'active' AND l.locktype = 'advisory' AND l.granted AND l.database = a.datid`
	for range 500 {
		err := admin.QueryRowContext(t.Context(), holder).Scan(&backend)
		if err == nil {
			return backend
		}
		if !errors.Is(err, sql.ErrNoRows) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("no migration sleeps")
	return 0
}

// A migration whose process is killed leaves no lock behind, and
// one that loses its lock ends instead of going on beside the next.
func TestPoolerFreesTheLock(t *testing.T) {
	if at := os.Getenv("TEST_KILL_MIGRATION_OF"); at != "" { // the process that is killed
		_, err := database.MigrateUp(t.Context(), database.Options{URL: at, Migrations: sleeping(t, 1, 20)})
		t.Fatalf("not killed: %v", err)
	}
	direct := hosttest.URL(t, database.Postgres)
	at := hosttest.Pooled(t, direct)
	admin, err := sql.Open("postgres", direct)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close() })

	t.Run("Killed", func(t *testing.T) {
		process := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPoolerFreesTheLock$")
		process.Env = append(os.Environ(), "TEST_KILL_MIGRATION_OF="+at)
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		asleep(t, admin)
		if err := process.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = process.Wait() // it was killed
		freed(t, direct)
	})
	t.Run("Lost", func(t *testing.T) {
		var group sync.WaitGroup
		group.Go(func() {
			done, err := database.MigrateUp(t.Context(), database.Options{URL: at, Migrations: sleeping(t, 1, 20)})
			if err == nil || !strings.Contains(err.Error(), "lock of the migrations was lost") {
				t.Errorf("migrated %v, %v", done, err)
			}
		})
		if _, err := admin.ExecContext(t.Context(), "SELECT pg_terminate_backend($1)", asleep(t, admin)); err != nil {
			t.Fatal(err)
		}
		group.Wait()
		freed(t, direct)
	})
	// Neither applied what it did not finish, and the next is free to.
	done, err := database.MigrateUp(t.Context(), database.Options{URL: at, Migrations: newer(t)})
	if err != nil || len(done) != 1 || done[0].Version != 99999 {
		t.Errorf("migrated %v, %v", done, err)
	}
}

// A statement that is prepared for longer than a transaction is refused.
func TestPoolerPreparesInsideTransactions(t *testing.T) {
	_, read, err := database.FloorPools(hosttest.Pooled(t, hosttest.URL(t, database.Postgres)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = read.Close() }()
	if s, err := read.PrepareContext(t.Context(), "SELECT 1"); err == nil || !strings.Contains(err.Error(), "pooler") {
		t.Errorf("prepared: %v, %v", s, err)
	}
	tx, err := read.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := tx.PrepareContext(t.Context(), "SELECT $1::int")
	if err != nil {
		t.Fatal(err)
	}
	for want := range 3 {
		var got int
		if err := s.QueryRowContext(t.Context(), want).Scan(&got); err != nil || got != want {
			t.Errorf("got %d, %v, want %d", got, err, want)
		}
	}
	if err := errors.Join(s.Close(), tx.Commit()); err != nil { //nolint:sqlclosecheck // it does not outlive its transaction
		t.Error(err)
	}
}
