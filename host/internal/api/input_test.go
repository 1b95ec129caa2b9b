package api

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

// These tests run over every operation of the document, so that a new one is held to
// them without a line here (R9.2, R9.3).

func TestWithoutAKeyNothingButWhatIsPublic(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	eachOperation(t, func(t *testing.T, d *document, op operation) {
		w, r := w.in(t), d.request(op)
		public := strings.HasPrefix(op.path, "/health") || strings.HasPrefix(op.path, "/api/v1/join/")
		if op.open() != public {
			t.Errorf("the document says that it is public: %v", op.open())
		}
		last := "A"
		if strings.HasSuffix(w.key, last) {
			last = "B"
		}
		for _, key := range []string{"none", "zdr_" + strings.Repeat("x", 32), w.key[:len(w.key)-1] + last, w.key + "x", w.key[:30], "\x01"} {
			r.key = key
			a := w.do(r)
			if public {
				if a.status == http.StatusUnauthorized {
					t.Errorf("asks for a key: %s", a.body)
				}
				continue
			}
			a.refused(http.StatusUnauthorized, fault.CodeUnauthenticated)
			if a.header.Get("WWW-Authenticate") == "" {
				t.Error("a 401 without WWW-Authenticate")
			}
		}
	})
	var beside []string
	d := theDocument(t)
	err := chi.Walk(w.handler.(chi.Routes), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if !slices.ContainsFunc(d.ops, func(op operation) bool { return op.method == method && op.path == route }) {
			beside = append(beside, method+" "+route)
		}
		return nil
	})
	slices.Sort(beside)
	want := []string{"GET /docs", "GET /docs/*", "GET /j/{code}", "GET /openapi-3.0.json", "GET /openapi-3.0.yaml", "GET /openapi.json", "GET /openapi.yaml"}
	if err != nil || !slices.Equal(beside, want) {
		t.Errorf("beside the document there are %v, %v; want %v", beside, err, want)
	}
}

func TestMalformedBodies(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	eachOperation(t, func(t *testing.T, d *document, op operation) {
		if op.body == nil {
			return
		}
		w, r := w.in(t), d.request(op)
		for _, body := range []string{"{", `{"a":}`, "nonsense", `{} {}`, `{"a":1,}`, "{\"a\":\"\xff\"}", "\xef\xbb\xbf{}", `{'a':1}`} {
			r.body = body
			w.do(r).refused(http.StatusBadRequest, fault.CodeMalformedJSON).blames(t, "body", fault.FieldInvalid)
		}
		for _, body := range []string{`[]`, `"text"`, `1`, `true`} {
			r.body = body
			w.do(r).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "body", fault.FieldInvalid)
		}
		r.body = `{"nothing":"a` + `\u0000` + `b"}`
		w.do(r).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "body", fault.FieldInvalid)

		r.body = io.MultiReader(strings.NewReader(`{"a":`), iotest.ErrReader(io.ErrUnexpectedEOF))
		w.do(r).refused(http.StatusBadRequest, fault.CodeMalformedJSON)

		r.body = `{"nothing":"` + strings.Repeat("x", bodyLimit) + `"}`
		w.do(r).refused(http.StatusRequestEntityTooLarge, fault.CodeBodyTooLarge)

		r = d.request(op)
		for _, media := range []string{"text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "nonsense"} {
			r.header = http.Header{"Content-Type": {media}}
			w.do(r).refused(http.StatusUnsupportedMediaType, fault.CodeUnsupportedMediaType).blames(t, "header.Content-Type", fault.FieldUnsupported)
		}
		for _, media := range []string{"application/json; charset=utf-8", "application/merge-patch+json"} {
			r.header = http.Header{"Content-Type": {media}}
			if a := w.do(r); a.status == http.StatusUnsupportedMediaType {
				t.Errorf("refuses %s", media)
			}
		}
		if required, _ := at(op.raw, "requestBody", "required").(bool); required {
			r.body, r.header = "", nil
			w.do(r).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "body", fault.FieldRequired)
		}
	})
}

