package jellyfintest

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"math"
	"strconv"
	"strings"
)

// decoder reads the members of a request's JSON object as System.Text.Json
// does with Jellyfin's settings: names in any case, unknown members ignored,
// numbers also as strings, enums by name or number. The first mistake counts,
// what follows is not looked at.
type decoder struct {
	members map[string]json.RawMessage // by lower-case name
	path    string                     // "$", or "$.Configuration" for an inner object
	fail    func(key, message string)
	failed  *bool
	loose   bool // booleans may be numbers (10.8)
}

// newDecoder parses an object; on a mistake it reports it and gives a decoder
// that has no members.
func newDecoder(body []byte, loose bool, fail func(key, message string)) *decoder {
	failed := false
	d := &decoder{path: "$", loose: loose, failed: &failed}
	d.fail = func(key, message string) {
		if !failed {
			failed = true
			fail(key, message)
		}
	}
	d.parse(body)
	return d
}

func (d *decoder) parse(body []byte) {
	const message = "The JSON value could not be read."
	stream := json.NewDecoder(bytes.NewReader(body))
	if open, err := stream.Token(); err != nil || open != json.Delim('{') {
		d.fail(d.path, message)
		return
	}
	members := map[string]json.RawMessage{}
	for stream.More() {
		name, err := stream.Token()
		if err != nil {
			d.fail(d.path, message)
			return
		}
		var value json.RawMessage
		if err := stream.Decode(&value); err != nil {
			d.fail(d.path+"."+name.(string), message)
			return
		}
		members[strings.ToLower(name.(string))] = value
	}
	if _, err := stream.Token(); err != nil { // the closing brace
		d.fail(d.path, message)
		return
	}
	if _, err := stream.Token(); err != io.EOF {
		d.fail(d.path, message)
		return
	}
	d.members = members
}

// raw gives a member's text, and whether it was sent.
func (d *decoder) raw(name string) (json.RawMessage, bool) {
	v, ok := d.members[strings.ToLower(name)]
	return v, ok && !*d.failed
}

func isNull(v json.RawMessage) bool { return string(bytes.TrimSpace(v)) == "null" }

func (d *decoder) wrongType(name, dotnet string) {
	key := d.path + "." + name
	d.fail(key, "The JSON value could not be converted to "+dotnet+". Path: "+key+" | LineNumber: 0 | BytePositionInLine: 0.")
}

func (d *decoder) boolean(name string, into *bool) {
	v, ok := d.raw(name)
	if !ok {
		return
	}
	switch text := string(bytes.TrimSpace(v)); {
	case text == "true" || (d.loose && text == "1"):
		*into = true
	case text == "false" || (d.loose && text == "0"):
		*into = false
	default:
		d.wrongType(name, "System.Boolean")
	}
}

// str reads a text; null gives nil.
func (d *decoder) str(name string) *string {
	v, ok := d.raw(name)
	if !ok || isNull(v) {
		return nil
	}
	var s string
	if json.Unmarshal(v, &s) != nil {
		d.wrongType(name, "System.String")
		return nil
	}
	return &s
}

// strOr reads a text; absent or null gives the fallback.
func (d *decoder) strOr(name, fallback string) string {
	if s := d.str(name); s != nil {
		return *s
	}
	return fallback
}

func (d *decoder) number(name string, v json.RawMessage, dotnet string) (float64, bool) {
	text := strings.Trim(string(bytes.TrimSpace(v)), `"`)
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
		d.wrongType(name, dotnet)
		return 0, false
	}
	return n, true
}

func (d *decoder) integer(name string, into *int) {
	v, ok := d.raw(name)
	if !ok {
		return
	}
	if n, ok := d.number(name, v, "System.Int32"); ok {
		if n != math.Trunc(n) || math.Abs(n) > math.MaxInt32 {
			d.wrongType(name, "System.Int32")
			return
		}
		*into = int(n)
	}
}

func (d *decoder) optInteger(name string, into **int) {
	v, ok := d.raw(name)
	if !ok || isNull(v) {
		return
	}
	var n int
	d.integer(name, &n)
	*into = &n
}

func (d *decoder) float(name string, into *float64) {
	if v, ok := d.raw(name); ok {
		if n, ok := d.number(name, v, "System.Double"); ok {
			*into = n
		}
	}
}

// list gives the elements of a list. nulled says that null was sent for it.
func (d *decoder) list(name string) (elements []json.RawMessage, nulled, sent bool) {
	v, ok := d.raw(name)
	if !ok {
		return nil, false, false
	}
	if isNull(v) {
		return nil, true, true
	}
	if json.Unmarshal(v, &elements) != nil {
		d.wrongType(name, "System.Array")
		return nil, false, true
	}
	return elements, false, true
}

// strs reads a list of texts into the target; nulled says that null was sent.
func (d *decoder) strs(name string, into *[]string) (nulled bool) {
	elements, nulled, sent := d.list(name)
	if !sent || nulled {
		return nulled
	}
	out := make([]string, 0, len(elements))
	for i, v := range elements {
		var s string
		if json.Unmarshal(v, &s) != nil {
			d.wrongType(name+"["+strconv.Itoa(i)+"]", "System.String")
			return false
		}
		out = append(out, s)
	}
	*into = out
	return false
}

// ids reads a list of Guids. A bad one is reported without a path: the real
// server's converter throws a FormatException, which carries none.
func (d *decoder) ids(name string, into *[]string) (nulled bool) {
	elements, nulled, sent := d.list(name)
	if !sent || nulled {
		return nulled
	}
	out := make([]string, 0, len(elements))
	for _, v := range elements {
		var s *string
		if json.Unmarshal(v, &s) != nil {
			d.wrongType(name, "System.Guid")
			return false
		}
		id := zeroID
		if s != nil {
			var ok bool
			if id, ok = parseID(*s); !ok {
				d.fail("", "Unrecognized Guid format.")
				return false
			}
		}
		out = append(out, id)
	}
	*into = out
	return false
}

// enum reads one of the given names, or its position among them.
func (d *decoder) enum(name string, names []string, into *string) {
	v, ok := d.raw(name)
	if !ok {
		return
	}
	if s, ok := enumValue(v, names); ok {
		*into = s
		return
	}
	d.wrongType(name, "System.Enum")
}

func enumValue(v json.RawMessage, names []string) (string, bool) {
	text := strings.Trim(string(bytes.TrimSpace(v)), `"`)
	for i, n := range names {
		if strings.EqualFold(n, text) || strconv.Itoa(i) == text {
			return n, true
		}
	}
	return "", false
}

// object reads an inner object; nil when it was not sent.
func (d *decoder) object(name string) (inner *decoder, nulled bool) {
	v, ok := d.raw(name)
	if !ok {
		return nil, false
	}
	if isNull(v) {
		return nil, true
	}
	inner = &decoder{path: d.path + "." + name, fail: d.fail, failed: d.failed, loose: d.loose}
	inner.parse(v)
	return inner, false
}

// parseID reads a Guid in any of the forms that .NET takes and gives the one
// without dashes that Jellyfin writes.
func parseID(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if len(s) == 38 && (s[0] == '{' && s[37] == '}' || s[0] == '(' && s[37] == ')') {
		s = s[1:37]
	}
	if len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' {
		s = s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	}
	if _, err := hex.DecodeString(s); err != nil || len(s) != 32 {
		return "", false
	}
	return strings.ToLower(s), true
}
