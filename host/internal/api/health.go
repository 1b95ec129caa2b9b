package api

import (
	"context"
	"net/http"
	"time"
)

// pingTimeout bounds how long a health check waits for the database.
const pingTimeout = 2 * time.Second

// Health is the whole status.
type Health struct {
	Status   string         `json:"status" doc:"healthy, or degraded: the database cannot be reached."`
	Version  string         `json:"version"`
	Database HealthDatabase `json:"database"`
	Plugins  []HealthPlugin `json:"plugins" nullable:"false" doc:"A plugin that is down shows here and does not make the host unready."`
}

// HealthDatabase says whether the database answers.
type HealthDatabase struct {
	State string `json:"state" doc:"ok or unreachable."`
}

// HealthPlugin is how one plugin stands.
type HealthPlugin struct {
	Name       string  `json:"name"`
	ServerType *string `json:"server_type"`
	State      string  `json:"state"`
	Message    *string `json:"message"`
}

// Liveness and readiness say one thing.
type healthState struct {
	Status string `json:"status"`
}

type healthOutput struct {
	Status int
	Body   Health
}

type stateOutput struct {
	Status int
	Body   healthState
}

func (a *API) databaseAnswers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	return a.Database.Ping(ctx) == nil
}

// health is 503 and degraded while the database is unreachable (R8.4, R8.5).
func (a *API) health(ctx context.Context, _ *struct{}) (*healthOutput, error) {
	out := &healthOutput{Status: http.StatusOK, Body: Health{
		Status: "healthy", Version: a.Version, Database: HealthDatabase{State: "ok"}, Plugins: []HealthPlugin{},
	}}
	if !a.databaseAnswers(ctx) {
		out.Status = http.StatusServiceUnavailable
		out.Body.Status, out.Body.Database.State = "degraded", "unreachable"
	}
	for _, p := range a.Plugins.List() {
		out.Body.Plugins = append(out.Body.Plugins, HealthPlugin{Name: p.Name, ServerType: text(p.ServerType), State: string(p.State), Message: text(p.Message)})
	}
	return out, nil
}

// live is 200 while the process runs (R8.6).
func (a *API) live(context.Context, *struct{}) (*stateOutput, error) {
	return &stateOutput{Status: http.StatusOK, Body: healthState{Status: "live"}}, nil
}

// ready is 503 while the database is unreachable (R8.7).
func (a *API) ready(ctx context.Context, _ *struct{}) (*stateOutput, error) {
	if !a.databaseAnswers(ctx) {
		return &stateOutput{Status: http.StatusServiceUnavailable, Body: healthState{Status: "not_ready"}}, nil
	}
	return &stateOutput{Status: http.StatusOK, Body: healthState{Status: "ready"}}, nil
}
