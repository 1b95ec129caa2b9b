package plextest_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
)

func TestFaultsInsteadOfTheHandler(t *testing.T) {
	for name, c := range map[string]struct {
		fault  plextest.Fault
		status int
		check  func(t *testing.T, a answer)
	}{
		"gone": {plextest.Fault{Kind: plextest.FaultGone}, 410, func(t *testing.T, a answer) {
			if a.xml().attr("status") != "This endpoint was deprecated and removed" {
				t.Errorf("%s", a.body)
			}
		}},
		"rateLimit": {plextest.Fault{Kind: plextest.FaultRateLimit}, 429, func(t *testing.T, a answer) {
			if a.errorCode() != 1003 || a.header.Get("Retry-After") != "" {
				t.Errorf("%s %v", a.body, a.header)
			}
		}},
		"rateLimit with Retry-After": {plextest.Fault{Kind: plextest.FaultRateLimit, RetryAfter: "7"}, 429, func(t *testing.T, a answer) {
			if a.header.Get("Retry-After") != "7" {
				t.Errorf("%v", a.header)
			}
		}},
		"down":                 {plextest.Fault{Kind: plextest.FaultDown}, 503, func(*testing.T, answer) {}},
		"htmlError":            {plextest.Fault{Kind: plextest.FaultHTML}, 502, wantHTML},
		"HTML instead of JSON": {plextest.Fault{Kind: plextest.FaultHTML, Status: 200}, 200, wantHTML},
		"status": {plextest.Fault{Kind: plextest.FaultStatus, Status: 418, Body: "teapot"}, 418, func(t *testing.T, a answer) {
			if string(a.body) != "teapot" {
				t.Errorf("%s", a.body)
			}
		}},
		"maintenance": {plextest.Fault{Kind: plextest.FaultMaintenance}, 503, func(t *testing.T, a answer) {
			if a.xml().attr("title") != "Maintenance" {
				t.Errorf("%s", a.body)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.fault.Method, c.fault.Path, c.fault.Times = "POST", v2Shares, 1
			id := w.f.AddFault(c.fault)
			w.get("/api/v2/user").is(200) // does not match
			c.check(t, w.createV2(w.invite(w.alice.ID, "Movies")).is(c.status))
			if len(w.f.Shares()) != 0 || w.f.FaultHits(id) != 1 {
				t.Error("something was committed")
			}
			w.createV2(w.invite(w.alice.ID, "Movies")).is(201)
		})
	}
}

func wantHTML(t *testing.T, a answer) {
	t.Helper()
	if a.header.Get("Content-Type") != "text/html" || !strings.Contains(string(a.body), "<html>") {
		t.Errorf("%v %s", a.header, a.body)
	}
}

func TestFaultDropsTheConnection(t *testing.T) {
	for kind, committed := range map[plextest.FaultKind]int{plextest.FaultDropRequest: 0, plextest.FaultDropResponse: 1} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t)
			w.f.AddFault(plextest.Fault{Kind: kind, Method: "POST", Path: v2Shares, Times: 1})
			if a, err := w.try("POST", w.cloud(v2Shares), w.invite(w.alice.ID, "Movies")); err == nil {
				t.Fatalf("answered %d %s", a.status, a.body)
			}
			if n := len(w.f.Shares()); n != committed {
				t.Errorf("%d shares committed, want %d", n, committed)
			}
		})
	}
}

func TestFaultHangsUntilReleased(t *testing.T) {
	for kind, committed := range map[plextest.FaultKind]int{plextest.FaultHang: 0, plextest.FaultHangResponse: 1} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t)
			id := w.f.AddFault(plextest.Fault{Kind: kind, Method: "POST", Path: v2Shares})
			done := make(chan answer)
			go func() {
				a, err := w.try("POST", w.cloud(v2Shares), w.invite(w.alice.ID, "Movies"))
				if err != nil {
					t.Error(err)
				}
				done <- a
			}()
			w.until(func() bool { return w.f.FaultWaiting(id) == 1 && len(w.f.Shares()) == committed })
			w.get("/api/v2/user").is(200) // the others go on meanwhile
			select {
			case a := <-done:
				t.Fatalf("answered %d before the release", a.status)
			default:
			}
			w.f.Release(id)
			(<-done).is(201)
			if len(w.f.Shares()) != 1 {
				t.Error("not committed after the release")
			}
		})
	}
	t.Run("a client that gives up commits nothing", func(t *testing.T) {
		w := newWorld(t)
		id := w.f.AddFault(plextest.Fault{Kind: plextest.FaultHang, Method: "POST", Path: v2Shares})
		w.http.Timeout = 50 * time.Millisecond
		if _, err := w.try("POST", w.cloud(v2Shares), w.invite(w.alice.ID, "Movies")); err == nil {
			t.Fatal("answered")
		}
		w.http.Timeout = 10 * time.Second
		w.until(func() bool { return w.f.FaultWaiting(id) == 0 })
		w.f.Release(id)
		w.get("/api/v2/user").is(200)
		if len(w.f.Shares()) != 0 {
			t.Error("committed for nobody")
		}
	})
	t.Run("Close lets go", func(t *testing.T) {
		w := newWorld(t)
		id := w.f.AddFault(plextest.Fault{Kind: plextest.FaultHang, Path: "/api/v2/user"})
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.try("GET", w.cloud("/api/v2/user"), nil) //nolint:errcheck // whichever way it ends
		}()
		w.until(func() bool { return w.f.FaultWaiting(id) == 1 })
		if err := w.f.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
}

