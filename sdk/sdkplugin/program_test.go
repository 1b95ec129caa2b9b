package sdkplugin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

// buildFake builds the fake plugin's program.
func buildFake(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "zondarr-plugin-fake")
	ctx, cancel := context.WithTimeout(tb.Context(), 3*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", path, "../sdktest/zondarr-plugin-fake").CombinedOutput(); err != nil {
		tb.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// start starts a plugin program as go-plugin does it, with mutual TLS.
func start(tb testing.TB, path string, stderr io.Writer, env ...string) (*plugin.Client, *sdkplugin.Remote) {
	tb.Helper()
	cmd := exec.CommandContext(context.Background(), path)
	cmd.Env = env
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: sdkplugin.Handshake, VersionedPlugins: sdkplugin.VersionedPlugins(), AutoMTLS: true, SkipHostEnv: true,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC}, GRPCDialOptions: sdkplugin.DialOptions(), Stderr: stderr,
		Cmd: cmd, Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Off, Output: io.Discard}),
	})
	tb.Cleanup(client.Kill)
	rpc, err := client.Client()
	if err != nil {
		tb.Fatal(err)
	}
	raw, err := rpc.Dispense(sdkplugin.PluginName)
	if err != nil {
		tb.Fatal(err)
	}
	return client, raw.(*sdkplugin.Remote)
}

func TestByHand(t *testing.T) {
	path := buildFake(t)
	run := func(args ...string) (string, string, int) {
		cmd := exec.CommandContext(t.Context(), path, args...)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return out.String(), errs.String(), cmd.ProcessState.ExitCode()
	}
	if out, _, code := run("--version"); code != 0 || !strings.HasPrefix(out, "fake 1.0.0 (sdk ") {
		t.Errorf("--version: %d %q", code, out)
	}
	if out, _, code := run("--help"); code != 0 || !strings.Contains(out, "zondarr-plugin-fake") || !strings.Contains(out, "--describe") {
		t.Errorf("--help: %d %q", code, out)
	}
	out, _, code := run("--describe")
	d, err := sdkplugin.ParseDeclaration([]byte(out))
	if code != 0 || err != nil || d.Description.ServerType != "fake" || !json.Valid([]byte(out)) {
		t.Errorf("--describe: %d %v %s", code, err, out)
	}
	for _, args := range [][]string{nil, {"--version", "--help"}} {
		if out, errs, code := run(args...); code != 2 || out != "" || !strings.Contains(errs, "--help") {
			t.Errorf("%v: %d %q %q", args, code, out, errs)
		}
	}
	if out, errs, code := run("--wrong"); code != 2 || out != "" || !strings.Contains(errs, `unknown argument "--wrong"`) {
		t.Errorf("--wrong: %d %q %q", code, out, errs)
	}
}

// A process that dies in the middle of a creation is told from one that failed: nobody
// knows what it did.
func TestProcessDies(t *testing.T) {
	fake := sdktest.NewFake()
	srv := fake.AddServer("one")
	srv.Listen()
	defer srv.Close()
	client, remote := start(t, buildFake(t), io.Discard)
	pid := client.ReattachConfig().Pid
	struck := make(chan struct{})
	srv.Fault("CreateUser", sdktest.Fault{Commit: true, Hang: true, Hook: func() {
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill()
		}
		close(struck)
	}})
	req := sdk.CreateUserRequest{Username: "ann", Password: "correct horse", Grant: sdk.Grant{Libraries: sdk.LibraryAccess{Mode: sdk.LibraryAll}}}
	_, err := remote.Client(srv.Ref()).CreateUser(t.Context(), req)
	<-struck
	e, ok := errors.AsType[*sdk.Error](err)
	if !ok || e.Kind() != sdk.ReasonUnavailable || e.Origin() != sdk.SourceHost || e.Op != "CreateUser" {
		t.Errorf("got %#v", err)
	}
	if _, ok := srv.UserByName("ann"); !ok {
		t.Error("the creation was not committed before the process died")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := remote.Ping(ctx); err == nil {
		t.Error("a dead process answers")
	}
	if _, err := remote.Describe(ctx); sdk.ReasonOf(err) != sdk.ReasonUnavailable {
		t.Errorf("Describe of a dead process: %v", err)
	}
}

// R7.6: the lines of a program arrive on its standard error, in the form that the host
// reads.
func TestProgramLogs(t *testing.T) {
	fake := sdktest.NewFake()
	srv := fake.AddServer("one")
	srv.Listen()
	defer srv.Close()
	logs := &syncBuffer{}
	client, remote := start(t, buildFake(t), logs)
	if _, err := remote.Client(srv.Ref()).TestConnection(sdk.WithCorrelationID(t.Context(), "req-1"), sdk.TestConnectionRequest{}); err != nil {
		t.Fatal(err)
	}
	client.Kill() // and with it all was written
	for line := range strings.Lines(logs.String()) {
		if got, ok := sdkplugin.ParseLogLine([]byte(line)); ok && got.Message == "connection tested" && got.CorrelationID == "req-1" && got.ServerID == srv.Ref().ID {
			return
		}
	}
	t.Errorf("the line did not arrive in %q", logs.String())
}
