package plex

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"strconv"
	"strings"
	"time"
)

// Plex writes the same value in several ways: numbers as text, booleans as 1 or
// "true", times as seconds or as text. These types read all of them, and refuse
// the rest: a flag that cannot be understood must not be taken for "no".

// flag is a boolean: true, false, 1, 0, the same in quotes, or nothing (false).
type flag bool

var errFlag = errors.New("not a boolean")

func (f *flag) parse(s string) error {
	switch strings.ToLower(s) {
	case "1", "true":
		*f = true
	case "", "0", "false", "null":
		*f = false
	default:
		return errFlag
	}
	return nil
}

// UnmarshalJSON reads a JSON value.
func (f *flag) UnmarshalJSON(data []byte) error { return f.parse(unquote(data)) }

// UnmarshalXMLAttr reads an attribute.
func (f *flag) UnmarshalXMLAttr(attr xml.Attr) error { return f.parse(attr.Value) }

// ident is an id: digits as a number or as text. Null and 0 are no id.
type ident string

var errIdent = errors.New("not an id")

// UnmarshalJSON reads a JSON value.
func (i *ident) UnmarshalJSON(data []byte) error {
	text := unquote(data)
	if text == "null" || text == "0" {
		text = ""
	}
	if data[0] != '"' && text != "" && !digits(text) {
		return errIdent
	}
	*i = ident(text)
	return nil
}

// digits says whether a text is an id as plex.tv gives it.
func digits(s string) bool {
	if s == "" || len(s) > 19 {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// number is a whole number, 0 when there is none.
type number int

var errNumber = errors.New("not a whole number")

func (n *number) parse(s string) error {
	if s == "" || s == "null" {
		*n = 0
		return nil
	}
	v, err := strconv.Atoi(s)
	if err != nil {
		return errNumber
	}
	*n = number(v)
	return nil
}

// UnmarshalJSON reads a JSON value.
func (n *number) UnmarshalJSON(data []byte) error { return n.parse(unquote(data)) }

// UnmarshalXMLAttr reads an attribute.
func (n *number) UnmarshalXMLAttr(attr xml.Attr) error { return n.parse(attr.Value) }

// stamp is a moment; what matters most is whether there is one.
type stamp struct {
	set bool
	at  time.Time
}

func (s *stamp) parse(text string) {
	*s = stamp{}
	if text == "" || text == "null" || text == "0" {
		return
	}
	s.set = true
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		s.at = time.Unix(seconds, 0).UTC()
	} else if t, err := time.Parse(time.RFC3339, text); err == nil {
		s.at = t.UTC()
	}
}

// UnmarshalJSON reads a JSON value.
func (s *stamp) UnmarshalJSON(data []byte) error {
	s.parse(unquote(data))
	return nil
}

// UnmarshalXMLAttr reads an attribute.
func (s *stamp) UnmarshalXMLAttr(attr xml.Attr) error {
	s.parse(attr.Value)
	return nil
}

// unquote gives the text of a JSON string, or any other JSON value as it is.
func unquote(data []byte) string {
	var s string
	if len(data) > 0 && data[0] == '"' && json.Unmarshal(data, &s) == nil {
		return s
	}
	return string(bytes.TrimSpace(data))
}
