// Package page is keyset paging: the one way in which lists are sorted, cut and
// continued.
//
// A List names the fields that a list may be sorted by. Opening it with a
// caller's Request checks limit, sort and cursor, and gives a Query that orders
// the rows, starts after the last one seen and says how many to fetch. A cursor
// is bound to the sort and the filters that it was made with: used with others
// it is refused, since it would skip rows without a word.
//
// The package knows ent's SQL selector and nothing of any table.
package page

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"github.com/zondarr/zondarr/host/internal/fault"
)

// Limits of a page.
const (
	DefaultLimit = 50
	MaxLimit     = 200
)

// Request is a page as the caller asks for it.
type Request struct {
	// Limit is 1 to MaxLimit; 0 means DefaultLimit.
	Limit int
	// Cursor is Page.NextCursor of the page before, or empty.
	Cursor string
	// Sort is a field's name, with "-" before it for descending, or empty for
	// the list's default.
	Sort string
}

// Page is one page of a list.
type Page[T any] struct {
	Items []T
	// NextCursor continues the list; empty at its end.
	NextCursor string
}

// Kind is how a sort field travels in a cursor.
type Kind int

// The kinds of sort fields.
const (
	Text Kind = iota
	Number
	Time
)

// Field is something that a list can be sorted by. Ties are broken by id.
type Field[R any] struct {
	Column string
	Kind   Kind
	// Nullable columns sort NULL as the greatest value, on every database.
	Nullable bool
	// Value gives a row's value: a string, an int or a time.Time by Kind, and
	// nil for NULL.
	Value func(R) any
}

// List describes how the rows of one list are sorted.
type List[R any] struct {
	// Default is the sort when the caller names none: "-created_at".
	Default string
	Fields  map[string]Field[R]
	ID      func(R) uuid.UUID
}

// Query is one page to be fetched.
type Query[R any] struct {
	list       List[R]
	field      Field[R]
	descending bool
	bound      string
	limit      int
	after      *position
}

type position struct {
	Value any       `json:"v"`
	ID    uuid.UUID `json:"i"`
	Bound string    `json:"b"`
}

// Open checks a request. Filters are the values that the list is filtered by,
// in a form that encoding/json takes. Errors are fault.Invalid:
// invalid_input at query.limit or query.sort, or invalid_cursor.
func (l List[R]) Open(req Request, filters any) (*Query[R], error) {
	q := &Query[R]{list: l, limit: req.Limit}
	if q.limit == 0 {
		q.limit = DefaultLimit
	}
	if q.limit < 1 || q.limit > MaxLimit {
		return nil, fault.InvalidInput(fault.Field{
			Location: "query.limit", Code: fault.FieldOutOfRange, Message: fmt.Sprintf("The limit is 1 to %d.", MaxLimit),
		})
	}
	sort := req.Sort
	if sort == "" {
		sort = l.Default
	}
	name, descending := strings.CutPrefix(sort, "-")
	field, ok := l.Fields[name]
	if !ok {
		known := slices.Sorted(maps.Keys(l.Fields))
		return nil, fault.InvalidInput(fault.Field{
			Location: "query.sort", Code: fault.FieldUnsupported, Message: "This list sorts by " + strings.Join(known, ", ") + ".",
		})
	}
	q.field, q.descending = field, descending
	bound, err := json.Marshal([]any{sort, filters})
	if err != nil {
		return nil, fmt.Errorf("page: filters: %w", err)
	}
	sum := sha256.Sum256(bound)
	q.bound = base64.RawURLEncoding.EncodeToString(sum[:9])
	if req.Cursor == "" {
		return q, nil
	}
	after, err := q.decode(req.Cursor)
	if err != nil {
		return nil, &fault.Error{
			Kind: fault.Invalid, Code: fault.CodeInvalidCursor,
			Message: "The cursor does not belong to this list, sort and filters. Start again without it.",
			Fields:  []fault.Field{{Location: "query.cursor", Code: fault.FieldInvalid, Message: "Not a cursor of this list."}},
			Err:     err,
		}
	}
	q.after = after
	return q, nil
}

