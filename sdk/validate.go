package sdk

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The forms that names take in the contract.
var (
	serverTypeForm = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)
	nameForm       = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
)

// Standard permissions and limits; others start with the server type and a dot.
var (
	standardPermissions = []string{
		PermissionDownload, PermissionStream, PermissionTranscodeAudio, PermissionTranscodeVideo, PermissionRemux,
		PermissionSync, PermissionLiveTV, PermissionLiveTVManage, PermissionRemoteAccess, PermissionShare,
		PermissionUpload, PermissionDeleteMedia, PermissionEditMetadata, PermissionExplicitContent,
	}
	standardLimits = []string{LimitMaxSessions, LimitRemoteBitrate, LimitRequestsPerWeek}
)

// What is wrong with a description is told in a text that a log and a person can take:
// so many problems, each in so many bytes.
const (
	maxProblems = 10
	maxProblem  = 300
)

// Validate says what is wrong with a description, the first ten things of it, or nil. The SDK
// refuses to serve a plugin whose description is wrong, and the host refuses to
// register one.
func (d Description) Validate() error {
	var v problems
	v.check(serverTypeForm.MatchString(d.Name), "Name %q: want lower case letters, digits, _ and -, starting with a letter, at most 32", d.Name)
	v.check(serverTypeForm.MatchString(d.ServerType), "ServerType %q: want lower case letters, digits, _ and -, starting with a letter, at most 32", d.ServerType)
	v.line("Version", d.Version)
	v.line("DisplayName", d.DisplayName)
	v.address("Homepage", d.Homepage)
	v.address("DefaultPublicURL", d.DefaultPublicURL)
	v.check(d.Client != nil || d.declared != nil, "Client is nil: name the type that Open returns, as in (*client)(nil)")
	d.validatePermissions(&v)
	d.validateLimits(&v)
	seen := map[string]bool{}
	for _, k := range d.UserKinds {
		v.check(k.Name != "" && !seen[k.Name], "UserKinds: %q is empty or named twice", k.Name)
		seen[k.Name] = true
	}
	v.schema("SettingsSchema", d.SettingsSchema, true)
	v.schema("OptionsSchema", d.OptionsSchema, false)
	d.validateJoining(&v)
	v.rule("AccountRules.Username", d.AccountRules.Username)
	v.rule("AccountRules.Password", d.AccountRules.Password)
	v.rule("AccountRules.Email", d.AccountRules.Email)
	for _, m := range d.Traits.LibraryModes {
		v.check(slices.Contains([]LibraryMode{LibraryAll, LibraryNone, LibraryOnly}, m), "Traits.LibraryModes: %q is no library mode", m)
	}
	if d.Has(CapProvision) || d.Has(CapLibraryAccess) {
		v.check(len(d.Traits.LibraryModes) > 0, "Traits.LibraryModes is empty, so that nobody can be given anything")
	}
	v.check(d.CallLimits.MaxConcurrent >= 0 && d.CallLimits.MaxPerSecond >= 0, "CallLimits are negative")
	return v.join()
}

func (d Description) validatePermissions(v *problems) {
	seen := map[string]bool{}
	for _, p := range d.Permissions {
		v.check(d.ownName(p.Name, standardPermissions), "Permissions: %q is neither a standard name nor starts with %q", p.Name, d.ServerType+".")
		v.check(!seen[p.Name], "Permissions: %q is named twice", p.Name)
		v.check(p.Label != "", "Permissions: %q has no Label", p.Name)
		v.check(p.Default == Allow || p.Default == Deny, "Permissions: %q has the default %q, want Allow or Deny", p.Name, p.Default)
		seen[p.Name] = true
	}
	if d.Client != nil && len(d.Permissions)+len(d.Limits) > 0 {
		v.check(implements[PermissionSetter](d.Client) || implements[Provisioner](d.Client),
			"Permissions or Limits are named, but the client implements neither PermissionSetter nor Provisioner")
	}
}

func (d Description) validateLimits(v *problems) {
	seen := map[string]bool{}
	for _, l := range d.Limits {
		v.check(d.ownName(l.Name, standardLimits), "Limits: %q is neither a standard name nor starts with %q", l.Name, d.ServerType+".")
		v.check(!seen[l.Name], "Limits: %q is named twice", l.Name)
		v.check(l.Label != "", "Limits: %q has no Label", l.Name)
		v.check(l.Min >= 0 && (l.Max == 0 || l.Max >= l.Min), "Limits: %q has the range %d to %d", l.Name, l.Min, l.Max)
		inRange := l.Default >= l.Min && (l.Max == 0 || l.Default <= l.Max)
		v.check(l.Default == 0 || inRange, "Limits: %q has the default %d outside its range", l.Name, l.Default)
		seen[l.Name] = true
	}
}

