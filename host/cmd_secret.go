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
			"stopped and begun again. Afterwards the old key can be removed from the configuration.\n\n" +
			"On SQLite the host must be stopped. On PostgreSQL hosts may go on serving if all of them were\n" +
			"started with both keys; it refuses while another one is connected. Behind a connection pooler\n" +
			"it cannot tell them apart: stop them.",
	}
	keyed := p.keyed(rotate)
	rotate.RunE = func(cmd *cobra.Command, _ []string) error {
		c, box, err := keyed()
		if err != nil {
			return err
		}
		if c.SecretKeyPrev == "" {
			return usage("ZONDARR_SECRET_KEY_PREVIOUS is not set: it must hold the key from before, and ZONDARR_SECRET_KEY the new one")
		}
		db, err := database.Open(cmd.Context(), database.Options{URL: c.DatabaseURL, MustExist: true, Key: box.KeyID()})
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

// maxPasses bounds how often everything is looked through. Whoever changes values
// meanwhile leaves them under the new key, so that a few are plenty.
const maxPasses = 10

// reseal goes through everything that is sealed until it finds nothing that is under
// another key, and changes the check value last: it says that the rest is done.
func reseal(ctx context.Context, db *database.DB, box *secret.Box) (total int, err error) {
	// From here on no host starts that has the old key alone; one that did before would
	// go on sealing under it.
	if err := instance.CheckKey(ctx, db, box); err != nil {
		return 0, err
	}
	for range maxPasses {
		if err := db.Alone(ctx); errors.Is(err, database.ErrInUse) {
			return total, fmt.Errorf("%w, and do not seal under the new key: start them again with both keys "+
				"(secret_key and secret_key_previous), or stop them", err)
		} else if err != nil {
			return total, err
		}
		found, replaced, err := resealOnce(ctx, db, box)
		total += replaced
		if err != nil {
			return total, err
		}
		if found == 0 {
			return total, instance.Rotated(ctx, db, box)
		}
	}
	return total, errors.New("values keep coming back under the old key: stop every host that does not have the new one")
}

// resealOnce goes through everything that is sealed.
func resealOnce(ctx context.Context, db *database.DB, box *secret.Box) (found, replaced int, err error) {
	for _, sealed := range []func(context.Context) ([]secret.Value, error){
		(&mediaserver.Service{DB: db}).Sealed, (&identity.Service{DB: db}).Sealed, (&redeem.Service{DB: db}).Sealed,
	} {
		values, err := sealed(ctx)
		if err != nil {
			return found, replaced, err
		}
		f, r, err := box.Rotate(ctx, values)
		found, replaced = found+f, replaced+r
		if err != nil {
			return found, replaced, err
		}
	}
	return found, replaced, nil
}
