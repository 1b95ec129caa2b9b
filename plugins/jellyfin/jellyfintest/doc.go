// Package jellyfintest is a Jellyfin server in memory, for tests, end-to-end
// scripts and demonstrations.
//
// It answers the part of Jellyfin's HTTP API that has to do with accounts:
// system information, libraries, users, policies, passwords, sign-in, tokens,
// devices and sessions. Status, body and content type of every answer are those
// of the real server of the chosen version, oddities included: the three shapes
// of an error, the members that are left out when null, the permission that can
// be written but never read back. A client that works against it should find no
// surprise in the field.
//
// Versions with a tested profile are 10.8.13, 10.10.7, 10.11.6, 10.11.11 and
// 12.0.0; the behaviour follows from comparing version numbers, so one that lies
// between them gets what is known of it.
//
// Faults (see Fault) make the server fail in the ways that real ones do: a
// locked database, a start that takes long, a proxy that answers instead, a
// connection that is cut before or after the change was stored.
//
// It refuses to know anything about the client under test. It holds no media,
// plays nothing, and stores nothing on disk. Passwords in it are worth nothing:
// they are hashed cheaply, so that a hundred thousand accounts fit in a test.
package jellyfintest
