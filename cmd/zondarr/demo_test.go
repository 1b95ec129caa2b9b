package main

import (
	"bytes"
	"io"
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

// curlLine are the lines that the demo prints for its reader to paste, and pollLine
// the one to paste until something is so.
var curlLine = regexp.MustCompile(`curl -sS(?: -i)? (\S+) -H 'Content-Type: application/json' -d '(\{.*\})'`)

var pollLine = regexp.MustCompile(`curl -sS (\S+/LINK_ID)\n`)

// startDemo starts the demo, waits until it has told everything, and gives its
// lines in their order, Jellyfin's and Plex's two, and where Plex's sign-in is
// looked at.
func startDemo(t *testing.T) (lines [][]string, poll string, stop func()) {
	t.Helper()
	out := &buffer{}
	cmd := exec.Command(filepath.Join(installation, "zondarr-demo"), "127.0.0.1:0")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	end := func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		return <-ended
	}
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(out.String(), "Ctrl-C"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the demo does not say what to do within 30 s (%v):\n%s", end(), out)
		}
	}
	lines = curlLine.FindAllStringSubmatch(out.String(), -1)
	look := pollLine.FindStringSubmatch(out.String())
	if len(lines) != 3 || look == nil {
		t.Fatalf("%d lines to paste, and %q (%v):\n%s", len(lines), look, end(), out)
	}
	return lines, look[1], func() {
		if err := end(); err != nil {
			t.Errorf("the demo ended with %v:\n%s", err, out)
		}
	}
}

// paste sends what a line sends, with LINK_ID filled in.
func paste(t *testing.T, line []string, link string, want int) []byte {
	t.Helper()
	res, err := http.Post(line[1], "application/json", strings.NewReader(strings.ReplaceAll(line[2], "LINK_ID", link)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != want {
		t.Fatalf("%s answers %d, want %d: %s (%v)", line[1], res.StatusCode, want, body, err)
	}
	return body
}

func TestDemoLineRedeems(t *testing.T) {
	t.Parallel()
	lines, _, stop := startDemo(t)
	defer stop()
	if body := paste(t, lines[0], "", http.StatusCreated); !bytes.Contains(body, []byte(`"username":"bob"`)) {
		t.Errorf("the answer does not show the new user: %s", body)
	}
	paste(t, lines[0], "", http.StatusConflict)
}

// The steps for Plex, as a person follows them.
func TestDemoSignInRedeems(t *testing.T) {
	t.Parallel()
	lines, poll, stop := startDemo(t)
	defer stop()
	begun := paste(t, lines[1], "", http.StatusCreated)
	link, _ := at(begun, "id")
	authorize, _ := at(begun, "authorize_url")
	if err := signInAtPlex(authorize, "alice"); err != nil {
		t.Fatal(err)
	}
	poll = strings.ReplaceAll(poll, "LINK_ID", link)
	for state, deadline := "", time.Now().Add(10*time.Second); state != "approved"; time.Sleep(100 * time.Millisecond) {
		res, err := http.Get(poll)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if state, _ = at(body, "state"); time.Now().After(deadline) {
			t.Fatalf("not approved after 10 s: %s (%v)", body, err)
		}
	}
	if body := paste(t, lines[2], link, http.StatusCreated); !bytes.Contains(body, []byte(`"username":"alice"`)) {
		t.Errorf("the answer does not show the new user: %s", body)
	}
	paste(t, lines[2], link, http.StatusConflict)
}
