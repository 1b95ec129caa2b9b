package sdktest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// fakeClient is the plugin's side of the fake media server's protocol.
type fakeClient struct {
	ref    sdk.ServerRef
	http   *http.Client
	log    *slog.Logger
	desc   sdk.Description
	closed func()
	// confirmed says that the address leads to the server that was stored.
	confirmed atomic.Bool
}

// minimalClient hides every optional interface.
type minimalClient struct{ inner *fakeClient }

var (
	_ sdk.MediaClient      = (*minimalClient)(nil)
	_ sdk.MediaClient      = (*fakeClient)(nil)
	_ sdk.UserReader       = (*fakeClient)(nil)
	_ sdk.Provisioner      = (*fakeClient)(nil)
	_ sdk.Suspender        = (*fakeClient)(nil)
	_ sdk.AccessSetter     = (*fakeClient)(nil)
	_ sdk.PermissionSetter = (*fakeClient)(nil)
	_ sdk.PasswordSetter   = (*fakeClient)(nil)
	_ sdk.PasswordVerifier = (*fakeClient)(nil)
	_ sdk.SessionReader    = (*fakeClient)(nil)
	_ sdk.AccountLinker    = (*fakeClient)(nil)
)

// TestConnection is the full client's.
func (c *minimalClient) TestConnection(ctx context.Context, req sdk.TestConnectionRequest) (sdk.TestConnectionResponse, error) {
	resp, err := c.inner.TestConnection(ctx, req)
	resp.Facts.Capabilities, resp.Facts.JoinFlow = nil, sdk.JoinNone
	return resp, err
}

// ListLibraries is the full client's.
func (c *minimalClient) ListLibraries(ctx context.Context, req sdk.ListLibrariesRequest) (sdk.ListLibrariesResponse, error) {
	return c.inner.ListLibraries(ctx, req)
}

// Close is the full client's.
func (c *minimalClient) Close() error { return c.inner.Close() }

// Close says that the client is closed.
func (c *fakeClient) Close() error {
	c.closed()
	return nil
}

// step is one request of a verb.
type step struct {
	op          string
	first, last bool
	base        string // "" for the server's URL
	noKey       bool
}

// commitError is a failure of which the fake server said that it had done what was
// asked: nothing is undone, as if the plugin had died.
type commitError struct{ cause *sdk.Error }

func (e commitError) Error() string { return e.cause.Error() }

// Unwrap gives the failure.
func (e commitError) Unwrap() error { return e.cause }

// do does one request; the answer goes into out, and trusted says that the server
// wants it believed.
func (c *fakeClient) do(ctx context.Context, st step, method, path string, in, out any) (trusted bool, err error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return false, sdk.Errorf(sdk.ReasonInvalid, "the request cannot be encoded: %w", err)
		}
		body = bytes.NewReader(data)
	}
	base := st.base
	if base == "" {
		base = c.ref.URL
		if err := c.confirm(ctx, st); err != nil {
			return false, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, body)
	if err != nil {
		return false, sdk.Errorf(sdk.ReasonInvalid, "the address is not valid: %w", err)
	}
	req.Header.Set(opHeader, st.op)
	if st.first {
		req.Header.Set(firstHeader, "1")
	}
	if st.last {
		req.Header.Set(lastHeader, "1")
	}
	if !st.noKey {
		req.Header.Set("Authorization", "Bearer "+c.ref.Secrets["api_key"])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return false, typed(ctx, err)
	}
	defer resp.Body.Close()
	isJSON := strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json")
	if resp.StatusCode >= 300 {
		return false, problem(resp, isJSON)
	}
	if !isJSON {
		return false, &sdk.Error{Reason: sdk.ReasonWrongProduct, Source: sdk.SourceUpstream, Message: "the server does not answer as a fake media server does", UpstreamStatus: resp.StatusCode}
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		if _, ok := errors.AsType[*sdk.Error](err); ok {
			return false, typed(ctx, err)
		}
		e := sdk.Errorf(sdk.ReasonServerError, "the server's answer is broken")
		e.Err = err
		return false, e
	}
	return resp.Header.Get(trustHeader) != "", nil
}

// confirm asks a stored server for its id before the key goes there for the first time:
// the address may belong to somebody else by now.
func (c *fakeClient) confirm(ctx context.Context, st step) error {
	if st.noKey || c.ref.ExternalID == "" || c.confirmed.Load() {
		return nil
	}
	var facts sdk.ServerFacts
	if _, err := c.do(ctx, step{op: "confirm", noKey: true}, http.MethodGet, "/info", nil, &facts); err != nil {
		return err
	}
	if facts.ExternalID != c.ref.ExternalID {
		return sdk.Errorf(sdk.ReasonWrongServer, "this is another server than before")
	}
	c.confirmed.Store(true)
	return nil
}

// typed gives the typed failure inside an error of net/http.
func typed(ctx context.Context, err error) error {
	if e, ok := errors.AsType[*sdk.Error](err); ok {
		return e
	}
	if ctx.Err() != nil {
		return &sdk.Error{Reason: sdk.ReasonTimeout, Source: sdk.SourceUpstream, Retryable: true, Message: "the server did not answer in time", Err: ctx.Err()}
	}
	return sdk.Errorf(sdk.ReasonUnavailable, "the server cannot be reached: %w", err)
}

