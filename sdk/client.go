package sdk

import (
	"context"
	"time"
)

// MediaClient is what every plugin implements for one media server. It is used
// by many goroutines at once. Each call's context carries a deadline set by the
// host and W3C trace context (see TraceParent); it must reach the HTTP request.
//
// Every failure is an *Error (see Errorf). What a client can do beyond this is
// said by the optional interfaces below: implement one, and the capability is
// declared.
type MediaClient interface {
	// TestConnection says what was reached, or why it was not: it proves that
	// the URL leads to the product, that the credentials are accepted and that
	// they suffice. Deadline: 10 s.
	TestConnection(ctx context.Context, req TestConnectionRequest) (TestConnectionResponse, error)

	// ListLibraries gives every library of the server, in the server's order.
	// A list that may be cut short is an error, never a short list: the host
	// marks what is missing from it. Deadline: 15 s.
	ListLibraries(ctx context.Context, req ListLibrariesRequest) (ListLibrariesResponse, error)

	// Close releases what the client holds. No call follows it.
	Close() error
}

// UserReader reads the users of a server. Capability: read_users.
type UserReader interface {
	// GetUser gives one user by external id, or ReasonNotFound. Deadline: 15 s.
	GetUser(ctx context.Context, req GetUserRequest) (GetUserResponse, error)

	// ListUsers calls yield for every user of the server, in any order. A nil
	// return says that the list was complete; an error, also one returned by
	// yield, that it was cut. Memory must not grow with the number of users if
	// the media server's API allows it. Deadline: 120 s, 10 s without progress.
	ListUsers(ctx context.Context, req ListUsersRequest, yield func(User) error) error
}

// Provisioner creates and deletes users. Capability: provision.
type Provisioner interface {
	// FindUser looks a user up by username (folded as the server folds it) or,
	// with linked accounts, by account id, on data that is as fresh as the request
	// asks: the host looks before it creates, and again to resolve a creation
	// whose outcome is unknown. ReasonNotFound means that there is none.
	// Deadline: 15 s.
	FindUser(ctx context.Context, req FindUserRequest) (FindUserResponse, error)

	// CreateUser makes a user with exactly the grant, or none at all: when a
	// later upstream call fails, what the first one made is undone before the
	// error is returned. It never makes an administrator. What it returns is
	// what the server says afterwards, read back; the host compares it with the
	// grant and undoes on any difference.
	//
	// A name that is taken is ReasonUsernameTaken; an account that already has
	// access is ReasonAlreadyMember, and then nothing was changed. When it is
	// not known whether an account is left behind, the error is ReasonAmbiguous
	// (or any retryable one): the host then looks before it acts, and keeps the
	// name for as long. Where it is known that nothing is left, say so with
	// AsUndone. Nothing is retried blindly. A user may be StatusPending: that is a
	// success.
	// Deadline: 60 s.
	CreateUser(ctx context.Context, req CreateUserRequest) (CreateUserResponse, error)

	// DeleteUser removes this server's user, and nothing that other servers
	// hold. Deleting what is not there is a success that says AlreadyGone.
	// Protected users are refused with ReasonProtected. Idempotent. Deadline:
	// 60 s.
	DeleteUser(ctx context.Context, req DeleteUserRequest) (DeleteUserResponse, error)
}

// Suspender takes a user's access away and gives it back. Capability: suspend.
type Suspender interface {
	// Suspend disables the user. The host has read the user before and keeps
	// its grant and PluginState, so that a server which can only suspend by
	// removing access loses nothing. Idempotent; returns the user read back.
	// Deadline: 60 s.
	Suspend(ctx context.Context, req SuspendRequest) (SuspendResponse, error)

	// Resume enables the user with the grant and state kept at Suspend.
	// Idempotent; returns the user read back. Deadline: 60 s.
	Resume(ctx context.Context, req ResumeRequest) (ResumeResponse, error)
}

