package sdkplugin_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

func get(ctx context.Context, t *testing.T, ref sdk.ServerRef, url string) (string, *http.Response, error) {
	t.Helper()
	client, free, err := sdkplugin.NewHTTPClient(ref, "zondarr-plugin-x/1")
	if err != nil {
		t.Fatal(err)
	}
	defer free()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), resp, err
}

func TestHTTPClient(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/agent":
			_, _ = w.Write([]byte(r.UserAgent()))
		case "/redirect":
			http.Redirect(w, r, "/agent", http.StatusFound)
		case "/large":
			_, _ = w.Write(bytes.Repeat([]byte("x"), 1000))
		case "/hang":
			<-r.Context().Done()
		case "/break":
			w.Header().Set("Content-Length", "10")
			_, _ = w.Write([]byte("x"))
		}
	}))
	defer srv.Close()
	ctx := t.Context()
	if body, _, err := get(ctx, t, sdk.ServerRef{}, srv.URL+"/agent"); body != "zondarr-plugin-x/1" || err != nil {
		t.Errorf("the agent is %q, %v", body, err)
	}
	if _, resp, err := get(ctx, t, sdk.ServerRef{}, srv.URL+"/redirect"); err != nil || resp.StatusCode != http.StatusFound {
		t.Errorf("a redirect was followed: %v", err)
	}
	for limit, ok := range map[int64]bool{999: false, 1000: true} {
		body, _, err := get(sdk.WithResponseLimit(ctx, limit), t, sdk.ServerRef{}, srv.URL+"/large")
		if (err == nil) != ok || int64(len(body)) != limit {
			t.Errorf("with the limit %d: %d bytes, %v", limit, len(body), err)
		}
		if !ok && sdk.ReasonOf(err) != sdk.ReasonServerError {
			t.Errorf("too much is %v", err)
		}
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	for name, tt := range map[string]struct {
		ctx    context.Context
		url    string
		reason sdk.Reason
	}{
		"hangs":   {short, srv.URL + "/hang", sdk.ReasonTimeout},
		"breaks":  {ctx, srv.URL + "/break", sdk.ReasonUnavailable},
		"no name": {ctx, "http://nowhere.invalid", sdk.ReasonUnavailable},
		"refused": {ctx, refused(t), sdk.ReasonUnavailable},
	} {
		_, _, err := get(tt.ctx, t, sdk.ServerRef{}, tt.url+"?api_key=canary-in-the-query")
		e, ok := errors.AsType[*sdk.Error](err)
		if !ok || e.Kind() != tt.reason || e.Origin() != sdk.SourceUpstream || !e.Retryable || strings.Contains(e.Error(), "canary") {
			t.Errorf("%s: %#v", name, err)
		}
		// An author who wraps what net/http gave still tells nobody the query.
		if text := sdk.Errorf(sdk.ReasonUnavailable, "listing: %w", err).Error(); strings.Contains(text, "canary") {
			t.Errorf("%s: %s", name, text)
		}
	}
}

func refused(t *testing.T) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lis.Close() }()
	return "http://" + lis.Addr().String()
}

func TestHTTPClientTLS(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // refusing its certificate is the point
	srv.StartTLS()
	defer srv.Close()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	if _, _, err := get(t.Context(), t, sdk.ServerRef{}, srv.URL); sdk.ReasonOf(err) != sdk.ReasonUnavailable || !strings.Contains(err.Error(), "not trusted") {
		t.Errorf("an unknown authority: %v", err)
	}
	for name, options := range map[string]sdk.TLSOptions{"trusted": {CAPEM: ca}, "skipped": {SkipVerify: true}} {
		if _, _, err := get(t.Context(), t, sdk.ServerRef{TLS: options}, srv.URL); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, _, err := sdkplugin.NewHTTPClient(sdk.ServerRef{TLS: sdk.TLSOptions{CAPEM: "no certificate"}}, "")
	e, ok := errors.AsType[*sdk.Error](err)
	if !ok || e.Kind() != sdk.ReasonInvalid || len(e.Fields) != 1 || e.Fields[0].Field != "tls.ca_pem" {
		t.Errorf("no certificate: %#v", err)
	}
}
