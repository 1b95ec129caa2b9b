package jellyfintest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// document is the official description of 10.11.11's API, beside the
// repository where it is at hand.
const document = "../../../../shared/jellyfin-openapi.json"

// hidden are the routes that the server has and the document leaves out.
var hidden = []string{
	"GET /health", "GET /web", "GET /QuickConnect/Initiate", "POST /Users/{userId}", "POST /Users/{userId}/Configuration",
	"POST /Users/{userId}/Password", "POST /Users/{userId}/EasyPassword",
	"POST /Users/{userId}/Images/Primary", "DELETE /Users/{userId}/Images/Primary",
}

type openAPI struct {
	mu       sync.Mutex
	paths    map[string]any // by lower-case path
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema
}

// loadOpenAPI reads the document once; nil when it is not there.
var loadOpenAPI = sync.OnceValues(func() (*openAPI, error) {
	f, err := os.Open(document)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		return nil, err
	}
	doc := toJSONSchema(raw).(map[string]any)
	c := jsonschema.NewCompiler()
	if err := c.AddResource("mem:///doc.json", map[string]any{"components": doc["components"]}); err != nil {
		return nil, err
	}
	o := &openAPI{paths: map[string]any{}, compiler: c, schemas: map[string]*jsonschema.Schema{}}
	for path, item := range doc["paths"].(map[string]any) {
		o.paths[strings.ToLower(path)] = item
	}
	return o, nil
})

// toJSONSchema turns OpenAPI 3.0's dialect into JSON Schema: nullable becomes
// a choice, references become absolute, and an id may lack its dashes, as the
// real server's do.
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
			out["pattern"] = "^[0-9a-f]{32}$|^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
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

// checkAgainstOpenAPI holds a 2xx reply against the document. Without the
// document there is nothing to hold it against.
func checkAgainstOpenAPI(t *testing.T, route string, a answer) {
	t.Helper()
	o, err := loadOpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	if o == nil || slices.Contains(hidden, route) {
		return
	}
	if err := o.validate(route, a); err != nil {
		t.Fatalf("%s answered %d: %v", route, a.status, err)
	}
}

func (o *openAPI) validate(route string, a answer) error {
	method, path, _ := strings.Cut(route, " ")
	o.mu.Lock()
	defer o.mu.Unlock()
	item, ok := o.paths[strings.ToLower(path)].(map[string]any)
	if !ok {
		return fmt.Errorf("the document has no %s", path)
	}
	operation, ok := item[strings.ToLower(method)].(map[string]any)
	if !ok {
		return fmt.Errorf("the document has no %s", route)
	}
	response, ok := operation["responses"].(map[string]any)[fmt.Sprint(a.status)].(map[string]any)
	if !ok {
		return fmt.Errorf("the document has no answer %d", a.status)
	}
	content, ok := response["content"].(map[string]any)
	if !ok {
		if a.body != "" {
			return fmt.Errorf("the document has no body")
		}
		return nil
	}
	schema, err := o.compiled(route, content["application/json"].(map[string]any)["schema"])
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(a.body))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

func (o *openAPI) compiled(route string, schema any) (*jsonschema.Schema, error) {
	if s, ok := o.schemas[route]; ok {
		return s, nil
	}
	url := fmt.Sprintf("mem:///route%d.json", len(o.schemas))
	if err := o.compiler.AddResource(url, schema); err != nil {
		return nil, err
	}
	s, err := o.compiler.Compile(url)
	if err == nil {
		o.schemas[route] = s
	}
	return s, err
}

// The check itself must be able to fail.
func TestOpenAPICheckFinds(t *testing.T) {
	o, err := loadOpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	if o == nil {
		t.Skip("the official document is not beside the repository")
	}
	for name, bad := range map[string]answer{
		"UnknownMember": {status: 200, body: `{"Nam":"bob"}`},
		"WrongType":     {status: 200, body: `{"Name":1}`},
		"BadID":         {status: 200, body: `{"Id":"12"}`},
		"UnknownEnum":   {status: 200, body: `{"Policy":{"AuthenticationProviderId":"a","PasswordResetProviderId":"b","SyncPlayAccess":"Maybe"}}`},
		"WrongStatus":   {status: 201, body: `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			if err := o.validate("GET /Users/{userId}", bad); err == nil {
				t.Fatalf("%s passed", bad.body)
			}
		})
	}
	if err := o.validate("GET /Users/{userId}", answer{status: 200, body: `{"Name":"bob"}`}); err != nil {
		t.Fatal(err)
	}
}
