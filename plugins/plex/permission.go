package plex

import (
	"context"
	"strings"

	"github.com/zondarr/zondarr/sdk"
)

// SetPermissions changes downloads, and for members of the owner's Home live TV.
// Plex replaces the whole set of a person at once, so it is read, merged,
// written and read back; filters stay as they are.
func (c *client) SetPermissions(ctx context.Context, req sdk.SetPermissionsRequest) (sdk.SetPermissionsResponse, error) {
	asked, err := wishesOf(req.Permissions, req.Limits, req.Options)
	if err != nil {
		return sdk.SetPermissionsResponse{}, err
	}
	r, over, err := c.begin(ctx, req.ID)
	if err != nil {
		return sdk.SetPermissionsResponse{}, err
	}
	defer over()
	sh, shared := r.share(req.ID)
	if m, home := r.member(req.ID); !shared && home {
		return sdk.SetPermissionsResponse{}, unsupported("permissions", "%s has no share of this server yet; choose the libraries first", m.user().DisplayName)
	} else if !shared {
		return sdk.SetPermissionsResponse{}, noUser()
	}
	if asked.download == sdk.Allow && !r.owner.passHolder() {
		return sdk.SetPermissionsResponse{}, needsPass()
	}
	u, err := c.setWishes(ctx, r, sh, asked)
	return sdk.SetPermissionsResponse{User: u}, err
}

// setWishes brings the settings of a share to what is asked.
func (c *client) setWishes(ctx context.Context, r roster, sh share, asked wishes) (sdk.User, error) {
	if asked.liveTV == sdk.Allow && !sh.Home {
		return sdk.User{}, needsHome()
	}
	before, err := c.currentSet(ctx, sh)
	if err != nil {
		return sdk.User{}, err
	}
	want := asked.apply(before)
	if len(want.differences(before)) == 0 {
		return c.detail(ctx, sh)
	}
	if sh.Who.id == "" {
		return sdk.User{}, unsupported("permissions", "the invited address has no Plex account yet; permissions can be set once the invitation is accepted")
	}
	if err := c.writeSharing(ctx, sh.Who, want); err != nil {
		if r := answer(err); r != nil && r.says("plex pass") {
			return sdk.User{}, needsPass()
		}
		return sdk.User{}, err
	}
	now, wrong, err := c.readBack(ctx, r, sh, want)
	switch {
	case err != nil:
		return sdk.User{}, err
	case len(wrong) == 0:
		return c.detail(ctx, now)
	}
	// Something else came of it than was asked: what there was is put back.
	undo, cancel := detached(ctx, takeBackLimit)
	defer cancel()
	message := "plex.tv did not take the setting: %s differ. What there was is restored"
	if c.writeSharing(undo, sh.Who, before) != nil {
		message = "plex.tv did not take the setting: %s differ. What there was could not be restored; look at the person in Plex"
	}
	return sdk.User{}, sdk.Errorf(sdk.ReasonAccessNotApplied, message, strings.Join(wrong, ", "))
}

// readBack compares what Plex says with what was written.
func (c *client) readBack(ctx context.Context, r roster, sh share, want sharing) (share, []string, error) {
	wrong := []string{"what is allowed"}
	for _, wait := range looks() {
		if !c.wire.pause(ctx, wait) {
			break
		}
		now, err := c.await(ctx, r, sh.Who)
		if err != nil {
			return share{}, nil, err
		}
		sh = now
		got, err := c.currentSet(ctx, sh)
		if err != nil {
			return share{}, nil, err
		}
		sh.Set, sh.Download, sh.Tuners = &got, got.AllowSync, got.AllowTuners
		if wrong = want.differences(got); len(wrong) == 0 {
			return sh, nil, nil
		}
	}
	return sh, wrong, nil
}
