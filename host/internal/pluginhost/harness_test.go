package pluginhost

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/host/internal/registry"
	"github.com/zondarr/zondarr/sdk"
)

// template is the built test plugin, without a config.
var template []byte

func TestMain(m *testing.M) {
	if role := os.Getenv("ZONDARR_TEST_ROLE"); role != "" {
		os.Exit(runRole(role))
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "zondarr-plugin-test-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "plugin")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "./testdata/plugin")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as plugins ship
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the test plugin: %v\n%s", err, out)
		return 1
	}
	if template, err = os.ReadFile(path); err != nil {
		panic(err)
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// variant is a test plugin's config; see testdata/plugin.
type variant struct {
	Version       string
	ServerType    string
	Name          string
	Mode          string
	Minimal       bool
	Required      string
	MaxConcurrent int
	MaxPerSecond  float64
}

// binary gives the bytes of a plugin.
func (v variant) binary() []byte {
	if v.Version == "" {
		v.Version = "1"
	}
	config, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return append(append(bytes.Clone(template), "\nZTEST\n"...), config...)
}

// drop puts a plugin into a directory, as a whole.
func drop(tb testing.TB, dir, name string, v variant) string {
	tb.Helper()
	return dropFile(tb, dir, name, v.binary())
}

func dropFile(tb testing.TB, dir, name string, content []byte) string {
	tb.Helper()
	path := filepath.Join(dir, filePrefix+name)
	tmp := filepath.Join(dir, ".new-"+name)
	must(tb, os.MkdirAll(dir, 0o755))
	must(tb, os.WriteFile(tmp, content, 0o755))
	must(tb, os.Rename(tmp, path))
	return path
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// quick is the default policy with times for tests.
func quick() Policy {
	p := DefaultPolicy()
	p.ScanEvery, p.Settle, p.RecordsEvery = 30*time.Millisecond, 60*time.Millisecond, 200*time.Millisecond
	p.HealthEvery, p.HealthTimeout, p.HealthFailures = 200*time.Millisecond, 500*time.Millisecond, 2
	p.BackoffMin, p.BackoffMax = 20*time.Millisecond, 100*time.Millisecond
	p.StartTimeout = 8 * time.Second
	p.DrainTimeout, p.StopGrace = 5*time.Second, time.Second
	return p
}

// house is a plugin host in a test.
type house struct {
	*Host
	tb       testing.TB
	registry *registry.Registry
	db       *database.DB
	install  string
	dir      string
	logs     *logBuffer
	config   Config
}

type option func(*Config)

// newHouse makes a host with an empty installation and one empty directory.
func newHouse(tb testing.TB, options ...option) *house {
	tb.Helper()
	root := tb.TempDir()
	h := &house{
		tb: tb, registry: registry.New(), db: hosttest.NewDB(tb, database.SQLite),
		install: filepath.Join(root, "install"), dir: filepath.Join(root, "plugins"), logs: &logBuffer{},
	}
	must(tb, os.Mkdir(h.install, 0o755))
	must(tb, os.Mkdir(h.dir, 0o755))
	run, err := os.MkdirTemp("/dev/shm", "zdrt")
	must(tb, err)
	tb.Cleanup(func() { _ = os.RemoveAll(run) })
	h.config = Config{
		InstallationDir: h.install, Dirs: []string{h.dir}, DataDir: filepath.Join(root, "data"), RunDir: run,
		DB: h.db, Registry: h.registry, Policy: quick(),
		Logger: slog.New(slog.NewJSONHandler(h.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, o := range options {
		o(&h.config)
	}
	h.Host = New(h.config)
	return h
}

func withPolicy(change func(*Policy)) option { return func(c *Config) { change(&c.Policy) } }

// start starts the host and stops it at the end of the test, when no process of
// a plugin may be left.
func (h *house) start() *house {
	h.tb.Helper()
	must(h.tb, h.Start(h.tb.Context()))
	h.tb.Cleanup(h.stop)
	return h
}

func (h *house) stop() {
	h.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	if err := h.Stop(ctx); err != nil {
		h.tb.Errorf("Stop: %v", err)
	}
	for _, dir := range []string{h.install, h.config.DataDir} {
		for _, pid := range processesBelow(dir) {
			h.tb.Errorf("process %d is left", pid)
		}
	}
	if h.tb.Failed() {
		h.tb.Logf("the log:\n%s", h.logs.String())
	}
}

// again makes a second host on the same database, directories and store.
func (h *house) again() *house {
	h.tb.Helper()
	h.stop()
	next := *h
	next.registry = registry.New()
	next.config.Registry = next.registry
	next.Host = New(next.config)
	return &next
}

// processesBelow gives the living processes whose program lies below a directory.
func processesBelow(dir string) []int {
	var pids []int
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, link := range links {
		target, err := os.Readlink(link)
		if err == nil && strings.HasPrefix(target, dir+"/") {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(link)))
			pids = append(pids, pid)
		}
	}
	return pids
}

func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// logBuffer keeps what was logged.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// lines gives the records that hold a text.
func (b *logBuffer) lines(text string) []map[string]any {
	var out []map[string]any
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, text) {
			var record map[string]any
			if json.Unmarshal([]byte(line), &record) == nil {
				out = append(out, record)
			}
		}
	}
	return out
}

// eventually waits for a condition.
func eventually(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			tb.Fatalf("it never came to this: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (h *house) status(name string) Status {
	h.tb.Helper()
	s, err := h.Get(name)
	if err != nil {
		return Status{Name: name}
	}
	return s
}

// await waits for a plugin to be in a state.
func (h *house) await(name string, state State) Status {
	h.tb.Helper()
	var s Status
	defer func() {
		if h.tb.Failed() {
			h.tb.Logf("%s is %+v", name, s)
		}
	}()
	eventually(h.tb, name+" is "+string(state), func() bool {
		s = h.status(name)
		return s.State == state
	})
	return s
}

// approve approves the file as it is listed.
func (h *house) approve(name string) Status {
	h.tb.Helper()
	s := h.status(name)
	sha := s.SHA256
	if s.Pending != nil {
		sha = s.Pending.SHA256
	}
	s, err := h.Approve(h.tb.Context(), name, sha, "admin:test")
	must(h.tb, err)
	return s
}

// server gives a server of a type; n tells them apart.
func server(serverType string, n int) sdk.ServerRef {
	return sdk.ServerRef{
		ID: fmt.Sprintf("00000000-0000-7000-8000-%012d", n), ServerType: serverType, Revision: 1,
		URL: fmt.Sprintf("http://media.test/%d", n), InstallationID: "i",
	}
}

// get calls GetUser on a server, which makes the test plugin do something.
func (h *house) get(ref sdk.ServerRef, do string) (sdk.User, error) {
	h.tb.Helper()
	c, err := h.registry.Client(h.tb.Context(), ref)
	must(h.tb, err)
	resp, err := c.(sdk.UserReader).GetUser(h.tb.Context(), sdk.GetUserRequest{ID: do})
	return resp.User, err
}

// running gives the process that answers.
func (h *house) running(name string) *instance {
	e := h.entries[name]
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.current
}

// calls gives the calls in flight on what runs, as the registry counts them.
func (e *entry) calls() int {
	e.mu.Lock()
	i := e.current
	e.mu.Unlock()
	if i == nil || i.served == nil {
		return 0
	}
	return i.served.Calls()
}

func hashFile(path string) (sum string, size int64, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", 0, err
	}
	return hashOf(bytes.NewReader(content))
}
