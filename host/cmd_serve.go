package host

import (
	"fmt"
	"net"
	"os"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/zondarr/zondarr/host/internal/database"
)

func (p *program) serveCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "serve", Short: "Serve the API until told to stop", Args: noArgs}
	var paused bool
	cmd.Flags().BoolVar(&paused, "paused", false, "touch no media server until `zondarr resume`: for a cloned or restored database")
	config := p.configured(cmd, true)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, warnings, err := config()
		if err != nil {
			return err
		}
		dir, err := installationDir()
		if err != nil {
			return err
		}
		log := newLogger(p.stdio.Err, c.LogLevel, c.LogFormat)
		for _, w := range warnings {
			log.Warn(w)
		}
		if info, err := os.Stat(SecretKeyFile(c.DataDir)); err == nil && info.Mode().Perm()&0o077 != 0 {
			log.Warn("the secret key can be read by others than its owner: chmod 600 it", "file", SecretKeyFile(c.DataDir))
		}
		log.Info("configuration", c.loggable()...)
		return run(cmd.Context(), c, options{installation: dir, paused: paused, log: log, ready: func(addr net.Addr) { welcome(p.stdio.Out, c, addr, sameInstance(cmd.Flags())) }})
	}
	return cmd
}

// sameInstance gives the flags by which another command finds the same instance. The
// URL of a database is left out, since it may hold a password.
func sameInstance(flags *pflag.FlagSet) string {
	out := ""
	for _, name := range []string{"config", "data-dir"} {
		if f := flags.Lookup(name); f != nil && f.Changed {
			out += fmt.Sprintf(" --%s %s", name, quoted(f.Value.String()))
		}
	}
	return out
}

// quoted makes one word of s for a shell.
func quoted(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/._-+:", r)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// loggable gives the settings without what is secret in them.
func (c Config) loggable() []any {
	return []any{
		"addr", c.Addr, "base_url", c.BaseURL, "data_dir", c.DataDir, "database", database.Display(c.DatabaseURL),
		"plugin_dirs", c.PluginDirs, "trusted_proxies", c.TrustedProxies, "join_rate", c.JoinRate, "stop_timeout", c.StopTimeout.String(),
		"metrics_addr", c.MetricsAddr, "log_level", c.LogLevel.String(), "rotating_key", c.SecretKeyPrev != "",
	}
}
