package api

import (
	"context"
	"time"

	"github.com/zondarr/zondarr/host/internal/identity"
)

// User is one account on one media server.
type User struct {
	ID           string               `json:"id" format:"uuid"`
	IdentityID   string               `json:"identity_id" format:"uuid"`
	ServerID     string               `json:"server_id" format:"uuid"`
	ServerName   string               `json:"server_name"`
	ServerType   string               `json:"server_type"`
	ExternalID   string               `json:"external_id" doc:"The media server's own id of it."`
	Username     string               `json:"username"`
	Email        *string              `json:"email"`
	Kind         string               `json:"kind" doc:"One of the server type's user_kinds."`
	Protected    bool                 `json:"protected" doc:"Administrators, the owner, the account that Zondarr itself uses: never written to."`
	Enabled      bool                 `json:"enabled" doc:"What we want."`
	Status       string               `json:"status" doc:"What the server said last: active, suspended, pending, missing or unknown."`
	ExpiresAt    *time.Time           `json:"expires_at"`
	OnExpiry     string               `json:"on_expiry" doc:"disable or delete."`
	Libraries    Null[GrantLibraries] `json:"libraries" doc:"null where the server does not tell."`
	Permissions  map[string]string    `json:"permissions" nullable:"true" doc:"null where the server does not tell."`
	Limits       map[string]int64     `json:"limits" nullable:"true" doc:"null where the server does not tell."`
	Options      map[string]any       `json:"options"`
	AccessReadAt *time.Time           `json:"access_read_at"`
	Origin       string               `json:"origin" doc:"redemption, import or manual."`
	InvitationID *string              `json:"invitation_id"`
	RedemptionID *string              `json:"redemption_id"`
	LastActiveAt *time.Time           `json:"last_active_at"`
	LastSeenAt   *time.Time           `json:"last_seen_at"`
	CreatedAt    time.Time            `json:"created_at"`
	UpdatedAt    time.Time            `json:"updated_at"`
}

func toUser(u identity.User) User {
	options := u.Options
	if options == nil {
		options = map[string]any{}
	}
	out := User{
		ID: u.ID.String(), IdentityID: u.IdentityID.String(), ServerID: u.ServerID.String(), ServerName: u.ServerName, ServerType: u.ServerType,
		ExternalID: u.ExternalID, Username: u.Username, Email: u.Email, Kind: u.Kind, Protected: u.Protected, Enabled: u.Enabled, Status: u.Status,
		ExpiresAt: inUTC(u.ExpiresAt), OnExpiry: u.OnExpiry, Permissions: u.Permissions, Limits: u.Limits, Options: options,
		AccessReadAt: inUTC(u.AccessReadAt), Origin: u.Origin, InvitationID: idText(u.InvitationID), RedemptionID: idText(u.RedemptionID),
		LastActiveAt: inUTC(u.LastActiveAt), LastSeenAt: inUTC(u.LastSeenAt), CreatedAt: u.CreatedAt.UTC(), UpdatedAt: u.UpdatedAt.UTC(),
	}
	if u.Libraries != nil {
		out.Libraries = nullOf(&GrantLibraries{Access: string(u.Libraries.Access), LibraryIDs: idStrings(u.Libraries.LibraryIDs)})
	}
	return out
}

// UserPatch changes what it names, on the media server first.
type UserPatch struct {
	Enabled   Change[bool]   `json:"enabled,omitempty"`
	ExpiresAt Opt[time.Time] `json:"expires_at,omitempty"`
	OnExpiry  Change[string] `json:"on_expiry,omitempty" enum:"disable,delete"`
}

func (a *API) listUsers(ctx context.Context, in *struct {
	PageParams
	ServerID      []string  `query:"server_id,explode" format:"uuid"`
	IdentityID    []string  `query:"identity_id,explode" format:"uuid"`
	InvitationID  []string  `query:"invitation_id,explode" format:"uuid"`
	Enabled       string    `query:"enabled" enum:"true,false"`
	Status        []string  `query:"status,explode" enum:"active,suspended,pending,missing,unknown"`
	Origin        []string  `query:"origin,explode" enum:"redemption,import,manual"`
	ExpiresBefore time.Time `query:"expires_before" doc:"By the account's own expiry or the person's."`
	Q             string    `query:"q" maxLength:"100" doc:"Part of the username or the e-mail, ignoring case."`
}) (*body[List[User]], error) {
	before, err := queryTime("expires_before", in.ExpiresBefore)
	if err != nil {
		return nil, err
	}
	p, err := a.Identities.ListUsers(ctx, identity.UserFilter{
		ServerID: uuids(in.ServerID), IdentityID: uuids(in.IdentityID), InvitationID: uuids(in.InvitationID), Enabled: triFlag(in.Enabled),
		Status: in.Status, Origin: in.Origin, ExpiresBefore: before, Query: in.Q,
	}, in.request())
	if err != nil {
		return nil, err
	}
	return listOf(p, toUser), nil
}

func (a *API) getUser(ctx context.Context, in *IDParam) (*body[User], error) {
	u, err := a.Identities.GetUser(ctx, in.id())
	return ok(toUser(u)), err
}

func (a *API) patchUser(ctx context.Context, in *struct {
	IDParam
	Body UserPatch
}) (*body[User], error) {
	b := in.Body
	u, err := a.Identities.UpdateUser(ctx, in.id(), identity.UserPatch{
		Enabled: b.Enabled.ptr(), ExpiresAt: b.ExpiresAt.ptrPtr(), OnExpiry: b.OnExpiry.ptr(),
	})
	return ok(toUser(u)), err
}

func (a *API) deleteUser(ctx context.Context, in *struct {
	IDParam
	Account string `query:"account" enum:"keep,delete" default:"keep" doc:"Whether the account on the media server stays."`
}) (*none, error) {
	return nil, a.Identities.DeleteUser(ctx, in.id(), in.Account == "delete")
}
