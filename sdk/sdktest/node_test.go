//go:build node

package sdktest_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/zondarr/zondarr/sdk/sdktest"
)

// A plugin in another language, from the .proto files and their README alone, passes the
// same checks. Needs node and npm; see "make test-node".
func TestNodePlugin(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zondarr-plugin-node")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	for _, args := range [][]string{
		{"ci", "--no-audit", "--no-fund"},
		{"run", "build", "--", "--outfile=" + path},
	} {
		cmd := exec.CommandContext(ctx, "npm", args...)
		cmd.Dir = "testdata/node"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("npm %v: %v\n%s", args, err, out)
		}
	}
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	fake := sdktest.NewFake()
	one, two := fake.AddServer("one"), fake.AddServer("two")
	one.Listen()
	two.Listen()
	t.Cleanup(one.Close)
	t.Cleanup(two.Close)
	second := two.Ref()
	var out bytes.Buffer
	report := sdktest.RunBinary(t.Context(), path, &sdktest.Target{Server: one.Ref(), Second: &second}, &out)
	t.Log(out.String())
	if !report.OK() || report.Count(sdktest.Passed, 1) < 20 || report.Count(sdktest.Passed, 2) < 14 {
		t.Errorf("%d checks failed", report.Count(sdktest.Failed, 0))
	}
}
