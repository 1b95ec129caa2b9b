package plextest

import (
	"net/http"
	"strconv"
)

// reply is what a handler decided; the adapter in serve.go renders it.
type reply struct {
	status int
	header http.Header

	body  *element   // negotiated XML or JSON
	list  []*element // with listName: a JSON array, in XML the children of listName
	name  string     // listName
	forms form
	wrap  string // JSON: the object is put under this key ("MediaContainer")

	raw         []byte // used as it is, with contentType
	contentType string
}

type form int

const (
	negotiated form = iota
	alwaysXML
	asIs
)

// Error codes of plex.tv's v2 API.
const (
	codeClientIDMissing = 1000
	codeUnauthenticated = 1001
	codeNotFound        = 1002
	codeRateLimited     = 1003
	codePinNotFound     = 1020
	codeIssuerMismatch  = 1097
	codeInvalid         = 1999
)

func ok(e *element) reply      { return reply{status: http.StatusOK, body: e} }
func created(e *element) reply { return reply{status: http.StatusCreated, body: e} }
func noContent() reply         { return reply{status: http.StatusNoContent, forms: asIs} }
func okXML(e *element) reply   { return reply{status: http.StatusOK, body: e, forms: alwaysXML} }
func okPMS(e *element) reply   { return reply{status: http.StatusOK, body: e, wrap: e.name} }
func array(name string, l []*element) reply {
	if l == nil {
		l = []*element{}
	}
	return reply{status: http.StatusOK, list: l, name: name}
}

// errorsV2 is the v2 error shape: {"errors":[{code,message,status}]}.
func errorsV2(status, code int, message string) reply {
	inner := el("error", at("code", code), at("message", message), at("status", status))
	return reply{status: status, body: el("errors").with(children{key: "errors", items: []*element{inner}})}
}

func notFoundV2() reply {
	return errorsV2(http.StatusNotFound, codeNotFound, "The requested resource or endpoint could not be found")
}

func unauthenticated() reply {
	return errorsV2(http.StatusUnauthorized, codeUnauthenticated, "User could not be authenticated")
}

// invalidV2 is a refusal of v2; without a message it has none at all.
func invalidV2(status int, message string) reply {
	inner := el("error", at("code", codeInvalid), at("field", "base"))
	if message != "" {
		inner.attrs = append(inner.attrs, at("message", message))
	}
	inner.attrs = append(inner.attrs, at("status", http.StatusBadRequest))
	return reply{status: status, body: el("errors").with(children{key: "errors", items: []*element{inner}})}
}

// response is the v1 shape of a refusal, XML whatever Accept says.
func response(code int, text string) reply {
	return reply{status: code, forms: alwaysXML, body: el("Response", at("code", code), at("status", text))}
}

// errorsV1 is the other v1 shape: <errors><error>text</error></errors>.
func errorsV1(status int, text string) reply {
	inner := el("error")
	inner.text = text
	return reply{status: status, forms: alwaysXML, body: el("errors").inline("error", inner)}
}

func notFoundV1() reply { return errorsV1(http.StatusNotFound, "Not found") }

// gone is the death notice of a removed endpoint.
func gone() reply { return response(http.StatusGone, "This endpoint was deprecated and removed") }

func html(status int, title string) reply {
	heading := strconv.Itoa(status) + " " + title
	return reply{
		status: status, forms: asIs, contentType: "text/html",
		raw: []byte("<html><head><title>" + title + "</title></head><body><h1>" + heading + "</h1></body></html>"),
	}
}

// withHeader sets a header and returns the reply.
func (r reply) withHeader(name, value string) reply {
	if r.header == nil {
		r.header = http.Header{}
	}
	r.header.Set(name, value)
	return r
}
