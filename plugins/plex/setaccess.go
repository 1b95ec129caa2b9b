package plex

import (
	"context"
	"net/http"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// SetLibraryAccess replaces the libraries of a person. Some libraries are
// written to the share as it is; all of them, and anything for an invite that
// waits, need a new share, since Plex gives no proven way to write it: there the
// old one is restored if the new one cannot be made.
func (c *client) SetLibraryAccess(ctx context.Context, req sdk.SetLibraryAccessRequest) (sdk.SetLibraryAccessResponse, error) {
	libraries, err := selectionOf(req.Access)
	if err != nil {
		return sdk.SetLibraryAccessResponse{}, err
	}
	r, over, err := c.begin(ctx, req.ID)
	if err != nil {
		return sdk.SetLibraryAccessResponse{}, err
	}
	defer over()
	sh, shared := r.share(req.ID)
	_, home := r.member(req.ID)
	if !shared && !home {
		return sdk.SetLibraryAccessResponse{}, noUser()
	}
	if err := c.exist(ctx, r, libraries); err != nil {
		return sdk.SetLibraryAccessResponse{}, err
	}
	if !shared {
		sh, err = c.firstShare(ctx, r, invitee{id: req.ID}, libraries)
	} else if sh, err = c.whole(ctx, sh); err == nil && !libraries.matches(sh) {
		sh, err = c.setLibraries(ctx, r, sh, libraries)
	}
	if err != nil {
		return sdk.SetLibraryAccessResponse{}, err
	}
	return sdk.SetLibraryAccessResponse{User: sh.user()}, nil
}

// firstShare gives a Home member, who may see everything without a share,
// exactly some libraries.
func (c *client) firstShare(ctx context.Context, r roster, who invitee, libraries selection) (share, error) {
	set, err := c.settingsFor(ctx, r, who, nil, wishes{})
	if err != nil {
		return share{}, err
	}
	sh, err := c.invite(ctx, r, who, libraries, set.to)
	if err != nil {
		return share{}, err
	}
	sh, err = c.settle(ctx, r, sh, principal{}, libraries, set.to)
	if err != nil {
		return share{}, c.undo(ctx, r, who, set, err)
	}
	return sh, nil
}

// setLibraries changes the libraries of a share and reads it back.
func (c *client) setLibraries(ctx context.Context, r roster, sh share, libraries selection) (share, error) {
	if libraries.all || !sh.Accepted {
		return c.replace(ctx, r, sh, libraries)
	}
	if err := c.writeLibraries(ctx, sh, libraries); err != nil {
		return share{}, err
	}
	for _, wait := range looks() {
		if !c.wire.pause(ctx, wait) {
			break
		}
		now, err := c.await(ctx, r, sh.Who)
		if err != nil {
			return share{}, err
		}
		if libraries.matches(now) {
			return now, nil
		}
	}
	return share{}, sdk.Errorf(sdk.ReasonAccessNotApplied, "plex.tv took the choice of libraries but shows another one; look at the person in Plex")
}

// writeLibraries sends a choice of libraries for a share that exists. What an
// empty list means here nobody has proven, so it is never sent.
func (c *client) writeLibraries(ctx context.Context, sh share, libraries selection) error {
	if libraries.all {
		return sdk.Errorf(sdk.ReasonInternal, "all libraries cannot be written to an existing share")
	}
	_, err := c.wire.send(ctx, request{
		method: http.MethodPut, at: atCloud, path: sharePath, args: []string{sh.Machine, sh.ID}, as: c.owner, repeat: true,
		body: map[string]any{"server_id": sh.Machine, "shared_server": map[string]any{"library_section_ids": libraries}},
	})
	if err == nil || !goneOrAbsent(err) {
		return err
	}
	set, err := c.currentSet(ctx, sh)
	if err != nil {
		return err
	}
	_, err = c.wire.send(ctx, request{
		method: http.MethodPost, at: atClients, path: "/api/v2/shared_servers/{}", args: []string{sh.ID}, as: c.owner, repeat: true,
		body: map[string]any{"settings": set, "librarySectionIds": libraries},
	})
	return err
}

// currentSet gives the whole set of a person's settings, or an error: a set that
// is not whole must not be written back.
func (c *client) currentSet(ctx context.Context, sh share) (sharing, error) {
	if sh.Who.id != "" {
		set, found, err := c.readSharing(ctx, sh.Who.id)
		if err != nil || found {
			return set, err
		}
	}
	if sh.Set == nil {
		return sharing{}, sdk.Errorf(sdk.ReasonServerError, "plex.tv does not tell the person's content filters, and without them nothing is written")
	}
	return *sh.Set, nil
}

// replaceLimit bounds the making of a share anew, which is finished even when
// the call's own time is over: in between, the person has nothing.
const replaceLimit = 45 * time.Second

// replace makes a share anew with other libraries. If that fails, the person
// gets back what there was.
func (c *client) replace(ctx context.Context, r roster, sh share, libraries selection) (share, error) {
	set, err := c.currentSet(ctx, sh)
	if err != nil {
		return share{}, err
	}
	before, err := sh.selection()
	if err != nil && !sh.Home {
		return share{}, err
	}
	err = c.takeBack(ctx, r, sh.Who)
	ctx, cancel := detached(ctx, replaceLimit)
	defer cancel()
	if err == nil {
		var out share
		if out, err = c.remake(ctx, r, sh.Who, libraries, set); err == nil {
			return out, nil
		}
	}
	// Also a share that could not be removed for certain may be gone.
	if before.all || len(before.ids) > 0 {
		if _, errBack := c.remake(ctx, r, sh.Who, before, set); errBack == nil {
			return share{}, err
		}
	}
	lost := sdk.Errorf(sdk.ReasonAmbiguous, "the share had to be made anew, and plex.tv failed in between: the person may be without access until resumed")
	lost.Source, lost.Err = sdk.SourceUpstream, err
	return share{}, lost
}

// remake shares with somebody who had a share a moment ago.
func (c *client) remake(ctx context.Context, r roster, who invitee, libraries selection, set sharing) (share, error) {
	var last error
	for _, wait := range looks() {
		if !c.wire.pause(ctx, wait) {
			break
		}
		now, err := c.again(ctx, r)
		if err != nil {
			last = err
			continue
		}
		sh, exists := now.share(who.key())
		if !exists {
			if sh, last = c.invite(ctx, r, who, libraries, set); last != nil {
				if unknown(last) || sdk.ReasonOf(last) == sdk.ReasonAmbiguous || sdk.ReasonOf(last).Transient() {
					continue
				}
				return share{}, last
			}
		}
		sh, last = c.settle(ctx, r, sh, principal{}, libraries, set)
		if last == nil {
			return sh, nil
		}
		if sdk.ReasonOf(last) == sdk.ReasonAccessNotApplied {
			return share{}, c.undo(ctx, r, who, change{to: set, from: set}, last)
		}
	}
	return share{}, last
}
