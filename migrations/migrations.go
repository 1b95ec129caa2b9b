// Package migrations holds the numbered SQL files that make and change the database,
// one folder per dialect, embedded into the program. The files are append-only: one
// that was released is never edited, since it has run on someone's data.
//
// They are planned from ent/schema, both dialects at once and with their way back, by
//
//	go run ./host/internal/database/mkmigrate -name add_something
//
// and then read by a person. Package database applies them; this one only carries them.
package migrations

import "embed"

// Files holds sqlite/*.sql and postgres/*.sql, in the format of goose.
//
//go:embed sqlite/*.sql postgres/*.sql
var Files embed.FS
