package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/page"
)

// Opt is one member of a PATCH (RFC 7396): absent keeps, null clears, a value
// sets.
type Opt[T any] struct {
	Set   bool
	Null  bool
	Value T
}

// UnmarshalJSON notes that the member is there. Of a member that stands twice the
// last counts, as a whole.
func (o *Opt[T]) UnmarshalJSON(data []byte) error {
	*o = Opt[T]{Set: true}
	if bytes.Equal(data, []byte("null")) {
		o.Null = true
		return nil
	}
	return json.Unmarshal(data, &o.Value)
}

// Schema tells huma the schema of T, or null.
func (Opt[T]) Schema(r huma.Registry) *huma.Schema { return orNull(r, reflect.TypeFor[T]()) }

// Change is one member of a PATCH that cannot be cleared: absent keeps, a value
// sets, and null is refused. (huma takes null for absent where a member is not
// required.)
type Change[T any] struct{ opt Opt[T] }

// UnmarshalJSON notes that the member is there.
func (c *Change[T]) UnmarshalJSON(data []byte) error { return c.opt.UnmarshalJSON(data) }

// Schema tells huma the schema of T.
func (Change[T]) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[T](), true, reflect.TypeFor[T]().Name())
}

// Resolve refuses null.
func (c *Change[T]) Resolve(_ huma.Context, at *huma.PathBuffer) []error {
	if !c.opt.Null {
		return nil
	}
	return []error{&huma.ErrorDetail{Location: at.String(), Message: cannotBeNull}}
}

// ptr gives nil for absent.
func (c Change[T]) ptr() *T { return c.opt.ptr() }

// ptr gives nil for absent and for null.
func (o Opt[T]) ptr() *T {
	if !o.Set || o.Null {
		return nil
	}
	return &o.Value
}

// Resolve refuses times that RFC 3339 cannot write in UTC: they would be stored
// and could never be shown.
func (o *Opt[T]) Resolve(_ huma.Context, at *huma.PathBuffer) []error {
	t, ok := any(o.Value).(time.Time)
	if !ok || writable(t) {
		return nil
	}
	return []error{&huma.ErrorDetail{Location: at.String(), Message: yearOutOfRange}}
}

// ptrPtr gives nil for absent and a pointer to nil for null.
func (o Opt[T]) ptrPtr() **T {
	if !o.Set {
		return nil
	}
	p := o.ptr()
	return &p
}

// Null is a struct in a response that may be null: huma would say that a pointer
// to one never is.
type Null[T any] struct{ value *T }

// nullOf wraps a pointer.
func nullOf[T any](p *T) Null[T] { return Null[T]{p} }

// MarshalJSON gives the value or null.
func (n Null[T]) MarshalJSON() ([]byte, error) { return json.Marshal(n.value) }

// UnmarshalJSON is for clients in Go, tests among them.
func (n *Null[T]) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &n.value) }

// Schema tells huma the schema of T, or null.
func (Null[T]) Schema(r huma.Registry) *huma.Schema { return orNull(r, reflect.TypeFor[T]()) }

func orNull(r huma.Registry, t reflect.Type) *huma.Schema {
	s := r.Schema(t, true, t.Name())
	if s.Ref != "" {
		return &huma.Schema{OneOf: []*huma.Schema{s, {Type: "null"}}}
	}
	nullable := *s
	nullable.Nullable = true
	return &nullable
}

// What decode, Opt and Change say to fieldError, which has the words for people.
const (
	notJSON        = "not JSON"
	unstorable     = "text with U+0000"
	doesNotFit     = "does not fit"
	cannotBeNull   = "cannot be null"
	yearOutOfRange = "year out of range"
)

