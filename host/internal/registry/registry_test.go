package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/zondarr/zondarr/sdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// media is a plugin in this process whose one verb is what a test says.
type media struct {
	desc    sdk.Description
	getUser func(ctx context.Context, id string) (sdk.User, error)
	create  func() error
	list    func(ctx context.Context, yield func(sdk.User) error) error
	opened  atomic.Int64
	closed  atomic.Int64
}

func newMedia(serverType string) *media {
	return &media{desc: sdk.Description{
		Name: serverType, Version: "1", ServerType: serverType, DisplayName: serverType, Client: (*mediaClient)(nil),
		JoinFlow: sdk.JoinNone, Traits: sdk.Traits{LibraryModes: []sdk.LibraryMode{sdk.LibraryAll}},
	}}
}

func (m *media) Describe() sdk.Description { return m.desc }

func (m *media) Open(_ context.Context, req sdk.OpenRequest) (sdk.MediaClient, error) {
	m.opened.Add(1)
	return &mediaClient{m, req.Server}, nil
}

type mediaClient struct {
	*media
	ref sdk.ServerRef
}

func (c *mediaClient) Close() error { c.closed.Add(1); return nil }
func (c *mediaClient) TestConnection(context.Context, sdk.TestConnectionRequest) (sdk.TestConnectionResponse, error) {
	return sdk.TestConnectionResponse{Facts: sdk.ServerFacts{Product: c.desc.ServerType}}, nil
}
func (c *mediaClient) ListLibraries(context.Context, sdk.ListLibrariesRequest) (sdk.ListLibrariesResponse, error) {
	return sdk.ListLibrariesResponse{}, nil
}
func (c *mediaClient) GetUser(ctx context.Context, req sdk.GetUserRequest) (sdk.GetUserResponse, error) {
	u, err := c.getUser(ctx, req.ID)
	return sdk.GetUserResponse{User: u}, err
}
func (c *mediaClient) ListUsers(ctx context.Context, _ sdk.ListUsersRequest, yield func(sdk.User) error) error {
	return c.list(ctx, yield)
}
func (c *mediaClient) FindUser(context.Context, sdk.FindUserRequest) (sdk.FindUserResponse, error) {
	return sdk.FindUserResponse{}, sdk.Errorf(sdk.ReasonNotFound, "nobody")
}
func (c *mediaClient) CreateUser(context.Context, sdk.CreateUserRequest) (sdk.CreateUserResponse, error) {
	return sdk.CreateUserResponse{}, c.create()
}
func (c *mediaClient) DeleteUser(context.Context, sdk.DeleteUserRequest) (sdk.DeleteUserResponse, error) {
	return sdk.DeleteUserResponse{}, c.create()
}

func clientOf(t *testing.T, r *Registry, ref sdk.ServerRef) *client {
	t.Helper()
	c, err := r.Client(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*client)
}

func get(ctx context.Context, c *client, id string) (sdk.User, error) {
	resp, err := c.GetUser(ctx, sdk.GetUserRequest{ID: id})
	return resp.User, err
}

var genType = rapid.StringMatching(`[a-z][a-z0-9_-]{0,31}`)

// P5: for all registered server types the registry returns that type's client and
// exactly its declared capabilities.
func TestRegisteredTypes(t *testing.T) {
	all := (newMedia("x").desc).Capabilities()
	rapid.Check(t, func(rt *rapid.T) {
		r := New()
		types := rapid.SliceOfNDistinct(genType, 1, 8, rapid.ID[string]).Draw(rt, "types")
		declared := map[string][]sdk.Capability{}
		for _, name := range types {
			m := newMedia(name)
			caps := rapid.SliceOfDistinct(rapid.SampledFrom(all), rapid.ID[sdk.Capability]).Draw(rt, "capabilities of "+name)
			declared[name] = caps
			seat, err := r.Register(Offer{Plugin: name, Description: m.desc.WithCapabilities(caps)})
			if err != nil {
				rt.Fatal(err)
			}
			seat.Serve(Offer{Plugin: name, Description: m.desc.WithCapabilities(caps)}, &localSession{plugin: m, open: map[string]*localClient{}})
		}
		for _, name := range types {
			c, err := r.Client(t.Context(), sdk.ServerRef{ID: "1", ServerType: name})
			if err != nil {
				rt.Fatal(err)
			}
			resp, err := c.TestConnection(t.Context(), sdk.TestConnectionRequest{})
			if err != nil || resp.Facts.Product != name {
				rt.Fatalf("the client of %q is that of %q (%v)", name, resp.Facts.Product, err)
			}
			d, err := r.Describe(name)
			want := slices.Sorted(slices.Values(declared[name]))
			if err != nil || !slices.Equal(d.Capabilities(), want) {
				rt.Fatalf("the capabilities of %q are %v, declared are %v (%v)", name, d.Capabilities(), want, err)
			}
		}
	})
}

