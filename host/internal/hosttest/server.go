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
// PostgreSQL and PgBouncer refuse: nobody, on every Unix that we know.
const unprivileged = 65534

// supervise runs a server for as long as the pipe on its standard input is open, that is
// for as long as the test process lives, however that ends; then it stops the server and
// removes its directory.
const supervise = `dir=$1; signal=$2; shift 2
"$@" </dev/null >"$dir/server.log" 2>&1 &
server=$!
read -r _
kill -"$signal" "$server"
wait "$server"
rm -rf "$dir"`

// StartPostgres starts a private PostgreSQL server and gives the URL of its database
// "postgres". It is not durable: a crash of the machine loses it. The server ends with
// stop, or with this process.
func StartPostgres(ctx context.Context) (serverURL string, stop func(), err error) {
	bin, err := postgresBin()
	if err != nil {
		return "", nil, err
	}
	p, err := newPrivate("zondarr-pg-")
	if err != nil {
		return "", nil, err
	}
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", filepath.Join(p.dir, "data"),
		"-U", "postgres", "-A", "trust", "--no-sync", "--locale=C", "--lc-ctype=C.UTF-8", "--encoding=UTF8") // the order of bytes, and the case of all letters
	p.owns(initdb)
	if out, err := initdb.CombinedOutput(); err != nil {
		return "", nil, errors.Join(fmt.Errorf("initdb: %w\n%s", err, out), os.RemoveAll(p.dir))
	}

	stop, err = p.start("QUIT", filepath.Join(bin, "postgres"), "-D", filepath.Join(p.dir, "data"), "-k", p.dir,
		"-c", "listen_addresses=", "-c", "unix_socket_permissions=0700",
		"-c", "max_connections=300", "-c", "shared_buffers=64MB",
		"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
		"-c", "timezone=UTC")
	if err != nil {
		return "", nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	serverURL = (&url.URL{
		Scheme: "postgres", User: url.User("postgres"), Path: "/postgres",
		RawQuery: url.Values{"host": {p.dir}, "sslmode": {"disable"}}.Encode(),
	}).String()
	if err := awaitPostgres(ctx, serverURL); err != nil {
		err = fmt.Errorf("PostgreSQL did not start: %w\n%s", err, p.log())
		stop()
		return "", nil, err
	}
	return serverURL, stop, nil
}

// private is a server that is about to run in a directory of its own.
type private struct {
	dir  string
	attr *syscall.SysProcAttr
}

func newPrivate(prefix string) (*private, error) {
	dir, err := os.MkdirTemp(shortTemp(), prefix)
	if err != nil {
		return nil, err
	}
	p := &private{dir: dir, attr: &syscall.SysProcAttr{Setpgid: true}} // an interrupt on the terminal is for the tests
	if os.Getuid() == 0 {
		if err := os.Chown(dir, unprivileged, unprivileged); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		p.attr.Credential = &syscall.Credential{Uid: unprivileged, Gid: unprivileged}
	}
	return p, nil
}

// owns makes a command run as the server's user in the server's directory.
func (p *private) owns(c *exec.Cmd) {
	c.Dir, c.SysProcAttr = p.dir, p.attr
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC", "HOME=" + p.dir}
}

// start runs the server until stop, or until this process ends; it ends by signal.
func (p *private) start(signal string, command ...string) (stop func(), err error) {
	stdin, alive, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(p.dir))
	}
	// Not bound to a context: the supervisor ends by its pipe, or it could not clean up.
	server := exec.Command("/bin/sh", append([]string{"-c", supervise, "sh", p.dir, signal}, command...)...)
	p.owns(server)
	server.Stdin = stdin
	if err := server.Start(); err != nil {
		return nil, errors.Join(err, stdin.Close(), alive.Close(), os.RemoveAll(p.dir))
	}
	stdin.Close()
	return func() {
		alive.Close()
		_ = server.Wait() // its exit code is that of rm
	}, nil
}

// log is what the server has said so far.
func (p *private) log() []byte {
	said, _ := os.ReadFile(filepath.Join(p.dir, "server.log"))
	return bytes.TrimSpace(said)
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
