package database_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/instance"
	"github.com/zondarr/zondarr/ent/db/invitation"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

func TestWithTx(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		put := func(ctx context.Context, tx *db.Tx, key string) error {
			return tx.Instance.Create().SetID(key).SetValue([]byte("v")).Exec(ctx)
		}
		exists := func(key string) bool {
			return d.Ent.Instance.Query().Where(instance.ID(key)).ExistX(t.Context())
		}

		t.Run("Commits", func(t *testing.T) {
			got, err := database.WithTx(t.Context(), d, func(ctx context.Context, tx *db.Tx) (int, error) {
				return 7, put(ctx, tx, "committed")
			})
			if err != nil || got != 7 || !exists("committed") {
				t.Fatalf("got %d, %v, stored %v", got, err, exists("committed"))
			}
		})
		t.Run("RollsBackOnError", func(t *testing.T) {
			mine := errors.New("mine")
			got, err := database.WithTx(t.Context(), d, func(ctx context.Context, tx *db.Tx) (int, error) {
				return 7, errors.Join(put(ctx, tx, "failed"), mine)
			})
			if !errors.Is(err, mine) || got != 0 || exists("failed") {
				t.Fatalf("got %d, %v, stored %v", got, err, exists("failed"))
			}
		})
		t.Run("RollsBackOnPanic", func(t *testing.T) {
			func() {
				defer func() {
					if recover() != "boom" {
						t.Error("the panic did not come through")
					}
				}()
				_, _ = database.WithTx(t.Context(), d, func(ctx context.Context, tx *db.Tx) (int, error) {
					if err := put(ctx, tx, "panicked"); err != nil {
						t.Error(err)
					}
					panic("boom")
				})
			}()
			if exists("panicked") { // also: the connection came back
				t.Fatal("stored")
			}
		})
		t.Run("RollsBackWhenCancelled", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			_, err := database.WithTx(ctx, d, func(ctx context.Context, tx *db.Tx) (int, error) {
				err := put(ctx, tx, "cancelled")
				cancel()
				return 0, err
			})
			if err == nil || exists("cancelled") {
				t.Fatalf("%v, stored %v", err, exists("cancelled"))
			}
		})
		t.Run("RefusesThePoolInside", func(t *testing.T) {
			_, err := database.WithTx(t.Context(), d, func(ctx context.Context, _ *db.Tx) (int, error) {
				if _, err := d.Ent.Instance.Query().Count(ctx); err == nil {
					t.Error("a query went past the transaction")
				}
				if err := d.Ent.Instance.Create().SetID("past").SetValue([]byte("v")).Exec(ctx); err == nil {
					t.Error("a write went past the transaction")
				}
				return database.WithTx(ctx, d, func(context.Context, *db.Tx) (int, error) { return 0, nil })
			})
			if err == nil {
				t.Error("a transaction was opened inside a transaction")
			}
		})
		t.Run("ReadTxSeesOneSnapshot", func(t *testing.T) {
			_, err := database.WithReadTx(t.Context(), d, func(ctx context.Context, tx *db.Tx) (int, error) {
				before := tx.Instance.Query().CountX(ctx)
				d.Ent.Instance.Create().SetID("meanwhile").SetValue([]byte("v")).ExecX(t.Context())
				if after := tx.Instance.Query().CountX(ctx); after != before {
					t.Errorf("%d rows, then %d", before, after)
				}
				return 0, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
		t.Run("ReadTxRefusesToWrite", func(t *testing.T) {
			_, err := database.WithReadTx(t.Context(), d, func(ctx context.Context, tx *db.Tx) (int, error) {
				return 0, put(ctx, tx, "read-only")
			})
			if err == nil || exists("read-only") {
				t.Fatalf("%v, stored %v", err, exists("read-only"))
			}
		})
	})
}

// Two transactions that lock the same rows in opposite order: PostgreSQL ends one of
// them, which is then run again; on SQLite they never meet.
func TestDeadlockIsRetried(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		for _, key := range []string{"a", "b"} {
			d.Ent.Instance.Create().SetID(key).SetValue([]byte("0")).ExecX(t.Context())
		}
		var attempts atomic.Int32
		var both sync.WaitGroup
		if d.Dialect == database.Postgres {
			both.Add(2)
		}
		var done sync.WaitGroup
		for _, keys := range [][2]string{{"a", "b"}, {"b", "a"}} {
			done.Go(func() {
				first := true
				_, err := database.WithTx(t.Context(), d, func(ctx context.Context, tx *db.Tx) (int, error) {
					attempts.Add(1)
					if err := tx.Instance.UpdateOneID(keys[0]).SetValue([]byte(keys[0])).Exec(ctx); err != nil {
						return 0, err
					}
					if first && d.Dialect == database.Postgres {
						first = false
						both.Done()
						both.Wait()
					}
					return 0, tx.Instance.UpdateOneID(keys[1]).SetValue([]byte(keys[0])).Exec(ctx)
				})
				if err != nil {
					t.Errorf("%v: %v", keys, err)
				}
			})
		}
		done.Wait()
		want := int32(2)
		if d.Dialect == database.Postgres {
			want = 3
		}
		if attempts.Load() != want {
			t.Errorf("%d attempts, want %d", attempts.Load(), want)
		}
	})
}

