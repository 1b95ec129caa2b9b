package redeem

import (
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/host/internal/grant"
)

// State is how far a redemption is.
type State string

// The states of a redemption.
const (
	InProgress     State = "in_progress"
	Completed      State = "completed"
	Undoing        State = "undoing"
	Failed         State = "failed"
	NeedsAttention State = "needs_attention"
)

// StepState is how far one server of a redemption is.
type StepState string

// The states of a step.
const (
	StepPending        StepState = "pending"
	StepCreating       StepState = "creating"
	StepDone           StepState = "done"
	StepSkipped        StepState = "skipped"
	StepFailed         StepState = "failed"
	StepUndoing        StepState = "undoing"
	StepUndone         StepState = "undone"
	StepNeedsAttention StepState = "needs_attention"
)

// Failure is how something went wrong, for two readers.
type Failure struct {
	ErrorCode string
	// Message is for the invitee, Detail for the admin.
	Message   string
	Detail    string
	Retryable bool
}

// Redemption is one attempt to turn an invitation into users, as the admin sees
// it.
type Redemption struct {
	ID           uuid.UUID
	InvitationID *uuid.UUID
	Code         string
	// PublicID is what the invitee polls: 128 random bits as text.
	PublicID      string
	State         State
	Username      string
	Email         *string
	DisplayName   *string
	IdentityID    *uuid.UUID
	ClientAddress string
	Error         *Failure
	Steps         []Step
	CorrelationID string
	CreatedAt     time.Time
	UpdatedAt     time.Time
	FinishedAt    *time.Time

	durationDays  *int
	onExpiry      string
	fence         int64
	nextAttemptAt *time.Time
	requestMAC    []byte
}

// Step is what a redemption does on one server.
type Step struct {
	// ServerID is nil once the server was deleted; name and type stay.
	ServerID      *uuid.UUID
	ServerName    string
	ServerType    string
	State         StepState
	Username      string
	ExternalID    *string
	UserID        *uuid.UUID
	Attempts      int
	NextAttemptAt *time.Time
	Error         *Failure
	UpdatedAt     time.Time

	id              uuid.UUID
	operationID     uuid.UUID
	deadline        *time.Time
	linkedAccountID *string
	linkID          *uuid.UUID
	absentBefore    bool
	grant           grant.Grant
	libraries       map[string]string // external id to Zondarr's id
	noticed         bool
	position        int
	notice          *string
}

// Request is what an invitee sends.
type Request struct {
	Username    string
	Password    string
	Email       *string
	DisplayName *string
	// LinkIDs are public ids of approved links.
	LinkIDs []string
}

// Caller is who redeems.
type Caller struct {
	// Address of the client, for the admin.
	Address string
	// CorrelationID of the request.
	CorrelationID string
}

// Result is how a redemption went, as the invitee sees it.
type Result struct {
	// Code and PublicID make the address at which it can be polled.
	Code     string
	PublicID string
	State    State
	// ErrorCode and Message are empty while nothing went wrong.
	ErrorCode string
	Message   string
	// Users are the accounts, once the redemption is completed.
	Users []ResultUser
	// Failed are the servers that gave no account.
	Failed []ResultFailure
}

// ResultUser is one account that the invitee now has.
type ResultUser struct {
	ServerID   uuid.UUID
	ServerName string
	ServerType string
	Username   string
	// Status is as identity.User.Status.
	Status string
	// SignInURL is where to sign in; nil when that is not told to invitees.
	SignInURL *string
	// Message says what is left to do, or is nil.
	Message   *string
	ExpiresAt *time.Time
}

// ResultFailure is one server that gave no account.
type ResultFailure struct {
	// ServerID is nil once the server was deleted.
	ServerID   *uuid.UUID
	ServerName string
	ErrorCode  string
	Message    string
}

// Finished says that nothing more will happen by itself.
func (s State) Finished() bool { return s == Completed || s == Failed }
