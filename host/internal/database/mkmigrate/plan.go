package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/postgres"
	atlas "ariga.io/atlas/sql/schema"
	"ariga.io/atlas/sql/sqlite"
	"ariga.io/atlas/sql/sqltool"
	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/schema"
	"github.com/pressly/goose/v3"

	entmigrate "github.com/zondarr/zondarr/ent/db/migrate"
)

// indent makes files that a person can review.
const indent = "  "

// target is one dialect that migrations are planned for.
type target struct {
	folder string
	name   string // as ent calls it
	goose  goose.Dialect
	// scratch opens an empty database that goes away when it is closed.
	scratch func(context.Context) (*sql.DB, error)
	atlas   func(atlas.ExecQuerier) (migrate.Driver, error)
}

func dialects(serverURL string) []target {
	return []target{
		{"sqlite", dialect.SQLite, goose.DialectSQLite3, scratchSQLite, sqlite.Open},
		{"postgres", dialect.Postgres, goose.DialectPostgres, scratchPostgres(serverURL), postgres.Open},
	}
}

// migration is the text of the migration that leads from the files in folder to the
// schema of ent and back, or "" where they are the same.
func (d target) migration(ctx context.Context, folder, name string) (string, error) {
	up, err := d.plan(ctx, folder, name)
	if errors.Is(err, migrate.ErrNoPlan) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	// The planner's own way back of a table rebuild is wrong on SQLite (it drops a table
	// that is gone by then), so the way back is planned like the way there: as the
	// difference between the two states, in reverse.
	work, err := os.MkdirTemp("", "mkmigrate-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(work) }()
	if err := os.CopyFS(work, os.DirFS(folder)); err != nil {
		return "", err
	}
	before, err := d.state(ctx, work)
	if err != nil {
		return "", fmt.Errorf("before: %w", err)
	}
	next := filepath.Join(work, "99999_next.sql")
	if err := os.WriteFile(next, []byte(format(up, nil)), 0o600); err != nil {
		return "", err
	}
	after, err := d.state(ctx, work)
	if err != nil {
		return "", fmt.Errorf("after: %w", err)
	}
	down, err := d.between(ctx, after, before, name)
	if err != nil {
		return "", fmt.Errorf("way back: %w", err)
	}
	return format(up, down), nil
}

// plan replays the files in folder on a scratch database and plans what is missing to
// the schema of ent; ErrNoPlan says that nothing is. This is also the drift test.
func (d target) plan(ctx context.Context, folder, name string) (*migrate.Plan, error) {
	work, err := os.MkdirTemp("", "mkmigrate-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(work) }()
	if err := os.CopyFS(work, os.DirFS(folder)); err != nil {
		return nil, err
	}
	dir, err := sqltool.NewGooseDir(work)
	if err != nil {
		return nil, err
	}
	sum, err := dir.Checksum()
	if err != nil {
		return nil, err
	}
	if err := migrate.WriteSumFile(dir, sum); err != nil {
		return nil, err
	}
	var planned recorder
	err = d.onScratch(ctx, func(scratch *sql.DB) error {
		return entmigrate.NewSchema(entsql.OpenDB(d.name, scratch)).NamedDiff(ctx, name,
			schema.WithDir(dir),
			schema.WithFormatter(&planned),
			schema.WithMigrationMode(schema.ModeReplay),
			schema.WithDropColumn(true),
			schema.WithDropIndex(true),
			schema.WithErrNoPlan(true),
			schema.WithIndent(indent),
		)
	})
	return planned.plan, err
}

// recorder is a formatter that writes no file: the plan itself is what we are after.
type recorder struct{ plan *migrate.Plan }

func (r *recorder) Format(p *migrate.Plan) ([]migrate.File, error) {
	r.plan = p
	return nil, nil
}

// state is the schema that the files in folder make.
func (d target) state(ctx context.Context, folder string) (made *atlas.Schema, err error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.sql"))
	if err != nil {
		return nil, err
	}
	err = d.onScratch(ctx, func(scratch *sql.DB) error {
		if len(files) > 0 {
			p, err := goose.NewProvider(d.goose, scratch, os.DirFS(folder), goose.WithDisableGlobalRegistry(true))
			if err != nil {
				return err
			}
			if _, err := p.Up(ctx); err != nil {
				return err
			}
		}
		drv, err := d.atlas(scratch)
		if err != nil {
			return err
		}
		made, err = drv.InspectSchema(ctx, "", &atlas.InspectOptions{Exclude: []string{goose.DefaultTablename}})
		return err
	})
	return made, err
}

// between plans the way from one schema to another.
func (d target) between(ctx context.Context, from, to *atlas.Schema, name string) (p *migrate.Plan, err error) {
	err = d.onScratch(ctx, func(scratch *sql.DB) error {
		drv, err := d.atlas(scratch)
		if err != nil {
			return err
		}
		changes, err := drv.SchemaDiff(from, to)
		if err != nil {
			return err
		}
		// Unqualified names: the schema is what the connection says.
		unqualified := ""
		p, err = drv.PlanChanges(ctx, name, changes, func(o *migrate.PlanOptions) {
			o.SchemaQualifier, o.Indent = &unqualified, indent
		})
		return err
	})
	return p, err
}

// onScratch gives an empty database to fn, and removes it.
func (d target) onScratch(ctx context.Context, fn func(*sql.DB) error) error {
	scratch, err := d.scratch(ctx)
	if err != nil {
		return err
	}
	err = fn(scratch)
	if closeErr := scratch.Close(); closeErr != nil && err == nil {
		return closeErr
	}
	return err
}

// format is the plans as one file of goose.
func format(up, down *migrate.Plan) string {
	var b strings.Builder
	b.WriteString("-- +goose Up\n")
	writeStatements(&b, up)
	b.WriteString("\n-- +goose Down\n")
	if down != nil {
		writeStatements(&b, down)
	}
	return b.String()
}

func writeStatements(b *strings.Builder, p *migrate.Plan) {
	for _, c := range p.Changes {
		// Within the transaction of a migration this switch does nothing; package
		// database migrates on a handle that has foreign keys off from the start.
		if strings.HasPrefix(c.Cmd, "PRAGMA foreign_keys") {
			continue
		}
		if c.Comment != "" {
			fmt.Fprintf(b, "-- %s\n", c.Comment)
		}
		fmt.Fprintf(b, "%s;\n", c.Cmd)
	}
}

func lastVersion(folder string) (int64, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.sql"))
	if err != nil {
		return 0, err
	}
	var last int64
	for _, f := range files {
		number, _, _ := strings.Cut(filepath.Base(f), "_")
		v, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: a migration begins with its number", f)
		}
		last = max(last, v)
	}
	return last, nil
}
