package plextest_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
)

// world is a started Fake with an owner, two servers and two other people.
type world struct {
	t      *testing.T
	f      *plextest.Fake
	http   *http.Client
	owner  plextest.Account
	alice  plextest.Account
	bob    plextest.Account
	home   *plextest.Server // Movies, Shows, Music
	second *plextest.Server
	token  string // the owner's
}

func newWorld(t *testing.T, change ...func(*plextest.Switches)) *world {
	t.Helper()
	switches := plextest.DefaultSwitches()
	for _, c := range change {
		c(&switches)
	}
	f := plextest.New(plextest.Config{Switches: &switches, Control: true})
	if err := f.Start(); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, f: f, http: &http.Client{Transport: transport, Timeout: 10 * time.Second}}
	w.owner = f.MustAddAccount(plextest.Account{Username: "owner", PlexPass: true})
	w.alice = f.MustAddAccount(plextest.Account{Username: "alice"})
	w.bob = f.MustAddAccount(plextest.Account{Username: "bob"})
	w.home = f.MustAddServer(plextest.ServerSpec{Owner: w.owner.ID, Name: "Home", Sections: []plextest.Section{
		{Title: "Movies", Type: "movie"}, {Title: "Shows", Type: "show"}, {Title: "Music", Type: "artist"},
	}})
	w.second = f.MustAddServer(plextest.ServerSpec{Owner: w.owner.ID, Name: "Second", Sections: []plextest.Section{{Title: "Films"}}})
	w.token = f.Token(w.owner.ID, "owner-client")
	return w
}

// answer is a response that was read.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

type option func(*http.Request)

func asXML(r *http.Request) { r.Header.Del("Accept") }
func client(id string) option {
	return func(r *http.Request) { r.Header.Set("X-Plex-Client-Identifier", id) }
}
func header(name, value string) option    { return func(r *http.Request) { r.Header.Set(name, value) } }
func as(token string) option              { return header("X-Plex-Token", token) }
func nobody(r *http.Request)              { r.Header.Del("X-Plex-Token") }
func (w *world) cloud(path string) string { return w.f.CloudURL() + path }

// do sends a request as the owner, asking for JSON, unless options say otherwise.
func (w *world) do(method, url string, body any, options ...option) answer {
	w.t.Helper()
	a, err := w.try(method, url, body, options...)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, url, err)
	}
	return a
}

func (w *world) try(method, url string, body any, options ...option) (answer, error) {
	w.t.Helper()
	var reader io.Reader
	contentType := "application/json"
	switch body := body.(type) {
	case nil:
	case string:
		reader, contentType = strings.NewReader(body), "application/x-www-form-urlencoded"
	default:
		encoded, err := json.Marshal(body)
		if err != nil {
			w.t.Fatal(err)
		}
		reader = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, url, reader)
	if err != nil {
		w.t.Fatal(err)
	}
	if reader != nil {
		req.Header.Set("Content-Type", contentType)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("X-Plex-Client-Identifier", "owner-client")
	req.Header.Set("X-Plex-Token", w.token)
	for _, o := range options {
		o(req)
	}
	res, err := w.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	read, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, err
	}
	return answer{t: w.t, status: res.StatusCode, header: res.Header, body: read}, nil
}

func (w *world) get(path string, options ...option) answer {
	w.t.Helper()
	return w.do(http.MethodGet, w.cloud(path), nil, options...)
}

// is asserts the status.
func (a answer) is(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// object is the body as a JSON object.
func (a answer) object() object {
	a.t.Helper()
	out := object{t: a.t}
	a.decode(&out.m)
	return out
}

// list is the body as a JSON array of objects.
func (a answer) list() []object {
	a.t.Helper()
	var raw []map[string]any
	a.decode(&raw)
	out := make([]object, len(raw))
	for i, m := range raw {
		out[i] = object{t: a.t, m: m}
	}
	return out
}

func (a answer) decode(into any) {
	a.t.Helper()
	if ct := a.header.Get("Content-Type"); !strings.Contains(ct, "application/json") {
		a.t.Fatalf("content type %q, want JSON: %s", ct, a.body)
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		a.t.Fatalf("%v in %s", err, a.body)
	}
}

// errorCode is the code of a v2 error in JSON.
func (a answer) errorCode() int {
	a.t.Helper()
	list := a.object().objects("errors")
	if len(list) != 1 {
		a.t.Fatalf("%d errors in %s", len(list), a.body)
	}
	return int(list[0].number("code"))
}

// xml is the body as a tree of elements.
func (a answer) xml() *node {
	a.t.Helper()
	if ct := a.header.Get("Content-Type"); !strings.Contains(ct, "xml") {
		a.t.Fatalf("content type %q, want XML: %s", ct, a.body)
	}
	n := &node{}
	if err := xml.Unmarshal(a.body, n); err != nil {
		a.t.Fatalf("%v in %s", err, a.body)
	}
	return n
}

type node struct {
	XMLName xml.Name
	Attrs   []xml.Attr `xml:",any,attr"`
	Kids    []*node    `xml:",any"`
	Text    string     `xml:",chardata"`
}

func (n *node) attr(name string) string {
	for _, a := range n.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return "<absent>"
}

// find lists the descendants with this name, in order.
func (n *node) find(name string) []*node {
	var out []*node
	for _, k := range n.Kids {
		if k.XMLName.Local == name {
			out = append(out, k)
		}
		out = append(out, k.find(name)...)
	}
	return out
}

type object struct {
	t *testing.T
	m map[string]any
}

func (o object) at(key string) any {
	o.t.Helper()
	v, found := o.m[key]
	if !found {
		o.t.Fatalf("no %q in %v", key, o.m)
	}
	return v
}

func (o object) text(key string) string {
	o.t.Helper()
	s, isText := o.at(key).(string)
	if !isText {
		o.t.Fatalf("%q is %T, want text", key, o.m[key])
	}
	return s
}

func (o object) number(key string) int64 {
	o.t.Helper()
	n, isNumber := o.at(key).(float64)
	if !isNumber {
		o.t.Fatalf("%q is %T, want a number", key, o.m[key])
	}
	return int64(n)
}

func (o object) truth(key string) bool {
	o.t.Helper()
	b, isBool := o.at(key).(bool)
	if !isBool {
		o.t.Fatalf("%q is %T, want a bool", key, o.m[key])
	}
	return b
}

func (o object) object(key string) object {
	o.t.Helper()
	m, isObject := o.at(key).(map[string]any)
	if !isObject {
		o.t.Fatalf("%q is %T, want an object", key, o.m[key])
	}
	return object{t: o.t, m: m}
}

func (o object) objects(key string) []object {
	o.t.Helper()
	list, isList := o.at(key).([]any)
	if !isList {
		o.t.Fatalf("%q is %T, want an array", key, o.m[key])
	}
	out := make([]object, len(list))
	for i, v := range list {
		out[i] = object{t: o.t, m: v.(map[string]any)}
	}
	return out
}
