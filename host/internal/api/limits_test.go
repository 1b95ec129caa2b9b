package api

import (
	"fmt"
	"net/http"
	"net/netip"
	"testing"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

func limited(l Limits, trusted ...string) func(*world) {
	return func(w *world) {
		w.api.Limits = l
		for _, p := range trusted {
			w.api.TrustedProxies = append(w.api.TrustedProxies, netip.MustParsePrefix(p))
		}
	}
}

// look looks a code up as a stranger.
func (w *world) look(code, from string, header http.Header) answer {
	w.t.Helper()
	return w.do(request{method: "GET", path: "/api/v1/join/" + code, key: "none", from: from, header: header})
}

func TestUnknownCodesPerClient(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite), limited(Limits{UnknownPerClient: 3, UnknownTotal: 100}))
	code := w.invite(w.addServer(), nil)["code"].(string)
	const guesser = "203.0.113.7:1000"
	for range 20 {
		w.look(code, guesser, nil).want(http.StatusOK) // a code that exists costs nothing
	}
	for i := range 3 {
		w.look(fmt.Sprintf("GUESS%d", i), guesser, nil).refused(http.StatusNotFound, fault.CodeInvitationNotFound)
	}
	// From now on a code that exists is refused as one that does not.
	for _, c := range []string{"GUESS9", code} {
		p := w.look(c, "203.0.113.7:2000", nil).refused(http.StatusTooManyRequests, fault.CodeRateLimited)
		if !p.Retryable || p.RetryAfterS == nil || *p.RetryAfterS != 60 {
			t.Errorf("%s: %+v", c, p)
		}
	}
	// Every way in is one limit.
	for _, r := range []request{
		{method: "POST", path: "/api/v1/join/" + code, body: object{"username": "bob", "password": "correct horse"}},
		{method: "POST", path: "/api/v1/join/" + code + "/links", body: object{"realm": "x"}},
		{method: "GET", path: "/api/v1/join/" + code + "/links/x"},
		{method: "GET", path: "/api/v1/join/" + code + "/redemptions/x"},
	} {
		r.key, r.from = "none", guesser
		w.do(r).refused(http.StatusTooManyRequests, fault.CodeRateLimited)
	}
	w.look(code, "203.0.113.8:1000", nil).want(http.StatusOK)
}

func TestUnknownCodesInAll(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite), limited(Limits{UnknownPerClient: 3, UnknownTotal: 5}))
	for i := range 5 {
		w.look("GUESS", fmt.Sprintf("203.0.113.%d:1", i), nil).refused(http.StatusNotFound, fault.CodeInvitationNotFound)
	}
	w.look("GUESS", "203.0.113.200:1", nil).refused(http.StatusTooManyRequests, fault.CodeRateLimited)
}

func TestWithoutLimits(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite), limited(Limits{}))
	for range 300 {
		w.look("GUESS", "", nil).refused(http.StatusNotFound, fault.CodeInvitationNotFound)
	}
}

func TestIPv6ClientsAreNetworks(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite), limited(Limits{UnknownPerClient: 2, UnknownTotal: 100}))
	w.look("GUESS", "[2001:db8:1:2::1]:1", nil).want(http.StatusNotFound)
	w.look("GUESS", "[2001:db8:1:2:ffff:ffff:ffff:ffff]:1", nil).want(http.StatusNotFound)
	w.look("GUESS", "[2001:db8:1:2:3::9]:1", nil).refused(http.StatusTooManyRequests, fault.CodeRateLimited)
	w.look("GUESS", "[2001:db8:1:3::1]:1", nil).want(http.StatusNotFound)

	for addr, key := range map[string]string{
		"2001:db8:1:2::1": "2001:db8:1:2::/64", "::ffff:203.0.113.7": "203.0.113.7", "203.0.113.7": "203.0.113.7", "fe80::1%eth0": "fe80::/64",
	} {
		if got := clientKey(netip.MustParseAddr(addr)); got != key {
			t.Errorf("%s counts as %s, want %s", addr, got, key)
		}
	}
}

func TestRedemptionsPerClient(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite), limited(Limits{RedeemPerClient: 3, RedeemPerCode: 100}))
	server := w.addServer()
	redeem := func(code, from string) answer {
		return w.do(request{method: "POST", path: "/api/v1/join/" + code, body: object{"username": "bob"}, key: "none", from: from})
	}
	code := w.invite(server, nil)["code"].(string)
	for range 2 {
		redeem(code, "203.0.113.7:1").want(http.StatusBadRequest)
	}
	w.do(request{method: "POST", path: "/api/v1/join/" + code + "/links", body: object{"realm": "nowhere"}, key: "none", from: "203.0.113.7:1"}).want(http.StatusBadRequest)
	p := redeem(w.invite(server, nil)["code"].(string), "203.0.113.7:2").refused(http.StatusTooManyRequests, fault.CodeRateLimited)
	if p.RetryAfterS == nil {
		t.Errorf("nobody is told when to try again: %+v", p)
	}
	redeem(code, "203.0.113.8:1").want(http.StatusBadRequest)
	w.look(code, "203.0.113.7:1", nil).want(http.StatusOK) // looking is not redeeming
}

