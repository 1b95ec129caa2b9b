package pluginhost

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

// output is where everything goes that one process writes: to the log, as many
// lines a second as the policy allows, and into the tail that a crash record
// keeps. Both are scrubbed. It reads no faster than the policy allows, so that a
// plugin which floods is slowed down by its own pipe.
type output struct {
	scrub  *scrubber
	policy Policy
	bytes  *rate.Limiter
	lines  *rate.Limiter
	now    func() time.Time

	mu       sync.Mutex
	log      *slog.Logger
	tail     []byte
	dropped  int
	told     time.Time // when the last drop was told
	panicked bool      // what follows is a stack trace
}

func newOutput(log *slog.Logger, scrub *scrubber, policy Policy) *output {
	return &output{
		log: log, scrub: scrub, policy: policy, now: time.Now,
		bytes: rate.NewLimiter(rate.Limit(policy.OutputRate), policy.OutputRate),
		lines: rate.NewLimiter(rate.Limit(policy.LogRate), policy.LogBurst),
	}
}

// maxLine is how much of one line is taken in. It is more than is logged, so
// that a secret cut at this border lies beyond what is shown.
const maxLine = 64 << 10

// read takes lines until the end of r. When ctx ends it no longer holds r back:
// the process is gone, and what is left is in the pipe.
func (o *output) read(ctx context.Context, r io.Reader) {
	in := bufio.NewReaderSize(throttled{ctx, r, o.bytes}, maxLine)
	for {
		line, more, err := in.ReadLine()
		if err != nil {
			return
		}
		o.line(ctx, line)
		for more && err == nil {
			_, more, err = in.ReadLine()
		}
	}
}

// throttled slows reading down to a rate.
type throttled struct {
	ctx   context.Context
	r     io.Reader
	limit *rate.Limiter
}

func (t throttled) Read(p []byte) (int, error) {
	n, err := t.r.Read(p[:min(len(p), t.limit.Burst())])
	if n > 0 {
		_ = t.limit.WaitN(t.ctx, n) // only fails once there is no reason to wait
	}
	return n, err
}

// line takes one line, a record of the SDK's logger or any other text.
func (o *output) line(ctx context.Context, raw []byte) {
	if len(raw) == 0 {
		return
	}
	clean := o.scrub.head(string(raw), o.policy.OutputLine)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tail = append(append(o.tail, clean...), '\n')
	if spare := len(o.tail) - o.policy.OutputTail; spare > o.policy.OutputTail {
		o.tail = append(o.tail[:0], o.tail[spare:]...)
	}
	record, isRecord := sdkplugin.ParseLogLine(raw)
	level := min(max(record.Level, slog.LevelDebug), slog.LevelError)
	if !isRecord {
		level = o.textLevel(clean)
	}
	if !o.log.Enabled(ctx, level) { // what nobody sees uses up nothing
		return
	}
	if !o.lines.Allow() {
		o.dropped++
		return
	}
	if o.dropped > 0 && o.now().Sub(o.told) >= time.Second {
		o.tellDropped()
	}
	if isRecord {
		o.writeRecord(ctx, level, record)
	} else {
		o.log.Log(ctx, level, clean)
	}
}

// textLevel gives the level of a line that is no record: what follows a panic is
// its stack. It needs o.mu.
func (o *output) textLevel(line string) slog.Level {
	if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
		o.panicked = true
	}
	if o.panicked {
		return slog.LevelError
	}
	return slog.LevelInfo
}

// end tells of the lines that were dropped last.
func (o *output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dropped > 0 {
		o.tellDropped()
	}
}

func (o *output) tellDropped() {
	o.log.Warn("the plugin writes too much: lines were left out of the log", "lines", o.dropped)
	o.dropped, o.told = 0, o.now()
}

// writeRecord logs a line of the SDK's logger, with the time and the call that it
// belongs to. It was decoded first and is scrubbed now, field by field.
func (o *output) writeRecord(ctx context.Context, level slog.Level, r sdkplugin.LogLine) {
	at := r.Time
	if off := o.now().Sub(at); off < -time.Minute || off > time.Hour {
		at = o.now() // no time, or one that would misplace the line
	}
	record := slog.NewRecord(at, level, o.scrub.text(r.Message), 0)
	if r.CorrelationID != "" {
		record.AddAttrs(slog.String("correlation_id", o.scrub.text(r.CorrelationID)))
	}
	if r.ServerID != "" {
		record.AddAttrs(slog.String("server_id", o.scrub.text(r.ServerID)))
	}
	for _, a := range r.Attrs {
		key := o.scrub.text(a.Key)
		if slices.Contains(ownAttrs, key) {
			key = "plugin." + key // what the host says cannot be forged
		}
		value := a.Value
		if text := value.String(); o.scrub.text(text) != text || value.Kind() == slog.KindString {
			value = slog.StringValue(o.scrub.text(text))
		}
		record.AddAttrs(slog.Attr{Key: key, Value: value})
	}
	_ = o.log.Handler().Handle(ctx, record) // a log that cannot be written has nowhere to say so
}

// ownAttrs are the names that the host itself gives to a line.
var ownAttrs = []string{"plugin", "pid", "correlation_id", "server_id", slog.TimeKey, slog.LevelKey, slog.MessageKey, slog.SourceKey}

// text gives the last output, without a first line that was cut.
func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	tail := o.tail
	if spare := len(tail) - o.policy.OutputTail; spare > 0 {
		tail = tail[spare:]
		if i := bytes.IndexByte(tail, '\n'); i >= 0 {
			tail = tail[i+1:]
		}
	}
	return string(tail)
}

// began adds the process to every line that follows; err is what setting its
// limits gave.
func (o *output) began(pid int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.log = o.log.With("pid", pid)
	if err != nil {
		o.log.Warn("the limits of a plugin's process could not be set", "error", err)
	}
}

// lineWriter makes lines of what a plugin prints through go-plugin's own
// streams.
type lineWriter struct {
	ctx  context.Context // for the log: io.Writer takes none
	to   *output
	gone <-chan struct{} // closed when the process is gone
	mu   sync.Mutex
	buf  []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(p)
	w.to.hold(n, w.gone)
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			break
		}
		w.to.line(w.ctx, append(w.buf, p[:i]...))
		w.buf, p = w.buf[:0], p[i+1:]
	}
	if len(w.buf)+len(p) <= maxLine {
		w.buf = append(w.buf, p...)
	}
	return n, nil
}

// flush logs what was printed without an end of line.
func (w *lineWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.to.line(w.ctx, w.buf)
	w.buf = w.buf[:0]
}

// hold waits until so many bytes more may be taken in, or the process is gone:
// go-plugin reads on only then, and so slows the plugin down.
func (o *output) hold(n int, gone <-chan struct{}) {
	for burst := o.bytes.Burst(); n > 0; n -= burst {
		timer := time.NewTimer(o.bytes.ReserveN(o.now(), min(n, burst)).Delay())
		select {
		case <-timer.C:
		case <-gone:
			timer.Stop()
		}
	}
}
