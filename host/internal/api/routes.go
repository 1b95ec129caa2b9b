package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/swaggest/swgui/v5emb"
)

// routes is the whole surface.
func (a *API) routes(r chi.Router) huma.API {
	configureHuma()
	h := a.humaAPI(r)

	route(a, h, admin("GET /api/v1/server-types", "List server types", "Server types"), a.listServerTypes)
	route(a, h, admin("GET /api/v1/server-types/{server_type}", "Get a server type", "Server types"), a.getServerType)

	route(a, h, admin("GET /api/v1/plugins", "List plugins", "Plugins"), a.listPlugins)
	route(a, h, admin("POST /api/v1/plugins/rescan", "Look for plugins now", "Plugins"), a.rescanPlugins)
	route(a, h, admin("GET /api/v1/plugins/{name}", "Get a plugin", "Plugins"), a.getPlugin)
	route(a, h, admin("POST /api/v1/plugins/{name}/approve", "Approve a plugin", "Plugins"), a.approvePlugin)
	route(a, h, admin("POST /api/v1/plugins/{name}/disable", "Disable a plugin", "Plugins"), a.disablePlugin)
	route(a, h, admin("POST /api/v1/plugins/{name}/restart", "Restart a plugin", "Plugins"), a.restartPlugin)

	route(a, h, admin("GET /api/v1/servers", "List media servers", "Servers"), a.listServers)
	route(a, h, admin("POST /api/v1/servers", "Add a media server", "Servers", http.StatusCreated), a.createServer)
	route(a, h, admin("POST /api/v1/servers/test", "Test a connection", "Servers"), a.testServer)
	route(a, h, admin("GET /api/v1/servers/{id}", "Get a media server", "Servers"), a.getServer)
	route(a, h, admin("PATCH /api/v1/servers/{id}", "Change a media server", "Servers"), a.patchServer)
	route(a, h, admin("DELETE /api/v1/servers/{id}", "Remove a media server", "Servers", http.StatusNoContent), a.deleteServer)
	route(a, h, admin("POST /api/v1/servers/{id}/test", "Test a stored media server", "Servers"), a.testStoredServer)
	route(a, h, admin("POST /api/v1/servers/{id}/sync-libraries", "Sync the libraries", "Servers"), a.syncLibraries)
	route(a, h, admin("GET /api/v1/servers/{id}/libraries", "List the libraries", "Servers"), a.listLibraries)

	route(a, h, admin("GET /api/v1/profiles", "List profiles", "Profiles"), a.listProfiles)
	route(a, h, admin("POST /api/v1/profiles", "Create a profile", "Profiles", http.StatusCreated), a.createProfile)
	route(a, h, admin("GET /api/v1/profiles/{id}", "Get a profile", "Profiles"), a.getProfile)
	route(a, h, admin("PATCH /api/v1/profiles/{id}", "Change a profile", "Profiles"), a.patchProfile)
	route(a, h, admin("DELETE /api/v1/profiles/{id}", "Delete a profile", "Profiles", http.StatusNoContent), a.deleteProfile)

	route(a, h, admin("GET /api/v1/invitations", "List invitations", "Invitations"), a.listInvitations)
	route(a, h, admin("POST /api/v1/invitations", "Create an invitation", "Invitations", http.StatusCreated), a.createInvitation)
	route(a, h, admin("GET /api/v1/invitations/{id}", "Get an invitation", "Invitations"), a.getInvitation)
	route(a, h, admin("PATCH /api/v1/invitations/{id}", "Change an invitation", "Invitations"), a.patchInvitation)
	route(a, h, admin("DELETE /api/v1/invitations/{id}", "Delete an invitation", "Invitations", http.StatusNoContent), a.deleteInvitation)

	route(a, h, public("GET /api/v1/join/{code}", "Look at an invitation", "Join"), a.preview)
	route(a, h, public("POST /api/v1/join/{code}", "Redeem an invitation", "Join", http.StatusCreated, http.StatusAccepted), a.join)
	route(a, h, public("GET /api/v1/join/{code}/redemptions/{id}", "Ask how a redemption went", "Join"), a.joinResult)
	route(a, h, public("POST /api/v1/join/{code}/links", "Begin to link an account", "Join", http.StatusCreated), a.beginLink)
	route(a, h, public("GET /api/v1/join/{code}/links/{id}", "Ask how a link stands", "Join"), a.getLink)

	route(a, h, admin("GET /api/v1/redemptions", "List redemptions", "Redemptions"), a.listRedemptions)
	route(a, h, admin("GET /api/v1/redemptions/{id}", "Get a redemption", "Redemptions"), a.getRedemption)
	route(a, h, admin("POST /api/v1/redemptions/{id}/retry", "Retry a redemption now", "Redemptions"), a.retryRedemption)
	route(a, h, admin("POST /api/v1/redemptions/{id}/steps/{server_id}/resolve", "Resolve a step", "Redemptions"), a.resolveStep)

	route(a, h, admin("GET /api/v1/identities", "List identities", "Identities"), a.listIdentities)
	route(a, h, admin("GET /api/v1/identities/{id}", "Get an identity", "Identities"), a.getIdentity)
	route(a, h, admin("PATCH /api/v1/identities/{id}", "Change an identity", "Identities"), a.patchIdentity)
	route(a, h, admin("DELETE /api/v1/identities/{id}", "Remove an identity", "Identities", http.StatusNoContent), a.deleteIdentity)
	route(a, h, admin("GET /api/v1/users", "List users", "Users"), a.listUsers)
	route(a, h, admin("GET /api/v1/users/{id}", "Get a user", "Users"), a.getUser)
	route(a, h, admin("PATCH /api/v1/users/{id}", "Change a user", "Users"), a.patchUser)
	route(a, h, admin("DELETE /api/v1/users/{id}", "Remove a user", "Users", http.StatusNoContent), a.deleteUser)

	route(a, h, admin("GET /api/v1/pause", "Show what background work would do", "Instance"), a.getPause)
	route(a, h, admin("POST /api/v1/resume", "Let background work go on", "Instance"), a.resume)

	route(a, h, admin("GET /api/v1/api-keys", "List API keys", "API keys"), a.listAPIKeys)
	route(a, h, admin("POST /api/v1/api-keys", "Create an API key", "API keys", http.StatusCreated), a.createAPIKey)
	route(a, h, admin("GET /api/v1/api-keys/{id}", "Get an API key", "API keys"), a.getAPIKey)
	route(a, h, admin("DELETE /api/v1/api-keys/{id}", "Revoke an API key", "API keys", http.StatusNoContent), a.revokeAPIKey)

	route(a, h, public("GET /health", "Whole status", "Health", http.StatusOK, http.StatusServiceUnavailable), a.health)
	route(a, h, public("GET /health/live", "Does the process run", "Health"), a.live)
	route(a, h, public("GET /health/ready", "Can it serve", "Health", http.StatusOK, http.StatusServiceUnavailable), a.ready)

	r.Get("/j/{code}", a.joinPage)
	docs := a.orNotFound(v5emb.New("Zondarr API", "/openapi.json", "/docs/"))
	r.With(relaxed).Method(http.MethodGet, "/docs", docs)
	r.With(relaxed).Method(http.MethodGet, "/docs/*", docs)
	return h
}

