package sdktest

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// Report is what came of testing a plugin program.
type Report struct {
	// Path is the program.
	Path string
	// Description is what it declares; without a name when it could not be started.
	Description sdk.Description
	// Results come in the order of the checks.
	Results []Result
}

// OK says that nothing failed.
func (r Report) OK() bool { return r.Count(Failed, 0) == 0 && len(r.Results) > 0 }

// Count counts the results with an outcome in a tier, or in all with 0.
func (r Report) Count(o Outcome, tier int) int {
	n := 0
	for _, x := range r.Results {
		if x.Outcome == o && (tier == 0 || x.Check.Tier == tier) {
			n++
		}
	}
	return n
}

// startCheck stands for the handshake, without which no check can run.
var startCheck = Check{
	Tier: 1, Name: "starts, shakes hands and describes itself",
	Why: "A plugin that does not is never shown to anybody.",
}

// RunBinary tests a plugin program, whatever language it was written in: tier 1 always,
// and tier 2 on the target, if there is one. It writes each result to out as it comes, in
// words for a person, and a summary at the end.
func RunBinary(ctx context.Context, path string, target *Target, out io.Writer) Report {
	return runProgram(ctx, path, target, out, func(Check) bool { return true })
}

// runProgram is RunBinary for some of the checks.
func runProgram(ctx context.Context, path string, target *Target, out io.Writer, wanted func(Check) bool) Report {
	report := Report{Path: path}
	add := func(r Result) {
		report.Results = append(report.Results, r)
		writeResult(out, r)
	}
	fmt.Fprintf(out, "Testing %s\n", path)
	s := newSubject(Binary)
	start := time.Now()
	stop, err := s.bringUp(nil, path)
	if err != nil {
		add(Result{Check: startCheck, Outcome: Failed, Detail: err.Error(), Took: time.Since(start)})
		writeSummary(out, report, target)
		return report
	}
	defer stop()
	report.Description = s.Description
	add(Result{Check: startCheck, Outcome: Passed, Took: time.Since(start)})
	if target != nil {
		t := *target
		t.Server.ServerType = s.Description.ServerType
		if t.Second != nil {
			second := *t.Second
			second.ServerType = s.Description.ServerType
			t.Second = &second
		}
		s.target = &t
	}
	for _, c := range Checks() {
		if c.Tier > 2 || c.Tier == 2 && target == nil || !wanted(c) {
			continue
		}
		if ctx.Err() != nil {
			add(Result{Check: c, Outcome: Failed, Detail: "the test was interrupted"})
			break
		}
		add(c.run(ctx, s))
	}
	writeSummary(out, report, target)
	return report
}

func writeResult(out io.Writer, r Result) {
	mark := map[Outcome]string{Passed: "ok  ", Failed: "FAIL", Skipped: "skip"}[r.Outcome]
	fmt.Fprintf(out, "  %s  %d  %s (%s)\n", mark, r.Check.Tier, r.Check.Name, r.Took.Round(time.Millisecond))
	if r.Detail != "" {
		for line := range strings.Lines(r.Detail) {
			fmt.Fprintf(out, "          %s\n", strings.TrimRight(line, "\n"))
		}
	}
	if r.Outcome == Failed {
		fmt.Fprintf(out, "          why it matters: %s\n", r.Check.Why)
	}
}

func writeSummary(out io.Writer, r Report, target *Target) {
	if r.Description.Name != "" {
		fmt.Fprintf(out, "\n%s %s for %s\n", r.Description.Name, r.Description.Version, r.Description.DisplayName)
	} else {
		fmt.Fprintln(out)
	}
	for tier, what := range []string{1: "with nothing but the plugin", 2: "on a media server that was written to"} {
		switch {
		case tier == 0:
		case tier == 2 && target == nil:
			fmt.Fprintf(out, "tier 2 (%s): not run; give the settings of a media server to run it\n", what)
		default:
			fmt.Fprintf(out, "tier %d (%s): %d passed, %d failed, %d skipped\n", tier, what, r.Count(Passed, tier), r.Count(Failed, tier), r.Count(Skipped, tier))
		}
	}
	fmt.Fprintln(out, "tier 3 (lies and partial failures): runs in Go tests only, see sdktest.Run")
	if r.OK() {
		fmt.Fprintln(out, "PASSED")
	} else {
		fmt.Fprintln(out, "FAILED")
	}
}
