// Package hosttest gives the host's tests real databases: NewDB and EachDB open a
// migrated SQLite file or PostgreSQL database that belongs to one test alone, and
// disappears with it. There are no mocks of storage; what works here works in
// production, on both.
//
// PostgreSQL is the server that ZONDARR_TEST_POSTGRES_URL names (its user may create
// databases), else a private one: started from the machine's own binaries once in each
// test process, in a directory of its own, reached through a Unix socket, so that any
// number of test processes run side by side. Pooled leads to a database of it through
// a private PgBouncer, in the same way. Where there is none the tests fail and say what
// to install; they do not skip.
//
// It is for tests and for the generator of the migrations, and knows nothing of what
// is stored.
package hosttest
