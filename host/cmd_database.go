package host

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/zondarr/zondarr/host/internal/database"
)

func (p *program) databaseCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "database", Short: "Move an instance between databases", Args: noArgs}
	move := &cobra.Command{
		Use: "copy --to URL", Short: "Move an instance to another, empty database", Args: noArgs,
		Long: "Copies every row to an empty database of either kind in one transaction, compares counts and\n" +
			"checksums, and marks the source as moved. No host may run on either.",
	}
	to := move.Flags().String("to", "", "URL of the target: sqlite://PATH or postgres://…")
	config := p.configured(move, false)
	move.RunE = func(cmd *cobra.Command, _ []string) error {
		if *to == "" {
			return usage("--to is required: the URL of the target")
		}
		if err := database.CheckURL(*to); err != nil {
			return usage("--to: %v", err)
		}
		c, _, err := config()
		if err != nil {
			return err
		}
		copied, err := database.Copy(cmd.Context(), database.Options{URL: c.DatabaseURL}, database.Options{URL: *to})
		if err != nil {
			return err
		}
		for _, t := range copied {
			fmt.Fprintf(p.stdio.Out, "%-24s %8d rows, checksum %x\n", t.Table, t.Sum.Rows, t.Sum.Checksum[:8])
		}
		fmt.Fprintln(p.stdio.Out, "Moved. Set the database URL to the new one; the old database refuses to be served.")
		return nil
	}
	cmd.AddCommand(move)
	return cmd
}
