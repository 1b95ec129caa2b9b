package api

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/host/internal/mediaserver"
	"github.com/zondarr/zondarr/sdk"
)

// Server is a media server.
type Server struct {
	ID                string         `json:"id" format:"uuid"`
	Name              string         `json:"name"`
	ServerType        string         `json:"server_type" doc:"See /server-types."`
	URL               string         `json:"url" doc:"Where Zondarr reaches it; never shown to invitees."`
	PublicURL         *string        `json:"public_url" doc:"Where people sign in; null = the server type's default, if it has one."`
	Enabled           bool           `json:"enabled"`
	Settings          map[string]any `json:"settings" doc:"By the server type's settings_schema, without secrets."`
	SecretsSet        []string       `json:"secrets_set" nullable:"false" doc:"Names of the secrets that are stored. Their values are never told."`
	TLS               ServerTLS      `json:"tls"`
	Product           string         `json:"product"`
	Version           string         `json:"version"`
	ExternalServerID  string         `json:"external_server_id" doc:"The media server's own id."`
	JoinFlow          string         `json:"join_flow" doc:"password, linked_account or none."`
	AccountRules      AccountRules   `json:"account_rules"`
	Health            ServerHealth   `json:"health"`
	LibraryCount      int            `json:"library_count"`
	LibrariesSyncedAt *time.Time     `json:"libraries_synced_at"`
	CreatedAt         time.Time      `json:"created_at"`
	UpdatedAt         time.Time      `json:"updated_at"`
}

// ServerTLS says how the server's certificate is verified.
type ServerTLS struct {
	CAPEM      *string `json:"ca_pem" doc:"Further trusted certificates in PEM form."`
	SkipVerify bool    `json:"skip_verify" doc:"Accept any certificate. Anyone between can then read the credentials."`
}

// ServerHealth is how the last call to the server went.
type ServerHealth struct {
	State     string     `json:"state" doc:"unknown, ok, unreachable, unauthorized, wrong_server, settings_invalid or plugin_unavailable."`
	Since     time.Time  `json:"since"`
	CheckedAt *time.Time `json:"checked_at"`
	ErrorCode *string    `json:"error_code"`
	Message   *string    `json:"message"`
}

// AccountRules say what an invitee types.
type AccountRules struct {
	Username FieldRule `json:"username"`
	Password FieldRule `json:"password"`
	Email    FieldRule `json:"email"`
}

// FieldRule describes one field of the join form.
type FieldRule struct {
	Use       string  `json:"use" doc:"required, optional or unused."`
	MinLength *int    `json:"min_length" doc:"Characters."`
	MaxLength *int    `json:"max_length" doc:"Characters."`
	MaxBytes  *int    `json:"max_bytes" doc:"Bytes of UTF-8."`
	Pattern   *string `json:"pattern" doc:"An anchored regular expression in the common part of RE2 and ECMAScript u."`
	Help      *string `json:"help"`
}

func toAccountRules(r sdk.AccountRules) AccountRules {
	field := func(f sdk.FieldRule) FieldRule {
		use := f.Use
		if use == "" {
			use = sdk.FieldUnused
		}
		return FieldRule{
			Use: string(use), MinLength: number(f.MinLength), MaxLength: number(f.MaxLength), MaxBytes: number(f.MaxBytes),
			Pattern: text(f.Pattern), Help: text(f.Help),
		}
	}
	return AccountRules{Username: field(r.Username), Password: field(r.Password), Email: field(r.Email)}
}

func toServer(s mediaserver.Server) Server {
	settings := s.Settings
	if settings == nil {
		settings = map[string]any{}
	}
	return Server{
		ID: s.ID.String(), Name: s.Name, ServerType: s.ServerType, URL: s.URL, PublicURL: s.PublicURL, Enabled: s.Enabled,
		Settings: settings, SecretsSet: values(s.SecretsSet), TLS: ServerTLS{CAPEM: text(s.TLS.CAPEM), SkipVerify: s.TLS.SkipVerify},
		Product: s.Facts.Product, Version: s.Facts.Version, ExternalServerID: s.ExternalID, JoinFlow: string(s.Facts.JoinFlow),
		AccountRules: toAccountRules(s.Facts.AccountRules),
		Health: ServerHealth{
			State: string(s.Health.State), Since: s.Health.Since.UTC(), CheckedAt: inUTC(s.Health.CheckedAt),
			ErrorCode: s.Health.ErrorCode, Message: s.Health.Message,
		},
		LibraryCount: s.LibraryCount, LibrariesSyncedAt: inUTC(s.LibrariesSyncedAt), CreatedAt: s.CreatedAt.UTC(), UpdatedAt: s.UpdatedAt.UTC(),
	}
}

