package hosttest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	_ "github.com/lib/pq" // the driver "postgres"
)

// unprivileged is who a private server runs as when the tests run as root, whom
// PostgreSQL refuses: nobody, on every Unix that we know.
const unprivileged = 65534

// supervise runs the server for as long as the pipe on its standard input is open,
// that is for as long as the test process lives, however that ends; then it stops the
// server and removes the directory.
const supervise = `"$1" -D "$2/data" -k "$2" -c listen_addresses= -c unix_socket_permissions=0700 \
	-c max_connections=300 -c shared_buffers=64MB \
	-c fsync=off -c synchronous_commit=off -c full_page_writes=off \
	-c timezone=UTC </dev/null >"$2/server.log" 2>&1 &
server=$!
read -r _
kill -QUIT "$server"
wait "$server"
rm -rf "$2"`

// StartPostgres starts a private PostgreSQL server and gives the URL of its database
// "postgres". It is not durable: a crash of the machine loses it. The server ends with
// stop, or with this process.
func StartPostgres(ctx context.Context) (serverURL string, stop func(), err error) {
	bin, err := postgresBin()
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp(shortTemp(), "zondarr-pg-")
	if err != nil {
		return "", nil, err
	}
	attr := &syscall.SysProcAttr{Setpgid: true} // an interrupt on the terminal is for the tests
	if os.Getuid() == 0 {
		if err := os.Chown(dir, unprivileged, unprivileged); err != nil {
			return "", nil, err
		}
		attr.Credential = &syscall.Credential{Uid: unprivileged, Gid: unprivileged}
	}
	env := []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC", "HOME=" + dir}

	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"),
		"-U", "postgres", "-A", "trust", "--no-sync", "--locale=C", "--lc-ctype=C.UTF-8", "--encoding=UTF8") // the order of bytes, and the case of all letters
	initdb.Dir, initdb.Env, initdb.SysProcAttr = dir, env, attr
	if out, err := initdb.CombinedOutput(); err != nil {
		return "", nil, errors.Join(fmt.Errorf("initdb: %w\n%s", err, out), os.RemoveAll(dir))
	}

	stdin, alive, err := os.Pipe()
	if err != nil {
		return "", nil, err
	}
	// Not bound to ctx: the supervisor ends by its pipe, or it could not clean up.
	server := exec.Command("/bin/sh", "-c", supervise, "sh", filepath.Join(bin, "postgres"), dir)
	server.Dir, server.Env, server.SysProcAttr, server.Stdin = dir, env, attr, stdin
	if err := server.Start(); err != nil {
		return "", nil, errors.Join(fmt.Errorf("start PostgreSQL: %w", err), os.RemoveAll(dir))
	}
	stdin.Close()
	stop = func() {
		alive.Close()
		_ = server.Wait() // its exit code is that of rm
	}
	serverURL = (&url.URL{
		Scheme: "postgres", User: url.User("postgres"), Path: "/postgres",
		RawQuery: url.Values{"host": {dir}, "sslmode": {"disable"}}.Encode(),
	}).String()
	if err := awaitPostgres(ctx, serverURL); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "server.log"))
		stop()
		return "", nil, fmt.Errorf("PostgreSQL did not start: %w\n%s", err, bytes.TrimSpace(log))
	}
	return serverURL, stop, nil
}

func awaitPostgres(ctx context.Context, serverURL string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	server, err := sql.Open("postgres", serverURL)
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()
	for {
		err := server.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// postgresBin is the directory of the newest PostgreSQL on this machine.
func postgresBin() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	var newest string
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin/initdb",
		"/usr/pgsql-*/bin/initdb",
		"/opt/homebrew/opt/postgresql@*/bin/initdb",
		"/usr/local/opt/postgresql@*/bin/initdb",
	} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		for _, path := range found {
			if newest == "" || len(path) > len(newest) || len(path) == len(newest) && path > newest {
				newest = path
			}
		}
	}
	if newest == "" {
		return "", errors.New("no PostgreSQL server on this machine: install it (Debian: apt-get install postgresql) " +
			"or set ZONDARR_TEST_POSTGRES_URL to one whose user may create databases")
	}
	return filepath.Dir(newest), nil
}

// shortTemp is the directory for temporary files, unless a socket in it would have a
// longer path than the system allows.
func shortTemp() string {
	dir := os.TempDir()
	if len(dir) > 60 && runtime.GOOS != "windows" || strings.ContainsAny(dir, `'\`) {
		return "/tmp"
	}
	return dir
}
