package api

import (
	"context"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/google/uuid"

	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/redeem"
	"github.com/zondarr/zondarr/sdk"
)

// JoinResult is how a redemption went, for the invitee.
type JoinResult struct {
	State     string       `json:"state" doc:"in_progress, completed, undoing, failed or needs_attention."`
	StatusURL string       `json:"status_url" doc:"Where to ask again."`
	ErrorCode *string      `json:"error_code"`
	Message   *string      `json:"message"`
	Users     []JoinUser   `json:"users" nullable:"false" doc:"The accounts, once it is completed."`
	Failed    []JoinFailed `json:"failed" nullable:"false" doc:"The servers that gave no account."`
}

// JoinUser is one account that the invitee now has.
type JoinUser struct {
	ServerID   string     `json:"server_id" format:"uuid"`
	ServerName string     `json:"server_name"`
	ServerType string     `json:"server_type"`
	Username   string     `json:"username"`
	Status     string     `json:"status" doc:"active, or pending: the invitee has something left to do."`
	SignInURL  *string    `json:"sign_in_url"`
	Message    *string    `json:"message" doc:"What is left to do."`
	ExpiresAt  *time.Time `json:"expires_at"`
}

// JoinFailed is one server that gave no account.
type JoinFailed struct {
	ServerID   *string `json:"server_id"`
	ServerName string  `json:"server_name"`
	ErrorCode  string  `json:"error_code"`
	Message    string  `json:"message"`
}

func toJoinResult(r redeem.Result) JoinResult {
	out := JoinResult{
		State: string(r.State), StatusURL: "/api/v1/join/" + r.Code + "/redemptions/" + r.PublicID, ErrorCode: text(r.ErrorCode), Message: text(r.Message),
		Users: make([]JoinUser, len(r.Users)), Failed: make([]JoinFailed, len(r.Failed)),
	}
	for i, u := range r.Users {
		out.Users[i] = JoinUser{
			ServerID: u.ServerID.String(), ServerName: u.ServerName, ServerType: u.ServerType, Username: u.Username, Status: u.Status,
			SignInURL: u.SignInURL, Message: u.Message, ExpiresAt: inUTC(u.ExpiresAt),
		}
	}
	for i, f := range r.Failed {
		out.Failed[i] = JoinFailed{ServerName: f.ServerName, ErrorCode: f.ErrorCode, Message: f.Message}
		if f.ServerID != nil {
			out.Failed[i].ServerID = text(f.ServerID.String())
		}
	}
	return out
}

// CodeParam names an invitation in the path, as somebody typed it. Like every type
// that is embedded in a request it is exported: huma does not see others.
type CodeParam struct {
	Code string `path:"code" maxLength:"100" doc:"As it was handed out; case and, in generated codes, spaces and hyphens are forgiven."`
}

// guarded runs what looks a code up, if admit lets the client, and counts a miss.
func guarded[T any](ctx context.Context, a *API, admit func(client string) error, do func() (T, error)) (T, error) {
	client := clientKey(middleware.GetClientIPAddr(ctx))
	if err := admit(client); err != nil {
		var none T
		return none, err
	}
	out, err := do()
	if fault.CodeOf(err) == fault.CodeInvitationNotFound {
		a.guard.missed(client)
	}
	return out, err
}

// JoinBody is what an invitee sends. What is asked for, GET told.
type JoinBody struct {
	Username    string   `json:"username,omitempty" maxLength:"256"`
	Password    string   `json:"password,omitempty" maxLength:"1024"`
	Email       *string  `json:"email,omitempty" nullable:"true" maxLength:"254"`
	DisplayName *string  `json:"display_name,omitempty" nullable:"true" maxLength:"100"`
	LinkIDs     []string `json:"link_ids,omitempty" maxItems:"10" doc:"Approved links of POST …/links."`
}

// joined is 201 when the redemption is done, 202 while it goes on.
type joined struct {
	Status   int
	Location string `header:"Location" doc:"Where to ask how it went."`
	Body     JoinResult
}

func (a *API) join(ctx context.Context, in *struct {
	CodeParam
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" pattern:"^[ -~]+$" doc:"Printable ASCII: a request with the same key and fields is answered as the first one was, for 24 h."`
	Body           JoinBody
}) (*joined, error) {
	r, err := guarded(ctx, a, a.guard.lookUp, func() (redeem.Result, error) {
		if err := a.guard.redeem(clientKey(middleware.GetClientIPAddr(ctx)), codeKey(in.Code)); err != nil {
			return redeem.Result{}, err
		}
		return a.Redemptions.Join(ctx, in.Code, redeem.Request{
			Username: in.Body.Username, Password: in.Body.Password, Email: in.Body.Email, DisplayName: in.Body.DisplayName, LinkIDs: in.Body.LinkIDs,
		}, in.IdempotencyKey, redeem.Caller{Address: middleware.GetClientIP(ctx), CorrelationID: sdk.CorrelationID(ctx)})
	})
	if err != nil {
		return nil, err
	}
	out := &joined{Status: http.StatusCreated, Body: toJoinResult(r)}
	if !r.State.Finished() {
		out.Status = http.StatusAccepted
	}
	out.Location = out.Body.StatusURL
	return out, nil
}

