package sdktest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/zondarr/zondarr/sdk"
)

// The names that a Fake has when its fields are empty.
const (
	FakeType    = "fake"
	FakeKey     = "fake-api-key-0001"
	FakeRealm   = "fakecloud"
	fakeProduct = "Fake Media Server"
)

// Options and settings of the fake server type.
const (
	FakeOptionTheme  = "theme"
	FakeSettingCloud = "cloud_url"
	fakePermSubtitle = "subtitles"
	fakeLimitDevices = "devices"
)

// Fake is a plugin with every capability. Its clients speak HTTP to FakeServers: to
// those of AddServer directly in memory, to any other over the network, so that the
// same Fake works in process and as a plugin process whose servers live in the test.
//
// The zero value is ready. Its fields are set before it is used.
type Fake struct {
	// Type is the server type, and the plugin's name; FakeType when empty.
	Type string
	// JoinFlow is the type's default join flow; password when empty. A server has
	// its own.
	JoinFlow sdk.JoinFlow
	// Minimal plugins have no capability at all.
	Minimal bool
	// Traits replaces the traits when it is not nil.
	Traits *sdk.Traits
	// CallLimits are what the type declares.
	CallLimits sdk.CallLimits

	mu      sync.Mutex
	servers map[string]*FakeServer // by URL
	realm   *fakeRealm
	opened  int
	closed  int
}

// NewFake gives a Fake without servers.
func NewFake() *Fake { return &Fake{} }

func (f *Fake) serverType() string {
	if f.Type == "" {
		return FakeType
	}
	return f.Type
}

// Describe says what fake media servers can do.
func (f *Fake) Describe() sdk.Description {
	name := f.serverType()
	d := sdk.Description{
		Name: name, Version: "1.0.0", ServerType: name, DisplayName: "Fake", DefaultPublicURL: "https://fake.example",
		Client: (*minimalClient)(nil), JoinFlow: sdk.JoinNone,
		UserKinds: []sdk.UserKindInfo{{Name: "user", Label: "User"}, {Name: "admin", Label: "Administrator", Protected: true}},
		SettingsSchema: sdk.Schema{Properties: []sdk.Property{
			{Name: "api_key", Type: sdk.TypeString, Title: "API key", Required: true, Secret: true, MinLength: 8, MaxLength: 200},
			{Name: FakeSettingCloud, Type: sdk.TypeString, Title: "Address of the cloud", Endpoint: true, Format: "uri"},
		}},
		CallLimits: f.CallLimits,
	}
	if f.Minimal {
		return d
	}
	d.Client = (*fakeClient)(nil)
	d.JoinFlow = f.JoinFlow
	if d.JoinFlow == "" {
		d.JoinFlow = sdk.JoinPassword
	}
	d.Permissions = []sdk.PermissionInfo{
		{Name: sdk.PermissionStream, Label: "Stream", Default: sdk.Allow},
		{Name: sdk.PermissionDownload, Label: "Download", Default: sdk.Deny},
		{Name: name + "." + fakePermSubtitle, Label: "Edit subtitles", Default: sdk.Deny},
	}
	d.Limits = []sdk.LimitInfo{
		{Name: sdk.LimitMaxSessions, Label: "Sessions", Unit: "sessions", Max: 100},
		{Name: name + "." + fakeLimitDevices, Label: "Devices", Unit: "devices", Min: 1, Max: 50, Default: 5},
	}
	d.OptionsSchema = sdk.Schema{Properties: []sdk.Property{
		{Name: FakeOptionTheme, Type: sdk.TypeString, Title: "Theme", Enum: []string{"light", "dark"}},
	}}
	d.Realm, d.RealmLabel = FakeRealm, "Fake Cloud"
	d.AccountRules = fakeRules(d.JoinFlow)
	d.Traits = sdk.Traits{LibraryModes: []sdk.LibraryMode{sdk.LibraryAll, sdk.LibraryNone, sdk.LibraryOnly}, AllIncludesFuture: true}
	if f.Traits != nil {
		d.Traits = *f.Traits
	}
	return d
}

func fakeRules(flow sdk.JoinFlow) sdk.AccountRules {
	unused := sdk.FieldRule{Use: sdk.FieldUnused}
	if flow != sdk.JoinPassword {
		return sdk.AccountRules{Username: unused, Password: unused, Email: unused}
	}
	return sdk.AccountRules{
		Username: sdk.FieldRule{Use: sdk.FieldRequired, MinLength: 1, MaxLength: 64, Pattern: `^[^/]+$`, Help: "Anything without a slash."},
		Password: sdk.FieldRule{Use: sdk.FieldRequired, MinLength: 8, MaxLength: 128},
		Email:    sdk.FieldRule{Use: sdk.FieldOptional},
	}
}

// Open makes the client of one server.
func (f *Fake) Open(_ context.Context, req sdk.OpenRequest) (sdk.MediaClient, error) {
	if req.Server.Secrets["api_key"] == "" {
		e := sdk.Errorf(sdk.ReasonInvalid, "an API key is needed")
		e.Fields = []sdk.FieldProblem{{Field: "secrets.api_key", Code: "required", Message: "The server's API key."}}
		return nil, e
	}
	web := req.HTTP
	f.mu.Lock()
	defer f.mu.Unlock()
	if srv := f.servers[req.Server.URL]; srv != nil && !srv.listening() {
		web = &http.Client{Transport: memoryTransport{srv}}
	}
	f.opened++
	c := &fakeClient{
		ref: req.Server, http: web, log: req.Logger, desc: f.Describe(),
		closed: func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.closed++
		},
	}
	if f.Minimal {
		return &minimalClient{c}, nil
	}
	return c, nil
}

// Opened and Closed count the clients that were opened and closed.
func (f *Fake) Opened() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.opened
}

// Closed counts the clients that were closed.
func (f *Fake) Closed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}

// AddServer adds a media server, in memory at http://<name>.fake.test, with an
// administrator and the libraries Films and Series. The caller closes it.
func (f *Fake) AddServer(name string) *FakeServer {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.servers == nil {
		f.servers, f.realm = map[string]*FakeServer{}, newFakeRealm()
	}
	flow := f.JoinFlow
	if flow == "" {
		flow = sdk.JoinPassword
	}
	srv := newFakeServer(f, name, flow)
	f.servers[srv.URL()] = srv
	return srv
}

// Server gives the media server at a URL, or nil.
func (f *Fake) Server(url string) *FakeServer {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.servers[url]
}

// Client opens a client in this process, without gRPC: it is the plugin's own, with
// every interface that the plugin implements. Its failures carry no operation and no
// URL; Connect gives a client whose failures do. Tests that forget to close it lose
// nothing.
func (f *Fake) Client(ref sdk.ServerRef) sdk.MediaClient {
	c, err := f.Open(context.Background(), openRequest(ref))
	if err != nil {
		panic(fmt.Sprintf("sdktest: %v", err)) // a test's mistake
	}
	return c
}

// Ref gives the reference under which a host would know a server.
func (f *Fake) ref(name, url string) sdk.ServerRef {
	return sdk.ServerRef{
		ID: "server-" + strings.ToLower(name), ServerType: f.serverType(), Revision: 1, URL: url,
		Secrets: map[string]string{"api_key": FakeKey}, InstallationID: "installation-of-a-test",
	}
}
