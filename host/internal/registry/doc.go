// Package registry is the host's table of server types: which plugin serves a
// type, what the type can do, and the way to a media client for one server.
//
// There is one Registry per host, passed to whoever needs it (R4.5). A plugin's
// keeper registers an Offer and gets a Seat; through the Seat it says which
// running Session answers now, that none does, or that the type is free again.
// Everybody else only reads: Types, Type, Describe, and Client.
//
// A client from the registry is the host's view of a media server. It holds no
// process: each call looks up who serves the type at that moment, waits a little
// for a plugin that is coming back, keeps to the limits that the plugin declared
// for one server, puts a deadline on the verb, and repeats after a crash only
// what may be repeated. Its failures are *sdk.Error, with the operation and the
// server's URL (P4), and free of the secrets that the call carried:
//
//   - reason unavailable, source host: nobody serves the type now, the queue for
//     this server did not move, or the caller gave up while the call waited. The
//     call was never sent, or the process died under one that may be repeated.
//   - reason ambiguous, source host: the process died under a call that must not
//     be repeated. It may or may not have happened.
//   - reason timeout, source host: the verb's deadline passed after it was sent.
//
// The registry knows no noun, no database and no process. It cannot tell a
// plugin in its own process (RegisterLocal) from one in another.
package registry
