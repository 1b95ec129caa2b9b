package sdktest

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// undoTimeout bounds the undoing of a creation, which goes on when the caller's time
// is over.
const undoTimeout = 5 * time.Second

// linkState is a link's state as the host keeps it.
type linkState struct{ ID, Token string }

// CreateUser makes a user with exactly the grant, or none: create, set, read back,
// compare, prove the password, and undo when any of it fails.
func (c *fakeClient) CreateUser(ctx context.Context, req sdk.CreateUserRequest) (sdk.CreateUserResponse, error) {
	const op = "CreateUser"
	in := fakeNewUser{Username: req.Username, DisplayName: req.DisplayName, Email: req.Email, Password: req.Password}
	if req.Link != nil {
		var state linkState
		if json.Unmarshal(req.Link.State, &state) != nil {
			return sdk.CreateUserResponse{}, sdk.Errorf(sdk.ReasonLinkExpired, "the link's state is not valid")
		}
		in.LinkID, in.LinkToken = state.ID, state.Token
	}
	if err := c.knowsLibraries(ctx, op, req.Grant.Libraries.IDs); err != nil {
		return sdk.CreateUserResponse{}, err
	}
	var created sdk.User
	if _, err := c.do(ctx, step{op: op}, http.MethodPost, "/users", in, &created); err != nil {
		if transient(err) {
			// It may have been made although the answer did not come.
			e := sdk.Errorf(sdk.ReasonAmbiguous, "the server did not say whether it made the user: %w", err)
			e.Source, e.Retryable = sdk.SourceUpstream, true
			return sdk.CreateUserResponse{}, e
		}
		return sdk.CreateUserResponse{}, err
	}
	u, err := c.applyGrant(ctx, op, created.ID, req.Grant)
	if err == nil && req.Password != "" {
		err = c.proves(ctx, op, u.Username, req.Password)
	}
	if err != nil {
		if _, dead := errors.AsType[commitError](err); dead {
			return sdk.CreateUserResponse{}, err
		}
		return sdk.CreateUserResponse{}, c.undo(ctx, created.ID, err)
	}
	return sdk.CreateUserResponse{User: u}, nil
}

// knowsLibraries finds a library that is not there before anything is made.
func (c *fakeClient) knowsLibraries(ctx context.Context, op string, ids []string) error {
	var libraries []sdk.Library
	if _, err := c.do(ctx, step{op: op, first: true}, http.MethodGet, "/libraries", nil, &libraries); err != nil {
		return err
	}
	known := map[string]bool{}
	for _, l := range libraries {
		known[l.ID] = true
	}
	for _, id := range ids {
		if !known[id] {
			return sdk.Errorf(sdk.ReasonLibraryNotFound, "there is no library %q", id)
		}
	}
	return nil
}

// applyGrant sets the whole of a grant, with the declared defaults for what it leaves
// unset, reads the user back and compares.
func (c *fakeClient) applyGrant(ctx context.Context, op, id string, g sdk.Grant) (sdk.User, error) {
	policy := fakePolicy{Permissions: map[string]sdk.Tri{}, Limits: map[string]int64{}, Options: g.Options}
	for _, p := range c.desc.Permissions {
		policy.Permissions[p.Name] = p.Default
	}
	for _, l := range c.desc.Limits {
		policy.Limits[l.Name] = l.Default
	}
	for name, t := range g.Permissions {
		if t != sdk.Unset {
			policy.Permissions[name] = t
		}
	}
	maps.Copy(policy.Limits, g.Limits)
	path := "/users/" + url.PathEscape(id)
	if _, err := c.do(ctx, step{op: op}, http.MethodPut, path+"/libraries", g.Libraries, &sdk.User{}); err != nil {
		return sdk.User{}, err
	}
	if _, err := c.do(ctx, step{op: op}, http.MethodPatch, path+"/policy", policy, &sdk.User{}); err != nil {
		return sdk.User{}, err
	}
	var u sdk.User
	trusted, err := c.do(ctx, step{op: op, last: true}, http.MethodGet, path, nil, &u)
	switch {
	case err == nil && !trusted && (u.Status != sdk.StatusActive || !sameAccess(u.Libraries, g.Libraries) || !holds(u, policy)):
		err = sdk.Errorf(sdk.ReasonAccessNotApplied, "what the server has is not what was asked for")
	case sdk.ReasonOf(err) == sdk.ReasonNotFound && op == "CreateUser":
		err = sdk.Errorf(sdk.ReasonAccessNotApplied, "the server said that it made the user, and does not have it")
	}
	return u, err
}

