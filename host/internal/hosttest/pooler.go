package hosttest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/lib/pq"
)

// PoolerServers is how many connections to PostgreSQL the pooler has for one database.
const PoolerServers = 5

// poolerPort names the pooler's socket; nothing listens on it.
const poolerPort = "6432"

// startPooler is the one pooler of this test process, in front of its server.
var startPooler = sync.OnceValues(func() (testPooler, error) {
	s, err := startOnce()
	if err != nil {
		return testPooler{}, err
	}
	return startPgBouncer(context.Background(), s.url)
})

// testPooler is never stopped, as testServer is not; nor may the pipe that stop holds
// open be closed by the garbage collector.
type testPooler struct {
	dir  string // of its socket
	stop func()
}

// Pooled is the URL of the same database through PgBouncer, as an operator who has one
// would write it: each transaction runs on another of PoolerServers connections.
func Pooled(tb testing.TB, at string) string {
	tb.Helper()
	p, err := startPooler()
	if err != nil {
		tb.Fatalf("start PgBouncer: %v", err)
	}
	u, err := url.Parse(at)
	if err != nil {
		tb.Fatalf("the URL of the test's database: %v", err)
	}
	return poolerURL(p.dir, u.Path, "&statement_cache=off")
}

func poolerURL(dir, path, more string) string {
	return "postgres://anyone@" + path + "?sslmode=disable&host=" + url.QueryEscape(dir) + "&port=" + poolerPort + more
}

// startPgBouncer starts a private PgBouncer that ends with this process. It takes nothing
// at start-up but what it knows by itself.
func startPgBouncer(ctx context.Context, serverURL string) (testPooler, error) {
	bin, err := pgBouncerBin()
	if err != nil {
		return testPooler{}, err
	}
	server, err := pq.NewConfig(serverURL)
	if err != nil {
		return testPooler{}, err
	}
	p, err := newPrivate("zondarr-pool-")
	if err != nil {
		return testPooler{}, err
	}
	// "any" is trust under the name that the database line gives. An idle connection goes
	// soon: to PostgreSQL it is still that of the client who used it last.
	settings := fmt.Sprintf(`[databases]
* = %s
[pgbouncer]
unix_socket_dir = %s
unix_socket_mode = 0700
listen_port = %s
auth_type = any
pool_mode = transaction
default_pool_size = %d
max_client_conn = 200
server_idle_timeout = 1
server_tls_sslmode = %s
`, connectTo(server), p.dir, poolerPort, PoolerServers, server.SSLMode)
	if server.SSLRootCert != "" {
		settings += "server_tls_ca_file = " + server.SSLRootCert + "\n"
	}
	ini := filepath.Join(p.dir, "pgbouncer.ini")
	if err := os.WriteFile(ini, []byte(settings), 0o600); err != nil {
		return testPooler{}, errors.Join(err, os.RemoveAll(p.dir))
	}
	if p.attr.Credential != nil {
		if err := os.Chown(ini, unprivileged, unprivileged); err != nil {
			return testPooler{}, errors.Join(err, os.RemoveAll(p.dir))
		}
	}
	// It keeps nothing that a gentler signal could save, and would wait for its clients.
	stop, err := p.start("KILL", bin, ini)
	if err != nil {
		return testPooler{}, err
	}
	if err := awaitPostgres(ctx, poolerURL(p.dir, "/"+server.Database, "")); err != nil {
		err = fmt.Errorf("PgBouncer did not start: %w\n%s", err, p.log())
		stop()
		return testPooler{}, err
	}
	return testPooler{p.dir, stop}, nil
}

// connectTo is a server as PgBouncer writes it.
func connectTo(server pq.Config) string {
	settings := []string{"host=" + quoted(server.Host), "port=" + strconv.Itoa(int(server.Port)), "user=" + quoted(server.User)}
	if server.Password != "" {
		settings = append(settings, "password="+quoted(server.Password))
	}
	return strings.Join(settings, " ")
}

func quoted(value string) string { return "'" + strings.ReplaceAll(value, "'", "''") + "'" }

func pgBouncerBin() (string, error) {
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer", "/usr/local/sbin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no PgBouncer on this machine: install it (Debian: apt-get install pgbouncer)")
}
