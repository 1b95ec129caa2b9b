package sdkplugin

import (
	"github.com/zondarr/zondarr/sdk"
	pb "github.com/zondarr/zondarr/sdk/internal/pluginpb"
)

// table maps the values of one enumeration to another. What is not in it maps to
// the zero value, which on either side promises least.
type table[A, B comparable] map[A]B

func (t table[A, B]) of(a A) B { return t[a] }

func (t table[A, B]) all(as []A) []B {
	if len(as) == 0 {
		return nil
	}
	bs := make([]B, 0, len(as))
	var none B
	for _, a := range as {
		if b := t[a]; b != none {
			bs = append(bs, b)
		}
	}
	return bs
}

func inverse[A, B comparable](t table[A, B]) table[B, A] {
	inv := make(table[B, A], len(t))
	for a, b := range t {
		inv[b] = a
	}
	return inv
}

// The enumerations of the contract, to the wire and from it.
var (
	toReason = table[sdk.Reason, pb.Reason]{
		sdk.ReasonInternal:            pb.Reason_REASON_INTERNAL,
		sdk.ReasonUnavailable:         pb.Reason_REASON_UNAVAILABLE,
		sdk.ReasonTimeout:             pb.Reason_REASON_TIMEOUT,
		sdk.ReasonRateLimited:         pb.Reason_REASON_RATE_LIMITED,
		sdk.ReasonServerError:         pb.Reason_REASON_SERVER_ERROR,
		sdk.ReasonStarting:            pb.Reason_REASON_STARTING,
		sdk.ReasonEndpointGone:        pb.Reason_REASON_ENDPOINT_GONE,
		sdk.ReasonCredentialsRejected: pb.Reason_REASON_CREDENTIALS_REJECTED,
		sdk.ReasonNotAdmin:            pb.Reason_REASON_NOT_ADMIN,
		sdk.ReasonWrongProduct:        pb.Reason_REASON_WRONG_PRODUCT,
		sdk.ReasonWrongServer:         pb.Reason_REASON_WRONG_SERVER,
		sdk.ReasonVersionUnsupported:  pb.Reason_REASON_VERSION_UNSUPPORTED,
		sdk.ReasonNotFound:            pb.Reason_REASON_NOT_FOUND,
		sdk.ReasonUsernameTaken:       pb.Reason_REASON_USERNAME_TAKEN,
		sdk.ReasonUsernameInvalid:     pb.Reason_REASON_USERNAME_INVALID,
		sdk.ReasonPasswordRejected:    pb.Reason_REASON_PASSWORD_REJECTED,
		sdk.ReasonEmailRequired:       pb.Reason_REASON_EMAIL_REQUIRED,
		sdk.ReasonEmailTaken:          pb.Reason_REASON_EMAIL_TAKEN,
		sdk.ReasonAlreadyMember:       pb.Reason_REASON_ALREADY_MEMBER,
		sdk.ReasonAccountNotReady:     pb.Reason_REASON_ACCOUNT_NOT_READY,
		sdk.ReasonLibraryNotFound:     pb.Reason_REASON_LIBRARY_NOT_FOUND,
		sdk.ReasonLimitReached:        pb.Reason_REASON_LIMIT_REACHED,
		sdk.ReasonProtected:           pb.Reason_REASON_PROTECTED,
		sdk.ReasonUnsupported:         pb.Reason_REASON_UNSUPPORTED,
		sdk.ReasonLinkExpired:         pb.Reason_REASON_LINK_EXPIRED,
		sdk.ReasonInvalid:             pb.Reason_REASON_INVALID,
		sdk.ReasonAccessNotApplied:    pb.Reason_REASON_ACCESS_NOT_APPLIED,
		sdk.ReasonAmbiguous:           pb.Reason_REASON_AMBIGUOUS,
	}
	fromReason = inverse(toReason)

	toSource = table[sdk.Source, pb.FailureSource]{
		sdk.SourceRequest:  pb.FailureSource_FAILURE_SOURCE_REQUEST,
		sdk.SourcePlugin:   pb.FailureSource_FAILURE_SOURCE_PLUGIN,
		sdk.SourceUpstream: pb.FailureSource_FAILURE_SOURCE_UPSTREAM,
		sdk.SourceHost:     pb.FailureSource_FAILURE_SOURCE_HOST,
	}
	fromSource = inverse(toSource)

	toCapability = table[sdk.Capability, pb.Capability]{
		sdk.CapReadUsers:      pb.Capability_CAPABILITY_READ_USERS,
		sdk.CapProvision:      pb.Capability_CAPABILITY_PROVISION,
		sdk.CapSuspend:        pb.Capability_CAPABILITY_SUSPEND,
		sdk.CapLibraryAccess:  pb.Capability_CAPABILITY_LIBRARY_ACCESS,
		sdk.CapPermissions:    pb.Capability_CAPABILITY_PERMISSIONS,
		sdk.CapLimits:         pb.Capability_CAPABILITY_LIMITS,
		sdk.CapSetPassword:    pb.Capability_CAPABILITY_SET_PASSWORD,
		sdk.CapVerifyPassword: pb.Capability_CAPABILITY_VERIFY_PASSWORD,
		sdk.CapSessions:       pb.Capability_CAPABILITY_SESSIONS,
		sdk.CapLinkAccount:    pb.Capability_CAPABILITY_LINK_ACCOUNT,
	}
	fromCapability = inverse(toCapability)

	toMode = table[sdk.LibraryMode, pb.LibraryMode]{
		sdk.LibraryAll:  pb.LibraryMode_LIBRARY_MODE_ALL,
		sdk.LibraryNone: pb.LibraryMode_LIBRARY_MODE_NONE,
		sdk.LibraryOnly: pb.LibraryMode_LIBRARY_MODE_ONLY,
	}
	fromMode = inverse(toMode)

	toLibraryType = table[sdk.LibraryType, pb.LibraryType]{
		sdk.LibraryMovies:      pb.LibraryType_LIBRARY_TYPE_MOVIES,
		sdk.LibraryShows:       pb.LibraryType_LIBRARY_TYPE_SHOWS,
		sdk.LibraryMusic:       pb.LibraryType_LIBRARY_TYPE_MUSIC,
		sdk.LibraryMusicVideos: pb.LibraryType_LIBRARY_TYPE_MUSIC_VIDEOS,
		sdk.LibraryHomeVideos:  pb.LibraryType_LIBRARY_TYPE_HOME_VIDEOS,
		sdk.LibraryPhotos:      pb.LibraryType_LIBRARY_TYPE_PHOTOS,
		sdk.LibraryBooks:       pb.LibraryType_LIBRARY_TYPE_BOOKS,
		sdk.LibraryAudiobooks:  pb.LibraryType_LIBRARY_TYPE_AUDIOBOOKS,
		sdk.LibraryPodcasts:    pb.LibraryType_LIBRARY_TYPE_PODCASTS,
		sdk.LibraryComics:      pb.LibraryType_LIBRARY_TYPE_COMICS,
		sdk.LibraryLiveTV:      pb.LibraryType_LIBRARY_TYPE_LIVE_TV,
		sdk.LibraryMixed:       pb.LibraryType_LIBRARY_TYPE_MIXED,
		sdk.LibraryOther:       pb.LibraryType_LIBRARY_TYPE_OTHER,
	}
	fromLibraryType = inverse(toLibraryType)

	toStatus = table[sdk.Status, pb.UserStatus]{
		sdk.StatusActive:    pb.UserStatus_USER_STATUS_ACTIVE,
		sdk.StatusSuspended: pb.UserStatus_USER_STATUS_SUSPENDED,
		sdk.StatusPending:   pb.UserStatus_USER_STATUS_PENDING,
	}
	fromStatus = inverse(toStatus)

	toJoinFlow = table[sdk.JoinFlow, pb.JoinFlow]{
		sdk.JoinPassword:      pb.JoinFlow_JOIN_FLOW_PASSWORD,
		sdk.JoinLinkedAccount: pb.JoinFlow_JOIN_FLOW_LINKED_ACCOUNT,
		sdk.JoinNone:          pb.JoinFlow_JOIN_FLOW_NONE,
	}
	fromJoinFlow = inverse(toJoinFlow)

	toFieldUse = table[sdk.FieldUse, pb.FieldUse]{
		sdk.FieldRequired: pb.FieldUse_FIELD_USE_REQUIRED,
		sdk.FieldOptional: pb.FieldUse_FIELD_USE_OPTIONAL,
		sdk.FieldUnused:   pb.FieldUse_FIELD_USE_UNUSED,
	}
	fromFieldUse = inverse(toFieldUse)

	toLinkStatus = table[sdk.LinkStatus, pb.LinkStatus]{
		sdk.LinkPending:  pb.LinkStatus_LINK_STATUS_PENDING,
		sdk.LinkApproved: pb.LinkStatus_LINK_STATUS_APPROVED,
		sdk.LinkDenied:   pb.LinkStatus_LINK_STATUS_DENIED,
		sdk.LinkExpired:  pb.LinkStatus_LINK_STATUS_EXPIRED,
	}
	fromLinkStatus = inverse(toLinkStatus)
)
