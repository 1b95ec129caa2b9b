// Package host is the Zondarr host process: configuration, the command line,
// and the one place where the parts are put together.
//
// The map, from the edge inwards:
//
//	host                     settings, commands, Run: the only composition root
//	host/internal/api        the HTTP edge; routes.go shows the whole surface
//	host/internal/redeem     the redemption saga: an invitation becomes accounts
//	host/internal/invitation, identity, mediaserver, auth
//	                         the nouns: each owns its tables and its rules
//	host/internal/grant, page, job, instance
//	                         what the nouns share: what a grant means, how lists
//	                         are cut, recurring work, what an installation is
//	host/internal/registry   server type → plugin; hands out media clients
//	host/internal/pluginhost finds, approves and supervises plugin processes
//	host/internal/database   opens, migrates, runs transactions
//	host/internal/secret     seals credentials at rest
//	host/internal/fault      the error that crosses from services to the edge
//
// The rules: a noun never imports another noun; the verb that two nouns share is
// a use-case of its own (redeem). Nothing but the registry and the plugin host
// knows that a media client lives in another process. Settings stop at Run:
// below it only plain values are passed, in struct literals whose fields are
// named. imports_test.go holds the table of who may import whom.
package host
