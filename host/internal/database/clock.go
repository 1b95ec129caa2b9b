package database

import (
	"context"
	"time"

	"github.com/zondarr/zondarr/ent/db"
)

// Now is the present in UTC, in microseconds: what both databases keep. A noun's clock
// is a field of type func() time.Time, and this is what it holds in production.
func Now() time.Time { return Micro(time.Now()) }

// Micro is t in UTC, truncated to microseconds. Times that come from outside go through
// it, so that what is returned is what will be read back.
func Micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// Time is the database's own clock, by which leases are measured: replicas on one
// PostgreSQL agree on it. On SQLite, which has one host, it is the host's. tx may be nil.
func (d *DB) Time(ctx context.Context, tx *db.Tx) (time.Time, error) {
	if d.Dialect == SQLite {
		return Now(), nil
	}
	query := d.Ent.QueryContext
	if tx != nil {
		query = tx.QueryContext
	}
	rows, err := query(ctx, "SELECT clock_timestamp()")
	if err != nil {
		return time.Time{}, Wrap("read", "clock", err)
	}
	defer rows.Close()
	var now time.Time
	for rows.Next() {
		if err := rows.Scan(&now); err != nil {
			return time.Time{}, Wrap("read", "clock", err)
		}
	}
	return Micro(now), Wrap("read", "clock", rows.Err())
}
