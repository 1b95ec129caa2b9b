package api

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/host/internal/redeem"
)

// Redemption is one attempt to turn an invitation into accounts. It outlives its
// invitation and its servers.
type Redemption struct {
	ID            string           `json:"id" format:"uuid"`
	InvitationID  *string          `json:"invitation_id" doc:"null once the invitation was deleted; the code stays."`
	Code          string           `json:"code"`
	State         string           `json:"state" doc:"in_progress, completed, undoing, failed or needs_attention."`
	Username      string           `json:"username"`
	Email         *string          `json:"email"`
	DisplayName   *string          `json:"display_name"`
	IdentityID    *string          `json:"identity_id"`
	ClientAddress string           `json:"client_address"`
	Error         Null[Failure]    `json:"error"`
	Steps         []RedemptionStep `json:"steps" nullable:"false"`
	CorrelationID string           `json:"correlation_id"`
	CreatedAt     time.Time        `json:"created_at"`
	UpdatedAt     time.Time        `json:"updated_at"`
	FinishedAt    *time.Time       `json:"finished_at"`
}

// RedemptionStep is what a redemption does on one server.
type RedemptionStep struct {
	ServerID      *string       `json:"server_id" doc:"null once the server was deleted; name and type stay."`
	ServerName    string        `json:"server_name"`
	ServerType    string        `json:"server_type"`
	State         string        `json:"state" doc:"pending, creating, done, skipped, failed, undoing, undone or needs_attention."`
	Username      string        `json:"username"`
	ExternalID    *string       `json:"external_id"`
	UserID        *string       `json:"user_id"`
	Attempts      int           `json:"attempts"`
	NextAttemptAt *time.Time    `json:"next_attempt_at"`
	Error         Null[Failure] `json:"error"`
	UpdatedAt     time.Time     `json:"updated_at"`
}

// Failure is how something went wrong, for two readers.
type Failure struct {
	ErrorCode string `json:"error_code"`
	Message   string `json:"message" doc:"For the invitee."`
	Detail    string `json:"detail" doc:"For the admin."`
	Retryable bool   `json:"retryable"`
}

func toFailure(f *redeem.Failure) Null[Failure] {
	if f == nil {
		return Null[Failure]{}
	}
	return nullOf(&Failure{ErrorCode: f.ErrorCode, Message: f.Message, Detail: f.Detail, Retryable: f.Retryable})
}

func idText(id *uuid.UUID) *string {
	if id == nil {
		return nil
	}
	return text(id.String())
}

func toRedemption(r redeem.Redemption) Redemption {
	out := Redemption{
		ID: r.ID.String(), InvitationID: idText(r.InvitationID), Code: r.Code, State: string(r.State), Username: r.Username, Email: r.Email,
		DisplayName: r.DisplayName, IdentityID: idText(r.IdentityID), ClientAddress: r.ClientAddress, Error: toFailure(r.Error),
		Steps: make([]RedemptionStep, len(r.Steps)), CorrelationID: r.CorrelationID, CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
		FinishedAt: inUTC(r.FinishedAt),
	}
	for i, s := range r.Steps {
		out.Steps[i] = RedemptionStep{
			ServerID: idText(s.ServerID), ServerName: s.ServerName, ServerType: s.ServerType, State: string(s.State), Username: s.Username,
			ExternalID: s.ExternalID, UserID: idText(s.UserID), Attempts: s.Attempts, NextAttemptAt: inUTC(s.NextAttemptAt),
			Error: toFailure(s.Error), UpdatedAt: s.UpdatedAt.UTC(),
		}
	}
	return out
}

func (a *API) listRedemptions(ctx context.Context, in *struct {
	PageParams
	InvitationID  []string  `query:"invitation_id,explode" format:"uuid"`
	ServerID      []string  `query:"server_id,explode" format:"uuid"`
	IdentityID    []string  `query:"identity_id,explode" format:"uuid"`
	State         []string  `query:"state,explode" enum:"in_progress,completed,undoing,failed,needs_attention"`
	Q             string    `query:"q" maxLength:"100" doc:"Part of code, username, e-mail or display name, ignoring case."`
	CreatedAfter  time.Time `query:"created_after"`
	CreatedBefore time.Time `query:"created_before"`
}) (*body[List[Redemption]], error) {
	after, err := queryTime("created_after", in.CreatedAfter)
	if err != nil {
		return nil, err
	}
	before, err := queryTime("created_before", in.CreatedBefore)
	if err != nil {
		return nil, err
	}
	f := redeem.Filter{
		InvitationID: uuids(in.InvitationID), ServerID: uuids(in.ServerID), IdentityID: uuids(in.IdentityID),
		CreatedAfter: after, CreatedBefore: before, Query: in.Q,
	}
	for _, s := range in.State {
		f.State = append(f.State, redeem.State(s))
	}
	p, err := a.Redemptions.List(ctx, f, in.request())
	if err != nil {
		return nil, err
	}
	return listOf(p, toRedemption), nil
}

func (a *API) getRedemption(ctx context.Context, in *IDParam) (*body[Redemption], error) {
	r, err := a.Redemptions.Get(ctx, in.id())
	return ok(toRedemption(r)), err
}

func (a *API) retryRedemption(ctx context.Context, in *struct {
	IDParam
	NoBody
}) (*body[Redemption], error) {
	r, err := a.Redemptions.Retry(ctx, in.id())
	return ok(toRedemption(r)), err
}

// StepResolution says what becomes of the account of a step that needs attention.
type StepResolution struct {
	Action          string `json:"action" enum:"delete_account,keep_account,forget" doc:"Delete the account on the media server, keep it as a user, or leave it and forget it."`
	ConfirmUsername string `json:"confirm_username,omitempty" maxLength:"256" doc:"The username of the account; required to delete it."`
}

func (a *API) resolveStep(ctx context.Context, in *struct {
	IDParam
	ServerID string `path:"server_id" format:"uuid"`
	Body     StepResolution
}) (*body[Redemption], error) {
	serverID, err := uuid.Parse(in.ServerID)
	if err != nil {
		return nil, err // huma has checked the form
	}
	r, err := a.Redemptions.Resolve(ctx, in.id(), serverID, redeem.Action(in.Body.Action), in.Body.ConfirmUsername)
	return ok(toRedemption(r)), err
}
