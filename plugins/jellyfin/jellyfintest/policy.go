package jellyfintest

import (
	"slices"
	"strings"
	"time"
)

// Ids of the providers that every server has.
const (
	DefaultAuthenticationProvider = "Jellyfin.Server.Implementations.Users.DefaultAuthenticationProvider"
	DefaultPasswordResetProvider  = "Jellyfin.Server.Implementations.Users.DefaultPasswordResetProvider"
)

// Policy is what a user may do, with all members of all versions. As stored:
// EnableLyricManagement is true here when it was posted, although the HTTP API
// never says so.
type Policy struct {
	IsAdministrator                  bool
	IsHidden                         bool
	EnableCollectionManagement       bool // 10.9
	EnableSubtitleManagement         bool // 10.9
	EnableLyricManagement            bool // 10.9
	IsDisabled                       bool
	MaxParentalRating                *int `json:",omitempty"`
	MaxParentalSubRating             *int `json:",omitempty"` // 10.11
	BlockedTags                      []string
	AllowedTags                      []string // 10.9
	EnableUserPreferenceAccess       bool
	AccessSchedules                  []AccessSchedule
	BlockUnratedItems                []string
	EnableRemoteControlOfOtherUsers  bool
	EnableSharedDeviceControl        bool
	EnableRemoteAccess               bool
	EnableLiveTvManagement           bool
	EnableLiveTvAccess               bool
	EnableMediaPlayback              bool
	EnableAudioPlaybackTranscoding   bool
	EnableVideoPlaybackTranscoding   bool
	EnablePlaybackRemuxing           bool
	ForceRemoteSourceTranscoding     bool
	EnableContentDeletion            bool
	EnableContentDeletionFromFolders []string
	EnableContentDownloading         bool
	EnableSyncTranscoding            bool
	EnableMediaConversion            bool
	EnabledDevices                   []string
	EnableAllDevices                 bool
	EnabledChannels                  []string
	EnableAllChannels                bool
	EnabledFolders                   []string
	EnableAllFolders                 bool
	InvalidLoginAttemptCount         int
	LoginAttemptsBeforeLockout       int
	MaxActiveSessions                int // 0 means no limit
	EnablePublicSharing              bool
	RemoteClientBitrateLimit         int // bit/s; 0 means the server's default
	AuthenticationProviderId         string
	PasswordResetProviderId          string
	SyncPlayAccess                   string
}

// AccessSchedule is a time of the week in which a user may come.
type AccessSchedule struct {
	ID        int    `json:"Id"`
	UserID    string `json:"UserId"`
	DayOfWeek string
	StartHour float64 // 0–24, in the server's time zone
	EndHour   float64
}

var (
	dayNames     = []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Everyday", "Weekday", "Weekend"}
	unratedNames = []string{"Movie", "Trailer", "Series", "Music", "Book", "LiveTvChannel", "LiveTvProgram", "ChannelContent", "Other"}
	syncNames    = []string{"CreateAndJoinGroups", "JoinGroups", "None"}
)

// omittedPolicy is what the members are worth that a POST leaves out: the
// defaults of the class, not of a new user, and not what was stored.
func omittedPolicy() Policy {
	return Policy{
		IsHidden:                       true,
		EnableUserPreferenceAccess:     true,
		EnableSharedDeviceControl:      true,
		EnableRemoteAccess:             true,
		EnableLiveTvManagement:         true,
		EnableLiveTvAccess:             true,
		EnableMediaPlayback:            true,
		EnableAudioPlaybackTranscoding: true,
		EnableVideoPlaybackTranscoding: true,
		EnablePlaybackRemuxing:         true,
		EnableContentDownloading:       true,
		EnableSyncTranscoding:          true,
		EnableMediaConversion:          true,
		EnableAllDevices:               true,
		EnableAllChannels:              true,
		EnableAllFolders:               true,
		LoginAttemptsBeforeLockout:     -1,
		EnablePublicSharing:            true,
		SyncPlayAccess:                 syncNames[0],
	}
}

