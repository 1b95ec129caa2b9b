package plex

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// client is one Plex Media Server and its owner's account at plex.tv. It holds
// no state between calls: Plex is asked each time. Calls that change what a person
// has take turns, across all servers.
type client struct {
	wire   *wire
	ref    sdk.ServerRef
	turns  *turns
	owner  principal
	appURL string
	log    *slog.Logger
	now    func() time.Time

	closeCloud func()
}

// What the plugin declares follows from these.
var (
	_ sdk.MediaClient      = (*client)(nil)
	_ sdk.UserReader       = (*client)(nil)
	_ sdk.Provisioner      = (*client)(nil)
	_ sdk.Suspender        = (*client)(nil)
	_ sdk.AccessSetter     = (*client)(nil)
	_ sdk.PermissionSetter = (*client)(nil)
	_ sdk.SessionReader    = (*client)(nil)
	_ sdk.AccountLinker    = (*client)(nil)
)

// principal is who a request is made for.
type principal struct {
	token    string
	clientID string
	// invitee says that the token is not the owner's: when it is refused, it is
	// the sign-in that has ended, not the server's settings that are wrong.
	invitee bool
}

// clientID derives an X-Plex-Client-Identifier from the installation. plex.tv
// keeps one token per account and client identifier, and each sign-in kills the
// one before it: hence one identifier for the server's owner, and one for every
// sign-in of an invitee.
func clientID(installation, purpose string) string {
	mac := hmac.New(sha256.New, []byte(installation))
	mac.Write([]byte(purpose))
	return "zondarr-" + hex.EncodeToString(mac.Sum(nil))[:32]
}

// Close releases the connections to plex.tv that are this client's own.
func (c *client) Close() error {
	c.closeCloud()
	return nil
}

// detached gives a context for what must be finished although the call's own
// context has ended: taking back what was made.
func detached(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), limit)
}
