package database

import (
	"context"
	"time"
)

// Lease takes or renews the lease called name for owner until ttl from now, in the
// time of the database, and says whether owner holds it. The fence rises with every
// change of the owner; work that is conditional on it cannot be done by one who lost
// the lease without noticing.
func (d *DB) Lease(ctx context.Context, name, owner string, ttl time.Duration) (fence int64, held bool, err error) {
	// One statement: who finds the lease free and who takes it cannot differ.
	const take = `INSERT INTO leases (name, owner, fence, until) VALUES ($1, $2, 1, $4)
		ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until,
			fence = CASE WHEN leases.owner = excluded.owner THEN leases.fence ELSE leases.fence + 1 END
		WHERE leases.owner = excluded.owner OR leases.until <= $3
		RETURNING fence`
	now, err := d.Time(ctx, nil)
	if err != nil {
		return 0, false, err
	}
	rows, err := d.Ent.QueryContext(ctx, take, name, owner, now, now.Add(ttl))
	if err != nil {
		return 0, false, Wrap("take", "lease", err)
	}
	defer rows.Close()
	for rows.Next() { // to the end: only then has it been committed
		held = true
		if err := rows.Scan(&fence); err != nil {
			return 0, false, Wrap("take", "lease", err)
		}
	}
	return fence, held, Wrap("take", "lease", rows.Err())
}

// Release gives a lease back before its time. Giving back what one does not hold is
// no error.
func (d *DB) Release(ctx context.Context, name, owner string) error {
	now, err := d.Time(ctx, nil)
	if err != nil {
		return err
	}
	_, err = d.Ent.ExecContext(ctx, `UPDATE leases SET until = $3 WHERE name = $1 AND owner = $2`, name, owner, now)
	return Wrap("release", "lease", err)
}
