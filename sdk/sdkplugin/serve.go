package sdkplugin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/zondarr/zondarr/sdk"
)

// stopTimeout bounds what a plugin does between its host's last word and its end.
const stopTimeout = 2 * time.Second

// Serve serves a plugin until the host says that it is over or is gone, and ends the
// process. It is the whole of a plugin's main:
//
//	func main() { sdkplugin.Serve(myserver.New()) }
//
// Run by hand, the program answers --version, --describe (JSON) and --help. Nothing
// else may write to standard output before Serve: its first line is the handshake.
func Serve(p sdk.Plugin) { os.Exit(serve(p, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func serve(p sdk.Plugin, args []string, stdin *os.File, stdout, stderr io.Writer) int {
	started := os.Getenv(Handshake.MagicCookieKey) == Handshake.MagicCookieValue
	desc, err := describePlugin(p)
	if err != nil {
		fmt.Fprintf(stderr, "this plugin cannot be served: %v\n", err)
		return 1
	}
	if !started || len(args) > 0 {
		return byHand(desc, args, stdout, stderr)
	}
	// Service managers and terminals send these to the whole process group. The host
	// decides when its plugins end: calls in flight finish first.
	signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)

	// Taken now: go-plugin turns os.Stderr into a stream of its own.
	server, err := NewServer(p, LogTo(stderr))
	if err != nil {
		fmt.Fprintf(stderr, "this plugin cannot be served: %v\n", err)
		return 1
	}
	if endsWithHost(stdin) {
		go func() { // ends with the process
			_, _ = io.Copy(io.Discard, stdin)
			closeServer(server)
			os.Exit(0)
		}()
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  Handshake,
		VersionedPlugins: map[int]plugin.PluginSet{ProtocolVersion: {PluginName: &grpcPlugin{server: server}}},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, ServerOptions()...)...)
		},
		Logger: hclog.New(&hclog.LoggerOptions{Name: "go-plugin", Level: hclog.Warn, Output: stderr, JSONFormat: true}),
	})
	closeServer(server)
	return 0
}

func closeServer(s *Server) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	_ = s.Close(ctx) // the process ends either way
}

// endsWithHost says whether the end of standard input means the end of the host: it
// does for the pipe that a host holds open, not for a terminal or /dev/null.
func endsWithHost(stdin *os.File) bool {
	info, err := stdin.Stat()
	return err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0
}

// byHand answers a person.
func byHand(desc sdk.Description, args []string, stdout, stderr io.Writer) int {
	out, code := stdout, 0
	if len(args) != 1 {
		args, out, code = []string{"--help"}, stderr, 2
	}
	switch args[0] {
	case "--version", "-version", "version":
		fmt.Fprintf(out, "%s %s (sdk %s, protocol %d)\n", desc.Name, desc.Version, sdkVersion(), ProtocolVersion)
	case "--describe", "-describe":
		answer, err := toDescription(desc)
		if err != nil {
			fmt.Fprintln(stderr, err)
			return 1
		}
		text, err := canonical(answer)
		if err != nil {
			fmt.Fprintln(stderr, err)
			return 1
		}
		var pretty bytes.Buffer
		_ = json.Indent(&pretty, text, "", "  ") // canonical gives valid JSON
		fmt.Fprintln(out, pretty.String())
	case "--help", "-help", "-h", "help":
		fmt.Fprintf(out, `%s is a Zondarr plugin for %s media servers.

Put the file, named zondarr-plugin-%s, into Zondarr's plugin directory and
approve it there; Zondarr starts it. Run by hand it answers:

  --version   its version
  --describe  what it can do, as JSON
  --help      this text
`, desc.Name, desc.DisplayName, desc.Name)
	default:
		fmt.Fprintf(stderr, "unknown argument %q; try --help\n", args[0])
		return 2
	}
	return code
}
