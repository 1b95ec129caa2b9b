package sdkplugin

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of a line that is read, in bytes and in attributes.
const (
	maxLogLine  = 64 << 10
	maxLogAttrs = 64
)

// LogLine is one line of a plugin's log.
type LogLine struct {
	// Time is the plugin's own, in UTC; zero when the line has none.
	Time  time.Time
	Level slog.Level
	// Message is the text, which may have several lines.
	Message string
	// CorrelationID of the call that the line belongs to, or empty.
	CorrelationID string
	// ServerID is the host's id of the media server, or empty.
	ServerID string
	// Attrs are the rest, sorted by name: texts, numbers, booleans and, for
	// whatever is deeper, its JSON as text.
	Attrs []slog.Attr
}

// ParseLogLine reads one line of a plugin's stderr. It says false for what is no
// JSON object with a message, such as the lines of a crash: the host shows those as
// they are. The line is anybody's text: nothing in it makes ParseLogLine fail
// otherwise, and what it gives has no control characters but line breaks and tabs.
//
// Beside slog's own names (time, level, msg) those of go-hclog are understood
// (@timestamp, @level, @message), since go-plugin itself writes a few such lines.
func ParseLogLine(line []byte) (LogLine, bool) {
	line = bytes.TrimSpace(line)
	if len(line) < 2 || len(line) > maxLogLine || line[0] != '{' {
		return LogLine{}, false
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(line, &fields) != nil {
		return LogLine{}, false
	}
	msg, ok := takeText(fields, slog.MessageKey, "@message")
	if !ok {
		return LogLine{}, false
	}
	out := LogLine{Message: msg}
	if level, ok := takeText(fields, slog.LevelKey, "@level"); ok {
		out.Level = parseLevel(level)
	}
	if at, ok := takeText(fields, slog.TimeKey, "@timestamp"); ok {
		out.Time = parseTime(at)
	}
	out.CorrelationID, _ = takeText(fields, correlationAttr)
	out.ServerID, _ = takeText(fields, serverAttr)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if len(out.Attrs) == maxLogAttrs {
			break
		}
		out.Attrs = append(out.Attrs, slog.Attr{Key: clean(name), Value: attrValue(fields[name])})
	}
	return out, true
}

// takeText removes the first of the names that holds a text, and gives that text.
func takeText(fields map[string]json.RawMessage, names ...string) (string, bool) {
	for _, name := range names {
		var s *string
		if raw, ok := fields[name]; ok && json.Unmarshal(raw, &s) == nil && s != nil {
			delete(fields, name)
			return clean(*s), true
		}
	}
	return "", false
}

func attrValue(raw json.RawMessage) slog.Value {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return slog.StringValue("")
	}
	switch v := v.(type) {
	case string:
		return slog.StringValue(clean(v))
	case bool:
		return slog.BoolValue(v)
	case float64:
		return slog.Float64Value(v)
	case nil:
		return slog.AnyValue(nil)
	default:
		return slog.StringValue(clean(string(raw)))
	}
}

// parseLevel reads slog's and hclog's words, in either case; anything else is info.
func parseLevel(s string) slog.Level {
	if strings.EqualFold(s, "trace") {
		return slog.LevelDebug
	}
	var level slog.Level
	if level.UnmarshalText([]byte(s)) != nil {
		return slog.LevelInfo
	}
	return level
}

func parseTime(s string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.000000Z0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// clean gives text that can be shown on a terminal and in one line of a log.
func clean(s string) string {
	bad := func(r rune) bool {
		return r != '\t' && r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) || r == utf8.RuneError
	}
	if !strings.ContainsFunc(s, bad) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if bad(r) {
			return '�'
		}
		return r
	}, s)
}
