package main

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// curlLine is the line that the demo prints for its reader to paste.
var curlLine = regexp.MustCompile(`curl -sS -i (\S+) -H 'Content-Type: application/json' -d '(\{.*\})'`)

func TestDemoLineRedeems(t *testing.T) {
	t.Parallel()
	out := &buffer{}
	cmd := exec.Command(filepath.Join(installation, "zondarr-demo"), "127.0.0.1:0")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop := func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		return <-ended
	}
	var line []string
	for deadline := time.Now().Add(30 * time.Second); line == nil; time.Sleep(20 * time.Millisecond) {
		if line = curlLine.FindStringSubmatch(out.String()); line == nil && time.Now().After(deadline) {
			t.Fatalf("no curl line within 30 s (%v):\n%s", stop(), out)
		}
	}
	for _, want := range []int{http.StatusCreated, http.StatusConflict} {
		res, err := http.Post(line[1], "application/json", strings.NewReader(line[2]))
		if err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		_, err = body.ReadFrom(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != want {
			t.Fatalf("the line answers %d, want %d: %s", res.StatusCode, want, body.String())
		}
		if want == http.StatusCreated && !strings.Contains(body.String(), `"username":"bob"`) {
			t.Fatalf("the answer does not show the new user: %s", body.String())
		}
	}
	if err := stop(); err != nil {
		t.Fatalf("the demo ended with %v:\n%s", err, out)
	}
}
