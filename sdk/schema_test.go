package sdk_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/zondarr/zondarr/sdk"
)

// A schema becomes JSON and comes back as it was, in the author's order.
func TestSchemaTravels(t *testing.T) {
	text := rapid.StringOfN(rapid.Rune(), 0, 12, -1)
	rapid.Check(t, func(t *rapid.T) {
		var s sdk.Schema
		for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z][a-z0-9_]{0,9}`), 0, 6, rapid.ID[string]).Draw(t, "names") {
			p := sdk.Property{
				Name: name, Type: rapid.SampledFrom([]sdk.PropertyType{sdk.TypeString, sdk.TypeInteger, sdk.TypeNumber, sdk.TypeBoolean, sdk.TypeStrings}).Draw(t, "type"),
				Title: text.Draw(t, "title"), Description: text.Draw(t, "description"), Required: rapid.Bool().Draw(t, "required"),
				Secret: rapid.Bool().Draw(t, "secret"), Endpoint: rapid.Bool().Draw(t, "endpoint"),
				MinLength: rapid.IntRange(0, 9).Draw(t, "min length"), MaxLength: rapid.IntRange(0, 9).Draw(t, "max length"),
				Pattern: text.Draw(t, "pattern"), Format: rapid.SampledFrom([]string{"", "uri"}).Draw(t, "format"),
			}
			if rapid.Bool().Draw(t, "bounded") {
				least, most := rapid.Float64Range(-9, 9).Draw(t, "minimum"), rapid.Float64Range(-9, 9).Draw(t, "maximum")
				p.Minimum, p.Maximum = &least, &most
			}
			if e := rapid.SliceOfN(text, 0, 3).Draw(t, "enum"); len(e) > 0 {
				p.Enum, p.Examples = e, e
			}
			if rapid.Bool().Draw(t, "has a default") {
				p.Default = rapid.OneOf(rapid.Just[any]("x"), rapid.Just[any](1.5), rapid.Just[any](true)).Draw(t, "default")
			}
			s.Properties = append(s.Properties, p)
		}
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var again sdk.Schema
		if err := json.Unmarshal(data, &again); err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("%s: %v\n got %+v\nwant %+v", data, err, again, s)
		}
	})
}

func FuzzSchema(f *testing.F) {
	f.Add([]byte(`{"type":"object","x-order":["b"],"required":["a"],"properties":{"a":{"type":"string","writeOnly":true},"b":{"type":"array","items":{"type":"string","enum":["x"]}}}}`))
	f.Add([]byte(`{"type":"object","x-order":["a","a"],"properties":{"a":{"type":"number","minimum":1e400}}}`))
	f.Add([]byte(`{"type":"array"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s sdk.Schema
		if json.Unmarshal(data, &s) != nil {
			return
		}
		first, err := json.Marshal(s)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		var again sdk.Schema
		if err := json.Unmarshal(first, &again); err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		second, err := json.Marshal(again)
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%v\nfirst  %s\nsecond %s", err, first, second)
		}
		s.Check(map[string]any{"a": "x", "b": []any{1.0, nil}, "c": map[string]any{}})
	})
}

func TestSchemaCheck(t *testing.T) {
	one, nine := 1.0, 9.0
	s := sdk.Schema{Properties: []sdk.Property{
		{Name: "name", Type: sdk.TypeString, Required: true, MinLength: 2, MaxLength: 4, Pattern: `^\p{L}+$`},
		{Name: "count", Type: sdk.TypeInteger, Minimum: &one, Maximum: &nine},
		{Name: "ratio", Type: sdk.TypeNumber},
		{Name: "on", Type: sdk.TypeBoolean},
		{Name: "tags", Type: sdk.TypeStrings, Enum: []string{"a", "b"}},
		{Name: "theme", Type: sdk.TypeString, Enum: []string{"light", "dark"}},
		{Name: "at", Type: sdk.TypeString, Format: "uri"},
		{Name: "mail", Type: sdk.TypeString, Format: "email"},
	}}
	good := map[string]any{"name": "äöü", "count": 3.0, "ratio": 0.5, "on": false, "tags": []any{"b"}, "theme": "dark", "at": "https://x.example", "mail": "a@b.example"}
	if got := s.Check(good); len(got) != 0 {
		t.Fatalf("good values: %+v", got)
	}
	for field, bad := range map[string]map[any]string{
		"name":  {"": sdk.ProblemRequired, "x": sdk.ProblemTooShort, "abcde": sdk.ProblemTooLong, "a1": sdk.ProblemPattern, 5.0: sdk.ProblemInvalid},
		"count": {"1": sdk.ProblemInvalid, 1.5: sdk.ProblemInvalid, 0.0: sdk.ProblemOutOfRange, 10.0: sdk.ProblemOutOfRange},
		"ratio": {true: sdk.ProblemInvalid},
		"on":    {"true": sdk.ProblemInvalid},
		"tags":  {"a": sdk.ProblemInvalid},
		"theme": {"blue": sdk.ProblemInvalid},
		"at":    {"x.example": sdk.ProblemInvalid},
		"mail":  {"a at b": sdk.ProblemInvalid},
		"other": {"x": sdk.ProblemUnknown},
	} {
		for v, want := range bad {
			values := map[string]any{"name": "abc", field: v}
			got := s.Check(values)
			if !slices.ContainsFunc(got, func(p sdk.FieldProblem) bool { return p.Field == field && p.Code == want }) {
				t.Errorf("%s = %v gave %+v, want %q", field, v, got, want)
			}
		}
	}
}

// Reading takes time that grows with the schema, and no faster: it comes from a plugin.
func TestLargeSchemas(t *testing.T) {
	took := func(n int) time.Duration {
		schema := sdk.Schema{Properties: make([]sdk.Property, n)}
		values := make(map[string]any, n)
		for i := range schema.Properties {
			schema.Properties[i] = sdk.Property{Name: fmt.Sprintf("p%d", i), Type: sdk.TypeBoolean, Required: true}
			values[schema.Properties[i].Name] = true
		}
		data, err := json.Marshal(schema)
		if err != nil {
			t.Fatal(err)
		}
		var s sdk.Schema
		start := time.Now()
		if err := json.Unmarshal(data, &s); err != nil || len(s.Properties) != n {
			t.Fatal(err)
		}
		if problems := s.Check(values); len(problems) > 0 {
			t.Fatal(problems[0])
		}
		return time.Since(start)
	}
	took(100) // warms up
	// Four times as much takes four times as long, and sixteen times in a square.
	if few, many := took(5_000), took(20_000); many > 10*few+200*time.Millisecond {
		t.Errorf("5,000 properties take %s, 20,000 take %s", few, many)
	}
	var s sdk.Schema
	if err := json.Unmarshal([]byte(`{"type":"object","x-order":["a","a"],"properties":{"a":{"type":"string"}}}`), &s); err == nil {
		t.Error("a property may be ordered twice")
	}
}
