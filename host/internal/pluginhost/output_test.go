package pluginhost

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

// Lines that go-plugin's own parser panics on, and others that try to be what
// they are not: each is a line of the log, and the host goes on.
func TestHostileOutput(t *testing.T) {
	h := newHouse(t)
	drop(t, h.install, "media", variant{})
	h.start()
	for _, line := range []string{
		`{"@message":1}`,
		`{"@message":null,"@level":3,"@timestamp":[]}`,
		`{"@message":"m","@level":{},"@timestamp":"x"}`,
		`{"@level":"error"}`,
		`{`,
		`{"msg":"m","level":"` + strings.Repeat("A", 70000) + `"}`,
		`{"msg":"pretends to be another","plugin":"other","pid":1,"correlation_id":7,"time":"1970-01-01T00:00:00Z","level":"DEBUG-99"}`,
		"[ERROR] \x1b[31mred\x1b[0m \x00\xff\xfe",
		"panic: not really",
		strings.Repeat("x", 200_000),
		strings.Repeat(`{"a":`, 20_000),
	} {
		encoded := base64.StdEncoding.EncodeToString([]byte(line)) // an id is valid UTF-8
		for _, stream := range []string{"stderr64:", "stdout64:"} {
			if _, err := h.get(server("media", 1), stream+encoded); err != nil {
				t.Errorf("%s %.40q: %v", stream, line, err)
			}
		}
	}
	eventually(t, "the lines are there", func() bool { return len(h.logs.lines("pretends")) == 2 })
	for _, r := range h.logs.lines("pretends") {
		if r["plugin"] != "media" || r["pid"] != float64(h.status("media").PID) || r["plugin.plugin"] != "other" || strings.HasPrefix(r["time"].(string), "1970") {
			t.Errorf("the record is %v", r)
		}
	}
	for line := range strings.Lines(h.logs.String()) {
		if len(line) > 20<<10 {
			t.Errorf("a line of %d bytes was logged", len(line))
		}
	}
	if s := h.status("media"); s.Restarts != 0 || s.State != StateReady {
		t.Errorf("it is %+v", s)
	}
}

// R7.6: the lines of a plugin carry its name, its process and the correlation id
// of the call.
func TestLogLinesCarryTheirOrigin(t *testing.T) {
	h := newHouse(t)
	drop(t, h.install, "media", variant{})
	h.start()
	c, err := h.registry.Client(t.Context(), server("media", 1))
	must(t, err)
	ctx := sdk.WithCorrelationID(t.Context(), "req-42")
	if _, err := c.(sdk.UserReader).GetUser(ctx, sdk.GetUserRequest{ID: "log:hello there"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the line is there", func() bool { return len(h.logs.lines("hello there")) > 0 })
	r := h.logs.lines("hello there")[0]
	if r["msg"] != "hello there" || r["level"] != "INFO" || r["plugin"] != "media" || r["pid"] != float64(h.status("media").PID) ||
		r["correlation_id"] != "req-42" || r["server_id"] != server("media", 1).ID || r["again"] != "hello there" || r["plugin.plugin"] != "forged" {
		t.Errorf("the record is %v", r)
	}
}

// Whatever secret was lent, it is in no line of the log and in no crash record:
// of the server, of a call, spelled in whatever way.
func TestSecretsAreScrubbed(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Env = []string{"HTTPS_PROXY=http://u:proxy-passw0rd@p.test"} })
	drop(t, h.install, "media", variant{})
	h.start()
	ref := server("media", 1)
	secret := `k3y"with <odd> & ünusual%chars`
	ref.Secrets = map[string]string{"token": secret}
	quoted, err := json.Marshal(secret)
	must(t, err)
	for _, do := range []string{
		"log:a " + secret + " b", "stderr:the raw key " + secret, "stderr:the json " + string(quoted),
		"stderr:the proxy proxy-passw0rd", "stdout:printed " + secret, `stderr:{"msg":"quoted","key":` + string(quoted) + `}`,
		`stderr:{"msg":` + string(quoted) + `,"level":"WARN"}`, `stderr:{"msg":"as a name",` + string(quoted) + `:[` + string(quoted) + `]}`,
	} {
		if _, err := h.get(ref, do); err != nil {
			t.Fatal(err)
		}
	}
	c, err := h.registry.Client(t.Context(), ref)
	must(t, err)
	_, err = c.(sdk.Provisioner).CreateUser(t.Context(), sdk.CreateUserRequest{
		OperationID: "019a0000-0000-7000-8000-000000000000", Username: "bob", Password: "hunter2-hunter2",
		Grant: sdk.Grant{Libraries: sdk.LibraryAccess{Mode: sdk.LibraryAll}},
	})
	if err == nil {
		t.Error("the test plugin should have ended: it has no file to count in")
	}
	_, _ = h.get(ref, "stderr:the password hunter2-hunter2")
	_, _ = h.get(ref, "exit:3")
	eventually(t, "a crash record", func() bool { c := h.status("media").LastCrash; return c != nil && c.ExitCode == 3 })
	all := h.logs.String() + h.status("media").LastCrash.OutputTail
	for _, leaked := range []string{`k3y`, "hunter2-hunter2", "proxy-passw0rd"} {
		if strings.Contains(all, leaked) {
			t.Errorf("%q is in the log or the crash record", leaked)
		}
	}
	if len(h.logs.lines("the raw key [redacted]")) == 0 {
		t.Error("the line itself is gone")
	}
}

