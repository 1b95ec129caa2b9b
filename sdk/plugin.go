package sdk

import (
	"context"
	"log/slog"
	"net/http"
)

// Plugin is what a plugin author writes: it describes one server type and
// opens a client for each media server of that type.
type Plugin interface {
	// Describe says what this type of server can do at most. It is pure and
	// fast: no network, no disk, the same answer each time. The host calls it
	// once at start and keeps the answer by the binary's hash, so that forms
	// can be drawn while the plugin is down.
	Describe() Description

	// Open makes the client for one media server. It is local: no network
	// before the first call on the client. One client serves one (server id,
	// revision) and is used by many goroutines at once; the SDK opens it once
	// however many callers wait, and closes it when the revision moves on or
	// when it has been idle. An error here should carry ReasonInvalid and say
	// which setting is wrong.
	Open(ctx context.Context, req OpenRequest) (MediaClient, error)
}

// OpenRequest is what a client is opened with.
type OpenRequest struct {
	// Server is the media server as the host stored it.
	Server ServerRef

	// HTTP is a client made for this server: the server's TLS options, bounded
	// timeouts, no redirects, a limit on the size of a response, and errors
	// that carry neither query nor credentials. Use it for every call.
	HTTP *http.Client

	// Logger's lines arrive in the host's log with the plugin's name and, where
	// the context of a call is passed (InfoContext and so on), that call's
	// correlation id.
	Logger *slog.Logger
}

// ServerRef identifies and describes one media server. Every call from the host
// carries one, so that a restarted plugin needs nothing replayed.
type ServerRef struct {
	// ID is the host's id of the server (a UUID), and empty for one that is
	// being tested before it is stored: such a client is closed after the call.
	ID string

	// ServerType is the type's name, as the plugin describes it.
	ServerType string

	// Revision rises with every change of the stored server.
	Revision int64

	// URL is the base URL, normalised: http or https, no user info, query,
	// fragment or trailing slash; a base path is kept.
	URL string

	// ExternalID is the media server's own id as it was last confirmed, or
	// empty before the first test. A client that meets another id answers
	// ReasonWrongServer and writes nothing to that server; while Version is
	// empty, it sends that server no credential either.
	ExternalID string

	// Version is the product's version as it was last confirmed, or empty before
	// the first test. The server may have been upgraded since.
	Version string

	// Settings are the values of the settings schema that are not secret, as
	// encoding/json decodes them into an any. The host has validated them.
	Settings map[string]any

	// Secrets are the values of the settings schema that are marked secret.
	// They appear in no error, log line or description.
	Secrets map[string]string

	// TLS says how to verify the server's certificate.
	TLS TLSOptions

	// InstallationID is stable for one Zondarr installation. Derive every client
	// or device identifier that the media server sees from it, so that it
	// survives a restart, a second replica and a restore.
	InstallationID string
}

// String gives a setting that is a string, or its fallback when it is absent
// or empty.
func (r ServerRef) String(name, fallback string) string {
	if s, ok := r.Settings[name].(string); ok && s != "" {
		return s
	}
	return fallback
}

// TLSOptions say how to verify a media server's certificate.
type TLSOptions struct {
	// CAPEM holds further trusted certificates, PEM encoded; empty for none.
	CAPEM string
	// SkipVerify accepts any certificate. It is the admin's explicit choice.
	SkipVerify bool
}

// Description is what a plugin says about its server type.
type Description struct {
	// Name is the plugin's name: its file name after "zondarr-plugin-".
	Name string
	// Version of the plugin, free text in one line of at most 64 characters, usually
	// semantic.
	Version string
	// ServerType is the key of the type in the host's registry: lower case
	// letters, digits, "_" and "-", at most 32.
	ServerType string
	// DisplayName is what people call such a server: "Jellyfin". At most 64 characters.
	DisplayName string
	// Homepage of the product, or empty.
	Homepage string
	// DefaultPublicURL is where people sign in when the admin named no public
	// URL of the server; empty where there is no such place.
	DefaultPublicURL string

	// Client is a value of the type that Open returns, usually a nil pointer:
	// (*client)(nil). It is never called. The capabilities follow from the
	// interfaces that it implements, so that what is declared and what is
	// implemented cannot differ.
	Client MediaClient
	// declared stands in for Client on the host's side of the wire.
	declared []Capability

	// Permissions that this type knows, in the order a form shows them.
	Permissions []PermissionInfo
	// Limits that this type knows, in the order a form shows them.
	Limits []LimitInfo
	// UserKinds that users of this type may have.
	UserKinds []UserKindInfo

	// SettingsSchema describes what the admin types to add a server, beyond its
	// name and URL. A property with Secret set goes into ServerRef.Secrets.
	SettingsSchema Schema
	// OptionsSchema describes what a grant may hold beyond libraries,
	// permissions and limits.
	OptionsSchema Schema

	// JoinFlow is how an invitee joins by default; ServerFacts may differ.
	JoinFlow JoinFlow
	// Realm names the place where linked accounts live ("plex"); one link
	// serves every server of that realm. Empty without AccountLinker.
	Realm string
	// RealmLabel is what people call it: "Plex". At most 64 characters.
	RealmLabel string

	// AccountRules of the type; ServerFacts carry those of one server.
	AccountRules AccountRules
	// Traits say how the capabilities behave.
	Traits Traits
	// CallLimits bound what the host sends to one media server.
	CallLimits CallLimits
}

// PermissionInfo describes one permission of a server type.
type PermissionInfo struct {
	// Name is one of the Permission constants, or starts with the server type
	// and a dot: "jellyfin.subtitles".
	Name string
	// Label is shown in forms.
	Label string
	// Help is one sentence, or empty.
	Help string
	// Default is what a new user gets when a grant leaves the permission unset:
	// Allow or Deny. The plugin applies it explicitly, whatever the media
	// server's own default is.
	Default Tri
}

// LimitInfo describes one limit of a server type.
type LimitInfo struct {
	// Name is one of the Limit constants, or starts with the server type and a
	// dot.
	Name  string
	Label string
	Help  string
	// Unit of the number: "sessions", "bits/s".
	Unit string
	// Min and Max bound the number, Max 0 meaning unbounded. The value 0 always
	// means no limit, whatever Min is.
	Min, Max int64
	// Default is applied explicitly to a new user when a grant leaves the limit
	// unset.
	Default int64
}

// UserKindInfo describes one kind of user of a server type.
type UserKindInfo struct {
	// Name as User.Kind gives it: "user", "admin", "home".
	Name  string
	Label string
	// Protected kinds (administrators, the owner) are never touched.
	Protected bool
}

// Traits say how capabilities behave where servers differ.
type Traits struct {
	// SuspendEmulated says that the type has no switch of its own, and that
	// Suspend removes the access which Resume gives back.
	SuspendEmulated bool
	// SuspendNote tells an admin what that costs, or is empty.
	SuspendNote string
	// LibraryModes are the modes that library access can express.
	LibraryModes []LibraryMode
	// AllIncludesFuture says whether LibraryAll covers libraries added later.
	AllIncludesFuture bool
	// LibraryNote tells an admin what else to know, or is empty.
	LibraryNote string
	// CreationNoticed says that the invitee learns of the account the moment it
	// is created (a mail is sent). The host runs such steps last.
	CreationNoticed bool
}

// CallLimits bound what the host sends to one media server of the type.
type CallLimits struct {
	// MaxConcurrent is how many calls may be in flight to one server; 0 means
	// the host's default of 4.
	MaxConcurrent int
	// MaxPerSecond is how many calls may start each second for one server; 0
	// means no limit.
	MaxPerSecond float64
}
