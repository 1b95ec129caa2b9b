package host

import (
	"context"
	"fmt"
	"net/url"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// pluginRow is what the commands show of a plugin.
type pluginRow struct {
	Name       string  `json:"name"`
	Version    string  `json:"version"`
	ServerType *string `json:"server_type"`
	Origin     string  `json:"origin"`
	SHA256     string  `json:"sha256"`
	State      string  `json:"state"`
	Message    *string `json:"message"`
	Pending    *struct {
		SHA256  string `json:"sha256"`
		Misfits []struct {
			ServerID string   `json:"server_id"`
			Problems []string `json:"problems"`
		} `json:"misfits"`
	} `json:"pending"`
}

func (p *program) pluginCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "plugin", Short: "Look at, approve and write plugins", Args: noArgs}
	list := &cobra.Command{Use: "list", Short: "List the plugins of a running host", Args: noArgs}
	remote := p.remote(list)
	list.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := remote()
		if err != nil {
			return err
		}
		var answer struct{ Items []pluginRow }
		if err := c.call(cmd.Context(), "GET", "/api/v1/plugins", nil, &answer); err != nil {
			return err
		}
		return p.printPlugins(answer.Items)
	}
	cmd.AddCommand(p.newCommand(), p.inspectCommand(), p.testCommand(), list, p.approveCommand(),
		p.pluginAction("disable", "Stop a plugin, and keep it from running until it is approved again"),
		p.pluginAction("restart", "Restart a plugin now, and forget its backoff"))
	return cmd
}

func (p *program) printPlugins(rows []pluginRow) error {
	w := tabwriter.NewWriter(p.stdio.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tVERSION\tSERVER TYPE\tORIGIN\tSTATE\tSHA256\tMESSAGE")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, dash(r.Version), dash(value(r.ServerType)), r.Origin, r.State, r.SHA256, dash(value(r.Message)))
		if r.Pending == nil {
			continue
		}
		fmt.Fprintf(w, "\t\t\t\tpending\t%s\tapprove it with: zondarr plugin approve %s --sha256 %s\n", r.Pending.SHA256, r.Name, r.Pending.SHA256)
		for _, m := range r.Pending.Misfits {
			for _, problem := range m.Problems {
				fmt.Fprintf(w, "\t\t\t\t\t\twould hurt server %s: %s\n", m.ServerID, problem)
			}
		}
	}
	return w.Flush()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// approveCommand wants the hash that was looked at, so that a file which was
// changed in between is not approved by mistake.
func (p *program) approveCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "approve NAME", Short: "Let a plugin run, by the hash that you looked at", Args: oneName}
	sha := cmd.Flags().String("sha256", "", "the hash, as plugin list shows it")
	remote := p.remote(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *sha == "" {
			return usage("--sha256 is required: look at the hash with `zondarr plugin list`, and approve that one")
		}
		c, err := remote()
		if err != nil {
			return err
		}
		return p.act(cmd.Context(), c, args[0], "approve", map[string]string{"sha256": *sha})
	}
	return cmd
}

func (p *program) pluginAction(verb, short string) *cobra.Command {
	cmd := &cobra.Command{Use: verb + " NAME", Short: short, Args: oneName}
	remote := p.remote(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := remote()
		if err != nil {
			return err
		}
		return p.act(cmd.Context(), c, args[0], verb, nil)
	}
	return cmd
}

func (p *program) act(ctx context.Context, c *client, name, verb string, in any) error {
	var row pluginRow
	if err := c.call(ctx, "POST", "/api/v1/plugins/"+url.PathEscape(name)+"/"+verb, in, &row); err != nil {
		return err
	}
	return p.printPlugins([]pluginRow{row})
}

func oneName(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage("want the name of one plugin, as `zondarr plugin list` shows it")
	}
	return nil
}
