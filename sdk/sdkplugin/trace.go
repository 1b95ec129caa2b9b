package sdkplugin

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/zondarr/zondarr/sdk"
)

// The names under which a call's origin travels as gRPC metadata.
const (
	correlationHeader = "zondarr-correlation-id"
	parentHeader      = "traceparent"
	stateHeader       = "tracestate"
)

func sendTraceUnary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoke(outgoing(ctx), method, req, reply, cc, opts...)
}

func sendTraceStream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return streamer(outgoing(ctx), desc, cc, method, opts...)
}

// outgoing puts what the context carries into the call's metadata.
func outgoing(ctx context.Context) context.Context {
	var pairs []string
	for _, p := range [...]struct{ name, value string }{
		{correlationHeader, sdk.CorrelationID(ctx)},
		{parentHeader, sdk.TraceParent(ctx)},
		{stateHeader, sdk.TraceState(ctx)},
	} {
		if p.value != "" && printable(p.value) {
			pairs = append(pairs, p.name, p.value)
		}
	}
	if pairs == nil {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, pairs...)
}

// incoming gives the context that an author sees.
func incoming(ctx context.Context) context.Context {
	ctx = sdk.WithCorrelationID(ctx, received(ctx, correlationHeader))
	return sdk.WithTraceContext(ctx, received(ctx, parentHeader), received(ctx, stateHeader))
}

func received(ctx context.Context, name string) string {
	if v := metadata.ValueFromIncomingContext(ctx, name); len(v) > 0 {
		return v[0]
	}
	return ""
}

// printable says whether a value may be sent as metadata: gRPC fails the whole
// call for one that is not, and a log's id is not worth a call.
func printable(s string) bool {
	if len(s) > 512 {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
