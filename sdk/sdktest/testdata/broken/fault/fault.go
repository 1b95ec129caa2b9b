// Package fault is a fake plugin with a fault of one's choice.
package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

// Plugin is a fake plugin with a fault.
type Plugin struct {
	name  string
	Fault string
	fake  *sdktest.Fake

	mu    sync.Mutex
	first map[string]sdktest.Client
	files []*os.File
}

// New gives the plugin with a fault.
func New(name, fault string) *Plugin {
	return &Plugin{name: name, Fault: fault, fake: &sdktest.Fake{Type: name}, first: map[string]sdktest.Client{}}
}

type client struct {
	sdktest.Client
	p    *Plugin
	ref  sdk.ServerRef
	http *http.Client
}

// Describe gives the fake's description, with the fault in it.
func (p *Plugin) Describe() sdk.Description {
	d := p.fake.Describe()
	d.Client = (*client)(nil)
	switch p.Fault {
	case "fickle":
		d.Version = fmt.Sprintf("1.0.%d", os.Getpid())
	case "misnamed":
		d.Name = "somebody-else"
	case "lawless":
		d.Permissions[0].Name = "Watch Everything"
	}
	return d
}

// Open opens the fake's client.
func (p *Plugin) Open(ctx context.Context, req sdk.OpenRequest) (sdk.MediaClient, error) {
	if p.Fault == "eager" {
		if resp, err := req.HTTP.Get(req.Server.URL + "/info"); err == nil {
			resp.Body.Close()
		}
	}
	if p.Fault == "careless" {
		req.Server.ExternalID = "" // nothing to compare with
	}
	inner, err := p.fake.Open(ctx, req)
	if err != nil {
		return nil, err
	}
	c := &client{Client: inner.(sdktest.Client), p: p, ref: req.Server, http: req.HTTP}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.Fault {
	case "stale": // keeps the first client of a server for ever
		if p.first[req.Server.ID] == nil {
			p.first[req.Server.ID] = c.Client
		}
		c.Client = p.first[req.Server.ID]
	case "confused": // has one server for all
		if p.first[""] == nil {
			p.first[""] = c.Client
		}
		c.Client = p.first[""]
	}
	return c, nil
}

// TestConnection goes wrong in the ways that concern every call.
func (c *client) TestConnection(ctx context.Context, req sdk.TestConnectionRequest) (sdk.TestConnectionResponse, error) {
	switch c.p.Fault {
	case "prints":
		fmt.Println("testing", c.ref.URL)
	case "leaks":
		if f, err := os.Open(os.DevNull); err == nil {
			c.p.mu.Lock()
			c.p.files = append(c.p.files, f)
			c.p.mu.Unlock()
		}
	case "waits":
		go func() { select {} }()
	case "panics":
		var facts *sdk.ServerFacts
		return sdk.TestConnectionResponse{Facts: *facts}, nil
	case "patient":
		ctx = context.WithoutCancel(ctx)
	case "deaf":
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), 4*time.Second)
		defer cancel()
	case "indiscreet":
		log.Printf("using the key %s", c.ref.Secrets["api_key"])
	}
	resp, err := c.Client.TestConnection(ctx, req)
	e, _ := errors.AsType[*sdk.Error](err)
	switch {
	case c.p.Fault == "boastful" && err == nil:
		resp.Facts.Permissions = append(resp.Facts.Permissions, "fly")
	case c.p.Fault == "stingy" && err == nil:
		resp.Facts.Capabilities = slices.DeleteFunc(resp.Facts.Capabilities, func(c sdk.Capability) bool { return c == sdk.CapSuspend })
	case e == nil:
	case c.p.Fault == "untyped":
		return resp, errors.New("it did not work")
	case c.p.Fault == "vague" && e.UpstreamStatus == http.StatusUnauthorized:
		return resp, sdk.Errorf(sdk.ReasonUnavailable, "cannot connect")
	case c.p.Fault == "blaming":
		e.Source = sdk.SourceRequest
		return resp, e
	case c.p.Fault == "impatient":
		e.RetryAfter = 0
		return resp, e
	case c.p.Fault == "verbose":
		return resp, c.quote(ctx, e)
	case c.p.Fault == "optimistic" && e.UpstreamStatus == http.StatusOK:
		return resp, nil
	}
	return resp, err
}

// quote repeats what the server said.
func (c *client) quote(ctx context.Context, e *sdk.Error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.ref.URL, http.NoBody)
	if err != nil {
		return e
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return e
	}
	defer resp.Body.Close()
	page, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
	e.Message += ": " + string(page)
	return e
}

// ListSessions may be missing although it is declared.
func (c *client) ListSessions(ctx context.Context, req sdk.ListSessionsRequest) (sdk.ListSessionsResponse, error) {
	if c.p.Fault == "hollow" {
		return sdk.ListSessionsResponse{}, sdk.Errorf(sdk.ReasonUnsupported, "not yet")
	}
	return c.Client.ListSessions(ctx, req)
}

