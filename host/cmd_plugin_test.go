package host

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The list tells what an admin needs to know before an approval: the hash to approve,
// and which servers the new version would hurt.
func TestPluginListTellsWhatWaits(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/plugins" || !strings.Contains(r.Header.Get("Authorization"), "zdr_key") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"items":[{"name":"media","version":"1","server_type":"media","origin":"directory","sha256":"aa11","state":"ready",
			"pending":{"sha256":"bb22","misfits":[{"server_id":"s-1","problems":["The new version cannot suspend any more."]}]}},
			{"name":"new","version":"","server_type":null,"origin":"directory","sha256":"cc33","state":"awaiting_approval","message":"An admin has to approve the plugin before it runs."}]}`))
	}))
	defer srv.Close()
	var out, errOut bytes.Buffer
	code := Main(t.Context(), []string{"plugin", "list", "--url", srv.URL}, []string{"ZONDARR_API_KEY=zdr_key"}, Stdio{In: strings.NewReader(""), Out: &out, Err: &errOut})
	if code != 0 {
		t.Fatalf("%d: %s", code, errOut.String())
	}
	for _, want := range []string{
		"plugin approve media --sha256 bb22", "would hurt server s-1: The new version cannot suspend any more.", "awaiting_approval", "has to approve",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
}

// A child of the program that keeps its pipes does not keep the command.
func TestInspectEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zondarr-plugin-odd")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nsleep 8 &\necho '{\"name\":\"odd\"}'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	started := time.Now()
	Main(t.Context(), []string{"plugin", "inspect", path}, []string{"PATH=" + os.Getenv("PATH")}, Stdio{In: strings.NewReader(""), Out: &out, Err: &errOut})
	if took := time.Since(started); took > 6*time.Second {
		t.Errorf("it took %s", took)
	}
	if !strings.Contains(out.String(), `"odd"`) {
		t.Errorf("it says %q, %q", out.String(), errOut.String())
	}
}
