package host

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/instance"
)

// oneArg refuses anything but one argument.
func oneArg(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usage("want %s, and nothing else", what)
		}
		return nil
	}
}

func (p *program) backupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "backup FILE", Short: "Write a consistent copy of the database, while the host serves", Args: oneArg("the file to write"),
		Long: "Writes a copy of a SQLite database to a file that must not exist. The database is not migrated, so\n" +
			"that a newer Zondarr can make the backup before it is started, and the older one can restore it.\n" +
			"The secret key is not in it: keep a copy of the key as well, elsewhere. For PostgreSQL it says which\n" +
			"pg_dump line to use.",
	}
	keyed := p.keyed(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, box, err := keyed()
		if err != nil {
			return err
		}
		keys := func(ctx context.Context, get database.Getter) (string, error) {
			return instance.KeyNames(ctx, get, box)
		}
		if err := database.Backup(cmd.Context(), database.Options{URL: c.DatabaseURL}, args[0], keys); err != nil {
			return err
		}
		fmt.Fprintf(p.stdio.Out, "Wrote %s. To restore it the secret key is needed too, which is not in it: keep a copy of the key elsewhere.\n", args[0])
		return nil
	}
	return cmd
}

func (p *program) restoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Put a backup in the place of the database", Args: oneArg("the file of a backup"),
		Long: "Puts a backup in the place of a SQLite database, which is kept beside it; or a database that was\n" +
			"kept there before (.replaced-…, and .v…-….bak from before a migration). It is refused while a host\n" +
			"runs, and when no configured key opens what is sealed in the file. The restored instance starts\n" +
			"paused: see `zondarr resume`. For PostgreSQL it says which pg_restore line to use.",
	}
	keyed := p.keyed(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, box, err := keyed()
		if err != nil {
			return err
		}
		if err := makeDataDir(c); err != nil {
			return err
		}
		fits := func(ctx context.Context, get database.Getter) error { return instance.Fits(ctx, get, box) }
		done, err := database.Restore(cmd.Context(), database.Options{URL: c.DatabaseURL}, args[0], fits)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdio.Out, "Restored %s.\n", args[0])
		if done.Replaced != "" {
			fmt.Fprintf(p.stdio.Out, "The database that was there is kept as %s.\n", done.Replaced)
		}
		fmt.Fprintln(p.stdio.Out, "The instance is paused: start it, look at `zondarr resume`, then `zondarr resume --yes`.")
		return nil
	}
	return cmd
}
