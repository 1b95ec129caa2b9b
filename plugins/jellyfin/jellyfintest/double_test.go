package jellyfintest

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// versions are the profiles, in the order of every table's columns.
var versions = Versions()

// want is the expected answer per version, written as
//
//	"204"            the status and an empty body
//	"200"            JSON
//	"400 A"          a thrown exception
//	`404 B text`     a string that a controller returned
//	"400 C Name,$"   problem JSON, with exactly these entries in errors
//	"404 C"          problem JSON without errors
//	"503 html"       a page
//	"200 empty"      nothing, where something was due
type want [5]string

func all(w string) want                  { return want{w, w, w, w, w} }
func since109(before, after string) want { return want{before, after, after, after, after} }
func since1011(before, after string) want {
	return want{before, before, after, after, after}
}
func only12(before, after string) want { return want{before, before, before, before, after} }

// row is one line of the contract: an action and its answer in each version.
type row struct {
	name   string
	config Config
	act    func(d *double) answer
	want   want
	then   func(d *double) // looks at what came of it
}

func run(t *testing.T, rows []row) {
	t.Helper()
	for i, version := range versions {
		t.Run(version, func(t *testing.T) {
			for _, r := range rows {
				t.Run(r.name, func(t *testing.T) {
					r.config.Version = version
					d := newDouble(t, r.config)
					d.column = i
					d.check(r.act(d), r.want[i])
					if r.then != nil {
						r.then(d)
					}
				})
			}
		})
	}
}

// each runs a test on every version.
func each(t *testing.T, config Config, test func(d *double)) {
	t.Helper()
	for i, version := range versions {
		t.Run(version, func(t *testing.T) {
			config.Version = version
			d := newDouble(t, config)
			d.column = i
			test(d)
		})
	}
}

// double is a running server with a client that holds a key.
type double struct {
	*Server
	t      *testing.T
	key    string
	client *http.Client
	column int // of the version in a want
}

func newDouble(t *testing.T, config Config) *double {
	t.Helper()
	s := New(config)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true}
	d := &double{Server: s, t: t, key: s.CreateAPIKey("test"), client: &http.Client{
		Transport:     transport,
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		s.Close()
	})
	return d
}

// answer is a response, read to the end.
type answer struct {
	status  int
	header  http.Header
	length  int64
	chunked bool
	body    string
	err     error
}

func (a answer) get(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), into); err != nil {
		t.Fatalf("%v in %q", err, a.body)
	}
}

// members reads the body as an object.
func (a answer) members(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	a.get(t, &m)
	return m
}

