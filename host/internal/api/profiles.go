package api

import (
	"context"
	"time"

	"github.com/zondarr/zondarr/host/internal/invitation"
)

// Profile is a named set of choices that an invitation starts from. The
// invitation keeps its own copy.
type Profile struct {
	ID               string         `json:"id" format:"uuid"`
	Name             string         `json:"name"`
	Label            string         `json:"label"`
	Note             *string        `json:"note"`
	ExpiresAfterDays *int           `json:"expires_after_days" doc:"How long an invitation made from it is valid; null = for ever."`
	MaxUses          *int           `json:"max_uses" doc:"null = unlimited."`
	DurationDays     *int           `json:"duration_days"`
	OnExpiry         string         `json:"on_expiry" doc:"disable or delete."`
	Email            string         `json:"email" doc:"off, optional or required."`
	IsDefault        bool           `json:"is_default" doc:"Taken when an invitation names neither servers nor a profile."`
	Servers          []TargetServer `json:"servers" nullable:"false"`
	CreatedAt        time.Time      `json:"created_at"`
	UpdatedAt        time.Time      `json:"updated_at"`
}

func toProfile(p invitation.Profile) Profile {
	return Profile{
		ID: p.ID.String(), Name: p.Name, Label: p.Label, Note: p.Note, ExpiresAfterDays: p.ExpiresAfterDays, MaxUses: p.MaxUses,
		DurationDays: p.DurationDays, OnExpiry: p.OnExpiry, Email: p.Email, IsDefault: p.Default, Servers: toTargets(p.Servers),
		CreatedAt: p.CreatedAt.UTC(), UpdatedAt: p.UpdatedAt.UTC(),
	}
}

// ProfileCreate is a new profile.
type ProfileCreate struct {
	Name             string        `json:"name" minLength:"1" maxLength:"100"`
	Label            string        `json:"label,omitempty" maxLength:"200"`
	Note             *string       `json:"note,omitempty" nullable:"true" maxLength:"4000"`
	ExpiresAfterDays *int          `json:"expires_after_days,omitempty" nullable:"true" minimum:"1" maximum:"36500"`
	MaxUses          Opt[int]      `json:"max_uses,omitempty" minimum:"1" maximum:"1000000" doc:"1 unless said otherwise; null = unlimited."`
	DurationDays     *int          `json:"duration_days,omitempty" nullable:"true" minimum:"1" maximum:"36500"`
	OnExpiry         *string       `json:"on_expiry,omitempty" enum:"disable,delete"`
	Email            *string       `json:"email,omitempty" enum:"off,optional,required"`
	IsDefault        bool          `json:"is_default,omitempty"`
	Servers          []TargetInput `json:"servers" minItems:"1" maxItems:"50"`
}

// ProfilePatch changes what it names; invitations made from the profile stay as
// they are.
type ProfilePatch struct {
	Name             Change[string]        `json:"name,omitempty" minLength:"1" maxLength:"100"`
	Label            Change[string]        `json:"label,omitempty" maxLength:"200"`
	Note             Opt[string]           `json:"note,omitempty" maxLength:"4000"`
	ExpiresAfterDays Opt[int]              `json:"expires_after_days,omitempty" minimum:"1" maximum:"36500" doc:"null = for ever."`
	MaxUses          Opt[int]              `json:"max_uses,omitempty" minimum:"1" maximum:"1000000" doc:"null = unlimited."`
	DurationDays     Opt[int]              `json:"duration_days,omitempty" minimum:"1" maximum:"36500" doc:"null = for ever."`
	OnExpiry         Change[string]        `json:"on_expiry,omitempty" enum:"disable,delete"`
	Email            Change[string]        `json:"email,omitempty" enum:"off,optional,required"`
	IsDefault        Change[bool]          `json:"is_default,omitempty"`
	Servers          Change[[]TargetInput] `json:"servers,omitempty" minItems:"1" maxItems:"50" doc:"Replaces the whole list."`
}

func (a *API) listProfiles(ctx context.Context, in *struct {
	PageParams
	Q string `query:"q" maxLength:"100" doc:"Part of name or label, ignoring case."`
}) (*body[List[Profile]], error) {
	p, err := a.Invitations.ListProfiles(ctx, invitation.ProfileFilter{Query: in.Q}, in.request())
	if err != nil {
		return nil, err
	}
	return listOf(p, toProfile), nil
}

func (a *API) createProfile(ctx context.Context, in *struct{ Body ProfileCreate }) (*created[Profile], error) {
	b := in.Body
	servers, err := targetGrants(b.Servers)
	if err != nil {
		return nil, err
	}
	p, err := a.Invitations.CreateProfile(ctx, invitation.ProfileParams{
		Name: b.Name, Label: b.Label, Note: b.Note, ExpiresAfterDays: b.ExpiresAfterDays, MaxUses: b.MaxUses.ptrPtr(), DurationDays: b.DurationDays,
		OnExpiry: b.OnExpiry, Email: b.Email, Default: b.IsDefault, Servers: servers, CreatedBy: actor(ctx),
	})
	if err != nil {
		return nil, err
	}
	return &created[Profile]{Location: "/api/v1/profiles/" + p.ID.String(), Body: toProfile(p)}, nil
}

func (a *API) getProfile(ctx context.Context, in *IDParam) (*body[Profile], error) {
	p, err := a.Invitations.GetProfile(ctx, in.id())
	return ok(toProfile(p)), err
}

func (a *API) patchProfile(ctx context.Context, in *struct {
	IDParam
	Body ProfilePatch
}) (*body[Profile], error) {
	b := in.Body
	patch := invitation.ProfilePatch{
		Name: b.Name.ptr(), Label: b.Label.ptr(), Note: b.Note.ptrPtr(), ExpiresAfterDays: b.ExpiresAfterDays.ptrPtr(), MaxUses: b.MaxUses.ptrPtr(),
		DurationDays: b.DurationDays.ptrPtr(), OnExpiry: b.OnExpiry.ptr(), Email: b.Email.ptr(), Default: b.IsDefault.ptr(),
	}
	if targets := b.Servers.ptr(); targets != nil {
		servers, err := targetGrants(*targets)
		if err != nil {
			return nil, err
		}
		patch.Servers = &servers
	}
	p, err := a.Invitations.UpdateProfile(ctx, in.id(), patch)
	return ok(toProfile(p)), err
}

func (a *API) deleteProfile(ctx context.Context, in *IDParam) (*none, error) {
	return nil, a.Invitations.DeleteProfile(ctx, in.id())
}
