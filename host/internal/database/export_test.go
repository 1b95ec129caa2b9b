package database

import (
	"context"
	"database/sql"
)

// PostgresDSN is what the driver is given for a URL, for tests that must connect as Open
// does.
func PostgresDSN(raw string) (string, error) {
	at, err := parsePostgres(raw)
	if err != nil {
		return "", err
	}
	return at.unlimited().server.String(), nil
}

// FloorPools opens the pools that Open opens, without what is around them: the write
// and the read pool, which are the same on PostgreSQL.
func FloorPools(raw string) (write, read *sql.DB, err error) {
	at, err := parseURL(raw)
	if err != nil {
		return nil, nil, err
	}
	if at.dialect == Postgres {
		c, err := at.connector()
		if err != nil {
			return nil, nil, err
		}
		write = sql.OpenDB(c)
		write.SetMaxOpenConns(at.maxConns)
		write.SetMaxIdleConns(at.maxConns)
		return write, write, nil
	}
	if write, err = openSQLite(at.path, sqliteWriter, 1); err != nil {
		return nil, nil, err
	}
	read, err = openSQLite(at.path, sqliteReader, sqliteReaders)
	return write, read, err
}

// MaxStatements is the bound of the statement cache.
const MaxStatements = maxStatements

// CachedStatements is how many statements are prepared for reading.
func CachedStatements(d *DB) int {
	c := d.driver.read.statements
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used.Len()
}

// CopyInSteps is Copy, and tells at which point it is: "marked", "copied", "committed".
func CopyInSteps(ctx context.Context, from, to Options, reached func(string)) ([]CopiedTable, error) {
	return (&move{reached: reached}).run(ctx, from, to)
}

// Scanned is the value that Copy makes of what was scanned.
func Scanned(v any) (any, error) { return scanned(v) }

// Publish, Alias and SetAside give files their names.
var (
	Publish  = publish
	Alias    = alias
	SetAside = setAside
)
