package database_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/zondarr/zondarr/ent/db/migrate"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

// An instance goes from either dialect to either, and back where it came from, without
// the loss of a value.
func TestCopy(t *testing.T) {
	dialects := []database.Dialect{database.SQLite, database.Postgres}
	for _, source := range dialects {
		for _, target := range dialects {
			t.Run(fmt.Sprintf("%s to %s", source, target), func(t *testing.T) {
				at := func(dialect database.Dialect) database.Options {
					return database.Options{URL: hosttest.URL(t, dialect)}
				}
				from, over, back := at(source), at(target), at(source)
				d := open(t, from)
				ids := hosttest.Fill(t, d, 6)
				// Values on the edge of being none.
				d.Ent.Instance.Create().SetID("empty").SetValue([]byte{}).ExecX(t.Context())
				nobody := d.Ent.Identity.Create().SetDisplayName("").SetEmail("").SaveX(t.Context())
				ids["instance"] = append(ids["instance"], "empty")
				ids["identities"] = append(ids["identities"], nobody.ID)
				want := entities(t, d, ids)
				if err := d.Close(); err != nil {
					t.Fatal(err)
				}

				copied, err := database.Copy(t.Context(), from, over)
				if err != nil {
					t.Fatal(err)
				}
				if len(copied) != len(migrate.Tables) {
					t.Errorf("%d tables were copied of %d", len(copied), len(migrate.Tables))
				}
				for _, table := range copied {
					if int(table.Sum.Rows) != len(want[table.Table]) {
						t.Errorf("%s: %d rows of %d", table.Table, table.Sum.Rows, len(want[table.Table]))
					}
				}
				returned, err := database.Copy(t.Context(), over, back)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(copied, returned) {
					t.Error("the checksums on the way back are others")
				}
				b := open(t, back)
				defer closed(t, b)
				got := entities(t, b, ids)
				for table := range want {
					if !reflect.DeepEqual(got[table], want[table]) {
						t.Errorf("%s changed", table)
					}
				}

				// Moved means moved.
				var moved *database.MovedError
				if _, err := database.Open(t.Context(), from); !errors.As(err, &moved) || !strings.Contains(over.URL, strings.SplitN(moved.To, "?", 2)[0]) {
					t.Errorf("the source opens: %v", err)
				}
				// An admin may take it back.
				if to, err := database.TakeBack(t.Context(), from); err != nil || to != moved.To {
					t.Errorf("taken back from %q: %v", to, err)
				}
				closed(t, open(t, from))
				if to, err := database.TakeBack(t.Context(), from); err != nil || to != "" {
					t.Errorf("nothing was to be taken back: %q, %v", to, err)
				}
			})
		}
	}
}

// entities is rows as ent reads them, JSON by value: PostgreSQL keeps no more of it.
func entities(t *testing.T, d *database.DB, ids map[string][]any) map[string][]map[string]any {
	t.Helper()
	all := map[string][]map[string]any{}
	for _, e := range hosttest.Entities() {
		for _, id := range ids[e.Table.Name] {
			row, err := e.Get(t.Context(), d.Ent, id)
			if err != nil {
				t.Fatalf("get %s: %v", e.Table.Name, err)
			}
			fields := hosttest.Fields(row)
			for name, v := range fields {
				if text, ok := v.(json.RawMessage); ok && text != nil {
					var value any
					if err := json.Unmarshal(text, &value); err != nil {
						t.Fatal(err)
					}
					fields[name] = value
				}
			}
			all[e.Table.Name] = append(all[e.Table.Name], fields)
		}
	}
	return all
}

func TestCopyRefuses(t *testing.T) {
	hosttest.EachDialect(t, func(t *testing.T, dialect database.Dialect) {
		from := database.Options{URL: hosttest.URL(t, dialect)}
		full := database.Options{URL: hosttest.URL(t, dialect)}
		d := open(t, from)
		hosttest.Fill(t, d, 1)
		inUse := database.ErrLocked
		if dialect == database.Postgres {
			inUse = database.ErrInUse
		}
		if _, err := database.Copy(t.Context(), from, full); !errors.Is(err, inUse) {
			t.Errorf("under a running host: %v", err)
		}
		want := hosttest.Dump(t, d)
		other := open(t, full)
		other.Ent.Invitation.Create().SetCode("HERE").ExecX(t.Context())
		if err := errors.Join(d.Close(), other.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := database.Copy(t.Context(), from, full); !errors.Is(err, database.ErrNotEmpty) {
			t.Errorf("into a database with rows: %v", err)
		}
		d, other = open(t, from), open(t, full) // not marked as moved
		defer closed(t, d)
		defer closed(t, other)
		if !reflect.DeepEqual(hosttest.Dump(t, d), want) {
			t.Error("the source changed")
		}
		if n := other.Ent.User.Query().CountX(t.Context()); n != 0 {
			t.Errorf("%d users arrived", n)
		}
	})
}
