package plex

import (
	"context"
	"strings"

	"github.com/zondarr/zondarr/sdk"
)

// GetUser gives the owner, somebody the server is shared with, or a member of
// the owner's Home, by account id. Somebody who has no account yet is known by
// the e-mail address that was invited.
func (c *client) GetUser(ctx context.Context, req sdk.GetUserRequest) (sdk.GetUserResponse, error) {
	r, err := c.about(ctx)
	if err != nil {
		return sdk.GetUserResponse{}, err
	}
	if err := r.registered(req.ID); err != nil {
		return sdk.GetUserResponse{}, err
	}
	u, err := c.lookUp(ctx, r, req.ID)
	if m, ok := r.member(req.ID); ok && sdk.ReasonOf(err) == sdk.ReasonNotFound {
		return sdk.GetUserResponse{User: m.user()}, nil
	}
	return sdk.GetUserResponse{User: u}, err
}

// lookUp gives the owner, or somebody the server is shared with.
func (c *client) lookUp(ctx context.Context, r roster, id string) (sdk.User, error) {
	if r.isOwner(id) {
		return r.owner.user(), nil
	}
	if sh, ok := r.share(id); ok {
		return c.detail(ctx, sh)
	}
	return sdk.User{}, noUser()
}

// detail gives the user of a share with everything that suspending needs.
func (c *client) detail(ctx context.Context, sh share) (sdk.User, error) {
	sh, err := c.whole(ctx, sh)
	if err != nil {
		return sdk.User{}, err
	}
	if sh.Set == nil && sh.Who.id != "" {
		set, found, err := c.readSharing(ctx, sh.Who.id)
		if err != nil {
			return sdk.User{}, err
		}
		if found {
			sh.Set = &set
		}
	}
	return sh.userWithState()
}

// ListUsers gives the owner, everybody the server is shared with, and the rest
// of the owner's Home.
func (c *client) ListUsers(ctx context.Context, _ sdk.ListUsersRequest, yield func(sdk.User) error) error {
	r, err := c.about(ctx)
	if err != nil {
		return err
	}
	if err := yield(r.owner.user()); err != nil {
		return err
	}
	seen := map[string]bool{string(r.owner.ID): true}
	for _, each := range r.shares {
		id := each.Who.key()
		if seen[id] {
			continue
		}
		seen[id] = true
		best, _ := r.share(id)
		sh, err := c.whole(ctx, best)
		if err != nil {
			return err
		}
		if err := yield(sh.user()); err != nil {
			return err
		}
	}
	for _, m := range r.members {
		if seen[string(m.ID)] {
			continue
		}
		if err := yield(m.user()); err != nil {
			return err
		}
	}
	return nil
}

// FindUser looks somebody up by account id, or by username or e-mail. Members of
// the Home without a share are not found: the host asks whether a share was made.
// Nor is the owner by account id, with whom none can be: CreateUser says why.
func (c *client) FindUser(ctx context.Context, req sdk.FindUserRequest) (sdk.FindUserResponse, error) {
	name := strings.TrimSpace(req.Username)
	if (req.AccountID == "") == (name == "") {
		return sdk.FindUserResponse{}, invalid("username", sdk.ProblemInvalid, "a user is found by an account id or by a name")
	}
	r, err := c.about(ctx)
	if err != nil {
		return sdk.FindUserResponse{}, err
	}
	id := req.AccountID
	if name != "" {
		id = r.idOf(name)
	} else if r.isOwner(id) {
		return sdk.FindUserResponse{}, noUser()
	}
	u, err := c.lookUp(ctx, r, id)
	return sdk.FindUserResponse{User: u}, err
}

// idOf gives the external id of whoever has a name, or "".
func (r roster) idOf(name string) string {
	if strings.EqualFold(r.owner.Username, name) || strings.EqualFold(r.owner.Email, name) {
		return string(r.owner.ID)
	}
	if sh, ok := r.named(name); ok {
		return sh.Who.key()
	}
	return ""
}
