package identity

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/zondarr/zondarr/host/internal/fault"
)

// CleanName gives the name of a person in the one form of Unicode in which names
// are stored, without blanks around it, and what is wrong with it (a field code
// and words), or "". An empty name is told as required.
func CleanName(name string) (clean, code, message string) {
	clean, whole := Normal(strings.TrimSpace(name))
	switch {
	case clean == "":
		return clean, fault.FieldRequired, "A name is required."
	case !utf8.ValidString(clean):
		return clean, fault.FieldInvalid, "Text in UTF-8."
	case utf8.RuneCountInString(clean) > maxName:
		return clean, fault.FieldTooLong, "At most 100 characters."
	case strings.ContainsFunc(clean, steers):
		return clean, fault.FieldPattern, "No control characters."
	case !whole:
		return clean, fault.FieldPattern, "Too many accents on one letter."
	}
	return clean, "", ""
}

// steers is true for what cannot be seen and changes how the text around it is
// shown: control characters, and those that turn the direction of writing, by
// which one name can be made to look like another. Joiners stay: emoji and some
// scripts need them.
func steers(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
}

// joiner is what NFC puts into a run of more than 30 combining marks, so that it
// can be read as a stream.
const joiner = "\u034f"

// Normal gives text in Unicode's form NFC, in which names are stored and
// compared. ok is false when that would put characters into it which nobody typed.
func Normal(text string) (normal string, ok bool) {
	normal = norm.NFC.String(text)
	return normal, strings.Count(normal, joiner) <= strings.Count(text, joiner)
}
