package page

import (
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"github.com/zondarr/zondarr/host/internal/fault"
)

type row struct {
	id   uuid.UUID
	name string
	at   *time.Time
}

func list() List[row] {
	return List[row]{
		Default: "-at",
		ID:      func(r row) uuid.UUID { return r.id },
		Fields: map[string]Field[row]{
			"name": {Column: "name", Value: func(r row) any { return r.name }},
			"at": {Column: "at", Kind: Time, Nullable: true, Value: func(r row) any {
				if r.at == nil {
					return nil
				}
				return *r.at
			}},
		},
	}
}

func TestOpenRefuses(t *testing.T) {
	type filters struct{ State []string }
	q, err := list().Open(Request{Limit: 1}, filters{})
	if err != nil {
		t.Fatal(err)
	}
	_, cursor := q.Cut([]row{{id: uuid.New(), name: "a"}, {id: uuid.New(), name: "b"}})
	if cursor == "" {
		t.Fatal("a list with a row left has no cursor")
	}
	if _, err := list().Open(Request{Limit: 1, Cursor: cursor}, filters{}); err != nil {
		t.Fatalf("the list's own cursor: %v", err)
	}
	for name, tc := range map[string]struct {
		req     Request
		filters filters
		code    string
	}{
		"LimitTooLarge":      {Request{Limit: 201}, filters{}, fault.CodeInvalidInput},
		"LimitNegative":      {Request{Limit: -1}, filters{}, fault.CodeInvalidInput},
		"UnknownSort":        {Request{Sort: "secrets"}, filters{}, fault.CodeInvalidInput},
		"CursorOtherFilters": {Request{Cursor: cursor}, filters{State: []string{"active"}}, fault.CodeInvalidCursor},
		"CursorOtherSort":    {Request{Cursor: cursor, Sort: "name"}, filters{}, fault.CodeInvalidCursor},
		"CursorGarbage":      {Request{Cursor: "%%%"}, filters{}, fault.CodeInvalidCursor},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := list().Open(tc.req, tc.filters); fault.CodeOf(err) != tc.code {
				t.Errorf("got %v, want %s", err, tc.code)
			}
		})
	}
}

func TestNullsSortLastAscending(t *testing.T) {
	q, err := list().Open(Request{Sort: "at", Limit: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	_, cursor := q.Cut([]row{{id: uuid.New(), at: &at}, {}})
	if q, err = list().Open(Request{Sort: "at", Limit: 1, Cursor: cursor}, nil); err != nil {
		t.Fatal(err)
	}
	s := sql.Dialect(dialect.Postgres).Select("*").From(sql.Table("t"))
	q.Apply(s)
	text, args := s.Query()
	want := `SELECT * FROM "t" WHERE ("t"."at" > $1 OR ("t"."at" = $2 AND "t"."id" > $3)) OR "t"."at" IS NULL ORDER BY CASE WHEN "t"."at" IS NULL THEN 1 ELSE 0 END, "t"."at" ASC, "t"."id" ASC`
	if text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	if got := args[0].(time.Time); !got.Equal(at) {
		t.Errorf("the instant came back as %v, want %v", got, at)
	}
}

// No cursor, however made, does more than be refused.
func FuzzCursor(f *testing.F) {
	q, err := list().Open(Request{Limit: 1, Sort: "name"}, nil)
	if err != nil {
		f.Fatal(err)
	}
	_, cursor := q.Cut([]row{{id: uuid.New(), name: "a"}, {}})
	f.Add(cursor, "name")
	f.Add("eyJ2IjpudWxsfQ", "at")
	f.Add("", "-at")
	f.Fuzz(func(t *testing.T, cursor, sort string) {
		q, err := list().Open(Request{Cursor: cursor, Sort: sort}, nil)
		if err != nil {
			if code := fault.CodeOf(err); code != fault.CodeInvalidCursor && code != fault.CodeInvalidInput {
				t.Errorf("got %v", err)
			}
			return
		}
		q.Apply(sql.Dialect(dialect.SQLite).Select("*").From(sql.Table("t")))
	})
}
