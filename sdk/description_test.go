package sdk_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/zondarr/zondarr/sdk"
)

// reader can do what every client can, and read users.
type reader struct{ sdk.MediaClient }

func (*reader) GetUser(context.Context, sdk.GetUserRequest) (sdk.GetUserResponse, error) {
	return sdk.GetUserResponse{}, nil
}
func (*reader) ListUsers(context.Context, sdk.ListUsersRequest, func(sdk.User) error) error {
	return nil
}

// provisioner can do more.
type provisioner struct {
	reader
	sdk.Provisioner
	sdk.PermissionSetter
	sdk.AccountLinker
}

func description() sdk.Description {
	return sdk.Description{
		Name: "x", Version: "1", ServerType: "x", DisplayName: "X", Client: (*provisioner)(nil), JoinFlow: sdk.JoinPassword,
		Realm: "r", RealmLabel: "R", Traits: sdk.Traits{LibraryModes: []sdk.LibraryMode{sdk.LibraryAll}},
		Permissions: []sdk.PermissionInfo{{Name: sdk.PermissionStream, Label: "Stream", Default: sdk.Allow}},
		Limits:      []sdk.LimitInfo{{Name: "x.devices", Label: "Devices", Min: 1, Max: 5, Default: 2}},
	}
}

// R3.7: capabilities follow from what is implemented.
func TestCapabilities(t *testing.T) {
	d := description()
	want := []sdk.Capability{sdk.CapLimits, sdk.CapLinkAccount, sdk.CapPermissions, sdk.CapProvision, sdk.CapReadUsers}
	if got := d.Capabilities(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	d.Permissions, d.Limits = nil, nil
	if d.Has(sdk.CapPermissions) || d.Has(sdk.CapLimits) {
		t.Error("permissions without any are a capability")
	}
	d.Client = (*reader)(nil)
	if got := d.Capabilities(); !slices.Equal(got, []sdk.Capability{sdk.CapReadUsers}) {
		t.Errorf("got %v", got)
	}
	remote := description().WithCapabilities([]sdk.Capability{sdk.CapSuspend, sdk.CapLimits})
	if remote.Client != nil || !slices.Equal(remote.Capabilities(), []sdk.Capability{sdk.CapLimits, sdk.CapSuspend}) {
		t.Errorf("from the wire: %v", remote.Capabilities())
	}
}

func TestValidate(t *testing.T) {
	if err := description().Validate(); err != nil {
		t.Fatalf("a good description: %v", err)
	}
	one, two := 1.0, 2.0
	for says, change := range map[string]func(*sdk.Description){
		`Name "X Y"`:                       func(d *sdk.Description) { d.Name = "X Y" },
		`ServerType "1x"`:                  func(d *sdk.Description) { d.ServerType = "1x" },
		"Version is empty":                 func(d *sdk.Description) { d.Version = "" },
		"DisplayName is empty":             func(d *sdk.Description) { d.DisplayName = "" },
		"Version: want at most":            func(d *sdk.Description) { d.Version = "1.0\x1b[2J" },
		"DisplayName: want at most":        func(d *sdk.Description) { d.DisplayName = strings.Repeat("x", 65) },
		`Homepage "ftp://x" is no`:         func(d *sdk.Description) { d.Homepage = "ftp://x" },
		"Client is nil":                    func(d *sdk.Description) { d.Client = nil },
		`"fly" is neither`:                 func(d *sdk.Description) { d.Permissions[0].Name = "fly" },
		`"stream" is named twice`:          func(d *sdk.Description) { d.Permissions = append(d.Permissions, d.Permissions[0]) },
		`"stream" has the default "unset"`: func(d *sdk.Description) { d.Permissions[0].Default = sdk.Unset },
		`"x.devices" has the range 9 to 5`: func(d *sdk.Description) { d.Limits[0].Min = 9 },
		"default 7 outside":                func(d *sdk.Description) { d.Limits[0].Default = 7 },
		`JoinFlow is "free"`:               func(d *sdk.Description) { d.JoinFlow = "free" },
		"does not implement AccountLinker": func(d *sdk.Description) { d.Client, d.JoinFlow = (*reader)(nil), sdk.JoinLinkedAccount },
		"AccountLinker needs one":          func(d *sdk.Description) { d.Realm = "" },
		"RealmLabel is empty":              func(d *sdk.Description) { d.RealmLabel = "" },
		"LibraryModes is empty":            func(d *sdk.Description) { d.Traits.LibraryModes = nil },
		`"some" is no library mode`:        func(d *sdk.Description) { d.Traits.LibraryModes = []sdk.LibraryMode{"some"} },
		"CallLimits are negative":          func(d *sdk.Description) { d.CallLimits.MaxConcurrent = -1 },
		"is not anchored":                  func(d *sdk.Description) { d.AccountRules.Username.Pattern = "a+" },
		"does not compile":                 func(d *sdk.Description) { d.AccountRules.Username.Pattern = "^(" },
		"bounds that nothing can meet": func(d *sdk.Description) {
			d.AccountRules.Password = sdk.FieldRule{MinLength: 9, MaxLength: 8}
		},
		"is secret, but only settings can be": func(d *sdk.Description) {
			d.OptionsSchema.Properties = []sdk.Property{{Name: "a", Type: sdk.TypeString, Secret: true}}
		},
		"is secret and no string": func(d *sdk.Description) {
			d.SettingsSchema.Properties = []sdk.Property{{Name: "a", Type: sdk.TypeInteger, Secret: true}}
		},
		"is an endpoint and no plain string": func(d *sdk.Description) {
			d.SettingsSchema.Properties = []sdk.Property{{Name: "a", Type: sdk.TypeBoolean, Endpoint: true}}
		},
		"bounds that nothing": func(d *sdk.Description) {
			d.SettingsSchema.Properties = []sdk.Property{{Name: "a", Type: sdk.TypeInteger, Minimum: &two, Maximum: &one}}
		},
		"SettingsSchema.A b: want": func(d *sdk.Description) {
			d.SettingsSchema.Properties = []sdk.Property{{Name: "A b", Type: sdk.TypeString}}
		},
	} {
		d := description()
		change(&d)
		if err := d.Validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q, got %v", says, err)
		}
	}
	// A plugin that has everything wrong is told of the first of it, in a text that a log
	// can hold.
	d := description()
	d.Permissions = nil
	for range 100_000 {
		d.Permissions = append(d.Permissions, sdk.PermissionInfo{Name: "Bad Name"})
	}
	d.Permissions[0].Name = strings.Repeat("\x00é", 100_000)
	err := d.Validate()
	if err == nil || len(err.Error()) > 4096 || !strings.Contains(err.Error(), `"Bad Name" is neither`) || !strings.Contains(err.Error(), "more") || !utf8.ValidString(err.Error()) {
		t.Errorf("100,000 problems are told in %d bytes: %.200s", len(err.Error()), err)
	}
	// Everything at once, so that an author fixes it in one go.
	if err := (sdk.Description{}).Validate(); strings.Count(err.Error(), "\n") < 4 {
		t.Errorf("got %v", err)
	}
}
