package sdktest_test

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

// build builds a program of this package's folder into a file of the given name.
func build(t *testing.T, pkg, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", path, pkg).CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
	return path
}

// The Fake earns its place: it passes every tier in process, over gRPC and as a program.
func TestFakeConforms(t *testing.T) {
	t.Run("password", func(t *testing.T) {
		sdktest.Run(t, sdktest.Config{
			New:     func() sdk.Plugin { return sdktest.NewFake() },
			Program: build(t, "./zondarr-plugin-fake", "zondarr-plugin-fake"),
			Fixture: sdktest.FakeFixture(sdk.JoinPassword),
		})
	})
	t.Run("linked account", func(t *testing.T) {
		sdktest.Run(t, sdktest.Config{
			New:     func() sdk.Plugin { return &sdktest.Fake{JoinFlow: sdk.JoinLinkedAccount} },
			Fixture: sdktest.FakeFixture(sdk.JoinLinkedAccount),
		})
	})
	t.Run("minimal", func(t *testing.T) {
		sdktest.Run(t, sdktest.Config{New: func() sdk.Plugin { return &sdktest.Fake{Minimal: true} }})
	})
}

// A plugin starts in another directory than its tester, who may still name it by a
// relative path.
func TestRelativePath(t *testing.T) {
	t.Chdir(filepath.Dir(build(t, "./zondarr-plugin-fake", "zondarr-plugin-fake")))
	var out bytes.Buffer
	if report := sdktest.RunSome(t.Context(), "zondarr-plugin-fake", nil, &out, "is named after its file"); !report.OK() {
		t.Error(out.String())
	}
}
