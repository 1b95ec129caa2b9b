package jellyfintest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// version is a Jellyfin version: three numbers, always.
type version struct{ major, minor, patch int }

// Versions are the profiles that the tests hold against the contract, oldest
// first, as Config.Version takes them.
func Versions() []string { return []string{"10.8.13", "10.10.7", "10.11.6", "10.11.11", "12.0"} }

func parseVersion(text string) (version, error) {
	parts := strings.Split(text, ".")
	if len(parts) > 3 {
		return version{}, fmt.Errorf("jellyfintest: version %q: want at most three numbers", text)
	}
	var n [3]int
	for i, part := range parts {
		v, err := strconv.Atoi(part)
		if err != nil {
			return version{}, fmt.Errorf("jellyfintest: version %q: %w", text, err)
		}
		n[i] = v
	}
	return version{n[0], n[1], n[2]}, nil
}

func (v version) String() string {
	return fmt.Sprintf("%d.%d.%d", v.major, v.minor, v.patch)
}

// atLeast says whether v is the given version or newer.
func (v version) atLeast(major, minor, patch int) bool {
	switch {
	case v.major != major:
		return v.major > major
	case v.minor != minor:
		return v.minor > minor
	default:
		return v.patch >= patch
	}
}

// nameIndex is how the database keeps user names unique.
type nameIndex int

const (
	indexNoCase     nameIndex = iota // SQLite NOCASE: ASCII letters only
	indexExact                       // as written: bob and BOB are two names
	indexNormalised                  // invariant upper case
)

// profile is what differs between versions, decided once.
type profile struct {
	version version

	// Where a token may be.
	legacyHeaderWins bool // X-Emby-Authorization beats Authorization
	legacySwitch     bool // the server has EnableLegacyAuthorization
	legacyDefault    bool // and this is its default
	oldPrefixes      bool // /emby and /mediabrowser lead to the same routes

	// Shapes and routes.
	rfc9110        bool // problem types point at RFC 9110, not RFC 7231
	byQuery        bool // /Users/Password?userId= and its like exist
	setupServer    bool // a server of its own answers during the start
	ratingScores   bool
	subRating      bool // MaxParentalSubRating
	since109Policy bool // collection, subtitle and lyric management, allowed tags
	guidLists      bool // id lists of the configuration are Guids
	castReceivers  bool
	easyPassword   bool // the route exists
	easyWorks      bool // and does something
	initiateGet    bool
	initiatePost   bool

	// Users.
	index              nameIndex
	plusInNames        bool // and edge blanks refused
	dotNamesRefused    bool
	caseOnlyRename     bool
	ghosts             bool // the loser of a name race stays in the cache
	cached             bool // users live in memory; a failed save leaves the change there
	liveTVManagement   bool // a new user may manage live TV
	hasPasswordAlways  bool
	createReplyStale   bool // the create reply says "no password"
	lockout            lockoutKind
	strictLogin        bool // a login needs every part of the header
	keyIsNobody        bool // an API key breaks what asserts the current user
	nullUserBreaks     bool // an unknown id is a null dereference
	providersChecked   bool // provider ids are validated, not left to the database
	adminNeedsPassword bool
	unknownProblem     bool // an unknown user of /Password is a bare 404
	ownSessionsOnly    bool
	orphanBreaksAll    bool // a token without its user breaks every endpoint
	elevatedChecksMore bool // remote access and schedule count for admin endpoints
	startupOnce        bool // the first user's password cannot be set twice
	edgeBlankLibraries bool // refused
	deviceUnknown400   bool
	disabledLibraries  bool // are dropped from MediaFolders
	forgotAlwaysPin    bool
	avatarNameChecked  bool
	boolsFromNumbers   bool
	blockedIs200       bool // the address filter answers 200, empty
	infoForAll         bool // /System/Info needs no token, by mistake
}

// lockoutKind is what too many failed sign-ins do.
type lockoutKind int

const (
	lockoutSaved  lockoutKind = iota // the user is disabled
	lockoutMemory                    // disabled until the server restarts
	lockoutNone                      // nothing happens
)

