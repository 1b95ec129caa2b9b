package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The document is a promise: a change of it is a change that somebody reviews.
func TestDocumentIsTheGoldenOne(t *testing.T) { // R7.4
	const golden = "testdata/openapi.json"
	got, err := Document("test")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the OpenAPI document has changed; if that is meant: go test ./host/internal/api -run Golden -update\n%s", firstDifference(string(want), string(got)))
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			from := max(0, i-3)
			return "was:\n" + strings.Join(w[from:min(i+4, len(w))], "\n") + "\nis:\n" + strings.Join(g[from:min(i+4, len(g))], "\n")
		}
	}
	return "one is longer"
}

func TestServedDocument(t *testing.T) { // R7.4
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	a := w.do(request{method: "GET", path: "/openapi.json", key: "none"}).want(http.StatusOK)
	var served, want any
	raw, err := Document("test")
	if err != nil || json.Unmarshal(raw, &want) != nil || json.Unmarshal(a.body, &served) != nil {
		t.Fatal(err)
	}
	if one, two := encode(t, served), encode(t, want); !bytes.Equal(one, two) {
		t.Error("what is served is not the document")
	}
	for _, path := range []string{"/openapi.yaml", "/openapi-3.0.json", "/openapi-3.0.yaml"} {
		if a := w.do(request{method: "GET", path: path, key: "none"}).want(http.StatusOK); len(a.body) < 10_000 {
			t.Errorf("%s is no document: %.100s", path, a.body)
		}
	}
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// The structure that the OpenAPI 3.1 specification asks for, and what a reader needs.
func TestDocumentIsWhole(t *testing.T) {
	d := theDocument(t)
	if v, _ := d.root["openapi"].(string); !strings.HasPrefix(v, "3.1.") {
		t.Errorf("OpenAPI %q", v)
	}
	if at(d.root, "info", "title") == "" || at(d.root, "info", "version") != "test" || at(d.root, "info", "description") == "" {
		t.Errorf("info is %v", d.root["info"])
	}
	if s := at(d.root, "components", "securitySchemes", apiKeyScheme).(object); s["type"] != "http" || s["scheme"] != "bearer" {
		t.Errorf("the security scheme is %v", s)
	}
	d.walk(t, d.root, "#", func(pointer string, o object) {
		if ref, ok := o["$ref"].(string); ok && (!strings.HasPrefix(ref, "#/components/") || len(d.resolve(o)) == 0) {
			t.Errorf("%s: %s leads nowhere", pointer, ref)
		}
		for _, name := range []string{"properties"} {
			if p, ok := o[name]; ok {
				if _, ok := p.(object); !ok && pointer != "#" {
					t.Errorf("%s: %s is %T", pointer, name, p)
				}
			}
		}
	})
	for name := range at(d.root, "components", "schemas").(object) {
		if !regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`).MatchString(name) {
			t.Errorf("a schema has no name of its own: %s", name)
		}
	}
	ids := map[string]string{}
	eachOperation(t, func(t *testing.T, d *document, op operation) {
		id, _ := op.raw["operationId"].(string)
		if !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(id) {
			t.Errorf("operationId %q", id)
		}
		if other := ids[id]; other != "" {
			t.Errorf("%s has the operationId %s too", other, id)
		}
		ids[id] = op.name()
		tags, _ := op.raw["tags"].([]any)
		if summary, _ := op.raw["summary"].(string); summary == "" || len(tags) != 1 {
			t.Errorf("summary %q, tags %v", summary, tags)
		}
		if security, _ := op.raw["security"].([]any); len(security) > 0 && at(security[0], apiKeyScheme) == nil {
			t.Errorf("security is %v", security)
		}
		media, _ := at(op.raw, "responses", "default", "content").(object)
		if s := d.resolve(at(media, "application/problem+json", "schema")); !slices.Equal(sortedKeys(s["properties"].(object)), problemMembers) {
			t.Errorf("errors are %v", media)
		}
		for _, p := range op.params {
			if p.in == "path" && (!p.required || !strings.Contains(op.path, "{"+p.name+"}")) {
				t.Errorf("the path parameter %s is not one", p.name)
			}
			if kind(p.schema) == "" {
				t.Errorf("the parameter %s has no type", p.name)
			}
		}
		for name := range regexpAll(op.path) {
			if !slices.ContainsFunc(op.params, func(p parameter) bool { return p.name == name && p.in == "path" }) {
				t.Errorf("the path has {%s} and the document no such parameter", name)
			}
		}
		for status, response := range op.raw["responses"].(object) {
			if at(response, "description") == "" {
				t.Errorf("%s has no description", status)
			}
		}
		if op.method == http.MethodPatch && at(op.raw, "requestBody", "content", "application/merge-patch+json") == nil {
			t.Error("a PATCH does not say that it takes application/merge-patch+json")
		}
		if op.method == http.MethodDelete && at(op.raw, "responses", "204") == nil {
			t.Error("a DELETE does not answer 204")
		}
	})
}

func regexpAll(path string) map[string]bool {
	out := map[string]bool{}
	for _, m := range regexp.MustCompile(`\{([^}]+)\}`).FindAllStringSubmatch(path, -1) {
		out[m[1]] = true
	}
	return out
}

func (d *document) walk(t testing.TB, v any, pointer string, visit func(pointer string, o object)) {
	switch v := v.(type) {
	case object:
		visit(pointer, v)
		for name, member := range v {
			d.walk(t, member, pointer+"/"+name, visit)
		}
	case []any:
		for _, item := range v {
			d.walk(t, item, pointer+"/-", visit)
		}
	}
}

// Every member of a response is always present: the document requires it.
func TestResponseMembersAreAlwaysPresent(t *testing.T) {
	d := theDocument(t)
	seen := 0
	var require func(pointer string, s object)
	done := map[string]bool{}
	require = func(pointer string, v object) {
		if ref, ok := v["$ref"].(string); ok {
			if done[ref] {
				return
			}
			done[ref], pointer = true, ref
		}
		s := d.resolve(v)
		required, _ := s["required"].([]any)
		properties, _ := s["properties"].(object)
		for name, p := range properties {
			seen++
			if !slices.Contains(required, any(name)) {
				t.Errorf("%s: %s may be absent", pointer, name)
			}
			require(pointer+"/"+name, p.(object))
		}
		if items, ok := s["items"].(object); ok {
			require(pointer+"/items", items)
		}
		one, _ := s["oneOf"].([]any)
		for _, o := range one {
			require(pointer, o.(object))
		}
	}
	for _, op := range d.ops {
		for status := range op.raw["responses"].(object) {
			content, _ := at(op.raw, "responses", status, "content").(object)
			for _, media := range content {
				if s, ok := at(media, "schema").(object); ok {
					require(op.name()+" "+status, s)
				}
			}
		}
	}
	if seen < 200 {
		t.Errorf("only %d members", seen)
	}
}

var external = regexp.MustCompile(`(?i)(?:src|href|action)\s*=\s*["']?(?:https?:)?//|url\(\s*["']?(?:https?:)?//|@import|fetch\(\s*["']https?:`)

// The pages under /docs work without the internet.
func TestDocsLoadNothingFromElsewhere(t *testing.T) { // R7.4
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	for _, path := range []string{"/docs", "/docs/"} {
		a := w.do(request{method: "GET", path: path, key: "none"}).want(http.StatusOK)
		page := string(a.body)
		if found := external.FindString(page); found != "" {
			t.Errorf("%s loads from elsewhere: %s", path, found)
		}
		if csp := a.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'self'") || strings.Contains(csp, "http") {
			t.Errorf("%s allows %s", path, csp)
		}
		if !strings.Contains(page, "/openapi.json") {
			t.Errorf("%s does not show our document", path)
		}
		loaded := 0
		for _, m := range regexp.MustCompile(`(?:src|href)="([^"#]+\.(?:js|css|png))"`).FindAllStringSubmatch(page, -1) {
			asset := m[1]
			if !strings.HasPrefix(asset, "/") {
				asset = "/docs/" + strings.TrimPrefix(asset, "./")
			}
			loaded++
			if a := w.do(request{method: "GET", path: asset, key: "none"}).want(http.StatusOK); len(a.body) == 0 {
				t.Errorf("%s is empty", asset)
			}
		}
		if loaded < 3 {
			t.Errorf("%s loads %d files: %s", path, loaded, page)
		}
	}
}

func TestJoinPage(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	a := w.do(request{method: "GET", path: "/j/K7M2QX9PR4TD", key: "none"}).want(http.StatusOK)
	if !strings.Contains(string(a.body), "K7M2QX9PR4TD") || external.Match(a.body) {
		t.Errorf("the page is %s", a.body)
	}
	a = w.do(request{method: "GET", path: "/j/%3Cscript%3Ealert(1)%3C%2Fscript%3E", key: "none"}).want(http.StatusOK)
	if strings.Contains(string(a.body), "<script>") {
		t.Errorf("the page runs what is typed: %s", a.body)
	}
}
