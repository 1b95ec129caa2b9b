package sdktest

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/test/bufconn"

	"github.com/hashicorp/go-plugin"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

// Connect serves a plugin over gRPC inside the test's process and gives the host's half.
// It ends with the test.
func Connect(tb testing.TB, p sdk.Plugin, options ...sdkplugin.ServerOption) *sdkplugin.Remote {
	tb.Helper()
	remote, stop, err := serveInProcess(p, options...)
	if err != nil {
		tb.Fatalf("the plugin cannot be served: %v", err)
	}
	tb.Cleanup(stop)
	return remote
}

// serveInProcess does what Connect does, for callers without a test.
func serveInProcess(p sdk.Plugin, options ...sdkplugin.ServerOption) (*sdkplugin.Remote, func(), error) {
	server, err := sdkplugin.NewServer(p, options...)
	if err != nil {
		return nil, nil, err
	}
	lis := bufconn.Listen(1 << 20)
	g := grpc.NewServer(sdkplugin.ServerOptions()...)
	server.Register(g)
	alive := health.NewServer()
	alive.SetServingStatus(plugin.GRPCServiceName, grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(g, alive)
	served := make(chan struct{})
	go func() { // ends with stop
		defer close(served)
		_ = g.Serve(lis)
	}()
	dial := append(sdkplugin.DialOptions(),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	conn, err := grpc.NewClient("passthrough:///plugin", dial...)
	stop := func() {
		if conn != nil {
			_ = conn.Close()
		}
		g.Stop()
		<-served
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = server.Close(ctx)
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	return sdkplugin.NewRemote(conn), stop, nil
}

// openRequest is what the SDK would open a client with; log lines go nowhere.
func openRequest(ref sdk.ServerRef) sdk.OpenRequest {
	req := sdk.OpenRequest{Server: ref, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	web, _, err := sdkplugin.NewHTTPClient(ref, "")
	if err != nil {
		web = &http.Client{} // only with a CA that is none, which every call will find out
	}
	req.HTTP = web
	return req
}
