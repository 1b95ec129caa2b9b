package jellyfin

import (
	"context"
	"net/http"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// The kinds of user.
const (
	kindUser  = "user"
	kindAdmin = "admin"
)

// account is a user as Jellyfin tells it.
type account struct {
	Name     string
	ID       string `json:"Id"`
	ServerID string `json:"ServerId"`
	// HasPassword is true of everybody on 12.
	HasPassword      *bool
	LastLoginDate    string
	LastActivityDate string
	Policy           policyFields
}

// record is an account with its policy as it came.
type record struct {
	account

	id  guid
	raw policy
}

// decodeRecord reads a user. One without an id or a policy is none.
func decodeRecord(body []byte) (record, error) {
	var r record
	var whole struct{ Policy policy }
	if err := decode(body, &r.account); err != nil {
		return record{}, err
	}
	if err := decode(body, &whole); err != nil {
		return record{}, err
	}
	id, ok := parseID(r.ID)
	if !ok || r.Name == "" || len(whole.Policy) == 0 {
		return record{}, sdk.Errorf(sdk.ReasonServerError, "Jellyfin's answer is no user")
	}
	r.id, r.raw = id, whole.Policy
	return r, nil
}

// user reads one user.
func (c *client) user(ctx context.Context, id guid) (record, error) {
	body, err := c.retried(ctx, request{method: http.MethodGet, path: "/Users/" + id.String(), auth: c.withKey()})
	if err != nil {
		return record{}, err
	}
	r, err := decodeRecord(body)
	if err != nil {
		return record{}, err
	}
	if err := c.recognise(ctx, &r.account); err != nil {
		return record{}, err
	}
	if r.id != id {
		return record{}, sdk.Errorf(sdk.ReasonServerError, "Jellyfin answered with another user than was asked for")
	}
	return r, nil
}

// GetUser reads one user.
func (c *client) GetUser(ctx context.Context, req sdk.GetUserRequest) (sdk.GetUserResponse, error) {
	id, ok := parseID(req.ID)
	if !ok {
		return sdk.GetUserResponse{}, noSuchUser()
	}
	var u sdk.User
	err := c.reading(ctx, func() error {
		r, err := c.user(ctx, id)
		if err == nil {
			u = r.toSDK()
		}
		return err
	})
	return sdk.GetUserResponse{User: u}, err
}

func noSuchUser() *sdk.Error { return sdk.Errorf(sdk.ReasonNotFound, "Jellyfin has no such user") }

// writable refuses the users that are never written to.
func (a *account) writable() error {
	if a.Policy.IsAdministrator {
		return sdk.Errorf(sdk.ReasonProtected, "this user is an administrator of Jellyfin, and is changed only there")
	}
	return nil
}

// toSDK gives the user in the words of the contract.
func (a *account) toSDK() sdk.User {
	p := &a.Policy
	u := sdk.User{
		ID: normalID(a.ID), Username: a.Name, Kind: kindUser, Status: sdk.StatusActive,
		Libraries:   p.libraries(),
		Permissions: make(map[string]sdk.Tri, len(permissions)),
		Limits:      make(map[string]int64, len(limits)),
	}
	if p.IsAdministrator {
		u.Kind, u.Protected = kindAdmin, true
	}
	if p.IsDisabled {
		u.Status = sdk.StatusSuspended
	}
	for i := range permissions {
		if allowed := permissions[i].get(p); allowed != nil {
			u.Permissions[permissions[i].info.Name] = sdk.TriOf(*allowed)
		}
	}
	for i := range limits {
		if n := limits[i].get(p); n != nil {
			u.Limits[limits[i].info.Name] = max(*n, 0)
		}
	}
	u.LastActiveAt = a.lastActive()
	signedIn := !u.LastActiveAt.IsZero()
	u.SignedIn = &signedIn
	return u
}

func (p *policyFields) libraries() *sdk.LibraryAccess {
	switch {
	case p.EnableAllFolders == nil:
		return nil
	case *p.EnableAllFolders:
		return &sdk.LibraryAccess{Mode: sdk.LibraryAll}
	case len(p.EnabledFolders) == 0:
		return &sdk.LibraryAccess{Mode: sdk.LibraryNone}
	}
	ids := make([]string, len(p.EnabledFolders))
	for i, id := range p.EnabledFolders {
		ids[i] = normalID(id)
	}
	return &sdk.LibraryAccess{Mode: sdk.LibraryOnly, IDs: ids}
}

// lastActive gives the later of the last sign-in and the last request, zero for
// somebody who was never there.
func (a *account) lastActive() time.Time {
	login, activity := instant(a.LastLoginDate), instant(a.LastActivityDate)
	if login.After(activity) {
		return login
	}
	return activity
}

// instant reads a date, with .NET's first day as none.
func instant(s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.Year() <= 1 {
		return time.Time{}
	}
	return t.UTC()
}