// newUserPolicy is what Users/New gives.
func (p *profile) newUserPolicy() *Policy {
	policy := omittedPolicy()
	policy.EnableLiveTvManagement = p.liveTVManagement
	policy.AuthenticationProviderId = DefaultAuthenticationProvider
	policy.PasswordResetProviderId = DefaultPasswordResetProvider
	return &policy
}

// encode writes the policy as GET shows it.
func (y *Policy) encode(e *encoder, p *profile) {
	e.open()
	e.boolean("IsAdministrator", y.IsAdministrator)
	e.boolean("IsHidden", y.IsHidden)
	if p.since109Policy {
		e.boolean("EnableCollectionManagement", y.EnableCollectionManagement)
		e.boolean("EnableSubtitleManagement", y.EnableSubtitleManagement)
		e.boolean("EnableLyricManagement", false) // never filled in, in no version
	}
	e.boolean("IsDisabled", y.IsDisabled)
	e.optInteger("MaxParentalRating", y.MaxParentalRating)
	if p.subRating {
		e.optInteger("MaxParentalSubRating", y.MaxParentalSubRating)
	}
	e.strs("BlockedTags", y.BlockedTags)
	if p.since109Policy {
		e.strs("AllowedTags", y.AllowedTags)
	}
	e.boolean("EnableUserPreferenceAccess", y.EnableUserPreferenceAccess)
	e.key("AccessSchedules")
	e.openList()
	for _, a := range y.AccessSchedules {
		e.open()
		e.integer("Id", a.ID)
		e.str("UserId", a.UserID)
		e.str("DayOfWeek", a.DayOfWeek)
		e.number("StartHour", a.StartHour)
		e.number("EndHour", a.EndHour)
		e.close()
	}
	e.closeList()
	e.strs("BlockUnratedItems", y.BlockUnratedItems)
	e.boolean("EnableRemoteControlOfOtherUsers", y.EnableRemoteControlOfOtherUsers)
	e.boolean("EnableSharedDeviceControl", y.EnableSharedDeviceControl)
	e.boolean("EnableRemoteAccess", y.EnableRemoteAccess)
	e.boolean("EnableLiveTvManagement", y.EnableLiveTvManagement)
	e.boolean("EnableLiveTvAccess", y.EnableLiveTvAccess)
	e.boolean("EnableMediaPlayback", y.EnableMediaPlayback)
	e.boolean("EnableAudioPlaybackTranscoding", y.EnableAudioPlaybackTranscoding)
	e.boolean("EnableVideoPlaybackTranscoding", y.EnableVideoPlaybackTranscoding)
	e.boolean("EnablePlaybackRemuxing", y.EnablePlaybackRemuxing)
	e.boolean("ForceRemoteSourceTranscoding", y.ForceRemoteSourceTranscoding)
	e.boolean("EnableContentDeletion", y.EnableContentDeletion)
	e.strs("EnableContentDeletionFromFolders", y.EnableContentDeletionFromFolders)
	e.boolean("EnableContentDownloading", y.EnableContentDownloading)
	e.boolean("EnableSyncTranscoding", y.EnableSyncTranscoding)
	e.boolean("EnableMediaConversion", y.EnableMediaConversion)
	e.strs("EnabledDevices", y.EnabledDevices)
	e.boolean("EnableAllDevices", y.EnableAllDevices)
	e.strs("EnabledChannels", y.EnabledChannels)
	e.boolean("EnableAllChannels", y.EnableAllChannels)
	e.strs("EnabledFolders", y.EnabledFolders)
	e.boolean("EnableAllFolders", y.EnableAllFolders)
	e.integer("InvalidLoginAttemptCount", y.InvalidLoginAttemptCount)
	e.integer("LoginAttemptsBeforeLockout", y.LoginAttemptsBeforeLockout)
	e.integer("MaxActiveSessions", y.MaxActiveSessions)
	e.boolean("EnablePublicSharing", y.EnablePublicSharing)
	e.strs("BlockedMediaFolders", nil)
	e.strs("BlockedChannels", nil)
	e.integer("RemoteClientBitrateLimit", y.RemoteClientBitrateLimit)
	e.str("AuthenticationProviderId", y.AuthenticationProviderId)
	e.str("PasswordResetProviderId", y.PasswordResetProviderId)
	e.str("SyncPlayAccess", y.SyncPlayAccess)
	e.close()
}

