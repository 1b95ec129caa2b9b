package database_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

// show is a setting of the connection.
func show(t *testing.T, d *database.DB, setting string) string {
	t.Helper()
	return answer(t, d, "SHOW "+setting)
}

func TestPostgresIsSetUp(t *testing.T) {
	at := hosttest.URL(t, database.Postgres)
	t.Run("Defaults", func(t *testing.T) {
		d := open(t, database.Options{URL: at})
		defer closed(t, d)
		for setting, want := range map[string]string{
			"statement_timeout": "30s", "idle_in_transaction_session_timeout": "1min", "timezone": "UTC", "application_name": "zondarr",
		} {
			if got := show(t, d, setting); got != want {
				t.Errorf("%s is %s, want %s", setting, got, want)
			}
		}
	})
	t.Run("OperatorsChoice", func(t *testing.T) {
		d := open(t, database.Options{URL: at + "&statement_timeout=200&application_name=mine"})
		defer closed(t, d)
		if got := show(t, d, "application_name"); got != "mine zondarr" {
			t.Errorf("application_name is %s", got)
		}
		_, err := d.Ent.ExecContext(t.Context(), "SELECT pg_sleep(10)")
		isOnly(t, database.Wrap("sleep", "test", err), database.ErrUnavailable)
	})
	t.Run("PoolLimit", func(t *testing.T) {
		d := open(t, database.Options{URL: at + "&max_conns=2"})
		defer closed(t, d)
		// Two transactions hold both connections; a third caller waits, and does not fail.
		held, release := make(chan struct{}), make(chan struct{})
		var group sync.WaitGroup
		for range 2 {
			group.Go(func() {
				_, err := database.WithTx(t.Context(), d, func(ctx context.Context, tx *db.Tx) (int, error) {
					n, err := tx.Instance.Query().Count(ctx)
					held <- struct{}{}
					<-release
					return n, err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		<-held
		<-held
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := d.Ping(ctx); !errors.Is(err, database.ErrUnavailable) {
			t.Errorf("a third connection was made: %v", err)
		}
		cancel()
		close(release)
		group.Wait()
		if err := d.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("WithoutStatementCache", func(t *testing.T) {
		d := open(t, database.Options{URL: at + "&statement_cache=off"})
		defer closed(t, d)
		hosttest.Fill(t, d, 2)
		if _, err := database.WithTx(t.Context(), d, func(ctx context.Context, tx *db.Tx) (int, error) { return tx.User.Query().Count(ctx) }); err != nil {
			t.Error(err)
		}
		rows, err := d.Ent.QueryContext(t.Context(), "SELECT count(*) FROM pg_prepared_statements")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var n int
			if err := rows.Scan(&n); err != nil || n > 1 { // the question itself
				t.Errorf("%d statements are prepared, %v", n, err)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("TLSIsAskedFor", func(t *testing.T) {
		// The private server has a socket only, where TLS does not apply: this is about TCP.
		_, err := database.Open(t.Context(), database.Options{URL: "postgres://u:p@127.0.0.1:1/db"})
		if !errors.Is(err, database.ErrUnavailable) {
			t.Errorf("open: %v", err)
		}
		dsn, err := database.PostgresDSN("postgres://u:p@db.example.org/db")
		if err != nil || !strings.Contains(dsn, "sslmode=require") {
			t.Errorf("%s, %v", dsn, err)
		}
	})
}

// Another replica may migrate under statements that are prepared already: one that
// PostgreSQL refuses for it is prepared anew the next time, also inside a transaction.
func TestStatementsOutliveAMigration(t *testing.T) {
	d := hosttest.NewDB(t, database.Postgres)
	exec := func(statement string) {
		t.Helper()
		if _, err := d.Ent.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	type querier interface {
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	}
	one := func(ctx context.Context, q querier) (int, error) {
		rows, err := q.QueryContext(ctx, "SELECT v FROM migrated")
		if err != nil {
			return 0, err
		}
		defer rows.Close()
		return 0, rows.Err()
	}
	ask := func(inside bool) (err error) {
		if inside {
			_, err = database.WithTx(t.Context(), d, func(ctx context.Context, tx *db.Tx) (int, error) { return one(ctx, tx) })
		} else {
			_, err = one(t.Context(), d.Ent)
		}
		return err
	}
	exec("CREATE TABLE migrated (v int)")
	for _, inside := range []bool{false, true} {
		for range 2 {
			if err := ask(inside); err != nil {
				t.Fatal(err)
			}
		}
		exec("ALTER TABLE migrated ALTER v TYPE text")
		if err := ask(inside); err == nil {
			t.Fatal("the statement was not kept: this proves nothing")
		}
		if err := ask(inside); err != nil {
			t.Errorf("inside a transaction %v: %v", inside, err)
		}
		exec("ALTER TABLE migrated ALTER v TYPE int USING 0")
		_ = ask(inside)
	}
}

// pair asks for n and n+1, in a text of its own for each n.
func pair(ctx context.Context, d *database.DB, n int) (got [2]int, err error) {
	rows, err := d.Ent.QueryContext(ctx, fmt.Sprintf("SELECT %d AS a UNION ALL SELECT %d ORDER BY 1", n, n+1))
	if err != nil {
		return got, err
	}
	defer rows.Close()
	for i := 0; rows.Next(); i++ {
		if err := rows.Scan(&got[i]); err != nil {
			return got, err
		}
	}
	return got, rows.Err()
}

// More texts than the cache holds, from many callers, with rows being read while their
// statement is dropped: every answer is right, and the cache stays within its bound.
func TestStatementCache(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		var group sync.WaitGroup
		for caller := range 8 {
			group.Go(func() {
				for i := range 300 {
					want := (caller%4)*300 + i // each text from two callers
					if got, err := pair(t.Context(), d, want); err != nil || got != [2]int{want, want + 1} {
						t.Errorf("%d: %v, %v", want, got, err)
					}
				}
			})
		}
		group.Wait()
		if n := database.CachedStatements(d); n > database.MaxStatements || n < database.MaxStatements/2 {
			t.Errorf("%d statements are cached, of at most %d", n, database.MaxStatements)
		}
	})
}
