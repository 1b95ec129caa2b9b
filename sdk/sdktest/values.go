package sdktest

import (
	"regexp"
	"strings"

	"github.com/zondarr/zondarr/sdk"
)

// refAt gives a reference to a media server at an address, for a plugin of which nothing
// is known but its schema: made-up values, and with them the address wherever the plugin
// would call. Secrets are canaries. A known target lends its values.
func (s *Subject) refAt(id, url string) sdk.ServerRef {
	ref := sdk.ServerRef{
		ID: id, ServerType: s.Description.ServerType, Revision: 1, URL: url, InstallationID: "conformance",
		Settings: map[string]any{}, Secrets: map[string]string{},
	}
	for _, p := range s.Description.SettingsSchema.Properties {
		switch {
		case p.Endpoint:
			ref.Settings[p.Name] = url
		case p.Secret:
			ref.Secrets[p.Name] = s.secret(p)
		case s.target != nil && s.target.Server.Settings[p.Name] != nil:
			ref.Settings[p.Name] = s.target.Server.Settings[p.Name]
		case p.Required:
			ref.Settings[p.Name] = value(p)
		}
	}
	return ref
}

// secret makes up a canary that the property allows; where none is, an example of the
// author's.
func (s *Subject) secret(p sdk.Property) string {
	c := s.canary(strings.ReplaceAll(p.Name, "_", "-"))
	if p.MinLength > len(c) {
		c += strings.Repeat("x", p.MinLength-len(c))
	}
	if p.MaxLength > 0 && len(c) > p.MaxLength {
		c = c[len(c)-p.MaxLength:]
		s.mu.Lock()
		s.canaries = append(s.canaries, canary{c, p.Name})
		s.mu.Unlock()
	}
	if matches(p, c) {
		return c
	}
	if len(p.Examples) > 0 {
		return p.Examples[0]
	}
	return c
}

func matches(p sdk.Property, v string) bool {
	if p.Pattern == "" {
		return true
	}
	re, err := regexp.Compile(p.Pattern)
	return err == nil && re.MatchString(v)
}

// value makes up a setting.
func value(p sdk.Property) any {
	switch {
	case p.Default != nil:
		return p.Default
	case p.Type == sdk.TypeStrings:
		return []any{}
	case len(p.Enum) > 0:
		return p.Enum[0]
	case len(p.Examples) > 0 && p.Type == sdk.TypeString:
		return p.Examples[0]
	}
	switch p.Type {
	case sdk.TypeBoolean:
		return false
	case sdk.TypeInteger, sdk.TypeNumber:
		if p.Minimum != nil {
			return *p.Minimum
		}
		return float64(1)
	default:
		return strings.Repeat("x", max(p.MinLength, 1))
	}
}
