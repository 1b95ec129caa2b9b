package host

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/zondarr/zondarr/host/internal/auth"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/page"
)

func (p *program) apiKeyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "api-key", Short: "Make, list and revoke the keys of the management API", Args: noArgs,
		Long: "These open the database themselves, beside a running host, so whoever can read the data\n" +
			"directory can make the first key. create makes the database where there is none, and says so.",
	}
	var name string
	create := p.keyCommand("create", "Make a key and print it, once", p.openOrMake, func(ctx context.Context, keys *auth.Service, _ []string) error {
		if name == "" {
			return usage("--name is required: it tells this key from others")
		}
		_, text, err := keys.Create(ctx, name, "system")
		if err != nil {
			return err
		}
		fmt.Fprintln(p.stdio.Out, text)
		return nil
	})
	create.Flags().StringVar(&name, "name", "", "what the key is for")
	list := p.keyCommand("list", "List the keys", database.Open, p.listKeys)
	revoke := p.keyCommand("revoke", "Revoke a key by its id", database.Open, func(ctx context.Context, keys *auth.Service, args []string) error {
		id, err := uuid.Parse(args[0])
		if err != nil {
			return usage("%q is no id of a key: see api-key list", args[0])
		}
		return keys.Revoke(ctx, id)
	})
	revoke.Use, revoke.Args = "revoke ID", func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usage("revoke takes the id of one key")
		}
		return nil
	}
	cmd.AddCommand(create, list, revoke)
	return cmd
}

func (p *program) listKeys(ctx context.Context, keys *auth.Service, _ []string) error {
	w := tabwriter.NewWriter(p.stdio.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tPREFIX\tCREATED\tLAST USED\tREVOKED")
	when := func(t *time.Time) string {
		if t == nil {
			return "-"
		}
		return t.UTC().Format(time.RFC3339)
	}
	for cursor := ""; ; {
		keys, err := keys.List(ctx, page.Request{Cursor: cursor, Limit: page.MaxLimit})
		if err != nil {
			return err
		}
		for _, k := range keys.Items {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, k.Prefix, when(&k.CreatedAt), when(k.LastUsedAt), when(k.RevokedAt))
		}
		if cursor = keys.NextCursor; cursor == "" {
			return w.Flush()
		}
	}
}

type opener func(context.Context, database.Options) (*database.DB, error)

func (p *program) keyCommand(use, short string, open opener, run func(context.Context, *auth.Service, []string) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: noArgs}
	config := p.configured(cmd, false)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, _, err := config()
		if err != nil {
			return err
		}
		db, err := open(cmd.Context(), database.Options{URL: c.DatabaseURL, Beside: true, MustExist: true})
		if err != nil {
			return err
		}
		err = run(cmd.Context(), &auth.Service{DB: db, Now: database.Now}, args)
		return errors.Join(err, db.Close())
	}
	return cmd
}

// openOrMake makes the database for the first key where there is none, so that an
// installation can be set up before it first serves. It says so: whoever meant another
// database gets a key that no host knows.
func (p *program) openOrMake(ctx context.Context, o database.Options) (*database.DB, error) {
	db, err := database.Open(ctx, o)
	var missing *database.MissingError
	if !errors.As(err, &missing) {
		return db, err
	}
	o.MustExist = false
	if db, err = database.Open(ctx, o); err == nil {
		fmt.Fprintf(p.stdio.Err, "There was no database at %s: made a new one, which the key is for.\n", missing.At)
	}
	return db, err
}
