package hosttest

import (
	"fmt"
	"strings"
	"testing"

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
		for rows.Next() {
			values := make([]any, len(columns))
			into := make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				tb.Fatalf("dump %s: %v", table.Name, err)
			}
			dump[table.Name] = append(dump[table.Name], fmt.Sprintf("%q", values))
		}
		if err := rows.Err(); err != nil {
			tb.Fatalf("dump %s: %v", table.Name, err)
		}
		rows.Close()
	}
	return dump
}