// ListUsers may leave users out, or call a cut list complete.
func (c *client) ListUsers(ctx context.Context, req sdk.ListUsersRequest, yield func(sdk.User) error) error {
	switch c.p.Fault {
	case "short":
		last := sdk.User{}
		return c.Client.ListUsers(ctx, req, func(u sdk.User) error {
			if last.ID != "" {
				if err := yield(last); err != nil {
					return err
				}
			}
			last = u
			return nil
		})
	case "swallows":
		_ = c.Client.ListUsers(ctx, req, yield)
		return nil
	}
	return c.Client.ListUsers(ctx, req, yield)
}

// CreateUser may widen the grant, or leave a user behind.
func (c *client) CreateUser(ctx context.Context, req sdk.CreateUserRequest) (sdk.CreateUserResponse, error) {
	switch c.p.Fault {
	case "generous":
		req.Grant.Libraries = sdk.LibraryAccess{Mode: sdk.LibraryAll}
	case "trusting":
		resp, err := c.Client.CreateUser(ctx, req)
		if errors.Is(err, sdk.ErrorOf(sdk.ReasonLibraryNotFound)) {
			req.Grant.Libraries = sdk.LibraryAccess{Mode: sdk.LibraryNone}
			return c.Client.CreateUser(ctx, req)
		}
		return resp, err
	case "credulous":
		asked := req.Grant
		resp, err := c.Client.CreateUser(ctx, req)
		if errors.Is(err, sdk.ErrorOf(sdk.ReasonAccessNotApplied)) {
			u := sdk.User{ID: "made", Username: req.Username, Status: sdk.StatusActive, Libraries: &asked.Libraries, Permissions: asked.Permissions, Limits: asked.Limits}
			return sdk.CreateUserResponse{User: u}, nil
		}
		return resp, err
	case "untidy":
		// Makes the user first and gives it its access in a second step, which may fail.
		access := req.Grant.Libraries
		req.Grant.Libraries = sdk.LibraryAccess{Mode: sdk.LibraryNone}
		made, err := c.Client.CreateUser(ctx, req)
		if err != nil {
			return made, err
		}
		set, err := c.SetLibraryAccess(ctx, sdk.SetLibraryAccessRequest{ID: made.User.ID, Access: access})
		return sdk.CreateUserResponse{User: set.User}, err
	}
	return c.Client.CreateUser(ctx, req)
}

// FindUser may answer from a list that it keeps, whatever it was asked, or with another
// user.
func (c *client) FindUser(ctx context.Context, req sdk.FindUserRequest) (sdk.FindUserResponse, error) {
	resp, err := c.Client.FindUser(ctx, req)
	if c.p.Fault == "mistaken" && err == nil {
		resp.User.ID = "somebody-else"
	}
	if e, ok := errors.AsType[*sdk.Error](err); ok && c.p.Fault == "nostalgic" {
		e.Stale = true
	}
	return resp, err
}

// DeleteUser may fail on what is gone.
func (c *client) DeleteUser(ctx context.Context, req sdk.DeleteUserRequest) (sdk.DeleteUserResponse, error) {
	resp, err := c.Client.DeleteUser(ctx, req)
	if c.p.Fault == "insistent" && resp.AlreadyGone {
		return resp, sdk.Errorf(sdk.ReasonNotFound, "there is no such user")
	}
	return resp, err
}

// SetPermissions may write what it was not asked to.
func (c *client) SetPermissions(ctx context.Context, req sdk.SetPermissionsRequest) (sdk.SetPermissionsResponse, error) {
	if c.p.Fault == "tidy" {
		all := map[string]sdk.Tri{}
		for _, p := range c.p.Describe().Permissions {
			all[p.Name] = p.Default
		}
		for name, t := range req.Permissions {
			if t != sdk.Unset {
				all[name] = t
			}
		}
		req.Permissions = all
	}
	return c.Client.SetPermissions(ctx, req)
}

// SetPassword may say that it did.
func (c *client) SetPassword(ctx context.Context, req sdk.SetPasswordRequest) (sdk.SetPasswordResponse, error) {
	if c.p.Fault == "lazy" {
		return sdk.SetPasswordResponse{}, nil
	}
	return c.Client.SetPassword(ctx, req)
}

// Suspend may take a protected user for any other.
func (c *client) Suspend(ctx context.Context, req sdk.SuspendRequest) (sdk.SuspendResponse, error) {
	resp, err := c.Client.Suspend(ctx, req)
	if c.p.Fault == "irreverent" && errors.Is(err, sdk.ErrorOf(sdk.ReasonProtected)) {
		return sdk.SuspendResponse{User: sdk.User{ID: req.ID, Status: sdk.StatusSuspended}}, nil
	}
	return resp, err
}
