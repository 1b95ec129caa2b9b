package jellyfin

import (
	"context"
	"net/http"

	"github.com/zondarr/zondarr/sdk"
)

// DeleteUser deletes the user. It reads them first: refusing to delete the last
// administrator, the server has signed them out and dropped their playlists
// before it says no.
func (c *client) DeleteUser(ctx context.Context, req sdk.DeleteUserRequest) (sdk.DeleteUserResponse, error) {
	id, ok := parseID(req.ID)
	if !ok { // no user of Jellyfin's can have such an id
		return sdk.DeleteUserResponse{AlreadyGone: true}, nil
	}
	s, err := c.current(ctx)
	if err != nil {
		return sdk.DeleteUserResponse{}, err
	}
	done, err := c.users.take(ctx, id.String())
	if err != nil {
		return sdk.DeleteUserResponse{}, err
	}
	defer done()
	r, err := c.user(ctx, id)
	if sdk.ReasonOf(err) == sdk.ReasonNotFound {
		return sdk.DeleteUserResponse{AlreadyGone: true}, nil
	}
	if err != nil {
		return sdk.DeleteUserResponse{}, err
	}
	if err := r.writable(); err != nil {
		return sdk.DeleteUserResponse{}, err
	}
	return sdk.DeleteUserResponse{}, c.remove(ctx, r.id, r.Name, s.version, false)
}

// remove deletes a user and counts "not there" as done. 10.8 fails with 500 on a
// user who is gone, and then the user is looked for.
func (c *client) remove(ctx context.Context, id guid, name string, v version, persist bool) error {
	_, err := c.retried(ctx, request{method: http.MethodDelete, path: "/Users/" + id.String(), auth: c.withKey(), noContent: true, persist: persist})
	if threw(err) && !v.atLeast(v10_9) {
		if _, gone := c.user(ctx, id); sdk.ReasonOf(gone) == sdk.ReasonNotFound {
			err = gone
		}
	}
	if err != nil && sdk.ReasonOf(err) != sdk.ReasonNotFound {
		return err
	}
	c.names.note(c.now(), name, id, true)
	return nil
}
