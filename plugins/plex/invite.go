package plex

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// looks is how often, and after which waits, a share is looked for whose
// creation was not answered, or which a list does not show yet.
func looks() []time.Duration {
	s := time.Second
	return []time.Duration{0, s / 2, s, 2 * s, 3 * s}
}

// invite makes a share of this server, which must not exist yet, and gives it as
// the lists show it. It is sent once. When the answer is lost, the share is
// looked for: if it is there, it is ours, since it was not before; if not, the
// error says that nobody knows.
func (c *client) invite(ctx context.Context, r roster, who invitee, libraries selection, set sharing) (share, error) {
	err := c.postShare(ctx, r.machine, who, libraries, set)
	if declined(err) {
		err = c.afterRefusal(ctx, r, who, libraries, set, err)
	}
	switch {
	case err == nil:
		sh, err := c.await(ctx, r, who)
		if err != nil {
			return share{}, leftBehind(err)
		}
		return sh, nil
	case unknown(err):
		if sh, errLook := c.await(ctx, r, who); errLook == nil {
			c.log.InfoContext(ctx, "plex.tv did not answer the creation of a share, but made it")
			return sh, nil
		}
		return share{}, leftBehind(err)
	case absent(err):
		return share{}, sdk.Errorf(sdk.ReasonNotFound, "plex.tv does not know the account, the server or a library (HTTP 404); nothing was shared")
	}
	return share{}, err
}

// postShare makes the one call that shares: the newer one, or where plex.tv does
// not offer it, the older one.
func (c *client) postShare(ctx context.Context, machine string, who invitee, libraries selection, set sharing) error {
	body := map[string]any{
		"machineIdentifier": machine, "librarySectionIds": libraries, "settings": set, "skipFriendship": false,
	}
	if who.id != "" {
		body["invitedId"] = json.Number(who.id)
	} else {
		body["invitedEmail"] = who.email
	}
	_, err := c.wire.send(ctx, request{method: http.MethodPost, at: atCloud, path: "/api/v2/shared_servers", as: c.owner, body: body})
	if err == nil || !goneOrAbsent(err) {
		return err
	}
	c.log.WarnContext(ctx, "plex.tv does not take the newer call that shares a server; the older one is used")
	shared := map[string]any{"library_section_ids": libraries}
	if who.id != "" {
		shared["invited_id"] = json.Number(who.id)
	} else {
		shared["invited_email"] = who.email
	}
	_, err = c.wire.send(ctx, request{
		method: http.MethodPost, at: atCloud, path: "/api/servers/{}/shared_servers", args: []string{machine}, as: c.owner,
		body: map[string]any{"server_id": machine, "shared_server": shared, "sharing_settings": set.older()},
	})
	return err
}

// afterRefusal finds out why plex.tv declined from the lists, since it answers the
// same number, often without a word, to a share that exists and to several other
// things. A withdrawn invite can leave a
// row that stands in the way: that one is removed, and the share asked for once
// more.
func (c *client) afterRefusal(ctx context.Context, r roster, who invitee, libraries selection, set sharing, refusal error) error {
	now, err := c.again(ctx, r)
	if err != nil {
		return err
	}
	if _, exists := now.share(who.key()); exists {
		return alreadyMember("this Plex server is shared with the account already")
	}
	if err := now.registered(who.key()); err != nil {
		return err
	}
	swept, err := c.sweep(ctx, now, who)
	if err != nil {
		return err
	}
	if swept {
		refusal = c.postShare(ctx, r.machine, who, libraries, set)
		if !declined(refusal) {
			return refusal
		}
	}
	return c.explain(now, refusal)
}

// crowd is how many people Plex lets one server be shared with, about.
const crowd = 95

// explain turns a refusal of plex.tv to share, which the lists do not explain, into
// words.
func (c *client) explain(r roster, refusal error) error {
	said := answer(refusal)
	fail := func(reason sdk.Reason, message string) error {
		err := sdk.Errorf(reason, "%s", message)
		err.Source, err.UpstreamStatus, err.Err = sdk.SourceUpstream, said.status, said
		return err
	}
	switch {
	case said.says("plex pass"):
		return needsPass()
	case said.says("already sharing"):
		return alreadyMember("plex.tv says that this server is shared with the account already")
	case said.says("limit", "maximum", "too many"), len(r.shares)+len(r.members) >= crowd:
		return fail(sdk.ReasonLimitReached, "plex.tv does not share this server with more people; remove somebody first")
	case said.says("verif", "confirm"):
		return notReady()
	case said.says("yourself", "own server"):
		return ownerProtected()
	case said.status == http.StatusForbidden:
		return fail(sdk.ReasonNotAdmin, "plex.tv does not let the token share this server ("+said.Error()+")")
	}
	return fail(sdk.ReasonInvalid, "plex.tv refused to share the server ("+said.Error()+"); nothing was shared")
}

// await gives the share of a person, looking more than once. It reads the share
// whole and makes sure that it is with the account that was meant: names change
// hands, ids do not.
func (c *client) await(ctx context.Context, r roster, who invitee) (share, error) {
	last := error(outOfTime())
	for _, wait := range looks() {
		if !c.wire.pause(ctx, wait) {
			break
		}
		now, err := c.again(ctx, r)
		if err != nil {
			last = err
			continue
		}
		if sh, ok := now.share(who.key()); ok {
			return c.whole(ctx, sh)
		}
		last = sdk.Errorf(sdk.ReasonServerError, "plex.tv does not show the share that was asked for")
	}
	return share{}, last
}

// leftBehind says that a share may or may not exist.
func leftBehind(cause error) error {
	err := sdk.Errorf(sdk.ReasonAmbiguous, "plex.tv did not answer whether the server was shared; it must be looked up before anything else is done")
	err.Source, err.Err, err.UpstreamStatus = sdk.SourceUpstream, cause, status(cause)
	return err
}

func alreadyMember(message string) error {
	return sdk.Errorf(sdk.ReasonAlreadyMember, "%s; nothing was changed", message)
}

func notReady() error {
	return sdk.Errorf(sdk.ReasonAccountNotReady, "the Plex account cannot accept a server yet: its e-mail address is not verified. Verify the e-mail address at plex.tv, then try again")
}
