package jellyfin

import (
	"fmt"
	"strconv"
	"strings"
)

// version of a Jellyfin server. It always says three numbers; 12 follows 10.11.
type version struct{ major, minor, patch int }

// The versions at which something that matters here changed.
var (
	v10_8  = version{10, 8, 0}
	v10_9  = version{10, 9, 0}
	v10_11 = version{10, 11, 0}
	v12    = version{12, 0, 0}
	v13    = version{13, 0, 0} // not seen yet
)

func parseVersion(s string) (version, error) {
	var n [3]int
	parts := strings.Split(s, ".")
	if len(parts) < 2 || len(parts) > 4 {
		return version{}, fmt.Errorf("%d parts, want three numbers", len(parts))
	}
	for i, part := range parts[:min(len(parts), 3)] {
		v, err := strconv.ParseUint(part, 10, 16)
		if err != nil {
			return version{}, fmt.Errorf("part %d is no number", i+1)
		}
		n[i] = int(v)
	}
	return version{n[0], n[1], n[2]}, nil
}

func (v version) atLeast(w version) bool {
	if v.major != w.major {
		return v.major > w.major
	}
	if v.minor != w.minor {
		return v.minor > w.minor
	}
	return v.patch >= w.patch
}

// short gives the version as people say it: "10.9", "12".
func (v version) short() string {
	switch {
	case v.patch != 0:
		return fmt.Sprintf("%d.%d.%d", v.major, v.minor, v.patch)
	case v.minor != 0:
		return fmt.Sprintf("%d.%d", v.major, v.minor)
	default:
		return strconv.Itoa(v.major)
	}
}

// keySetsPasswords: before 10.9 an API key gets 500 from the password endpoint,
// since that looks for the user behind the token.
func (v version) keySetsPasswords() bool { return v.atLeast(v10_9) }

// passwordByQuery: the documented path since 10.9; the older one is hidden then.
func (v version) passwordByQuery() bool { return v.atLeast(v10_9) }

// tellsPassword: 12 says of every account that it has a password.
func (v version) tellsPassword() bool { return !v.atLeast(v12) }