func (a *API) joinResult(ctx context.Context, in *struct {
	CodeParam
	ID string `path:"id" maxLength:"64"`
}) (*body[JoinResult], error) {
	r, err := guarded(ctx, a, a.guard.poll, func() (redeem.Result, error) { return a.Redemptions.Result(ctx, in.Code, in.ID) })
	if err != nil {
		return nil, err
	}
	return ok(toJoinResult(r)), nil
}

// JoinPreview is what an invitee sees of a code before typing anything.
type JoinPreview struct {
	State        string          `json:"state" doc:"active, or why the code cannot be redeemed: disabled, expired, exhausted or no_server."`
	ErrorCode    *string         `json:"error_code"`
	Message      *string         `json:"message"`
	ExpiresAt    *time.Time      `json:"expires_at" doc:"When the code expires."`
	DurationDays *int            `json:"duration_days" doc:"How long the accounts live."`
	Servers      []JoinServer    `json:"servers" nullable:"false"`
	Fields       []JoinField     `json:"fields" nullable:"false" doc:"What is asked for."`
	Links        []JoinLinkAsked `json:"links" nullable:"false" doc:"Sign-ins elsewhere that are needed first."`
}

// JoinServer is one server of an invitation.
type JoinServer struct {
	ServerID    string   `json:"server_id" format:"uuid"`
	Name        string   `json:"name"`
	ServerType  string   `json:"server_type"`
	DisplayName string   `json:"display_name"`
	JoinFlow    string   `json:"join_flow" doc:"password, linked_account or none."`
	Realm       *string  `json:"realm" doc:"Where the account lives."`
	Available   bool     `json:"available" doc:"false = switched off, and skipped."`
	Libraries   []string `json:"libraries" nullable:"true" doc:"Names; null = all there are."`
}

// JoinField is one field of the form, with the rules of every server.
type JoinField struct {
	Name     string     `json:"name" doc:"username, password or email."`
	Required bool       `json:"required"`
	Rules    []JoinRule `json:"rules" nullable:"false"`
}

// JoinRule is one rule of a field; all of them hold.
type JoinRule struct {
	MinLength *int    `json:"min_length" doc:"Characters."`
	MaxLength *int    `json:"max_length" doc:"Characters."`
	MaxBytes  *int    `json:"max_bytes" doc:"Bytes of UTF-8."`
	Pattern   *string `json:"pattern"`
	Message   string  `json:"message" doc:"The rule in words."`
}

// JoinLinkAsked is a sign-in that is needed before the code can be redeemed.
type JoinLinkAsked struct {
	Realm     string   `json:"realm"`
	Label     string   `json:"label"`
	ServerIDs []string `json:"server_ids" nullable:"false"`
}

func (a *API) preview(ctx context.Context, in *CodeParam) (*body[JoinPreview], error) {
	p, err := guarded(ctx, a, a.guard.lookUp, func() (redeem.Preview, error) { return a.Redemptions.Preview(ctx, in.Code) })
	if err != nil {
		return nil, err
	}
	out := JoinPreview{
		State: string(p.State), ErrorCode: text(p.ErrorCode), Message: text(p.Message), ExpiresAt: inUTC(p.ExpiresAt), DurationDays: p.DurationDays,
		Servers: make([]JoinServer, len(p.Servers)), Fields: make([]JoinField, len(p.Fields)), Links: make([]JoinLinkAsked, len(p.Links)),
	}
	for i, s := range p.Servers {
		out.Servers[i] = JoinServer{
			ServerID: s.ServerID.String(), Name: s.Name, ServerType: s.ServerType, DisplayName: s.DisplayName, JoinFlow: string(s.JoinFlow),
			Realm: text(s.Realm), Available: s.Available, Libraries: s.Libraries,
		}
	}
	for i, f := range p.Fields {
		out.Fields[i] = JoinField{Name: f.Name, Required: f.Required, Rules: make([]JoinRule, len(f.Rules))}
		for j, r := range f.Rules {
			out.Fields[i].Rules[j] = JoinRule{MinLength: number(r.MinLength), MaxLength: number(r.MaxLength), MaxBytes: number(r.MaxBytes), Pattern: text(r.Pattern), Message: r.Message}
		}
	}
	for i, l := range p.Links {
		out.Links[i] = JoinLinkAsked{Realm: l.Realm, Label: l.Label, ServerIDs: idStrings(l.ServerIDs)}
	}
	return ok(out), nil
}

func idStrings(ids []uuid.UUID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id.String()
	}
	return out
}
