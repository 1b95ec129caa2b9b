package identity

import (
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/host/internal/grant"
	"github.com/zondarr/zondarr/sdk"
)

// State sums an identity up.
type State string

// The states of an identity, in the order in which they are looked for.
const (
	StateDisabled State = "disabled"
	StateExpired  State = "expired"
	StateActive   State = "active"
)

// Identity is one person, known to Zondarr, who owns accounts on media servers
// (R2.4).
type Identity struct {
	ID          uuid.UUID
	DisplayName string
	Email       *string
	Note        *string
	Enabled     bool
	// ExpiresAt is set by an admin only.
	ExpiresAt    *time.Time
	State        State
	Users        []User
	InvitationID *uuid.UUID
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// User is one account on one media server, owned by an identity (R2.5).
type User struct {
	ID         uuid.UUID
	IdentityID uuid.UUID
	ServerID   uuid.UUID
	ServerName string
	ServerType string
	ExternalID string
	Username   string
	Email      *string
	// Kind is one of the server type's.
	Kind string
	// Protected accounts are never written to.
	Protected bool
	// Enabled is what we want, Status what the server said last.
	Enabled   bool
	Status    string
	ExpiresAt *time.Time
	OnExpiry  string
	// Libraries, Permissions and Limits are nil where the server does not tell.
	Libraries    *Libraries
	Permissions  map[string]string
	Limits       map[string]int64
	Options      map[string]any
	AccessReadAt *time.Time
	Origin       string
	InvitationID *uuid.UUID
	RedemptionID *uuid.UUID
	LastActiveAt *time.Time
	LastSeenAt   *time.Time
	CreatedAt    time.Time
	UpdatedAt    time.Time

	external     map[string]string // external library id to Zondarr's, or ""
	sealedState  []byte
	capabilities []sdk.Capability
	// emulated says that its server suspends by taking the account away.
	emulated bool
}

// Libraries is which libraries a user sees. IDs are Zondarr's; a library that
// Zondarr does not know is not among them.
type Libraries struct {
	Access     sdk.LibraryMode
	LibraryIDs []uuid.UUID
}

// expired says whether a user, with its identity, has ended: an instant at or
// after the earlier of the two expiries is (R2.9).
func expired(u User, i Identity, now time.Time) bool {
	return past(u.ExpiresAt, now) || past(i.ExpiresAt, now)
}

func past(t *time.Time, now time.Time) bool { return t != nil && !now.Before(*t) }

// effective says whether an account should work now.
func effective(u User, i Identity, now time.Time) bool {
	return u.Enabled && i.Enabled && !expired(u, i, now)
}

// grant is the stored access, as the plugin takes it.
func (u User) grant() sdk.Grant {
	g := sdk.Grant{Permissions: map[string]sdk.Tri{}, Limits: u.Limits, Options: u.Options}
	if u.Libraries != nil {
		g.Libraries.Mode = u.Libraries.Access
		if u.Libraries.Access == sdk.LibraryOnly {
			for id := range u.external {
				g.Libraries.IDs = append(g.Libraries.IDs, id)
			}
		}
	}
	for name, word := range u.Permissions {
		g.Permissions[name] = grant.Tri(word)
	}
	return g
}