// proves signs in as the new user.
func (c *fakeClient) proves(ctx context.Context, op, username, password string) error {
	var signIn sdk.VerifyPasswordResponse
	if _, err := c.do(ctx, step{op: op}, http.MethodPost, "/sign-in", fakeSignIn{username, password}, &signIn); err != nil {
		return err
	}
	if !signIn.OK {
		return sdk.Errorf(sdk.ReasonAccessNotApplied, "the new user cannot sign in")
	}
	return nil
}

// undo removes a user that was made, and gives the failure that led to it, or says that
// the user may be left behind.
func (c *fakeClient) undo(ctx context.Context, id string, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	_, err := c.do(ctx, step{op: "undo"}, http.MethodDelete, "/users/"+url.PathEscape(id), nil, &struct{}{})
	if err == nil || sdk.ReasonOf(err) == sdk.ReasonNotFound {
		return cause
	}
	c.log.WarnContext(ctx, "undoing a creation failed", "error", err, "cause", cause)
	e := sdk.Errorf(sdk.ReasonAmbiguous, "the user was made in part, and undoing it failed: %w", err)
	e.Source, e.Retryable = sdk.SourceUpstream, true
	return e
}

// transient says whether a failure leaves open what the server did.
func transient(err error) bool {
	e, ok := errors.AsType[*sdk.Error](err)
	if !ok {
		return true
	}
	switch e.Kind() {
	case sdk.ReasonUnavailable, sdk.ReasonTimeout, sdk.ReasonServerError:
		return true
	default:
		return false
	}
}

// BeginLink starts a sign-in.
func (c *fakeClient) BeginLink(ctx context.Context, req sdk.BeginLinkRequest) (sdk.BeginLinkResponse, error) {
	var link fakeLink
	if _, err := c.do(ctx, c.cloud("BeginLink"), http.MethodPost, "/links", nil, &link); err != nil {
		return sdk.BeginLinkResponse{}, err
	}
	state, err := json.Marshal(linkState{link.ID, link.Token})
	q := url.Values{"return": {req.ReturnURL}}
	return sdk.BeginLinkResponse{
		State: state, AuthorizeURL: c.ref.URL + "/approve/" + url.PathEscape(link.ID) + "?" + q.Encode(), UserCode: link.ID,
		PollAfter: 10 * time.Millisecond, ExpiresAt: time.Now().Add(10 * time.Minute).UTC(),
	}, err
}

// PollLink asks how it stands.
func (c *fakeClient) PollLink(ctx context.Context, req sdk.PollLinkRequest) (sdk.PollLinkResponse, error) {
	var state linkState
	if json.Unmarshal(req.State, &state) != nil {
		return sdk.PollLinkResponse{}, sdk.Errorf(sdk.ReasonLinkExpired, "the link's state is not valid")
	}
	var link fakeLink
	path := "/links/" + url.PathEscape(state.ID) + "?token=" + url.QueryEscape(state.Token)
	if _, err := c.do(ctx, c.cloud("PollLink"), http.MethodGet, path, nil, &link); err != nil {
		return sdk.PollLinkResponse{}, err
	}
	out := sdk.PollLinkResponse{Status: link.Status, State: req.State}
	if link.Status == sdk.LinkApproved {
		out.Account = &link.Account
	}
	return out, nil
}

// EndLink signs out.
func (c *fakeClient) EndLink(ctx context.Context, req sdk.EndLinkRequest) (sdk.EndLinkResponse, error) {
	var state linkState
	if json.Unmarshal(req.State, &state) != nil {
		return sdk.EndLinkResponse{}, nil //nolint:nilerr // a state that is none has nothing to end
	}
	_, err := c.do(ctx, c.cloud("EndLink"), http.MethodDelete, "/links/"+url.PathEscape(state.ID), nil, &struct{}{})
	return sdk.EndLinkResponse{}, err
}

// cloud is a verb's only request, at the realm.
func (c *fakeClient) cloud(op string) step {
	return step{op: op, first: true, last: true, base: c.ref.String(FakeSettingCloud, "")}
}
