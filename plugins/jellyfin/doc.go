// Package jellyfin is the plugin for Jellyfin 10.8 to 12: accounts, their
// libraries, permissions and limits, passwords and sessions.
//
// Jellyfin has no transaction, no entity tag and no look-up by name, so the
// package is built around four habits:
//
//   - An account is made in three requests (create, policy, read back), and is
//     deleted again when one of them fails: between the first and the second it
//     may see everything. Where it is not known whether the account exists, the
//     package looks; it deletes what it finds only if that is provably its own,
//     and says "ambiguous" otherwise.
//   - A policy is replaced as a whole, and what is left out takes a default that
//     may grant more. So it is read, changed and written as the raw JSON object
//     that the server gave, unknown members and all, and read back, since some
//     versions answer yes and lose the write.
//   - Names are kept, folded, from the last full list for a minute. They settle
//     most questions about a taken name without another list; the server's own
//     refusal settles the rest.
//   - Before anything is written, the server has said who it is: anonymously, and
//     before the API key is sent, when it was never met or may have been replaced;
//     otherwise in the reply to a read of users too, each of whom names its server.
//     Nothing is written to another server at the same address, and nothing that it
//     says is believed.
//
// Administrators are never written to. What a version cannot do is said in the
// facts, in words, and checked again before the call. The API key travels in one
// header only, and appears in no error and no log line.
//
// The package refuses to know how it is served (sdkplugin does that), what an
// invitation is, and anything about media.
package jellyfin
