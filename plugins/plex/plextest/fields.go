package plextest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// fields is a request body as a tree, whether it came as JSON or as a form
// with brackets (shared_server[invited_email]=…).
type fields map[string]any

func parseFields(r *http.Request, body []byte) (fields, bool) {
	if len(bytes.TrimSpace(body)) == 0 {
		return fields{}, true
	}
	if strings.Contains(r.Header.Get("Content-Type"), "json") {
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.UseNumber()
		out := fields{}
		return out, dec.Decode(&out) == nil
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, false
	}
	out := fields{}
	for name, values := range form {
		out.put(name, values)
	}
	return out, true
}

func (f fields) put(name string, values []string) {
	list := strings.HasSuffix(name, "[]")
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '[' || r == ']' })
	if len(parts) == 0 {
		return
	}
	node := map[string]any(f)
	for _, p := range parts[:len(parts)-1] {
		next, isMap := node[p].(map[string]any)
		if !isMap {
			next = map[string]any{}
			node[p] = next
		}
		node = next
	}
	last := parts[len(parts)-1]
	if !list {
		node[last] = values[0]
		return
	}
	items := make([]any, len(values))
	for i, v := range values {
		items[i] = v
	}
	node[last] = items
}

func (f fields) lookup(path ...string) (any, bool) {
	var v any = map[string]any(f)
	for _, p := range path {
		m, isMap := v.(map[string]any)
		if !isMap {
			return nil, false
		}
		next, found := m[p]
		if !found {
			return nil, false
		}
		v = next
	}
	return v, true
}

// has says whether the field was sent and is not null.
func (f fields) has(path ...string) bool {
	v, found := f.lookup(path...)
	return found && v != nil
}

// text gives a field as text, whether it was sent as a string, number or bool.
func (f fields) text(path ...string) string {
	v, _ := f.lookup(path...)
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

func (f fields) truth(path ...string) bool { return truth(f.text(path...)) }

func truth(s string) bool { return s == "1" || strings.EqualFold(s, "true") }

func (f fields) number(path ...string) int64 {
	n, _ := strconv.ParseInt(f.text(path...), 10, 64)
	return n
}

// numbers gives a list of ids; false when the list holds something else.
func (f fields) numbers(path ...string) ([]int64, bool) {
	v, _ := f.lookup(path...)
	list, isList := v.([]any)
	if !isList {
		return nil, v == nil || v == ""
	}
	out := make([]int64, 0, len(list))
	for _, item := range list {
		var text string
		switch item := item.(type) {
		case json.Number:
			text = item.String()
		case string:
			text = item
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, false
		}
		out = append(out, n)
	}
	return out, true
}

func (f fields) sub(name string) fields {
	v, _ := f.lookup(name)
	m, _ := v.(map[string]any)
	return m
}
