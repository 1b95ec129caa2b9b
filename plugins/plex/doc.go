// Package plex is the Plex plugin: it hands out access to one Plex Media Server
// to people who already have, or make, an account at plex.tv.
//
// Plex has no accounts of its own to create. A user of a media server is a
// share: the owner shares the server with a plex.tv account, which accepts. So
// almost every call goes to plex.tv, with the owner's token, and the media
// server itself is asked for three things only: who it is, which libraries it
// has, and who is watching. The account token of the owner goes to plex.tv
// alone; the media server gets the token that plex.tv made for it.
//
// Plex documents sign-in and the media server, but not sharing, and it removes
// endpoints without notice. Hence the habits of this package:
//
//   - whoever is at the address is asked first, and gets no credential unless it
//     is the server that the admin confirmed;
//   - every write is read back and compared; a share that differs from what was
//     asked is taken back;
//   - a creation whose answer was lost is looked up, never sent twice;
//   - where an older endpoint does the same, it is tried when the newer one is
//     gone, and a removed endpoint is named in the error;
//   - an empty list of libraries means "all, also future ones" to Plex, so one
//     function alone can make it (everyLibrary);
//   - the permissions of a person hold on all servers of an owner and are
//     replaced as a whole, so they are read, merged and written back.
//
// The package refuses to touch the owner, other servers' shares, friendships and
// the membership of a Plex Home. It creates no managed users, changes no account
// and keeps nothing on disk: what must survive is in the states that the host
// keeps sealed.
package plex
