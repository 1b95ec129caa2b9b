package hosttest

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/zondarr/zondarr/ent/db/migrate"
	"github.com/zondarr/zondarr/host/internal/database"
)

// Dump is every row of every table as text, in the order of the ids: two databases of
// one dialect hold the same if their dumps are equal.
func Dump(tb testing.TB, d *database.DB) map[string][]string {
	tb.Helper()
	dump := map[string][]string{}
	for _, table := range migrate.Tables {
		var columns []string
		for _, c := range table.Columns {
			columns = append(columns, `"`+c.Name+`"`)
		}
		rows, err := d.Ent.QueryContext(tb.Context(), fmt.Sprintf(`SELECT %s FROM %q ORDER BY %q`,
			strings.Join(columns, ", "), table.Name, table.PrimaryKey[0].Name))
		if err != nil {
			tb.Fatalf("dump %s: %v", table.Name, err)
		}
		dump[table.Name] = []string{}
		for _, row := range scanAll(tb, rows) {
			dump[table.Name] = append(dump[table.Name], fmt.Sprintf("%q", row))
		}
	}
	return dump
}

// DumpURL is every value of a database as it is, whatever its version: by table and
// column, in the order of the first column.
func DumpURL(tb testing.TB, at string) map[string]map[string][]string {
	tb.Helper()
	driver, dsn := "postgres", at
	tables := "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()"
	if path, ok := strings.CutPrefix(at, "sqlite://"); ok {
		driver, dsn = "sqlite", "file:"+path+"?_timezone=UTC"
		tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
	}
	handle, err := sql.Open(driver, dsn)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = handle.Close() }()
	dump := map[string]map[string][]string{}
	names, err := handle.QueryContext(tb.Context(), tables)
	if err != nil {
		tb.Fatal(err)
	}
	for _, row := range scanAll(tb, names) {
		name := fmt.Sprint(row[0])
		if strings.HasPrefix(name, "goose_") {
			continue
		}
		rows, err := handle.QueryContext(tb.Context(), fmt.Sprintf("SELECT * FROM %q ORDER BY 1", name))
		if err != nil {
			tb.Fatalf("dump %s: %v", name, err)
		}
		columns, err := rows.Columns()
		if err != nil {
			tb.Fatal(err)
		}
		dump[name] = map[string][]string{}
		for _, row := range scanAll(tb, rows) {
			for i, c := range columns {
				dump[name][c] = append(dump[name][c], fmt.Sprintf("%q", row[i]))
			}
		}
	}
	return dump
}

func scanAll(tb testing.TB, rows *sql.Rows) [][]any {
	tb.Helper()
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		tb.Fatal(err)
	}
	var all [][]any
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			tb.Fatal(err)
		}
		all = append(all, values)
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return all
}
