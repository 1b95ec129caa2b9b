package database

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// ReferencesError says that rows of a SQLite database refer to rows that are not there.
// It is refused until they do not: serving it would make more of them.
type ReferencesError struct {
	Broken map[string]int // by "table to table", how many
	Copies string         // the names of the copies that were made before migrating
}

func (e *ReferencesError) Error() string {
	var broken []string
	for _, which := range slices.Sorted(maps.Keys(e.Broken)) {
		broken = append(broken, fmt.Sprintf("%s: %d", which, e.Broken[which]))
	}
	return "references of the database are broken (" + strings.Join(broken, ", ") + "), so it is not used. " +
		"Either go back to the newest of the copies that were made before migrating, " + e.Copies + ": run the Zondarr from before and its `zondarr restore COPY`. " +
		"Or mend the rows that `PRAGMA foreign_key_check` names"
}

// unsettledMark is the user_version of a SQLite file that was migrated and whose
// references were not checked since, or found broken. It is in the file's header: no
// table that a migration could drop, and it goes along into every copy.
const unsettledMark = 1

// prepare keeps a copy of a SQLite file that has data beside it, and marks the file as
// unsettled before it is migrated: the migrations are committed one by one, and checked
// only after the last.
func (m *migrator) prepare(ctx context.Context, have int64) error {
	if m.at.dialect != SQLite || have == 0 {
		return nil
	}
	if err := m.checkReferences(ctx); err != nil { // what is broken already is not made worse
		return err
	}
	name := fmt.Sprintf("%s.v%d-%s.bak", m.at.path, have, time.Now().UTC().Format("20060102T150405.000000"))
	if err := snapshotSQLite(ctx, m.handle, name, nil); err != nil {
		return Wrap("copy", "database before migrating", err)
	}
	m.at.logger.InfoContext(ctx, "database copied before migrating", "file", name)
	return m.mark(ctx, unsettledMark)
}

// settle makes up for the foreign keys that are off while SQLite migrates. Who was killed
// or refused before it succeeded leaves it to the next who opens the file.
func (m *migrator) settle(ctx context.Context) error {
	if unsettled, err := m.unsettled(ctx); err != nil || !unsettled {
		return err
	}
	if err := m.checkReferences(ctx); err != nil {
		return err
	}
	return m.mark(ctx, 0)
}

func (m *migrator) unsettled(ctx context.Context) (bool, error) {
	if m.at.dialect != SQLite {
		return false, nil
	}
	var mark int
	err := m.handle.QueryRowContext(ctx, "PRAGMA user_version").Scan(&mark)
	return mark == unsettledMark, Wrap("read", "migrations", err)
}

func (m *migrator) mark(ctx context.Context, mark int) error {
	_, err := m.handle.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", mark))
	return Wrap("mark", "database", err)
}

func (m *migrator) checkReferences(ctx context.Context) error {
	rows, err := m.handle.QueryContext(ctx, "PRAGMA foreign_key_check")
	if err != nil {
		return Wrap("check", "references", err)
	}
	defer rows.Close()
	broken := map[string]int{}
	for rows.Next() {
		var table, parent string
		var row, key sql.NullInt64
		if err := rows.Scan(&table, &row, &parent, &key); err != nil {
			return Wrap("check", "references", err)
		}
		broken[table+" to "+parent]++
	}
	if err := rows.Err(); err != nil {
		return Wrap("check", "references", err)
	}
	if len(broken) > 0 {
		return &ReferencesError{Broken: broken, Copies: m.at.path + ".v…-….bak"}
	}
	return nil
}
