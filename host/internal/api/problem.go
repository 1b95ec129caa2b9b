package api

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/registry"
	"github.com/zondarr/zondarr/sdk"
)

// Problem is every error body (RFC 9457, R9). Its members are always present.
type Problem struct {
	Type          string                `json:"type" doc:"Stable name of the error: urn:zondarr:error:<error_code>."`
	Title         string                `json:"title" doc:"The error in two words."`
	Status        int                   `json:"status" doc:"The HTTP status."`
	Detail        string                `json:"detail" doc:"What is wrong, in a sentence. On /join it is written for the invitee."`
	ErrorCode     string                `json:"error_code" doc:"Stable, for programs. The list may grow."`
	Timestamp     time.Time             `json:"timestamp" doc:"When it happened."`
	CorrelationID string                `json:"correlation_id" doc:"The log holds the cause under this id."`
	Errors        []FieldError          `json:"errors" nullable:"false" doc:"The inputs that are to blame."`
	Resource      Null[ProblemResource] `json:"resource" doc:"What was not found or is in conflict."`
	Server        Null[ProblemServer]   `json:"server" doc:"The media server that failed."`
	Plugin        *string               `json:"plugin" doc:"The plugin that is down."`
	Retryable     bool                  `json:"retryable" doc:"Whether the same request may succeed later."`
	RetryAfterS   *int                  `json:"retry_after_s" doc:"How many seconds to wait; as the Retry-After header."`
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
		p.Resource = nullOf(&ProblemResource{Type: f.Resource.Type, ID: f.Resource.ID})
	}
	if f.Server != nil {
		p.Server = nullOf(&ProblemServer{ID: f.Server.ID, Name: f.Server.Name})
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

// asFault gives the fault in an error's chain; what has none is ours. What is away is
// told apart, since trying again helps: the database, or the plugin of a server that is
// stored.
func asFault(err error) *fault.Error {
	f := fault.As(err)
	if f != nil && f.Kind != fault.Internal && statusOf[f.Kind] != 0 {
		return f
	}
	if e, ok := errors.AsType[*registry.UnknownTypeError](err); ok {
		return fault.New(fault.Unavailable, fault.CodePluginUnavailable, "No plugin serves the server type %s at the moment.", e.ServerType)
	}
	if errors.Is(err, database.ErrUnavailable) {
		f := fault.New(fault.Unavailable, fault.CodeDatabaseUnavailable, "The database cannot be reached at the moment. Try again shortly.")
		f.Retryable, f.RetryAfter = true, 5*time.Second
		return f
	}
	if f != nil && f.Kind == fault.Internal {
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
