// Package database opens the database and keeps its promises: SQLite and PostgreSQL
// behave the same to everyone above.
//
// Open gives a *DB whose Ent is the client that the nouns query with. It migrates first
// (package migrations, on a handle of its own), refuses a database that a newer Zondarr
// has migrated and one whose references a migration has broken, and on SQLite holds a
// file lock for as long as the DB lives, so that one file has one host.
//
//   - WithTx is the only way into a transaction; it belongs to the outermost exported
//     method of a noun or use-case. Inside it the pools refuse to work: what does not
//     go through the tx would read another snapshot, or wait for itself.
//   - Wrap makes an *Error of what went wrong: operation, entity, and the original
//     within. ErrNotFound, ErrConflict, ErrReference, ErrInvalid and ErrUnavailable
//     say what kind it is, on both databases alike.
//   - Now is the clock in the precision that both databases keep. Times are stored in
//     UTC with microseconds, whatever comes in.
//   - Lease is the right to do what only one host may do, for a while, in the time of
//     the database (Time).
//   - Set, Get and Unset keep what the instance knows of itself.
//   - Backup, Restore and Copy move a whole instance; a database that was moved is
//     refused from the moment that its copy is begun, until TakeBack.
//   - Behind a transaction pooler (statement_cache=off) nothing is asked outside a
//     transaction, and no lock, setting or prepared statement outlives one.
//   - Alone finds other processes of Zondarr on PostgreSQL, where no file lock does.
//
// It knows the tables by ent's description alone, and nothing of what the rows mean:
// no secrets are opened here, no rule of an invitation is known.
package database
