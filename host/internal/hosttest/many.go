package hosttest

import (
	"database/sql"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/host/internal/database"
)

// ManyRows is how many rows Many makes where speed is measured and plans are judged.
const ManyRows = 100_000

// ManyID is the id of the i-th row of any table, counted from 1.
func ManyID(i int) uuid.UUID {
	return uuid.MustParse(fmt.Sprintf("00000000-0000-7000-8000-%012d", i))
}

// ManyTime is when the i-th row was created: one a second.
func ManyTime(i int) time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Second)
}

// Many fills a migrated, empty database with n invitations, identities, users,
// redemptions and steps on 5 servers of 100 libraries each, as an installation would
// have them: most enabled, few unfinished, some expiring. The database makes the rows
// itself, so that it takes seconds.
func Many(tb testing.TB, handle *sql.DB, dialect database.Dialect, n int) {
	tb.Helper()
	const servers = 5
	for _, insert := range []struct {
		table   string
		n       int
		columns []string // name = expression of i
	}{
		{"media_servers", servers, []string{
			"id = $id(i)", "name = 'Server ' || i", "server_type = 'jellyfin'", "url = 'http://server' || i",
			"external_server_id = 'server' || i", "settings = '{}'", "health_since = $time(i)", "enabled = (i % 5 <> 0)",
			"created_at = $time(i)", "updated_at = $time(i)",
		}},
		{"libraries", servers * 100, []string{
			"id = $id(i)", "server_id = $id(1 + i % 5)", "external_id = 'library' || i", "name = 'Library ' || i",
			"library_type = 'movies'", "created_at = $time(i)", "updated_at = $time(i)",
		}},
		{"profiles", 3, []string{
			"id = $id(i)", "name = 'Profile ' || i", "created_at = $time(i)", "updated_at = $time(i)",
		}},
		{"invitations", n, []string{
			"id = $id(i)", "code = 'CODE' || $pad(i)", "label = 'Label ' || i", "max_uses = 5", "use_count = i % 6",
			"profile_id = CASE WHEN i % 3 = 0 THEN $id(1 + i % 2) END", "enabled = (i % 50 <> 0)",
			"expires_at = CASE WHEN i % 2 = 0 THEN $time(i + 1000) END", "created_by = 'api_key:' || (i % 10)",
			"created_at = $time(i)", "updated_at = $time(i)",
		}},
		{"invitation_servers", n, []string{
			"id = $id(i)", "invitation_id = $id(i)", "server_id = $id(1 + i % 5)", "library_access = 'only'",
			`permissions = '{"download":"deny"}'`, `limits = '{"max_sessions":2}'`, "options = '{}'",
		}},
		{"invitation_libraries", n, []string{
			"id = $id(i)", "invitation_server_id = $id(i)", "library_id = $id(1 + i % 500)",
		}},
		{"identities", n, []string{
			"id = $id(i)", "display_name = 'Person ' || i", "enabled = (i % 50 <> 0)", "invitation_id = $id(i)",
			"expires_at = CASE WHEN i % 20 = 0 THEN $time(i) END", "created_at = $time(i)", "updated_at = $time(i)",
		}},
		{"redemptions", n, []string{
			"id = $id(i)", "invitation_id = $id(i)", "identity_id = $id(i)", "code = 'CODE' || $pad(i)",
			"public_id = 'public' || i",
			"state = CASE WHEN i % 1000 = 0 THEN 'needs_attention' WHEN i % 10 = 0 THEN 'failed' ELSE 'completed' END",
			"username = 'user' || i", "idempotency_key = 'key' || i", "lease_until = $time(i)",
			"finished_at = CASE WHEN i % 1000 <> 0 THEN $time(i) END", "created_at = $time(i)", "updated_at = $time(i)",
		}},
		{"users", n, []string{
			"id = $id(i)", "identity_id = $id(i)", "server_id = $id(1 + i % 5)", "external_id = 'external' || i",
			"username = 'user' || i", "username_folded = 'user' || i", "enabled = (i % 50 <> 0)",
			"status = CASE WHEN i % 100 = 0 THEN 'missing' WHEN i % 50 = 1 THEN 'suspended' ELSE 'active' END",
			"origin = CASE WHEN i % 100 = 7 THEN 'manual' WHEN i % 10 = 0 THEN 'import' ELSE 'redemption' END",
			"expires_at = CASE WHEN i % 2 = 0 THEN $time(i) END", "library_access = 'all'", "permissions = '{}'", "limits = '{}'",
			"options = '{}'", "invitation_id = $id(i)", "redemption_id = $id(i)", "created_at = $time(i)",
			"updated_at = $time(i)",
		}},
		{"redemption_steps", n, []string{
			"id = $id(i)", "redemption_id = $id(i)", "server_id = $id(1 + i % 5)", "server_name = 'Server'",
			"server_type = 'jellyfin'", "state = 'done'", "operation_id = $id(i)", "username = 'user' || i",
			"username_folded = 'user' || i", "released_at = CASE WHEN i % 1000 <> 0 THEN $time(i) END",
			"external_id = 'external' || i", "user_id = $id(i)", "library_access = 'all'", "permissions = '{}'", "limits = '{}'",
			"options = '{}'", "libraries = '{}'", "created_at = $time(i)", "updated_at = $time(i)",
		}},
		{"links", n, []string{
			"id = $id(i)", "public_id = 'public' || i", "code = 'CODE' || $pad(i)", "realm = 'plex'", "state = 'consumed'",
			"expires_at = $time(i)", "ended_at = CASE WHEN i % 1000 <> 0 THEN $time(i) END", "server_id = $id(1 + i % 5)",
			"invitation_id = $id(i)", "created_at = $time(i)", "updated_at = $time(i)",
		}},
		{"sync_runs", n, []string{
			"id = $id(i)", "server_id = $id(1 + i % 5)", "scope = 'libraries'", "state = 'completed'", "counts = '{}'",
			"started_at = $time(i)",
		}},
		{"api_keys", 1000, []string{
			"id = $id(i)", "name = 'Key ' || i", "prefix = 'prefix' || i", "hash = $bytes(i)", "created_at = $time(i)",
		}},
	} {
		statement := insertion(dialect, insert.table, insert.columns, insert.n)
		if _, err := handle.ExecContext(tb.Context(), statement); err != nil {
			tb.Fatalf("fill %s: %v\n%s", insert.table, err, statement)
		}
	}
	if dialect == database.Postgres {
		if _, err := handle.ExecContext(tb.Context(), "ANALYZE"); err != nil {
			tb.Fatal(err)
		}
	}
}