// postedPolicy is a policy with what matters of how it was sent.
type postedPolicy struct {
	Policy
	nullList      bool // a list of strings or Guids was null
	nullSchedules bool
}

// decodePolicy reads a posted policy. Members that the version does not know
// are ignored.
func decodePolicy(d *decoder, p *profile) postedPolicy {
	y := postedPolicy{Policy: omittedPolicy()}
	d.boolean("IsAdministrator", &y.IsAdministrator)
	d.boolean("IsHidden", &y.IsHidden)
	if p.since109Policy {
		d.boolean("EnableCollectionManagement", &y.EnableCollectionManagement)
		d.boolean("EnableSubtitleManagement", &y.EnableSubtitleManagement)
		d.boolean("EnableLyricManagement", &y.EnableLyricManagement)
	}
	d.boolean("IsDisabled", &y.IsDisabled)
	d.optInteger("MaxParentalRating", &y.MaxParentalRating)
	if p.subRating {
		d.optInteger("MaxParentalSubRating", &y.MaxParentalSubRating)
	}
	d.boolean("EnableUserPreferenceAccess", &y.EnableUserPreferenceAccess)
	y.decodeSchedules(d)
	y.decodeUnrated(d)
	d.boolean("EnableRemoteControlOfOtherUsers", &y.EnableRemoteControlOfOtherUsers)
	d.boolean("EnableSharedDeviceControl", &y.EnableSharedDeviceControl)
	d.boolean("EnableRemoteAccess", &y.EnableRemoteAccess)
	d.boolean("EnableLiveTvManagement", &y.EnableLiveTvManagement)
	d.boolean("EnableLiveTvAccess", &y.EnableLiveTvAccess)
	d.boolean("EnableMediaPlayback", &y.EnableMediaPlayback)
	d.boolean("EnableAudioPlaybackTranscoding", &y.EnableAudioPlaybackTranscoding)
	d.boolean("EnableVideoPlaybackTranscoding", &y.EnableVideoPlaybackTranscoding)
	d.boolean("EnablePlaybackRemuxing", &y.EnablePlaybackRemuxing)
	d.boolean("ForceRemoteSourceTranscoding", &y.ForceRemoteSourceTranscoding)
	d.boolean("EnableContentDeletion", &y.EnableContentDeletion)
	d.boolean("EnableContentDownloading", &y.EnableContentDownloading)
	d.boolean("EnableSyncTranscoding", &y.EnableSyncTranscoding)
	d.boolean("EnableMediaConversion", &y.EnableMediaConversion)
	d.boolean("EnableAllDevices", &y.EnableAllDevices)
	d.boolean("EnableAllChannels", &y.EnableAllChannels)
	d.boolean("EnableAllFolders", &y.EnableAllFolders)
	d.integer("InvalidLoginAttemptCount", &y.InvalidLoginAttemptCount)
	d.integer("LoginAttemptsBeforeLockout", &y.LoginAttemptsBeforeLockout)
	d.integer("MaxActiveSessions", &y.MaxActiveSessions)
	d.boolean("EnablePublicSharing", &y.EnablePublicSharing)
	d.integer("RemoteClientBitrateLimit", &y.RemoteClientBitrateLimit)
	d.enum("SyncPlayAccess", syncNames, &y.SyncPlayAccess)
	y.AuthenticationProviderId = d.strOr("AuthenticationProviderId", "")
	y.PasswordResetProviderId = d.strOr("PasswordResetProviderId", "")

	var ignored []string // these two are read, checked and dropped
	d.ids("BlockedMediaFolders", &ignored)
	d.ids("BlockedChannels", &ignored)
	nulls := []bool{
		d.strs("BlockedTags", &y.BlockedTags),
		p.since109Policy && d.strs("AllowedTags", &y.AllowedTags),
		d.strs("EnableContentDeletionFromFolders", &y.EnableContentDeletionFromFolders),
		d.strs("EnabledDevices", &y.EnabledDevices),
		d.ids("EnabledChannels", &y.EnabledChannels),
		d.ids("EnabledFolders", &y.EnabledFolders),
	}
	y.nullList = slices.Contains(nulls, true)
	y.BlockedTags = splitTags(y.BlockedTags)
	y.AllowedTags = splitTags(y.AllowedTags)
	if y.LoginAttemptsBeforeLockout == 0 {
		y.LoginAttemptsBeforeLockout = 3
	}
	return y
}