func TestScrubberFindsEverySpelling(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newScrubber()
		secrets := rapid.SliceOfN(rapid.StringMatching(`[^\n\r]{4,40}`), 1, 5).Draw(rt, "secrets")
		s.keep(secrets...)
		secret := rapid.SampledFrom(secrets).Draw(rt, "secret")
		form := rapid.SampledFrom(sdkplugin.Spellings(secret)).Draw(rt, "form")
		if got := s.text("before " + form + " after"); strings.Contains(strings.ReplaceAll(got, sdkplugin.Redacted, ""), form) {
			rt.Fatalf("%q is left in %q", form, got)
		}
	})
}

// The secrets of calls are forgotten a while after the last such call, those of
// servers never.
func TestScrubberForgetsCallsAndKeepsServers(t *testing.T) {
	s := newScrubber()
	now := time.Now()
	s.now = func() time.Time { return now }
	s.keep("of-the-server")
	s.lend("of-the-server", "of-a-call")
	now = now.Add(scrubFor - time.Second)
	s.lend("of-another")
	if got := s.text("of-a-call"); got != sdkplugin.Redacted {
		t.Errorf("it is forgotten too early: %q", got)
	}
	now = now.Add(scrubFor + time.Second)
	s.lend("of-a-third")
	for text, want := range map[string]string{"of-the-server": sdkplugin.Redacted, "of-a-third": sdkplugin.Redacted, "of-a-call": "of-a-call", "of-another": "of-another"} {
		if got := s.text(text); got != want {
			t.Errorf("%q is shown as %q", text, got)
		}
	}
}

// A flood slows the plugin down, not the host, and is told in the log.
func TestFloodOfStderr(t *testing.T) {
	h := newHouse(t, withPolicy(func(p *Policy) { p.LogRate, p.LogBurst = 20, 50 }))
	drop(t, h.install, "media", variant{})
	drop(t, h.install, "other", variant{})
	h.start()
	if _, err := h.get(server("media", 1), "flood"); err != nil {
		t.Fatal(err)
	}
	started, used := time.Now(), cpuTime()
	for time.Since(started) < 1500*time.Millisecond {
		before := time.Now()
		if _, err := h.get(server("other", 1), "bob"); err != nil {
			t.Error(err)
		}
		if took := time.Since(before); took > time.Second {
			t.Errorf("a call to another plugin took %s", took)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if used = cpuTime() - used; used > 1500*time.Millisecond {
		t.Errorf("the host used %s of CPU in 1.5 s", used)
	}
	if n := len(h.logs.lines("flood flood")); n == 0 || n > 200 {
		t.Errorf("%d lines were logged", n)
	}
	if len(h.logs.lines("lines were left out")) == 0 {
		t.Error("nothing says that lines were left out")
	}
	if s := h.status("media"); s.State != StateReady {
		t.Errorf("it is %+v", s)
	}
}

// Lines below the log's level use up nothing of what a plugin may log.
func TestLinesNobodySeesCostNothing(t *testing.T) {
	p := DefaultPolicy()
	p.LogRate, p.LogBurst = 1, 3
	var logged bytes.Buffer
	o := newOutput(slog.New(slog.NewTextHandler(&logged, nil)), newScrubber(), p)
	for i := range 100 {
		o.line(t.Context(), fmt.Appendf(nil, `{"msg":"detail %d","level":"DEBUG"}`, i))
	}
	o.line(t.Context(), []byte(`{"msg":"what matters","level":"ERROR"}`))
	o.line(t.Context(), []byte("words"))
	o.end()
	if got := logged.String(); !strings.Contains(got, "what matters") || !strings.Contains(got, "words") ||
		strings.Contains(got, "detail") || strings.Contains(got, "left out") {
		t.Errorf("the log is %q", got)
	}
	if !strings.Contains(o.text(), "detail 99") {
		t.Error("a crash record would lack them")
	}
}

// Output is read no faster than the policy says.
func TestOutputIsThrottled(t *testing.T) {
	p := DefaultPolicy()
	p.OutputRate, p.LogRate = 1<<20, 1
	o := newOutput(slog.New(slog.DiscardHandler), newScrubber(), p)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	endless := &endless{until: ctx}
	o.read(context.Background(), endless)
	if endless.read > 1<<20+1<<20 { // the burst, and half a second with room for a slow machine
		t.Errorf("%d KiB were read in half a second at 1 MiB/s", endless.read>>10)
	}
}

// What a plugin prints through go-plugin's streams is slowed down as well, and a
// process that is gone holds nobody back.
func TestPrintedOutputIsThrottled(t *testing.T) {
	p := DefaultPolicy()
	p.OutputRate, p.LogRate = 1<<20, 1
	gone := make(chan struct{})
	w := &lineWriter{ctx: t.Context(), to: newOutput(slog.New(slog.DiscardHandler), newScrubber(), p), gone: gone}
	chunk := []byte(strings.Repeat("x", 1023) + "\n")
	started := time.Now()
	for range 1536 {
		_, _ = w.Write(chunk) // it never fails
	}
	if took := time.Since(started); took < 400*time.Millisecond {
		t.Errorf("1.5 MiB at 1 MiB/s after a burst of 1 MiB took %s", took)
	}
	close(gone)
	started = time.Now()
	_, _ = w.Write(make([]byte, 32<<20))
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("the last words of a process took %s", took)
	}
}

// What is printed without an end of line is logged once the process is gone.
func TestLastWordsWithoutAnEndOfLine(t *testing.T) {
	h := newHouse(t)
	drop(t, h.install, "media", variant{})
	h.start()
	if _, err := h.get(server("media", 1), "print:half a line"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has arrived", func() bool {
		w := h.running("media").printed[0]
		w.mu.Lock()
		defer w.mu.Unlock()
		return string(w.buf) == "half a line"
	})
	must(t, syscall.Kill(h.status("media").PID, syscall.SIGKILL))
	eventually(t, "a crash record", func() bool {
		c := h.status("media").LastCrash
		return c != nil && strings.Contains(c.OutputTail, "half a line")
	})
}

