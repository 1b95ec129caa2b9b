package invitation

import (
	"crypto/rand"
	"regexp"
	"slices"
	"strings"

	"github.com/zondarr/zondarr/host/internal/fault"
)

// codeAlphabet is what generated codes are made of: no 0, O, I, L or 1, which
// people mistake for one another. Its 31 characters in 12 places are 59 bits.
const (
	codeAlphabet = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
	codeLength   = 12
)

var codePattern = regexp.MustCompile(`^[A-Z0-9_-]{4,64}$`)

// newCode draws a code from the system's random source.
func newCode() string {
	// Bytes beyond the last whole multiple of the alphabet are drawn again, so
	// that every character is equally likely.
	const whole = 256 - 256%len(codeAlphabet)
	code := make([]byte, 0, codeLength)
	var draw [2 * codeLength]byte
	for len(code) < codeLength {
		_, _ = rand.Read(draw[:]) // never fails (crypto/rand)
		for _, b := range draw {
			if int(b) < whole && len(code) < codeLength {
				code = append(code, codeAlphabet[int(b)%len(codeAlphabet)])
			}
		}
	}
	return string(code)
}

// ownCode gives a code of the admin's choice in its stored form.
func ownCode(code string) (string, error) {
	code = upper(strings.TrimSpace(code))
	if !codePattern.MatchString(code) {
		return "", fault.InvalidInput(fault.Field{
			Location: "body.code", Code: fault.FieldPattern, Message: "A code is 4 to 64 of the letters A to Z, digits, _ and -.",
		})
	}
	return code, nil
}

// typed gives the stored codes that somebody may have meant, the likeliest
// first. Case and blanks around are forgiven, and in what looks like a generated
// code also hyphens and blanks within.
func typed(code string) []string {
	code = upper(strings.TrimSpace(code))
	if len(code) > 200 {
		return nil
	}
	var meant []string
	if codePattern.MatchString(code) {
		meant = append(meant, code)
	}
	bare := strings.NewReplacer("-", "", " ", "").Replace(code)
	if bare != code && len(bare) == codeLength && strings.Trim(bare, codeAlphabet) == "" {
		meant = append(meant, bare)
	}
	return meant
}

// Means says whether somebody who typed a code may have meant a stored one.
func Means(code, stored string) bool { return slices.Contains(typed(code), stored) }

// upper changes ASCII letters alone: "ı" is no "I".
func upper(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, s)
}

// notFound is the one answer to every code that is not there: it must not tell
// a guesser anything.
func notFound() error {
	return fault.New(fault.NotFound, fault.CodeInvitationNotFound, "There is no invitation with this code. Check it for typing mistakes.")
}