func problem(resp *http.Response, isJSON bool) error {
	e := sdk.UpstreamError(resp)
	var p fakeProblem
	if !isJSON || json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&p) != nil || p.Error == "" {
		return e
	}
	e.Reason, e.Source, e.Message, e.Fields, e.Retryable = p.Error, p.Source, p.Message, p.Fields, p.Retryable || p.Error.Transient()
	e.Stale = p.Stale
	if p.WaitMS > 0 {
		e.RetryAfter = time.Duration(p.WaitMS) * time.Millisecond
	}
	if p.Committed {
		return commitError{e}
	}
	return e
}

// TestConnection looks at the server without the key first, so that the key goes to no
// other server than the one that was confirmed.
func (c *fakeClient) TestConnection(ctx context.Context, _ sdk.TestConnectionRequest) (sdk.TestConnectionResponse, error) {
	const op = "TestConnection"
	var facts sdk.ServerFacts
	if _, err := c.do(ctx, step{op: op, first: true, noKey: true}, http.MethodGet, "/info", nil, &facts); err != nil {
		return sdk.TestConnectionResponse{}, err
	}
	if facts.Product != fakeProduct {
		return sdk.TestConnectionResponse{}, sdk.Errorf(sdk.ReasonWrongProduct, "this is no fake media server")
	}
	if c.ref.ExternalID != "" && facts.ExternalID != c.ref.ExternalID {
		return sdk.TestConnectionResponse{}, sdk.Errorf(sdk.ReasonWrongServer, "this is another server than before")
	}
	if _, err := c.do(ctx, step{op: op, last: true}, http.MethodGet, "/me", nil, &struct{}{}); err != nil {
		return sdk.TestConnectionResponse{}, err
	}
	c.log.InfoContext(ctx, "connection tested", "product", facts.Product)
	return sdk.TestConnectionResponse{Facts: facts}, nil
}

// ListLibraries lists the libraries.
func (c *fakeClient) ListLibraries(ctx context.Context, _ sdk.ListLibrariesRequest) (sdk.ListLibrariesResponse, error) {
	var out sdk.ListLibrariesResponse
	_, err := c.do(ctx, step{op: "ListLibraries", first: true, last: true}, http.MethodGet, "/libraries", nil, &out.Libraries)
	return out, err
}

// GetUser reads one user.
func (c *fakeClient) GetUser(ctx context.Context, req sdk.GetUserRequest) (sdk.GetUserResponse, error) {
	var out sdk.GetUserResponse
	_, err := c.do(ctx, step{op: "GetUser", first: true, last: true}, http.MethodGet, "/users/"+url.PathEscape(req.ID), nil, &out.User)
	return out, err
}

// ListUsers reads page after page.
func (c *fakeClient) ListUsers(ctx context.Context, _ sdk.ListUsersRequest, yield func(sdk.User) error) error {
	const limit = 500
	after := ""
	for first := true; ; first = false {
		var page fakePage
		path := "/users?limit=500&after=" + url.QueryEscape(after)
		if _, err := c.do(ctx, step{op: "ListUsers", first: first}, http.MethodGet, path, nil, &page); err != nil {
			return err
		}
		for _, u := range page.Users {
			u.PluginState = nil
			if err := yield(u); err != nil {
				return err
			}
			after = u.ID
		}
		if len(page.Users) < limit {
			return nil
		}
	}
}

// FindUser looks a user up.
func (c *fakeClient) FindUser(ctx context.Context, req sdk.FindUserRequest) (sdk.FindUserResponse, error) {
	var out sdk.FindUserResponse
	q := url.Values{"username": {req.Username}, "account": {req.AccountID}}
	if req.MaxAge > 0 {
		q.Set("max_age", req.MaxAge.String())
	}
	_, err := c.do(ctx, step{op: "FindUser", first: true, last: true}, http.MethodGet, "/find?"+q.Encode(), nil, &out.User)
	return out, err
}

// DeleteUser removes a user.
func (c *fakeClient) DeleteUser(ctx context.Context, req sdk.DeleteUserRequest) (sdk.DeleteUserResponse, error) {
	const op = "DeleteUser"
	path := "/users/" + url.PathEscape(req.ID)
	_, err := c.do(ctx, step{op: op, first: true}, http.MethodDelete, path, nil, &struct{}{})
	if sdk.ReasonOf(err) == sdk.ReasonNotFound {
		return sdk.DeleteUserResponse{AlreadyGone: true}, nil
	}
	if err != nil {
		return sdk.DeleteUserResponse{}, err
	}
	switch _, err := c.do(ctx, step{op: op, last: true}, http.MethodGet, path, nil, &sdk.User{}); {
	case err == nil:
		return sdk.DeleteUserResponse{}, sdk.Errorf(sdk.ReasonServerError, "the server said that it deleted the user, and still has it")
	case sdk.ReasonOf(err) != sdk.ReasonNotFound:
		return sdk.DeleteUserResponse{}, err
	}
	return sdk.DeleteUserResponse{}, nil
}

