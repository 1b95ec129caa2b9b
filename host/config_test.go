package host

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"pgregory.net/rapid"
)

const testKey = "0123456789abcdef0123456789abcdef"

// valid holds a valid value of every setting but the secret key.
var valid = map[string][]string{
	"addr": {"127.0.0.1:0", ":9000", "[::1]:80"}, "base_url": {"https://join.example.org", "http://10.0.0.2:8000/"},
	"trusted_proxies": {"10.0.0.0/8", "192.0.2.7,2001:db8::/32"}, "data_dir": {"/tmp/zondarr-test-data"}, "run_dir": {"/run/zondarr-test"},
	"database_url": {"sqlite:///tmp/x.db", "postgres://u:p@localhost/z?sslmode=disable"},
	"plugin_dirs":  {"/a,/b"},
	"join_rate":    {"off", "unknown=1", "redeem=5,redeem_code=7"}, "stop_timeout": {"1s", "2m"}, "metrics_addr": {"127.0.0.1:9100"},
	"log_level": {"debug", "ERROR"}, "log_format": {"text", "json"},
}

func TestAnySubsetOfOptionalSettingsLoads(t *testing.T) { // P1, R1.3
	keys := slices.Sorted(func(yield func(string) bool) {
		for k := range valid {
			if !yield(k) {
				return
			}
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		environ := []string{"ZONDARR_SECRET_KEY=" + testKey}
		for _, k := range keys {
			if rapid.Bool().Draw(t, k) {
				environ = append(environ, envPrefix+strings.ToUpper(k)+"="+rapid.SampledFrom(valid[k]).Draw(t, k+" value"))
			}
		}
		c, warnings, err := load(sources{environ: environ}, true)
		if err != nil || len(warnings) > 0 {
			t.Fatalf("load(%q) = %v, warnings %q", environ, err, warnings)
		}
		// Every field that has no documented "none" has a value.
		mayBeZero := []string{"BaseURL", "TrustedProxies", "RunDir", "SecretKeyPrev", "JoinRate", "MetricsAddr", "LogLevel", "LogFormat"}
		v := reflect.ValueOf(c)
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; v.Field(i).IsZero() && !slices.Contains(mayBeZero, name) {
				t.Fatalf("%s has no value", name)
			}
		}
	})
}

// broken holds a wrong value of every setting that can be wrong.
var broken = map[string]string{
	"addr": "8000", "base_url": "https://join.example.org/zondarr", "trusted_proxies": "10.0.0.0/33", "data_dir": "/dev/null",
	"database_url": "mysql://x", "join_rate": "unknown=0", "stop_timeout": "8",
	"metrics_addr": "x", "log_level": "loud", "log_format": "xml", "secret_key": "short", "secret_key_previous": "short",
}