// ServerConnection is what a connection test takes: a new server without its name.
type ServerConnection struct {
	ServerType string            `json:"server_type" minLength:"1" maxLength:"32" doc:"See /server-types."`
	URL        string            `json:"url" minLength:"1" maxLength:"2048" doc:"http or https, without user, query and fragment."`
	Settings   map[string]any    `json:"settings,omitempty" doc:"By the server type's settings_schema, without secrets."`
	Secrets    map[string]string `json:"secrets,omitempty" doc:"The fields that the settings_schema marks writeOnly."`
	TLS        *ServerTLSInput   `json:"tls,omitempty"`
	PublicURL  *string           `json:"public_url,omitempty" nullable:"true" maxLength:"2048" doc:"Where people sign in."`
	Enabled    *bool             `json:"enabled,omitempty" doc:"true unless said otherwise."`
}

// ServerTLSInput says how the server's certificate is verified.
type ServerTLSInput struct {
	CAPEM      *string `json:"ca_pem,omitempty" nullable:"true" maxLength:"65536" doc:"Further trusted certificates in PEM form."`
	SkipVerify bool    `json:"skip_verify,omitempty" doc:"Accept any certificate. Anyone between can then read the credentials."`
}

func (t *ServerTLSInput) options() sdk.TLSOptions {
	var o sdk.TLSOptions
	if t == nil {
		return o
	}
	if t.CAPEM != nil {
		o.CAPEM = *t.CAPEM
	}
	o.SkipVerify = t.SkipVerify
	return o
}

func (c ServerConnection) params() mediaserver.CreateParams {
	return mediaserver.CreateParams{
		Connection: mediaserver.Connection{ServerType: c.ServerType, URL: c.URL, Settings: c.Settings, Secrets: c.Secrets, TLS: c.TLS.options()},
		PublicURL:  c.PublicURL, Enabled: c.Enabled == nil || *c.Enabled,
	}
}

// ServerCreate is a new media server. The connection is tested first; when the
// test fails nothing is stored.
type ServerCreate struct {
	Name string `json:"name" minLength:"1" maxLength:"100"`
	ServerConnection
}

// ServerPatch changes what it names. A changed URL, secret, setting or TLS
// option is tested first; when the test fails nothing is stored.
type ServerPatch struct {
	Name      Change[string]                 `json:"name,omitempty" minLength:"1" maxLength:"100"`
	URL       Change[string]                 `json:"url,omitempty" minLength:"1" maxLength:"2048" doc:"http or https, without user, query and fragment."`
	PublicURL Opt[string]                    `json:"public_url,omitempty" maxLength:"2048" doc:"null clears it."`
	Settings  Change[map[string]any]         `json:"settings,omitempty" doc:"Merged by key; null clears a key."`
	Secrets   Change[map[string]Opt[string]] `json:"secrets,omitempty" doc:"Merged by key; null clears a key."`
	TLS       Change[ServerTLSPatch]         `json:"tls,omitempty"`
	Enabled   Change[bool]                   `json:"enabled,omitempty"`
	Confirm   Change[string]                 `json:"confirm_external_server_id,omitempty" minLength:"1" maxLength:"256" doc:"Accepts another media server behind the URL, by the id that it says."`
}

// ServerTLSPatch changes what it names.
type ServerTLSPatch struct {
	CAPEM      Opt[string] `json:"ca_pem,omitempty" maxLength:"65536" doc:"Further trusted certificates in PEM form; null clears them."`
	SkipVerify Opt[bool]   `json:"skip_verify,omitempty" doc:"Accept any certificate; null = false."`
}

func (t *ServerTLSPatch) patch() *mediaserver.TLSPatch {
	if t == nil {
		return nil
	}
	var p mediaserver.TLSPatch
	if t.CAPEM.Set {
		p.CAPEM = &t.CAPEM.Value
	}
	if t.SkipVerify.Set {
		p.SkipVerify = &t.SkipVerify.Value
	}
	return &p
}

