package api

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"github.com/zondarr/zondarr/host/internal/fault"
)

// frameworkProblem turns what huma itself refuses (malformed or invalid input, a
// body that is too large) into a problem. huma says 422 for invalid input; here
// it is 400 (R9.2).
func frameworkProblem(c huma.Context, status int, msg string, errs ...error) huma.StatusError {
	if c == nil {
		return &Problem{Status: status, Detail: msg} // asked for its shape, while operations are registered
	}
	ctx := c.Context()
	a, ok := ctx.Value(apiContext{}).(*API)
	if !ok {
		return &Problem{Status: status, Detail: msg}
	}
	code, malformed := fault.CodeInvalidInput, false
	switch status {
	case http.StatusUnauthorized:
		code = fault.CodeUnauthenticated
	case http.StatusNotFound:
		code = fault.CodeNotFound
	case http.StatusRequestEntityTooLarge:
		code, msg = fault.CodeBodyTooLarge, fmt.Sprintf("The body may have at most %d bytes.", bodyLimit)
	case http.StatusUnsupportedMediaType:
		code, msg = fault.CodeUnsupportedMediaType, "Send the body as application/json."
		errs = []error{&huma.ErrorDetail{Location: "header.Content-Type", Message: msg}}
	case http.StatusRequestTimeout:
		code, msg = fault.CodeInvalidInput, "The body did not arrive in time."
	case http.StatusNotAcceptable, http.StatusBadRequest, http.StatusUnprocessableEntity:
		status = http.StatusBadRequest
	default:
		if status < http.StatusInternalServerError {
			break
		}
		if msg != cannotReadBody {
			return a.problem(ctx, fmt.Errorf("%s: %w", msg, errors.Join(errs...)))
		}
		// The caller went away in the middle of it.
		status, msg, errs, malformed = http.StatusBadRequest, "the body was cut off", nil, true
	}
	p := newProblem(ctx, status, code, msg, a.Now())
	for _, err := range errs {
		detailer, ok := err.(huma.ErrorDetailer)
		if !ok {
			return a.problem(ctx, fmt.Errorf("%s: %w", msg, err)) // huma has no such error for what a caller does
		}
		d := detailer.ErrorDetail()
		if malformed = malformed || d.Message == notJSON; d.Message != notJSON {
			p.Errors = append(p.Errors, a.fieldError(c.Operation(), d))
		}
	}
	if malformed {
		p.ErrorCode = fault.CodeMalformedJSON
		p.Errors = append(p.Errors, FieldError{Location: "body", Code: fault.FieldInvalid, Message: "This is not valid JSON."})
	}
	describe(p, msg)
	a.logProblem(ctx, p, errors.New(msg))
	return p
}

// cannotReadBody is how huma says that the body did not arrive whole.
const cannotReadBody = "cannot read request body"

// describe gives the words of an invalid request.
func describe(p *Problem, msg string) {
	if p.Status != http.StatusBadRequest {
		return
	}
	switch {
	case p.ErrorCode == fault.CodeMalformedJSON:
		p.Detail = "The body is not valid JSON."
	case strings.Contains(msg, "body is required"):
		p.Detail = "A JSON body is required."
		p.Errors = []FieldError{{Location: "body", Code: fault.FieldRequired, Message: "Send a JSON object."}}
	case len(p.Errors) == 1:
		p.Detail = p.Errors[0].Location + ": " + p.Errors[0].Message
	default:
		p.Detail = "The request is not valid: see errors."
	}
	p.Type, p.Title = "urn:zondarr:error:"+p.ErrorCode, titleOf(p.ErrorCode)
}

// fieldError gives huma's complaint about one input the stable code and a
// sentence. Its value is dropped: it may be a password.
func (a *API) fieldError(op *huma.Operation, d *huma.ErrorDetail) FieldError {
	location := cmp.Or(d.Location, "body")
	if d.Message == validation.MsgUnexpectedProperty && a.readOnly(op, location) {
		return FieldError{Location: location, Code: fault.FieldReadOnly, Message: "This can be read and not written. Leave it out."}
	}
	if member, ok := strings.CutPrefix(d.Message, doesNotFit); ok {
		if member = strings.TrimSpace(member); member != "" {
			location += "." + member
		}
		return FieldError{Location: location, Code: fault.FieldInvalid, Message: "This value does not fit here: it is of another kind, or too large."}
	}
	for _, c := range complaints {
		rest, ok := strings.CutPrefix(d.Message, c.prefix)
		if !ok {
			continue
		}
		if c.prefix == missingProperty {
			name, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
			return FieldError{Location: location + "." + name, Code: c.code, Message: "This is required."}
		}
		message := c.message
		if strings.Contains(message, "%s") {
			message = fmt.Sprintf(message, strings.TrimSpace(rest))
		}
		return FieldError{Location: location, Code: c.code, Message: message}
	}
	return FieldError{Location: location, Code: fault.FieldInvalid, Message: "This is not valid."}
}

