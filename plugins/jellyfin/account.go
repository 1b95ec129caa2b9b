package jellyfin

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/zondarr/zondarr/sdk"
)

// maxNameLength: Jellyfin has no limit of its own; its column says 255.
const maxNameLength = 64

// What a name may consist of is .NET's [\w \-'._@], and "+" since 10.11. \w is
// letters, non-spacing marks, decimal digits and connecting punctuation. .NET's
// regular expressions see UTF-16, in which a character beyond U+FFFF is two surrogates,
// and those are none of them: such letters are refused. Neither RE2 nor ECMAScript can
// subtract from \p{L}, but both can exclude what is no letter or is beyond.
const (
	beyond      = "\U00010000-\U0010ffff"
	word        = `[^\P{L}` + beyond + `]|[^\P{Mn}` + beyond + `]|[^\P{Nd}` + beyond + `]`
	nameSet     = `\p{Pc} \-'@`
	nameBefore  = `^(?:` + word + `|[.` + nameSet + `])+$`
	nameSince   = `^(?:` + word + `|[.+` + nameSet + `])+$`
	nameSince12 = `^(?:\.*(?:` + word + `|[+` + nameSet + `])(?:` + word + `|[.+` + nameSet + `])*|\.{3,})$` // and neither "." nor ".."
	notBlank    = `^.*\S.*$`
)

var (
	nameBeforeForm  = regexp.MustCompile(nameBefore)
	nameSinceForm   = regexp.MustCompile(nameSince)
	nameSince12Form = regexp.MustCompile(nameSince12)
)

// accountRules are the rules of a version. Edge blanks, which 10.8 to 10.10
// accept, are refused everywhere: the host's floor says so, and a name that an
// upgrade makes illegal helps nobody.
func accountRules(v version) sdk.AccountRules {
	pattern, help := nameBefore, "Letters, digits, spaces and - ' . _ @"
	switch {
	case v.atLeast(v12):
		pattern, help = nameSince12, "Letters, digits, spaces and - ' . _ @ +"
	case v.atLeast(v10_11):
		pattern, help = nameSince, "Letters, digits, spaces and - ' . _ @ +"
	}
	return sdk.AccountRules{
		Username: sdk.FieldRule{Use: sdk.FieldRequired, MinLength: 1, MaxLength: maxNameLength, Pattern: pattern, Help: help},
		Password: sdk.FieldRule{Use: sdk.FieldRequired, MinLength: 1, Pattern: notBlank, Help: "Not only blanks"},
		Email:    sdk.FieldRule{Use: sdk.FieldUnused},
	}
}

// validName says whether a version takes the name. The server's own answer to a
// bad one is the same as to a taken one, so it is settled here.
func validName(v version, name string) bool {
	form := nameBeforeForm
	switch {
	case v.atLeast(v12):
		form = nameSince12Form
	case v.atLeast(v10_11):
		form = nameSinceForm
	}
	return utf8.ValidString(name) && utf8.RuneCountInString(name) <= maxNameLength && name == strings.TrimSpace(name) && form.MatchString(name)
}

func checkName(v version, name string) error {
	if validName(v, name) {
		return nil
	}
	rule := accountRules(v).Username
	e := sdk.Errorf(sdk.ReasonUsernameInvalid, "Jellyfin %s does not allow this username", v.short())
	e.Fields = []sdk.FieldProblem{{Field: "username", Code: "pattern", Message: "At most 64 characters: " + rule.Help + "."}}
	return e
}

// checkPassword refuses what Jellyfin would take: an account without a password
// lets anybody in, and blanks are no better. What is no text would be stored as
// another password than was chosen.
func checkPassword(password string) error {
	if strings.TrimSpace(password) != "" && utf8.ValidString(password) {
		return nil
	}
	e := sdk.Errorf(sdk.ReasonPasswordRejected, "the password is empty, blank or no text")
	e.Fields = []sdk.FieldProblem{{Field: "password", Code: "required", Message: "Choose a password that is not only blanks."}}
	return e
}

// fold gives the form under which names are one. Versions differ in how they
// fold letters beyond ASCII; this is the widest of them.
func fold(name string) string { return strings.Map(unicode.ToUpper, name) }