// patch merges settings and secrets by key.
func (b ServerPatch) patch() mediaserver.Patch {
	p := mediaserver.Patch{
		Name: b.Name.ptr(), URL: b.URL.ptr(), PublicURL: b.PublicURL.ptrPtr(), TLS: b.TLS.ptr().patch(), Enabled: b.Enabled.ptr(),
		ConfirmExternalID: b.Confirm.ptr(),
	}
	if s := b.Settings.ptr(); s != nil {
		p.Settings = *s
	}
	if s := b.Secrets.ptr(); s != nil {
		p.Secrets = make(map[string]*string, len(*s))
		for name, v := range *s {
			p.Secrets[name] = v.ptr()
		}
	}
	return p
}

// IDParam names a resource in the path.
type IDParam struct {
	ID string `path:"id" format:"uuid"`
}

// id gives the UUID: huma has checked the form.
func (p IDParam) id() uuid.UUID { return uuid.MustParse(p.ID) }

func (a *API) listServers(ctx context.Context, in *struct {
	PageParams
	ServerType []string `query:"server_type,explode" doc:"Only these types."`
	Enabled    string   `query:"enabled" enum:"true,false"`
	Q          string   `query:"q" maxLength:"100" doc:"Part of the name, ignoring case."`
}) (*body[List[Server]], error) {
	p, err := a.Servers.List(ctx, mediaserver.Filter{ServerType: in.ServerType, Enabled: triFlag(in.Enabled), Query: in.Q}, in.request())
	if err != nil {
		return nil, err
	}
	return listOf(p, toServer), nil
}

func (a *API) createServer(ctx context.Context, in *struct{ Body ServerCreate }) (*created[Server], error) {
	p := in.Body.params()
	p.Name = in.Body.Name
	s, err := a.Servers.Create(ctx, p)
	if err != nil {
		return nil, err
	}
	return &created[Server]{Location: "/api/v1/servers/" + s.ID.String(), Body: toServer(s)}, nil
}

func (a *API) getServer(ctx context.Context, in *IDParam) (*body[Server], error) {
	s, err := a.Servers.Get(ctx, in.id())
	if err != nil {
		return nil, err
	}
	return ok(toServer(s)), nil
}

func (a *API) patchServer(ctx context.Context, in *struct {
	IDParam
	Body ServerPatch
}) (*body[Server], error) {
	s, err := a.Servers.Update(ctx, in.id(), in.Body.patch())
	if err != nil {
		return nil, err
	}
	return ok(toServer(s)), nil
}

func (a *API) deleteServer(ctx context.Context, in *IDParam) (*none, error) {
	return nil, a.Servers.Delete(ctx, in.id())
}

// ServerTest is what a connection test of an unsaved server told.
type ServerTest struct {
	Product          string       `json:"product"`
	Version          string       `json:"version"`
	ExternalServerID string       `json:"external_server_id"`
	ServerName       string       `json:"server_name"`
	JoinFlow         string       `json:"join_flow"`
	AccountRules     AccountRules `json:"account_rules"`
	Warnings         []string     `json:"warnings" nullable:"false" doc:"What this server cannot do, with the reason."`
}

func (a *API) testServer(ctx context.Context, in *struct{ Body ServerConnection }) (*body[ServerTest], error) {
	facts, err := a.Servers.Test(ctx, in.Body.params())
	if err != nil {
		return nil, err
	}
	warnings := values(facts.Warnings)
	for _, m := range facts.Missing {
		warnings = append(warnings, m.Name+": "+m.Reason)
	}
	return ok(ServerTest{
		Product: facts.Product, Version: facts.Version, ExternalServerID: facts.ExternalID, ServerName: facts.Name,
		JoinFlow: string(facts.JoinFlow), AccountRules: toAccountRules(facts.AccountRules), Warnings: warnings,
	}), nil
}

func (a *API) testStoredServer(ctx context.Context, in *struct {
	IDParam
	NoBody
}) (*body[Server], error) {
	s, err := a.Servers.TestStored(ctx, in.id())
	if err != nil {
		return nil, err
	}
	return ok(toServer(s)), nil
}