func TestUnknownAndReadOnlyMembers(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	readOnly := 0
	eachOperation(t, func(t *testing.T, d *document, op operation) {
		if op.body == nil {
			return
		}
		w, r := w.in(t), d.request(op)
		with := func(name string, v any) Problem {
			body := d.sample(op.body, false).(object)
			body[name] = v
			r.body = body
			return w.do(r).refused(http.StatusBadRequest, fault.CodeInvalidInput)
		}
		with("nothing", 1).blames(t, "body.nothing", fault.FieldUnknown)
		properties, _ := op.body["properties"].(object)
		for name := range properties {
			with(strings.ToUpper(name), nil).blames(t, "body."+strings.ToUpper(name), fault.FieldUnknown)
		}
		success := http.StatusOK
		if at(op.raw, "responses", "201") != nil {
			success = http.StatusCreated
		}
		answered, _ := d.response(op, success)
		shown, _ := d.resolve(answered)["properties"].(object)
		for name := range shown {
			if properties[name] == nil {
				readOnly++
				with(name, "x").blames(t, "body."+name, fault.FieldReadOnly)
			}
		}
	})
	if readOnly < 50 {
		t.Errorf("only %d members are read-only", readOnly)
	}
	w.patch("/api/v1/invitations/"+uuid.NewString(), object{"servers": []any{object{"server_id": uuid.NewString(), "libraries": object{"access": "all", "color": 1}, "warnings": []any{}}}}).
		refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "body.servers[0].warnings", fault.FieldReadOnly)
}

// Every constraint that the document declares is kept (R7.3).
func TestDeclaredConstraints(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	tried := 0
	eachOperation(t, func(t *testing.T, d *document, op operation) {
		w := w.in(t)
		try := func(location string, s object, send func(v any) request) {
			for _, bad := range breaking(s) {
				tried++
				w.do(send(bad.value)).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, location, bad.code)
			}
		}
		if op.body != nil {
			d.members(op.body, "body", func(v any) request {
				r := d.request(op)
				r.body = v
				return r
			}, func(location string, s object, required bool, send func(v any) request) {
				try(location, d.resolve(s), send)
				switch a := w.do(send(nil)); {
				case d.nullable(s) && a.status == http.StatusBadRequest && blamed(a, location):
					t.Errorf("%s may be null, and is not: %s", location, a.body)
				case !d.nullable(s) && op.method == http.MethodPatch && !strings.Contains(location, "["):
					a.refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, location, fault.FieldRequired)
				}
				if required {
					w.do(send(absent)).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, location, fault.FieldRequired)
				}
			})
		}
		for _, p := range op.params {
			switch p.in {
			case "query":
				s, location := p.schema, "query."+p.name
				if kind(s) == "array" {
					s, location = d.resolve(s["items"]), location+"[0]"
				}
				try(location, s, func(v any) request {
					r := d.request(op)
					r.path += "?" + p.name + "=" + urlEscape(v)
					return r
				})
			case "header":
				try("header."+p.name, p.schema, func(v any) request {
					r := d.request(op)
					r.header = http.Header{p.name: {fmt.Sprint(v)}}
					return r
				})
			}
		}
	})
	if tried < 200 {
		t.Errorf("only %d values were tried", tried)
	}
}

// absent is no value at all.
var absent = new(int)

// members calls do for every member that a body may have, however deep, with a way to
// send a body that is valid but for this member.
func (d *document) members(s object, location string, send func(v any) request, do func(location string, s object, required bool, send func(v any) request)) {
	properties, _ := s["properties"].(object)
	required, _ := s["required"].([]any)
	for name, p := range properties {
		p, at := p.(object), location+"."+name
		with := func(v any) request {
			body := d.sample(s, false).(object)
			if body[name] = v; v == any(absent) {
				delete(body, name)
			}
			return send(body)
		}
		do(at, p, slices.Contains(required, any(name)), with)
		switch inner := d.resolve(p); {
		case inner["properties"] != nil:
			d.members(inner, at, with, do)
		case kind(inner) == "array" && d.resolve(inner["items"])["properties"] != nil:
			d.members(d.resolve(inner["items"]), at+"[0]", func(v any) request { return with([]any{v}) }, do)
		}
	}
}

