package host

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"entgo.io/ent"
	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/host/internal/identity"
	"github.com/zondarr/zondarr/host/internal/instance"
	"github.com/zondarr/zondarr/host/internal/mediaserver"
	"github.com/zondarr/zondarr/host/internal/redeem"
	"github.com/zondarr/zondarr/host/internal/secret"
)

const keyA, keyB, keyC = testKey, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "cccccccccccccccccccccccccccccccc"

func newBox(t *testing.T, current, previous string) *secret.Box {
	t.Helper()
	b, err := secret.New(current, previous)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sealedColumn is one place of the database where sealed values are.
type sealedColumn struct {
	of  func(*database.DB) func(context.Context) ([]secret.Value, error)
	get func(context.Context, *db.Client, uuid.UUID) ([]byte, time.Time, error)
	set func(context.Context, *db.Client, uuid.UUID, []byte) error
}

var sealedColumns = map[string]sealedColumn{
	"media_servers": {
		func(d *database.DB) func(context.Context) ([]secret.Value, error) {
			return (&mediaserver.Service{DB: d}).Sealed
		},
		func(ctx context.Context, c *db.Client, id uuid.UUID) ([]byte, time.Time, error) {
			r, err := c.MediaServer.Get(ctx, id)
			return r.Secrets, r.UpdatedAt, err
		},
		func(ctx context.Context, c *db.Client, id uuid.UUID, v []byte) error {
			return c.MediaServer.UpdateOneID(id).SetSecrets(v).Exec(ctx)
		},
	},
	"users": {
		func(d *database.DB) func(context.Context) ([]secret.Value, error) {
			return (&identity.Service{DB: d}).Sealed
		},
		func(ctx context.Context, c *db.Client, id uuid.UUID) ([]byte, time.Time, error) {
			r, err := c.User.Get(ctx, id)
			return r.PluginState, r.UpdatedAt, err
		},
		func(ctx context.Context, c *db.Client, id uuid.UUID, v []byte) error {
			return c.User.UpdateOneID(id).SetPluginState(v).Exec(ctx)
		},
	},
	"links": {
		func(d *database.DB) func(context.Context) ([]secret.Value, error) {
			return (&redeem.Service{DB: d}).Sealed
		},
		func(ctx context.Context, c *db.Client, id uuid.UUID) ([]byte, time.Time, error) {
			r, err := c.Link.Get(ctx, id)
			return r.SealedState, r.UpdatedAt, err
		},
		func(ctx context.Context, c *db.Client, id uuid.UUID, v []byte) error {
			return c.Link.UpdateOneID(id).SetSealedState(v).Exec(ctx)
		},
	},
}

// sealedRows puts n rows with values under the key of the box into each table.
func sealedRows(t *testing.T, d *database.DB, box *secret.Box, n int) map[string][]uuid.UUID {
	t.Helper()
	filled := hosttest.Fill(t, d, n)
	rows := map[string][]uuid.UUID{}
	for table := range sealedColumns {
		for _, id := range filled[table] {
			rows[table] = append(rows[table], id.(uuid.UUID))
			put(t, d, box, table, id.(uuid.UUID))
		}
	}
	if err := instance.CheckKey(t.Context(), d, box); err != nil {
		t.Fatal(err)
	}
	return rows
}

func put(t *testing.T, d *database.DB, box *secret.Box, table string, id uuid.UUID) {
	t.Helper()
	v, err := box.Seal(table+":"+id.String(), []byte("what row "+id.String()+" keeps"))
	if err == nil {
		err = sealedColumns[table].set(t.Context(), d.Ent, id, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// allOpen says that every row opens under the current key of the box and holds what it
// held.
func allOpen(t *testing.T, d *database.DB, box *secret.Box, rows map[string][]uuid.UUID) {
	t.Helper()
	for table, ids := range rows {
		for _, id := range ids {
			v, _, err := sealedColumns[table].get(t.Context(), d.Ent, id)
			if err != nil {
				t.Fatal(err)
			}
			if plain, err := box.Open(table+":"+id.String(), v); err != nil || string(plain) != "what row "+id.String()+" keeps" || !box.Current(v) {
				t.Errorf("%s %s: %q, %v", table, id, plain, err)
			}
		}
	}
}

func TestReseal(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		ctx := t.Context()
		rows := sealedRows(t, d, newBox(t, keyA, ""), 3)
		during := newBox(t, keyB, keyA)

		// One value of each table opens under neither key: it is named, and the rest waits.
		for table, column := range sealedColumns {
			id := rows[table][1]
			good, _, err := column.get(ctx, d.Ent, id)
			if err != nil {
				t.Fatal(err)
			}
			put(t, d, newBox(t, keyC, ""), table, id)
			if _, err := reseal(ctx, d, during); !errors.Is(err, secret.ErrWrongKey) || !strings.Contains(err.Error(), id.String()) {
				t.Errorf("%s: a value under a third key: %v", table, err)
			}
			if err := instance.CheckKey(ctx, d, newBox(t, keyB, "")); err == nil {
				t.Errorf("%s: the previous key counts as no longer needed", table)
			}
			if err := column.set(ctx, d.Ent, id, good); err != nil {
				t.Fatal(err)
			}
		}
		// Begun again it goes on, and only with what is left; nothing else of a row moves.
		stamps := map[uuid.UUID]time.Time{}
		for table, ids := range rows {
			for _, id := range ids {
				_, stamps[id], _ = sealedColumns[table].get(ctx, d.Ent, id)
			}
		}
		n, err := reseal(ctx, d, during)
		if err != nil || n == 0 || n >= 9 {
			t.Errorf("begun again: %d, %v", n, err)
		}
		allOpen(t, d, newBox(t, keyB, ""), rows)
		for table, ids := range rows {
			for _, id := range ids {
				if _, now, _ := sealedColumns[table].get(ctx, d.Ent, id); !now.Equal(stamps[id]) {
					t.Errorf("%s %s moved from %v to %v", table, id, stamps[id], now)
				}
			}
		}
		if n, err := reseal(ctx, d, during); err != nil || n != 0 {
			t.Errorf("done already: %d, %v", n, err)
		}
		if err := instance.CheckKey(ctx, d, newBox(t, keyB, "")); err != nil {
			t.Errorf("the new key alone: %v", err)
		}
		if err := instance.CheckKey(ctx, d, newBox(t, keyA, "")); !errors.Is(err, instance.ErrWrongKey) {
			t.Errorf("the old key alone: %v", err)
		}
	})
}

// What somebody changes while values are being sealed again stays as they left it.
func TestResealLeavesConcurrentChanges(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		rows := sealedRows(t, d, newBox(t, keyA, ""), 2)
		during := newBox(t, keyB, keyA)
		for table, column := range sealedColumns {
			values, err := column.of(d)(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			changed := rows[table][0]
			put(t, d, during, table, changed)
			theirs, _, err := column.get(t.Context(), d.Ent, changed)
			if err != nil {
				t.Fatal(err)
			}
			if found, replaced, err := during.Rotate(t.Context(), values); err != nil || found != 2 || replaced != 1 {
				t.Errorf("%s: found %d, replaced %d, %v", table, found, replaced, err)
			}
			if now, _, err := column.get(t.Context(), d.Ent, changed); err != nil || string(now) != string(theirs) {
				t.Errorf("%s: what was changed meanwhile was written over, %v", table, err)
			}
		}
		allOpen(t, d, newBox(t, keyB, ""), rows)
	})
}

// A change of keys that was begun ends under its own two keys: with a third one, values
// would need three keys, and no configuration has them.
func TestNoThirdKey(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		ctx := t.Context()
		rows := sealedRows(t, d, newBox(t, keyA, ""), 1)
		begun := newBox(t, keyB, keyA)
		if err := instance.CheckKey(ctx, d, begun); err != nil { // a host starts
			t.Fatal(err)
		}
		put(t, d, begun, "users", rows["users"][0]) // and seals something
		for name, test := range map[string]struct {
			current, previous string
			want              error
		}{
			"OldAlone":     {keyA, "", instance.ErrUnfinished},
			"NewAlone":     {keyB, "", instance.ErrWrongKey},
			"ThirdAfterA":  {keyC, keyA, instance.ErrUnfinished},
			"ThirdAfterB":  {keyC, keyB, instance.ErrWrongKey},
			"Both":         {keyB, keyA, nil},
			"BackToTheOld": {keyA, keyB, nil},
		} {
			if err := instance.CheckKey(ctx, d, newBox(t, test.current, test.previous)); !errors.Is(err, test.want) {
				t.Errorf("%s: %v, want %v", name, err, test.want)
			}
		}
		if n, err := reseal(ctx, d, newBox(t, keyC, keyA)); err == nil || n != 0 {
			t.Errorf("rotated to a third key: %d, %v", n, err)
		}
		back := newBox(t, keyA, keyB)
		if n, err := reseal(ctx, d, back); err != nil || n != 1 {
			t.Errorf("back to the old key: %d, %v", n, err)
		}
		allOpen(t, d, newBox(t, keyA, ""), rows)
		if err := instance.CheckKey(ctx, d, newBox(t, keyA, "")); err != nil {
			t.Errorf("the old key alone, when all is back: %v", err)
		}
	})
}

