// Package api is the HTTP edge: it decodes and validates requests, calls one
// service method, and encodes the answer or the problem.
//
// routes.go shows the whole surface on one screen. Every operation has a file by
// its noun: servers.go, invitations.go, join.go. A handler returns its error;
// one adapter (problem.go) decides status, log and body, so that nothing
// internal ever reaches a body (R9).
//
// The package knows services, and of the database no more than that it may be
// away: never an ent row, a query or the plugin wire. It holds no state but the
// rate limits of strangers.
package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/zondarr/zondarr/host/internal/auth"
	"github.com/zondarr/zondarr/host/internal/identity"
	"github.com/zondarr/zondarr/host/internal/invitation"
	"github.com/zondarr/zondarr/host/internal/job"
	"github.com/zondarr/zondarr/host/internal/mediaserver"
	"github.com/zondarr/zondarr/host/internal/pluginhost"
	"github.com/zondarr/zondarr/host/internal/redeem"
	"github.com/zondarr/zondarr/host/internal/registry"
)

// API is the HTTP surface of the host. Every field is required.
type API struct {
	Keys        *auth.Service
	Servers     *mediaserver.Service
	Invitations *invitation.Service
	Redemptions *redeem.Service
	Identities  *identity.Service
	Pause       *job.Pause
	Registry    *registry.Registry
	Plugins     pluginHost

	// Database says whether the database answers.
	Database interface{ Ping(context.Context) error }
	// Version of the host, for the OpenAPI document.
	Version string
	// BaseURL is the public base URL without trailing slash, or "" (links are
	// relative).
	BaseURL string
	// TrustedProxies are whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// Limits of what strangers may try.
	Limits Limits
	Logger *slog.Logger
	Now    func() time.Time
	// Observe is told of every request, by the pattern of its route; nil for none.
	Observe func(method, route string, status int, took time.Duration)
	// Started says whether all parts run; until then only health checks are
	// answered. Nil means always.
	Started func() bool

	guard   *guard
	schemas huma.Registry
}

// pluginHost is what the edge needs of the plugin host.
type pluginHost interface {
	List() []pluginhost.Status
	Get(name string) (pluginhost.Status, error)
	Rescan(ctx context.Context) ([]pluginhost.Status, error)
	Approve(ctx context.Context, name, sha256, by string) (pluginhost.Status, error)
	Disable(ctx context.Context, name, by string) (pluginhost.Status, error)
	Restart(ctx context.Context, name, by string) (pluginhost.Status, error)
}

// Document gives the OpenAPI document as JSON. It needs no service.
func Document(version string) ([]byte, error) {
	a := &API{Version: version, guard: newGuard(Limits{})}
	return json.MarshalIndent(a.routes(chi.NewMux()).OpenAPI(), "", "  ")
}

// bodyLimit bounds every request body, in bytes.
const bodyLimit = 1 << 20

// Handler gives the handler of everything that the host serves.
func (a *API) Handler() http.Handler {
	a.guard = newGuard(a.Limits)
	r := chi.NewMux()
	r.Use(a.correlate, a.clientAddress, a.logAccess, a.recoverPanics, secureHeaders, a.whileStarting, a.refuseUnreadable, middleware.GetHead)
	r.NotFound(a.routeNotFound)
	r.MethodNotAllowed(a.methodNotAllowed)
	a.routes(r)
	return r
}

// humaAPI makes the typed layer on top of the router.
func (a *API) humaAPI(r chi.Router) huma.API {
	config := huma.DefaultConfig("Zondarr", a.Version)
	config.CreateHooks = nil // no $schema members: the JSON is pinned
	config.DocsPath = ""     // its pages load from a CDN; /docs is ours
	config.SchemasPath = ""  // the document holds every schema
	config.OpenAPIPath = "/openapi"
	config.RejectUnknownQueryParameters = true
	config.NoFormatFallback = false
	config.Formats = map[string]huma.Format{}
	for name, f := range huma.DefaultFormats {
		config.Formats[name] = huma.Format{Marshal: f.Marshal, Unmarshal: decode}
	}
	config.Info.Description = description
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		apiKeyScheme: {Type: "http", Scheme: "bearer", Description: "An API key: `zondarr api-key create --name laptop` prints one."},
	}
	h := humachi.New(r, config)
	a.schemas = h.OpenAPI().Components.Schemas
	h.UseMiddleware(a.authenticate(h), a.once(h))
	return h
}

const description = `Zondarr turns an invitation code into an account on every media server that it names.

Management calls need ` + "`Authorization: Bearer <API key>`" + `; calls under ` + "`/api/v1/join`" + ` are for invitees and need none.
Every failure is an ` + "`application/problem+json`" + ` body with a stable ` + "`error_code`" + ` and the ` + "`correlation_id`" + ` under which the log has the cause.
Times are RFC 3339 in UTC. New fields and enumeration values may be added; none is renamed or removed.`
