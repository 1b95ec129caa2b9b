package api

import (
	"context"
	"time"

	"github.com/go-chi/chi/v5/middleware"

	"github.com/zondarr/zondarr/host/internal/redeem"
	"github.com/zondarr/zondarr/sdk"
)

// JoinLink is a sign-in of an invitee where the account lives. Approval alone
// redeems nothing; a failed redemption leaves it usable until it expires.
type JoinLink struct {
	ID           string                `json:"id" doc:"128 random bits."`
	Realm        string                `json:"realm"`
	ServerIDs    []string              `json:"server_ids" nullable:"false" doc:"The servers of the invitation that it serves."`
	State        string                `json:"state" doc:"pending, approved, denied, expired or failed."`
	AuthorizeURL string                `json:"authorize_url" doc:"To be opened in the invitee's browser."`
	UserCode     *string               `json:"user_code" doc:"To be typed there, where the realm wants it."`
	Account      Null[JoinLinkAccount] `json:"account" doc:"Who signed in, once approved."`
	ErrorCode    *string               `json:"error_code"`
	Message      *string               `json:"message"`
	PollAfterMS  int                   `json:"poll_after_ms" doc:"The least time between two polls."`
	ExpiresAt    time.Time             `json:"expires_at"`
}

// JoinLinkAccount is who signed in.
type JoinLinkAccount struct {
	Name string `json:"name"`
}

func toJoinLink(l redeem.Link) JoinLink {
	out := JoinLink{
		ID: l.ID, Realm: l.Realm, ServerIDs: idStrings(l.ServerIDs), State: string(l.State), AuthorizeURL: l.AuthorizeURL, UserCode: l.UserCode,
		ErrorCode: text(l.ErrorCode), Message: text(l.Message), PollAfterMS: int(l.PollAfter / time.Millisecond), ExpiresAt: l.ExpiresAt.UTC(),
	}
	if l.AccountName != nil {
		out.Account = nullOf(&JoinLinkAccount{Name: *l.AccountName})
	}
	return out
}

// JoinLinkBegin begins a sign-in.
type JoinLinkBegin struct {
	Realm string `json:"realm" minLength:"1" maxLength:"64" doc:"One that GET /join/{code} asks for."`
}

func (a *API) beginLink(ctx context.Context, in *struct {
	CodeParam
	Body JoinLinkBegin
}) (*created[JoinLink], error) {
	l, err := guarded(ctx, a, a.guard.lookUp, func() (redeem.Link, error) {
		if err := a.guard.redeem(clientKey(middleware.GetClientIPAddr(ctx)), codeKey(in.Code)); err != nil {
			return redeem.Link{}, err
		}
		return a.Redemptions.BeginLink(ctx, in.Code, in.Body.Realm, redeem.Caller{Address: middleware.GetClientIP(ctx), CorrelationID: sdk.CorrelationID(ctx)})
	})
	if err != nil {
		return nil, err
	}
	return &created[JoinLink]{Location: "/api/v1/join/" + l.Code + "/links/" + l.ID, Body: toJoinLink(l)}, nil
}

func (a *API) getLink(ctx context.Context, in *struct {
	CodeParam
	ID string `path:"id" maxLength:"64"`
}) (*body[JoinLink], error) {
	l, err := guarded(ctx, a, a.guard.poll, func() (redeem.Link, error) { return a.Redemptions.PollLink(ctx, in.Code, in.ID) })
	if err != nil {
		return nil, err
	}
	return ok(toJoinLink(l)), nil
}