// readOnly says whether a member that a request may not hold stands in the
// resource that the operation answers: then it is known, and cannot be written.
func (a *API) readOnly(op *huma.Operation, location string) bool {
	path, ok := strings.CutPrefix(location, "body.")
	if !ok {
		return false
	}
	for status, response := range op.Responses {
		if media := response.Content["application/json"]; strings.HasPrefix(status, "2") && media != nil && a.holds(media.Schema, path) {
			return true
		}
	}
	return false
}

// holds says whether there is a member at a path such as servers[0].server_name.
func (a *API) holds(s *huma.Schema, path string) bool {
	for s != nil && s.Ref != "" {
		s = a.schemas.SchemaFromRef(s.Ref)
	}
	if s == nil || path == "" {
		return s != nil
	}
	if slices.ContainsFunc(s.OneOf, func(one *huma.Schema) bool { return a.holds(one, path) }) {
		return true
	}
	if strings.HasPrefix(path, "[") {
		_, rest, _ := strings.Cut(path, "]")
		return s.Items != nil && a.holds(s.Items, strings.TrimPrefix(rest, "."))
	}
	name, rest := path, ""
	if i := strings.IndexAny(path, ".["); i >= 0 {
		name, rest = path[:i], strings.TrimPrefix(path[i:], ".")
	}
	return s.Properties[name] != nil && a.holds(s.Properties[name], rest)
}

const missingProperty = "expected required property"

// complaints map huma's validation messages, longest prefix first.
var complaints = []struct{ prefix, code, message string }{
	{cannotBeNull, fault.FieldRequired, "This cannot be cleared. Leave it out to keep it."},
	{unstorable, fault.FieldInvalid, "Text may not hold the character U+0000."},
	{yearOutOfRange, fault.FieldOutOfRange, "This must be a time in the years 0 to 9999 in UTC."},
	{"Send the body as", fault.FieldUnsupported, "Send the body as application/json."},
	{"unexpected property", fault.FieldUnknown, "There is no field of this name."},
	{"unknown query parameter", fault.FieldUnknown, "There is no query parameter of this name."},
	{missingProperty, fault.FieldRequired, "This is required."},
	{"required query parameter", fault.FieldRequired, "This query parameter is required."},
	{"required header parameter", fault.FieldRequired, "This header is required."},
	{"required path parameter", fault.FieldRequired, "This is required."},
	{"expected length >=", fault.FieldTooShort, "This must have at least %s characters."},
	{"expected length <=", fault.FieldTooLong, "This may have at most %s characters."},
	{"expected array length >=", fault.FieldTooShort, "This needs at least %s entries."},
	{"expected array length <=", fault.FieldTooLong, "This may have at most %s entries."},
	{"expected array items to be unique", fault.FieldDuplicate, "An entry stands here twice."},
	{"expected number >=", fault.FieldOutOfRange, "This must be at least %s."},
	{"expected number <=", fault.FieldOutOfRange, "This must be at most %s."},
	{"expected string to match pattern", fault.FieldPattern, "This does not have the form %s."},
	{"expected string to be RFC 3339", fault.FieldInvalid, "This must be a time such as 2026-01-02T03:04:05Z."},
	{"invalid date/time", fault.FieldInvalid, "This must be a time such as 2026-01-02T03:04:05Z."},
	{"expected string to be RFC 4122 uuid", fault.FieldInvalid, "This must be an id (a UUID)."},
	{"expected value to be one of", fault.FieldInvalid, "This must be one of %s."},
	{"invalid integer", fault.FieldInvalid, "This must be a whole number."},
	{"invalid boolean", fault.FieldInvalid, "This must be true or false."},
	{"expected boolean", fault.FieldInvalid, "This must be true or false."},
	{"expected integer", fault.FieldInvalid, "This must be a whole number."},
	{"expected number", fault.FieldInvalid, "This must be a number."},
	{"expected string", fault.FieldInvalid, "This must be a text."},
	{"expected array", fault.FieldInvalid, "This must be a list."},
	{"expected object", fault.FieldInvalid, "This must be an object."},
}
