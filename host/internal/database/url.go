package database

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"entgo.io/ent/dialect"
	"github.com/lib/pq"
)

// Dialect is the kind of database, by the name that ent gives it.
type Dialect string

// The dialects that Zondarr runs on.
const (
	SQLite   Dialect = dialect.SQLite
	Postgres Dialect = dialect.Postgres
)

// location is a parsed database URL, and what to migrate it with.
type location struct {
	dialect Dialect
	path    string   // of the file, on SQLite
	server  *url.URL // on PostgreSQL, with every parameter that we rely on set

	maxConns       int
	statementCache bool
	// settings are those of perConnection where a pooler would refuse them in the URL: set
	// in each transaction instead.
	settings map[string]string

	files  fs.FS // the migrations
	logger *slog.Logger
}

// defaultMaxConns is the pool limit on PostgreSQL, per host.
const defaultMaxConns = 16

// CheckURL says what is wrong with a database URL, without opening anything. The text
// never contains the URL, which may carry a password.
func CheckURL(raw string) error {
	_, err := parseURL(raw)
	return err
}

// parseURL reads a database URL:
//
//	sqlite:///var/lib/zondarr/zondarr.db    an absolute path
//	sqlite://data/zondarr.db                a path relative to the working directory
//	postgres://user:password@host:5432/name?sslmode=verify-full
//
// PostgreSQL's parameters are those of lib/pq; two more are ours: max_conns (the pool
// limit) and statement_cache=off, for a pooler that gives each transaction another server
// connection (PgBouncer with pool_mode=transaction and default_pool_size of 2 or more).
// Nothing then outlives a transaction or is asked outside one. Parameters that the pooler
// does not know it refuses: it must list them in ignore_startup_parameters; those of
// perConnection never reach it that way.
func parseURL(raw string) (location, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return location{}, errors.New("a database URL begins with sqlite:// or postgres://")
	}
	switch scheme {
	case "sqlite":
		return parseSQLite(rest)
	case "postgres", "postgresql":
		return parsePostgres(raw)
	}
	return location{}, fmt.Errorf("unknown kind of database %q: it is sqlite:// or postgres://", scheme)
}

func parseSQLite(path string) (location, error) {
	if strings.ContainsAny(path, "?#") {
		return location{}, errors.New("a sqlite:// URL is a path and nothing else: no ? or #")
	}
	path, err := url.PathUnescape(path)
	if err != nil {
		return location{}, errors.New("the path of the sqlite:// URL is not escaped correctly")
	}
	if path == "" || strings.HasSuffix(path, "/") || strings.HasPrefix(path, ":memory:") || strings.ContainsRune(path, 0) {
		return location{}, errors.New("a sqlite:// URL names a file, as in sqlite:///var/lib/zondarr/zondarr.db")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return location{}, err
	}
	return location{dialect: SQLite, path: behindLinks(abs), statementCache: true}, nil
}

// behindLinks gives the file itself, which may not be there yet: the lock that keeps a
// second host away stands beside it, whatever way leads to it.
func behindLinks(path string) string {
	if file, err := filepath.EvalSymlinks(path); err == nil {
		return file
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(dir, filepath.Base(path))
	}
	return path
}

func parsePostgres(raw string) (location, error) {
	u, err := url.Parse(raw)
	if err != nil {
		// url.Error quotes what it could not read, password included.
		return location{}, errors.New("the postgres:// URL cannot be read: is something in the password not escaped?")
	}
	l := location{dialect: Postgres, server: u, maxConns: defaultMaxConns, statementCache: true}
	q := u.Query()
	if v := q.Get("max_conns"); v != "" {
		l.maxConns, err = strconv.Atoi(v)
		if err != nil || l.maxConns < 2 || l.maxConns > 1000 {
			return location{}, errors.New("max_conns in the postgres:// URL is a number from 2 to 1000")
		}
	}
	switch q.Get("statement_cache") {
	case "", "on":
	case "off":
		l.statementCache = false
	default:
		return location{}, errors.New("statement_cache in the postgres:// URL is on or off")
	}
	q.Del("max_conns")
	q.Del("statement_cache")
	if q.Has("binary_parameters") {
		return location{}, errors.New("binary_parameters in the postgres:// URL does not work with JSON columns: leave it out")
	}
	// What the driver would choose by itself may change with its version; what an
	// operator wrote stays.
	defaults := map[string]string{
		"sslmode":          "require",
		"connect_timeout":  "10", // seconds
		"application_name": "zondarr",
	}
	maps.Copy(defaults, perConnection())
	for name, value := range defaults {
		if !q.Has(name) {
			q.Set(name, value)
		}
	}
	if !l.statementCache {
		l.settings = map[string]string{}
		for name := range perConnection() {
			l.settings[name] = q.Get(name)
			q.Del(name)
		}
	}
	q.Set("timezone", "UTC") // or times come back in the server's zone
	u.RawQuery = q.Encode()
	return l, nil
}

// timeLimits are the parameters that end what takes long.
var timeLimits = []string{"statement_timeout", "idle_in_transaction_session_timeout"}

// perConnection is the settings of PostgreSQL that we rely on, and their defaults.
func perConnection() map[string]string {
	return map[string]string{
		"statement_timeout":                   "30000", // milliseconds
		"idle_in_transaction_session_timeout": "60000",
		// As on an SSD or in memory: with the default of spinning disks, lists of one
		// server walk the list of all and throw most away.
		"random_page_cost": "1.1",
	}
}

// unlimited is the same server without time limits: migrating and copying take what
// they take.
func (l location) unlimited() location {
	u := *l.server
	q := u.Query()
	l.server, l.settings = &u, maps.Clone(l.settings)
	for _, name := range timeLimits {
		if l.statementCache {
			q.Set(name, "0")
		} else {
			l.settings[name] = "0"
		}
	}
	u.RawQuery = q.Encode()
	return l
}

// connector opens connections to PostgreSQL.
func (l location) connector() (driver.Connector, error) {
	c, err := pq.NewConnector(l.server.String())
	if err != nil {
		return nil, errors.New("the postgres:// URL has a parameter that the driver does not accept")
	}
	if l.statementCache {
		return c, nil
	}
	return poolerConnector{c, setLocal(l.settings)}, nil
}
