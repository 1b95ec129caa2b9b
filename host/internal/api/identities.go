package api

import (
	"context"
	"time"

	"github.com/zondarr/zondarr/host/internal/identity"
)

// Identity is one person, who owns accounts on media servers.
type Identity struct {
	ID           string         `json:"id" format:"uuid"`
	DisplayName  string         `json:"display_name"`
	Email        *string        `json:"email"`
	Note         *string        `json:"note" doc:"For admins."`
	Enabled      bool           `json:"enabled"`
	ExpiresAt    *time.Time     `json:"expires_at" doc:"Ends every account of the person."`
	State        string         `json:"state" doc:"disabled, expired or active."`
	Users        []IdentityUser `json:"users" nullable:"false"`
	InvitationID *string        `json:"invitation_id"`
	CreatedAt    time.Time      `json:"created_at"`
	UpdatedAt    time.Time      `json:"updated_at"`
}

// IdentityUser is one account of a person, in short.
type IdentityUser struct {
	ID         string     `json:"id" format:"uuid"`
	ServerID   string     `json:"server_id" format:"uuid"`
	ServerName string     `json:"server_name"`
	ServerType string     `json:"server_type"`
	Username   string     `json:"username"`
	Enabled    bool       `json:"enabled"`
	Status     string     `json:"status"`
	ExpiresAt  *time.Time `json:"expires_at"`
}

func toIdentity(i identity.Identity) Identity {
	out := Identity{
		ID: i.ID.String(), DisplayName: i.DisplayName, Email: i.Email, Note: i.Note, Enabled: i.Enabled, ExpiresAt: inUTC(i.ExpiresAt), State: string(i.State),
		Users: make([]IdentityUser, len(i.Users)), InvitationID: idText(i.InvitationID), CreatedAt: i.CreatedAt.UTC(), UpdatedAt: i.UpdatedAt.UTC(),
	}
	for n, u := range i.Users {
		out.Users[n] = IdentityUser{
			ID: u.ID.String(), ServerID: u.ServerID.String(), ServerName: u.ServerName, ServerType: u.ServerType, Username: u.Username,
			Enabled: u.Enabled, Status: u.Status, ExpiresAt: inUTC(u.ExpiresAt),
		}
	}
	return out
}

// IdentityPatch changes what it names. Disabling suspends every account of the
// person on its media server first.
type IdentityPatch struct {
	DisplayName Change[string] `json:"display_name,omitempty" minLength:"1" maxLength:"100"`
	Email       Opt[string]    `json:"email,omitempty" maxLength:"254"`
	Note        Opt[string]    `json:"note,omitempty" maxLength:"4000"`
	Enabled     Change[bool]   `json:"enabled,omitempty"`
	ExpiresAt   Opt[time.Time] `json:"expires_at,omitempty"`
}

func (a *API) listIdentities(ctx context.Context, in *struct {
	PageParams
	State        []string `query:"state,explode" enum:"disabled,expired,active"`
	ServerID     []string `query:"server_id,explode" format:"uuid"`
	InvitationID []string `query:"invitation_id,explode" format:"uuid"`
	Q            string   `query:"q" maxLength:"100" doc:"Part of display name, e-mail, note or a username, ignoring case."`
}) (*body[List[Identity]], error) {
	f := identity.Filter{ServerID: uuids(in.ServerID), InvitationID: uuids(in.InvitationID), Query: in.Q}
	for _, s := range in.State {
		f.State = append(f.State, identity.State(s))
	}
	p, err := a.Identities.List(ctx, f, in.request())
	if err != nil {
		return nil, err
	}
	return listOf(p, toIdentity), nil
}

func (a *API) getIdentity(ctx context.Context, in *IDParam) (*body[Identity], error) {
	i, err := a.Identities.Get(ctx, in.id())
	return ok(toIdentity(i)), err
}

func (a *API) patchIdentity(ctx context.Context, in *struct {
	IDParam
	Body IdentityPatch
}) (*body[Identity], error) {
	b := in.Body
	i, err := a.Identities.Update(ctx, in.id(), identity.Patch{
		DisplayName: b.DisplayName.ptr(), Email: b.Email.ptrPtr(), Note: b.Note.ptrPtr(), Enabled: b.Enabled.ptr(), ExpiresAt: b.ExpiresAt.ptrPtr(),
	})
	return ok(toIdentity(i)), err
}

func (a *API) deleteIdentity(ctx context.Context, in *struct {
	IDParam
	Accounts string `query:"accounts" enum:"keep,delete" default:"keep" doc:"Whether the accounts on the media servers stay."`
}) (*none, error) {
	return nil, a.Identities.Delete(ctx, in.id(), in.Accounts == "delete")
}
