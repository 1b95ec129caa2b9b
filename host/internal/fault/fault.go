// Package fault is the one error type that crosses from the services to the
// edge. It separates what the user reads (Code, Message, Fields) from what the
// operator reads (the wrapped cause): the first goes into the response, the
// second into the log, once, with the correlation id.
//
// It knows no HTTP status, no gRPC code and no database: each edge maps Kind on
// its own. Whatever is not a *fault.Error when it reaches an edge is internal.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind is the class of a failure; an edge decides by it alone.
type Kind string

// The kinds.
const (
	Invalid         Kind = "invalid"         // an input is wrong: 400
	Unauthenticated Kind = "unauthenticated" // nobody knows who calls: 401
	Forbidden       Kind = "forbidden"       // known, and not allowed: 403
	NotFound        Kind = "not_found"       // 404
	Conflict        Kind = "conflict"        // the state does not allow it: 409
	RateLimited     Kind = "rate_limited"    // 429
	Upstream        Kind = "upstream"        // a media server failed: 502
	Unavailable     Kind = "unavailable"     // a plugin or the database is away: 503
	Internal        Kind = "internal"        // ours: 500
)

// Error is a failure in the words of the operation that failed.
type Error struct {
	Kind Kind
	// Code is stable and listed in codes.go.
	Code string
	// Message is a sentence for the caller. Where an invitee may be the caller,
	// it is written for the invitee.
	Message string
	// Detail is a sentence for the admin, stored with redemptions and logged; it
	// never goes to an invitee. It holds no secret.
	Detail string
	// Fields name the inputs that are to blame.
	Fields []Field
	// Resource is what was not found or is in conflict.
	Resource *Resource
	// Server is the media server that failed.
	Server *Server
	// Plugin is the name of the plugin that is down.
	Plugin string
	// Retryable says that the same request may succeed later; RetryAfter is how
	// long to wait, 0 when unknown.
	Retryable  bool
	RetryAfter time.Duration
	// Err is the cause. It is logged and never shown.
	Err error
}

// Field blames one input.
type Field struct {
	// Location is where the input stands: "body.username", "query.limit".
	Location string
	// Code is one of the Field codes.
	Code string
	// Message says what would be right. It never repeats the value.
	Message string
}

// Resource names a stored thing.
type Resource struct {
	Type string // "server", "invitation", …
	ID   string
}

// Server names a media server to the caller.
type Server struct {
	ID   string
	Name string
}

// Error gives the message and the cause: it is for logs.
func (e *Error) Error() string {
	msg := e.Message
	if e.Detail != "" {
		msg += " (" + e.Detail + ")"
	}
	if e.Err != nil {
		msg += ": " + e.Err.Error()
	}
	return msg
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes an error of a kind and code with a message for the caller.
func New(kind Kind, code, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap adds the cause. It changes and returns e, which must be fresh.
func (e *Error) Wrap(cause error) *Error {
	e.Err = cause
	return e
}

// InvalidInput makes the error for inputs that are wrong.
func InvalidInput(fields ...Field) *Error {
	msg := "The request is not valid."
	if len(fields) == 1 {
		msg = fields[0].Message
	}
	return &Error{Kind: Invalid, Code: CodeInvalidInput, Message: msg, Fields: fields}
}

// Missing makes the error for a resource that does not exist.
func Missing(resourceType, id string) *Error {
	return &Error{
		Kind: NotFound, Code: CodeNotFound, Message: fmt.Sprintf("There is no %s with this id.", resourceType),
		Resource: &Resource{Type: resourceType, ID: id},
	}
}

// As gives the *Error in the chain of err, or nil.
func As(err error) *Error {
	e, _ := errors.AsType[*Error](err)
	return e
}

// CodeOf gives the code of the *Error in the chain of err, CodeInternal for any
// other error and "" for nil.
func CodeOf(err error) string {
	switch e := As(err); {
	case err == nil:
		return ""
	case e == nil:
		return CodeInternal
	default:
		return e.Code
	}
}