// AccessSetter sets which libraries a user sees. Capability: library_access.
type AccessSetter interface {
	// SetLibraryAccess replaces the user's library access. Idempotent; returns
	// the user read back. An id that the server does not know is
	// ReasonLibraryNotFound, and nothing was changed. Deadline: 60 s.
	SetLibraryAccess(ctx context.Context, req SetLibraryAccessRequest) (SetLibraryAccessResponse, error)
}

// PermissionSetter sets permissions, limits and options of a user.
// Capabilities: permissions, limits (where the description names some).
type PermissionSetter interface {
	// SetPermissions changes what the request names and leaves the rest.
	// Idempotent; returns the user read back. Deadline: 60 s.
	SetPermissions(ctx context.Context, req SetPermissionsRequest) (SetPermissionsResponse, error)
}

// PasswordSetter sets a user's password. Capability: set_password.
type PasswordSetter interface {
	// SetPassword replaces the password; an empty one is refused. Idempotent.
	// Deadline: 60 s.
	SetPassword(ctx context.Context, req SetPasswordRequest) (SetPasswordResponse, error)
}

// PasswordVerifier signs a user in to prove a password. Capability:
// verify_password.
type PasswordVerifier interface {
	// VerifyPassword signs in, and out again. A wrong password is a response
	// that says so, not an error. Deadline: 15 s.
	VerifyPassword(ctx context.Context, req VerifyPasswordRequest) (VerifyPasswordResponse, error)
}

// SessionReader tells who is watching. Capability: sessions.
type SessionReader interface {
	// ListSessions gives the sessions that are open now. Deadline: 15 s.
	ListSessions(ctx context.Context, req ListSessionsRequest) (ListSessionsResponse, error)
}

// AccountLinker lets an invitee prove an account that lives elsewhere.
// Capability: link_account.
//
// The three calls are pure functions of an opaque state that the host keeps
// sealed: any replica and a restarted plugin can go on. The state never reaches
// a browser.
type AccountLinker interface {
	// BeginLink starts a sign-in at the realm. Deadline: 15 s.
	BeginLink(ctx context.Context, req BeginLinkRequest) (BeginLinkResponse, error)

	// PollLink asks how it went; the state it returns replaces the old one.
	// Deadline: 15 s.
	PollLink(ctx context.Context, req PollLinkRequest) (PollLinkResponse, error)

	// EndLink signs out what the link obtained. Idempotent. Deadline: 15 s.
	EndLink(ctx context.Context, req EndLinkRequest) (EndLinkResponse, error)
}

