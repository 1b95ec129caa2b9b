package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/identity"
	"github.com/zondarr/zondarr/host/internal/instance"
	"github.com/zondarr/zondarr/host/internal/mediaserver"
	"github.com/zondarr/zondarr/host/internal/redeem"
	"github.com/zondarr/zondarr/host/internal/secret"
)

func (p *program) secretCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "secret", Short: "Change the secret key", Args: noArgs}
	rotate := &cobra.Command{
		Use: "rotate", Short: "Seal every secret under the new key", Args: noArgs,
		Long: "Set the new key as secret_key and the old one as secret_key_previous, then run this. It can be\n" +
			"stopped and begun again. Afterwards the old key can be removed from the configuration.",
	}
	config := p.configured(rotate, true)
	rotate.RunE = func(cmd *cobra.Command, _ []string) error {
		c, _, err := config()
		if err != nil {
			return err
		}
		if c.SecretKeyPrev == "" {
			return usage("ZONDARR_SECRET_KEY_PREVIOUS is not set: it must hold the key from before, and ZONDARR_SECRET_KEY the new one")
		}
		box, err := secret.New(c.SecretKey, c.SecretKeyPrev)
		if err != nil {
			return err
		}
		db, err := database.Open(cmd.Context(), database.Options{URL: c.DatabaseURL})
		if err != nil {
			return err
		}
		done, err := reseal(cmd.Context(), db, box)
		if err := errors.Join(err, db.Close()); err != nil {
			return fmt.Errorf("%d values are sealed under the new key; run it again to go on: %w", done, err)
		}
		fmt.Fprintf(p.stdio.Out, "%d values were sealed again. The previous key opens nothing any more: remove it from the configuration.\n", done)
		return nil
	}
	cmd.AddCommand(rotate)
	return cmd
}

// reseal goes through everything that is sealed, the check value last: it says
// that the rest is done.
func reseal(ctx context.Context, db *database.DB, box *secret.Box) (int, error) {
	if err := instance.CheckKey(ctx, db, box); err != nil {
		return 0, err
	}
	total := 0
	for _, sealed := range []func(context.Context) ([]secret.Value, error){
		(&mediaserver.Service{DB: db}).Sealed, (&identity.Service{DB: db}).Sealed, (&redeem.Service{DB: db}).Sealed,
	} {
		values, err := sealed(ctx)
		if err != nil {
			return total, err
		}
		n, err := box.Rotate(ctx, values)
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, instance.Rotated(ctx, db, box)
}
