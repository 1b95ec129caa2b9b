package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

func TestReasons(t *testing.T) {
	seen := map[sdk.Reason]bool{}
	for _, r := range sdk.Reasons() {
		if r == "" || seen[r] {
			t.Errorf("%q is empty or listed twice", r)
		}
		seen[r] = true
		err := fmt.Errorf("wrapped: %w", sdk.Errorf(r, "it went wrong"))
		if !errors.Is(err, sdk.ErrorOf(r)) || sdk.ReasonOf(err) != r {
			t.Errorf("%q is not found again", r)
		}
		if r != sdk.ReasonInternal && errors.Is(err, sdk.ErrorOf(sdk.ReasonInternal)) {
			t.Errorf("%q is taken for internal", r)
		}
		if got := sdk.Errorf(r, "x").Retryable; got != r.Transient() {
			t.Errorf("%q is retryable: %v", r, got)
		}
	}
	if sdk.ReasonOf(nil) != "" || sdk.ReasonOf(errors.New("x")) != sdk.ReasonInternal || sdk.ReasonOf(context.DeadlineExceeded) != sdk.ReasonTimeout {
		t.Error("errors without a reason have the wrong one")
	}
}

// R3.9: what is shown names operation, server and cause, and no secret.
func TestErrorText(t *testing.T) {
	e := &sdk.Error{Op: "CreateUser", ServerURL: "http://media.example", Reason: sdk.ReasonTimeout, Message: "no answer"}
	if got := e.Error(); got != "CreateUser http://media.example: no answer" {
		t.Errorf("got %q", got)
	}
	if got := sdk.ErrorOf(sdk.ReasonNotFound).Error(); got != "not_found" {
		t.Errorf("got %q", got)
	}
	cause := errors.New("refused")
	web := &url.Error{Op: "Get", URL: "http://media.example/users?api_key=canary", Err: cause}
	for _, err := range []error{web, fmt.Errorf("listing: %w", web)} {
		got := sdk.Errorf(sdk.ReasonUnavailable, "users: %w (%v)", err, err)
		if strings.Contains(got.Error(), "canary") || !strings.Contains(got.Error(), "refused") {
			t.Errorf("got %q", got)
		}
		if !errors.Is(sdk.Errorf(sdk.ReasonUnavailable, "users: %w", err), cause) {
			t.Error("the cause is lost")
		}
		if _, ok := errors.AsType[*url.Error](sdk.Errorf(sdk.ReasonUnavailable, "users: %w", err)); !ok {
			t.Error("the type of the cause is lost")
		}
	}
}

func TestUpstreamError(t *testing.T) {
	for code, want := range map[int]sdk.Reason{
		302: sdk.ReasonWrongProduct, 400: sdk.ReasonServerError, 401: sdk.ReasonCredentialsRejected, 403: sdk.ReasonNotAdmin,
		404: sdk.ReasonEndpointGone, 405: sdk.ReasonEndpointGone, 408: sdk.ReasonTimeout, 410: sdk.ReasonEndpointGone,
		429: sdk.ReasonRateLimited, 500: sdk.ReasonServerError, 502: sdk.ReasonUnavailable, 503: sdk.ReasonUnavailable, 504: sdk.ReasonTimeout,
	} {
		e := sdk.UpstreamError(&http.Response{StatusCode: code, Header: http.Header{"Retry-After": {"7"}}})
		if e.Kind() != want || e.Origin() != sdk.SourceUpstream || e.UpstreamStatus != code || e.RetryAfter != 7*time.Second {
			t.Errorf("%d gave %+v", code, e)
		}
		if e.Retryable != want.Transient() || e.Message == "" {
			t.Errorf("%d is retryable: %v, %q", code, e.Retryable, e.Message)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-7": 0, "1.5": 0, "soon": 0, "99999999999999999999": 0,
		"9999999999": 24 * time.Hour, "Thu, 01 Jan 2026 00:01:00 GMT": time.Minute, "Thu, 01 Jan 2025 00:01:00 GMT": 0,
	} {
		if got := sdk.RetryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q is %s, want %s", value, got, want)
		}
	}
}

func TestContext(t *testing.T) {
	ctx := t.Context()
	if sdk.CorrelationID(ctx) != "" || sdk.TraceParent(ctx) != "" || sdk.TraceState(ctx) != "" || sdk.ResponseLimit(ctx) != 0 {
		t.Error("an empty context has values")
	}
	ctx = sdk.WithResponseLimit(sdk.WithTraceContext(sdk.WithCorrelationID(ctx, "c"), "p", "s"), 5)
	ctx = sdk.WithTraceContext(sdk.WithCorrelationID(ctx, ""), "", "") // says nothing
	if sdk.CorrelationID(ctx) != "c" || sdk.TraceParent(ctx) != "p" || sdk.TraceState(ctx) != "s" || sdk.ResponseLimit(ctx) != 5 {
		t.Error("a value is lost")
	}
}

func TestAsUndone(t *testing.T) {
	if err := sdk.AsUndone(nil); err != nil {
		t.Fatalf("no failure became %v", err)
	}
	cause := &sdk.Error{Reason: sdk.ReasonRateLimited, Source: sdk.SourceUpstream, Message: "slow down", RetryAfter: time.Minute, UpstreamStatus: 429}
	for _, err := range []error{cause, fmt.Errorf("creating: %w", cause)} {
		e, ok := errors.AsType[*sdk.Error](sdk.AsUndone(err))
		if !ok || !e.Undone || e.Reason != cause.Reason || e.Source != cause.Source || e.Message != cause.Message ||
			e.RetryAfter != cause.RetryAfter || e.UpstreamStatus != cause.UpstreamStatus || !errors.Is(e, cause) {
			t.Errorf("%v became %+v", err, e)
		}
	}
	if cause.Undone {
		t.Error("the cause was changed")
	}
	if err := sdk.AsUndone(context.DeadlineExceeded); sdk.ReasonOf(err) != sdk.ReasonTimeout || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a deadline became %v", err)
	}
}
