package sdkplugin

import (
	"context"
	"io"
	"log/slog"
	"sync"

	"github.com/zondarr/zondarr/sdk"
)

// Names of the attributes that the SDK adds to an author's log lines.
const (
	correlationAttr = "correlation_id"
	serverAttr      = "server_id"
)

// newLogger gives a logger whose lines are JSON objects, one a line, in the form
// that ParseLogLine reads. Each line is written whole, after redact has seen it.
func newLogger(out io.Writer, redact func([]byte) []byte) *slog.Logger {
	w := &lineWriter{out: out, redact: redact}
	return slog.New(originHandler{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: plainErrors})})
}

// plainErrors shows errors without the addresses of the requests they come from.
func plainErrors(_ []string, a slog.Attr) slog.Attr {
	if err, ok := a.Value.Any().(error); ok {
		return slog.String(a.Key, sdk.Errorf("", "%w", err).Message)
	}
	return a
}

// originHandler adds the correlation id of the call that a line belongs to.
type originHandler struct{ slog.Handler }

// Handle adds the id where the context has one.
func (h originHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := sdk.CorrelationID(ctx); id != "" {
		r.AddAttrs(slog.String(correlationAttr, id))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs keeps the wrapping.
func (h originHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return originHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the wrapping.
func (h originHandler) WithGroup(name string) slog.Handler {
	return originHandler{h.Handler.WithGroup(name)}
}

// lineWriter passes lines on without the secrets in them.
type lineWriter struct {
	out    io.Writer
	redact func([]byte) []byte
}

func (w *lineWriter) Write(line []byte) (int, error) {
	out := line
	if w.redact != nil {
		out = w.redact(line)
	}
	if _, err := w.out.Write(out); err != nil {
		return 0, err
	}
	return len(line), nil
}

// lockedWriter serialises the lines of many loggers.
type lockedWriter struct {
	mu  sync.Mutex
	out io.Writer
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(p)
}
