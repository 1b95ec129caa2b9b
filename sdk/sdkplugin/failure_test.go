package sdkplugin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

// drawText draws valid text, some of it odd.
func drawText(t *rapid.T, label string) string {
	return rapid.StringOfN(rapid.Rune(), 0, 60, -1).Draw(t, label)
}

// P4, R3.9: for every failing operation the error carries operation, server and cause,
// through gRPC and back, whatever the reason.
func TestFailuresTravel(t *testing.T) {
	s := &stub{}
	c := sdktest.Connect(t, &stubPlugin{stub: s}).Client(ref("one"))
	names := slices.Sorted(maps.Keys(ops))
	seen := map[sdk.Reason]bool{}
	rapid.Check(t, func(t *rapid.T) {
		op := rapid.SampledFrom(names).Draw(t, "op")
		sent := &sdk.Error{
			Reason:         rapid.SampledFrom(sdk.Reasons()).Draw(t, "reason"),
			Source:         rapid.SampledFrom([]sdk.Source{"", sdk.SourceRequest, sdk.SourcePlugin, sdk.SourceUpstream}).Draw(t, "source"),
			Message:        "x" + drawText(t, "message"),
			Retryable:      rapid.Bool().Draw(t, "retryable"),
			RetryAfter:     time.Duration(rapid.Int64Range(0, int64(24*time.Hour)).Draw(t, "wait")),
			UpstreamStatus: rapid.IntRange(0, 599).Draw(t, "status"),
			Undone:         rapid.Bool().Draw(t, "undone"),
			Stale:          rapid.Bool().Draw(t, "stale"),
		}
		for range rapid.IntRange(0, 4).Draw(t, "fields") {
			sent.Fields = append(sent.Fields, sdk.FieldProblem{Field: drawText(t, "field"), Code: drawText(t, "code"), Message: drawText(t, "help")})
		}
		s.do = func(context.Context, string, any) error { return fmt.Errorf("in the client: %w", sent) }
		err := ops[op](context.Background(), c)
		got, ok := errors.AsType[*sdk.Error](err)
		if !ok {
			t.Fatalf("%s gave %T %v", op, err, err)
		}
		want := *sent
		want.Op, want.ServerURL = op, "http://media.example/one"
		if op == "CreateUser" && want.Reason == sdk.ReasonInternal {
			want.Reason, want.Source = sdk.ReasonAmbiguous, sdk.SourcePlugin
		}
		if !reflect.DeepEqual(*got, want) {
			t.Fatalf("%s\n got %+v\nwant %+v", op, *got, want)
		}
		if got.Origin() == sdk.SourceHost {
			t.Fatal("a plugin's failure is taken for the host's")
		}
		seen[sent.Reason] = true
	})
	// The draw above is random; that no reason is left out is not.
	for _, r := range sdk.Reasons() {
		s.do = func(context.Context, string, any) error { return sdk.ErrorOf(r) }
		if err := ops["ListSessions"](t.Context(), c); sdk.ReasonOf(err) != r || err.(*sdk.Error).Op != "ListSessions" { //nolint:errorlint // P4 promises the bare type
			t.Errorf("%s came back as %v", r, err)
		}
	}
}

// What an author returns without a reason says nothing to the admin, and everything to the
// log.
func TestUntypedFailures(t *testing.T) {
	var log bytes.Buffer
	s := &stub{do: func(context.Context, string, any) error { return errors.New("open /etc/shadow: canary-key-0001") }}
	c := sdktest.Connect(t, &stubPlugin{stub: s}, sdkplugin.LogTo(&log)).Client(ref("one"))
	for op, call := range ops {
		log.Reset()
		err := call(t.Context(), c)
		want := sdk.ReasonInternal
		if op == "CreateUser" { // nobody knows whether an account was made
			want = sdk.ReasonAmbiguous
		}
		e, _ := errors.AsType[*sdk.Error](err)
		if e == nil || e.Kind() != want || e.Origin() != sdk.SourcePlugin {
			t.Fatalf("%s gave %#v", op, err)
		}
		if strings.Contains(err.Error(), "shadow") {
			t.Errorf("%s shows the text: %v", op, err)
		}
		line, ok := sdkplugin.ParseLogLine(log.Bytes())
		if !ok || !strings.Contains(log.String(), "open /etc/shadow") || strings.Contains(log.String(), "canary") || line.ServerID != "one" {
			t.Errorf("%s logged %s", op, log.String())
		}
	}
}

func TestPanics(t *testing.T) {
	var log bytes.Buffer
	s := &stub{do: func(context.Context, string, any) error { panic("canary-key-0001 is not a number") }}
	c := sdktest.Connect(t, &stubPlugin{stub: s}, sdkplugin.LogTo(&log)).Client(ref("one"))
	for op, call := range ops {
		err := call(t.Context(), c)
		want := sdk.ReasonInternal
		if op == "CreateUser" {
			want = sdk.ReasonAmbiguous
		}
		if sdk.ReasonOf(err) != want || !strings.Contains(err.Error(), "panicked") {
			t.Errorf("%s gave %v", op, err)
		}
	}
	if !strings.Contains(log.String(), "stub_test.go") || strings.Contains(log.String(), "canary") {
		t.Errorf("the log has no stack, or a secret: %s", log.String())
	}
}