// endless is output without end, until a context ends.
type endless struct {
	until context.Context
	read  int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.until.Err() != nil {
		return 0, io.EOF
	}
	for i := range p {
		p[i] = 'x'
	}
	p[len(p)-1] = '\n'
	e.read += len(p)
	return len(p), nil
}

// The tail is the last output, whole lines, bounded.
func TestOutputTail(t *testing.T) {
	p := DefaultPolicy()
	p.OutputTail, p.OutputRate, p.LogRate = 1000, 1<<30, 1
	o := newOutput(slog.New(slog.DiscardHandler), newScrubber(), p)
	var in bytes.Buffer
	for i := range 5000 {
		fmt.Fprintf(&in, "line %d\n", i)
	}
	o.read(context.Background(), &in)
	got := o.text()
	if len(got) > 1000 || len(got) < 900 || !strings.HasPrefix(got, "line ") || !strings.HasSuffix(got, "line 4999\n") {
		t.Errorf("the tail is %d bytes: %.30q … %q", len(got), got, got[len(got)-20:])
	}
}

// A secret that is cut by the bound of a line is not shown in part.
func TestLongLineHidesACutSecret(t *testing.T) {
	p := DefaultPolicy()
	var logged bytes.Buffer
	s := newScrubber()
	s.keep(strings.Repeat("S", 100))
	o := newOutput(slog.New(slog.NewTextHandler(&logged, nil)), s, p)
	for pad := p.OutputLine - 150; pad < p.OutputLine+50; pad += 10 {
		o.read(context.Background(), strings.NewReader(strings.Repeat("x", pad)+strings.Repeat("S", 100)+"\n"))
	}
	for pad := maxLine - 150; pad < maxLine+50; pad += 10 {
		o.read(context.Background(), strings.NewReader(strings.Repeat("x", pad)+strings.Repeat("S", 100)+"\n"))
	}
	if strings.Contains(logged.String()+o.text(), "SS") {
		t.Error("a part of the secret is shown")
	}
}

// Of what a description holds, no more than a little is kept and told, and no half
// of a secret.
func TestWordsOfADescriptionAreBounded(t *testing.T) {
	i := &instance{scrub: newScrubber()}
	i.scrub.keep(strings.Repeat("S", 100))
	for pad := maxTold - 150; pad < maxTold+50; pad += 10 {
		got := i.notValid(strings.Repeat("x", pad) + strings.Repeat("S", 100) + strings.Repeat("y", 40<<20)).message
		if len(got) > maxTold+100 || !strings.HasPrefix(got, "The plugin's description is not valid: xxx") || strings.Contains(got, "SS") {
			t.Errorf("after %d it is %d bytes: %.80q", pad, len(got), got)
		}
	}
}

// FuzzOutput feeds arbitrary bytes as a plugin's output.
func FuzzOutput(f *testing.F) {
	f.Add([]byte(`{"@message":1}`))
	f.Add([]byte(`{"msg":"m","level":"INFO","a":{"b":[1,2,{"c":null}]}}` + "\n\x00\xff"))
	f.Add([]byte("panic: x\n\ngoroutine 1 [running]:\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p := DefaultPolicy()
		p.OutputRate = 1 << 30
		var logged bytes.Buffer
		o := newOutput(slog.New(slog.NewJSONHandler(&logged, nil)), newScrubber(), p)
		o.read(context.Background(), bytes.NewReader(data))
		o.end()
		for line := range strings.Lines(logged.String()) {
			if !json.Valid([]byte(line)) {
				t.Errorf("the log line is no JSON: %q", line)
			}
		}
		if len(o.text()) > p.OutputTail {
			t.Errorf("the tail has %d bytes", len(o.text()))
		}
	})
}
