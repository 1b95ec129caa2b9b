package plex

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// reserve is the time that accepting leaves for reading back and taking back.
const reserve = 20 * time.Second

// acceptWaits are the waits before each look for the invite: it takes some
// seconds to reach the invitee.
func acceptWaits() []time.Duration {
	s := time.Second
	return []time.Duration{0, s / 2, s, 2 * s, 3 * s, 3 * s, 3 * s, 4 * s, 4 * s}
}

// invitation is an invite as the invitee sees it: several servers of one owner.
type invitation struct {
	Owner struct {
		ID ident `json:"id"`
	} `json:"owner"`
	Servers []struct {
		ID      ident  `json:"id"`
		Machine string `json:"machineIdentifier"`
	} `json:"sharedServers"`
}

// acceptFor accepts a share for the invitee, with the invitee's own sign-in. An
// invite that does not show up in time, or a plex.tv that does not answer, leaves
// the share waiting for the person; only a plain no is an error.
func (c *client) acceptFor(ctx context.Context, as principal, owner account, sh share) (accepted bool, err error) {
	if deadline, bounded := ctx.Deadline(); bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-reserve))
		defer cancel()
	}
	for _, wait := range acceptWaits() {
		if !c.wire.pause(ctx, wait) {
			return false, nil
		}
		accepted, err := c.tryAccept(ctx, as, owner, sh)
		switch {
		case accepted:
			return true, nil
		case declined(err):
			return false, notReady()
		case gone(err):
			c.log.WarnContext(ctx, "plex.tv no longer lets an invite be accepted for the invitee, who must do it by hand", "error", err)
			return false, nil
		case sdk.ReasonOf(err) == sdk.ReasonLinkExpired:
			return false, nil
		}
	}
	return false, nil
}

// tryAccept accepts the share if the invite has reached the invitee.
func (c *client) tryAccept(ctx context.Context, as principal, owner account, sh share) (bool, error) {
	id, err := c.findInvite(ctx, as, owner, sh)
	if goneOrAbsent(err) {
		return c.tryAcceptV1(ctx, as, owner, sh)
	}
	if err != nil || id == "" {
		return false, err
	}
	_, err = c.wire.send(ctx, request{
		method: http.MethodPost, at: atClients, path: "/api/v2/shared_servers/{}/accept", args: []string{id}, as: as, repeat: true,
	})
	if gone(err) {
		return c.tryAcceptV1(ctx, as, owner, sh)
	}
	if absent(err) { // accepted by hand meanwhile
		return true, nil
	}
	return err == nil, err
}

// findInvite gives the id under which the invitee can accept the share, or "".
// The server's identifier decides: plex.tv often leaves out the owner's id.
func (c *client) findInvite(ctx context.Context, as principal, owner account, sh share) (string, error) {
	out, err := c.wire.send(ctx, request{
		method: http.MethodGet, at: atClients, path: "/api/v2/shared_servers/invites/received/pending", as: as,
	})
	if err != nil {
		return "", err
	}
	var list []invitation
	if err := out.json(&list); err != nil {
		return "", err
	}
	found := ""
	for _, inv := range list {
		if inv.Owner.ID != "" && inv.Owner.ID != owner.ID {
			continue
		}
		for _, s := range inv.Servers {
			if s.Machine == sh.Machine && (found == "" || string(s.ID) == sh.ID) {
				found = string(s.ID)
			}
		}
	}
	return found, nil
}

// tryAcceptV1 is the older way. It accepts all that one owner has sent, so it is
// used only if that is this one server, which the list tells by its name alone;
// otherwise the person accepts by hand.
func (c *client) tryAcceptV1(ctx context.Context, as principal, owner account, sh share) (bool, error) {
	invites, err := c.invitesV1(ctx, request{method: http.MethodGet, at: atCloud, path: "/api/invites/requests", as: as, always: true})
	if err != nil {
		return false, err
	}
	for _, inv := range invites {
		if inv.ID != string(owner.ID) || !bool(inv.Server) || len(inv.Servers) != 1 || sh.Name == "" || inv.Servers[0].Name != sh.Name {
			continue
		}
		_, err := c.wire.send(ctx, request{
			method: http.MethodPut, at: atCloud, path: "/api/invites/requests/{}", args: []string{inv.ID},
			query: url.Values{"friend": {zeroOne(bool(inv.Friend))}, "home": {"0"}, "server": {"1"}}, as: as, repeat: true,
		})
		return err == nil, err
	}
	return false, nil
}