func (y *postedPolicy) decodeSchedules(d *decoder) {
	elements, nulled, _ := d.list("AccessSchedules")
	y.nullSchedules = nulled
	for _, raw := range elements {
		inner := &decoder{path: "$.AccessSchedules", fail: d.fail, failed: d.failed, loose: d.loose}
		inner.parse(raw)
		a := AccessSchedule{DayOfWeek: dayNames[0]}
		inner.enum("DayOfWeek", dayNames, &a.DayOfWeek)
		inner.float("StartHour", &a.StartHour)
		inner.float("EndHour", &a.EndHour)
		y.AccessSchedules = append(y.AccessSchedules, a)
	}
}

func (y *postedPolicy) decodeUnrated(d *decoder) {
	elements, _, _ := d.list("BlockUnratedItems") // null is taken for none
	for i, raw := range elements {
		name, ok := enumValue(raw, unratedNames)
		if !ok {
			d.wrongType("BlockUnratedItems["+itoa(i)+"]", "Jellyfin.Data.Enums.UnratedItem")
			return
		}
		y.BlockUnratedItems = append(y.BlockUnratedItems, name)
	}
}

// splitTags does to a list of tags what storing it joined by commas does.
func splitTags(tags []string) []string {
	return slices.DeleteFunc(strings.Split(strings.Join(tags, ","), ","), func(t string) bool { return t == "" })
}

// allowsAt says whether the access schedules, if any, let the user in.
func (y *Policy) allowsAt(now time.Time) bool {
	if len(y.AccessSchedules) == 0 {
		return true
	}
	weekday := now.Weekday()
	weekend := weekday == time.Saturday || weekday == time.Sunday
	hour := now.Sub(time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())).Hours()
	return slices.ContainsFunc(y.AccessSchedules, func(a AccessSchedule) bool {
		day := a.DayOfWeek == "Everyday" || a.DayOfWeek == weekday.String() ||
			a.DayOfWeek == "Weekday" && !weekend || a.DayOfWeek == "Weekend" && weekend
		return day && hour >= a.StartHour && hour <= a.EndHour
	})
}

// clone copies a policy, lists included.
func (y *Policy) clone() Policy {
	c := *y
	c.BlockedTags = slices.Clone(y.BlockedTags)
	c.AllowedTags = slices.Clone(y.AllowedTags)
	c.AccessSchedules = slices.Clone(y.AccessSchedules)
	c.BlockUnratedItems = slices.Clone(y.BlockUnratedItems)
	c.EnableContentDeletionFromFolders = slices.Clone(y.EnableContentDeletionFromFolders)
	c.EnabledDevices = slices.Clone(y.EnabledDevices)
	c.EnabledChannels = slices.Clone(y.EnabledChannels)
	c.EnabledFolders = slices.Clone(y.EnabledFolders)
	return c
}
