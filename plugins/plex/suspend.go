package plex

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/zondarr/zondarr/sdk"
)

// Suspend removes the share of this server and keeps the friendship, so that
// sharing again is accepted at once. An invite that waits is withdrawn. The host
// keeps the grant and the state that GetUser gave.
func (c *client) Suspend(ctx context.Context, req sdk.SuspendRequest) (sdk.SuspendResponse, error) {
	r, over, err := c.begin(ctx, req.ID)
	if err != nil {
		return sdk.SuspendResponse{}, err
	}
	defer over()
	sh, shared := r.share(req.ID)
	if m, home := r.member(req.ID); !shared && home {
		return sdk.SuspendResponse{User: m.user()}, nil
	} else if !shared {
		return c.suspendedBefore(ctx, req.ID)
	}
	if err := c.takeBack(ctx, r, sh.Who); err != nil {
		return sdk.SuspendResponse{}, err
	}
	return sdk.SuspendResponse{User: suspended(sh.user())}, nil
}

// suspendedBefore answers for somebody without a share: suspended already, if
// the owner is still connected with the person.
func (c *client) suspendedBefore(ctx context.Context, id string) (sdk.SuspendResponse, error) {
	rows, err := c.connections(ctx)
	if err != nil {
		return sdk.SuspendResponse{}, err
	}
	i := slices.IndexFunc(rows, func(r friendRow) bool { return r.ID == id })
	if i < 0 {
		return sdk.SuspendResponse{}, noUser()
	}
	sh := share{Who: invitee{id: id}, Username: rows[i].Username, Title: rows[i].Title, Email: rows[i].Email}
	return sdk.SuspendResponse{User: suspended(sh.user())}, nil
}

func suspended(u sdk.User) sdk.User {
	u.Status = sdk.StatusSuspended
	u.Libraries = &sdk.LibraryAccess{Mode: sdk.LibraryNone}
	u.Permissions = nil
	return u
}

// Resume shares the server again, with the libraries of the grant that are still
// there, and with the settings that Plex kept, or else those of the state. Nobody
// is signed in who could accept for the person, so it may have to be accepted by
// hand: then the user is pending.
func (c *client) Resume(ctx context.Context, req sdk.ResumeRequest) (sdk.ResumeResponse, error) {
	libraries, err := selectionOf(req.Grant.Libraries)
	if err != nil {
		return sdk.ResumeResponse{}, err
	}
	asked, err := wishesOf(req.Grant.Permissions, req.Grant.Limits, req.Grant.Options)
	if err != nil {
		return sdk.ResumeResponse{}, err
	}
	var state pluginState
	if len(req.PluginState) > 0 && (json.Unmarshal(req.PluginState, &state) != nil || state.Version != stateVersion) {
		return sdk.ResumeResponse{}, invalid("plugin_state", sdk.ProblemInvalid, "the state that was kept when the person was suspended cannot be read")
	}
	r, over, err := c.begin(ctx, req.ID)
	if err != nil {
		return sdk.ResumeResponse{}, err
	}
	defer over()
	if asked.download == sdk.Allow && !r.owner.passHolder() {
		return sdk.ResumeResponse{}, needsPass()
	}
	if libraries, err = c.remaining(ctx, r, libraries); err != nil {
		return sdk.ResumeResponse{}, err
	}
	_, home := r.member(req.ID)
	if !home {
		asked = asked.withoutHome()
	}
	if sh, shared := r.share(req.ID); shared {
		return c.resumeShared(ctx, r, sh, libraries, asked)
	}
	if asked.liveTV == sdk.Allow && !home {
		return sdk.ResumeResponse{}, needsHome()
	}
	who := personOf(req.ID)
	if who == (invitee{}) {
		return sdk.ResumeResponse{}, noUser()
	}
	set, err := c.settingsFor(ctx, r, who, state.Settings, asked)
	if err != nil {
		return sdk.ResumeResponse{}, err
	}
	sh, err := c.invite(ctx, r, who, libraries, set.to)
	if err != nil {
		return sdk.ResumeResponse{}, err
	}
	sh, err = c.settle(ctx, r, sh, principal{}, libraries, set.to)
	if err != nil {
		return sdk.ResumeResponse{}, c.undo(ctx, r, who, set, err)
	}
	u, err := sh.userWithState()
	return sdk.ResumeResponse{User: u}, err
}

// remaining leaves out of a choice what the server no longer has: a library that
// was removed meanwhile must not keep somebody suspended for good. A list that may
// be short is not believed.
func (c *client) remaining(ctx context.Context, r roster, libraries selection) (selection, error) {
	err := c.exist(ctx, r, libraries)
	if sdk.ReasonOf(err) != sdk.ReasonLibraryNotFound {
		return libraries, err
	}
	there, err := c.ListLibraries(ctx, sdk.ListLibrariesRequest{})
	if err != nil {
		return selection{}, err
	}
	ids := slices.DeleteFunc(slices.Clone(libraries.ids), func(id string) bool {
		return !slices.ContainsFunc(there.Libraries, func(l sdk.Library) bool { return l.ID == id })
	})
	if len(ids) == 0 {
		return selection{}, noLibrary()
	}
	return theseLibraries(ids)
}

// resumeShared brings a share that exists already to what the grant says.
func (c *client) resumeShared(ctx context.Context, r roster, sh share, libraries selection, asked wishes) (sdk.ResumeResponse, error) {
	sh, err := c.whole(ctx, sh)
	if err == nil && !libraries.matches(sh) {
		sh, err = c.setLibraries(ctx, r, sh, libraries)
	}
	if err != nil {
		return sdk.ResumeResponse{}, err
	}
	u, err := c.setWishes(ctx, r, sh, asked)
	return sdk.ResumeResponse{User: u}, err
}

// personOf reads an external id: an account id, or the e-mail address of
// somebody who has no account yet.
func personOf(id string) invitee {
	switch {
	case digits(id):
		return invitee{id: id}
	case emailLike(id):
		return invitee{email: id}
	default:
		return invitee{}
	}
}

func emailLike(s string) bool {
	at := slices.Index([]byte(s), '@')
	return at > 0 && at < len(s)-1
}
