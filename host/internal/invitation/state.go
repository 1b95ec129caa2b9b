package invitation

import (
	"time"

	"github.com/zondarr/zondarr/host/internal/fault"
)

// State says whether an invitation can be redeemed, and if not, the first reason
// that holds (R6.5).
type State string

// The states, in the order in which they are looked for.
const (
	StateDisabled  State = "disabled"
	StateExpired   State = "expired"
	StateExhausted State = "exhausted"
	StateNoServer  State = "no_server"
	StateActive    State = "active"
)

// stateAt computes the state. An instant at or after expiresAt is expired.
func stateAt(now time.Time, enabled bool, expiresAt *time.Time, maxUses *int, useCount int, anyServerEnabled bool) State {
	switch {
	case !enabled:
		return StateDisabled
	case expiresAt != nil && !now.Before(*expiresAt):
		return StateExpired
	case maxUses != nil && useCount >= *maxUses:
		return StateExhausted
	case !anyServerEnabled:
		return StateNoServer
	default:
		return StateActive
	}
}

// Message tells an invitee why the code cannot be redeemed; empty when it can.
func (s State) Message() string {
	switch s {
	case StateDisabled:
		return "This invitation has been switched off. Ask whoever invited you."
	case StateExpired:
		return "This invitation has expired. Ask whoever invited you for a new one."
	case StateExhausted:
		return "This invitation has already been used. Ask whoever invited you for a new one."
	case StateNoServer:
		return "The server that this invitation is for is switched off at the moment. Try again later."
	default:
		return ""
	}
}

// ErrorCode gives the error code of a state that cannot be redeemed (R6.6), or "".
func (s State) ErrorCode() string {
	switch s {
	case StateDisabled:
		return fault.CodeInvitationDisabled
	case StateExpired:
		return fault.CodeInvitationExpired
	case StateExhausted:
		return fault.CodeInvitationExhausted
	case StateNoServer:
		return fault.CodeInvitationNoServer
	default:
		return ""
	}
}

// Err gives the error of a state that cannot be redeemed, nil for an active one.
func (s State) Err() error {
	if s == StateActive {
		return nil
	}
	return fault.New(fault.Conflict, s.ErrorCode(), "%s", s.Message())
}
