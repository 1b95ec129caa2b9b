package plex

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// Whatever Plex answers, in whatever shape: an error is typed, has a status and
// words, and shows neither what was sent nor what came back.
func TestRefusalsShowNothing(t *testing.T) {
	const canary = "CANARY"
	bodies := []string{
		`{"errors":[{"code":1999,"message":"` + canary + `"}]}`, `<Response code="400" status="` + canary + `"/>`,
		`<errors><error>` + canary + `</error></errors>`, `<html><title>` + canary + `</title></html>`, canary,
	}
	var status int
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	defer server.Close()
	transport := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	w := &wire{cloud: client, server: client, cloudURL: server.URL, clientsURL: server.URL, serverURL: server.URL, timeout: time.Second, sleep: noWait}
	for _, status = range []int{300, 302, 400, 401, 402, 403, 404, 405, 408, 409, 410, 418, 422, 429, 498, 500, 501, 502, 503, 504, 520} {
		for _, body = range bodies {
			for _, at := range []origin{atCloud, atClients, atServer} {
				for _, as := range []principal{{}, {token: canary}, {token: canary, invitee: true}} {
					_, err := w.send(t.Context(), request{
						method: http.MethodPost, at: at, path: "/api/{}", args: []string{canary}, query: url.Values{"q": {canary}},
						as: as, body: canary,
					})
					e, ok := err.(*sdk.Error) //nolint:errorlint // what send gives is not wrapped
					if !ok || e.UpstreamStatus != status || e.Origin() != sdk.SourceUpstream || e.Retryable != e.Kind().Transient() || len(e.Message) < 20 {
						t.Fatalf("HTTP %d: %+v", status, err)
					}
					if strings.Contains(words(err), canary) {
						t.Fatalf("HTTP %d: %s", status, words(err))
					}
					if status == http.StatusTooManyRequests && e.RetryAfter != 7*time.Second {
						t.Errorf("RetryAfter %s", e.RetryAfter)
					}
				}
			}
		}
	}
}

// Each way of not reaching a place has its words.
func TestUnreached(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	tests := map[string]struct{ address, says string }{
		"Refused":    {"http://127.0.0.1:1", "refused or there is no route"},
		"NoSuchName": {"http://plex.invalid", "cannot be resolved"},
		"NotTLS":     {"https" + strings.TrimPrefix(plain.URL, "http"), "does not speak https"},
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for name, tt := range tests {
		for _, at := range []origin{atCloud, atServer} {
			w := &wire{cloud: client, server: client, cloudURL: tt.address, serverURL: tt.address, timeout: 3 * time.Second, sleep: noWait}
			_, err := w.send(t.Context(), request{method: http.MethodGet, at: at, path: "/identity"})
			if sdk.ReasonOf(err) != sdk.ReasonUnavailable || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "127.0.0.1") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// A certificate for another name, as a raw address has: the cure is told.
func TestUnreachedCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = quiet()
	server.StartTLS()
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	w := &wire{cloud: client, server: client, serverURL: server.URL, timeout: time.Second, sleep: noWait}
	_, err := w.send(t.Context(), request{method: http.MethodGet, at: atServer, path: "/identity"})
	if err == nil || !strings.Contains(err.Error(), "plex.direct") {
		t.Errorf("error is %v", err)
	}
}

// An answer without an end is not read to it.
func TestAnswerTooLarge(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 1<<20)
		for range maxBody>>20 + 2 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	w := &wire{cloud: client, cloudURL: server.URL, timeout: 5 * time.Second, sleep: noWait}
	_, err := w.send(t.Context(), request{method: http.MethodGet, path: "/", once: true})
	if sdk.ReasonOf(err) != sdk.ReasonServerError || !strings.Contains(err.Error(), "too large") {
		t.Errorf("error is %v", err)
	}
}
