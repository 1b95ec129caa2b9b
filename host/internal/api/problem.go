package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/sdk"
)

// Problem is every error body (RFC 9457, R9). Its members are always present.
type Problem struct {
	Type          string           `json:"type" doc:"Stable name of the error: urn:zondarr:error:<error_code>."`
	Title         string           `json:"title" doc:"The error in two words."`
	Status        int              `json:"status" doc:"The HTTP status."`
	Detail        string           `json:"detail" doc:"What is wrong, in a sentence. On /join it is written for the invitee."`
	ErrorCode     string           `json:"error_code" doc:"Stable, for programs. The list may grow."`
	Timestamp     time.Time        `json:"timestamp" doc:"When it happened."`
	CorrelationID string           `json:"correlation_id" doc:"The log holds the cause under this id."`
	Errors        []FieldError     `json:"errors" nullable:"false" doc:"The inputs that are to blame."`
	Resource      *ProblemResource `json:"resource" doc:"What was not found or is in conflict."`
	Server        *ProblemServer   `json:"server" doc:"The media server that failed."`
	Plugin        *string          `json:"plugin" doc:"The plugin that is down."`
	Retryable     bool             `json:"retryable" doc:"Whether the same request may succeed later."`
	RetryAfterS   *int             `json:"retry_after_s" doc:"How many seconds to wait; as the Retry-After header."`
}

// FieldError blames one input. The value is never repeated: it may be a secret.
type FieldError struct {
	Location string `json:"location" doc:"Where the input stands: body.username, query.limit."`
	Code     string `json:"code" doc:"required, unknown, read_only, too_short, too_long, pattern, out_of_range, not_found, duplicate, unsupported, conflict, taken, rejected or invalid."`
	Message  string `json:"message" doc:"What would be right."`
}

// ProblemResource names a stored thing.
type ProblemResource struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// ProblemServer names a media server.
type ProblemServer struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func (p *Problem) Error() string { return p.Detail }

