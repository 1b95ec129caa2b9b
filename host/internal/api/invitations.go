package api

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/host/internal/invitation"
)

// Invitation is a code that grants access to one or more media servers.
type Invitation struct {
	ID           string         `json:"id" format:"uuid"`
	Code         string         `json:"code"`
	URL          *string        `json:"url" doc:"The link to hand out; null when no base URL is known."`
	Label        string         `json:"label" doc:"For admins; invitees never see it."`
	Note         *string        `json:"note" doc:"For admins; invitees never see it."`
	Enabled      bool           `json:"enabled"`
	State        string         `json:"state" doc:"The first that holds: disabled, expired, exhausted, no_server, active."`
	StateMessage *string        `json:"state_message"`
	ExpiresAt    *time.Time     `json:"expires_at" doc:"An instant at or after it is expired."`
	MaxUses      *int           `json:"max_uses" doc:"null = unlimited."`
	UseCount     int            `json:"use_count"`
	DurationDays *int           `json:"duration_days" doc:"How long the accounts live that it makes, in days of 24 h; null = for ever."`
	OnExpiry     string         `json:"on_expiry" doc:"disable or delete: what becomes of an account that expired."`
	Email        string         `json:"email" doc:"off, optional or required."`
	ProfileID    *string        `json:"profile_id" doc:"The profile that it was made from."`
	Servers      []TargetServer `json:"servers" nullable:"false"`
	CreatedBy    Actor          `json:"created_by"`
	CreatedAt    time.Time      `json:"created_at"`
	UpdatedAt    time.Time      `json:"updated_at"`
}

// Actor is who did something.
type Actor struct {
	Kind string  `json:"kind" doc:"api_key, admin or system."`
	ID   *string `json:"id"`
	Name *string `json:"name"`
}

func toActor(who string, names map[string]string) Actor {
	kind, id, _ := strings.Cut(who, ":")
	return Actor{Kind: kind, ID: text(id), Name: text(names[who])}
}

func (a *API) toInvitation(i invitation.Invitation, names map[string]string) Invitation {
	out := Invitation{
		ID: i.ID.String(), Code: i.Code, Label: i.Label, Note: i.Note, Enabled: i.Enabled, State: string(i.State), StateMessage: text(i.State.Message()),
		ExpiresAt: inUTC(i.ExpiresAt), MaxUses: i.MaxUses, UseCount: i.UseCount, DurationDays: i.DurationDays, OnExpiry: i.OnExpiry, Email: i.Email,
		Servers: toTargets(i.Servers), CreatedBy: toActor(i.CreatedBy, names), CreatedAt: i.CreatedAt.UTC(), UpdatedAt: i.UpdatedAt.UTC(),
	}
	if a.BaseURL != "" {
		out.URL = text(a.BaseURL + "/j/" + i.Code)
	}
	if i.ProfileID != nil {
		out.ProfileID = text(i.ProfileID.String())
	}
	return out
}

// shownInvitation maps one invitation, with the name of who made it.
func (a *API) shownInvitation(ctx context.Context, i invitation.Invitation) (Invitation, error) {
	names, err := a.Keys.Names(ctx, i.CreatedBy)
	if err != nil {
		return Invitation{}, err
	}
	return a.toInvitation(i, names), nil
}

// InvitationCreate is a new invitation. It names servers or a profile.
type InvitationCreate struct {
	Code         string         `json:"code,omitempty" minLength:"4" maxLength:"64" doc:"4 to 64 of A–Z a–z 0–9 _ -; one is made when it is left out."`
	Label        *string        `json:"label,omitempty" maxLength:"200"`
	Note         *string        `json:"note,omitempty" nullable:"true" maxLength:"4000"`
	Enabled      *bool          `json:"enabled,omitempty"`
	ExpiresAt    Opt[time.Time] `json:"expires_at,omitempty" doc:"null = never."`
	MaxUses      Opt[int]       `json:"max_uses,omitempty" minimum:"1" maximum:"1000000" doc:"1 unless said otherwise; null = unlimited."`
	DurationDays Opt[int]       `json:"duration_days,omitempty" minimum:"1" maximum:"36500" doc:"null = for ever."`
	OnExpiry     *string        `json:"on_expiry,omitempty" enum:"disable,delete"`
	Email        *string        `json:"email,omitempty" enum:"off,optional,required"`
	ProfileID    *string        `json:"profile_id,omitempty" nullable:"true" format:"uuid"`
	Servers      []TargetInput  `json:"servers,omitempty" maxItems:"50"`
}

