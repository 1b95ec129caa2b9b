package sdk

import "context"

// The keys of what a call's context carries.
type (
	correlationKey   struct{}
	traceKey         struct{}
	responseLimitKey struct{}
)

type traceContext struct{ parent, state string }

// WithCorrelationID gives a context whose calls and log lines carry the id of the
// request that caused them. The SDK and the host set it.
func WithCorrelationID(ctx context.Context, id string) context.Context {
	if id == "" {
		return ctx
	}
	return context.WithValue(ctx, correlationKey{}, id)
}

// CorrelationID gives the id of the request that caused a call, or "".
func CorrelationID(ctx context.Context) string {
	id, _ := ctx.Value(correlationKey{}).(string)
	return id
}

// WithTraceContext gives a context that carries W3C trace context: the values of
// the headers traceparent and tracestate.
func WithTraceContext(ctx context.Context, traceparent, tracestate string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, traceContext{traceparent, tracestate})
}

// TraceParent gives the W3C traceparent of a call, or "".
func TraceParent(ctx context.Context) string {
	t, _ := ctx.Value(traceKey{}).(traceContext)
	return t.parent
}

// TraceState gives the W3C tracestate of a call, or "".
func TraceState(ctx context.Context) string {
	t, _ := ctx.Value(traceKey{}).(traceContext)
	return t.state
}

// WithResponseLimit gives a context whose HTTP requests, made with
// OpenRequest.HTTP, may read that many bytes of a response's body instead of the
// client's own 64 MiB. It is for lists that are decoded as they arrive.
func WithResponseLimit(ctx context.Context, bytes int64) context.Context {
	return context.WithValue(ctx, responseLimitKey{}, bytes)
}

// ResponseLimit gives what WithResponseLimit set, or 0.
func ResponseLimit(ctx context.Context) int64 {
	n, _ := ctx.Value(responseLimitKey{}).(int64)
	return n
}