func blamed(a answer, location string) bool {
	return slices.ContainsFunc(a.problem().Errors, func(e FieldError) bool { return e.Location == location })
}

func urlEscape(v any) string { return url.QueryEscape(fmt.Sprint(v)) }

type badValue struct {
	value any
	code  string
}

// breaking gives values that break a schema, each in one way.
func breaking(s object) []badValue {
	var out []badValue
	add := func(code string, v any) { out = append(out, badValue{v, code}) }
	switch kind(s) {
	case "string":
		if s["enum"] != nil || s["format"] == "uuid" || s["format"] == "date-time" {
			add(fault.FieldInvalid, "nonsense")
			break
		}
		if n, ok := s["maxLength"].(float64); ok {
			add(fault.FieldTooLong, strings.Repeat("x", int(n)+1))
		}
		if n, ok := s["minLength"].(float64); ok && n > 0 && s["in"] == nil {
			add(fault.FieldTooShort, strings.Repeat("x", int(n)-1))
		}
		if s["pattern"] != nil {
			add(fault.FieldPattern, "\x01")
		}
	case "integer":
		if n, ok := s["minimum"].(float64); ok {
			add(fault.FieldOutOfRange, int(n)-1)
		}
		if n, ok := s["maximum"].(float64); ok {
			add(fault.FieldOutOfRange, int(n)+1)
		}
		add(fault.FieldInvalid, "many")
	case "boolean":
		add(fault.FieldInvalid, "perhaps")
	case "array":
		if n, ok := s["minItems"].(float64); ok && n > 0 {
			add(fault.FieldTooShort, []any{})
		}
		if n, ok := s["maxItems"].(float64); ok {
			add(fault.FieldTooLong, slices.Repeat([]any{"x"}, int(n)+1))
		}
		add(fault.FieldInvalid, 1)
	case "object":
		add(fault.FieldInvalid, 1)
	}
	return out
}

func TestUnknownQueryParameters(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	eachOperation(t, func(t *testing.T, d *document, op operation) {
		w, r := w.in(t), d.request(op)
		path := r.path
		r.path = path + "?nothing=1"
		w.do(r).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "query.nothing", fault.FieldUnknown)
		for _, query := range []string{"?%zz", "?a=%ff", "?a=1;b=2", "?a=%00"} {
			r.path = path + query
			w.do(r).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "query", fault.FieldInvalid)
		}
	})
}

// What stands twice and is no list would be dropped without a word; times that cannot
// be written in UTC are refused as in bodies.
func TestQueryParametersThatCannotBeMeant(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	twice, times := 0, 0
	eachOperation(t, func(t *testing.T, d *document, op operation) {
		w, r := w.in(t), d.request(op)
		path := r.path
		for _, p := range op.params {
			if p.in != "query" {
				continue
			}
			if p.schema["type"] != "array" {
				twice++
				r.path = path + "?" + p.name + "=a&" + p.name + "=b"
				w.do(r).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "query."+p.name, fault.FieldDuplicate)
			}
			if p.schema["format"] == "date-time" {
				times++
				for _, at := range []string{"9999-12-31T23:59:59-05:00", "0000-01-01T00:00:00%2B05:00"} {
					r.path = path + "?" + p.name + "=" + at
					w.do(r).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "query."+p.name, fault.FieldOutOfRange)
				}
			}
		}
	})
	if twice < 30 || times < 3 {
		t.Errorf("only %d parameters, %d times", twice, times)
	}
}