// Suspend disables a user.
func (c *fakeClient) Suspend(ctx context.Context, req sdk.SuspendRequest) (sdk.SuspendResponse, error) {
	u, err := c.set(ctx, "Suspend", req.ID, "status", http.MethodPut, sdk.StatusSuspended, func(u sdk.User) bool { return u.Status == sdk.StatusSuspended })
	return sdk.SuspendResponse{User: u}, err
}

// Resume enables a user. The fake server keeps what a user may do while it is
// suspended, but gives back only what the host kept.
func (c *fakeClient) Resume(ctx context.Context, req sdk.ResumeRequest) (sdk.ResumeResponse, error) {
	const op = "Resume"
	if len(req.PluginState) > 0 && string(req.PluginState) != "state of "+req.ID {
		return sdk.ResumeResponse{}, sdk.Errorf(sdk.ReasonInvalid, "the state is not that of this user")
	}
	if _, err := c.do(ctx, step{op: op, first: true}, http.MethodPut, "/users/"+url.PathEscape(req.ID)+"/status", sdk.StatusActive, &sdk.User{}); err != nil {
		return sdk.ResumeResponse{}, err
	}
	u, err := c.applyGrant(ctx, op, req.ID, req.Grant)
	return sdk.ResumeResponse{User: u}, err
}

// SetLibraryAccess replaces a user's access.
func (c *fakeClient) SetLibraryAccess(ctx context.Context, req sdk.SetLibraryAccessRequest) (sdk.SetLibraryAccessResponse, error) {
	u, err := c.set(ctx, "SetLibraryAccess", req.ID, "libraries", http.MethodPut, req.Access, func(u sdk.User) bool { return sameAccess(u.Libraries, req.Access) })
	return sdk.SetLibraryAccessResponse{User: u}, err
}

// SetPermissions changes what it names.
func (c *fakeClient) SetPermissions(ctx context.Context, req sdk.SetPermissionsRequest) (sdk.SetPermissionsResponse, error) {
	policy := fakePolicy{req.Permissions, req.Limits, req.Options}
	u, err := c.set(ctx, "SetPermissions", req.ID, "policy", http.MethodPatch, policy, func(u sdk.User) bool { return holds(u, policy) })
	return sdk.SetPermissionsResponse{User: u}, err
}

// set changes one thing, reads the user back and compares.
func (c *fakeClient) set(ctx context.Context, op, id, what, method string, value any, applied func(sdk.User) bool) (sdk.User, error) {
	path := "/users/" + url.PathEscape(id)
	if _, err := c.do(ctx, step{op: op, first: true}, method, path+"/"+what, value, &sdk.User{}); err != nil {
		return sdk.User{}, err
	}
	var u sdk.User
	trusted, err := c.do(ctx, step{op: op, last: true}, http.MethodGet, path, nil, &u)
	if err == nil && !trusted && !applied(u) {
		err = sdk.Errorf(sdk.ReasonAccessNotApplied, "the server said yes and did not do it")
	}
	return u, err
}

// SetPassword replaces a password.
func (c *fakeClient) SetPassword(ctx context.Context, req sdk.SetPasswordRequest) (sdk.SetPasswordResponse, error) {
	_, err := c.do(ctx, step{op: "SetPassword", first: true, last: true}, http.MethodPut, "/users/"+url.PathEscape(req.ID)+"/password", req.Password, &sdk.User{})
	return sdk.SetPasswordResponse{}, err
}

// VerifyPassword signs in.
func (c *fakeClient) VerifyPassword(ctx context.Context, req sdk.VerifyPasswordRequest) (sdk.VerifyPasswordResponse, error) {
	var out sdk.VerifyPasswordResponse
	_, err := c.do(ctx, step{op: "VerifyPassword", first: true, last: true}, http.MethodPost, "/sign-in", fakeSignIn(req), &out)
	return out, err
}

// ListSessions says who is watching.
func (c *fakeClient) ListSessions(ctx context.Context, _ sdk.ListSessionsRequest) (sdk.ListSessionsResponse, error) {
	var out sdk.ListSessionsResponse
	_, err := c.do(ctx, step{op: "ListSessions", first: true, last: true}, http.MethodGet, "/sessions", nil, &out.Sessions)
	return out, err
}

func sameAccess(got *sdk.LibraryAccess, want sdk.LibraryAccess) bool {
	if got == nil || got.Mode != want.Mode {
		return false
	}
	a, b := slices.Clone(got.IDs), slices.Clone(want.IDs)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

// holds says whether a user has what was set.
func holds(u sdk.User, p fakePolicy) bool {
	for name, want := range p.Permissions {
		if want != sdk.Unset && u.Permissions[name] != want {
			return false
		}
	}
	for name, want := range p.Limits {
		if got, ok := u.Limits[name]; !ok || got != want {
			return false
		}
	}
	got, want := map[string]any{}, maps.Clone(p.Options)
	for name := range want {
		got[name] = u.Options[name]
	}
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want)
	return len(want) == 0 || bytes.Equal(a, b)
}
