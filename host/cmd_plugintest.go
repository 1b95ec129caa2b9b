package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/zondarr/zondarr/sdk/sdktest"
)

// inspectCommand shows what a plugin declares. It runs the file, as whoever
// calls the command: only a host that has approved a file does so by itself.
func (p *program) inspectCommand() *cobra.Command {
	return &cobra.Command{
		Use: "inspect FILE", Short: "Show what a plugin declares (runs it)", Args: oneArg("the file of a plugin"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), 10*time.Second)
			defer cancel()
			file, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			run := exec.CommandContext(ctx, file, "--describe") //nolint:gosec // running the file that was named is what the command is for
			run.Env = []string{"PATH=" + p.variable("PATH", "")}
			run.WaitDelay = time.Second // a child of the plugin's may hold the pipes
			var out, errOut bytes.Buffer
			run.Stdout, run.Stderr = &out, &errOut
			if err := run.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
				return fmt.Errorf("%s does not describe itself: %w: %s", args[0], err, errOut.String())
			}
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, out.Bytes(), "", "  "); err != nil {
				return fmt.Errorf("%s describes itself in something that is no JSON: %w", args[0], err)
			}
			_, err = fmt.Fprintln(p.stdio.Out, pretty.String())
			return err
		},
	}
}

// testCommand runs the conformance checks on a plugin file.
func (p *program) testCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "test FILE", Short: "Check that a plugin keeps the contract (runs it)", Args: oneArg("the file of a plugin"),
		Long: "Runs the conformance checks on a plugin, whatever language it is written in. With --settings it also\n" +
			"writes to the media server named there: it makes users whose names start with \"zt\" and removes them.",
	}
	settings := cmd.Flags().String("settings", "", `JSON file of a media server to write to: {"url": "…", "settings": {}, "secrets": {}}`)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var target *sdktest.Target
		if *settings != "" {
			data, err := os.ReadFile(*settings)
			if err != nil {
				return fmt.Errorf("read the settings: %w", err)
			}
			if target, err = sdktest.ReadTarget(data); err != nil {
				return err
			}
		}
		file, err := filepath.Abs(args[0])
		if err != nil {
			return err
		}
		if report := sdktest.RunBinary(cmd.Context(), file, target, p.stdio.Out); !report.OK() {
			return errors.New("the plugin does not keep the contract")
		}
		return nil
	}
	return cmd
}