// Never "database is locked": 64 callers that write, read and mix both for a while, half
// of them, on SQLite, from beside the host.
func TestConcurrentWritersAndReaders(t *testing.T) {
	rounds := 30
	if testing.Short() {
		rounds = 4
	}
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		const callers = 64
		limit := callers * rounds / 2
		dbs := []*database.DB{d, d}
		if d.Dialect == database.SQLite {
			dbs[1] = open(t, database.Options{URL: "sqlite://" + answer(t, d, "SELECT file FROM pragma_database_list"), Beside: true})
			defer closed(t, dbs[1])
		}
		shared := d.Ent.Invitation.Create().SetCode("SHARED").SetMaxUses(limit).SaveX(ctx)
		var taken, refused atomic.Int64
		var group sync.WaitGroup
		for caller := range callers {
			d := dbs[caller%2]
			group.Go(func() {
				for round := range rounds {
					key := fmt.Sprintf("%d/%d", caller, round)
					// Writes and reads outside a transaction; what was written is read at once.
					if err := d.Ent.Instance.Create().SetID(key).SetValue([]byte(key)).Exec(ctx); err != nil {
						t.Errorf("create: %v", err)
						return
					}
					if _, err := d.Ent.Instance.Get(ctx, key); err != nil {
						t.Errorf("read back: %v", err)
						return
					}
					// Read, then write, in one transaction.
					if _, err := database.WithTx(ctx, d, func(ctx context.Context, tx *db.Tx) (int, error) {
						if _, err := tx.Instance.Get(ctx, key); err != nil {
							return 0, err
						}
						return 0, tx.Instance.UpdateOneID(key).SetValue([]byte("done")).Exec(ctx)
					}); err != nil {
						t.Errorf("transaction: %v", err)
						return
					}
					// The race for a use: one conditional UPDATE and its count.
					n, err := d.Ent.Invitation.Update().Where(invitation.ID(shared.ID), func(s *sql.Selector) {
						s.Where(sql.ColumnsLT(s.C(invitation.FieldUseCount), s.C(invitation.FieldMaxUses)))
					}).AddUseCount(1).Save(ctx)
					if err != nil {
						t.Errorf("take a use: %v", err)
						return
					}
					taken.Add(int64(n))
					refused.Add(int64(1 - n))
				}
			})
		}
		group.Wait()
		if taken.Load() != int64(limit) || refused.Load() != int64(callers*rounds-limit) {
			t.Errorf("%d taken and %d refused of %d", taken.Load(), refused.Load(), limit)
		}
		if got := d.Ent.Invitation.GetX(ctx, shared.ID).UseCount; got != limit {
			t.Errorf("use count is %d, want %d", got, limit)
		}
	})
}

func TestLease(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		ctx := t.Context()
		take := func(owner string, ttl time.Duration, wantFence int64, wantHeld bool) {
			t.Helper()
			fence, held, err := d.Lease(ctx, "sweep", owner, ttl)
			if err != nil || held != wantHeld || fence != wantFence {
				t.Fatalf("%s: fence %d, held %v, %v; want %d, %v", owner, fence, held, err, wantFence, wantHeld)
			}
		}
		take("one", time.Hour, 1, true)
		take("two", time.Hour, 0, false)
		take("one", time.Hour, 1, true) // renewed
		if err := d.Release(ctx, "sweep", "two"); err != nil {
			t.Fatal(err)
		}
		take("two", time.Hour, 0, false) // not two's to give back
		if err := d.Release(ctx, "sweep", "one"); err != nil {
			t.Fatal(err)
		}
		take("two", -time.Second, 2, true) // and expired at once
		take("one", time.Hour, 3, true)

		var holders atomic.Int32
		var group sync.WaitGroup
		for i := range 20 {
			group.Go(func() {
				_, held, err := d.Lease(ctx, "contended", fmt.Sprint(i), time.Hour)
				if err != nil {
					t.Error(err)
				}
				if held {
					holders.Add(1)
				}
			})
		}
		group.Wait()
		if holders.Load() != 1 {
			t.Errorf("%d holders", holders.Load())
		}
	})
}
