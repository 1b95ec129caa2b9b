package jellyfintest

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// zeroID is .NET's Guid.Empty without dashes.
const zeroID = "00000000000000000000000000000000"

// encoder writes a JSON value member by member, in the order of the real
// server, which matters to nobody but makes replies easy to compare. Null
// members are left out: the opt… methods write nothing for an empty value.
// A list of a hundred thousand users goes through it, so it boxes nothing.
type encoder struct {
	b    []byte
	more bool // a comma is due before the next member or element
}

func (e *encoder) next() {
	if e.more {
		e.b = append(e.b, ',')
	}
	e.more = true
}

func (e *encoder) open()      { e.next(); e.b = append(e.b, '{'); e.more = false }
func (e *encoder) close()     { e.b = append(e.b, '}'); e.more = true }
func (e *encoder) openList()  { e.next(); e.b = append(e.b, '['); e.more = false }
func (e *encoder) closeList() { e.b = append(e.b, ']'); e.more = true }

// key writes the name of a member; its value is due next.
func (e *encoder) key(name string) {
	e.next()
	e.b = append(e.b, '"')
	e.b = append(e.b, name...)
	e.b = append(e.b, '"', ':')
	e.more = false
}

// anyKey writes a member's name that may hold characters to escape.
func (e *encoder) anyKey(name string) {
	e.text(name)
	e.b = append(e.b, ':')
	e.more = false
}

func (e *encoder) text(v string) {
	e.next()
	e.b = appendString(e.b, v)
}

func (e *encoder) str(name, v string) { e.key(name); e.text(v) }

func (e *encoder) optStr(name, v string) {
	if v != "" {
		e.str(name, v)
	}
}

func (e *encoder) boolean(name string, v bool) {
	e.key(name)
	e.b = strconv.AppendBool(e.b, v)
	e.more = true
}

func (e *encoder) integer(name string, v int) {
	e.key(name)
	e.b = strconv.AppendInt(e.b, int64(v), 10)
	e.more = true
}

func (e *encoder) optInteger(name string, v *int) {
	if v != nil {
		e.integer(name, *v)
	}
}

func (e *encoder) number(name string, v float64) {
	e.key(name)
	e.b = strconv.AppendFloat(e.b, v, 'f', -1, 64)
	e.more = true
}

// date writes an instant in UTC with seven fractional digits, as .NET does.
func (e *encoder) date(name string, v time.Time) {
	e.key(name)
	e.b = append(e.b, '"')
	e.b = v.UTC().AppendFormat(e.b, "2006-01-02T15:04:05.0000000Z")
	e.b = append(e.b, '"')
	e.more = true
}

func (e *encoder) optDate(name string, v time.Time) {
	if !v.IsZero() {
		e.date(name, v)
	}
}

func (e *encoder) strs(name string, vs []string) {
	e.key(name)
	e.openList()
	for _, v := range vs {
		e.text(v)
	}
	e.closeList()
}

// queryResult writes the wrapper that Jellyfin puts around some lists.
func (e *encoder) queryResult(n int, item func(i int)) {
	e.open()
	e.key("Items")
	e.openList()
	for i := range n {
		item(i)
	}
	e.closeList()
	e.integer("TotalRecordCount", n)
	e.integer("StartIndex", 0)
	e.close()
}

// appendString quotes as System.Text.Json does by default: all that is not
// plain ASCII, and the characters dangerous in HTML, become \u escapes.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			switch c {
			case '\\':
				b = append(b, '\\', '\\')
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			case '"', '\'', '&', '<', '>', '+', '`', 0x7f:
				b = appendEscape(b, rune(c))
			default:
				if c < ' ' {
					b = appendEscape(b, rune(c))
				} else {
					b = append(b, c)
				}
			}
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		if r > 0xffff {
			r -= 0x10000
			b = appendEscape(b, 0xd800+r>>10)
			r = 0xdc00 + r&0x3ff
		}
		b = appendEscape(b, r)
	}
	return append(b, '"')
}

func appendEscape(b []byte, r rune) []byte {
	const hex = "0123456789ABCDEF"
	return append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// camelCase rewrites the member names of a JSON text for clients that ask for
// profile="CamelCase". Dictionaries keep their keys, as in .NET.
func camelCase(in []byte) []byte {
	out := make([]byte, 0, len(in))
	verbatim := 0 // depth at which a dictionary began, or 0
	depth := 0
	for i := 0; i < len(in); i++ {
		switch c := in[i]; c {
		case '{', '[':
			depth++
		case '}', ']':
			if depth == verbatim {
				verbatim = 0
			}
			depth--
		case '"':
			end := i + 1
			for in[end] != '"' {
				if in[end] == '\\' {
					end++
				}
				end++
			}
			name := in[i+1 : end]
			isKey := end+1 < len(in) && in[end+1] == ':'
			out = append(out, '"')
			if isKey && verbatim == 0 {
				if string(name) == "CustomPrefs" {
					verbatim = depth + 1
				}
				name = lowerFirstWord(name)
			}
			out = append(out, name...)
			out = append(out, '"')
			i = end
			continue
		}
		out = append(out, in[i])
	}
	return out
}

// lowerFirstWord is JsonNamingPolicy.CamelCase: the leading run of capitals
// becomes lower case, up to the last one when a small letter follows it.
func lowerFirstWord(name []byte) []byte {
	out := append([]byte(nil), name...)
	isUpper := func(c byte) bool { return 'A' <= c && c <= 'Z' }
	for i := range out {
		if !isUpper(out[i]) || (i > 0 && i+1 < len(out) && !isUpper(out[i+1])) {
			break
		}
		out[i] += 'a' - 'A'
	}
	return out
}