func TestPaths(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	resources := 0
	eachOperation(t, func(t *testing.T, d *document, op operation) {
		w := w.in(t)
		management := strings.HasPrefix(op.path, "/api/v1/") && !op.open()
		for _, p := range op.params {
			if p.in != "path" {
				continue
			}
			if management && (p.name == "id" || strings.HasSuffix(p.name, "_id")) && p.schema["format"] != "uuid" {
				t.Errorf("%s is an id and not declared as one", p.name)
			}
			r := d.request(op)
			if p.schema["format"] == "uuid" {
				r.path = op.url(map[string]string{p.name: "7"})
				w.do(r).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "path."+p.name, fault.FieldInvalid)
			}
			r.path = op.url(map[string]string{p.name: "%ff"})
			w.do(r).refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "path", fault.FieldInvalid)
		}
		if !strings.Contains(op.path, "{") {
			return
		}
		id := uuid.NewString()
		r := d.request(op)
		switch {
		case op.open():
			// Whether the code, the link or the redemption is unknown is not told.
			if p := w.do(r).want(http.StatusNotFound).problem(); len(p.Errors) > 0 {
				t.Errorf("a code that nobody has: %+v", p)
			}
			return
		case strings.Contains(op.path, "{id}"):
			r.path = op.url(map[string]string{"id": id})
		default:
			id = "nothing-has-this"
		}
		a := w.do(r)
		a.refused(http.StatusNotFound, fault.CodeNotFound)
		resource, _ := a.object()["resource"].(object)
		if resource["id"] != id || resource["type"] == "" {
			t.Errorf("not found is %v, want %s", resource, id)
		}
		resources++
	})
	if resources < 20 {
		t.Errorf("only %d operations name a resource", resources)
	}
	for _, path := range []string{"/", "/api", "/api/v1", "/api/v2/servers", "/api/v1/servers/", "/api/v1/nothing", "/health/", "/favicon.ico"} {
		w.do(request{method: "GET", path: path, key: "none"}).refused(http.StatusNotFound, fault.CodeNotFound)
	}
}

func TestMethods(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	d := theDocument(t)
	takes := map[string][]string{}
	for _, op := range d.ops {
		takes[op.path] = append(takes[op.path], op.method)
		if op.method == http.MethodGet {
			takes[op.path] = append(takes[op.path], http.MethodHead)
		}
	}
	for _, op := range d.ops {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
			path := op.url(nil)
			if found, ok := d.find(strings.Replace(method, "HEAD", "GET", 1), path); slices.Contains(takes[op.path], method) || ok && found.path != op.path {
				continue
			}
			a := w.do(request{method: method, path: path})
			a.refused(http.StatusMethodNotAllowed, fault.CodeMethodNotAllowed)
			for _, m := range takes[op.path] {
				if !strings.Contains(a.header.Get("Allow"), m) {
					t.Errorf("%s %s: Allow is %q", method, op.path, a.header.Get("Allow"))
				}
			}
		}
	}
	for _, path := range []string{"/docs", "/openapi.json", "/j/K7M2QX9PR4TD"} {
		w.do(request{method: "POST", path: path}).refused(http.StatusMethodNotAllowed, fault.CodeMethodNotAllowed)
		if a := w.do(request{method: "HEAD", path: path}); a.status != http.StatusOK {
			t.Errorf("HEAD %s: %d", path, a.status)
		}
	}
}

func TestPaging(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	server := w.addServer()
	lists := 0
	eachOperation(t, func(t *testing.T, d *document, op operation) {
		if !slices.ContainsFunc(op.params, func(p parameter) bool { return p.name == "cursor" }) {
			return
		}
		lists++
		w := w.in(t)
		op.path = strings.Replace(op.path, "{id}", server, 1)
		for _, cursor := range []string{"nonsense", "e30", "eyJ2IjoxLCJpIjoiMDE5YSIsImIiOiIifQ", "..."} {
			w.get(op.path+"?cursor="+cursor).refused(http.StatusBadRequest, fault.CodeInvalidCursor).blames(t, "query.cursor", fault.FieldInvalid)
		}
		w.get(op.path+"?sort=nothing").refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "query.sort", fault.FieldUnsupported)
		w.get(op.path+"?sort=--created_at").refused(http.StatusBadRequest, fault.CodeInvalidInput).blames(t, "query.sort", fault.FieldUnsupported)
		if next, there := w.get(op.path + "?limit=200&sort=-created_at").want(http.StatusOK).object()["next_cursor"]; next != nil || !there {
			t.Errorf("a list of one page goes on at %v", next)
		}
	})
	if lists < 8 {
		t.Errorf("only %d lists", lists)
	}
}
