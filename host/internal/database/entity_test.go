package database_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"entgo.io/ent/dialect/sql/schema"
	"pgregory.net/rapid"

	"github.com/zondarr/zondarr/ent/db/migrate"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

func TestEveryTableIsAnEntityOfTheTests(t *testing.T) {
	seen := map[*schema.Table]bool{}
	for _, e := range hosttest.Entities() {
		seen[e.Table] = true
	}
	for _, table := range migrate.Tables {
		if !seen[table] {
			t.Errorf("%s is not among hosttest.Entities", table.Name)
		}
	}
}

// P8, R2.7: what is stored is read back, every field of it, in UTC.
func TestStoredAndReadBack(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		parents := hosttest.Fill(t, d, 2)
		for _, e := range hosttest.Entities() {
			t.Run(e.Table.Name, func(t *testing.T) {
				rapid.Check(t, func(rt *rapid.T) {
					// Never twice the same pair of parents as a row of Fill has: some pairs are unique.
					i := rapid.IntRange(0, 1).Draw(rt, "parent")
					values := hosttest.Draw(rt, e.Table, func(parent string) any {
						i++
						return parents[parent][i%2]
					})
					row := e.New(d.Ent)
					for name, v := range values {
						if err := row.Set(name, v); err != nil {
							rt.Fatal(err)
						}
					}
					saved, err := row.Save(t.Context())
					if err != nil {
						rt.Fatalf("save: %v", err)
					}
					id := hosttest.Fields(saved)["id"]
					defer func() { // the next case may draw the same values
						if _, err := d.Ent.ExecContext(t.Context(), `DELETE FROM `+e.Table.Name+` WHERE `+e.Table.PrimaryKey[0].Name+` = $1`, id); err != nil {
							t.Error(err)
						}
					}()
					read, err := e.Get(t.Context(), d.Ent, id)
					if err != nil {
						rt.Fatalf("get: %v", err)
					}
					got := hosttest.Fields(read)
					for name, want := range hosttest.Fields(saved) {
						same(rt, name, got[name], want) // what Create answers is what is there
					}
					for _, c := range e.Table.Columns {
						name := c.Name
						if c == e.Table.PrimaryKey[0] {
							name = "id"
						}
						if want, ok := values[c.Name]; ok {
							same(rt, name, got[name], want)
						} else if c != e.Table.PrimaryKey[0] && !reflect.ValueOf(got[name]).IsZero() {
							rt.Fatalf("%s was left out and is %v", name, got[name])
						}
					}
				})
			})
		}
	})
}

// same compares a field with what it should be, which may be the same behind a pointer
// or under a named type.
func same(t *rapid.T, name string, got, want any) {
	g, w := plain(got), plain(want)
	if a, ok := g.(time.Time); ok {
		b := w.(time.Time)
		if !a.Equal(b) {
			t.Fatalf("%s is %v, want %v", name, a, b)
		}
		if a.Location() != time.UTC {
			t.Fatalf("%s is in %v", name, a.Location())
		}
		return
	}
	if a, ok := g.(json.RawMessage); ok && a != nil { // jsonb keeps the value, not the text
		var x, y any
		if json.Unmarshal(a, &x) != nil || json.Unmarshal(w.(json.RawMessage), &y) != nil || !reflect.DeepEqual(x, y) {
			t.Fatalf("%s is %s, want %s", name, a, w)
		}
		return
	}
	if !reflect.DeepEqual(g, w) {
		t.Fatalf("%s is %#v, want %#v", name, g, w)
	}
}

func plain(v any) any {
	r := reflect.ValueOf(v)
	if r.Kind() == reflect.Pointer {
		if r.IsNil() {
			return nil
		}
		r = r.Elem()
	}
	if r.Kind() == reflect.String {
		return r.String() // enumerations have types of their own
	}
	return r.Interface()
}
