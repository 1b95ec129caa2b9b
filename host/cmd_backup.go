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