func TestEveryProblemIsNamedAtOnce(t *testing.T) { // P2, R1.5
	keys := slices.Sorted(func(yield func(string) bool) {
		for k := range broken {
			if !yield(k) {
				return
			}
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		wrong := rapid.SliceOfNDistinct(rapid.SampledFrom(keys), 1, len(keys), rapid.ID[string]).Draw(t, "wrong")
		environ := []string{}
		if !slices.Contains(wrong, "secret_key") {
			environ = append(environ, "ZONDARR_SECRET_KEY="+testKey)
		}
		for _, k := range wrong {
			environ = append(environ, envPrefix+strings.ToUpper(k)+"="+broken[k])
		}
		_, _, err := load(sources{environ: environ}, true)
		problems, ok := errors.AsType[Problems](err)
		if !ok {
			t.Fatalf("load(%q) = %v; want Problems", environ, err)
		}
		var named []string
		for _, p := range problems {
			named = append(named, p.Setting)
			if p.Message == "" {
				t.Fatalf("%s has no message", p.Setting)
			}
		}
		slices.Sort(named)
		slices.Sort(wrong)
		if !slices.Equal(slices.Compact(named), wrong) {
			t.Fatalf("named %q; want %q", named, wrong)
		}
	})
}

func TestMissingSecretKeySaysHowToMakeOne(t *testing.T) { // R1.6
	dir := filepath.Join(t.TempDir(), "data")
	_, _, err := load(sources{environ: []string{"ZONDARR_DATA_DIR=" + dir}}, true)
	if err == nil || !strings.Contains(err.Error(), "zondarr init") || !strings.Contains(err.Error(), "ZONDARR_SECRET_KEY") {
		t.Fatalf("load = %v; want the way to make a key", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("something was written before the check")
	}
	if _, _, err := load(sources{environ: []string{"ZONDARR_DATA_DIR=" + dir}}, false); err != nil {
		t.Fatalf("a command that needs no key: %v", err)
	}
}

func TestLaterSourcesWin(t *testing.T) { // R1.3
	file := filepath.Join(t.TempDir(), "zondarr.yaml")
	text := "addr: 127.0.0.1:1\nstop_timeout: 1s\nlog_level: debug\nplugin_dirs:\n  - /one\n  - /two\nsecret_key: " + testKey + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	addFlags(flags)
	if err := flags.Parse([]string{"--stop-timeout=3s"}); err != nil {
		t.Fatal(err)
	}
	c, _, err := load(sources{file: file, environ: []string{"ZONDARR_ADDR=127.0.0.1:2", "ZONDARR_STOP_TIMEOUT=2s"}, flags: flags}, true)
	if err != nil {
		t.Fatal(err)
	}
	if c.Addr != "127.0.0.1:2" || c.StopTimeout != 3*time.Second || c.LogLevel.String() != "DEBUG" || !slices.Equal(c.PluginDirs, []string{"/one", "/two"}) {
		t.Fatalf("merged to %+v", c)
	}
}

func TestUnknownNames(t *testing.T) {
	file := filepath.Join(t.TempDir(), "zondarr.yaml")
	if err := os.WriteFile(file, []byte("adr: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := load(sources{file: file, environ: []string{"ZONDARR_SECRET_KEY=" + testKey}}, true)
	if err == nil || !strings.Contains(err.Error(), "did you mean addr") {
		t.Errorf("an unknown key in the file: %v", err)
	}
	_, warnings, err := load(sources{environ: []string{"ZONDARR_SECRET_KEY=" + testKey, "ZONDARR_LOGLEVEL=debug"}}, true)
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "ZONDARR_LOG_LEVEL") {
		t.Errorf("an unknown variable: %v, %q", err, warnings)
	}
}

// A misspelt variable is named where it matters: when a setting is missing.
func TestMisspeltVariableIsNamedWithTheProblem(t *testing.T) {
	var out, errOut bytes.Buffer
	code := Main(t.Context(), []string{"serve", "--data-dir", t.TempDir()}, []string{"ZONDARR_SECERT_KEY=" + testKey}, Stdio{In: strings.NewReader(""), Out: &out, Err: &errOut})
	if code != 2 || !strings.Contains(errOut.String(), "did you mean secret_key") || strings.Contains(errOut.String(), testKey) {
		t.Errorf("%d: %s", code, errOut.String())
	}
}

// The first steps that are shown lead to the instance that serves.
func TestWelcomeNamesTheInstance(t *testing.T) {
	var p program
	cmd := p.serveCommand()
	cmd.Flags().StringVar(&p.file, "config", "", "")
	if err := cmd.ParseFlags([]string{"--data-dir", "/srv/my data", "--config=z.yaml", "--addr", "127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	if got, want := sameInstance(cmd.Flags()), " --config z.yaml --data-dir '/srv/my data'"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSecretsFromFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(testKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := load(sources{environ: []string{"ZONDARR_SECRET_KEY_FILE=" + file}}, true)
	if err != nil || c.SecretKey != testKey {
		t.Fatalf("load = %v", err)
	}
	_, _, err = load(sources{environ: []string{"ZONDARR_SECRET_KEY_FILE=" + file, "ZONDARR_SECRET_KEY=" + testKey}}, true)
	if err == nil || strings.Contains(err.Error(), testKey) {
		t.Fatalf("both set: %v", err)
	}
}
