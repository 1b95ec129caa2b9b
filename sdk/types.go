package sdk

import "time"

// Tri is an answer that may be absent: collapsing two of its three values is
// how access silently widens.
type Tri int8

// The values of a Tri.
const (
	Unset Tri = iota
	Allow
	Deny
)

// String gives "unset", "allow" or "deny".
func (t Tri) String() string {
	switch t {
	case Allow:
		return "allow"
	case Deny:
		return "deny"
	default:
		return "unset"
	}
}

// TriOf gives Allow for true and Deny for false.
func TriOf(allowed bool) Tri {
	if allowed {
		return Allow
	}
	return Deny
}

// Standard permission names. A plugin uses these where they fit; others carry
// the server type as prefix ("jellyfin.subtitles").
const (
	PermissionDownload        = "download"
	PermissionStream          = "stream"
	PermissionTranscodeAudio  = "transcode_audio"
	PermissionTranscodeVideo  = "transcode_video"
	PermissionRemux           = "remux"
	PermissionSync            = "sync"
	PermissionLiveTV          = "live_tv"
	PermissionLiveTVManage    = "live_tv_manage"
	PermissionRemoteAccess    = "remote_access"
	PermissionShare           = "share"
	PermissionUpload          = "upload"
	PermissionDeleteMedia     = "delete_media"
	PermissionEditMetadata    = "edit_metadata"
	PermissionExplicitContent = "explicit_content"
)

// Standard limit names. 0 means no limit.
const (
	// LimitMaxSessions counts streams or sessions at once.
	LimitMaxSessions = "max_sessions"
	// LimitRemoteBitrate is bits per second outside the local network.
	LimitRemoteBitrate = "remote_bitrate_bps"
	// LimitRequestsPerWeek counts media requests in seven days.
	LimitRequestsPerWeek = "requests_per_week"
)

// LibraryMode says how a user's libraries are chosen.
type LibraryMode string

// The library modes. There is no default: the caller says it.
const (
	LibraryAll  LibraryMode = "all"
	LibraryNone LibraryMode = "none"
	LibraryOnly LibraryMode = "only"
)

// LibraryAccess says which libraries a user may see.
type LibraryAccess struct {
	Mode LibraryMode
	// IDs are external ids of libraries: at least one with LibraryOnly, none
	// otherwise. Order does not matter.
	IDs []string
}

// Grant is what a user may do on one server.
type Grant struct {
	Libraries LibraryAccess
	// Permissions by name; Unset and absent mean the declared default.
	Permissions map[string]Tri
	// Limits by name in the declared unit, 0 = no limit; absent means the
	// declared default.
	Limits map[string]int64
	// Options are what only this server type has, by its options schema.
	Options map[string]any
}

// Status is how a user stands on its server.
type Status string

// The statuses of a user.
const (
	StatusActive    Status = "active"
	StatusSuspended Status = "suspended"
	// StatusPending waits for the person to accept.
	StatusPending Status = "pending"
)

// User is one account on one media server, as the server tells it.
type User struct {
	// ID is the external id: opaque to the host, normalised by the plugin, the
	// same for the life of the account.
	ID       string
	Username string
	// DisplayName and Email are empty where the server has none.
	DisplayName string
	Email       string
	// Kind is one of Description.UserKinds.
	Kind string
	// Protected users (administrators, the owner, the account that the plugin
	// itself uses) are never written to.
	Protected bool
	Status    Status
	// Libraries is nil where the server does not tell.
	Libraries *LibraryAccess
	// Permissions and Limits hold what the server tells, and nothing else.
	Permissions map[string]Tri
	Limits      map[string]int64
	Options     map[string]any
	// PluginState is what Resume will need beyond the grant, opaque, at most
	// 64 KiB. Only GetUser and CreateUser fill it.
	PluginState []byte
	// CreatedAt and LastActiveAt are UTC; zero where the server does not tell.
	CreatedAt    time.Time
	LastActiveAt time.Time
	// SignedIn says whether anybody ever signed in to the account; nil where
	// the server does not tell.
	SignedIn *bool
}

// Library is one content collection of a media server.
type Library struct {
	// ID is the external id that LibraryAccess.IDs takes.
	ID   string
	Name string
	Type LibraryType
}

// LibraryType is what a library holds.
type LibraryType string