// The secrets of a server and of a call are in no failure and in no log line, whatever the
// author writes, and however it was quoted.
func TestSecretsStayInside(t *testing.T) {
	const key, password, token = `canary-key "1"`, "canary-pass&word", "canary-token-22"
	var log bytes.Buffer
	var logger sdkLogger
	s := &stub{}
	p := &stubPlugin{open: func(_ context.Context, req sdk.OpenRequest) (sdk.MediaClient, error) {
		logger = req.Logger
		return s, nil
	}}
	c := sdktest.Connect(t, p, sdkplugin.LogTo(&log)).Client(sdk.ServerRef{ID: "x", URL: "http://media.example", Secrets: map[string]string{"api_key": key}})
	state := []byte(`{"token":"` + token + `"}`)
	all := fmt.Sprintf("%s %q %s %s canary-key+%%221%%22 canary-pass%%26word", key, key, password, token)
	s.do = func(ctx context.Context, _ string, _ any) error {
		logger.ErrorContext(ctx, all, "attr", all, "nested", map[string]any{"x": []string{all}}, "err", errors.New(all))
		e := sdk.Errorf(sdk.ReasonInvalid, "%s", all)
		e.Fields = []sdk.FieldProblem{{Field: all, Code: all, Message: all}}
		return e
	}
	link := &sdk.LinkedAccount{State: state}
	_, err := c.CreateUser(t.Context(), sdk.CreateUserRequest{Password: password, Link: link})
	e, _ := errors.AsType[*sdk.Error](err)
	for _, text := range []string{err.Error(), fmt.Sprint(e.Fields), log.String()} {
		if strings.Contains(text, "canary") || !strings.Contains(text, "[redacted]") {
			t.Errorf("it says %s", text)
		}
	}
	if _, ok := sdkplugin.ParseLogLine(log.Bytes()); !ok {
		t.Errorf("redacting broke the line: %s", log.String())
	}
}

type sdkLogger interface {
	ErrorContext(ctx context.Context, msg string, args ...any)
	InfoContext(ctx context.Context, msg string, args ...any)
}

// brokenConn answers every call with one error, as gRPC would.
type brokenConn struct{ err error }

func (b brokenConn) Invoke(context.Context, string, any, any, ...grpc.CallOption) error {
	return b.err
}

func (b brokenConn) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, b.err
}

// A plugin that is gone is told from a media server that is down by the missing detail.
func TestCallsThatGoWrong(t *testing.T) {
	live, dead := context.Background(), func() context.Context {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		return ctx
	}()
	for _, tt := range []struct {
		name   string
		ctx    context.Context
		code   codes.Code
		reason sdk.Reason
		source sdk.Source
		is     error
	}{
		{"the process is gone", live, codes.Unavailable, sdk.ReasonUnavailable, sdk.SourceHost, nil},
		{"the process is going", live, codes.Canceled, sdk.ReasonUnavailable, sdk.SourceHost, nil},
		{"the caller gives up", dead, codes.Canceled, sdk.ReasonTimeout, sdk.SourceHost, context.Canceled},
		{"the other clock runs out", live, codes.DeadlineExceeded, sdk.ReasonTimeout, sdk.SourceHost, context.DeadlineExceeded},
		{"not implemented", live, codes.Unimplemented, sdk.ReasonUnsupported, sdk.SourcePlugin, nil},
		{"too large", live, codes.ResourceExhausted, sdk.ReasonInternal, sdk.SourcePlugin, nil},
		{"no word of why", live, codes.Unknown, sdk.ReasonInternal, sdk.SourcePlugin, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := sdkplugin.NewRemote(brokenConn{status.Error(tt.code, "canary words of gRPC")}).Client(ref("one"))
			for op, call := range ops {
				err := call(tt.ctx, c)
				e, ok := errors.AsType[*sdk.Error](err)
				if !ok || e.Kind() != tt.reason || e.Origin() != tt.source || e.Op != op || e.ServerURL == "" || e.Message == "" {
					t.Fatalf("%s gave %#v", op, err)
				}
				if tt.is != nil && !errors.Is(err, tt.is) {
					t.Errorf("%s: %v is not %v", op, err, tt.is)
				}
				if strings.Contains(err.Error(), "canary") {
					t.Errorf("%s repeats gRPC: %v", op, err)
				}
				if e.Source == sdk.SourceHost && !e.Retryable {
					t.Errorf("%s is not retryable", op)
				}
			}
		})
	}
}

// A failure of the media server arrives before the host gives up: the author's time ends a
// little earlier.
func TestDeadlines(t *testing.T) {
	s := &stub{do: func(ctx context.Context, _ string, _ any) error {
		<-ctx.Done()
		return sdk.Errorf(sdk.ReasonTimeout, "the server did not answer in time")
	}}
	c := sdktest.Connect(t, &stubPlugin{stub: s}).Client(ref("one"))
	var group sync.WaitGroup
	for op, call := range ops {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			err := call(ctx, c)
			if e, ok := errors.AsType[*sdk.Error](err); !ok || e.Kind() != sdk.ReasonTimeout || e.Origin() != sdk.SourceUpstream {
				t.Errorf("%s gave %#v", op, err)
			}
		})
	}
	group.Wait()
	cancelled := make(chan struct{})
	s.do = func(ctx context.Context, _ string, _ any) error {
		<-ctx.Done()
		close(cancelled)
		return ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := ops["GetUser"](ctx, c); !errors.Is(err, context.Canceled) || sdk.ReasonOf(err) != sdk.ReasonTimeout {
		t.Errorf("a cancelled call gave %v", err)
	}
	<-cancelled // it reaches the author
}
