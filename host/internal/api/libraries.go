package api

import (
	"context"
	"time"

	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/mediaserver"
)

// Library is a content collection of a media server.
type Library struct {
	ID          string    `json:"id" format:"uuid"`
	ServerID    string    `json:"server_id" format:"uuid"`
	ExternalID  string    `json:"external_id" doc:"The media server's own id of it."`
	Name        string    `json:"name"`
	LibraryType string    `json:"library_type" doc:"movies, shows, music, music_videos, home_videos, photos, books, audiobooks, podcasts, comics, live_tv, mixed or other."`
	State       string    `json:"state" doc:"present, or gone: the last sync did not find it."`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

func toLibrary(l mediaserver.Library) Library {
	state := "present"
	if l.MissingSince != nil {
		state = "gone"
	}
	return Library{
		ID: l.ID.String(), ServerID: l.ServerID.String(), ExternalID: l.ExternalID, Name: l.Name, LibraryType: l.Type, State: state,
		CreatedAt: l.CreatedAt.UTC(), UpdatedAt: l.UpdatedAt.UTC(),
	}
}

// SyncRun is one comparison of a media server with what Zondarr knows of it.
type SyncRun struct {
	ID         string           `json:"id" format:"uuid"`
	ServerID   string           `json:"server_id" format:"uuid"`
	Scope      string           `json:"scope" doc:"libraries."`
	State      string           `json:"state" doc:"running, completed or failed."`
	DryRun     bool             `json:"dry_run"`
	Counts     SyncCounts       `json:"counts"`
	Error      Null[SyncFailed] `json:"error"`
	StartedAt  time.Time        `json:"started_at"`
	FinishedAt *time.Time       `json:"finished_at"`
}

// SyncCounts say what a sync found.
type SyncCounts struct {
	Added     int64 `json:"added"`
	Renamed   int64 `json:"renamed"`
	Gone      int64 `json:"gone"`
	Unchanged int64 `json:"unchanged"`
}

// SyncFailed is why a sync failed.
type SyncFailed struct {
	ErrorCode string `json:"error_code"`
	Message   string `json:"message"`
	Retryable bool   `json:"retryable"`
}

func toSyncRun(r mediaserver.SyncRun) SyncRun {
	out := SyncRun{
		ID: r.ID.String(), ServerID: r.ServerID.String(), Scope: r.Scope, State: r.State, DryRun: r.DryRun,
		Counts:    SyncCounts{Added: r.Counts["added"], Renamed: r.Counts["renamed"], Gone: r.Counts["gone"], Unchanged: r.Counts["unchanged"]},
		StartedAt: r.StartedAt.UTC(), FinishedAt: inUTC(r.FinishedAt),
	}
	if f := fault.As(r.Error); f != nil {
		out.Error = nullOf(&SyncFailed{ErrorCode: f.Code, Message: f.Message, Retryable: f.Retryable})
	}
	return out
}

func (a *API) syncLibraries(ctx context.Context, in *struct {
	IDParam
	NoBody
}) (*body[SyncRun], error) {
	run, err := a.Servers.SyncLibraries(ctx, in.id())
	if err != nil {
		return nil, err
	}
	return ok(toSyncRun(run)), nil
}

func (a *API) listLibraries(ctx context.Context, in *struct {
	IDParam
	PageParams
}) (*body[List[Library]], error) {
	p, err := a.Servers.Libraries(ctx, in.id(), in.request())
	if err != nil {
		return nil, err
	}
	return listOf(p, toLibrary), nil
}
