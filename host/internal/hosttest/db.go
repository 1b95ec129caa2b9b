package hosttest

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/migrations"
)

// EachDB runs a test on an own database of each dialect, as subtests "sqlite" and
// "postgres".
func EachDB(t *testing.T, test func(t *testing.T, d *database.DB)) {
	t.Helper()
	EachDialect(t, func(t *testing.T, dialect database.Dialect) {
		test(t, NewDB(t, dialect))
	})
}

// EachDialect runs a test once for each dialect, as subtests "sqlite" and "postgres".
func EachDialect(t *testing.T, test func(t *testing.T, dialect database.Dialect)) {
	t.Helper()
	for _, dialect := range []database.Dialect{database.SQLite, database.Postgres} {
		name := "sqlite"
		if dialect == database.Postgres {
			name = "postgres"
		}
		t.Run(name, func(t *testing.T) { test(t, dialect) })
	}
}

// NewDB opens a migrated, empty database that belongs to this test alone. It is closed
// and removed when the test ends.
func NewDB(tb testing.TB, dialect database.Dialect) *database.DB {
	tb.Helper()
	var at string
	if dialect == database.Postgres {
		at = migratedURL(tb)
	} else {
		at = URL(tb, dialect)
	}
	d, err := database.Open(tb.Context(), database.Options{URL: at})
	if err != nil {
		tb.Fatalf("open the test's database: %v", err)
	}
	tb.Cleanup(func() {
		if err := d.Close(); err != nil {
			tb.Errorf("close the test's database: %v", err)
		}
	})
	return d
}

// URL is the URL of a database that exists and is empty, not even migrated, and belongs
// to this test alone: for tests that start a whole host.
func URL(tb testing.TB, dialect database.Dialect) string {
	tb.Helper()
	if dialect == database.SQLite {
		return "sqlite://" + filepath.Join(tb.TempDir(), "zondarr.db")
	}
	return createDatabase(tb, Server(tb), "template0")
}

// migratedURL is a copy of a database that was migrated once: far quicker than to
// migrate each.
func migratedURL(tb testing.TB) string {
	tb.Helper()
	at := Server(tb)
	name, err := templateOf(at)
	if err != nil {
		tb.Fatalf("migrate the template database: %v", err)
	}
	return createDatabase(tb, at, name)
}

// The one server of this test process, and the template on it, are made when the first
// test needs them. They are state of the process because the server is.
var (
	startOnce = sync.OnceValues(func() (testServer, error) {
		if external := os.Getenv("ZONDARR_TEST_POSTGRES_URL"); external != "" {
			return testServer{url: external}, nil
		}
		at, stop, err := StartPostgres(context.Background())
		return testServer{at, stop}, err
	})
	templateMu   sync.Mutex
	templateDone string
)

// testServer is the server of this process. It is never stopped: it ends with the
// process, when the pipe that stop holds open is closed.
type testServer struct {
	url  string
	stop func()
}

// Server is the URL of a PostgreSQL server whose user may create databases; URL and
// NewDB make theirs on it.
func Server(tb testing.TB) string {
	tb.Helper()
	s, err := startOnce()
	if err != nil {
		tb.Fatalf("start PostgreSQL: %v", err)
	}
	return s.url
}

// templateOf is the name of the migrated database on the server. Its name carries the
// migrations, so that several versions, and several test processes, share a server.
func templateOf(at string) (string, error) {
	templateMu.Lock()
	defer templateMu.Unlock()
	if templateDone != "" {
		return templateDone, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	sum := sha256.New()
	if err := fs.WalkDir(migrations.Files, "postgres", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(migrations.Files, path)
		sum.Write(text)
		return err
	}); err != nil {
		return "", err
	}
	name := fmt.Sprintf("zondarr_template_%x", sum.Sum(nil)[:6])

	admin, err := sql.Open("postgres", at)
	if err != nil {
		return "", err
	}
	defer func() { _ = admin.Close() }()
	conn, err := admin.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	// Another test process may be making the same template on this server.
	const lockID = 7_303_014
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", lockID); err != nil {
		return "", err
	}
	defer func() { _, _ = conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", lockID) }()

	var ready bool
	if err := conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)", name).Scan(&ready); err != nil {
		return "", err
	}
	if !ready { // half-made ones are not marked as templates
		for _, statement := range []string{"DROP DATABASE IF EXISTS " + name + " WITH (FORCE)", "CREATE DATABASE " + name + " TEMPLATE template0"} {
			if _, err := conn.ExecContext(ctx, statement); err != nil {
				return "", err
			}
		}
		if _, err := database.MigrateUp(ctx, database.Options{URL: withDatabase(at, name)}); err != nil {
			return "", err
		}
		if _, err := conn.ExecContext(ctx, "ALTER DATABASE "+name+" IS_TEMPLATE true"); err != nil {
			return "", err
		}
	}
	templateDone = name
	return name, nil
}

// createDatabase makes a database that is dropped when the test ends.
func createDatabase(tb testing.TB, at, template string) string {
	tb.Helper()
	name := "zondarr_test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	if err := onServer(at, "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		tb.Fatalf("create the test's database: %v", err)
	}
	tb.Cleanup(func() {
		if err := onServer(at, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			tb.Errorf("drop the test's database: %v", err)
		}
	})
	return withDatabase(at, name)
}

func onServer(at, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	admin, err := sql.Open("postgres", at)
	if err != nil {
		return err
	}
	_, err = admin.ExecContext(ctx, statement)
	return errors.Join(err, admin.Close())
}

func withDatabase(at, name string) string {
	u, err := url.Parse(at)
	if err != nil {
		panic("the URL of the test server: " + err.Error()) // it was connected to before
	}
	u.Path = "/" + name
	return u.String()
}