// What the expressions are in the words of each dialect.
var (
	manyWords  = regexp.MustCompile(`\$(\w+)\(([^()]*)\)`)
	manySQLite = map[string]string{
		"id":    "printf('00000000-0000-7000-8000-%%012d', %s)",
		"pad":   "printf('%%08d', %s)",
		"time":  "strftime('%%Y-%%m-%%d %%H:%%M:%%S+00:00', 1767225600 + (%s), 'unixepoch')",
		"bytes": "CAST(%s AS blob)",
	}
	manyPostgres = map[string]string{
		"id":    "('00000000-0000-7000-8000-' || lpad((%s)::text, 12, '0'))::uuid",
		"pad":   "lpad((%s)::text, 8, '0')",
		"time":  "timestamptz '2026-01-01 00:00:00+00' + (%s) * interval '1 second'",
		"bytes": "(%s)::text::bytea",
	}
)

// insertion is the statement that makes n rows of a table.
func insertion(dialect database.Dialect, table string, columns []string, n int) string {
	words := manySQLite
	if dialect == database.Postgres {
		words = manyPostgres
	}
	var names, values []string
	for _, column := range columns {
		name, value, _ := strings.Cut(column, " = ")
		names = append(names, name)
		values = append(values, manyWords.ReplaceAllStringFunc(value, func(call string) string {
			m := manyWords.FindStringSubmatch(call)
			return fmt.Sprintf(words[m[1]], m[2])
		}))
	}
	return fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT INTO %s (%s) SELECT %s FROM n",
		n, table, strings.Join(names, ", "), strings.Join(values, ", "))
}
