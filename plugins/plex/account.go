package plex

import (
	"cmp"
	"context"
	"net/http"

	"github.com/zondarr/zondarr/sdk"
)

// account is a plex.tv account, as its own token shows it.
type account struct {
	ID           ident  `json:"id"`
	Username     string `json:"username"`
	Title        string `json:"title"`
	FriendlyName string `json:"friendlyName"`
	Email        string `json:"email"`
	Confirmed    *flag  `json:"confirmed"`
	Restricted   flag   `json:"restricted"`
	HomeAdmin    flag   `json:"homeAdmin"`
	HomeSize     number `json:"homeSize"`
	Subscription struct {
		Active flag `json:"active"`
	} `json:"subscription"`
}

// account asks plex.tv whose token this is. Only a 401 means that the token is
// bad; anything else leaves it unknown.
func (c *client) account(ctx context.Context, as principal) (account, error) {
	out, err := c.wire.send(ctx, request{method: http.MethodGet, at: atCloud, path: "/api/v2/user", as: as, always: true})
	if err != nil {
		return account{}, err
	}
	var a account
	if err := out.json(&a); err != nil {
		return account{}, err
	}
	if !digits(string(a.ID)) {
		return account{}, out.unreadable()
	}
	return a, nil
}

func (a account) displayName() string { return cmp.Or(a.FriendlyName, a.Title, a.Username) }

// passHolder says whether the account has Plex Pass.
func (a account) passHolder() bool { return bool(a.Subscription.Active) }

// leadsHome says whether the account runs a Plex Home that others belong to.
func (a account) leadsHome() bool { return bool(a.HomeAdmin) && a.HomeSize > 1 }

// user is the owner as the host sees it.
func (a account) user() sdk.User {
	return sdk.User{
		ID: string(a.ID), Username: a.Username, DisplayName: a.displayName(), Email: a.Email,
		Kind: kindOwner, Protected: true, Status: sdk.StatusActive,
		Libraries:   &sdk.LibraryAccess{Mode: sdk.LibraryAll},
		Permissions: map[string]sdk.Tri{sdk.PermissionDownload: sdk.Allow, sdk.PermissionLiveTV: sdk.Allow},
	}
}
