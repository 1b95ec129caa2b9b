package database

import (
	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"
)

// Keyset is the order of a list and where it goes on: sorted by one column that is
// never NULL, ties by the id, after the row whose values are given.
//
//	k := database.Keyset{Column: invitation.FieldCreatedAt, Desc: true}
//	q.Where(database.After[predicate.Invitation](k)).Order(database.Order[invitation.OrderOption](k))
//
// An index on (column, id), after the columns of the filter, serves it in both
// directions.
type Keyset struct {
	Column string
	Desc   bool
	// Value and ID are those of the last row of the page before; with no ID the list
	// starts at its beginning.
	Value any
	ID    uuid.UUID
}

// After limits a query to the rows that follow in the order of k.
func After[P ~func(*sql.Selector)](k Keyset) P {
	return func(s *sql.Selector) {
		if k.ID == uuid.Nil {
			return
		}
		op := sql.OpGT
		if k.Desc {
			op = sql.OpLT
		}
		// Compared as a row, which both databases answer from the index.
		s.Where(sql.P(func(b *sql.Builder) {
			b.WriteByte('(').IdentComma(s.C(k.Column), s.C("id")).WriteByte(')')
			b.WriteOp(op)
			b.WriteByte('(').Args(k.Value, k.ID).WriteByte(')')
		}))
	}
}

// Order sorts a query by k.
func Order[O ~func(*sql.Selector)](k Keyset) O {
	return func(s *sql.Selector) {
		for _, column := range []string{k.Column, "id"} {
			if k.Desc {
				s.OrderBy(sql.Desc(s.C(column)))
			} else {
				s.OrderBy(sql.Asc(s.C(column)))
			}
		}
	}
}
