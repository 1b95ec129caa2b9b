package redeem

import (
	"cmp"
	"fmt"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/identity"
	"github.com/zondarr/zondarr/host/internal/invitation"
	"github.com/zondarr/zondarr/sdk"
)

// The host's floor beneath the rules of the servers, in characters.
const (
	minUsername, maxUsername = 1, 64
	minPassword, maxPassword = 8, 128
	maxEmail                 = 254
)

// Field is one field of the join form.
type Field struct {
	// Name is "username", "password" or "email".
	Name     string
	Required bool
	// Rules must all hold.
	Rules []Rule
}

// Rule is what one or several servers ask of a field, the host's floor included.
type Rule struct {
	// MinLength and MaxLength count characters, MaxBytes bytes of UTF-8; 0 means
	// no such bound.
	MinLength int
	MaxLength int
	MaxBytes  int
	// Pattern is anchored, in the common part of RE2 and ECMAScript; or empty.
	Pattern string
	// Message tells a person what is allowed, and where.
	Message string

	// What Message is made of, so that a failure tells only the part that failed.
	length, form string
}

// fields merges what the servers ask into one form.
func (p plan) fields() []Field {
	var out []Field
	type source struct {
		name  string
		floor Rule
		of    func(sdk.AccountRules) sdk.FieldRule
	}
	for _, f := range []source{
		{"username", Rule{MinLength: minUsername, MaxLength: maxUsername}, func(r sdk.AccountRules) sdk.FieldRule { return r.Username }},
		{"password", Rule{MinLength: minPassword, MaxLength: maxPassword}, func(r sdk.AccountRules) sdk.FieldRule { return r.Password }},
	} {
		field := Field{Name: f.name}
		asked := false
		for _, t := range p.targets {
			rule := f.of(t.abilities.Rules)
			// A server of the password flow needs both, whatever it says of them.
			if !t.live() || t.abilities.JoinFlow != sdk.JoinPassword && rule.Use == sdk.FieldUnused || t.abilities.JoinFlow != sdk.JoinPassword && rule.Use == "" {
				continue
			}
			asked = true
			field.Required = field.Required || rule.Use != sdk.FieldOptional
			field.Rules = addRule(field.Rules, f.floor, rule, t.offer.Name)
		}
		if !asked {
			continue
		}
		if len(field.Rules) == 0 {
			f.floor.length = bounds(f.floor)
			f.floor.Message = f.floor.length
			field.Rules = []Rule{f.floor}
		}
		out = append(out, field)
	}
	if email, ok := p.emailField(); ok {
		out = append(out, email)
	}
	return out
}

// emailField is asked for when the invitation or a server wants it. A server
// that requires it is stronger than an invitation that has it off, since there
// would be no account.
func (p plan) emailField() (Field, bool) {
	field := Field{Name: "email", Required: p.offer.Email == invitation.EmailRequired, Rules: []Rule{}}
	asked := p.offer.Email != invitation.EmailOff
	for _, t := range p.targets {
		rule := t.abilities.Rules.Email
		if !t.live() || rule.Use == sdk.FieldUnused || rule.Use == "" {
			continue
		}
		if rule.Use == sdk.FieldRequired {
			asked, field.Required = true, true
		}
		field.Rules = addRule(field.Rules, Rule{MaxLength: maxEmail}, rule, t.offer.Name)
	}
	return field, asked
}

// addRule merges a server's rule with the floor and adds it, unless it asks
// nothing beyond the floor or another server asks just the same.
func addRule(rules []Rule, floor Rule, r sdk.FieldRule, server string) []Rule {
	rule := Rule{
		MinLength: max(floor.MinLength, r.MinLength), MaxLength: tighter(floor.MaxLength, r.MaxLength),
		MaxBytes: r.MaxBytes, Pattern: r.Pattern,
	}
	if rule == floor {
		return rules
	}
	// A bound of the host's own is no server's doing.
	rule.length = bounds(rule)
	if rule.MinLength != floor.MinLength || rule.MaxLength != floor.MaxLength || rule.MaxBytes != 0 {
		rule.length = at(rule.length, server)
	}
	text := bounds(rule)
	if help := cmp.Or(unstopped(r.Help), anyForm(r.Pattern)); help != "" {
		text += ". " + help
		rule.form = at(help, server)
	}
	rule.Message = at(text, server)
	for i, have := range rules {
		if have.asks() == rule.asks() {
			rules[i].Message, rules[i].length, rules[i].form = also(have.Message, server), also(have.length, server), also(have.form, server)
			return rules
		}
	}
	return append(rules, rule)
}

// asks is the rule without its words.
func (r Rule) asks() Rule {
	r.Message, r.length, r.form = "", "", ""
	return r
}

