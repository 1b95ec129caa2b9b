package jellyfin

import (
	"math"

	"github.com/zondarr/zondarr/sdk"
)

// permission is one of Jellyfin's switches under the name that the contract
// gives it.
type permission struct {
	info   sdk.PermissionInfo
	member string // of the policy
	since  version
	get    func(*policyFields) *bool
}

// permissions in the order a form shows them. A default never gives what lets
// one person harm the others: managing live TV, which Jellyfin itself gave to
// every new user until 10.11.7, deleting media, changing collections.
var permissions = []permission{
	{
		info:   sdk.PermissionInfo{Name: sdk.PermissionStream, Label: "Play media", Default: sdk.Allow, Help: "Jellyfin's apps respect it; it does not block a stream's address."},
		member: "EnableMediaPlayback", get: func(p *policyFields) *bool { return p.EnableMediaPlayback },
	},
	{
		info:   sdk.PermissionInfo{Name: sdk.PermissionDownload, Label: "Download media", Default: sdk.Allow},
		member: "EnableContentDownloading", get: func(p *policyFields) *bool { return p.EnableContentDownloading },
	},
	{
		info:   sdk.PermissionInfo{Name: sdk.PermissionTranscodeVideo, Label: "Convert video while playing", Default: sdk.Allow},
		member: "EnableVideoPlaybackTranscoding", get: func(p *policyFields) *bool { return p.EnableVideoPlaybackTranscoding },
	},
	{
		info:   sdk.PermissionInfo{Name: sdk.PermissionTranscodeAudio, Label: "Convert audio while playing", Default: sdk.Allow},
		member: "EnableAudioPlaybackTranscoding", get: func(p *policyFields) *bool { return p.EnableAudioPlaybackTranscoding },
	},
	{
		info:   sdk.PermissionInfo{Name: sdk.PermissionRemux, Label: "Repack media while playing", Default: sdk.Allow, Help: "Without it and without converting video, only what the device plays as it is."},
		member: "EnablePlaybackRemuxing", get: func(p *policyFields) *bool { return p.EnablePlaybackRemuxing },
	},
	{
		info:   sdk.PermissionInfo{Name: sdk.PermissionLiveTV, Label: "Watch live TV", Default: sdk.Allow},
		member: "EnableLiveTvAccess", get: func(p *policyFields) *bool { return p.EnableLiveTvAccess },
	},
	{
		info:   sdk.PermissionInfo{Name: sdk.PermissionLiveTVManage, Label: "Manage live TV and recordings", Default: sdk.Deny},
		member: "EnableLiveTvManagement", get: func(p *policyFields) *bool { return p.EnableLiveTvManagement },
	},
	{
		info:   sdk.PermissionInfo{Name: sdk.PermissionRemoteAccess, Label: "Use from outside the local network", Default: sdk.Allow},
		member: "EnableRemoteAccess", get: func(p *policyFields) *bool { return p.EnableRemoteAccess },
	},
	{
		info:   sdk.PermissionInfo{Name: sdk.PermissionSync, Label: "Convert media for offline use", Default: sdk.Allow, Help: "Only older apps and extensions look at it."},
		member: "EnableSyncTranscoding", get: func(p *policyFields) *bool { return p.EnableSyncTranscoding },
	},
	{
		info:   sdk.PermissionInfo{Name: sdk.PermissionShare, Label: "Share media by public link", Default: sdk.Deny, Help: "Only older apps and extensions look at it."},
		member: "EnablePublicSharing", get: func(p *policyFields) *bool { return p.EnablePublicSharing },
	},
	{
		info:   sdk.PermissionInfo{Name: sdk.PermissionDeleteMedia, Label: "Delete media", Default: sdk.Deny, Help: "From every library; the files are gone then."},
		member: "EnableContentDeletion", get: deletesMedia,
	},
	{
		info:   sdk.PermissionInfo{Name: "jellyfin.collections", Label: "Manage collections", Default: sdk.Deny},
		member: "EnableCollectionManagement", since: v10_9, get: func(p *policyFields) *bool { return p.EnableCollectionManagement },
	},
	{
		info:   sdk.PermissionInfo{Name: "jellyfin.subtitles", Label: "Manage subtitles", Default: sdk.Deny},
		member: "EnableSubtitleManagement", since: v10_9, get: func(p *policyFields) *bool { return p.EnableSubtitleManagement },
	},
}

// deletesMedia tells nothing of a user who may delete from some libraries only:
// that is neither yes nor no.
func deletesMedia(p *policyFields) *bool {
	if p.EnableContentDeletion != nil && !*p.EnableContentDeletion && len(p.EnableContentDeletionFromFolders) > 0 {
		return nil
	}
	return p.EnableContentDeletion
}

// limit is one of Jellyfin's numbers under the name that the contract gives it.
type limit struct {
	info   sdk.LimitInfo
	member string
	get    func(*policyFields) *int64
}

// Jellyfin's numbers are 32 bits wide.
var limits = []limit{
	{
		info:   sdk.LimitInfo{Name: sdk.LimitMaxSessions, Label: "Devices signed in at once", Unit: "sessions", Min: 1, Max: math.MaxInt32, Help: "Looked at when somebody signs in."},
		member: "MaxActiveSessions", get: func(p *policyFields) *int64 { return p.MaxActiveSessions },
	},
	{
		info:   sdk.LimitInfo{Name: sdk.LimitRemoteBitrate, Label: "Bitrate outside the local network", Unit: "bits/s", Min: 1, Max: math.MaxInt32, Help: "Without it, the server's own limit holds."},
		member: "RemoteClientBitrateLimit", get: func(p *policyFields) *int64 { return p.RemoteClientBitrateLimit },
	},
}

func limitInfos() []sdk.LimitInfo {
	infos := make([]sdk.LimitInfo, len(limits))
	for i, l := range limits {
		infos[i] = l.info
	}
	return infos
}
