package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/zondarr/zondarr/sdk/sdktest"
)

// document is the OpenAPI document as a client reads it: JSON, and nothing of the
// types that it was made from.
type document struct {
	root object
	ops  []operation

	mu       sync.Mutex
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema
}

// operation is one method of one path.
type operation struct {
	method, path string
	raw          object
	params       []parameter
	// body is the schema of the request's body, nil for none.
	body object
}

type parameter struct {
	name, in string
	required bool
	schema   object
}

func (o operation) name() string { return o.method + " " + o.path }

// open says whether it needs no key.
func (o operation) open() bool { return o.raw["security"] == nil }

// served is the document of this build, read once.
var served = sync.OnceValues(func() (*document, error) {
	raw, err := Document("test")
	if err != nil {
		return nil, err
	}
	return readDocument(raw)
})

func theDocument(t testing.TB) *document {
	t.Helper()
	d, err := served()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func readDocument(raw []byte) (*document, error) {
	d := &document{compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	if err := json.Unmarshal(raw, &d.root); err != nil {
		return nil, err
	}
	tree, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
	if err != nil {
		return nil, err
	}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource("openapi.json", tree); err != nil {
		return nil, err
	}
	paths := d.root["paths"].(object)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		methods := paths[path].(object)
		for _, method := range slices.Sorted(maps.Keys(methods)) {
			d.ops = append(d.ops, d.operation(method, path, methods[method].(object)))
		}
	}
	return d, nil
}

func (d *document) operation(method, path string, raw object) operation {
	op := operation{method: strings.ToUpper(method), path: path, raw: raw}
	params, _ := raw["parameters"].([]any)
	for _, p := range params {
		p := p.(object)
		required, _ := p["required"].(bool)
		op.params = append(op.params, parameter{name: p["name"].(string), in: p["in"].(string), required: required, schema: d.resolve(p["schema"])})
	}
	if body, ok := raw["requestBody"].(object); ok {
		op.body = d.resolve(at(body, "content", "application/json", "schema"))
	}
	return op
}

// at walks into objects.
func at(v any, path ...string) any {
	for _, name := range path {
		o, ok := v.(object)
		if !ok {
			return nil
		}
		v = o[name]
	}
	return v
}

// resolve follows references.
func (d *document) resolve(v any) object {
	s, _ := v.(object)
	for s != nil && s["$ref"] != nil {
		s, _ = at(d.root, strings.Split(strings.TrimPrefix(s["$ref"].(string), "#/"), "/")...).(object)
	}
	return s
}

// response gives the schema of a status' JSON body: of the status itself, else the
// default.
func (d *document) response(op operation, status int) (schema object, pointer string) {
	for _, name := range []string{fmt.Sprint(status), "default"} {
		content, _ := at(op.raw, "responses", name, "content").(object)
		for media, m := range content {
			if s := at(m, "schema"); s != nil {
				return s.(object), "#/paths/" + escape(op.path) + "/" + strings.ToLower(op.method) + "/responses/" + name + "/content/" + escape(media) + "/schema"
			}
		}
		if at(op.raw, "responses", name) != nil {
			return nil, ""
		}
	}
	return nil, ""
}

func escape(s string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D", "+", "%2B").Replace(s)
}

// validate holds a JSON value to the schema at a pointer of the document.
func (d *document) validate(pointer string, body []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.schemas[pointer]
	if s == nil {
		var err error
		if s, err = d.compiler.Compile("openapi.json" + pointer); err != nil {
			return err
		}
		d.schemas[pointer] = s
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// find gives the operation that a request is for, or false.
func (d *document) find(method, path string) (operation, bool) {
	path, _, _ = strings.Cut(path, "?")
	var best operation
	for _, op := range d.ops {
		if op.method != method || !matches(op.path, path) {
			continue
		}
		// /servers/test is itself, and no server with the id "test".
		if best.path == "" || strings.Count(op.path, "{") < strings.Count(best.path, "{") {
			best = op
		}
	}
	return best, best.path != ""
}

func matches(pattern, path string) bool {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && (!strings.HasPrefix(want[i], "{") || got[i] == "") {
			return false
		}
	}
	return true
}

// sample gives a value that a schema allows: only what is required, unless full.
func (d *document) sample(s object, full bool) any {
	s = d.resolve(s)
	if one, ok := s["oneOf"].([]any); ok {
		return d.sample(one[0].(object), full)
	}
	if enum, ok := s["enum"].([]any); ok {
		return enum[0]
	}
	switch kind(s) {
	case "object":
		out := object{}
		required, _ := s["required"].([]any)
		properties, _ := s["properties"].(object)
		for name, p := range properties {
			if full || slices.Contains(required, any(name)) {
				out[name] = d.sample(p.(object), full)
			}
		}
		return out
	case "array":
		out := []any{}
		for range int(number0(s["minItems"])) {
			out = append(out, d.sample(s["items"].(object), full))
		}
		return out
	case "integer", "number":
		return max(number0(s["minimum"]), 1)
	case "boolean":
		return true
	default:
		return sampleText(s)
	}
}

func sampleText(s object) string {
	switch pattern, _ := s["pattern"].(string); {
	case s["format"] == "uuid":
		return uuid.NewString()
	case s["format"] == "date-time":
		return "2031-02-03T04:05:06Z"
	case pattern != "":
		return rapid.StringMatching(pattern).Example(1)
	}
	return strings.Repeat("x", int(max(number0(s["minLength"]), 1)))
}

func number0(v any) float64 { n, _ := v.(float64); return n }

// kind gives a schema's type, without null.
func kind(s object) string {
	switch t := s["type"].(type) {
	case string:
		return t
	case []any:
		for _, name := range t {
			if name != "null" {
				return name.(string)
			}
		}
	}
	return ""
}

// nullable says whether a schema allows null.
func (d *document) nullable(s object) bool {
	if t, ok := d.resolve(s)["type"].([]any); ok && slices.Contains(t, any("null")) {
		return true
	}
	one, _ := s["oneOf"].([]any)
	return slices.ContainsFunc(one, func(v any) bool { return v.(object)["type"] == "null" })
}

// url fills the path with values, by default ids that nothing has.
func (o operation) url(values map[string]string) string {
	path := o.path
	for _, p := range o.params {
		if p.in != "path" {
			continue
		}
		v, ok := values[p.name]
		if !ok {
			v = "nothing-has-this"
			if p.schema["format"] == "uuid" {
				v = uuid.NewString()
			}
		}
		path = strings.ReplaceAll(path, "{"+p.name+"}", v)
	}
	return path
}

// request makes a valid call of an operation on what is not there.
func (d *document) request(op operation) request {
	r := request{method: op.method, path: op.url(nil)}
	if op.body != nil {
		r.body = d.sample(op.body, false)
	}
	return r
}

// eachOperation runs a subtest for every operation that the document has.
func eachOperation(t *testing.T, test func(t *testing.T, d *document, op operation)) {
	d := theDocument(t)
	if len(d.ops) < 40 {
		t.Fatalf("the document has only %d operations", len(d.ops))
	}
	for _, op := range d.ops {
		t.Run(op.name(), func(t *testing.T) { test(t, d, op) })
	}
}

var (
	utcTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$`)
	someDay = regexp.MustCompile(`^\d{4}-\d\d-\d\dT`)
)

// check is what holds for every answer: it is as the document says, times are in UTC
// to the microsecond (R2.7), and an error is a problem that the log knows (R9).
func (w *world) check(r request, a answer) {
	w.t.Helper()
	what := r.method + " " + r.path
	id := a.header.Get(correlationHeader)
	if id == "" {
		w.t.Errorf("%s: no correlation id", what)
	}
	op, known := theDocument(w.t).find(r.method, r.path)
	if known && a.status != http.StatusNoContent {
		if _, pointer := theDocument(w.t).response(op, a.status); pointer == "" {
			w.t.Errorf("%s: the document says nothing of status %d", what, a.status)
		} else if err := theDocument(w.t).validate(pointer, a.body); err != nil {
			w.t.Errorf("%s: the answer is not as documented: %v\n%s", what, err, a.body)
		}
	}
	if a.status == http.StatusNoContent && len(a.body) > 0 {
		w.t.Errorf("%s: a 204 with a body", what)
	}
	if a.status == http.StatusCreated && a.header.Get("Location") == "" {
		w.t.Errorf("%s: a 201 without Location", what)
	}
	if strings.Contains(a.header.Get("Content-Type"), "json") {
		var v any
		if err := json.Unmarshal(a.body, &v); err != nil {
			w.t.Errorf("%s: %v: %s", what, err, a.body)
		}
		checkTimes(w.t, what, v)
	}
	if a.status >= 400 && !strings.HasPrefix(r.path, "/health") {
		w.checkProblem(what, a, id)
	}
}

func checkTimes(t testing.TB, what string, v any) {
	t.Helper()
	switch v := v.(type) {
	case object:
		for name, member := range v {
			if s, ok := member.(string); ok && someDay.MatchString(s) && !utcTime.MatchString(s) {
				t.Errorf("%s: %s is %s, which is not UTC to the microsecond", what, name, s)
			}
			checkTimes(t, what, member)
		}
	case []any:
		for _, item := range v {
			checkTimes(t, what, item)
		}
	}
}

// problemMembers are always there.
var problemMembers = []string{
	"correlation_id", "detail", "error_code", "errors", "plugin", "resource", "retry_after_s", "retryable", "server", "status", "timestamp", "title", "type",
}

func (w *world) checkProblem(what string, a answer, id string) {
	w.t.Helper()
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		w.t.Errorf("%s: an error of the type %q: %s", what, got, a.body)
		return
	}
	body := a.object()
	if got := slices.Sorted(maps.Keys(body)); !slices.Equal(got, problemMembers) {
		w.t.Errorf("%s: a problem has the members %v", what, got)
	}
	p := a.problem()
	code := strings.TrimPrefix(p.Type, "urn:zondarr:error:")
	if code != p.ErrorCode || code == "" || p.Title == "" || p.Detail == "" || p.Status != a.status || p.Errors == nil {
		w.t.Errorf("%s: an incomplete problem: %s", what, a.body)
	}
	if age := time.Since(p.Timestamp); age < -time.Minute || age > 10*time.Minute {
		w.t.Errorf("%s: the problem happened at %s", what, p.Timestamp)
	}
	if p.CorrelationID != id {
		w.t.Errorf("%s: correlation id %q in the body and %q in the header", what, p.CorrelationID, id)
	}
	if got := a.header.Get("Retry-After"); (p.RetryAfterS == nil) != (got == "") || p.RetryAfterS != nil && got != fmt.Sprint(*p.RetryAfterS) {
		w.t.Errorf("%s: Retry-After %q and retry_after_s %v", what, got, p.RetryAfterS)
	}
	told := 0
	for _, line := range w.log.with(id) {
		if line["error_code"] == p.ErrorCode {
			told++
		}
	}
	if told != 1 { // R9.5
		w.t.Errorf("%s: the log has the error %d times under %s", what, told, id)
	}
	for _, inside := range internals {
		if strings.Contains(string(a.body), inside) {
			w.t.Errorf("%s: %q in the body of an error: %s", what, inside, a.body)
		}
	}
}

// internals are what no error may show (R9.6).
var internals = []string{"SELECT", "INSERT", "UPDATE ", "sqlite", "pq:", "sql:", "/root", ".go:", "goroutine", "Go struct", "Go value", "json:", "*errors", "0x"}

// known makes a body name what there is, where a service looks at that before it asks
// the database.
func (d *document) known(op operation, body any) any {
	o, ok := body.(object)
	if !ok {
		return body
	}
	if o["server_type"] != nil {
		o["server_type"], o["url"], o["secrets"] = sdktest.FakeType, "http://home.fake.test", object{"api_key": sdktest.FakeKey}
	}
	properties, _ := op.body["properties"].(object)
	if properties["servers"] != nil && op.method == http.MethodPost {
		o["servers"] = []any{everything(uuid.NewString())}
	}
	return o
}