// admin describes an operation that needs an API key. It answers the first status,
// or 200; the others come with the same body.
func admin(methodAndPath, summary, tag string, status ...int) huma.Operation {
	op := public(methodAndPath, summary, tag, status...)
	op.Security = []map[string][]string{{apiKeyScheme: {}}}
	return op
}

// public describes an operation that anybody may call.
func public(methodAndPath, summary, tag string, status ...int) huma.Operation {
	method, path, _ := strings.Cut(methodAndPath, " ")
	op := huma.Operation{
		OperationID: strings.ReplaceAll(strings.ToLower(summary), " ", "-"), Method: method, Path: path, Summary: summary, Tags: []string{tag},
		MaxBodyBytes: bodyLimit, Responses: map[string]*huma.Response{},
	}
	if len(status) > 0 {
		op.DefaultStatus, op.Metadata = status[0], map[string]any{alsoAnswers: status[1:]}
	}
	return op
}

// alsoAnswers is where an operation keeps its further statuses.
const alsoAnswers = "also_answers"

// route registers a handler; what the handler returns as an error becomes a
// problem here and nowhere else.
func route[I, O any](a *API, h huma.API, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	huma.Register(h, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		return out, nil
	})
	also, _ := op.Metadata[alsoAnswers].([]int)
	for _, status := range also {
		other := *op.Responses[strconv.Itoa(op.DefaultStatus)]
		other.Description = http.StatusText(status)
		op.Responses[strconv.Itoa(status)] = &other
	}
	if op.Method == http.MethodPatch {
		content := h.OpenAPI().Paths[op.Path].Patch.RequestBody.Content
		content["application/merge-patch+json"] = content["application/json"]
	}
}

// humaOnce guards huma's package variables. What is set there finds its API in
// the request's context, so that several may live in one process (tests).
var humaOnce sync.Once

func configureHuma() {
	humaOnce.Do(func() {
		huma.DefaultArrayNullable = false
		huma.ValidateStrictCasing = true // one name for one thing
		huma.NewErrorWithContext = frameworkProblem
		huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
			return frameworkProblem(nil, status, msg, errs...)
		}
	})
}

// orNotFound answers a problem where a file server says 404 in its own words.
func (a *API) orNotFound(files http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ww := middleware.NewWrapResponseWriter(&withoutNotFound{ResponseWriter: w}, r.ProtoMajor)
		if files.ServeHTTP(ww, r); ww.Status() == http.StatusNotFound {
			a.routeNotFound(w, r)
		}
	})
}

// withoutNotFound drops a 404 and its body.
type withoutNotFound struct {
	http.ResponseWriter
	missing bool
}

// WriteHeader passes on any status but 404.
func (w *withoutNotFound) WriteHeader(status int) {
	if w.missing = status == http.StatusNotFound; !w.missing {
		w.ResponseWriter.WriteHeader(status)
	}
}

// Write drops the body of a 404.
func (w *withoutNotFound) Write(b []byte) (int, error) {
	if w.missing {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}

// relaxed lets the documentation's own page run its own scripts and styles; it
// loads nothing from elsewhere.
func relaxed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'")
		next.ServeHTTP(w, r)
	})
}