// until waits for something that another goroutine does.
func (w *world) until(done func() bool) {
	w.t.Helper()
	for range 2000 {
		if done() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	w.t.Fatal("it did not happen")
}

func TestFaultBody(t *testing.T) {
	w := newWorld(t)
	w.f.AddFault(plextest.Fault{Kind: plextest.FaultTruncate, Path: "/api/v2/user", Times: 1})
	if _, err := w.try("GET", w.cloud("/api/v2/user"), nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("truncated: %v", err)
	}
	w.f.ClearFaults()
	id := w.f.AddFault(plextest.Fault{Kind: plextest.FaultSlowBody, Path: "/api/v2/user"})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, w.cloud("/api/v2/user"), nil)
	req.Header.Set("X-Plex-Token", w.token)
	req.Header.Set("X-Plex-Client-Identifier", "owner-client")
	res, err := w.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK { // headers and a half are here, the rest is not
		t.Fatalf("status %d", res.StatusCode)
	}
	w.f.Release(id)
	body, err := io.ReadAll(res.Body)
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(body)), "</user>") {
		t.Errorf("%v: %s", err, body)
	}
	w.f.ClearFaults()
	w.f.AddFault(plextest.Fault{Kind: plextest.FaultSlowBody, Path: "/api/v2/user", Delay: time.Millisecond})
	w.get("/api/v2/user").is(200)
}

func TestFaultMatching(t *testing.T) {
	w := newWorld(t)
	w.f.AddFault(plextest.Fault{Kind: plextest.FaultDown, Target: w.home.ID()})
	w.do("GET", w.home.URL()+"/identity", nil).is(503)
	w.do("GET", w.second.URL()+"/identity", nil).is(200)
	w.get("/api/v2/user").is(200)
	w.f.ClearFaults()

	id := w.f.AddFault(plextest.Fault{Kind: plextest.FaultDown, Target: "cloud", Path: "/api/v2/servers/*", From: 2, Times: 2})
	var got []int
	for range 5 {
		got = append(got, w.get("/api/v2/servers/"+w.home.ID()).status)
	}
	if want := []int{200, 503, 503, 200, 200}; !equal(got, want) || w.f.FaultHits(id) != 2 {
		t.Errorf("%v, want %v", got, want)
	}
	w.f.ClearFaults()

	w.f.AddFault(plextest.Fault{Kind: plextest.FaultDown, Path: "/api/**"})
	w.get("/api/v2/user").is(503)
	w.get("/api/users/").is(503)
	w.get("/devices.xml").is(200)
	if len(w.f.Faults()) != 1 {
		t.Error("faults are not listed")
	}
}

func TestReset(t *testing.T) {
	w := newWorld(t)
	w.f.AddFault(plextest.Fault{Kind: plextest.FaultDown})
	w.f.Advance(time.Hour)
	old := w.home.URL()
	if err := w.f.Reset(); err != nil {
		t.Fatal(err)
	}
	if len(w.f.Faults())+len(w.f.Accounts())+len(w.f.Servers())+len(w.f.Requests()) != 0 || w.f.Now().Hour() != 12 {
		t.Error("Reset left something")
	}
	if _, err := w.try("GET", old+"/identity", nil); err == nil {
		t.Error("a forgotten media server answers")
	}
	w.get("/api/v2/user").is(401)
	again := w.f.MustAddServer(plextest.ServerSpec{Owner: w.f.MustAddAccount(plextest.Account{}).ID})
	w.do("GET", again.URL()+"/identity", nil).is(200)
}

func equal(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
