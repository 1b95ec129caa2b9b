package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/zondarr/zondarr/host/internal/secret"
)

// Stdio is where a command reads and writes.
type Stdio struct {
	In       io.Reader
	Out, Err io.Writer
}

// program is one run of the command line.
type program struct {
	environ []string
	stdio   Stdio
	file    string // --config
}

// Main runs the zondarr command and gives its exit code: 0, 1 for a failure, 2
// for a command line or a configuration that is wrong. SIGINT, SIGTERM and
// SIGHUP end ctx, which stops a serving host in order.
func Main(ctx context.Context, args, environ []string, stdio Stdio) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// Once the stop has begun, a second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	p := &program{environ: environ, stdio: stdio}
	root := p.root() //nolint:contextcheck // cobra hands each command its context when it runs
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stdio.Err, "zondarr:", err)
	var problems Problems
	if errors.As(err, &problems) || errors.Is(err, errUsage) {
		return 2
	}
	return 1
}

// errUsage marks a command line that is wrong.
var errUsage = errors.New("see --help")

func usage(format string, args ...any) error {
	return fmt.Errorf("%s (%w)", fmt.Sprintf(format, args...), errUsage)
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use: "zondarr", Args: noCommand, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }, Short: "Invitations for media servers", SilenceUsage: true, SilenceErrors: true,
		Long: "Zondarr turns an invitation code into an account on every media server that it names.\n" +
			"Settings come from defaults, then --config, then ZONDARR_* variables, then flags.",
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetIn(p.stdio.In)
	root.SetOut(p.stdio.Out)
	root.SetErr(p.stdio.Err)
	root.PersistentFlags().StringVar(&p.file, "config", "", "configuration file (YAML)")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage("%v", err) })
	root.AddCommand(
		p.initCommand(), p.serveCommand(), p.migrateCommand(), p.apiKeyCommand(), p.pluginCommand(), p.backupCommand(), p.restoreCommand(),
		p.resumeCommand(), p.databaseCommand(), p.secretCommand(), p.openapiCommand(), p.versionCommand(),
	)
	return root
}

// configured adds the settings as flags and gives a loader of them.
func (p *program) configured(cmd *cobra.Command, needKey bool) func() (Config, []string, error) {
	addFlags(cmd.Flags())
	return func() (Config, []string, error) {
		c, warnings, err := load(sources{file: p.file, environ: p.environ, flags: cmd.Flags()}, needKey)
		if err != nil {
			// A misspelt variable may well be the cause.
			for _, w := range warnings {
				fmt.Fprintln(p.stdio.Err, w)
			}
		}
		return c, warnings, err
	}
}

// keyed adds the settings to a command that seals or opens secrets, and gives a
// loader of them and of the keys.
func (p *program) keyed(cmd *cobra.Command) func() (Config, *secret.Box, error) {
	config := p.configured(cmd, true)
	return func() (Config, *secret.Box, error) {
		c, _, err := config()
		if err != nil {
			return Config{}, nil, err
		}
		box, err := secret.New(c.SecretKey, c.SecretKeyPrev)
		return c, box, err
	}
}

// noCommand refuses a word that is no command.
func noCommand(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("there is no command %q", args[0])
	}
	return nil
}

// noArgs refuses what a command does not take.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("unexpected argument %q", args[0])
	}
	return nil
}