func (d Description) validateJoining(v *problems) {
	switch d.JoinFlow {
	case JoinPassword:
		v.check(d.Has(CapProvision), "JoinFlow is %q, but the client does not implement Provisioner", d.JoinFlow)
	case JoinLinkedAccount:
		v.check(d.Has(CapProvision), "JoinFlow is %q, but the client does not implement Provisioner", d.JoinFlow)
		v.check(d.Has(CapLinkAccount), "JoinFlow is %q, but the client does not implement AccountLinker", d.JoinFlow)
	case JoinNone:
	default:
		v.check(false, "JoinFlow is %q, want %q, %q or %q", d.JoinFlow, JoinPassword, JoinLinkedAccount, JoinNone)
	}
	if d.Has(CapLinkAccount) {
		v.check(serverTypeForm.MatchString(d.Realm), "Realm %q: AccountLinker needs one: lower case letters, digits, _ and -", d.Realm)
		v.line("RealmLabel", d.RealmLabel)
	} else {
		v.check(d.Realm == "", "Realm is %q, but the client does not implement AccountLinker", d.Realm)
	}
}

func (d Description) ownName(name string, standard []string) bool {
	own, isOwn := strings.CutPrefix(name, d.ServerType+".")
	return slices.Contains(standard, name) || isOwn && nameForm.MatchString(own)
}

// problems collects what is wrong.
type problems struct {
	told []error
	more int // beyond those
}

func (v *problems) check(ok bool, format string, args ...any) {
	if ok {
		return
	}
	if len(v.told) == maxProblems {
		v.more++
		return
	}
	text := fmt.Sprintf(format, args...)
	if len(text) > maxProblem {
		text = strings.ToValidUTF8(text[:maxProblem], "") + "…"
	}
	v.told = append(v.told, errors.New(text))
}

func (v *problems) join() error {
	if v.more > 0 {
		v.told = append(v.told, fmt.Errorf("and %d more", v.more))
	}
	return errors.Join(v.told...)
}

// line checks a text that is shown in one line, on a terminal too.
func (v *problems) line(field, text string) {
	v.check(text != "", "%s is empty", field)
	v.check(utf8.RuneCountInString(text) <= 64 && !strings.ContainsFunc(text, unicode.IsControl), "%s: want at most 64 characters, and none that controls a terminal", field)
}

func (v *problems) address(field, value string) {
	if value == "" {
		return
	}
	u, err := url.Parse(value)
	v.check(err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https"), "%s %q is no http or https URL", field, value)
}

func (v *problems) pattern(field, pattern string) {
	if pattern == "" {
		return
	}
	_, err := regexp.Compile(pattern)
	v.check(err == nil, "%s: the pattern %q does not compile", field, pattern)
	v.check(strings.HasPrefix(pattern, "^") && strings.HasSuffix(pattern, "$"), "%s: the pattern %q is not anchored with ^ and $", field, pattern)
}

func (v *problems) rule(field string, r FieldRule) {
	uses := []FieldUse{"", FieldRequired, FieldOptional, FieldUnused}
	v.check(slices.Contains(uses, r.Use), "%s.Use is %q", field, r.Use)
	ordered := r.MaxLength == 0 || r.MinLength <= r.MaxLength
	v.check(r.MinLength >= 0 && r.MaxLength >= 0 && r.MaxBytes >= 0 && ordered, "%s has bounds that nothing can meet", field)
	v.pattern(field, r.Pattern)
}

func (v *problems) schema(field string, s Schema, secrets bool) {
	seen := map[string]bool{}
	for _, p := range s.Properties {
		at := field + "." + p.Name
		v.check(nameForm.MatchString(p.Name), "%s: want lower case letters, digits and _, starting with a letter", at)
		v.check(!seen[p.Name], "%s is named twice", at)
		seen[p.Name] = true
		types := []PropertyType{TypeString, TypeInteger, TypeNumber, TypeBoolean, TypeStrings}
		v.check(slices.Contains(types, p.Type), "%s has the type %q", at, p.Type)
		v.check(!p.Secret || secrets, "%s is secret, but only settings can be", at)
		v.check(!p.Secret || p.Type == TypeString, "%s is secret and no string", at)
		v.check(!p.Endpoint || p.Type == TypeString && !p.Secret, "%s is an endpoint and no plain string", at)
		v.check(!p.Secret || p.Default == nil, "%s is secret and has a default", at)
		v.check(p.MaxLength == 0 || p.MinLength <= p.MaxLength, "%s has lengths that nothing can meet", at)
		v.check(p.Minimum == nil || p.Maximum == nil || *p.Minimum <= *p.Maximum, "%s has bounds that nothing can meet", at)
		v.check(slices.Contains([]string{"", "uri", "email"}, p.Format), "%s has the format %q, want uri or email", at, p.Format)
		v.pattern(at, p.Pattern)
	}
}
