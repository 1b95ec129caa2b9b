package api

import (
	"cmp"
	"context"
	"encoding/json"

	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/registry"
	"github.com/zondarr/zondarr/sdk"
)

// ServerType is a kind of media server that a plugin serves.
type ServerType struct {
	ServerType       string           `json:"server_type"`
	DisplayName      string           `json:"display_name"`
	Plugin           string           `json:"plugin" doc:"The plugin that serves it."`
	Available        bool             `json:"available" doc:"Whether the plugin runs now."`
	Homepage         *string          `json:"homepage"`
	DefaultPublicURL *string          `json:"default_public_url" doc:"Where people sign in when a server has no public URL."`
	Capabilities     []string         `json:"capabilities" nullable:"false"`
	CapabilityTraits CapabilityTraits `json:"capability_traits"`
	Permissions      []PermissionInfo `json:"permissions" nullable:"false"`
	Limits           []LimitInfo      `json:"limits" nullable:"false"`
	UserKinds        []UserKindInfo   `json:"user_kinds" nullable:"false"`
	SettingsSchema   map[string]any   `json:"settings_schema" doc:"JSON Schema of settings and secrets (writeOnly)."`
	OptionsSchema    map[string]any   `json:"options_schema" doc:"JSON Schema of a grant's options."`
	JoinFlow         string           `json:"join_flow" doc:"password, linked_account or none."`
	Realm            *string          `json:"realm" doc:"Where linked accounts live."`
	AccountRules     AccountRules     `json:"account_rules"`
	Rate             CallRate         `json:"rate"`
}

// CapabilityTraits say how capabilities behave.
type CapabilityTraits struct {
	Suspend       SuspendTraits `json:"suspend"`
	LibraryAccess LibraryTraits `json:"library_access"`
}

// SuspendTraits say how suspending works.
type SuspendTraits struct {
	Emulated bool    `json:"emulated" doc:"Suspending takes the access away, and resuming gives it back."`
	Note     *string `json:"note"`
}

// LibraryTraits say what library access can express.
type LibraryTraits struct {
	Modes             []string `json:"modes" nullable:"false"`
	AllIncludesFuture bool     `json:"all_includes_future" doc:"Whether all covers libraries added later."`
	Note              *string  `json:"note"`
}

// PermissionInfo describes a permission.
type PermissionInfo struct {
	Name    string  `json:"name"`
	Label   string  `json:"label"`
	Help    *string `json:"help"`
	Default string  `json:"default" doc:"allow or deny: what a new user gets when a grant leaves it unset."`
}

// LimitInfo describes a limit.
type LimitInfo struct {
	Name    string  `json:"name"`
	Label   string  `json:"label"`
	Help    *string `json:"help"`
	Unit    string  `json:"unit"`
	Min     int64   `json:"min"`
	Max     *int64  `json:"max"`
	Default int64   `json:"default" doc:"0 = no limit."`
}

// UserKindInfo describes a kind of user.
type UserKindInfo struct {
	Name      string `json:"name"`
	Label     string `json:"label"`
	Protected bool   `json:"protected" doc:"Never touched."`
}

// CallRate bounds what one media server is sent.
type CallRate struct {
	MaxConcurrentCalls   int      `json:"max_concurrent_calls"`
	MaxRequestsPerSecond *float64 `json:"max_requests_per_second"`
}

func toServerType(t registry.Type) (ServerType, error) {
	d := t.Description
	settings, err := schemaMap(d.SettingsSchema)
	if err != nil {
		return ServerType{}, err
	}
	options, err := schemaMap(d.OptionsSchema)
	if err != nil {
		return ServerType{}, err
	}
	out := ServerType{
		ServerType: d.ServerType, DisplayName: d.DisplayName, Plugin: t.Plugin, Available: t.Available,
		Homepage: text(d.Homepage), DefaultPublicURL: text(d.DefaultPublicURL), Capabilities: names(d.Capabilities()),
		CapabilityTraits: CapabilityTraits{
			Suspend:       SuspendTraits{Emulated: d.Traits.SuspendEmulated, Note: text(d.Traits.SuspendNote)},
			LibraryAccess: LibraryTraits{Modes: names(d.Traits.LibraryModes), AllIncludesFuture: d.Traits.AllIncludesFuture, Note: text(d.Traits.LibraryNote)},
		},
		Permissions: make([]PermissionInfo, len(d.Permissions)), Limits: make([]LimitInfo, len(d.Limits)), UserKinds: make([]UserKindInfo, len(d.UserKinds)),
		SettingsSchema: settings, OptionsSchema: options, JoinFlow: string(d.JoinFlow), Realm: text(d.Realm),
		AccountRules: toAccountRules(d.AccountRules), Rate: CallRate{MaxConcurrentCalls: cmp.Or(d.CallLimits.MaxConcurrent, registry.DefaultCallPolicy().MaxConcurrent)},
	}
	for i, p := range d.Permissions {
		out.Permissions[i] = PermissionInfo{Name: p.Name, Label: p.Label, Help: text(p.Help), Default: p.Default.String()}
	}
	for i, l := range d.Limits {
		out.Limits[i] = LimitInfo{Name: l.Name, Label: l.Label, Help: text(l.Help), Unit: l.Unit, Min: l.Min, Default: l.Default}
		if l.Max != 0 {
			out.Limits[i].Max = &l.Max
		}
	}
	for i, k := range d.UserKinds {
		out.UserKinds[i] = UserKindInfo{Name: k.Name, Label: k.Label, Protected: k.Protected}
	}
	if d.CallLimits.MaxPerSecond > 0 {
		out.Rate.MaxRequestsPerSecond = &d.CallLimits.MaxPerSecond
	}
	return out, nil
}

func names[S ~string](in []S) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = string(s)
	}
	return out
}

func schemaMap(s sdk.Schema) (map[string]any, error) {
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var out map[string]any
	return out, json.Unmarshal(raw, &out)
}

// listServerTypes gives every type at once: there are as many as plugins.
func (a *API) listServerTypes(context.Context, *struct{}) (*body[List[ServerType]], error) {
	types := a.Registry.Types()
	out := List[ServerType]{Items: make([]ServerType, len(types))}
	for i, t := range types {
		var err error
		if out.Items[i], err = toServerType(t); err != nil {
			return nil, err
		}
	}
	return ok(out), nil
}

func (a *API) getServerType(_ context.Context, in *struct {
	ServerType string `path:"server_type" maxLength:"32"`
}) (*body[ServerType], error) {
	t, err := a.Registry.Type(in.ServerType)
	if err != nil {
		return nil, fault.Missing("server_type", in.ServerType).Wrap(err)
	}
	out, err := toServerType(t)
	if err != nil {
		return nil, err
	}
	return ok(out), nil
}
