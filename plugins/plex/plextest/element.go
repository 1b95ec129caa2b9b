package plextest

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"strconv"
)

// element is one node of an answer. Plex writes the same tree as XML (values
// are attributes) and as JSON (values are members), so that handlers build it
// once and the adapter renders what the caller asked for.
type element struct {
	name  string
	attrs []attribute
	kids  []children
	text  string // character data; XML only
}

type notation int

const (
	everywhere notation = iota
	xmlOnly
	jsonOnly
)

// attribute is one value: string, bool, int, int64, or nil (JSON null, XML "").
type attribute struct {
	name  string
	value any
	in    notation
}

// children is a named group of elements. wrap is the XML element around them;
// with an empty wrap they stand directly in their parent.
type children struct {
	key    string
	wrap   string
	items  []*element
	single bool // JSON: one object, not an array
	words  bool // JSON: an array of the items' id values
	hide   bool // JSON: absent when empty
	in     notation
}

func el(name string, attrs ...attribute) *element { return &element{name: name, attrs: attrs} }

func at(name string, value any) attribute     { return attribute{name: name, value: value} }
func atXML(name string, value any) attribute  { return attribute{name, value, xmlOnly} }
func atJSON(name string, value any) attribute { return attribute{name, value, jsonOnly} }

func (e *element) with(c children) *element {
	e.kids = append(e.kids, c)
	return e
}

// list adds an array; in XML it is wrapped in an element named key.
func (e *element) list(key string, items ...*element) *element {
	return e.with(children{key: key, wrap: key, items: items})
}

// inline adds elements directly below e; in JSON they are an array under their
// own name, absent when empty, as a PMS and the v1 API write it.
func (e *element) inline(name string, items ...*element) *element {
	for i := range e.kids {
		if e.kids[i].key == name && e.kids[i].hide {
			e.kids[i].items = append(e.kids[i].items, items...)
			return e
		}
	}
	return e.with(children{key: name, items: items, hide: true})
}

// one adds a single nested object; nil is null in JSON and nothing in XML.
func (e *element) one(key string, item *element) *element {
	return e.with(children{key: key, items: []*element{item}, single: true})
}

// words adds a list of plain strings: JSON ["a"], XML <key><tag id="a"/></key>.
func (e *element) words(key, tag string, values ...string) *element {
	items := make([]*element, len(values))
	for i, v := range values {
		items[i] = el(tag, at("id", v))
	}
	return e.with(children{key: key, wrap: key, items: items, words: true})
}

type xmlStyle struct{ boolWords bool }

func (s xmlStyle) render(e *element) []byte {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	s.write(&b, e)
	b.WriteByte('\n')
	return b.Bytes()
}

func (s xmlStyle) write(b *bytes.Buffer, e *element) {
	b.WriteString("<" + e.name)
	for _, a := range e.attrs {
		if a.in == jsonOnly {
			continue
		}
		b.WriteString(" " + a.name + `="`)
		xml.EscapeText(b, []byte(s.value(a.value))) //nolint:errcheck // a bytes.Buffer does not fail
		b.WriteByte('"')
	}
	var inner bytes.Buffer
	for _, c := range e.kids {
		if c.in == jsonOnly {
			continue
		}
		if c.wrap != "" {
			inner.WriteString("<" + c.wrap + ">")
		}
		for _, item := range c.items {
			if item != nil { // a null object has no element
				s.write(&inner, item)
			}
		}
		if c.wrap != "" {
			inner.WriteString("</" + c.wrap + ">")
		}
	}
	if e.text != "" {
		xml.EscapeText(&inner, []byte(e.text)) //nolint:errcheck // a bytes.Buffer does not fail
	}
	if inner.Len() == 0 {
		b.WriteString("/>")
		return
	}
	b.WriteByte('>')
	b.Write(inner.Bytes())
	b.WriteString("</" + e.name + ">")
}

func (s xmlStyle) value(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		if s.boolWords {
			return strconv.FormatBool(v)
		}
		if v {
			return "1"
		}
		return "0"
	case int:
		return strconv.Itoa(v)
	case int64:
		return strconv.FormatInt(v, 10)
	}
	panic("plextest: an attribute of an unknown kind")
}

func renderJSON(e *element) []byte {
	var b bytes.Buffer
	writeJSON(&b, e)
	return b.Bytes()
}

func renderJSONArray(items []*element) []byte {
	var b bytes.Buffer
	writeArray(&b, children{items: items})
	return b.Bytes()
}

func writeJSON(b *bytes.Buffer, e *element) {
	if e == nil {
		b.WriteString("null")
		return
	}
	b.WriteByte('{')
	first := true
	key := func(name string) {
		if !first {
			b.WriteByte(',')
		}
		first = false
		b.Write(jsonValue(name))
		b.WriteByte(':')
	}
	for _, a := range e.attrs {
		if a.in != xmlOnly {
			key(a.name)
			b.Write(jsonValue(a.value))
		}
	}
	for _, c := range e.kids {
		switch {
		case c.in == xmlOnly, c.hide && len(c.items) == 0:
		case c.single:
			key(c.key)
			writeJSON(b, c.items[0])
		default:
			key(c.key)
			writeArray(b, c)
		}
	}
	b.WriteByte('}')
}

func writeArray(b *bytes.Buffer, c children) {
	b.WriteByte('[')
	for i, item := range c.items {
		if i > 0 {
			b.WriteByte(',')
		}
		if c.words {
			b.Write(jsonValue(item.attrs[0].value))
			continue
		}
		writeJSON(b, item)
	}
	b.WriteByte(']')
}

func jsonValue(v any) []byte {
	out, err := json.Marshal(v)
	if err != nil {
		panic("plextest: an attribute of an unknown kind")
	}
	return out
}
