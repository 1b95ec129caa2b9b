package host

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/secret"
)

// Config is every setting of the host, parsed and checked. It stops at Run:
// below it only plain values are passed.
type Config struct {
	Addr           string         // listen address of the API
	BaseURL        string         // public base URL without trailing slash, or "" (links are relative)
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed
	DataDir        string         // absolute
	RunDir         string         // plugin sockets; "" = chosen under DataDir or a fresh directory
	DatabaseURL    string         // sqlite://… or postgres://…
	SecretKey      string         // text of at least 32 bytes
	SecretKeyPrev  string         // the key before, while rotating
	PluginDirs     []string       // absolute
	JoinRate       JoinRate       // limits of /join
	StopTimeout    time.Duration  // budget of an orderly stop
	MetricsAddr    string         // listen address of /metrics, or "" (off)
	LogLevel       slog.Level
	LogFormat      string // text, json or "" (text on a terminal)
}

// JoinRate limits what strangers may try on /join, in requests per minute; 0
// means no limit.
type JoinRate struct {
	UnknownPerClient int // unknown codes, per client address (IPv6: per /64)
	UnknownTotal     int // unknown codes, in all
	RedeemPerClient  int // redemptions, per client address
	RedeemPerCode    int // redemptions, per code
}

// setting is one row of the settings table: its key in the file, its default
// and its help. The environment variable and the flag follow from the key.
type setting struct {
	key, def, usage string
	// secret settings may also come from a file (key_file) and are never printed;
	// but for the database's URL, which often holds no password, they are no flags.
	secret bool
}

// settings lists every setting, in the order of the documentation.
var settings = []setting{
	{key: "addr", def: "127.0.0.1:8000", usage: "listen address"},
	{key: "base_url", usage: "public base URL, for links (default: links are relative)"},
	{key: "trusted_proxies", usage: "comma-separated CIDRs of reverse proxies whose X-Forwarded-For is believed"},
	{key: "data_dir", def: "./data", usage: "data directory"},
	{key: "run_dir", usage: "directory of the plugins' sockets (default: <data dir>/run if the path is short enough)"},
	{key: "database_url", usage: "sqlite://PATH or postgres://… (default: sqlite://<data dir>/zondarr.db)", secret: true},
	{key: "secret_key", usage: "key that seals secrets, at least 32 bytes (default: <data dir>/secret.key)", secret: true},
	{key: "secret_key_previous", usage: "the key before, while rotating", secret: true},
	{key: "plugin_dirs", usage: "comma-separated plugin directories (default: <data dir>/plugins)"},
	{key: "join_rate", def: "unknown=10,unknown_total=100,redeem=20,redeem_code=120", usage: "limits per minute on /join: unknown codes per client and in all, redemptions per client and per code; off for tests"},
	{key: "stop_timeout", def: "8s", usage: "budget of an orderly stop"},
	{key: "metrics_addr", usage: "listen address of /metrics (default: off)"},
	{key: "log_level", def: "info", usage: "debug, info, warn or error"},
	{key: "log_format", usage: "text or json (default: text on a terminal, json elsewhere)"},
}

func (s setting) env() string  { return envPrefix + strings.ToUpper(s.key) }
func (s setting) flag() string { return strings.ReplaceAll(s.key, "_", "-") }

const envPrefix = "ZONDARR_"

// Problem is one setting that is wrong.
type Problem struct {
	// Setting is the key; the text names the variable as well.
	Setting string
	// Message says what is wrong and what would be right.
	Message string
}

// Problems is every setting that is wrong, at once (R1.5).
type Problems []Problem

func (p Problems) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the configuration has %d problem(s):", len(p))
	for _, q := range p {
		where := " (" + envPrefix + strings.ToUpper(q.Setting) + ")"
		if q.Setting == "config" {
			where = "" // a flag, and no variable
		}
		fmt.Fprintf(&b, "\n  %s%s: %s", q.Setting, where, q.Message)
	}
	return b.String()
}

func (p *Problems) add(key, format string, args ...any) {
	*p = append(*p, Problem{Setting: key, Message: fmt.Sprintf(format, args...)})
}

// parse turns the merged values into a Config and collects every problem.
// needKey says whether the command seals or opens secrets.
func parse(v values, needKey bool) (Config, error) {
	var c Config
	var p Problems
	c.Addr = v.hostPort(&p, "addr")
	c.BaseURL = v.baseURL(&p)
	c.TrustedProxies = v.prefixes(&p)
	c.DataDir = v.dir(&p, "data_dir")
	if v.text("run_dir") != "" {
		c.RunDir = v.dir(&p, "run_dir")
	}
	c.DatabaseURL = v.databaseURL(&p, c.DataDir)
	c.PluginDirs = v.pluginDirs(&p, c.DataDir)
	c.JoinRate = v.joinRate(&p)
	c.StopTimeout = v.duration(&p, "stop_timeout", 100*time.Millisecond, 10*time.Minute)
	if v.text("metrics_addr") != "" {
		c.MetricsAddr = v.hostPort(&p, "metrics_addr")
	}
	if err := c.LogLevel.UnmarshalText([]byte(v.text("log_level"))); err != nil {
		p.add("log_level", "must be debug, info, warn or error")
	}
	switch c.LogFormat = v.text("log_format"); c.LogFormat {
	case "", "text", "json":
	default:
		p.add("log_format", "must be text or json")
	}
	c.SecretKey = v.secretKey(&p, c.DataDir, needKey)
	c.SecretKeyPrev = v.secret(&p, "secret_key_previous")
	if n := len(c.SecretKeyPrev); n > 0 && n < secret.MinKeyLength {
		p.add("secret_key_previous", "has %d bytes, want at least %d: it is the secret key from before the rotation", n, secret.MinKeyLength)
	}
	if len(p) > 0 {
		return Config{}, p
	}
	return c, nil
}

