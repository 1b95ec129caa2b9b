package database

import (
	"context"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

// Loss is what goes with one migration that is taken back.
type Loss struct {
	Migration
	Goes []string // "table users (3 rows)", "column users.email"
}

// Losses tells what MigrateDown would destroy, in its order. It gives none on SQLite,
// where MigrateDown keeps a copy of the whole database beside it.
func Losses(ctx context.Context, opts Options, steps int) ([]Loss, error) {
	at, err := opts.location()
	if err != nil || at.dialect == SQLite {
		return nil, err
	}
	losses, err := migrating(at, func(m *migrator) ([]Loss, error) { return m.losses(ctx, steps) })
	return losses, explain(err)
}

var (
	downSection = regexp.MustCompile(`(?ms)^-- \+goose Down$(.*)`)
	comment     = regexp.MustCompile(`(?m)^\s*--.*$`)
	droppedItem = regexp.MustCompile(`(?i)\bDROP (TABLE|COLUMN) (?:IF EXISTS )?"?(\w+)"?`)
	alteredItem = regexp.MustCompile(`(?i)^ALTER TABLE (?:ONLY )?"?(\w+)"?`)
)

func (m *migrator) losses(ctx context.Context, steps int) ([]Loss, error) {
	if _, err := m.takenByUs(ctx); err != nil {
		return nil, err
	}
	known, err := m.at.known()
	if err != nil {
		return nil, err
	}
	applied, err := m.applied(ctx)
	if err != nil {
		return nil, Wrap("read", "migrations", err)
	}
	var losses []Loss
	for _, step := range slices.Backward(known) {
		if _, ok := applied[step.Version]; !ok || len(losses) == steps {
			continue
		}
		names, err := fs.Glob(m.at.files, fmt.Sprintf("%s/*%d_%s.sql", m.at.folder(), step.Version, step.Name))
		if err != nil || len(names) != 1 {
			return nil, fmt.Errorf("migration %d: one file expected, found %v: %w", step.Version, names, err)
		}
		text, err := fs.ReadFile(m.at.files, names[0])
		if err != nil {
			return nil, err
		}
		loss := Loss{Migration: step}
		for _, statement := range strings.Split(comment.ReplaceAllString(string(downSection.Find(text)), ""), ";") {
			statement = strings.TrimSpace(statement)
			for _, dropped := range droppedItem.FindAllStringSubmatch(statement, -1) {
				what := "column " + dropped[2]
				if strings.EqualFold(dropped[1], "TABLE") {
					var rows int64
					if err := m.handle.QueryRowContext(ctx, `SELECT count(*) FROM "`+dropped[2]+`"`).Scan(&rows); err != nil {
						return nil, Wrap("count", dropped[2], err)
					}
					what = fmt.Sprintf("table %s (%d rows)", dropped[2], rows)
				} else if altered := alteredItem.FindStringSubmatch(statement); altered != nil {
					what = "column " + altered[1] + "." + dropped[2]
				}
				loss.Goes = append(loss.Goes, what)
			}
		}
		losses = append(losses, loss)
	}
	return losses, nil
}
