// Plugin is a plugin that misbehaves on demand, for the tests of the plugin
// host. What it is and how it starts stands behind its own program, at the end
// of its file (config); what a call does stands in the call.
package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

// config is appended to the file as one line of JSON after a line "ZTEST".
type config struct {
	Version       string
	ServerType    string // default: the name of the file
	Name          string // default: the name of the file
	Mode          string // how it starts
	Minimal       bool   // only what every plugin must do
	Required      string // a setting that must be there
	MaxConcurrent int
	MaxPerSecond  float64
}

func main() {
	c := config{Version: "1"}
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	self, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	mark := []byte("\nZTEST" + "\n")
	if i := bytes.LastIndex(self, mark); i >= 0 {
		if err := json.Unmarshal(self[i+len(mark):], &c); err != nil {
			panic(err)
		}
	}
	self = nil
	debug.FreeOSMemory()
	name := strings.TrimPrefix(filepath.Base(path), "zondarr-plugin-")
	if c.Name == "" {
		c.Name = name
	}
	if c.ServerType == "" {
		c.ServerType = name
	}
	start(c.Mode)
	sdkplugin.Serve(media{c})
}

// start does what a mode says before the handshake.
func start(mode string) {
	mode, arg, _ := strings.Cut(mode, ":")
	switch mode {
	case "garbage":
		fmt.Println("Hello, I am a web server.")
		select {}
	case "binary":
		os.Stdout.Write(bytes.Repeat([]byte{0xff, 0xfe, 0x00}, 30000))
		time.Sleep(time.Hour)
	case "silent":
		time.Sleep(time.Hour)
	case "quiet":
		os.Exit(0)
	case "exit":
		n, _ := strconv.Atoi(arg)
		fmt.Fprintln(os.Stderr, "cannot start: no such luck")
		os.Exit(n)
	case "handshake":
		fmt.Println(strings.ReplaceAll(arg, "DIR", os.Getenv("PLUGIN_UNIX_SOCKET_DIR")))
		time.Sleep(time.Hour)
	case "flood":
		flood()
	case "grandchild":
		spawn(arg == "session")
	case "slow":
		d, _ := time.ParseDuration(arg)
		time.Sleep(d)
	case "dieafter":
		shakeHands()
		time.Sleep(time.Duration(time.Now().UnixNano()%3) * time.Millisecond)
		os.Exit(1)
	case "hangup":
		for socket := shakeHands(); ; {
			if conn, err := socket.Accept(); err == nil {
				conn.Close()
			}
		}
	case "mute":
		serveNothing()
	case "deaf":
		// It does not notice the end of its host.
		null, err := os.Open(os.DevNull)
		if err != nil {
			panic(err)
		}
		os.Stdin = null
	}
}

// serveNothing shakes hands like any plugin, and then leaves every call without an
// answer.
func serveNothing() {
	none := &silent{}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  sdkplugin.Handshake,
		VersionedPlugins: map[int]plugin.PluginSet{sdkplugin.ProtocolVersion: {sdkplugin.PluginName: none}},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
				time.Sleep(time.Hour)
				return nil
			}))...)
		},
	})
}

type silent struct{ plugin.NetRPCUnsupportedPlugin }

func (silent) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }

func (silent) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("this is the other side")
}

// shakeHands says what a plugin says at first, and gives its socket.
func shakeHands() net.Listener {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	socket := filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "plugin1")
	l, err := net.Listen("unix", socket)
	if err != nil {
		panic(err)
	}
	fmt.Printf("1|1|unix|%s|grpc|%s\n", socket, base64.RawStdEncoding.EncodeToString(der))
	return l
}

func flood() {
	line := []byte(strings.Repeat("flood ", 200) + "\n")
	for {
		if _, err := os.Stderr.Write(line); err != nil {
			time.Sleep(time.Second)
		}
	}
}

// stderr is the descriptor itself: go-plugin puts its own file into os.Stderr.
var stderr = os.NewFile(2, "stderr")

// spawn leaves a child behind that holds the pipes.
func spawn(session bool) int {
	cmd := exec.Command("sleep", "300")
	cmd.Stdout, cmd.Stderr = os.NewFile(1, "stdout"), stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: session}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	return cmd.Process.Pid
}

// media is the plugin.
type media struct{ config }

func (m media) Describe() sdk.Description {
	d := sdk.Description{
		Name: m.Name, Version: m.Version, ServerType: m.ServerType, DisplayName: "Test " + m.ServerType,
		Client: (*client)(nil), JoinFlow: sdk.JoinNone,
		Traits:     sdk.Traits{LibraryModes: []sdk.LibraryMode{sdk.LibraryAll}},
		CallLimits: sdk.CallLimits{MaxConcurrent: m.MaxConcurrent, MaxPerSecond: m.MaxPerSecond},
		SettingsSchema: sdk.Schema{Properties: []sdk.Property{
			{Name: "count_file", Type: sdk.TypeString}, {Name: "token", Type: sdk.TypeString, Secret: true},
		}},
	}
	if m.Required != "" {
		d.SettingsSchema.Properties = append(d.SettingsSchema.Properties, sdk.Property{Name: m.Required, Type: sdk.TypeString, Required: true})
	}
	if m.Minimal {
		d.Client = (*small)(nil)
	}
	return d
}

func (m media) Open(_ context.Context, req sdk.OpenRequest) (sdk.MediaClient, error) {
	s := small{config: m.config, req: req}
	if m.Minimal {
		return &s, nil
	}
	return &client{s}, nil
}

