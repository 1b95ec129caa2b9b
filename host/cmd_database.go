package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/zondarr/zondarr/host/internal/database"
)

func (p *program) databaseCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "database", Short: "Move an instance between databases", Args: noArgs}
	move := &cobra.Command{
		Use: "copy --to URL | --undo [--yes]", Short: "Move an instance to another, empty database", Args: noArgs,
		Long: "Copies every row to an empty database of either kind in one transaction, and compares counts and\n" +
			"checksums. No host may run on either; from the beginning on the source refuses to be served. If it\n" +
			"fails the source is as it was; if it is killed, the same command again goes on.\n\n" +
			"--undo makes the source of a move serve again. Without --yes it only says what was moved where.",
	}
	to := move.Flags().String("to", "", "URL of the target: sqlite://PATH or postgres://…")
	undo := move.Flags().Bool("undo", false, "make a database that was moved, or whose move was not finished, serve again")
	yes := move.Flags().Bool("yes", false, "undo")
	config := p.configured(move, false)
	move.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case *undo == (*to != ""):
			return usage("--to is required: the URL of the target; or --undo, for the source of a move")
		case *yes && !*undo:
			return usage("--yes belongs to --undo")
		case !*undo:
			if err := database.CheckURL(*to); err != nil {
				return usage("--to: %v", err)
			}
		}
		c, _, err := config()
		if err != nil {
			return err
		}
		source := database.Options{URL: c.DatabaseURL, MustExist: true}
		switch {
		case !*undo:
			return p.moveTo(cmd.Context(), source, database.Options{URL: *to})
		case *yes:
			return p.undoMove(cmd.Context(), source)
		}
		return p.showMove(cmd.Context(), source)
	}
	cmd.AddCommand(move)
	return cmd
}

func (p *program) moveTo(ctx context.Context, from, to database.Options) error {
	copied, err := database.Copy(ctx, from, to)
	if err != nil {
		return err
	}
	for _, t := range copied {
		fmt.Fprintf(p.stdio.Out, "%-24s %8d rows, checksum %x\n", t.Table, t.Sum.Rows, t.Sum.Checksum[:8])
	}
	if len(copied) == 0 {
		fmt.Fprintln(p.stdio.Out, "The copy was complete already.")
	}
	fmt.Fprintln(p.stdio.Out, "Moved. Set the database URL to the new one; the old database refuses to be served.")
	return nil
}

func (p *program) undoMove(ctx context.Context, source database.Options) error {
	to, err := database.TakeBack(ctx, source)
	if err != nil {
		return err
	}
	if to == "" {
		fmt.Fprintln(p.stdio.Out, "nothing to do: it was not moved")
		return nil
	}
	fmt.Fprintf(p.stdio.Out, "Taken back: this database is served again. Never serve %s beside it; what was changed there is not here.\n", to)
	return nil
}

func (p *program) showMove(ctx context.Context, source database.Options) error {
	db, err := database.Open(ctx, source)
	if err == nil {
		fmt.Fprintln(p.stdio.Out, "nothing to do: it was not moved")
		return db.Close()
	}
	var moved *database.MovedError
	if !errors.As(err, &moved) {
		return err
	}
	state := "was moved to"
	if moved.Unfinished {
		state = "was on its way, by a move that did not come to its end, to"
	}
	fmt.Fprintf(p.stdio.Out, "This instance %s %s. What was changed there since is not here, and two hosts on two copies\n"+
		"undo each other's work: stop the other for good, then `zondarr database copy --undo --yes`.\n", state, moved.To)
	return nil
}
