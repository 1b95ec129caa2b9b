package pluginhost

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/registry"
	"github.com/zondarr/zondarr/sdk"
)

// roleReport is what a host in another process says once it has started.
type roleReport struct {
	PIDs    map[string]int
	Answers map[string]string // what GetUser answers to each id of the question
}

// runRole is what the test binary does when it is started as another process:
// role "host" is a plugin host on an installation directory. It reports, and
// stays until its stdin ends or it is killed.
func runRole(role string) int {
	if role != "host" {
		return 2
	}
	root := os.Getenv("ZONDARR_TEST_ROOT")
	db, err := database.Open(context.Background(), database.Options{URL: "sqlite://" + filepath.Join(root, "role.db")})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	r := registry.New()
	policy := quick()
	policy.Calls.Retries = 0
	h := New(Config{
		InstallationDir: filepath.Join(root, "install"), DataDir: filepath.Join(root, "data"), RunDir: os.Getenv("ZONDARR_TEST_RUN"),
		DB: db, Registry: r, Policy: policy, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err := h.Start(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	report := roleReport{PIDs: map[string]int{}, Answers: map[string]string{}}
	for _, s := range h.List() {
		report.PIDs[s.Name] = s.PID
	}
	var questions []string
	_ = json.Unmarshal([]byte(os.Getenv("ZONDARR_TEST_ASK")), &questions)
	for _, q := range questions {
		c, err := r.Client(context.Background(), server("media", 1))
		if err != nil {
			report.Answers[q] = err.Error()
			continue
		}
		resp, err := c.(sdk.UserReader).GetUser(context.Background(), sdk.GetUserRequest{ID: q})
		report.Answers[q] = fmt.Sprint(resp.User.Email, resp.User.Options, err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		return 1
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// startRole starts a host in another process, as another user when these tests
// run as root, and gives what it reports.
func startRole(t *testing.T, plugins map[string]variant, ask ...string) (*exec.Cmd, roleReport) {
	t.Helper()
	root, err := os.MkdirTemp("", "zondarr-role-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	run, err := os.MkdirTemp("/dev/shm", "zdrt")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(run) })
	must(t, os.Chmod(root, 0o755))
	self, err := os.Executable()
	must(t, err)
	program, err := os.ReadFile(self)
	must(t, err)
	path := filepath.Join(root, "host.test")
	must(t, os.WriteFile(path, program, 0o755))
	for name, v := range plugins {
		drop(t, filepath.Join(root, "install"), name, v)
	}
	questions, err := json.Marshal(ask)
	must(t, err)
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), "ZONDARR_TEST_ROLE=host", "ZONDARR_TEST_ROOT="+root, "ZONDARR_TEST_RUN="+run,
		"ZONDARR_TEST_ASK="+string(questions), "ZONDARR_SECRET_KEY=the-secret-key-of-the-host")
	cmd.Dir = "/"
	cmd.Stderr = os.Stderr
	if os.Getuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		for _, dir := range []string{root, run, filepath.Join(root, "install")} {
			must(t, os.Chown(dir, nobody, nobody))
		}
	}
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var report roleReport
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	must(t, err)
	must(t, json.Unmarshal(line, &report))
	return cmd, report
}
