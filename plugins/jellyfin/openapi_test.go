package jellyfin

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/zondarr/zondarr/plugins/jellyfin/jellyfintest"
	"github.com/zondarr/zondarr/sdk"
)

// document is the official description of 10.11.11's API, beside the repository
// where it is at hand.
const document = "../../../shared/jellyfin-openapi.json"

// Every request is one that the official document knows: path, verb, query and
// body. What it does not list must not be used.
func TestRequestsAreInTheOfficialDocument(t *testing.T) {
	f, err := os.Open(document)
	if os.IsNotExist(err) {
		t.Skip("the official document is not at hand")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw := must(jsonschema.UnmarshalJSON(f))(t)
	doc := toJSONSchema(raw).(map[string]any)
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("mem:///doc.json", map[string]any{"components": doc["components"]}); err != nil {
		t.Fatal(err)
	}

	u := start(t, jellyfintest.Config{Version: "10.11.11"})
	c := u.open()
	sent := &recordRequests{next: c.http.Transport, basePath: c.base.Path}
	c.http.Transport = sent
	id := u.AddUser("bob", password)
	verbs := everyVerb(t, c, id)
	names := slices.Sorted(maps.Keys(verbs))
	slices.Reverse(names) // VerifyPassword before Suspend
	for _, verb := range names {
		if verb == "DeleteUser" {
			continue
		}
		if err := verbs[verb](); err != nil {
			t.Errorf("%s: %v", verb, err)
		}
	}
	must(c.SetLibraryAccess(t.Context(), sdk.SetLibraryAccessRequest{ID: id, Access: only(u.movies).Libraries}))(t)
	if err := verbs["DeleteUser"](); err != nil {
		t.Error(err)
	}
	seen := map[string]bool{}
	for i, r := range sent.all {
		path, operation := findOperation(doc["paths"].(map[string]any), r)
		if operation == nil {
			t.Errorf("%s %s is not in the document", r.method, r.path)
			continue
		}
		seen[r.method+" "+path] = true
		for _, name := range r.query {
			if !hasQuery(operation, name) {
				t.Errorf("%s %s has no query parameter %q", r.method, path, name)
			}
		}
		body, hasBody := operation["requestBody"].(map[string]any)
		if hasBody != (r.body != "") {
			t.Errorf("%s %s: a body is sent: %t, known: %t", r.method, path, r.body != "", hasBody)
		}
		if r.body == "" || !hasBody {
			continue
		}
		name := fmt.Sprintf("mem:///request%d.json", i)
		if err := compiler.AddResource(name, body["content"].(map[string]any)["application/json"].(map[string]any)["schema"]); err != nil {
			t.Fatal(err)
		}
		value := must(jsonschema.UnmarshalJSON(strings.NewReader(r.body)))(t)
		if err := must(compiler.Compile(name))(t).Validate(value); err != nil {
			t.Errorf("%s %s: %v", r.method, path, err)
		}
	}
	if len(seen) < 13 {
		t.Errorf("only %d operations were seen", len(seen))
	}
}

func findOperation(paths map[string]any, r recorded) (string, map[string]any) {
	parts := strings.Split(r.path, "/")
	var best string
	for path := range paths {
		want := strings.Split(path, "/")
		ok := len(want) == len(parts)
		for i := 0; ok && i < len(want); i++ {
			ok = want[i] == parts[i] || strings.HasPrefix(want[i], "{")
		}
		if ok && (best == "" || strings.Contains(best, "{") && !strings.Contains(path, "{")) {
			best = path
		}
	}
	item, _ := paths[best].(map[string]any)
	operation, _ := item[strings.ToLower(r.method)].(map[string]any)
	return best, operation
}

func hasQuery(operation map[string]any, name string) bool {
	parameters, _ := operation["parameters"].([]any)
	return slices.ContainsFunc(parameters, func(p any) bool {
		m := p.(map[string]any)
		return m["in"] == "query" && m["name"] == name
	})
}

// toJSONSchema turns OpenAPI 3.0's dialect into JSON Schema; ids go without dashes.
func toJSONSchema(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = toJSONSchema(v[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, inner := range v {
			out[k] = toJSONSchema(inner)
		}
		if ref, ok := out["$ref"].(string); ok {
			out["$ref"] = strings.Replace(ref, "#/", "mem:///doc.json#/", 1)
		}
		if out["format"] == "uuid" {
			delete(out, "format")
			out["pattern"] = "^[0-9a-f]{32}$"
		}
		if out["nullable"] == true {
			delete(out, "nullable")
			return map[string]any{"anyOf": []any{out, map[string]any{"type": "null"}}}
		}
		return out
	default:
		return v
	}
}

// recorded is a request as it was sent.
type recorded struct {
	method, path, body string
	query              []string
}

type recordRequests struct {
	next     http.RoundTripper
	basePath string

	mu  sync.Mutex
	all []recorded
}

func (r *recordRequests) RoundTrip(req *http.Request) (*http.Response, error) {
	one := recorded{method: req.Method, path: strings.TrimPrefix(req.URL.Path, r.basePath)}
	for name := range req.URL.Query() {
		one.query = append(one.query, name)
	}
	if req.Body != nil {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		one.body = string(b)
		req.Body = io.NopCloser(bytes.NewReader(b))
	}
	r.mu.Lock()
	r.all = append(r.all, one)
	r.mu.Unlock()
	return r.next.RoundTrip(req)
}