// small is all that a plugin must do.
type small struct {
	config
	req sdk.OpenRequest
}

func (s *small) Close() error { return nil }

func (s *small) TestConnection(context.Context, sdk.TestConnectionRequest) (sdk.TestConnectionResponse, error) {
	return sdk.TestConnectionResponse{Facts: sdk.ServerFacts{Product: "Test", Version: s.Version, ExternalID: "x", Name: strconv.Itoa(os.Getpid()), JoinFlow: sdk.JoinNone}}, nil
}

// ListLibraries answers the number of bytes that the server's path asks for.
func (s *small) ListLibraries(context.Context, sdk.ListLibrariesRequest) (sdk.ListLibrariesResponse, error) {
	var out sdk.ListLibrariesResponse
	if n, err := strconv.Atoi(filepath.Base(s.req.Server.URL)); err == nil {
		for range n >> 10 {
			out.Libraries = append(out.Libraries, sdk.Library{ID: strings.Repeat("i", 1024), Name: "n", Type: sdk.LibraryMovies})
		}
	}
	return out, nil
}

// client does more.
type client struct{ small }

// GetUser does what the id says, and answers its version as the username.
func (c *client) GetUser(ctx context.Context, req sdk.GetUserRequest) (sdk.GetUserResponse, error) {
	u := sdk.User{ID: req.ID, Username: c.Version, DisplayName: strconv.Itoa(os.Getpid()), Status: sdk.StatusActive}
	do, arg, _ := strings.Cut(req.ID, ":")
	switch do {
	case "exit":
		n, _ := strconv.Atoi(arg)
		fmt.Fprintln(stderr, "about to exit")
		os.Exit(n)
	case "panic":
		go func() { panic("no idea what to do with " + arg) }()
		time.Sleep(time.Hour)
	case "oom":
		var hold [][]byte
		for {
			b := make([]byte, 64<<20)
			for i := range b {
				b[i] = byte(i)
			}
			hold = append(hold, b)
			if len(hold) > 1000 {
				return sdk.GetUserResponse{}, errors.New("there is no end to memory")
			}
		}
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		time.Sleep(time.Hour)
	case "hang":
		time.Sleep(time.Hour) // whatever the context says
	case "slow":
		d, err := time.ParseDuration(arg)
		if err != nil {
			return sdk.GetUserResponse{}, err
		}
		time.Sleep(d)
	case "flood":
		go flood()
	case "stderr":
		fmt.Fprintln(stderr, arg)
	case "stdout":
		fmt.Fprintln(os.Stdout, arg)
	case "print":
		fmt.Fprint(os.Stdout, arg)
	case "stderr64", "stdout64":
		text, err := base64.StdEncoding.DecodeString(arg)
		if err != nil {
			return sdk.GetUserResponse{}, err
		}
		out := stderr
		if do == "stdout64" {
			out = os.Stdout
		}
		fmt.Fprintln(out, string(text))
	case "log":
		c.req.Logger.InfoContext(ctx, arg, "again", arg, "plugin", "forged")
	case "grandchild":
		u.Email = strconv.Itoa(spawn(arg == "session"))
	case "environ":
		u.Options = map[string]any{"environ": strings.Join(os.Environ(), "\n")}
	case "host":
		// What of the host can be read from here.
		_, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", os.Getppid(), arg))
		u.Email = fmt.Sprint(err)
	case "fds":
		names, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			return sdk.GetUserResponse{}, err
		}
		var targets []string
		for _, n := range names {
			target, _ := os.Readlink("/proc/self/fd/" + n.Name())
			targets = append(targets, n.Name()+" "+target)
		}
		u.Options = map[string]any{"fds": strings.Join(targets, "\n")}
	case "limits":
		limits, err := os.ReadFile("/proc/self/limits")
		if err != nil {
			return sdk.GetUserResponse{}, err
		}
		u.Options = map[string]any{"limits": string(limits)}
	}
	return sdk.GetUserResponse{User: u}, nil
}

func (c *client) ListUsers(_ context.Context, _ sdk.ListUsersRequest, yield func(sdk.User) error) error {
	for i := range 1500 {
		if err := yield(sdk.User{ID: strconv.Itoa(i), Username: c.Version, Status: sdk.StatusActive}); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) FindUser(context.Context, sdk.FindUserRequest) (sdk.FindUserResponse, error) {
	return sdk.FindUserResponse{}, sdk.Errorf(sdk.ReasonNotFound, "there is nobody")
}

// CreateUser counts its calls in a file, and dies if told so.
func (c *client) CreateUser(_ context.Context, req sdk.CreateUserRequest) (sdk.CreateUserResponse, error) {
	c.count("create")
	if req.Username == "die" {
		os.Exit(9)
	}
	return sdk.CreateUserResponse{User: sdk.User{ID: "1", Username: req.Username, Status: sdk.StatusActive}}, nil
}

// DeleteUser counts its calls in a file, and dies at the first.
func (c *client) DeleteUser(context.Context, sdk.DeleteUserRequest) (sdk.DeleteUserResponse, error) {
	if c.count("delete") == 1 {
		os.Exit(9)
	}
	return sdk.DeleteUserResponse{}, nil
}

func (c *client) count(what string) int {
	path := c.req.Server.String("count_file", "")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(f, what)
	f.Close()
	all, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return strings.Count(string(all), what)
}