// Requests and responses are structs, so that a new field breaks nobody.
type (
	// TestConnectionRequest asks what a server is.
	TestConnectionRequest struct{}
	// TestConnectionResponse says what was reached.
	TestConnectionResponse struct{ Facts ServerFacts }

	// ListLibrariesRequest asks for every library.
	ListLibrariesRequest struct{}
	// ListLibrariesResponse holds every library.
	ListLibrariesResponse struct{ Libraries []Library }

	// GetUserRequest names a user by external id.
	GetUserRequest struct{ ID string }
	// GetUserResponse holds the user.
	GetUserResponse struct{ User User }

	// ListUsersRequest asks for every user.
	ListUsersRequest struct{}

	// FindUserRequest names a user by exactly one of Username and AccountID.
	FindUserRequest struct {
		Username  string
		AccountID string
		// MaxAge is how old the plugin's knowledge may be that the answer rests on;
		// 0 means that the media server is asked now. Plugins of servers without a
		// look-up of their own keep a list for it, so that asking before every
		// creation does not cost a list each time; others ignore it. A plugin that
		// answers ReasonNotFound from a kept list that is older than the call sets
		// Error.Stale, so that the host does not take the name's absence as proof;
		// with 0 it never does.
		MaxAge time.Duration
	}
	// FindUserResponse holds the user that was found.
	FindUserResponse struct{ User User }

	// CreateUserRequest asks for a user with exactly a grant.
	CreateUserRequest struct {
		// OperationID is a UUID that is the same whenever the host asks for the
		// same creation again. Servers with an idempotency key of their own use
		// it; others ignore it.
		OperationID string
		// Username in NFC; empty for a linked account.
		Username string
		// DisplayName and Email are empty when not given.
		DisplayName string
		Email       string
		// Password is set for JoinPassword, Link for JoinLinkedAccount.
		Password string
		Link     *LinkedAccount
		// Grant is what the user may do.
		Grant Grant
	}
	// CreateUserResponse holds the user as the server tells it afterwards.
	CreateUserResponse struct {
		User User
		// Message tells the invitee what is left to do ("Accept the mail from
		// Plex"), or is empty.
		Message string
	}

	// DeleteUserRequest names a user by external id.
	DeleteUserRequest struct{ ID string }
	// DeleteUserResponse says whether there was anything to delete.
	DeleteUserResponse struct{ AlreadyGone bool }

	// SuspendRequest names a user by external id.
	SuspendRequest struct{ ID string }
	// SuspendResponse holds the user read back.
	SuspendResponse struct{ User User }

	// ResumeRequest carries back what was kept at Suspend.
	ResumeRequest struct {
		ID string
		// Grant is the access the user had.
		Grant Grant
		// PluginState is User.PluginState as it was before Suspend.
		PluginState []byte
	}
	// ResumeResponse holds the user read back.
	ResumeResponse struct{ User User }

	// SetLibraryAccessRequest replaces a user's library access.
	SetLibraryAccessRequest struct {
		ID     string
		Access LibraryAccess
	}
	// SetLibraryAccessResponse holds the user read back.
	SetLibraryAccessResponse struct{ User User }

	// SetPermissionsRequest changes what it names; what is absent or Unset
	// stays.
	SetPermissionsRequest struct {
		ID          string
		Permissions map[string]Tri
		Limits      map[string]int64
		Options     map[string]any
	}
	// SetPermissionsResponse holds the user read back.
	SetPermissionsResponse struct{ User User }

	// SetPasswordRequest replaces a user's password.
	SetPasswordRequest struct {
		ID       string
		Password string
	}
	// SetPasswordResponse is empty.
	SetPasswordResponse struct{}

	// VerifyPasswordRequest holds what somebody would type to sign in.
	VerifyPasswordRequest struct {
		Username string
		Password string
	}
	// VerifyPasswordResponse says whether the sign-in worked.
	VerifyPasswordResponse struct {
		OK bool
		// UserID is the external id of who signed in.
		UserID string
	}

	// ListSessionsRequest asks for the open sessions.
	ListSessionsRequest struct{}
	// ListSessionsResponse holds the open sessions.
	ListSessionsResponse struct{ Sessions []Session }

	// BeginLinkRequest starts a sign-in at the realm.
	BeginLinkRequest struct {
		// ReturnURL is where the realm sends the browser afterwards; empty when
		// the host knows no public address of its own.
		ReturnURL string
	}
	// BeginLinkResponse says where the invitee goes.
	BeginLinkResponse struct {
		// State is opaque, at most 16 KiB, and may hold secrets.
		State []byte
		// AuthorizeURL is opened in the invitee's browser.
		AuthorizeURL string
		// UserCode is typed there by hand where the realm wants it, or empty.
		UserCode string
		// PollAfter is the least time between two polls.
		PollAfter time.Duration
		// ExpiresAt is when the realm forgets the attempt, in UTC.
		ExpiresAt time.Time
	}

	// PollLinkRequest carries the state of BeginLink or of the last PollLink.
	PollLinkRequest struct{ State []byte }
	// PollLinkResponse says how the sign-in stands.
	PollLinkResponse struct {
		Status LinkStatus
		// State replaces the one of the request.
		State []byte
		// Account is set once Status is LinkApproved.
		Account *LinkedAccount
	}

	// EndLinkRequest carries the state of the link.
	EndLinkRequest struct{ State []byte }
	// EndLinkResponse is empty.
	EndLinkResponse struct{}
)
