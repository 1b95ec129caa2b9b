// Package plextest is a Plex that runs on this machine: the plex.tv cloud and
// any number of Plex Media Servers, with accounts, sign-in pins, shares,
// invitations, homes and devices that stay consistent with each other.
//
// It exists so that the Plex plugin, the end-to-end scripts and the demo can
// be run against something that keeps Plex's rules, and that can be told to
// break them the way Plex does. A [Fake] has three listeners on loopback:
//
//   - the cloud answers for plex.tv, clients.plex.tv and app.plex.tv/auth;
//   - each media server ([Server]) answers for one PMS;
//   - the control API (/_fake/…, only when [Config.Control] is set) lets
//     another process seed it, approve a pin, inspect shares and set faults.
//
// Three kinds of knobs decide how it behaves. Entities are seeded with Add…
// methods. [Switches] choose between behaviours of Plex that are known to
// vary, or that nobody has proven: each open question is a switch, and its
// default is the reading that makes a careless client fail. A [Fault] breaks
// single requests: gone, rate limited, dropped after the commit, hanging.
//
// Plex's own troubles by the names that people give them, and what to use:
//
//	an endpoint is gone          FaultGone; for the known candidates V2CreateGone,
//	                             V1RequestedGone and V1RequestsGone (v1 invites),
//	                             V2ShareDelete, V2FriendDelete
//	rate limit                   FaultRateLimit, with or without RetryAfter
//	plex.tv is down, times out   FaultDown, FaultDropRequest, FaultHang
//	committed, answer lost       FaultDropResponse, FaultHangResponse, FaultTruncate
//	an edge answers in HTML      FaultHTML
//	short list of libraries      PartialSections; Section.Hidden for a new library
//	removed people linger        UsersLag
//	invites arrive late          InviteDelay, with Advance
//	cancelled invites leave rows OrphanRow
//	no Plex Pass                 NoPlexPass, RefuseWithoutPass
//	the token was rotated        Fake.Rotate, Fake.SignOutEverywhere
//	the token expired            JWTExpired, or Fake.JWT and Advance
//	another server answers       Server.SetIdentity
//	the server lags behind       ServerSpec.Lag
//	the n-th request only        Fault.From and Fault.Times
//
// Time stands still until [Fake.Advance] moves it, unless [Config.RealTime]
// is set; ids and tokens come from a seeded generator, so that two runs with
// the same calls see the same bytes.
//
// The package knows nothing of Zondarr: it imports the standard library only,
// and no assertion about a client lives here. It plays no media, stores
// nothing on disk, does not check passwords (sign-in is by pin), and trusts
// every caller of its control API.
package plextest
