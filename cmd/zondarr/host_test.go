package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// installed is one installation of the product with its data directory.
type installed struct {
	bin  string // the folder of the program
	data string
	env  []string
	key  string
	base string

	cmd  *exec.Cmd
	logs *buffer
	done chan error
}

// buffer collects output and may be read meanwhile.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func newInstalled(data string, env ...string) *installed {
	return &installed{bin: installation, data: data, logs: &buffer{}, env: append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + data, "ZONDARR_DATA_DIR=" + data, "ZONDARR_ADDR=127.0.0.1:0", "ZONDARR_LOG_FORMAT=json",
	}, env...)}
}

// command runs a zondarr command to its end.
func (i *installed) command(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(i.bin, "zondarr"), args...)
	cmd.Env = i.env
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("zondarr %s: %w: %s", strings.Join(args, " "), err, errOut.String())
	}
	return out.String(), nil
}

// setUp makes the secret key and an API key.
func (i *installed) setUp() error {
	if _, err := i.command("init"); err != nil {
		return err
	}
	out, err := i.command("api-key", "create", "--name", "test")
	i.key = strings.TrimSpace(out)
	return err
}

var servingAt = regexp.MustCompile(`Zondarr is serving at (http://\S+)`)

// start serves, and waits until the host says where.
func (i *installed) start(args ...string) error {
	cmd := exec.Command(filepath.Join(i.bin, "zondarr"), append([]string{"serve"}, args...)...)
	cmd.Env = i.env
	cmd.Stderr = i.logs
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	i.cmd, i.done = cmd, make(chan error, 1)
	address := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if m := servingAt.FindStringSubmatch(lines.Text()); m != nil {
				address <- m[1]
			}
		}
		i.done <- cmd.Wait()
	}()
	select {
	case i.base = <-address:
		return nil
	case err := <-i.done:
		return fmt.Errorf("serve ended: %w\n%s", err, i.logs)
	case <-time.After(30 * time.Second):
		_ = cmd.Process.Kill()
		return fmt.Errorf("serve did not say where within 30 s\n%s", i.logs)
	}
}

// stop ends the host with a signal and waits for it.
func (i *installed) stop(sig syscall.Signal) error {
	if i.cmd == nil {
		return nil
	}
	if err := i.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-i.done:
		i.cmd = nil
		if sig == syscall.SIGKILL {
			return nil
		}
		return err
	case <-time.After(20 * time.Second):
		_ = i.cmd.Process.Kill()
		return fmt.Errorf("the host did not stop within 20 s\n%s", i.logs)
	}
}

// plugins gives the pids of this host's plugin processes, found by the data
// directory that their sockets are in, so that they are found orphaned too.
func (i *installed) plugins() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		exe, err := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		if err != nil || !strings.Contains(filepath.Base(exe), "zondarr-plugin-") {
			continue
		}
		env, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err == nil && bytes.Contains(env, []byte(i.data)) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// call makes an API call and gives status and body.
func (i *installed) call(ctx context.Context, method, path, body string, header ...string) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, i.base+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if i.key != "" && !strings.HasPrefix(path, "/api/v1/join") {
		req.Header.Set("Authorization", "Bearer "+i.key)
	}
	for n := 0; n+1 < len(header); n += 2 {
		req.Header.Set(header[n], header[n+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res.StatusCode, answer, err
}

// at gives the value at a path such as items.0.id in a JSON text.
func at(raw []byte, path string) (string, error) {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return "", err
	}
	for part := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[part]
		case []any:
			n, err := strconv.Atoi(part)
			if err != nil || n >= len(x) {
				return "", fmt.Errorf("%s: no entry %s", path, part)
			}
			v = x[n]
		default:
			return "", fmt.Errorf("%s: nothing at %s", path, part)
		}
	}
	if s, ok := v.(string); ok {
		return s, nil
	}
	text, err := json.Marshal(v)
	return string(text), err
}
