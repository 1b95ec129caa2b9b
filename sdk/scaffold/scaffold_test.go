package scaffold_test

import (
	"bytes"
	"context"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zondarr/zondarr/sdk/scaffold"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

// What is written outside the repository builds and passes at once, without a network.
func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	got, files, err := scaffold.Write(scaffold.Options{Name: "my-server", Dir: dir, SDK: "../.."})
	if err != nil || got != dir {
		t.Fatalf("%s, %v", got, err)
	}
	slices.Sort(files)
	if want := []string{".gitignore", "README.md", "go.mod", "go.sum", "main.go", "plugin.go", "plugin_test.go"}; !slices.Equal(files, want) {
		t.Errorf("wrote %v, want %v", files, want)
	}
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || bytes.Contains(text, []byte("<<")) {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
		if filepath.Ext(name) == ".go" {
			if tidy, err := format.Source(text); err != nil || !bytes.Equal(tidy, text) {
				t.Errorf("%s is not formatted: %v", name, err)
			}
		}
	}
	run := func(args ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOPROXY=off", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	run("vet", "./...")
	run("test", "-short", "./...")
	run("build", "-o", "zondarr-plugin-my-server", ".")
	var out bytes.Buffer
	if report := sdktest.RunBinary(t.Context(), filepath.Join(dir, "zondarr-plugin-my-server"), nil, &out); !report.OK() {
		t.Errorf("the program fails:\n%s", out.String())
	}
	if _, _, err := scaffold.Write(scaffold.Options{Name: "my-server", Dir: dir}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a second time: %v", err)
	}
}

func TestWriteWithoutTheSource(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := scaffold.Write(scaffold.Options{Name: "x", Dir: dir, Module: "example.org/x"}); err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil || string(mod) != "module example.org/x\n\ngo 1.26.0\n" {
		t.Errorf("%v\n%s", err, mod)
	}
	if readme, err := os.ReadFile(filepath.Join(dir, "README.md")); err != nil || !strings.Contains(string(readme), "go mod tidy") {
		t.Errorf("the README does not say how to fetch the SDK: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	for says, o := range map[string]scaffold.Options{
		`the name "My Server"`:     {Name: "My Server"},
		`the name "../x"`:          {Name: "../x"},
		"the SDK's folder":         {Name: "x", SDK: t.TempDir()},
		"does not hold the module": {Name: "x", SDK: other(t)},
	} {
		o.Dir = filepath.Join(t.TempDir(), "new")
		if _, _, err := scaffold.Write(o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q, got %v", says, err)
		}
		if _, err := os.Stat(o.Dir); err == nil {
			t.Errorf("%s: something was written", says)
		}
	}
}

func other(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/other\n\ngo 1.26.0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
