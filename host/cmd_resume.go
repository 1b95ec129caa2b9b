package host

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// resumeCommand lets a paused instance go on. Without --yes it only shows what
// would happen.
func (p *program) resumeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "resume", Short: "Let a restored or cloned instance touch media servers again", Args: noArgs,
		Long: "A restored instance starts paused. Without --yes this shows what unfinished redemptions and\nexpiry would do to accounts; with --yes it lets them.",
	}
	yes := cmd.Flags().Bool("yes", false, "resume")
	remote := p.remote(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := remote()
		if err != nil {
			return err
		}
		if *yes {
			if err := c.call(cmd.Context(), "POST", "/api/v1/resume", nil, nil); err != nil {
				return err
			}
			fmt.Fprintln(p.stdio.Out, "resumed")
			return nil
		}
		var answer struct {
			Paused  bool
			Intents []struct {
				Kind, Would, Username string
				ServerName            string `json:"server_name"`
			}
		}
		if err := c.call(cmd.Context(), "GET", "/api/v1/pause", nil, &answer); err != nil {
			return err
		}
		if !answer.Paused {
			fmt.Fprintln(p.stdio.Out, "not paused")
			return nil
		}
		w := tabwriter.NewWriter(p.stdio.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "BECAUSE OF\tWOULD\tUSERNAME\tSERVER")
		for _, i := range answer.Intents {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", i.Kind, i.Would, i.Username, i.ServerName)
		}
		if err := w.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(p.stdio.Out, "paused: nothing of this happens until `zondarr resume --yes`")
		return nil
	}
	return cmd
}
