package database

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// ErrInUse says that processes are connected to a PostgreSQL database that must be left
// alone by them.
var ErrInUse = errors.New("other Zondarr processes are connected to the database")

// Every process of Zondarr shows on PostgreSQL as "zondarr" or "zondarr/KEY", behind a
// name that the operator may have set. The server cuts a name off after 63 bytes.
const (
	signature  = "zondarr"
	maxAppName = 63
	ofOthers   = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
		AND substring(application_name FROM '` + pattern + `') <> substring(current_setting('application_name') FROM '` + pattern + `')`
	pattern = `(?:^| )(` + signature + `(?:/[0-9a-z]+)?)$`
)

// sign puts the signature of this process into the name of its connections.
func (l location) sign(key string) {
	q := l.server.Query()
	mine := signature
	if key != "" {
		mine += "/" + key
	}
	if own := q.Get("application_name"); own != "" && own != signature {
		mine = own[:min(len(own), maxAppName-1-len(mine))] + " " + mine
	}
	q.Set("application_name", mine)
	l.server.RawQuery = q.Encode()
}

// Alone fails with ErrInUse while a process that was opened with another Options.Key is
// connected. On SQLite whoever did not open beside holds the file, and is alone.
//
// A host connects before it looks at what could forbid it to run, so who forbids first
// and then finds nobody is rid of them all. Through a connection pooler the database
// shows the pooler's connections, and this is no more than a good guess.
func (d *DB) Alone(ctx context.Context) error {
	return alone(ctx, d.Dialect, d.driver.read.db)
}

func alone(ctx context.Context, dialect Dialect, handle *sql.DB) error {
	if dialect == SQLite {
		return nil
	}
	// A connection that was just closed takes a moment to disappear.
	for range 20 {
		var others int
		if err := handle.QueryRowContext(ctx, ofOthers).Scan(&others); err != nil {
			return Wrap("look for", "hosts", err)
		}
		if others == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return ErrInUse
}
