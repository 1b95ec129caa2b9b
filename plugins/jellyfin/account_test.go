package jellyfin

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/zondarr/zondarr/plugins/jellyfin/jellyfintest"
	"github.com/zondarr/zondarr/sdk"
)

func TestNamesByVersion(t *testing.T) {
	const old, plus, dots = "10.10.7", "10.11.6", "12.0.0"
	for _, row := range []struct {
		name string
		ok   map[string]bool
	}{
		{"bob", map[string]bool{old: true, plus: true, dots: true}},
		{"Zoë d'Arc_1-2@x.y", map[string]bool{old: true, plus: true, dots: true}},
		{"李雷", map[string]bool{old: true, plus: true, dots: true}},
		{"bob+films@example.org", map[string]bool{old: false, plus: true, dots: true}},
		{".", map[string]bool{old: true, plus: true, dots: false}},
		{"..", map[string]bool{old: true, plus: true, dots: false}},
		{"...", map[string]bool{old: true, plus: true, dots: true}},
		{".bob.", map[string]bool{old: true, plus: true, dots: true}},
		{"+", map[string]bool{old: false, plus: true, dots: true}},
		{strings.Repeat("é", 64), map[string]bool{old: true, plus: true, dots: true}},
		{strings.Repeat("é", 65), map[string]bool{}},
		{"", map[string]bool{}},
		{" bob", map[string]bool{}}, // 10.10 would take it
		{"bob\n", map[string]bool{}},
		{"bob/alice", map[string]bool{}},
		{"bob&alice", map[string]bool{}},
		{"bob:", map[string]bool{}},
		{"🎬", map[string]bool{}},
		{"\uffdc", map[string]bool{old: true, plus: true, dots: true}}, // the last letter up to U+FFFF
		{"\U00010000", map[string]bool{}},                              // the first one beyond
		{"𠮷田", map[string]bool{}},
		{"bob𝟙", map[string]bool{}},
		{"b\U000e0100b", map[string]bool{}}, // a mark
		{"bob\x00", map[string]bool{}},
		{"b\xffb", map[string]bool{}},
	} {
		for _, v := range []string{old, plus, dots} {
			parsed, err := parseVersion(v)
			if err != nil {
				t.Fatal(err)
			}
			if got := validName(parsed, row.name); got != row.ok[v] {
				t.Errorf("%q on %s is %t", row.name, v, got)
			}
		}
	}
}

func anyName() *rapid.Generator[string] {
	words := rapid.StringOfN(rapid.RuneFrom(nil, unicode.L, unicode.Mn, unicode.Nd, unicode.Pc), 1, 4, -1)
	return rapid.OneOf(words, rapid.StringMatching(`[a-zA-Z .+'@_\-]{0,6}`), rapid.StringMatching(`\.{0,4}`), rapid.StringN(0, 70, -1))
}

// What the facts tell the host, the host's floor included, is what the plugin
// checks, for every name.
func TestFactsTellTheNameRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := must(parseVersion(rapid.SampledFrom(versions).Draw(t, "version")))(t)
		name := anyName().Draw(t, "name")
		rule := accountRules(v).Username
		n := utf8.RuneCountInString(name)
		told := name == strings.TrimSpace(name) && utf8.ValidString(name) && n >= rule.MinLength && n <= rule.MaxLength && regexp.MustCompile(rule.Pattern).MatchString(name)
		if got := validName(v, name); got != told {
			t.Fatalf("%q on %v: checked %t, told %t", name, v, got, told)
		}
	})
}

// A name that passes the check is one that the server takes, and a refused one is
// never sent.
func TestNamesAgreeWithTheServer(t *testing.T) {
	for _, v := range versions {
		t.Run(v, func(t *testing.T) {
			u := start(t, jellyfintest.Config{Version: v})
			c := u.open()
			rapid.Check(t, func(t *rapid.T) {
				u.ResetRequests()
				name := anyName().Draw(t, "name")
				resp, err := c.CreateUser(t.Context(), sdk.CreateUserRequest{Username: name, Password: password, Grant: only(u.movies)})
				sent := u.CountRequests("POST", "/Users/New")
				switch valid := validName(must(parseVersion(v))(t), name); {
				case valid && err == nil:
					if _, err := c.DeleteUser(t.Context(), sdk.DeleteUserRequest{ID: resp.User.ID}); err != nil {
						t.Fatal(err)
					}
				case valid && sdk.ReasonOf(err) == sdk.ReasonUsernameTaken && strings.EqualFold(name, "admin"):
				case valid:
					t.Fatalf("%q passed the check and was refused: %v", name, err)
				case sdk.ReasonOf(err) != sdk.ReasonUsernameInvalid || sent != 0:
					t.Fatalf("%q: %v after %d requests", name, err, sent)
				}
			})
		})
	}
}

func TestBlankPasswordsAreRefused(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	id := u.AddUser("carol", password)
	for _, blank := range []string{"", " ", "\t \n", "pass\xffword"} {
		_, err := c.CreateUser(t.Context(), sdk.CreateUserRequest{Username: "bob", Password: blank, Grant: only(u.movies)})
		wantReason(t, err, sdk.ReasonPasswordRejected)
		_, err = c.SetPassword(t.Context(), sdk.SetPasswordRequest{ID: id, Password: blank})
		wantReason(t, err, sdk.ReasonPasswordRejected)
	}
	if n := u.RequestCount(); n != 0 {
		t.Errorf("%d requests were made", n)
	}
	if regexp.MustCompile(accountRules(v12).Password.Pattern).MatchString("   ") {
		t.Error("the facts allow a blank password")
	}
}
