package pluginhost

import (
	"time"
)

// State is where a plugin stands.
type State string

// The states.
const (
	StateAwaitingApproval State = "awaiting_approval"
	StateVerifying        State = "verifying"
	StateStarting         State = "starting"
	StateReady            State = "ready"
	StateBackingOff       State = "backing_off"
	StateDraining         State = "draining"
	StateStopped          State = "stopped"
	StateDisabled         State = "disabled"
	StateFailed           State = "failed"
)

// Codes say why a plugin is not ready, or what is wrong with its file. They are
// stable; the list may grow.
const (
	CodeWorldWritable    = "world_writable"
	CodeGroupWritable    = "group_writable"
	CodeForeignOwner     = "foreign_owner"
	CodeLinkOutside      = "link_outside"
	CodeNotRegular       = "not_regular"
	CodeNotExecutable    = "not_executable"
	CodeTooLarge         = "too_large"
	CodeUnreadable       = "unreadable"
	CodeIncomplete       = "incomplete"
	CodeWrongPlatform    = "wrong_platform"
	CodeNotPlugin        = "not_a_plugin"
	CodeProtocolVersion  = "protocol_version"
	CodeNameMismatch     = "name_mismatch"
	CodeDescription      = "description_invalid"
	CodeServerTypeTaken  = "server_type_taken"
	CodeCannotExecute    = "cannot_execute"
	CodeStoreDamaged     = "store_damaged"
	CodeCrashed          = "crashed"
	CodeCrashLooping     = "crash_looping"
	CodeHandshakeTimeout = "handshake_timeout"
	CodeUnhealthy        = "unhealthy"
	CodeFileRemoved      = "file_removed"
	CodeDisabled         = "disabled"
	CodeReplaceFailed    = "replacement_failed"
)

// Origin is where a plugin's file comes from.
type Origin string

// The origins.
const (
	OriginInstallation Origin = "installation"
	OriginDirectory    Origin = "directory"
	// OriginStore is a plugin whose file is gone from its directory.
	OriginStore Origin = "store"
)

// Status is everything that is shown of a plugin. Times are UTC; zero values
// stand for what is not known.
type Status struct {
	// Name is the file name after "zondarr-plugin-".
	Name string
	// Version, SDKVersion, ProtocolVersion and ServerType are as the binary
	// described itself, now or when it last ran; empty until it ran.
	Version         string
	SDKVersion      string
	ProtocolVersion int
	ServerType      string

	Origin   Origin
	FileName string
	// SHA256, SizeBytes and Build are of the version that runs or should, or of
	// the file if none was ever approved.
	SHA256    string
	SizeBytes int64
	Build     *Build

	State      State
	StateSince time.Time
	// ErrorCode is one of the Code constants, or empty.
	ErrorCode string
	Message   string

	PID       int
	StartedAt time.Time
	// Restarts counts the starts after the first since the host started.
	Restarts    int
	MemoryBytes int64

	CrashLooping bool
	LastCrash    *Crash

	// Pending is a changed file that waits for approval while the approved
	// version goes on.
	Pending    *Pending
	ApprovedAt time.Time
	ApprovedBy string
}

// Build is what a Go binary says about how it was built.
type Build struct {
	GoVersion     string `json:"go_version"`
	Module        string `json:"module"`
	ModuleVersion string `json:"module_version"`
	VCSRevision   string `json:"vcs_revision"`
}

// Pending is a file that waits for approval.
type Pending struct {
	SHA256    string
	SizeBytes int64
	FoundAt   time.Time
	Build     *Build
	// Misfits are the stored servers that the version would no longer serve, as
	// far as it is known by now: a version that never ran has not said.
	Misfits []Misfit
}

// Misfit is a stored server that a version would no longer serve.
type Misfit struct {
	ServerID  string
	ServerURL string
	// Problems are sentences for the admin.
	Problems []string
}

// Crash is how a process ended that was not asked to.
type Crash struct {
	At time.Time
	// ExitCode is -1 when a signal ended it.
	ExitCode int
	// Signal is "SIGKILL" and so on, or empty.
	Signal string
	// LastCall is the operation that was sent last, or empty.
	LastCall string
	// OutputTail is the last that it wrote, without secrets.
	OutputTail string
}

// refusal is why a file or a process is not taken, in words for an admin and
// without a path. It heals only by another file, or an admin.
type refusal struct {
	code    string
	message string
}

func (r *refusal) Error() string { return r.message }
