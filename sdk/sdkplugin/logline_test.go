package sdkplugin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

// R7.6: an author's line arrives with level, server, correlation id and attributes.
func TestLogLines(t *testing.T) {
	var log bytes.Buffer
	var logger *slog.Logger
	s := &stub{do: func(ctx context.Context, _ string, _ any) error {
		logger.WarnContext(ctx, "slow answer", "took", 1.5, "retried", true, "err", errors.New("no"), slog.Group("g", "a", 1))
		return nil
	}}
	p := &stubPlugin{open: func(_ context.Context, req sdk.OpenRequest) (sdk.MediaClient, error) {
		logger = req.Logger.With("part", "client")
		return s, nil
	}}
	c := sdktest.Connect(t, p, sdkplugin.LogTo(&log)).Client(ref("one"))
	if err := ops["ListSessions"](sdk.WithCorrelationID(t.Context(), "req-7"), c); err != nil {
		t.Fatal(err)
	}
	line, ok := sdkplugin.ParseLogLine(log.Bytes())
	if !ok || line.Level != slog.LevelWarn || line.Message != "slow answer" || line.CorrelationID != "req-7" || line.ServerID != "one" {
		t.Fatalf("%s gave %+v", log.String(), line)
	}
	if d := time.Since(line.Time); d < 0 || d > time.Minute {
		t.Errorf("the time is %s", line.Time)
	}
	attrs := map[string]string{}
	for _, a := range line.Attrs {
		attrs[a.Key] = a.Value.String()
	}
	for name, want := range map[string]string{"took": "1.5", "retried": "true", "err": "no", "part": "client", "g": `{"a":1}`} {
		if attrs[name] != want {
			t.Errorf("%s is %q, want %q", name, attrs[name], want)
		}
	}
}

func TestHostileLogLines(t *testing.T) {
	for _, tt := range []struct {
		line, msg string
		ok        bool
	}{
		{`{"@message":1}`, "", false},
		{`{"@message":"from go-plugin","@level":"trace","@timestamp":"2026-01-02T03:04:05.000006Z"}`, "from go-plugin", true},
		{`{"msg":"m","level":7,"time":{},"correlation_id":[]}`, "m", true},
		{`{"msg":null}`, "", false},
		{`{"msg":"a\u001b[31mred\u0000\u202e"}`, "a�[31mred��", true},
		{`{"msg":"` + strings.Repeat("x", 70<<10) + `"}`, "", false},
		{`panic: runtime error`, "", false},
		{`[]`, "", false},
		{`{`, "", false},
		{``, "", false},
		{`{"msg":"m"} trailing`, "", false},
	} {
		line, ok := sdkplugin.ParseLogLine([]byte(tt.line))
		if ok != tt.ok || line.Message != tt.msg {
			t.Errorf("%.60s gave %q, %v", tt.line, line.Message, ok)
		}
	}
}

func FuzzParseLogLine(f *testing.F) {
	f.Add([]byte(`{"time":"2026-01-02T03:04:05Z","level":"INFO","msg":"m","a":{"b":[1,"x"]}}`))
	f.Add([]byte(`{"@message":1}`))
	f.Add([]byte(`{"msg":"\ud800","level":"INFO+4"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		line, ok := sdkplugin.ParseLogLine(data)
		if !ok {
			return
		}
		texts := []string{line.Message, line.CorrelationID, line.ServerID}
		for _, a := range line.Attrs {
			texts = append(texts, a.Key, a.Value.String())
		}
		for _, s := range texts {
			for _, r := range s {
				if r != '\n' && r != '\t' && unicode.IsControl(r) {
					t.Fatalf("%q has the control character %U", s, r)
				}
			}
		}
		// What a host's handler makes of it is JSON.
		var out bytes.Buffer
		slog.New(slog.NewJSONHandler(&out, nil)).LogAttrs(context.Background(), slog.LevelError, line.Message, line.Attrs...)
		if !json.Valid(out.Bytes()) {
			t.Fatalf("the host would log %s", out.String())
		}
	})
}
