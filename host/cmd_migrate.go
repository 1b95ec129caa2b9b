package host

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/zondarr/zondarr/host/internal/database"
)

func (p *program) migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "migrate", Short: "Change the database's schema by hand", Args: noArgs,
		Long: "serve migrates by itself; these are for looking, and for going back before an older version is installed.",
	}
	steps, yes := 1, false
	up := p.migration("up", "Apply every migration that is missing", func(ctx context.Context, o database.Options) error {
		done, err := database.MigrateUp(ctx, o)
		return p.printMigrations("applied", done, err)
	})
	down := p.migration("down", "Roll back the newest migrations", func(ctx context.Context, o database.Options) error {
		if steps < 1 {
			return usage("--steps must be at least 1")
		}
		if !yes {
			losses, err := database.Losses(ctx, o, steps)
			if err != nil {
				return err
			}
			if len(losses) > 0 {
				return unconfirmed(losses)
			}
		}
		done, err := database.MigrateDown(ctx, o, steps)
		return p.printMigrations("rolled back", done, err)
	})
	down.Long = "Takes back the newest migrations. What only the newer version could hold is lost. On SQLite a copy of\n" +
		"the database is kept beside it first. On PostgreSQL make one by yourself (`zondarr backup` says how):\n" +
		"without --yes it only says what would go, and with it, it is refused while a host is connected."
	down.Flags().IntVar(&steps, "steps", 1, "how many")
	down.Flags().BoolVar(&yes, "yes", false, "on PostgreSQL: destroy what it says would go")
	status := p.migration("status", "Show which migrations are applied", func(ctx context.Context, o database.Options) error {
		all, err := database.MigrationStatus(ctx, o)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(p.stdio.Out, 0, 0, 2, ' ', 0)
		for _, m := range all {
			applied := "pending"
			if m.AppliedAt != nil {
				applied = "applied " + m.AppliedAt.UTC().Format(time.RFC3339)
			}
			fmt.Fprintf(w, "%d\t%s\t%s\n", m.Version, m.Name, applied)
		}
		return w.Flush()
	})
	cmd.AddCommand(up, down, status)
	return cmd
}

// unconfirmed says what would be destroyed, and how to go on.
func unconfirmed(losses []database.Loss) error {
	var b strings.Builder
	for _, l := range losses {
		goes := "nothing that is stored"
		if len(l.Goes) > 0 {
			goes = strings.Join(l.Goes, ", ")
		}
		fmt.Fprintf(&b, "%d %s: %s\n", l.Version, l.Name, goes)
	}
	return fmt.Errorf("nothing was changed. This would destroy:\n%sNo copy of a PostgreSQL database is kept: make one first (`zondarr backup` says how), then run this again with --yes", b.String())
}

func (p *program) migration(use, short string, run func(context.Context, database.Options) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: noArgs}
	config := p.configured(cmd, false)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, _, err := config()
		if err != nil {
			return err
		}
		if err := makeDataDir(c); err != nil {
			return err
		}
		return run(cmd.Context(), database.Options{URL: c.DatabaseURL})
	}
	return cmd
}

// printMigrations says what was done, also when something failed after it.
func (p *program) printMigrations(verb string, done []database.Migration, err error) error {
	for _, m := range done {
		fmt.Fprintf(p.stdio.Out, "%s %d %s\n", verb, m.Version, m.Name)
	}
	if len(done) == 0 && err == nil {
		fmt.Fprintln(p.stdio.Out, "nothing to do")
	}
	return err
}
