package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/google/uuid"

	"github.com/zondarr/zondarr/host/internal/auth"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/sdk"
)

// correlationHeader carries the correlation id in both directions.
const correlationHeader = "X-Correlation-ID"

// apiContext is where frameworkProblem finds the API of a request.
type apiContext struct{}

// traceParent is the form of the W3C header, version 00.
var traceParent = regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

var sane = regexp.MustCompile(`^[A-Za-z0-9_-]{8,64}$`)

// correlate gives every request its id, that of the caller if it is sane.
func (a *API) correlate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(correlationHeader)
		if !sane.MatchString(id) {
			id = uuid.NewString()
		}
		w.Header().Set(correlationHeader, id)
		ctx := context.WithValue(sdk.WithCorrelationID(r.Context(), id), apiContext{}, a)
		if parent := r.Header.Get("Traceparent"); traceParent.MatchString(parent) {
			// Handed on as it is: the host makes no spans of its own.
			ctx = sdk.WithTraceContext(ctx, parent, strings.Join(r.Header.Values("Tracestate"), ","))
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// clientAddress finds out who calls: the peer, or what trusted proxies say.
func (a *API) clientAddress(next http.Handler) http.Handler {
	if len(a.TrustedProxies) == 0 {
		return middleware.ClientIPFromRemoteAddr(next)
	}
	prefixes := make([]string, len(a.TrustedProxies))
	for i, p := range a.TrustedProxies {
		prefixes[i] = p.String()
	}
	peer := middleware.ClientIPFromRemoteAddr(next)
	return middleware.ClientIPFromXFF(prefixes...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if middleware.GetClientIP(r.Context()) == "" {
			peer.ServeHTTP(w, r) // the proxy does not say for whom it asks
			return
		}
		next.ServeHTTP(w, r)
	}))
}

// logAccess writes one line a request. The path of a join holds a code, which is
// as good as a key, so the route's pattern is logged and not the path.
func (a *API) logAccess(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		next.ServeHTTP(ww, r)
		level := slog.LevelInfo
		route := chi.RouteContext(r.Context()).RoutePattern()
		if strings.HasPrefix(route, "/health") {
			level = slog.LevelDebug // probes come every few seconds
		}
		method := knownMethod(r.Method)
		a.Logger.LogAttrs(r.Context(), level, "request",
			slog.String("method", method), slog.String("route", route), slog.Int("status", ww.Status()),
			slog.Int("bytes", ww.BytesWritten()), slog.Float64("took_ms", float64(time.Since(start).Microseconds())/1000),
			slog.String("client", middleware.GetClientIP(r.Context())))
		if a.Observe != nil {
			a.Observe(method, route, ww.Status(), time.Since(start))
		}
	})
}

// knownMethod gives the method, or OTHER for what a stranger made up: it becomes a
// label of a metric, of which there must be few.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	default:
		return "OTHER"
	}
}

// recoverPanics turns a panic into a 500 that says nothing.
func (a *API) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler { //nolint:errorlint // the very value, by its documentation
				panic(v)
			}
			a.Logger.ErrorContext(ctx, "panic", "value", fmt.Sprint(v), "stack", string(debug.Stack()))
			a.write(w, a.problem(ctx, fmt.Errorf("panic: %v", v)))
		}()
		next.ServeHTTP(w, r)
	})
}

// whileStarting answers nothing but health checks until all parts run.
func (a *API) whileStarting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.Started == nil || a.Started() || strings.HasPrefix(r.URL.Path, "/health") {
			next.ServeHTTP(w, r)
			return
		}
		f := fault.New(fault.Unavailable, fault.CodeStarting, "Zondarr is starting. Try again in a moment.")
		f.Retryable, f.RetryAfter = true, 2*time.Second
		a.write(w, a.problem(r.Context(), f))
	})
}

// secureHeaders say what a browser may do with our answers.
func secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		if strings.HasPrefix(r.URL.Path, "/api/") {
			h.Set("Cache-Control", "no-store")
		}
		next.ServeHTTP(w, r)
	})
}