// A code is one however it is typed: else its limit would be as many as its spellings.
func TestRedemptionsPerCode(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite), limited(Limits{RedeemPerClient: 100, RedeemPerCode: 4}))
	code := w.invite(w.addServer(), nil)["code"].(string)
	spellings := []string{code, code[:4] + "-" + code[4:], code[:6] + "%20" + code[6:], "%20" + code, code[:3] + "%2D" + code[3:], code + "%09", "%C2%A0" + code, code + "%E2%80%83"}
	for i, c := range spellings {
		a := w.do(request{
			method: "POST", path: "/api/v1/join/" + c, body: object{"username": "bob"}, key: "none", from: fmt.Sprintf("203.0.113.%d:1", i),
		})
		if i < 4 {
			a.want(http.StatusBadRequest)
		} else {
			a.refused(http.StatusTooManyRequests, fault.CodeRateLimited)
		}
	}
}

func TestForwardedHeaders(t *testing.T) {
	unknown := Limits{UnknownPerClient: 1, UnknownTotal: 1000}
	xff := func(v ...string) http.Header { return http.Header{"X-Forwarded-For": v} }
	t.Run("IgnoredWithoutTrustedProxies", func(t *testing.T) {
		w := newWorld(t, hosttest.NewDB(t, database.SQLite), limited(unknown))
		w.look("GUESS", "203.0.113.7:1", xff("198.51.100.1")).want(http.StatusNotFound)
		w.look("GUESS", "203.0.113.7:1", xff("198.51.100.2")).want(http.StatusTooManyRequests)
		w.look("GUESS", "203.0.113.7:1", http.Header{"X-Real-Ip": {"198.51.100.3"}, "Forwarded": {"for=198.51.100.3"}, "True-Client-Ip": {"198.51.100.3"}}).
			want(http.StatusTooManyRequests)
	})
	t.Run("IgnoredFromOthers", func(t *testing.T) {
		w := newWorld(t, hosttest.NewDB(t, database.SQLite), limited(unknown, "10.0.0.0/8"))
		w.look("GUESS", "203.0.113.7:1", xff("198.51.100.1")).want(http.StatusNotFound)
		w.look("GUESS", "203.0.113.7:1", xff("198.51.100.2")).want(http.StatusTooManyRequests)
	})
	t.Run("BelievedFromTrustedProxies", func(t *testing.T) {
		w := newWorld(t, hosttest.NewDB(t, database.SQLite), limited(unknown, "10.0.0.0/8", "fd00::/8"))
		w.look("GUESS", "10.0.0.1:1", xff("198.51.100.1")).want(http.StatusNotFound)
		w.look("GUESS", "10.0.0.1:1", xff("198.51.100.2")).want(http.StatusNotFound)
		w.look("GUESS", "10.9.9.9:1", xff("198.51.100.1, 10.0.0.7")).want(http.StatusTooManyRequests)
		// What the client itself wrote stands on the left, and is not looked at.
		w.look("GUESS", "10.0.0.1:1", xff("192.0.2.1, 198.51.100.1")).want(http.StatusTooManyRequests)
		w.look("GUESS", "10.0.0.1:1", xff("192.0.2.2", "198.51.100.1, 10.0.0.7")).want(http.StatusTooManyRequests)
		w.look("GUESS", "[fd00::1]:1", xff("198.51.100.3")).want(http.StatusNotFound)
	})
}

// One answer to every code that nobody has, so that it tells a guesser nothing.
func TestUnknownCodesAreAlike(t *testing.T) {
	w := newWorld(t, hosttest.NewDB(t, database.SQLite))
	known := w.invite(w.addServer(), nil)["code"].(string)
	deleted := w.invite(w.addServers("cellar")[0], nil)
	w.delete("/api/v1/invitations/" + deleted["id"].(string)).want(http.StatusNoContent)
	codes := []string{deleted["code"].(string), "K7M2QX9PR4TD", "a", "AAAA", "no%20such%20code", "%25", "%F0%9F%98%80", "..", "-", "____", known[1:], known + "A"}
	bare := func(a answer) string {
		o := a.object()
		delete(o, "timestamp")
		delete(o, "correlation_id")
		return string(encode(t, o))
	}
	for _, r := range []request{
		{method: "GET"},
		{method: "POST", body: object{"username": "bob", "password": "correct horse"}},
		{method: "POST", body: object{}},
		{method: "GET", path: "/redemptions/x"},
		{method: "GET", path: "/links/x"},
		{method: "POST", path: "/links", body: object{"realm": "fakecloud"}},
	} {
		r.key = "none"
		rest, first := r.path, ""
		for _, code := range codes {
			if code == ".." && rest == "" {
				continue // a client would resolve it
			}
			r.path = "/api/v1/join/" + code + rest
			a := w.do(r).want(http.StatusNotFound)
			if got := bare(a); first == "" {
				first = got
			} else if got != first {
				t.Errorf("%s %s: %q answers %s and others %s", r.method, rest, code, got, first)
			}
		}
		if r.method == "GET" && rest != "" {
			// Nor is it told whether the code or the id is unknown.
			r.path = "/api/v1/join/" + known + rest
			if got := bare(w.do(r).want(http.StatusNotFound)); got != first {
				t.Errorf("GET %s: a known code answers %s, others %s", rest, got, first)
			}
		}
	}
}