// SecretKeyFile is where `zondarr init` puts the secret key.
func SecretKeyFile(dataDir string) string { return filepath.Join(dataDir, "secret.key") }

func (v values) secretKey(p *Problems, dataDir string, need bool) string {
	key := v.secret(p, "secret_key")
	const remedy = "make one with `zondarr init` or `openssl rand -base64 32`"
	if key == "" && dataDir != "" && !v.set("secret_key") && !v.set("secret_key_file") {
		b, err := os.ReadFile(SecretKeyFile(dataDir))
		switch {
		case err == nil:
			if key = strings.TrimSpace(string(b)); len(key) < secret.MinKeyLength {
				p.add("secret_key", "in %s has %d bytes, want at least %d: put the right one back, or remove the file and run `zondarr init`; what was sealed under a lost key cannot be opened again",
					SecretKeyFile(dataDir), len(key), secret.MinKeyLength)
			}
			return key
		case !errors.Is(err, fs.ErrNotExist):
			p.add("secret_key", "cannot read %s: %v", SecretKeyFile(dataDir), errors.Unwrap(err))
			return ""
		}
	}
	switch n := len(key); {
	case n == 0 && need:
		p.add("secret_key", "is missing: %s, or set it to a random text of at least %d bytes", remedy, secret.MinKeyLength)
	case n > 0 && n < secret.MinKeyLength:
		p.add("secret_key", "has %d bytes, want at least %d: %s", n, secret.MinKeyLength, remedy)
	}
	return key
}

func (v values) databaseURL(p *Problems, dataDir string) string {
	raw := v.secret(p, "database_url")
	if raw == "" {
		return "sqlite://" + (&url.URL{Path: filepath.Join(dataDir, "zondarr.db")}).EscapedPath()
	}
	if err := database.CheckURL(raw); err != nil {
		p.add("database_url", "%v", err)
	}
	return raw
}

func (v values) pluginDirs(p *Problems, dataDir string) []string {
	dirs := v.list("plugin_dirs")
	if len(dirs) == 0 && dataDir != "" {
		return []string{filepath.Join(dataDir, "plugins")}
	}
	for i, d := range dirs {
		abs, err := filepath.Abs(d)
		if err != nil {
			p.add("plugin_dirs", "%q is no path", d)
		}
		dirs[i] = abs
	}
	return dirs
}

func (v values) baseURL(p *Problems) string {
	raw := strings.TrimRight(v.text("base_url"), "/")
	if raw == "" {
		return ""
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		p.add("base_url", "must be like https://join.example.org, without path, user, query or fragment: Zondarr is served at the root of its host name")
	}
	return raw
}

func (v values) prefixes(p *Problems) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range v.list("trusted_proxies") {
		prefix, err := netip.ParsePrefix(s)
		if addr, addrErr := netip.ParseAddr(s); err != nil && addrErr == nil {
			prefix, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			p.add("trusted_proxies", "%q is no network: want CIDRs such as 10.0.0.0/8 or 192.0.2.7", s)
			continue
		}
		out = append(out, prefix.Masked())
	}
	return out
}

func (v values) hostPort(p *Problems, key string) string {
	addr := v.text(key)
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		p.add(key, "must be HOST:PORT, such as 127.0.0.1:8000 or :8000")
	}
	return addr
}

func (v values) joinRate(p *Problems) JoinRate {
	var r JoinRate
	raw := v.text("join_rate")
	if raw == "off" {
		return r
	}
	fields := map[string]*int{
		"unknown": &r.UnknownPerClient, "unknown_total": &r.UnknownTotal,
		"redeem": &r.RedeemPerClient, "redeem_code": &r.RedeemPerCode,
	}
	for _, part := range v.list("join_rate") {
		name, number, _ := strings.Cut(part, "=")
		field := fields[name]
		var n int
		if _, err := fmt.Sscanf(number, "%d", &n); field == nil || err != nil || n < 1 || fmt.Sprint(n) != number {
			p.add("join_rate", "must be off or like %q, with whole numbers of at least 1 per minute", "unknown=10,unknown_total=100,redeem=20,redeem_code=120")
			return JoinRate{}
		}
		*field = n
	}
	return r
}
