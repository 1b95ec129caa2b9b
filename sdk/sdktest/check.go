package sdktest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// Check is one rule of the contract.
type Check struct {
	// Name says what holds: "describes itself the same way each time".
	Name string
	// Why says what goes wrong for people when it does not hold.
	Why string
	// Tier is 1, 2 or 3; see the package comment.
	Tier int
	// Run gives nil, an error that names the fault, or NotApplicable.
	Run func(ctx context.Context, s *Subject) error
}

// Checks gives every check in the order in which they run: tier by tier, and in each
// the most basic first.
func Checks() []Check {
	var all []Check
	for _, tier := range [][]Check{processChecks(), declarationChecks(), faultChecks(), canaryChecks(), stateChecks(), manyChecks(), fixtureChecks()} {
		all = append(all, tier...)
	}
	return all
}

// checkTimeout bounds one check.
const checkTimeout = 2 * time.Minute

// notApplicable is the outcome of a check that says nothing about a plugin.
type notApplicable struct{ reason string }

func (n notApplicable) Error() string { return "not applicable: " + n.reason }

// NotApplicable is what a check gives when it says nothing about the plugin: "the
// plugin does not declare suspend".
func NotApplicable(format string, args ...any) error {
	return notApplicable{fmt.Sprintf(format, args...)}
}

// wantReason says what is wrong unless a call failed with one of the reasons; what is the
// call, in words.
func wantReason(what string, err error, reasons ...sdk.Reason) error {
	want := fmt.Sprintf("%q", reasons[0])
	if len(reasons) > 1 {
		want = fmt.Sprintf("one of %q", reasons)
	}
	switch got := sdk.ReasonOf(err); {
	case err == nil:
		return fmt.Errorf("%s succeeds, want %s", what, want)
	case !slices.Contains(reasons, got):
		return fmt.Errorf("%s fails with %q (%w), want %s", what, got, err, want)
	}
	return nil
}

// Outcome of a check.
type Outcome string

// The outcomes.
const (
	Passed  Outcome = "passed"
	Failed  Outcome = "failed"
	Skipped Outcome = "skipped"
)

// Result is what came of one check.
type Result struct {
	Check   Check
	Outcome Outcome
	// Detail is the fault, or why the check was skipped.
	Detail string
	Took   time.Duration
}

// run does one check, with a panic in it counted as a fault.
func (c Check) run(ctx context.Context, s *Subject) (r Result) {
	r.Check = c
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	start := time.Now()
	defer func() {
		r.Took = time.Since(start)
		if p := recover(); p != nil {
			r.Outcome, r.Detail = Failed, fmt.Sprintf("panic: %v", p)
		}
	}()
	err := c.Run(ctx, s)
	skip, isSkip := errors.AsType[notApplicable](err)
	switch {
	case err == nil:
		r.Outcome = Passed
	case isSkip:
		r.Outcome, r.Detail = Skipped, skip.reason
	default:
		r.Outcome, r.Detail = Failed, err.Error()
	}
	return r
}
