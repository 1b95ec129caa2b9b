package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// installation is where TestMain builds the product, laid out as `make build`
// lays it out.
var installation string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "zondarr-installation-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary folder: nothing depends on it
	installation = dir
	if err := build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func build(dir string) error {
	plugins, extra := filepath.Join(dir, "plugins"), filepath.Join(dir, "extra")
	if err := errors.Join(os.Mkdir(plugins, 0o755), os.Mkdir(extra, 0o755)); err != nil {
		return err
	}
	for into, packages := range map[string][]string{
		dir:     {"./cmd/zondarr", "./cmd/zondarr-demo"},
		plugins: {"./cmd/zondarr-plugin-jellyfin", "./cmd/zondarr-plugin-plex"},
		extra:   {"./sdk/sdktest/zondarr-plugin-fake"}, // to be dropped in
	} {
		cmd := exec.Command("go", append([]string{"build", "-o", into + string(filepath.Separator)}, packages...)...)
		cmd.Dir = filepath.Join("..", "..")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %v: %w\n%s", packages, err, out)
		}
	}
	return nil
}
