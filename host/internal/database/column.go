package database

import (
	"time"

	"entgo.io/ent/dialect/sql"
)

// MicroOf is Micro of a time that may be absent.
func MicroOf(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	return new(Micro(*t))
}

// Put sets a nullable column, or clears it for nil: Put(note, u.SetNote, u.ClearNote).
// Doing both is an error to PostgreSQL.
func Put[T, U any](v *T, set func(T) U, reset func() U) {
	if v != nil {
		set(*v)
	} else {
		reset()
	}
}

// KeepUpdatedAt is for ent's Modify: it leaves the time that ent would move, where
// what is written means the same as before.
func KeepUpdatedAt(u *sql.UpdateBuilder) { u.Set("updated_at", sql.Expr("updated_at")) }