// A host that was started before the change of keys seals under the old one. What it
// seals while everything is sealed again is found; and where it does not stop, the old
// key stays needed, and nothing is lost.
func TestResealBesideAHostWithTheOldKey(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		ctx := t.Context()
		old, during := newBox(t, keyA, ""), newBox(t, keyB, keyA)
		rows := sealedRows(t, d, old, 2)
		busy, changes := false, 1
		between := func(next ent.Mutator) ent.Mutator { // what is listed, and what is not replaced yet
			return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
				if !busy && changes > 0 {
					busy = true
					changes--
					for table, ids := range rows {
						put(t, d, old, table, ids[0])
					}
					busy = false
				}
				return next.Mutate(ctx, m)
			})
		}
		d.Ent.MediaServer.Use(between)
		d.Ent.User.Use(between)
		d.Ent.Link.Use(between)
		if n, err := reseal(ctx, d, during); err != nil || n < 6 {
			t.Errorf("%d, %v", n, err)
		}
		if changes != 0 {
			t.Fatal("nothing was changed in between")
		}
		allOpen(t, d, newBox(t, keyB, ""), rows)

		// The way back, with a host that never stops.
		back := newBox(t, keyA, keyB)
		old, changes = newBox(t, keyB, ""), 1_000_000
		if _, err := reseal(ctx, d, back); err == nil || !strings.Contains(err.Error(), "under the old key") {
			t.Errorf("beside a host that does not stop: %v", err)
		}
		changes = 0
		if err := instance.CheckKey(ctx, d, newBox(t, keyA, "")); err == nil {
			t.Error("the old key counts as no longer needed")
		}
		if _, err := reseal(ctx, d, back); err != nil {
			t.Error(err)
		}
		allOpen(t, d, newBox(t, keyA, ""), rows)
	})
}

// On PostgreSQL hosts that have both keys serve on; one that has only the old key stops
// the change before anything is sealed under the new one.
func TestResealSeesHosts(t *testing.T) {
	at := hosttest.URL(t, database.Postgres)
	rows := filled(t, at)
	environ := []string{"ZONDARR_SECRET_KEY=" + keyB, "ZONDARR_SECRET_KEY_PREVIOUS=" + keyA}
	host := func(box *secret.Box) *database.DB {
		d, err := database.Open(t.Context(), database.Options{URL: at, Key: box.KeyID()})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	behind := host(newBox(t, keyA, ""))
	if code, _, problem := command(t, at, environ, "secret", "rotate"); code != 1 || !strings.Contains(problem, "start them again with both keys") || !strings.Contains(problem, "0 values") {
		t.Errorf("beside a host with the old key: %d, %s", code, problem)
	}
	if err := behind.Close(); err != nil {
		t.Fatal(err)
	}
	ahead := host(newBox(t, keyB, keyA))
	succeeds(t, at, environ, "secret", "rotate")
	allOpen(t, ahead, newBox(t, keyB, ""), rows)
	if err := ahead.Close(); err != nil {
		t.Fatal(err)
	}
}