// decode is encoding/json with errors that repeat no value and name no type of
// ours. U+0000 is refused, since PostgreSQL cannot store it.
func decode(data []byte, v any) error {
	if !utf8.Valid(data) {
		return errors.New(notJSON) // RFC 8259; encoding/json would change the text without a word
	}
	switch err := json.Unmarshal(data, v).(type) { //nolint:errorlint // encoding/json gives its errors unwrapped
	case nil:
	case *json.UnmarshalTypeError:
		return errors.New(doesNotFit + " " + members(err.Field))
	case *json.SyntaxError:
		return errors.New(notJSON)
	default:
		return errors.New(doesNotFit)
	}
	if tree, ok := v.(*any); ok && bytes.Contains(data, []byte(`\u0000`)) && holdsNUL(*tree) {
		return errors.New(unstorable)
	}
	return nil
}

// members gives a path of JSON members without the names of embedded types, which
// encoding/json puts between them; members are in lower case.
func members(path string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(path, "."), func(name string) bool { return name != strings.ToLower(name) }), ".")
}

func holdsNUL(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.ContainsRune(v, 0)
	case []any:
		return slices.ContainsFunc(v, holdsNUL)
	case map[string]any:
		for name, member := range v {
			if holdsNUL(name) || holdsNUL(member) {
				return true
			}
		}
	}
	return false
}

// PageParams ask for a page of a list.
type PageParams struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many items at most."`
	Cursor string `query:"cursor" maxLength:"8192" doc:"The next_cursor of the page before, with the same sort and filters."`
	Sort   string `query:"sort" maxLength:"64" doc:"A field, with - before it for descending."`
}

func (p PageParams) request() page.Request {
	return page.Request{Limit: p.Limit, Cursor: p.Cursor, Sort: p.Sort}
}

// List is one page of a list.
type List[T any] struct {
	Items      []T     `json:"items" nullable:"false"`
	NextCursor *string `json:"next_cursor" doc:"Continues the list; null at its end."`
}

// listOf maps a page of a service to its JSON.
func listOf[S, T any](p page.Page[S], to func(S) T) *body[List[T]] {
	out := List[T]{Items: make([]T, len(p.Items))}
	for i, item := range p.Items {
		out.Items[i] = to(item)
	}
	if p.NextCursor != "" {
		out.NextCursor = &p.NextCursor
	}
	return &body[List[T]]{Body: out}
}

// body is a 200 with a JSON body.
type body[T any] struct{ Body T }

func ok[T any](v T) *body[T] { return &body[T]{Body: v} }

// created is a 201 with the place of the new resource.
type created[T any] struct {
	Location string `header:"Location" doc:"The new resource."`
	Body     T
}

// NoBody is the body of an action that takes none: empty, or {}. Whatever stands
// in it is refused, since it would be ignored.
type NoBody struct {
	Body *Nothing `required:"false"`
}

// Nothing has no members.
type Nothing struct{}

// none is a 204.
type none struct{}

// inUTC gives an optional time in UTC, to the microsecond.
func inUTC(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := database.Micro(*t)
	return &u
}

// text gives nil for "".
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// number gives nil for 0: the contract's "no bound".
func number(n int) *int {
	if n == 0 {
		return nil
	}
	return &n
}

// triFlag reads a boolean filter that may be absent.
func triFlag(s string) *bool {
	if s == "" {
		return nil
	}
	b := s == "true"
	return &b
}

// queryTime gives a time of the query, nil for none; it refuses, as Opt does, what
// RFC 3339 cannot write in UTC.
func queryTime(name string, t time.Time) (*time.Time, error) {
	if t.IsZero() {
		return nil, nil
	}
	if !writable(t) {
		return nil, fault.InvalidInput(fault.Field{Location: "query." + name, Code: fault.FieldOutOfRange, Message: "This must be a time in the years 0 to 9999 in UTC."})
	}
	return inUTC(&t), nil
}

func writable(t time.Time) bool { year := t.UTC().Year(); return year >= 0 && year <= 9999 }

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return inUTC(&t)
}

func positive[N int | int64](n N) *N {
	if n <= 0 {
		return nil
	}
	return &n
}

// sortedKeys gives the keys of a map in order, never nil.
func sortedKeys[V any](m map[string]V) []string {
	return slices.AppendSeq([]string{}, slices.Values(slices.Sorted(maps.Keys(m))))
}

// values gives a slice that encodes as [] and not as null.
func values[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
