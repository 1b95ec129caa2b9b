package hosttest

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"entgo.io/ent/dialect/sql/schema"
	"entgo.io/ent/schema/field"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/zondarr/zondarr/host/internal/database"
)

// Fill puts rows into every table, n in each: the i-th row of a table refers to the
// i-th rows of others. The values are arbitrary but the same each time. It gives the
// ids by table.
func Fill(tb testing.TB, d *database.DB, n int) map[string][]any {
	tb.Helper()
	ids := map[string][]any{}
	for _, e := range Entities() {
		for i := range n {
			values := rapid.Custom(func(t *rapid.T) map[string]any {
				rapid.Bool().Draw(t, "something") // rapid insists, and some tables have references only
				return Draw(t, e.Table, func(parent string) any { return ids[parent][i] })
			}).Example(i*len(ids) + len(ids))
			// What must be unique is: arbitrary values may meet.
			for column, distinct := range map[string]any{
				"code": "FILLED" + strings.Repeat("X", i), "public_id": uuid.NewString(), "prefix": uuid.NewString(),
				"external_id": uuid.NewString(), "external_server_id": uuid.NewString(), "idempotency_key": uuid.NewString(),
				"sha256": strings.Repeat("0123456789abcdef"[i%16:i%16+1], 64), "is_default": false,
				"name": e.Table.Name + strings.Repeat("'", i),
			} {
				if _, ok := values[column]; ok {
					values[column] = distinct
				}
			}
			saved := Save(tb, d, e, values)
			ids[e.Table.Name] = append(ids[e.Table.Name], Fields(saved)["id"])
		}
	}
	return ids
}

// Save makes one row of an entity.
func Save(tb testing.TB, d *database.DB, e Entity, values map[string]any) any {
	tb.Helper()
	row := e.New(d.Ent)
	for name, v := range values {
		if err := row.Set(name, v); err != nil {
			tb.Fatalf("set %s.%s: %v", e.Table.Name, name, err)
		}
	}
	saved, err := row.Save(tb.Context())
	if err != nil {
		tb.Fatalf("save %s: %v\n%#v", e.Table.Name, err, values)
	}
	return saved
}

// Fields is the columns of a row that ent gave, by name; the primary key is "id".
func Fields(row any) map[string]any {
	fields := map[string]any{}
	v := reflect.Indirect(reflect.ValueOf(row))
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() && f.Name != "Edges" {
			fields[columnOf(f)] = v.Field(i).Interface()
		}
	}
	return fields
}

func fieldOf(row reflect.Value, column string) any {
	for i := range row.NumField() {
		if columnOf(row.Type().Field(i)) == column {
			return row.Field(i).Interface()
		}
	}
	panic(row.Type().Name() + " has no column " + column)
}

func columnOf(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "-" { // a sensitive field: ent keeps it out of JSON
		name = snake(f.Name)
	}
	return name
}

// snake is the column of a field: RequestMAC is request_mac.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) && unicode.IsLower(rune(name[i-1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// Draw is arbitrary values for the columns of a table that its rules allow; a column
// that may be NULL may be left out. parent gives the id of a row of another table.
func Draw(t *rapid.T, table *schema.Table, parent func(table string) any) map[string]any {
	values := map[string]any{}
	for _, c := range table.Columns {
		i := slices.IndexFunc(table.ForeignKeys, func(fk *schema.ForeignKey) bool { return fk.Columns[0] == c })
		primary := slices.Contains(table.PrimaryKey, c)
		if primary && c.Type == field.TypeUUID {
			continue // ent makes it
		}
		if c.Nullable && rapid.Bool().Draw(t, c.Name+" is NULL") {
			continue
		}
		if i >= 0 {
			values[c.Name] = parent(table.ForeignKeys[i].RefTable.Name)
			continue
		}
		values[c.Name] = drawColumn(t, c)
	}
	// The rules that span columns.
	if used, ok := values["use_count"].(int); ok {
		if most, ok := values["max_uses"].(int); ok {
			values["use_count"] = min(used, most)
		}
	}
	return values
}

func drawColumn(t *rapid.T, c *schema.Column) any {
	switch c.Name {
	case "code":
		return rapid.StringMatching(`[A-Z0-9_-]{4,64}`).Draw(t, c.Name)
	case "sha256":
		return rapid.StringMatching(`[0-9a-f]{64}`).Draw(t, c.Name)
	}
	switch c.Type {
	case field.TypeEnum:
		return rapid.SampledFrom(c.Enums).Draw(t, c.Name)
	case field.TypeString:
		return Text(1).Draw(t, c.Name)
	case field.TypeBool:
		return rapid.Bool().Draw(t, c.Name)
	case field.TypeInt:
		return rapid.IntRange(1, math.MaxInt).Draw(t, c.Name)
	case field.TypeInt64:
		return rapid.Int64Range(1, math.MaxInt64).Draw(t, c.Name)
	case field.TypeUUID:
		return uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, c.Name))
	case field.TypeTime:
		return Time().Draw(t, c.Name)
	case field.TypeBytes:
		return rapid.SliceOfN(rapid.Byte(), 1, 64).Draw(t, c.Name)
	case field.TypeJSON:
		return drawJSON(t, c.Name)
	}
	panic("no values for the type of column " + c.Name)
}

func drawJSON(t *rapid.T, column string) any {
	switch column {
	case "permissions":
		return rapid.MapOf(Text(1), rapid.SampledFrom([]string{"allow", "deny"})).Draw(t, column)
	case "libraries":
		return rapid.MapOf(Text(1), Text(0)).Draw(t, column)
	case "limits", "counts":
		return rapid.MapOf(Text(1), rapid.Int64()).Draw(t, column)
	case "settings", "options":
		return rapid.MapOf(Text(1), rapid.OneOf(
			rapid.Map(Text(0), func(s string) any { return s }),
			rapid.Map(rapid.Float64(), func(f float64) any { return f }),
			rapid.Map(rapid.Bool(), func(b bool) any { return b }),
			rapid.Map(rapid.SliceOf(Text(0)), func(list []string) any {
				values := []any{} // as JSON is read
				for _, s := range list {
					values = append(values, s)
				}
				return values
			}),
		)).Draw(t, column)
	default:
		text, err := json.Marshal(rapid.MapOf(Text(0), Text(0)).Draw(t, column))
		if err != nil {
			t.Fatal(err)
		}
		return json.RawMessage(text)
	}
}

// Text is text of at least n characters that a database can hold: any but NUL.
func Text(n int) *rapid.Generator[string] {
	return rapid.StringOfN(rapid.Rune().Filter(func(r rune) bool { return r != 0 }), n, 40, -1)
}

// Time is an instant in UTC and microseconds, from the year 1 to 9999.
func Time() *rapid.Generator[time.Time] {
	first := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	last := time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC).UnixMicro()
	return rapid.Map(rapid.Int64Range(first, last), func(us int64) time.Time { return time.UnixMicro(us).UTC() })
}