// P6, R4.4: for all unregistered names the error names the type and lists the
// known ones.
func TestUnknownTypes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := New()
		known := rapid.SliceOfNDistinct(genType, 0, 5, rapid.ID[string]).Draw(rt, "known")
		for _, name := range known {
			if _, err := r.RegisterLocal(newMedia(name)); err != nil {
				rt.Fatal(err)
			}
		}
		unknown := rapid.String().Filter(func(s string) bool { return !slices.Contains(known, s) }).Draw(rt, "unknown")
		_, err := r.Client(t.Context(), sdk.ServerRef{ServerType: unknown})
		_, typeErr := r.Type(unknown)
		_, describeErr := r.Describe(unknown)
		for _, err := range []error{err, typeErr, describeErr} {
			e, ok := errors.AsType[*UnknownTypeError](err)
			if !ok || e.ServerType != unknown || !slices.Equal(e.Known, slices.Sorted(slices.Values(known))) {
				rt.Fatalf("the error is %v", err)
			}
			if !strings.Contains(err.Error(), fmt.Sprintf("%q", unknown)) {
				rt.Fatalf("the text does not name the type: %v", err)
			}
			for _, name := range known {
				if !strings.Contains(err.Error(), name) {
					rt.Fatalf("the text does not list %q: %v", name, err)
				}
			}
		}
	})
}

// P7, R4.5: for all orders of registration, from any goroutine, every holder sees
// the same table, and it does not depend on the order.
func TestOrdersOfRegistration(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		offers := rapid.SliceOfNDistinct(rapid.Custom(func(rt *rapid.T) Offer {
			return Offer{
				Plugin:      rapid.StringMatching(`[a-z]{1,4}`).Draw(rt, "plugin"),
				Description: sdk.Description{ServerType: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "type")},
				Rank: Rank{
					Installation: rapid.Bool().Draw(rt, "installation"),
					ApprovedAt:   time.Unix(rapid.Int64Range(0, 3).Draw(rt, "approved"), 0),
				},
			}
		}), 1, 10, func(o Offer) string { return o.Plugin }).Draw(rt, "offers")
		want := map[string]string{}
		for name := range map[string]bool{"a": true, "b": true, "c": true} {
			var first *Offer
			for i := range offers {
				if offers[i].Description.ServerType == name && (first == nil || offers[i].before(*first)) {
					first = &offers[i]
				}
			}
			if first != nil {
				want[name] = first.Plugin
			}
		}
		r := New()
		var wg sync.WaitGroup
		seats := make([]*Seat, len(offers))
		for i, o := range rapid.Permutation(offers).Draw(rt, "order") {
			wg.Go(func() { seats[i], _ = r.Register(o) })
		}
		wg.Wait()
		tables := make([]map[string]string, 4)
		for i := range tables {
			wg.Go(func() {
				tables[i] = map[string]string{}
				for _, typ := range r.Types() {
					tables[i][typ.Description.ServerType] = typ.Plugin
				}
			})
		}
		wg.Wait()
		for _, got := range tables {
			if fmt.Sprint(got) != fmt.Sprint(want) {
				rt.Fatalf("the table is %v, want %v", got, want)
			}
		}
		holders := 0
		for _, s := range seats {
			if s != nil && !s.vacated() {
				holders++
			}
		}
		if holders != len(want) {
			rt.Fatalf("%d seats are held, want %d", holders, len(want))
		}
	})
}

func TestUndeclaredVerbIsUnsupported(t *testing.T) {
	r := New()
	if _, err := r.RegisterLocal(newMedia("a")); err != nil {
		t.Fatal(err)
	}
	ref := sdk.ServerRef{ID: "1", ServerType: "a", URL: "http://a.test"}
	_, err := clientOf(t, r, ref).Suspend(t.Context(), sdk.SuspendRequest{ID: "1"})
	e, ok := errors.AsType[*sdk.Error](err)
	if !ok || e.Kind() != sdk.ReasonUnsupported || e.Op != "Suspend" || e.ServerURL != "http://a.test" {
		t.Errorf("the error is %#v", err)
	}
}

// P4: the operation and the server are added, and the secrets of the call taken
// out, whatever the plugin says.
func TestErrorsCarryOperationAndServerAndNoSecret(t *testing.T) {
	r := New()
	m := newMedia("a")
	m.getUser = func(context.Context, string) (sdk.User, error) {
		return sdk.User{}, &sdk.Error{Reason: sdk.ReasonServerError, Message: "401 for key s3cr3t-key, or czNjcjN0LWtleQ==", Fields: []sdk.FieldProblem{{Message: "not s3cr3t-key"}}}
	}
	m.create = func() error { return errors.New("cannot use hunter2hunter2") }
	if _, err := r.RegisterLocal(m); err != nil {
		t.Fatal(err)
	}
	ref := sdk.ServerRef{ID: "1", ServerType: "a", URL: "http://a.test", Secrets: map[string]string{"api_key": "s3cr3t-key"}}
	c := clientOf(t, r, ref)
	_, err := get(t.Context(), c, "1")
	e, _ := errors.AsType[*sdk.Error](err)
	if e == nil || e.Op != "GetUser" || e.ServerURL != ref.URL || strings.Contains(e.Error()+e.Fields[0].Message, "s3cr3t") || strings.Contains(e.Error(), "czNj") {
		t.Errorf("the error is %v", err)
	}
	_, err = c.CreateUser(t.Context(), sdk.CreateUserRequest{Password: "hunter2hunter2"})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error is %v", err)
	}
}