func newProfile(v version) profile {
	is109, is1010, is1011, is12 := v.atLeast(10, 9, 0), v.atLeast(10, 10, 0), v.atLeast(10, 11, 0), v.atLeast(12, 0, 0)
	rewritten := v.atLeast(10, 11, 9) // users are read from the database at each call
	uncached := rewritten || (is109 && !v.atLeast(10, 9, 2))

	p := profile{
		version:            v,
		legacyHeaderWins:   !is1011,
		legacySwitch:       is1011,
		legacyDefault:      !is12,
		oldPrefixes:        !is12,
		rfc9110:            is109,
		byQuery:            is109,
		setupServer:        is1011,
		ratingScores:       is1011,
		subRating:          is1011,
		since109Policy:     is109,
		guidLists:          is109,
		castReceivers:      is109,
		easyPassword:       !is12,
		easyWorks:          !is109,
		initiateGet:        !is12,
		initiatePost:       is109,
		plusInNames:        is1011,
		dotNamesRefused:    is12,
		caseOnlyRename:     !is1011 || (v.atLeast(10, 11, 5) && !rewritten) || is12,
		ghosts:             !is1010,
		cached:             !uncached,
		liveTVManagement:   !v.atLeast(10, 11, 7),
		hasPasswordAlways:  is12,
		createReplyStale:   rewritten && !is12,
		strictLogin:        is109,
		keyIsNobody:        !is109,
		nullUserBreaks:     !is109,
		providersChecked:   is109,
		adminNeedsPassword: is109,
		unknownProblem:     is1010,
		ownSessionsOnly:    is109,
		orphanBreaksAll:    !is1011,
		elevatedChecksMore: !is109,
		startupOnce:        is12,
		edgeBlankLibraries: is12,
		deviceUnknown400:   is12,
		disabledLibraries:  is109,
		forgotAlwaysPin:    v.atLeast(10, 11, 2),
		avatarNameChecked:  is12,
		boolsFromNumbers:   !is109,
		blockedIs200:       !is109,
		infoForAll:         is109 && !v.atLeast(10, 9, 4),
	}
	switch {
	case v.atLeast(10, 11, 10):
		p.index = indexNormalised
	case is1011:
		p.index = indexExact
	default:
		p.index = indexNoCase
	}
	switch {
	case is12:
		p.lockout = lockoutSaved
	case rewritten:
		p.lockout = lockoutNone
	case is1011:
		p.lockout = lockoutMemory
	default:
		p.lockout = lockoutSaved
	}
	return p
}

// .NET's \w is letters, non-spacing marks, decimal digits and connectors.
var (
	nameBefore1011 = regexp.MustCompile(`^[\p{L}\p{Mn}\p{Nd}\p{Pc} \-'._@]+$`)
	nameSince1011  = regexp.MustCompile(`^[\p{L}\p{Mn}\p{Nd}\p{Pc} \-'._@+]+$`)
)

// validName says whether the server takes this user name.
func (p *profile) validName(name string) bool {
	// .NET's $ matches before a last line break, which therefore gets through.
	name = strings.TrimSuffix(name, "\n")
	// .NET's regular expressions see UTF-16: what is beyond U+FFFF is two surrogates
	// there, which are no letters.
	if strings.ContainsFunc(name, func(r rune) bool { return r > 0xffff }) {
		return false
	}
	if !p.plusInNames {
		return nameBefore1011.MatchString(name)
	}
	if p.dotNamesRefused && (name == "." || name == "..") {
		return false
	}
	return nameSince1011.MatchString(name) && name == strings.TrimSpace(name)
}

// fold gives the form under which names are compared, ignoring case.
func (p *profile) fold(name string) string {
	sqlUpper := p.version == version{10, 11, 9} // SQLite's upper() knows ASCII only
	return strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII {
			if 'a' <= r && r <= 'z' {
				return r - ('a' - 'A')
			}
			return r
		}
		if sqlUpper || r == 'ı' { // .NET leaves the dotless i alone
			return r
		}
		return unicode.ToUpper(r)
	}, name)
}

// indexKey gives the form that the database keeps unique.
func (p *profile) indexKey(name string) string {
	switch p.index {
	case indexExact:
		return name
	case indexNoCase:
		return strings.Map(func(r rune) rune {
			if 'A' <= r && r <= 'Z' {
				return r + ('a' - 'A')
			}
			return r
		}, name)
	default:
		return p.fold(name)
	}
}
