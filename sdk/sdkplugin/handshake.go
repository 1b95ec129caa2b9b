package sdkplugin

import (
	"context"
	"errors"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

const (
	// PluginName is the name under which a plugin is dispensed.
	PluginName = "media"

	// ProtocolVersion is the major version of the contract, and the key of
	// VersionedPlugins. Minor versions are capabilities.
	ProtocolVersion = 1

	// MaxMessageBytes bounds one message in either direction.
	MaxMessageBytes = 16 << 20
)

// Handshake tells a plugin that the right host started it. It keeps people from
// running plugins by hand, and is no secret.
var Handshake = plugin.HandshakeConfig{
	ProtocolVersion:  ProtocolVersion,
	MagicCookieKey:   "ZONDARR_PLUGIN",
	MagicCookieValue: "a-media-server-plugin-for-zondarr",
}

// VersionedPlugins is the host's table of contract versions that it speaks.
func VersionedPlugins() map[int]plugin.PluginSet {
	return map[int]plugin.PluginSet{ProtocolVersion: {PluginName: &grpcPlugin{}}}
}

// DialOptions are what a host gives go-plugin as GRPCDialOptions: the limit on
// messages, and interceptors that send the correlation id and the trace context
// with every call.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessageBytes), grpc.MaxCallSendMsgSize(MaxMessageBytes)),
		grpc.WithChainUnaryInterceptor(sendTraceUnary),
		grpc.WithChainStreamInterceptor(sendTraceStream),
	}
}

// ServerOptions are what a gRPC server needs that registers a Server.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.MaxRecvMsgSize(MaxMessageBytes), grpc.MaxSendMsgSize(MaxMessageBytes)}
}

// grpcPlugin is what go-plugin asks for on either side: server is set in the
// plugin and nil in the host.
type grpcPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	server *Server
}

// GRPCServer registers the plugin's half.
func (p *grpcPlugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	if p.server == nil {
		return errors.New("the host has nothing to serve")
	}
	p.server.Register(s)
	return nil
}

// GRPCClient gives the host's half, a *Remote.
func (p *grpcPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return NewRemote(conn), nil
}
