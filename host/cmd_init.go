package host

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
)

func (p *program) initCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "init", Short: "Make the data directory and its secret key", Args: noArgs,
		Long: "Makes the data directory and, if it holds none, a secret key in it. The key seals the\n" +
			"credentials of media servers: without it they cannot be read again, so keep a copy.",
	}
	config := p.configured(cmd, false)
	cmd.RunE = func(*cobra.Command, []string) error {
		c, _, err := config()
		if err != nil {
			return err
		}
		made, err := makeKey(c.DataDir)
		if err != nil {
			return err
		}
		if made {
			fmt.Fprintf(p.stdio.Out, "Made a secret key: %s. Keep a copy of it away from the database.\n", SecretKeyFile(c.DataDir))
		} else {
			fmt.Fprintf(p.stdio.Out, "The secret key is there: %s.\n", SecretKeyFile(c.DataDir))
		}
		return nil
	}
	return cmd
}

// makeKey makes the secret key if there is none. It never touches one that is
// there.
func makeKey(dataDir string) (bool, error) {
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return false, fmt.Errorf("make the data directory: %w", err)
	}
	file := SecretKeyFile(dataDir)
	if _, err := os.Stat(file); err == nil {
		return false, nil // the configuration has judged it
	}
	var random [48]byte
	if _, err := rand.Read(random[:]); err != nil {
		return false, fmt.Errorf("random bytes for the secret key: %w", err)
	}
	// Written whole beside its place and then linked there: a disk that is full
	// leaves no half a key, and of two that do this at once one makes the key.
	f, err := os.CreateTemp(dataDir, "secret.key.*")
	if err != nil {
		return false, fmt.Errorf("make the secret key: %w", err)
	}
	_, err = f.WriteString(base64.RawURLEncoding.EncodeToString(random[:]) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Link(f.Name(), file)
	}
	made := err == nil
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	if err := errors.Join(err, os.Remove(f.Name())); err != nil {
		return false, fmt.Errorf("write the secret key: %w", err)
	}
	return made, nil
}
