// Package mediaserver keeps the media servers that Zondarr manages accounts on:
// their settings, sealed credentials, what the last connection test told, and
// their libraries.
//
// A server is stored, and a change to how it is reached is stored, only after
// the connection was tested with it (R6.3). The media server's own id is
// compared each time: another id means another server behind the URL, and
// nothing is written there until an admin confirms it.
//
// The package hands out sdk.ServerRef values with opened secrets to those who
// talk to media servers, and refuses to know how: it sees a media client only
// through the interface that it declares, and no other noun at all.
package mediaserver

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/sdk"
)

// Server is one media server (R2.1).
type Server struct {
	ID         uuid.UUID
	Name       string
	ServerType string
	// URL is where the host reaches it; PublicURL where people sign in, if the
	// admin named one.
	URL       string
	PublicURL *string
	// ExternalID is the media server's own id as last confirmed.
	ExternalID string
	Settings   map[string]any
	// SecretsSet names the secrets that are stored; their values only leave in a
	// ServerRef.
	SecretsSet []string
	TLS        sdk.TLSOptions
	Enabled    bool
	// Revision rises with every change of how the server is reached.
	Revision          int64
	Facts             sdk.ServerFacts
	Health            Health
	LibraryCount      int
	LibrariesSyncedAt *time.Time
	CreatedAt         time.Time
	UpdatedAt         time.Time
}

// Health is how the last call to a server went.
type Health struct {
	State     HealthState
	Since     time.Time
	CheckedAt *time.Time
	ErrorCode *string
	Message   *string
}

// HealthState sums a server's health up.
type HealthState string

// The health states.
const (
	HealthUnknown           HealthState = "unknown"
	HealthOK                HealthState = "ok"
	HealthUnreachable       HealthState = "unreachable"
	HealthUnauthorized      HealthState = "unauthorized"
	HealthWrongServer       HealthState = "wrong_server"
	HealthSettingsInvalid   HealthState = "settings_invalid"
	HealthPluginUnavailable HealthState = "plugin_unavailable"
)

// Library is one content collection of a server (R2.2).
type Library struct {
	ID         uuid.UUID
	ServerID   uuid.UUID
	ExternalID string
	Name       string
	Type       string
	// MissingSince is when a sync did not find it any more.
	MissingSince *time.Time
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// SyncRun is one comparison of a server's libraries with ours.
type SyncRun struct {
	ID       uuid.UUID
	ServerID uuid.UUID
	Scope    string
	State    string
	DryRun   bool
	Counts   map[string]int64
	// Error is why it failed; nil when it did not.
	Error      error
	StartedAt  time.Time
	FinishedAt *time.Time
}

// registry is what the service needs of the client registry.
type registry interface {
	// Describe gives the description of a server type, or an error that lists
	// the known ones.
	Describe(serverType string) (sdk.Description, error)
	// Client gives the media client of a server. It makes no call.
	Client(ctx context.Context, ref sdk.ServerRef) (sdk.MediaClient, error)
}

// sealer seals and opens the secrets at rest.
type sealer interface {
	Seal(context string, plaintext []byte) ([]byte, error)
	Open(context string, sealed []byte) ([]byte, error)
}

// Service adds, changes, tests and removes media servers, and syncs their
// libraries. Its errors are *fault.Error.
type Service struct {
	DB       *database.DB
	Registry registry
	Box      sealer
	// InstallationID goes into every ServerRef.
	InstallationID string
	// Now gives the time in UTC and microseconds.
	Now func() time.Time
}
