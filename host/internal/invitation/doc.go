// Package invitation keeps invitations and the profiles that they start from:
// create, list, check, change, delete, and the two verbs on which everything
// rests, reserving a use of a code and giving it back.
//
// A use is taken by one conditional UPDATE, so that a code for one person makes
// one account however many redeem it at once. Whether a code is good is computed,
// never stored: see State.
//
// A grant is judged when it is written, against what the target servers told at
// their last test: what none of them can do is refused, what only some can is a
// warning on those. The package reads servers and libraries through its own
// edges to them, calls no plugin, and knows neither HTTP nor what a redemption
// does with a use.
package invitation

import (
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/grant"
	"github.com/zondarr/zondarr/sdk"
)

// Service is the repository of invitations and profiles (R5) and their rules.
type Service struct {
	DB *database.DB
	// Types describes server types; it works while a plugin is down.
	Types types
	// Now gives the time in UTC, in microseconds.
	Now func() time.Time
}

// types is what the package needs of the registry.
type types interface {
	Describe(serverType string) (sdk.Description, error)
}

// Whether the invitee is asked for an e-mail address.
const (
	EmailOff      = "off"
	EmailOptional = "optional"
	EmailRequired = "required"
)

// Invitation is a code that grants access to one or more media servers (R2.3).
type Invitation struct {
	ID   uuid.UUID
	Code string
	// Label and Note are for admins; invitees never see them.
	Label   string
	Note    *string
	Enabled bool
	// State is computed at the time of reading.
	State     State
	ExpiresAt *time.Time
	// MaxUses is nil for unlimited.
	MaxUses  *int
	UseCount int
	// DurationDays is how long the accounts live that it makes; nil for ever.
	DurationDays *int
	OnExpiry     string
	Email        string
	ProfileID    *uuid.UUID
	Servers      []Server
	// CreatedBy is "api_key:<id>", "admin:<id>" or "system".
	CreatedBy            string
	CreatedAt, UpdatedAt time.Time
}

// Server is one target of an invitation or profile, and what is granted there.
type Server struct {
	ID   uuid.UUID
	Name string
	Type string
	// Available says that the server is enabled.
	Available bool
	Grant     grant.Grant
	// Warnings tell what the server will not do of the grant.
	Warnings []grant.Warning
}

// ServerGrant is one target as it is written.
type ServerGrant struct {
	ServerID uuid.UUID
	Grant    grant.Grant
}