// try sends a request as given; header nil means the double's key.
func (d *double) try(ctx context.Context, method, path, body string, header map[string]string) answer {
	r, err := http.NewRequestWithContext(ctx, method, d.URL()+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	if header == nil {
		header = map[string]string{"Authorization": `MediaBrowser Token="` + d.key + `"`}
	}
	if _, set := header["Content-Type"]; !set && body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	res, err := d.client.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return answer{
		status: res.StatusCode, header: res.Header, length: res.ContentLength,
		chunked: slices.Contains(res.TransferEncoding, "chunked"), body: string(text), err: err,
	}
}

// send is try that must be answered; replies with 2xx are held against the
// official document.
func (d *double) send(method, path, body string, header map[string]string) answer {
	d.t.Helper()
	a := d.try(d.t.Context(), method, path, body, header)
	if a.err != nil {
		d.t.Fatalf("%s %s: %v", method, path, a.err)
	}
	if a.status < 300 {
		requests := d.Requests()
		checkAgainstOpenAPI(d.t, requests[len(requests)-1].Route, a)
	}
	return a
}

func (d *double) do(method, path, body string) answer {
	d.t.Helper()
	return d.send(method, path, body, nil)
}

// as sends with a user's token.
func (d *double) as(token, method, path, body string) answer {
	d.t.Helper()
	return d.send(method, path, body, map[string]string{"Authorization": `MediaBrowser Token="` + token + `"`})
}

// bare sends without any token.
func (d *double) bare(method, path, body string) answer {
	d.t.Helper()
	return d.send(method, path, body, map[string]string{})
}

// onDevice is a complete Authorization header for a sign-in.
func onDevice(id string) map[string]string {
	return map[string]string{"Authorization": `MediaBrowser Client="Test", Device="Bench", DeviceId="` + id + `", Version="1.0"`}
}

func (d *double) login(name, password, deviceID string) answer {
	d.t.Helper()
	body, _ := json.Marshal(map[string]string{"Username": name, "Pw": password})
	return d.send("POST", "/Users/AuthenticateByName", string(body), onDevice(deviceID))
}

// token signs a user in, which must work.
func (d *double) token(name, password, deviceID string) string {
	d.t.Helper()
	a := d.login(name, password, deviceID)
	d.check(a, "200")
	return a.members(d.t)["AccessToken"].(string)
}

func (d *double) user(name string) User {
	d.t.Helper()
	u, ok := d.User(name)
	if !ok {
		d.t.Fatalf("no user %q", name)
	}
	return u
}

// policyOf reads a policy over HTTP, as a client has it.
func (d *double) policyOf(id string) map[string]any {
	d.t.Helper()
	return d.do("GET", "/Users/"+id, "").members(d.t)["Policy"].(map[string]any)
}

// policyBody reads a policy, changes members and gives the text to post; a
// nil value removes the member.
func (d *double) policyBody(id string, change map[string]any) string {
	d.t.Helper()
	policy := d.policyOf(id)
	maps.Copy(policy, change)
	maps.DeleteFunc(policy, func(_ string, v any) bool { return v == nil })
	return encodeJSON(policy)
}

func encodeJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (d *double) setPolicy(id string, change map[string]any) answer {
	d.t.Helper()
	return d.do("POST", "/Users/"+id+"/Policy", d.policyBody(id, change))
}

// check compares an answer, body and content type included.
func (d *double) check(a answer, want string) {
	d.t.Helper()
	t := d.t
	if a.err != nil {
		t.Fatalf("no answer: %v; want %s", a.err, want)
	}
	code, rest, _ := strings.Cut(want, " ")
	shape, detail, _ := strings.Cut(rest, " ")
	if got := strconv.Itoa(a.status); got != code {
		t.Fatalf("status %s, want %s; body %s", got, want, a.body)
	}
	contentType := a.header.Get("Content-Type")
	wantType := typeJSON
	switch shape {
	case "A":
		wantType = "text/plain"
		if a.body != "Error processing request." {
			t.Fatalf("body %q", a.body)
		}
	case "B":
		var text string
		a.get(t, &text)
		if text != detail {
			t.Fatalf("text %q, want %q", text, detail)
		}
	case "C":
		d.checkProblem(a, detail)
	case "html":
		wantType = "text/html"
		if !strings.HasPrefix(a.body, "<!DOCTYPE html>") {
			t.Fatalf("body %q", a.body)
		}
	case "", "empty":
		if code != "200" || shape == "empty" {
			wantType = ""
			if a.body != "" || (a.status != 204 && a.length != 0) {
				t.Fatalf("want an empty body with a length, got %q (%d)", a.body, a.length)
			}
		} else if !json.Valid([]byte(a.body)) {
			t.Fatalf("not JSON: %q", a.body)
		}
	}
	if contentType != wantType {
		t.Fatalf("content type %q, want %q", contentType, wantType)
	}
	if a.body != "" && !a.chunked {
		t.Fatal("the body is not chunked")
	}
	if a.header.Get("Server") != "Kestrel" || a.header.Get("X-Response-Time-ms") == "" {
		t.Fatalf("headers %v", a.header)
	}
}

func (d *double) checkProblem(a answer, fields string) {
	d.t.Helper()
	t := d.t
	var p struct {
		Type, Title, TraceID string
		Status               int
		Errors               map[string][]string
	}
	a.get(t, &p)
	rfc := map[bool]map[int]string{
		true:  {400: "rfc9110#section-15.5.1", 404: "rfc9110#section-15.5.5", 415: "rfc9110#section-15.5.16"},
		false: {400: "rfc7231#section-6.5.1", 404: "rfc7231#section-6.5.4", 415: "rfc7231#section-6.5.13"},
	}[d.profile.version.atLeast(10, 9, 0)][a.status]
	title := map[int]string{400: "Bad Request", 404: "Not Found", 415: "Unsupported Media Type"}[a.status]
	var want []string
	if fields != "" {
		title = "One or more validation errors occurred."
		want = strings.Split(fields, ",")
		slices.Sort(want)
	}
	if p.Type != "https://tools.ietf.org/html/"+rfc || p.Title != title || p.Status != a.status {
		t.Fatalf("problem %s", a.body)
	}
	if parts := strings.Split(p.TraceID, "-"); len(parts) != 4 || parts[0] != "00" || len(parts[1]) != 32 || len(parts[2]) != 16 || parts[3] != "00" {
		t.Fatalf("trace id %q", p.TraceID)
	}
	if got := slices.Sorted(maps.Keys(p.Errors)); !slices.Equal(got, want) {
		t.Fatalf("errors for %q, want %q: %s", got, want, a.body)
	}
}
