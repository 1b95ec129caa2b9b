package sdktest

import (
	"context"
	"io"
	"testing"
)

// RunSome is RunBinary for the checks with the given name.
func RunSome(ctx context.Context, path string, target *Target, out io.Writer, name string) Report {
	return runProgram(ctx, path, target, out, func(c Check) bool { return c.Name == name })
}

// RunInProcess runs the checks with the given name in process, and fails no test.
func RunInProcess(t *testing.T, config Config, name string) []Result {
	t.Helper()
	s, stop, err := config.subject(t, InProcess)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	s.tb = t
	var out []Result
	for _, c := range Checks() {
		if c.Name == name {
			out = append(out, c.run(t.Context(), s))
		}
	}
	return out
}
