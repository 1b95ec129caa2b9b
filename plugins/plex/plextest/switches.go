package plextest

import (
	"net/http"
	"time"
)

// Switches choose between behaviours of Plex that vary, that were seen both
// ways, or that nobody has proven. Durations are time on the Fake's clock.
type Switches struct {
	// InviteDelay is how long a new invite stays invisible to its receiver.
	InviteDelay time.Duration `json:"invite_delay"`
	// DeviceDelay is how long a device that signed in is missing from /devices.xml.
	DeviceDelay time.Duration `json:"device_delay"`
	// UsersLag is how long a removed friend or share lingers in /api/users.
	UsersLag time.Duration `json:"users_lag"`
	// PinTTL is the life of a pin; strong pins live twice as long.
	PinTTL time.Duration `json:"pin_ttl"`

	// NoPlexPass takes the Plex Pass from every account.
	NoPlexPass bool `json:"no_plex_pass"`
	// RefuseWithoutPass answers 422 (v2) or 400 (v1) to allowSync or filters
	// from an owner without Plex Pass; otherwise they silently stay off.
	RefuseWithoutPass bool `json:"refuse_without_pass"`
	// SyncStaysOff takes allowSync and silently leaves it off, Plex Pass or not.
	SyncStaysOff bool `json:"sync_stays_off"`
	// TunersForAnyone keeps allowTuners for people outside the owner's home;
	// otherwise it silently stays 0 for them.
	TunersForAnyone bool `json:"tuners_for_anyone"`

	// PartialSections shortens librarySections of v2/servers/{id} to
	// PartialCount entries.
	PartialSections bool `json:"partial_sections"`
	PartialCount    int  `json:"partial_count"`

	// OrphanRow keeps the v1 row of a cancelled invite, so that the next
	// create fails until that row is deleted.
	OrphanRow bool `json:"orphan_row"`
	// ListLeft shows shares that the invitee left, with leftAt, in owned/accepted.
	ListLeft bool `json:"list_left"`
	// OwnerUsernameOnly reduces owner to its username in invites/received/pending.
	OwnerUsernameOnly bool `json:"owner_username_only"`

	// V2CreateGone answers 410 to POST v2/shared_servers, so that v1 is left.
	V2CreateGone bool `json:"v2_create_gone"`
	// V2RefusalWords says in words why v2 refuses a second share of a server, or
	// one with its owner. As seen, it gives code 1999 and no text.
	V2RefusalWords bool `json:"v2_refusal_words"`
	// V1RequestedGone answers 410 on api/invites/requested (the sender's side).
	V1RequestedGone bool `json:"v1_requested_gone"`
	// V1RequestsGone answers 410 on api/invites/requests (the receiver's side).
	V1RequestsGone bool `json:"v1_requests_gone"`
	// V2ShareDelete is the answer to DELETE v2/shared_servers/{id}: 405, or 204
	// and it works.
	V2ShareDelete int `json:"v2_share_delete"`
	// V2FriendDelete is the answer to DELETE v2/friends/{id}: 410, 404, or 204
	// and it works.
	V2FriendDelete int `json:"v2_friend_delete"`

	// EmptyUpdate is what [] means when a share is updated: "all", "none" or "refuse".
	EmptyUpdate string `json:"empty_update"`
	// V1SelfInvite is the shape of the 400 when an owner invites himself over
	// v1: "response" or "errors".
	V1SelfInvite string `json:"v1_self_invite"`
	// AcceptStatus is the answer to an accepted invite: 200 with the share, or 204.
	AcceptStatus int `json:"accept_status"`
	// HomeWrongPin is the answer to a home switch with a wrong PIN: 401 or 403.
	HomeWrongPin int `json:"home_wrong_pin"`
	// NotOwnerStatus is what v2 answers about a server of somebody else: 404, 401 or 403.
	NotOwnerStatus int `json:"not_owner_status"`

	// ShareLimit is how many people a server can be shared with, and
	// ShareLimitStatus how v2 refuses the next (422, 403 or 400; v1 always 400).
	ShareLimit       int `json:"share_limit"`
	ShareLimitStatus int `json:"share_limit_status"`

	// JWTExpired answers 498 to every JWT, whatever its expiry says.
	JWTExpired bool `json:"jwt_expired"`
	// JWTOnPMS lets media servers take the owner's JWT.
	JWTOnPMS bool `json:"jwt_on_pms"`
	// FriendTokenOnPMS lets media servers take a friend's account token.
	FriendTokenOnPMS bool `json:"friend_token_on_pms"`
	// StaleTokenOnPMS lets media servers go on taking the owner's dead tokens.
	StaleTokenOnPMS bool `json:"stale_token_on_pms"`

	// BoolWords writes booleans in XML as true/false in place of 1/0.
	BoolWords bool `json:"bool_words"`
}

// DefaultSwitches gives Plex as it was last seen (autumn 2026); where that is
// unknown, the reading that makes a careless client fail.
func DefaultSwitches() Switches {
	return Switches{
		InviteDelay:      2 * time.Second,
		DeviceDelay:      3 * time.Second,
		PinTTL:           15 * time.Minute,
		PartialCount:     1,
		V1RequestsGone:   true,
		V2ShareDelete:    http.StatusMethodNotAllowed,
		V2FriendDelete:   http.StatusGone,
		EmptyUpdate:      "all",
		V1SelfInvite:     "response",
		AcceptStatus:     http.StatusOK,
		HomeWrongPin:     http.StatusUnauthorized,
		NotOwnerStatus:   http.StatusNotFound,
		ShareLimit:       100,
		ShareLimitStatus: http.StatusUnprocessableEntity,
	}
}

// Switches gives the present settings.
func (f *Fake) Switches() Switches {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.switches
}

// Set changes switches while no request is being answered.
func (f *Fake) Set(change func(*Switches)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.switches)
}