// GetStatus tells huma the status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType tells huma the media type.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders tells huma the headers.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.RetryAfterS != nil {
		h.Set("Retry-After", strconv.Itoa(*p.RetryAfterS))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="zondarr"`)
	}
	return h
}

var statusOf = map[fault.Kind]int{
	fault.Invalid:         http.StatusBadRequest,
	fault.Unauthenticated: http.StatusUnauthorized,
	fault.Forbidden:       http.StatusForbidden,
	fault.NotFound:        http.StatusNotFound,
	fault.Conflict:        http.StatusConflict,
	fault.RateLimited:     http.StatusTooManyRequests,
	fault.Upstream:        http.StatusBadGateway,
	fault.Unavailable:     http.StatusServiceUnavailable,
	fault.Internal:        http.StatusInternalServerError,
}

// problem turns any error into its body and logs it, once (R9.5).
func (a *API) problem(ctx context.Context, err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p // made, and logged, by what was called
	}
	f := asFault(err)
	p := newProblem(ctx, statusOf[f.Kind], f.Code, f.Message, a.Now())
	for _, field := range f.Fields {
		p.Errors = append(p.Errors, FieldError(field))
	}
	if f.Resource != nil {
		p.Resource = &ProblemResource{Type: f.Resource.Type, ID: f.Resource.ID}
	}
	if f.Server != nil {
		p.Server = &ProblemServer{ID: f.Server.ID, Name: f.Server.Name}
	}
	if f.Plugin != "" {
		p.Plugin = &f.Plugin
	}
	p.Retryable = f.Retryable
	if f.RetryAfter > 0 {
		s := int(math.Ceil(f.RetryAfter.Seconds()))
		p.RetryAfterS = &s
	}
	a.logProblem(ctx, p, err)
	return p
}

// asFault gives the fault in an error's chain; what has none is ours. A database
// that is away is told apart, since trying again helps.
func asFault(err error) *fault.Error {
	if f := fault.As(err); f != nil && statusOf[f.Kind] != 0 {
		return f
	}
	if errors.Is(err, database.ErrUnavailable) {
		f := fault.New(fault.Unavailable, fault.CodeDatabaseUnavailable, "The database cannot be reached at the moment. Try again shortly.")
		f.Retryable, f.RetryAfter = true, 5*time.Second
		return f
	}
	return fault.New(fault.Internal, fault.CodeInternal, "Something went wrong on our side. The log has the cause under the correlation id.")
}

func (a *API) logProblem(ctx context.Context, p *Problem, cause error) {
	level := slog.LevelInfo
	if p.Status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	a.Logger.LogAttrs(ctx, level, "request failed",
		slog.Int("status", p.Status), slog.String("error_code", p.ErrorCode), slog.String("cause", cause.Error()))
}

func newProblem(ctx context.Context, status int, code, detail string, now time.Time) *Problem {
	return &Problem{
		Type: "urn:zondarr:error:" + code, Title: titleOf(code), Status: status, Detail: detail, ErrorCode: code,
		Timestamp: now, CorrelationID: sdk.CorrelationID(ctx), Errors: []FieldError{},
	}
}

// titleOf makes "Username taken" of username_taken.
func titleOf(code string) string {
	words := strings.ReplaceAll(code, "_", " ")
	return strings.ToUpper(words[:1]) + words[1:]
}

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
	code := fault.CodeInvalidInput
	switch status {
	case http.StatusUnauthorized:
		code = fault.CodeUnauthenticated
	case http.StatusNotFound:
		code = fault.CodeNotFound
	case http.StatusRequestEntityTooLarge:
		code, msg = fault.CodeBodyTooLarge, fmt.Sprintf("The body may have at most %d bytes.", bodyLimit)
	case http.StatusUnsupportedMediaType:
		code, msg = fault.CodeUnsupportedMediaType, "Send the body as application/json."
	case http.StatusRequestTimeout:
		code, msg = fault.CodeInvalidInput, "The body did not arrive in time."
	case http.StatusNotAcceptable, http.StatusBadRequest, http.StatusUnprocessableEntity:
		status = http.StatusBadRequest
	default:
		if status >= http.StatusInternalServerError {
			return a.problem(ctx, fmt.Errorf("%s: %w", msg, errors.Join(errs...)))
		}
	}
	p := newProblem(ctx, status, code, msg, a.Now())
	for _, err := range errs {
		detailer, ok := err.(huma.ErrorDetailer) //nolint:errorlint // huma hands its own details over unwrapped
		if !ok {
			p.Errors = append(p.Errors, FieldError{Location: "body", Code: fault.FieldInvalid, Message: "This is not valid JSON."})
			p.ErrorCode = fault.CodeMalformedJSON
			continue
		}
		p.Errors = append(p.Errors, fieldError(detailer.ErrorDetail()))
	}
	describe(p, msg)
	a.logProblem(ctx, p, errors.New(msg))
	return p
}

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
func fieldError(d *huma.ErrorDetail) FieldError {
	location := cmp.Or(d.Location, "body")
	for _, c := range complaints {
		rest, ok := strings.CutPrefix(d.Message, c.prefix)
		if !ok {
			continue
		}
		if c.code == fault.FieldRequired && strings.HasPrefix(location, "body") {
			if name, _, ok := strings.Cut(strings.TrimSpace(rest), " "); ok && name != "" && !strings.HasSuffix(location, "."+name) {
				location += "." + name
			}
			return FieldError{Location: location, Code: c.code, Message: "This is required."}
		}
		message := c.message
		if strings.Contains(message, "%s") {
			message = fmt.Sprintf(message, strings.TrimSpace(rest))
		}
		return FieldError{Location: location, Code: c.code, Message: message}
	}
	return FieldError{Location: location, Code: fault.FieldInvalid, Message: "This is not valid: " + d.Message + "."}
}

// complaints map huma's validation messages, longest prefix first.
var complaints = []struct{ prefix, code, message string }{
	{"unexpected property", fault.FieldUnknown, "There is no field of this name."},
	{"unknown query parameter", fault.FieldUnknown, "There is no query parameter of this name."},
	{"expected required property", fault.FieldRequired, "This is required."},
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
