// Package schema is the one description of everything that Zondarr stores: one file per
// entity, from which ent generates the client in ent/db and from which the migrations
// of both dialects are planned (host/internal/database/mkmigrate).
//
// It knows only ent. What it says must hold on SQLite and on PostgreSQL alike, so
// constraints are written in the SQL that both understand, and enumerations become
// CHECK constraints (see checks). What no portable constraint can say — that a grant
// has library rows exactly where its access is "only", and only of its own server — is
// kept by the noun that writes the rows.
//
// Conventions: ids are UUIDs of version 7; times are UTC with microseconds; a field
// that the media servers' world may extend (server type, library type, kind of user,
// error codes) is text without a check, a state machine of our own is an enumeration.
// What is sealed by the host is bytes here, and Sensitive, so that it never appears in
// a printed row.
package schema