func (q *Query[R]) decode(cursor string) (*position, error) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return nil, err
	}
	var p position
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, err
	}
	if p.Bound != q.bound {
		return nil, fmt.Errorf("cursor is bound to another list")
	}
	if p.Value == nil {
		if !q.field.Nullable {
			return nil, fmt.Errorf("cursor has no value")
		}
		return &p, nil
	}
	switch q.field.Kind {
	case Number:
		n, ok := p.Value.(float64)
		if !ok {
			return nil, fmt.Errorf("cursor has no number")
		}
		p.Value = int64(n)
	case Time:
		s, _ := p.Value.(string)
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return nil, err
		}
		p.Value = t.UTC()
	default:
		if _, ok := p.Value.(string); !ok {
			return nil, fmt.Errorf("cursor has no text")
		}
	}
	return &p, nil
}

// Apply orders the selection and starts it after the last row seen. It is made
// for ent's Where or Modify.
func (q *Query[R]) Apply(s *sql.Selector) {
	col, id := s.C(q.field.Column), s.C("id")
	if q.after != nil {
		s.Where(q.beyond(col, id))
	}
	dir := sql.Asc
	if q.descending {
		dir = sql.Desc
	}
	if q.field.Nullable {
		// Where NULL sorts differs from database to database.
		s.OrderExpr(sql.Expr("CASE WHEN " + col + " IS NULL THEN 1 ELSE 0 END" + map[bool]string{true: " DESC"}[q.descending]))
	}
	s.OrderBy(dir(col), dir(id))
}

// beyond is true for the rows after the last one seen.
func (q *Query[R]) beyond(col, id string) *sql.Predicate {
	than := sql.GT
	if q.descending {
		than = sql.LT
	}
	if q.after.Value == nil {
		same := sql.And(sql.IsNull(col), than(id, q.after.ID))
		if q.descending {
			return sql.Or(same, sql.NotNull(col))
		}
		return same
	}
	if !q.field.Nullable {
		// As a row: both databases then start at the right place of an index on
		// (column, id), where they would read an OR from its beginning.
		op := sql.OpGT
		if q.descending {
			op = sql.OpLT
		}
		return sql.P(func(b *sql.Builder) {
			b.WriteString("(").IdentComma(col, id).WriteString(")").WriteOp(op)
			b.WriteString("(").Args(q.after.Value, q.after.ID).WriteString(")")
		})
	}
	p := sql.Or(than(col, q.after.Value), sql.And(sql.EQ(col, q.after.Value), than(id, q.after.ID)))
	if !q.descending {
		return sql.Or(p, sql.IsNull(col))
	}
	return p
}

// Fetch is how many rows to ask the database for: one more than fit the page,
// which tells whether there is another.
func (q *Query[R]) Fetch() int { return q.limit + 1 }

// Cut gives the rows of the page and the cursor of the next one, or "".
func (q *Query[R]) Cut(rows []R) (kept []R, next string) {
	if len(rows) <= q.limit {
		return rows, ""
	}
	rows = rows[:q.limit]
	last := rows[len(rows)-1]
	p := position{Value: q.field.Value(last), ID: q.list.ID(last), Bound: q.bound}
	if t, ok := p.Value.(time.Time); ok {
		p.Value = t.UTC().Format(time.RFC3339Nano)
	}
	raw, err := json.Marshal(p)
	if err != nil {
		// A position is text, numbers and a UUID: it always marshals.
		panic(err)
	}
	return rows, base64.RawURLEncoding.EncodeToString(raw)
}

// Of gives the page of the rows that were fetched for a query.
func Of[R, T any](q *Query[R], rows []R, to func(R) T) Page[T] {
	rows, next := q.Cut(rows)
	items := make([]T, len(rows))
	for i, row := range rows {
		items[i] = to(row)
	}
	return Page[T]{Items: items, NextCursor: next}
}
