package host

import (
	"context"
	"io"
	"log/slog"
	"os"

	"github.com/zondarr/zondarr/sdk"
)

// newLogger makes the host's logger: text on a terminal, JSON elsewhere, unless
// the settings say which. Lines of a request carry its correlation id (R7.6).
func newLogger(w io.Writer, level slog.Level, format string) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	if format == "text" || format == "" && isTerminal(w) {
		return slog.New(correlated{slog.NewTextHandler(w, opts)})
	}
	return slog.New(correlated{slog.NewJSONHandler(w, opts)})
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// correlated adds the correlation id of the context.
type correlated struct{ slog.Handler }

// Handle adds the id and hands the line on.
func (h correlated) Handle(ctx context.Context, r slog.Record) error {
	if id := sdk.CorrelationID(ctx); id != "" {
		r.AddAttrs(slog.String("correlation_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs keeps the id in lines with attributes.
func (h correlated) WithAttrs(attrs []slog.Attr) slog.Handler {
	return correlated{h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the id in lines of a group.
func (h correlated) WithGroup(name string) slog.Handler {
	return correlated{h.Handler.WithGroup(name)}
}
