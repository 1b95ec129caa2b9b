package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/instance"
	"github.com/zondarr/zondarr/host/internal/secret"
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
		Long: "Writes a copy of a SQLite database to a file that must not exist. The secret key is not in it:\n" +
			"keep a copy of the key as well, elsewhere. For PostgreSQL it says which pg_dump line to use.",
	}
	keyed := p.keyed(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, box, err := keyed()
		if err != nil {
			return err
		}
		db, err := database.Open(cmd.Context(), database.Options{URL: c.DatabaseURL, Beside: true})
		if err != nil {
			return err
		}
		if err := errors.Join(backup(cmd.Context(), db, box, args[0]), db.Close()); err != nil {
			return err
		}
		fmt.Fprintf(p.stdio.Out, "Wrote %s. To restore it the secret key is needed too, which is not in it: keep a copy of the key elsewhere.\n", args[0])
		return nil
	}
	return cmd
}

// backup refuses a key that opens nothing of the database: the backup would bear its
// name, and be refused with the right one.
func backup(ctx context.Context, db *database.DB, box *secret.Box, file string) error {
	keys, err := instance.KeyNames(ctx, db, box)
	if err != nil {
		return err
	}
	return db.Backup(ctx, file, []byte(keys))
}

func (p *program) restoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Put a backup in the place of the database", Args: oneArg("the file of a backup"),
		Long: "Puts a backup in the place of a SQLite database, which is kept beside it. It is refused while a\n" +
			"host runs, and when no configured key opens what is sealed in the backup. The restored instance\n" +
			"starts paused: see `zondarr resume`. For PostgreSQL it says which pg_restore line to use.",
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
		fits := func(fingerprint []byte) bool { return box.Fits(string(fingerprint)) }
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
