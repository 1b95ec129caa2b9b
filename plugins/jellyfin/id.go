package jellyfin

import (
	"encoding/hex"
	"strings"
)

// guid is an id of Jellyfin's. The server takes it with and without dashes, and
// writes it without.
type guid [16]byte

// parseID reads an id in either form. The all-zero id stands for "nobody" there,
// so it is none.
func parseID(s string) (guid, bool) {
	var g guid
	switch len(s) {
	case 32:
	case 36:
		if s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
			return g, false
		}
		s = strings.ReplaceAll(s, "-", "")
		if len(s) != 32 {
			return g, false
		}
	default:
		return g, false
	}
	if _, err := hex.Decode(g[:], []byte(s)); err != nil {
		return g, false
	}
	return g, g != guid{}
}

// String gives the form that the server writes: 32 lower case hex digits.
func (g guid) String() string { return hex.EncodeToString(g[:]) }

// normalID gives an id in the server's own form, or as it is when it is none.
func normalID(s string) string {
	if g, ok := parseID(s); ok {
		return g.String()
	}
	return s
}