// refuseUnreadable refuses addresses that are no text: pairs of the query that
// net/url drops without a word, broken UTF-8, and U+0000, which PostgreSQL cannot
// store.
func (a *API) refuseUnreadable(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		location := ""
		if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
			location = "query"
		} else if text, err := url.QueryUnescape(r.URL.RawQuery); err != nil || !isText(text) {
			location = "query"
		} else if !isText(r.URL.Path) {
			location = "path"
		}
		if location != "" {
			a.write(w, a.problem(r.Context(), fault.InvalidInput(fault.Field{
				Location: location, Code: fault.FieldInvalid, Message: "The address holds something that is not text in UTF-8.",
			})))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// write sends a problem outside of huma.
func (a *API) write(w http.ResponseWriter, p *Problem) {
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client may be gone
}

func (a *API) routeNotFound(w http.ResponseWriter, r *http.Request) {
	a.write(w, a.problem(r.Context(), fault.New(fault.NotFound, fault.CodeNotFound, "There is nothing at this path. /docs shows what there is.")))
}

func (a *API) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	p := newProblem(r.Context(), http.StatusMethodNotAllowed, fault.CodeMethodNotAllowed, "This path does not take this method. /docs shows what it takes.", a.Now())
	a.logProblem(r.Context(), p, errors.New("method not allowed"))
	w.Header().Set("Allow", strings.Join(allowed(r), ", "))
	a.write(w, p)
}

// allowed gives the methods of a request's path.
func allowed(r *http.Request) []string {
	path := r.URL.RawPath
	if path == "" {
		path = r.URL.Path
	}
	var methods []string
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if !chi.RouteContext(r.Context()).Routes.Match(chi.NewRouteContext(), m, path) {
			continue
		}
		if methods = append(methods, m); m == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	return methods
}

const apiKeyScheme = "api_key"

type actorKey struct{}

// authenticate lets an operation that asks for a key pass only with one.
func (a *API) authenticate(h huma.API) func(huma.Context, func(huma.Context)) {
	return func(c huma.Context, next func(huma.Context)) {
		if len(c.Operation().Security) == 0 {
			next(c)
			return
		}
		scheme, text, _ := strings.Cut(c.Header("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			text = ""
		}
		key, err := a.Keys.Verify(c.Context(), strings.TrimSpace(text))
		if err != nil {
			a.refuse(h, c, err)
			return
		}
		next(huma.WithValue(c, actorKey{}, key))
	}
}

// once refuses a query parameter that stands twice and is no list: one of the two
// would be dropped without a word.
func (a *API) once(h huma.API) func(huma.Context, func(huma.Context)) {
	return func(c huma.Context, next func(huma.Context)) {
		var twice []fault.Field
		at := c.URL()
		query := at.Query()
		for _, p := range c.Operation().Parameters {
			if p.In == "query" && p.Schema.Type != huma.TypeArray && len(query[p.Name]) > 1 {
				twice = append(twice, fault.Field{Location: "query." + p.Name, Code: fault.FieldDuplicate, Message: "Give this once."})
			}
		}
		if len(twice) > 0 {
			a.refuse(h, c, fault.InvalidInput(twice...))
			return
		}
		next(c)
	}
}

// refuse answers in place of the operation.
func (a *API) refuse(h huma.API, c huma.Context, err error) {
	p := a.problem(c.Context(), err)
	for name, values := range p.GetHeaders() {
		c.SetHeader(name, values[0])
	}
	c.SetHeader("Content-Type", "application/problem+json")
	c.SetStatus(p.Status)
	_ = h.Marshal(c.BodyWriter(), "application/json", p) // the client may be gone
}

// actor says who calls, as it is recorded: "api_key:<id>".
func actor(ctx context.Context) string {
	key, ok := ctx.Value(actorKey{}).(auth.APIKey)
	if !ok {
		return "system"
	}
	return key.Actor()
}
