package jellyfin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/zondarr/zondarr/plugins/jellyfin/jellyfintest"
	"github.com/zondarr/zondarr/sdk"
)

// BenchmarkCreateUser prints what an account costs on servers of different sizes:
// requests, bytes and CPU. It is made as a host does it, which looks for the name
// first: cold by a client that was just opened, as after a restart, and warm by one
// that has made others, within the minute for which one list serves them all. The CPU
// is that of the whole process, the simulated server included.
func BenchmarkCreateUser(b *testing.B) {
	for _, bc := range []struct {
		users int
		cold  bool
	}{{0, true}, {0, false}, {10_000, true}, {10_000, false}} {
		b.Run(fmt.Sprintf("users=%d/cold=%t", bc.users, bc.cold), func(b *testing.B) {
			s := jellyfintest.New(jellyfintest.Config{APIKey: "k"})
			if err := s.Start(); err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			s.AddUsers("user", bc.users)
			movies := s.AddLibrary(jellyfintest.Library{Name: "Movies", Type: "movies"})
			ref := sdk.ServerRef{URL: s.URL(), ExternalID: s.ID(), Version: s.Version()}
			c := benchClient(b, ref)
			if !bc.cold {
				if _, err := c.FindUser(b.Context(), sdk.FindUserRequest{Username: "bob", MaxAge: time.Minute}); sdk.ReasonOf(err) != sdk.ReasonNotFound {
					b.Fatal(err)
				}
			}
			var cpu time.Duration
			n := 0
			s.ResetRequests()
			for b.Loop() {
				b.StopTimer()
				if n++; bc.cold {
					c = benchClient(b, ref)
				}
				b.StartTimer()
				before := cpuTime(b)
				made, err := redeem(b.Context(), c, fmt.Sprint("bob", n), only(movies))
				cpu += cpuTime(b) - before
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := s.RemoveUser(made.ID); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			requests, sent, received := 0, int64(0), int64(0)
			for _, r := range s.Requests() {
				requests++
				sent += r.RequestBytes
				received += r.ResponseBytes
			}
			b.ReportMetric(float64(requests)/float64(n), "requests/op")
			b.ReportMetric(float64(sent)/float64(n), "sent-B/op")
			b.ReportMetric(float64(received)/float64(n), "received-B/op")
			b.ReportMetric(float64(cpu.Microseconds())/float64(n), "cpu-µs/op")
		})
	}
}

// BenchmarkListUsers compares a list of 10,000 users with decoding its JSON once,
// which is the least that it can cost. The ratio is the median of five rounds.
func BenchmarkListUsers(b *testing.B) {
	const n = 10_000
	srv, body := usersServer(b, n)
	var first []account
	if err := json.Unmarshal(body, &first); err != nil {
		b.Fatal(err)
	}
	c := benchClient(b, sdk.ServerRef{URL: srv.URL, ExternalID: first[0].ServerID, Version: "10.11.6"})
	list := func() time.Duration {
		began, got := time.Now(), 0
		if err := c.ListUsers(b.Context(), sdk.ListUsersRequest{}, func(sdk.User) error { got++; return nil }); err != nil || got != n {
			b.Fatal(got, err)
		}
		return time.Since(began)
	}
	floor := func() time.Duration {
		began := time.Now()
		var all []account
		if err := json.Unmarshal(body, &all); err != nil || len(all) != n {
			b.Fatal(len(all), err)
		}
		return time.Since(began)
	}
	list()
	floor()
	for b.Loop() {
		var ratios []float64
		var took time.Duration
		for range 5 {
			l, f := list(), floor()
			took += l
			ratios = append(ratios, float64(l)/float64(f))
		}
		slices.Sort(ratios)
		b.ReportMetric(ratios[2], "ratio")
		b.ReportMetric(ratios[4]-ratios[0], "spread")
		b.ReportMetric(float64(took.Milliseconds())/5, "ms/list")
		if ratios[2] > 1.5 {
			b.Errorf("a list costs %.2f times its decoding, want at most 1.5", ratios[2])
		}
	}
}

func usersServer(b *testing.B, n int) (*httptest.Server, []byte) {
	b.Helper()
	body := listOf(sampleUser(b), n)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/Users" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.Write(body)
	}))
	b.Cleanup(srv.Close)
	return srv, body
}

func benchClient(b *testing.B, ref sdk.ServerRef) *client {
	b.Helper()
	transport := &http.Transport{}
	b.Cleanup(transport.CloseIdleConnections)
	ref.Secrets = map[string]string{apiKey: "k"}
	mc, err := New().Open(b.Context(), sdk.OpenRequest{Server: ref, HTTP: &http.Client{Transport: transport}})
	if err != nil {
		b.Fatal(err)
	}
	return mc.(*client)
}

// cpuTime is what this process has used so far.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
