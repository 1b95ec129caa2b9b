package plex

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/zondarr/zondarr/sdk"
)

// DeleteUser removes the share of this server, pending or accepted. The
// friendship, the membership of the owner's Home, and what the owner's other
// servers share, stay.
func (c *client) DeleteUser(ctx context.Context, req sdk.DeleteUserRequest) (sdk.DeleteUserResponse, error) {
	r, over, err := c.begin(ctx, req.ID)
	if err != nil {
		return sdk.DeleteUserResponse{}, err
	}
	defer over()
	sh, shared := r.share(req.ID)
	if !shared {
		return sdk.DeleteUserResponse{AlreadyGone: true}, nil
	}
	return sdk.DeleteUserResponse{}, c.takeBack(ctx, r, sh.Who)
}

// takeBack removes every share of this server with a person and makes sure that
// none is left. The row that a withdrawn invite leaves behind is swept too.
func (c *client) takeBack(ctx context.Context, r roster, who invitee) error {
	for _, wait := range slices.Insert(looks(), 0, 0) { // the first look removes, the others verify
		if !c.wire.pause(ctx, wait) {
			break
		}
		now, err := c.again(ctx, r)
		if err != nil {
			return err
		}
		sh, exists := now.share(who.key())
		if !exists {
			if err := now.registered(who.key()); err != nil {
				return err
			}
			// A leftover that stays does no harm: a new invite removes it as well.
			_, _ = c.sweep(ctx, now, who)
			return nil
		}
		if err := c.remove(ctx, now, sh); err != nil && !absent(err) {
			return err
		}
	}
	if ctx.Err() != nil {
		return outOfTime()
	}
	return sdk.Errorf(sdk.ReasonServerError, "plex.tv says that the share was removed, but still lists it; try again")
}

const sharePath = "/api/servers/{}/shared_servers/{}"

// remove takes one share away, by the call that still exists. All of them are
// about this server alone; the last, which withdraws what was sent to a person,
// is used only if no other server is among it.
func (c *client) remove(ctx context.Context, r roster, sh share) error {
	_, err := c.wire.send(ctx, request{
		method: http.MethodDelete, at: atCloud, path: sharePath, args: []string{sh.Machine, sh.ID}, as: c.owner, repeat: true,
	})
	if err == nil || !goneOrAbsent(err) {
		return err
	}
	_, newer := c.wire.send(ctx, request{
		method: http.MethodDelete, at: atCloud, path: "/api/v2/shared_servers/{}", args: []string{sh.ID}, as: c.owner, repeat: true,
	})
	if newer == nil || !goneOrAbsent(newer) {
		return newer
	}
	if sh.Accepted || slices.ContainsFunc(r.elsewhere, func(o share) bool { return !o.Accepted && o.is(sh.Who.key()) }) {
		return err
	}
	return c.withdraw(ctx, sh, err)
}

// withdraw cancels a pending invite by the person it was sent to, if it is about
// this server alone.
func (c *client) withdraw(ctx context.Context, sh share, cause error) error {
	rows, err := c.requestedInvites(ctx)
	if goneOrAbsent(err) {
		return cause
	}
	if err != nil {
		return err
	}
	for _, inv := range rows {
		if !strings.EqualFold(inv.ID, sh.Who.key()) || !bool(inv.Server) || len(inv.Servers) != 1 {
			continue
		}
		_, err := c.wire.send(ctx, request{
			method: http.MethodDelete, at: atCloud, path: "/api/invites/requested/{}", args: []string{inv.ID}, as: c.owner, repeat: true,
			// An invite to the Home that was sent along stays.
			query: url.Values{"friend": {zeroOne(bool(inv.Friend))}, "home": {"0"}, "server": {"1"}},
		})
		if absent(err) {
			return nil
		}
		return err
	}
	return cause
}
