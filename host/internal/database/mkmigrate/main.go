// Command mkmigrate plans the next migration: what the files in migrations/ make is
// compared with ent/schema, and the difference is written as one new file per dialect,
// with its way back.
//
//	go run ./host/internal/database/mkmigrate -name add_something
//
// It writes nothing where nothing changed. The files are to be read before they are
// committed: it knows structure, not data.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"

	"github.com/zondarr/zondarr/host/internal/hosttest"
)

func main() {
	name := flag.String("name", "", "what the migration does, as snake_case words")
	root := flag.String("dir", "migrations", "the folder that holds sqlite/ and postgres/")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *root, *name)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mkmigrate:", err)
		os.Exit(1)
	}
}

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func run(ctx context.Context, root, name string) error {
	if !namePattern.MatchString(name) {
		return errors.New("-name is required, as snake_case words")
	}
	serverURL, stop, err := hosttest.StartPostgres(ctx)
	if err != nil {
		return err
	}
	defer stop()

	// Both files carry one number, so that a version means the same everywhere.
	var next int64
	for _, d := range dialects(serverURL) {
		last, err := lastVersion(filepath.Join(root, d.folder))
		if err != nil {
			return err
		}
		next = max(next, last+1)
	}
	// Both are planned before either is written, or a failure would leave one without the
	// other.
	var files []migrationFile
	for _, d := range dialects(serverURL) {
		folder := filepath.Join(root, d.folder)
		text, err := d.migration(ctx, folder, name)
		if err != nil {
			return fmt.Errorf("%s: %w", d.folder, err)
		}
		if text == "" {
			fmt.Println(d.folder + ": nothing changed")
			continue
		}
		files = append(files, migrationFile{filepath.Join(folder, fmt.Sprintf("%05d_%s.sql", next, name)), text})
	}
	for _, f := range files {
		if err := os.WriteFile(f.path, []byte(f.text), 0o644); err != nil { //nolint:gosec // a source file, for everyone to read
			return err
		}
		fmt.Println("wrote", f.path)
	}
	return nil
}

// migrationFile is a migration that is planned and not written yet.
type migrationFile struct{ path, text string }
