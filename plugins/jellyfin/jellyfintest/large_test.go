package jellyfintest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

// A hundred thousand users are made, listed and changed in seconds.
func TestHundredThousandUsers(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 2_000
	}
	d := newDouble(t, Config{Version: "10.11.11"})
	began := time.Now()
	d.AddUsers("user", n)
	t.Log("made in", time.Since(began))

	began = time.Now()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL()+"/Users", nil)
	r.Header.Set("Authorization", `MediaBrowser Token="`+d.key+`"`)
	res, err := d.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var size counter
	if _, err := io.Copy(&size, res.Body); err != nil {
		t.Fatal(err)
	}
	t.Log(size.bytes, "bytes listed in", time.Since(began))
	if size.names != n+1 {
		t.Fatal(size.names, "users in the list")
	}
	if each := size.bytes / (n + 1); each < 1500 || each > 2500 {
		t.Fatal(each, "bytes per user")
	}

	u := d.user("user000007")
	d.check(d.setPolicy(u.ID, map[string]any{"IsDisabled": true}), "204")
	d.check(d.do("DELETE", "/Users/"+u.ID, ""), "204")
	if d.UserCount() != n {
		t.Fatal(d.UserCount())
	}
}

// counter counts bytes and users without keeping them.
type counter struct {
	bytes, names int
	tail         []byte
}

var nameMember = []byte(`{"Name":`)

func (c *counter) Write(p []byte) (int, error) {
	c.bytes += len(p)
	seen := slices.Concat(c.tail, p)
	c.names += bytes.Count(seen, nameMember)
	c.tail = bytes.Clone(seen[max(0, len(seen)-len(nameMember)+1):])
	return len(p), nil
}

// Many callers at once, each with a life of its own.
func TestConcurrentUse(t *testing.T) {
	d := newDouble(t, Config{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			name := "user" + itoa(i)
			a := d.try(t.Context(), "POST", "/Users/New", `{"Name":"`+name+`","Password":"pw"}`, nil)
			var u struct {
				ID     string `json:"Id"`
				Policy json.RawMessage
			}
			if err := json.Unmarshal([]byte(a.body), &u); err != nil {
				t.Errorf("%v in %s", err, a.body)
				return
			}
			for _, step := range []struct {
				method, path, body string
				header             map[string]string
				status             int
			}{
				{"POST", "/Users/AuthenticateByName", `{"Username":"` + name + `","Pw":"pw"}`, onDevice(name), 200},
				{"GET", "/Users", "", nil, 200},
				{"POST", "/Users/" + u.ID + "/Policy", string(u.Policy), nil, 204},
				{"GET", "/Sessions", "", nil, 200},
				{"DELETE", "/Users/" + u.ID, "", nil, 204},
			} {
				if a := d.try(t.Context(), step.method, step.path, step.body, step.header); a.status != step.status {
					t.Errorf("%s %s: %d %v", step.method, step.path, a.status, a.err)
				}
			}
		})
	}
	wg.Wait()
	if d.UserCount() != 1 || d.RequestCount() != 8*6 {
		t.Fatal(d.UserCount(), "users,", d.RequestCount(), "requests")
	}
}

// It is an http.Handler too, for tests that need no port.
func TestHandler(t *testing.T) {
	s := New(Config{APIKey: "k"})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/Users", nil)
	r.Header.Set("Authorization", `MediaBrowser Token="k"`)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != 200 || !json.Valid(w.Body.Bytes()) {
		t.Fatal(w.Code, w.Body)
	}
	s.Close()
}

// The log has names of headers and parameters, never a value.
func TestLogHoldsNoSecret(t *testing.T) {
	d := newDouble(t, Config{})
	d.check(d.bare("GET", "/Users?ApiKey="+d.key, ""), "200")
	d.check(d.login("admin", "admin-password", "dev"), "200")
	text := encodeJSON(d.Requests())
	for _, secret := range []string{d.key, "admin-password", "Bench"} {
		if bytes.Contains([]byte(text), []byte(secret)) {
			t.Fatalf("%q is in %s", secret, text)
		}
	}
	q := d.Requests()[0]
	if q.Query[0] != "ApiKey" || q.Method != http.MethodGet || q.Path != "/Users" {
		t.Fatalf("%+v", q)
	}
	if d.CountRequests("POST", "/users/authenticatebyname") != 1 || d.CountRequests("", "") != 2 {
		t.Fatal("miscounted")
	}
	if d.ResetRequests(); d.RequestCount() != 0 {
		t.Fatal("not reset")
	}
}

func BenchmarkListUsers(b *testing.B) {
	s := New(Config{APIKey: "k"})
	s.AddUsers("user", 10_000)
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/Users", nil)
	r.Header.Set("Authorization", `MediaBrowser Token="k"`)
	for b.Loop() {
		s.ServeHTTP(discard{http.Header{}}, r)
	}
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}
