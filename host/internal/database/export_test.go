package database

import "database/sql"

// PostgresDSN is what the driver is given for a URL, for tests that must connect as Open
// does.
func PostgresDSN(raw string) (string, error) {
	at, err := parsePostgres(raw)
	if err != nil {
		return "", err
	}
	return at.unlimited(), nil
}

// FloorPools opens the pools that Open opens, without what is around them: the write
// and the read pool, which are the same on PostgreSQL.
func FloorPools(raw string) (write, read *sql.DB, err error) {
	at, err := parseURL(raw)
	if err != nil {
		return nil, nil, err
	}
	if at.dialect == Postgres {
		write, err = sql.Open("postgres", at.server.String())
		if err != nil {
			return nil, nil, err
		}
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
