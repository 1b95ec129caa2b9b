package jellyfin

import (
	"context"
	"net/http"

	"github.com/zondarr/zondarr/sdk"
)

// changeAttempts is how often a change is made that the server accepts and does
// not keep.
const changeAttempts = 3

// change reads a user, writes the overlay over the policy, and reads the user
// back until the server holds what it was told.
func (c *client) change(ctx context.Context, id guid, o overlay) (sdk.User, error) {
	done, err := c.users.take(ctx, id.String())
	if err != nil {
		return sdk.User{}, err
	}
	defer done()
	r, err := c.user(ctx, id)
	if err != nil {
		return sdk.User{}, err
	}
	if err := r.writable(); err != nil {
		return sdk.User{}, err
	}
	if len(o) > 0 {
		if r, err = c.apply(ctx, r, o); err != nil {
			return sdk.User{}, err
		}
	}
	return r.toSDK(), nil
}

// apply writes the overlay over the policy of a user as it was read, and reads
// it back. Some versions let the note of a user's last activity, written from an
// older copy, undo a policy that came in between: then it is written again.
func (c *client) apply(ctx context.Context, r record, o overlay) (record, error) {
	for attempt := 1; ; attempt++ {
		if err := c.writePolicy(ctx, r, o); err != nil {
			return record{}, err
		}
		got, err := c.user(ctx, r.id)
		if err != nil {
			return record{}, err
		}
		lost := o.lostIn(got.raw)
		if lost == "" {
			return got, nil
		}
		c.log.WarnContext(ctx, "Jellyfin accepted a policy and did not keep it", "user", r.id.String(), "member", lost, "attempt", attempt)
		if attempt == changeAttempts || !pause(ctx, c.waits.reread) {
			return record{}, sdk.Errorf(sdk.ReasonAccessNotApplied, "Jellyfin accepted the change and did not keep it: %s is not as it was set", lost)
		}
		r = got
	}
}

// writePolicy writes the overlay over the policy of a user as it was read. The whole
// policy is sent: before another attempt it is read again, so that nothing comes back
// that somebody changed while the server was busy.
func (c *client) writePolicy(ctx context.Context, r record, o overlay) error {
	for attempt := 0; ; attempt++ {
		if err := r.writable(); err != nil {
			return err
		}
		p, err := o.over(r.raw)
		if err != nil {
			return err
		}
		_, err = c.do(ctx, request{
			method: http.MethodPost, path: "/Users/" + r.id.String() + "/Policy", auth: c.withKey(), body: p, noContent: true,
		})
		again, after := worthAgain(err, false)
		if !again || attempt == len(c.waits.retry) || !pause(ctx, max(c.waits.retry[attempt], after)) {
			return err
		}
		c.log.DebugContext(ctx, "writing a policy again", "user", r.id.String(), "error", err)
		if r, err = c.user(ctx, r.id); err != nil { // 10.8 fails the same way on a user who is gone
			return err
		}
	}
}

// changeUser is the common part of the verbs that change a user's policy.
func (c *client) changeUser(ctx context.Context, userID string, overlayFor func(version) (overlay, error)) (sdk.User, error) {
	id, ok := parseID(userID)
	if !ok {
		return sdk.User{}, noSuchUser()
	}
	s, err := c.current(ctx)
	if err != nil {
		return sdk.User{}, err
	}
	o, err := overlayFor(s.version)
	if err != nil {
		return sdk.User{}, err
	}
	return c.change(ctx, id, o)
}

// Suspend disables the user. The server signs them out everywhere.
func (c *client) Suspend(ctx context.Context, req sdk.SuspendRequest) (sdk.SuspendResponse, error) {
	u, err := c.changeUser(ctx, req.ID, func(version) (overlay, error) { return overlay{"IsDisabled": true}, nil })
	return sdk.SuspendResponse{User: u}, err
}

// Resume enables the user with the grant that was kept. It also forgets failed
// sign-ins: with the counter at its limit, the next one would disable them again.
// Libraries that went away meanwhile are no reason to refuse.
func (c *client) Resume(ctx context.Context, req sdk.ResumeRequest) (sdk.ResumeResponse, error) {
	u, err := c.changeUser(ctx, req.ID, func(v version) (overlay, error) {
		o, err := changeOverlay(v, req.Grant.Permissions, req.Grant.Limits, req.Grant.Options)
		if err != nil {
			return nil, err
		}
		if req.Grant.Libraries.Mode != "" {
			libs, err := libraryOverlay(req.Grant.Libraries)
			if err != nil {
				return nil, err
			}
			for member, value := range libs {
				o[member] = value
			}
		}
		o["IsDisabled"], o["InvalidLoginAttemptCount"] = false, int64(0)
		return o, nil
	})
	return sdk.ResumeResponse{User: u}, err
}

// SetLibraryAccess replaces which libraries the user sees.
func (c *client) SetLibraryAccess(ctx context.Context, req sdk.SetLibraryAccessRequest) (sdk.SetLibraryAccessResponse, error) {
	u, err := c.changeUser(ctx, req.ID, func(version) (overlay, error) {
		o, err := libraryOverlay(req.Access)
		if err != nil {
			return nil, err
		}
		return o, c.checkLibraries(ctx, req.Access, true)
	})
	return sdk.SetLibraryAccessResponse{User: u}, err
}

// SetPermissions changes the permissions and limits that are named.
func (c *client) SetPermissions(ctx context.Context, req sdk.SetPermissionsRequest) (sdk.SetPermissionsResponse, error) {
	u, err := c.changeUser(ctx, req.ID, func(v version) (overlay, error) {
		return changeOverlay(v, req.Permissions, req.Limits, req.Options)
	})
	return sdk.SetPermissionsResponse{User: u}, err
}
