// Package identity keeps people and their accounts: an identity is one person, a
// user is one account on one media server.
//
// A change of an account is made on the media server first, read back, and only
// then stored, one account at a time: what is stored is never better than what
// is true. Before an account is suspended, the access it has is stored, so that
// resuming gives back exactly that. Protected accounts (administrators, owners,
// the account that Zondarr itself uses) are never written to.
//
// What we want and what the server said last are two things: Enabled and Status.
// An account is effective when it is enabled, its identity is, and neither has
// expired; it ends at the earlier of the two expiries (R2.9). A sweep suspends
// or deletes what has expired, as OnExpiry says.
//
// The package sees media servers through two small interfaces and knows no HTTP,
// no invitation and no redemption beyond their ids.
package identity

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/sdk"
)

// Service is the repository of identities and users (R5.4, R5.5) and their rules.
type Service struct {
	DB      *database.DB
	Servers servers
	Clients clients
	// Box seals the plugin's state of suspended accounts.
	Box sealer
	// Pause stops the expiry sweep while it is on.
	Pause pause
	Log   *slog.Logger
	// Now gives the time in UTC, in microseconds.
	Now func() time.Time
}

// servers opens the sealed secrets of a media server.
type servers interface {
	Ref(ctx context.Context, id uuid.UUID) (sdk.ServerRef, error)
}

// clients is what the package needs of the registry. A client implements every
// optional interface; what the plugin does not declare answers unsupported.
type clients interface {
	Client(ctx context.Context, ref sdk.ServerRef) (sdk.MediaClient, error)
	Describe(serverType string) (sdk.Description, error)
}

type sealer interface {
	Seal(context string, plaintext []byte) ([]byte, error)
	Open(context string, sealed []byte) ([]byte, error)
}

type pause interface {
	On(ctx context.Context) (bool, error)
}

// How a user stands on its server, as that said last.
const (
	StatusActive    = "active"
	StatusSuspended = "suspended"
	StatusPending   = "pending"
	StatusMissing   = "missing"
	StatusUnknown   = "unknown"
)

// Where a user came from.
const (
	OriginRedemption = "redemption"
	OriginImport     = "import"
	OriginManual     = "manual"
)

// Fold gives a username as it is compared: two names that fold to the same text
// are one name to Zondarr, whatever a media server makes of them.
func Fold(username string) string {
	return norm.NFC.String(cases.Fold().String(norm.NFC.String(username)))
}