// at says where a rule holds, and also that it holds on one more server.
func at(text, server string) string { return text + " (" + server + ")" }

func also(text, server string) string {
	if before, ok := strings.CutSuffix(text, ")"); ok {
		return before + ", " + server + ")"
	}
	return text
}

func tighter(a, b int) int {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// unstopped takes the full stop off, so that more can follow.
func unstopped(s string) string { return strings.TrimRight(strings.TrimSpace(s), ".") }

func bounds(r Rule) string {
	text := fmt.Sprintf("%d to %d characters", r.MinLength, r.MaxLength)
	if r.MinLength == 0 {
		text = fmt.Sprintf("At most %d characters", r.MaxLength)
	}
	if r.MaxBytes > 0 {
		text += fmt.Sprintf(", at most %d bytes", r.MaxBytes)
	}
	return text
}

func anyForm(pattern string) string {
	if pattern == "" {
		return ""
	}
	return "Of the form " + pattern
}

// check judges a request by the merged rules, and gives it in its normal form.
func (p plan) check(req Request) (Request, error) {
	var bad []fault.Field
	name, whole := identity.Normal(req.Username)
	if req.Username = name; !whole {
		bad = append(bad, fault.Field{Location: "body.username", Code: fault.FieldPattern, Message: "Too many accents on one letter."})
	}
	for _, f := range p.fields() {
		switch f.Name {
		case "username":
			bad = append(bad, checkText("body.username", req.Username, f)...)
		case "password":
			bad = append(bad, checkText("body.password", req.Password, f)...)
		case "email":
			var more []fault.Field
			req.Email, more = checkEmail(req.Email, f)
			bad = append(bad, more...)
		}
	}
	if _, asked := p.emailField(); !asked {
		req.Email = nil
	}
	if req.DisplayName != nil {
		name, code, message := identity.CleanName(*req.DisplayName)
		req.DisplayName = &name
		switch {
		case name == "":
			req.DisplayName = nil
		case code != "":
			bad = append(bad, fault.Field{Location: "body.display_name", Code: code, Message: message})
		}
	}
	if len(bad) > 0 {
		return req, fault.InvalidInput(bad...)
	}
	return req, nil
}

func checkText(at, value string, f Field) []fault.Field {
	username := f.Name == "username"
	one := func(code, message string) []fault.Field {
		return []fault.Field{{Location: at, Code: code, Message: message}}
	}
	switch {
	case value == "" && !f.Required:
		return nil
	case value == "":
		return one(fault.FieldRequired, "Choose a "+f.Name+".")
	case !utf8.ValidString(value):
		return one(fault.FieldInvalid, "Text in UTF-8.")
	case username && strings.TrimSpace(value) != value:
		return one(fault.FieldPattern, "No blanks at the start or the end.")
	case username && strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }):
		return one(fault.FieldPattern, "No control characters.")
	}
	var bad []fault.Field
	for _, r := range f.Rules {
		if code, text := r.broken(value); code != "" {
			problem := fault.Field{Location: at, Code: code, Message: text + "."}
			if !slices.Contains(bad, problem) { // two servers, and the host's bound
				bad = append(bad, problem)
			}
		}
	}
	return bad
}

// broken gives the code of the first part of the rule that does not hold, and its
// words; or "".
func (r Rule) broken(value string) (code, text string) {
	n := utf8.RuneCountInString(value)
	switch {
	case n < r.MinLength:
		return fault.FieldTooShort, r.length
	case r.MaxLength > 0 && n > r.MaxLength, r.MaxBytes > 0 && len(value) > r.MaxBytes:
		return fault.FieldTooLong, r.length
	}
	if r.Pattern == "" {
		return "", ""
	}
	// A pattern that does not compile was refused when the plugin described
	// itself; one that a server told is left to that server.
	if re, err := regexp.Compile(r.Pattern); err == nil && !re.MatchString(value) {
		return fault.FieldPattern, r.form
	}
	return "", ""
}

func checkEmail(email *string, f Field) (*string, []fault.Field) {
	one := func(code, message string) []fault.Field {
		return []fault.Field{{Location: "body.email", Code: code, Message: message}}
	}
	if email == nil || strings.TrimSpace(*email) == "" {
		if f.Required {
			return nil, one(fault.FieldRequired, "Your e-mail address is needed.")
		}
		return nil, nil
	}
	text := strings.TrimSpace(*email)
	if a, err := mail.ParseAddress(text); err != nil || a.Address != text || len(text) > maxEmail || strings.ContainsFunc(text, unicode.IsControl) {
		return nil, one(fault.FieldInvalid, "An address such as bob@example.org.")
	}
	for _, r := range f.Rules {
		if code, message := r.broken(text); code != "" {
			return nil, one(code, message+".")
		}
	}
	return &text, nil
}
