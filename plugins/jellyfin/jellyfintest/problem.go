package jellyfintest

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"slices"
)

const (
	typeJSON = "application/json; charset=utf-8"
	typeText = "text/plain"
	typeHTML = "text/html"
)

// reply is an answer before it is written.
type reply struct {
	status      int
	contentType string
	header      map[string]string
	body        []byte
	stream      func(write func([]byte) error) error // instead of body, for long lists
	foreign     bool                                 // a proxy's answer: not marked as Kestrel's
}

// empty is a status and nothing else.
func empty(status int) reply { return reply{status: status} }

// thrown is an exception that reached the top (shape A). The text is the same
// for every cause: clients cannot tell a taken name from an illegal one.
func thrown(status int) reply {
	return reply{status: status, contentType: typeText, body: []byte("Error processing request.")}
}

// said is a string that a controller returned (shape B): quoted JSON.
func said(status int, text string) reply {
	return reply{status: status, contentType: typeJSON, body: appendString(nil, text)}
}

// encoded is a success with a JSON body.
func encoded(write func(e *encoder)) reply {
	e := &encoder{}
	write(e)
	return reply{status: http.StatusOK, contentType: typeJSON, body: e.b}
}

// problem is a bare status that the framework dressed up (shape C). It goes
// out as application/json, not as problem+json.
func (p *profile) problem(status int) reply {
	return p.problemBody(status, http.StatusText(status), nil)
}

// validation is a shape C answer with an entry per field.
func (p *profile) validation(errs fieldErrors) reply {
	return p.problemBody(http.StatusBadRequest, "One or more validation errors occurred.", errs)
}

func (p *profile) problemBody(status int, title string, errs fieldErrors) reply {
	e := &encoder{}
	e.open()
	e.str("type", p.problemType(status))
	e.str("title", title)
	e.integer("status", status)
	if errs != nil {
		e.key("errors")
		e.open()
		for _, f := range errs {
			e.anyKey(f.field)
			e.openList()
			e.text(f.message)
			e.closeList()
		}
		e.close()
	}
	e.str("traceId", "00-"+randomHex(16)+"-"+randomHex(8)+"-00")
	e.close()
	return reply{status: status, contentType: typeJSON, body: e.b}
}

func (p *profile) problemType(status int) string {
	if p.rfc9110 {
		return "https://tools.ietf.org/html/rfc9110#section-" + map[int]string{400: "15.5.1", 404: "15.5.5", 415: "15.5.16"}[status]
	}
	return "https://tools.ietf.org/html/rfc7231#section-" + map[int]string{400: "6.5.1", 404: "6.5.4", 415: "6.5.13"}[status]
}

// fieldErrors are the mistakes found while binding a request, in order.
type fieldErrors []fieldError

type fieldError struct{ field, message string }

func (f *fieldErrors) add(field, message string) {
	if !slices.ContainsFunc(*f, func(have fieldError) bool { return have.field == field }) {
		*f = append(*f, fieldError{field, message})
	}
}

func (f *fieldErrors) required(field string) {
	f.add(field, "The "+field+" field is required.")
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails since Go 1.24
	return hex.EncodeToString(b)
}