// The library types.
const (
	LibraryMovies      LibraryType = "movies"
	LibraryShows       LibraryType = "shows"
	LibraryMusic       LibraryType = "music"
	LibraryMusicVideos LibraryType = "music_videos"
	LibraryHomeVideos  LibraryType = "home_videos"
	LibraryPhotos      LibraryType = "photos"
	LibraryBooks       LibraryType = "books"
	LibraryAudiobooks  LibraryType = "audiobooks"
	LibraryPodcasts    LibraryType = "podcasts"
	LibraryComics      LibraryType = "comics"
	LibraryLiveTV      LibraryType = "live_tv"
	LibraryMixed       LibraryType = "mixed"
	LibraryOther       LibraryType = "other"
)

// JoinFlow is how an invitee gets an account.
type JoinFlow string

// The join flows.
const (
	// JoinPassword: the invitee chooses a username and a password.
	JoinPassword JoinFlow = "password"
	// JoinLinkedAccount: the invitee signs in where the account lives.
	JoinLinkedAccount JoinFlow = "linked_account"
	// JoinNone: nobody can join; the server is only read.
	JoinNone JoinFlow = "none"
)

// ServerFacts are what holds on one server: a subset of what its type declares,
// each missing part with its reason.
type ServerFacts struct {
	// Product and Version as the server says them: "Jellyfin Server", "10.11.6".
	Product string
	Version string
	// ExternalID is the media server's own id, the same for its life.
	ExternalID string
	// Name is what the server calls itself.
	Name string
	// Capabilities that hold here; each is one the plugin declares.
	Capabilities []Capability
	// Permissions and Limits that hold here, by name.
	Permissions []string
	Limits      []string
	// LibraryModes that this server can express.
	LibraryModes []LibraryMode
	// Missing names each declared capability, permission, limit or library mode
	// that does not hold here, with the reason in words.
	Missing []Missing
	// JoinFlow of this server.
	JoinFlow JoinFlow
	// AccountRules of this server.
	AccountRules AccountRules
	// Warnings are sentences for the admin.
	Warnings []string
}

// Missing is something that the type can do and this server cannot.
type Missing struct {
	// Name of the capability, permission, limit or library mode.
	Name string
	// Reason in words for the admin: "needs Jellyfin 10.9 or newer".
	Reason string
}

// AccountRules say what an invitee types. The host adds its floor: a username of
// 1–64 characters in NFC without control characters or edge blanks, a password
// of 8–128 characters.
type AccountRules struct {
	Username FieldRule
	Password FieldRule
	Email    FieldRule
}

// FieldRule describes one field of the join form.
type FieldRule struct {
	Use FieldUse
	// MinLength and MaxLength count characters, MaxBytes bytes of UTF-8; 0 means
	// no such bound.
	MinLength int
	MaxLength int
	MaxBytes  int
	// Pattern is one anchored regular expression in the common part of RE2 and
	// ECMAScript with the u flag, or empty.
	Pattern string
	// Help tells a person what is allowed, or is empty.
	Help string
}

// FieldUse says whether a field is asked for.
type FieldUse string

// The uses of a field.
const (
	FieldRequired FieldUse = "required"
	FieldOptional FieldUse = "optional"
	FieldUnused   FieldUse = "unused"
)

// LinkedAccount is an account that lives elsewhere and was proven by a link.
type LinkedAccount struct {
	// Realm where the account lives: "plex".
	Realm string
	// ID of the account there, stable.
	ID string
	// Username, DisplayName and Email may change hands; they are for people.
	Username    string
	DisplayName string
	Email       string
	// State is the link's opaque state. It is set in CreateUserRequest, so that
	// the plugin can act for the invitee, and never in a response.
	State []byte
}

// LinkStatus is how a sign-in at a realm stands.
type LinkStatus string

// The statuses of a link.
const (
	LinkPending  LinkStatus = "pending"
	LinkApproved LinkStatus = "approved"
	LinkDenied   LinkStatus = "denied"
	LinkExpired  LinkStatus = "expired"
)

// Session is somebody connected to a media server now.
type Session struct {
	ID string
	// UserID is the external id of who it is, or empty.
	UserID     string
	Username   string
	Client     string
	Device     string
	RemoteAddr string
	// NowPlaying is the title that plays, or empty.
	NowPlaying   string
	LastActiveAt time.Time
}
