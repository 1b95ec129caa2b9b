package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

// shelf is a plugin for an imaginary media server with an HTTP API: GET /info, GET
// /libraries, GET, POST and DELETE /users.
type shelf struct{}

func (shelf) Describe() sdk.Description {
	return sdk.Description{
		Name: "shelf", Version: "1.0.0", ServerType: "shelf", DisplayName: "Shelf",
		Client:   (*shelfClient)(nil),
		JoinFlow: sdk.JoinPassword,
		SettingsSchema: sdk.Schema{Properties: []sdk.Property{
			{Name: "api_key", Type: sdk.TypeString, Title: "API key", Required: true, Secret: true},
		}},
		AccountRules: sdk.AccountRules{
			Username: sdk.FieldRule{Use: sdk.FieldRequired, MaxLength: 32},
			Password: sdk.FieldRule{Use: sdk.FieldRequired, MinLength: 8},
			Email:    sdk.FieldRule{Use: sdk.FieldUnused},
		},
		Traits: sdk.Traits{LibraryModes: []sdk.LibraryMode{sdk.LibraryAll, sdk.LibraryOnly}},
	}
}

func (shelf) Open(_ context.Context, req sdk.OpenRequest) (sdk.MediaClient, error) {
	return &shelfClient{ref: req.Server, http: req.HTTP}, nil
}

// shelfClient talks to one server.
type shelfClient struct {
	ref  sdk.ServerRef
	http *http.Client
}

// What a client can do is what it implements; these lines make the compiler say so.
var (
	_ sdk.MediaClient = (*shelfClient)(nil)
	_ sdk.Provisioner = (*shelfClient)(nil)
)

func (c *shelfClient) TestConnection(ctx context.Context, _ sdk.TestConnectionRequest) (sdk.TestConnectionResponse, error) {
	var info struct{ Product, Version, ID string }
	if err := c.call(ctx, http.MethodGet, "/info", &info); err != nil {
		return sdk.TestConnectionResponse{}, err
	}
	if info.Product != "Shelf" {
		return sdk.TestConnectionResponse{}, sdk.Errorf(sdk.ReasonWrongProduct, "this is no Shelf server")
	}
	return sdk.TestConnectionResponse{Facts: sdk.ServerFacts{
		Product: info.Product, Version: info.Version, ExternalID: info.ID,
		Capabilities: []sdk.Capability{sdk.CapProvision},
		LibraryModes: []sdk.LibraryMode{sdk.LibraryAll, sdk.LibraryOnly},
		JoinFlow:     sdk.JoinPassword, AccountRules: shelf{}.Describe().AccountRules,
	}}, nil
}

func (c *shelfClient) ListLibraries(ctx context.Context, _ sdk.ListLibrariesRequest) (sdk.ListLibrariesResponse, error) {
	var list []struct{ ID, Name string }
	err := c.call(ctx, http.MethodGet, "/libraries", &list)
	var out sdk.ListLibrariesResponse
	for _, l := range list {
		out.Libraries = append(out.Libraries, sdk.Library{ID: l.ID, Name: l.Name, Type: sdk.LibraryBooks})
	}
	return out, err
}

func (c *shelfClient) FindUser(ctx context.Context, req sdk.FindUserRequest) (sdk.FindUserResponse, error) {
	var list []sdk.User
	if err := c.call(ctx, http.MethodGet, "/users?name="+url.QueryEscape(req.Username), &list); err != nil {
		return sdk.FindUserResponse{}, err
	}
	if len(list) == 0 {
		return sdk.FindUserResponse{}, sdk.Errorf(sdk.ReasonNotFound, "there is no such user")
	}
	return sdk.FindUserResponse{User: list[0]}, nil
}

// CreateUser makes the user, reads back what came of it, and undoes a user who is not as
// was asked.
func (c *shelfClient) CreateUser(ctx context.Context, req sdk.CreateUserRequest) (sdk.CreateUserResponse, error) {
	var made struct{ ID string }
	if err := c.call(ctx, http.MethodPost, "/users", &made); err != nil {
		if e, ok := errors.AsType[*sdk.Error](err); ok && e.Retryable {
			return sdk.CreateUserResponse{}, sdk.Errorf(sdk.ReasonAmbiguous, "the server did not say whether it made the user: %w", err)
		}
		return sdk.CreateUserResponse{}, err
	}
	var user sdk.User
	err := c.call(ctx, http.MethodGet, "/users/"+url.PathEscape(made.ID), &user)
	if err == nil && (user.Libraries == nil || user.Libraries.Mode != req.Grant.Libraries.Mode) {
		err = sdk.Errorf(sdk.ReasonAccessNotApplied, "the server gave other libraries than were asked for")
	}
	if err != nil {
		// The caller's time may be over, and the user has to go all the same.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if _, undone := c.DeleteUser(ctx, sdk.DeleteUserRequest{ID: made.ID}); undone != nil {
			return sdk.CreateUserResponse{}, sdk.Errorf(sdk.ReasonAmbiguous, "the user was made in part, and undoing it failed: %w", undone)
		}
		return sdk.CreateUserResponse{}, err
	}
	return sdk.CreateUserResponse{User: user}, nil
}

func (c *shelfClient) DeleteUser(ctx context.Context, req sdk.DeleteUserRequest) (sdk.DeleteUserResponse, error) {
	err := c.call(ctx, http.MethodDelete, "/users/"+url.PathEscape(req.ID), &struct{}{})
	if errors.Is(err, sdk.ErrorOf(sdk.ReasonNotFound)) {
		return sdk.DeleteUserResponse{AlreadyGone: true}, nil
	}
	return sdk.DeleteUserResponse{}, err
}

func (c *shelfClient) Close() error { return nil }

// call does one request. The SDK's client names what goes wrong on the way; the status says
// the rest.
func (c *shelfClient) call(ctx context.Context, method, path string, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.ref.URL+path, http.NoBody)
	if err != nil {
		return sdk.Errorf(sdk.ReasonInvalid, "the address is not valid: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.ref.Secrets["api_key"])
	resp, err := c.http.Do(req)
	if err != nil {
		return err // holds an *sdk.Error
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound && path != "/info":
		return sdk.Errorf(sdk.ReasonNotFound, "there is no such thing")
	case resp.StatusCode >= 300:
		return sdk.UpstreamError(resp)
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return sdk.Errorf(sdk.ReasonServerError, "the server's answer makes no sense: %w", err)
	}
	return nil
}

// A whole plugin. In its main, one line serves it: sdkplugin.Serve(shelf{}).
func Example() {
	_ = func() { sdkplugin.Serve(shelf{}) }
	d := shelf{}.Describe()
	fmt.Println(d.DisplayName, d.Capabilities(), d.Validate())
	// Output: Shelf [provision] <nil>
}

// Errors are asked for their reason, however they were wrapped.
func ExampleErrorf() {
	err := fmt.Errorf("creating ann: %w", sdk.Errorf(sdk.ReasonUsernameTaken, "the name is taken"))
	fmt.Println(errors.Is(err, sdk.ErrorOf(sdk.ReasonUsernameTaken)), sdk.ReasonOf(err))
	// Output: true username_taken
}

// A status becomes a failure, with the time that the server asks to wait.
func ExampleUpstreamError() {
	e := sdk.UpstreamError(&http.Response{StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"30"}}})
	fmt.Println(e.Kind(), e.Origin(), e.Retryable, e.RetryAfter)
	// Output: rate_limited upstream true 30s
}