// InvitationPatch changes what it names; code and use count never change.
type InvitationPatch struct {
	Label        Change[string]        `json:"label,omitempty" maxLength:"200"`
	Note         Opt[string]           `json:"note,omitempty" maxLength:"4000"`
	Enabled      Change[bool]          `json:"enabled,omitempty"`
	ExpiresAt    Opt[time.Time]        `json:"expires_at,omitempty" doc:"null = never."`
	MaxUses      Opt[int]              `json:"max_uses,omitempty" minimum:"1" maximum:"1000000" doc:"Not below use_count; null = unlimited."`
	DurationDays Opt[int]              `json:"duration_days,omitempty" minimum:"1" maximum:"36500" doc:"null = for ever."`
	OnExpiry     Change[string]        `json:"on_expiry,omitempty" enum:"disable,delete"`
	Email        Change[string]        `json:"email,omitempty" enum:"off,optional,required"`
	Servers      Change[[]TargetInput] `json:"servers,omitempty" minItems:"1" maxItems:"50" doc:"Replaces the whole list."`
}

func (a *API) listInvitations(ctx context.Context, in *struct {
	PageParams
	State     []string `query:"state,explode" enum:"disabled,expired,exhausted,no_server,active"`
	ServerID  []string `query:"server_id,explode" format:"uuid"`
	ProfileID []string `query:"profile_id,explode" format:"uuid"`
	CreatedBy []string `query:"created_by,explode" doc:"As api_key:<id>."`
	Q         string   `query:"q" maxLength:"100" doc:"Part of code, label or note, ignoring case."`
}) (*body[List[Invitation]], error) {
	f := invitation.Filter{CreatedBy: in.CreatedBy, Query: in.Q, ServerID: uuids(in.ServerID), ProfileID: uuids(in.ProfileID)}
	for _, s := range in.State {
		f.State = append(f.State, invitation.State(s))
	}
	p, err := a.Invitations.List(ctx, f, in.request())
	if err != nil {
		return nil, err
	}
	makers := make([]string, len(p.Items))
	for i, item := range p.Items {
		makers[i] = item.CreatedBy
	}
	names, err := a.Keys.Names(ctx, makers...)
	if err != nil {
		return nil, err
	}
	return listOf(p, func(i invitation.Invitation) Invitation { return a.toInvitation(i, names) }), nil
}

func (a *API) createInvitation(ctx context.Context, in *struct{ Body InvitationCreate }) (*created[Invitation], error) {
	b := in.Body
	servers, err := targetGrants(b.Servers)
	if err != nil {
		return nil, err
	}
	p := invitation.CreateParams{
		Code: b.Code, Label: b.Label, Note: b.Note, Enabled: b.Enabled, MaxUses: b.MaxUses.ptrPtr(), OnExpiry: b.OnExpiry, Email: b.Email,
		ExpiresAt: b.ExpiresAt.ptrPtr(), DurationDays: b.DurationDays.ptrPtr(), ProfileID: optionalID(b.ProfileID), Servers: servers, CreatedBy: actor(ctx),
	}
	i, err := a.Invitations.Create(ctx, p)
	if err != nil {
		return nil, err
	}
	shown, err := a.shownInvitation(ctx, i)
	if err != nil {
		return nil, err
	}
	return &created[Invitation]{Location: "/api/v1/invitations/" + shown.ID, Body: shown}, nil
}

func (a *API) getInvitation(ctx context.Context, in *IDParam) (*body[Invitation], error) {
	i, err := a.Invitations.Get(ctx, in.id())
	if err != nil {
		return nil, err
	}
	shown, err := a.shownInvitation(ctx, i)
	return ok(shown), err
}

func (a *API) patchInvitation(ctx context.Context, in *struct {
	IDParam
	Body InvitationPatch
}) (*body[Invitation], error) {
	b := in.Body
	p := invitation.Patch{
		Label: b.Label.ptr(), Note: b.Note.ptrPtr(), Enabled: b.Enabled.ptr(), ExpiresAt: b.ExpiresAt.ptrPtr(), MaxUses: b.MaxUses.ptrPtr(),
		DurationDays: b.DurationDays.ptrPtr(), OnExpiry: b.OnExpiry.ptr(), Email: b.Email.ptr(),
	}
	if targets := b.Servers.ptr(); targets != nil {
		servers, err := targetGrants(*targets)
		if err != nil {
			return nil, err
		}
		p.Servers = &servers
	}
	i, err := a.Invitations.Update(ctx, in.id(), p)
	if err != nil {
		return nil, err
	}
	shown, err := a.shownInvitation(ctx, i)
	return ok(shown), err
}

func (a *API) deleteInvitation(ctx context.Context, in *IDParam) (*none, error) {
	return nil, a.Invitations.Delete(ctx, in.id())
}

// uuids reads ids whose form huma has checked.
func uuids(in []string) []uuid.UUID {
	var out []uuid.UUID
	for _, s := range in {
		if id, err := uuid.Parse(s); err == nil {
			out = append(out, id)
		}
	}
	return out
}

func optionalID(s *string) *uuid.UUID {
	if s == nil {
		return nil
	}
	id, err := uuid.Parse(*s)
	if err != nil {
		return nil
	}
	return &id
}

// index names an entry of a list in a location: body.servers[0].
func index(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }
