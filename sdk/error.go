package sdk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Reason says why a call failed, in the words of the contract. Reasons are only
// ever added; an unknown one is treated as ReasonInternal.
type Reason string

// The reasons, each with who is usually at fault.
const (
	// Upstream: the media server, or the cloud behind it.
	ReasonUnavailable  Reason = "unavailable"   // refused, no route, DNS, TLS
	ReasonTimeout      Reason = "timeout"       // no answer in time
	ReasonRateLimited  Reason = "rate_limited"  // set RetryAfter when told
	ReasonServerError  Reason = "server_error"  // it answered nonsense or 5xx
	ReasonStarting     Reason = "starting"      // it is booting
	ReasonEndpointGone Reason = "endpoint_gone" // the API was removed there

	// The stored server: what the admin typed.
	ReasonCredentialsRejected Reason = "credentials_rejected"
	ReasonNotAdmin            Reason = "not_admin" // accepted, but not enough
	ReasonWrongProduct        Reason = "wrong_product"
	ReasonWrongServer         Reason = "wrong_server" // another id than confirmed
	ReasonVersionUnsupported  Reason = "version_unsupported"

	// The request.
	ReasonNotFound         Reason = "not_found"
	ReasonUsernameTaken    Reason = "username_taken"
	ReasonUsernameInvalid  Reason = "username_invalid"
	ReasonPasswordRejected Reason = "password_rejected"
	ReasonEmailRequired    Reason = "email_required"
	ReasonEmailTaken       Reason = "email_taken"
	ReasonAlreadyMember    Reason = "already_member"
	ReasonAccountNotReady  Reason = "account_not_ready" // verify the e-mail first
	ReasonLibraryNotFound  Reason = "library_not_found"
	ReasonLimitReached     Reason = "limit_reached" // the server takes no more users
	ReasonProtected        Reason = "protected"
	ReasonUnsupported      Reason = "unsupported"
	ReasonLinkExpired      Reason = "link_expired"
	ReasonInvalid          Reason = "invalid"

	// The outcome.
	ReasonAccessNotApplied Reason = "access_not_applied" // read back differs; undone
	ReasonAmbiguous        Reason = "ambiguous"          // may or may not have happened

	// The plugin itself.
	ReasonInternal Reason = "internal"
)

// Reasons lists every reason of this version of the contract.
func Reasons() []Reason {
	return []Reason{
		ReasonUnavailable, ReasonTimeout, ReasonRateLimited, ReasonServerError, ReasonStarting, ReasonEndpointGone,
		ReasonCredentialsRejected, ReasonNotAdmin, ReasonWrongProduct, ReasonWrongServer, ReasonVersionUnsupported,
		ReasonNotFound, ReasonUsernameTaken, ReasonUsernameInvalid, ReasonPasswordRejected, ReasonEmailRequired,
		ReasonEmailTaken, ReasonAlreadyMember, ReasonAccountNotReady, ReasonLibraryNotFound, ReasonLimitReached,
		ReasonProtected, ReasonUnsupported, ReasonLinkExpired, ReasonInvalid,
		ReasonAccessNotApplied, ReasonAmbiguous, ReasonInternal,
	}
}

// Source says whose failure it is.
type Source string

// The sources.
const (
	// SourceRequest: the caller asked for something that cannot be.
	SourceRequest Source = "request"
	// SourcePlugin: a fault in the plugin.
	SourcePlugin Source = "plugin"
	// SourceUpstream: the media server, or what stands between.
	SourceUpstream Source = "upstream"
	// SourceHost: set by the host alone: the plugin process is gone, or its
	// answer did not come in time.
	SourceHost Source = "host"
)

// Error is every failure of a media client (R3.9). It travels over gRPC and
// back unchanged but for the wrapped Err, which stays in the plugin's process.
type Error struct {
	// Reason is the kind of failure; empty is treated as ReasonInternal.
	Reason Reason
	// Source says whose failure it is; when empty it follows from Reason.
	Source Source
	// Message is the cause in words for an admin, without secrets, without
	// request or response bodies, and without the words of an upstream error
	// page.
	Message string
	// Op is the operation ("CreateUser") and ServerURL the base URL. The SDK and
	// the host's adapter set both; authors leave them empty.
	Op        string
	ServerURL string
	// Retryable says that the same call may succeed later, unchanged.
	Retryable bool
	// RetryAfter is how long the server asked to wait; 0 when it did not.
	RetryAfter time.Duration
	// UpstreamStatus is the HTTP status that the server answered, 0 for none.
	UpstreamStatus int
	// Undone says that nothing is left of what the call may have done before it
	// failed: it was taken back, and that is certain. A CreateUser that failed for
	// a passing reason (a server that is busy) and has deleted its account again
	// sets it, so that the host does not have to look for the account, and the
	// name is free at once.
	Undone bool
	// Stale says that the answer rests on knowledge from before the call
	// (FindUserRequest.MaxAge): what was not there then may be there now. With
	// ReasonNotFound it tells the host not to take the absence as proof.
	Stale bool
	// Fields name the inputs that are to blame.
	Fields []FieldProblem
	// Err is the cause, for errors.Is and errors.As within the process.
	Err error
}

// FieldProblem blames one input.
type FieldProblem struct {
	// Field is the name of the input: "username", "settings.cloud_url",
	// "secrets.api_key", "url".
	Field string
	// Code is short and stable: "required", "pattern", "rejected".
	Code string
	// Message tells a person what would be right. It never repeats the value.
	Message string
}

// AsUndone gives err with the word that nothing is left of the call (see
// Error.Undone): for what failed before anything was written, and for what was
// taken back. Reason and words stay err's own; nil stays nil.
func AsUndone(err error) error {
	if err == nil {
		return nil
	}
	e := *Errorf(ReasonOf(err), "%v", err)
	if known, ok := errors.AsType[*Error](err); ok {
		e = *known
	}
	e.Undone, e.Err = true, err
	return &e
}

// Error gives the operation, the server and the cause in words.
func (e *Error) Error() string {
	msg := e.Message
	if msg == "" {
		msg = string(e.Kind())
	}
	if e.ServerURL != "" {
		msg = e.ServerURL + ": " + msg
	}
	if e.Op != "" {
		msg = e.Op + " " + msg
	}
	return msg
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is matches another *Error by reason alone, so that errors.Is(err,
// sdk.ErrorOf(sdk.ReasonNotFound)) asks for the kind of failure.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Message == "" && t.Err == nil && t.Kind() == e.Kind()
}

// Kind gives the reason, ReasonInternal when there is none.
func (e *Error) Kind() Reason {
	if e.Reason == "" {
		return ReasonInternal
	}
	return e.Reason
}

// Origin gives Source, or the source that the reason implies.
func (e *Error) Origin() Source {
	if e.Source != "" {
		return e.Source
	}
	switch e.Kind() {
	case ReasonInternal, ReasonUnsupported:
		return SourcePlugin
	case ReasonNotFound, ReasonUsernameTaken, ReasonUsernameInvalid, ReasonPasswordRejected, ReasonEmailRequired,
		ReasonEmailTaken, ReasonAlreadyMember, ReasonAccountNotReady, ReasonLibraryNotFound, ReasonProtected,
		ReasonLinkExpired, ReasonInvalid:
		return SourceRequest
	default:
		return SourceUpstream
	}
}

// ErrorOf gives a bare error of a reason, for comparison with errors.Is.
func ErrorOf(r Reason) *Error { return &Error{Reason: r} }

// Errorf makes an error of a reason. The text must hold no secret. A %w verb
// keeps the cause; transient reasons (unavailable, timeout, rate_limited,
// server_error, starting) are marked Retryable. The address in an error of
// net/http is left out, since its query may hold a key.
func Errorf(r Reason, format string, args ...any) *Error {
	args = slices.Clone(args)
	for i, arg := range args {
		if err, ok := arg.(error); ok && err != nil {
			args[i] = plainError{err}
		}
	}
	err := fmt.Errorf(format, args...)
	cause := errors.Unwrap(err)
	if p, ok := cause.(plainError); ok { //nolint:errorlint // our own wrapper, taken off again
		cause = p.err
	}
	return &Error{Reason: r, Message: err.Error(), Err: cause, Retryable: r.Transient()}
}

// Transient says whether the same call may succeed later, unchanged.
func (r Reason) Transient() bool {
	switch r {
	case ReasonUnavailable, ReasonTimeout, ReasonRateLimited, ReasonServerError, ReasonStarting:
		return true
	default:
		return false
	}
}

// ReasonOf gives the reason of an error: that of the *Error in its chain,
// ReasonTimeout for a deadline, and ReasonInternal for anything else. It gives
// "" for nil.
func ReasonOf(err error) Reason {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return ReasonTimeout
	}
	return ReasonInternal
}
