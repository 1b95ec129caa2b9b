package mediaserver

import (
	"crypto/x509"
	"maps"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/sdk"
)

// maxName bounds the name of a server, in characters.
const maxName = 100

// Connection is how a server is reached: everything that a test needs.
type Connection struct {
	ServerType string
	URL        string
	Settings   map[string]any
	Secrets    map[string]string
	TLS        sdk.TLSOptions
}

// check normalises the connection in place and gives every problem with it.
func (c *Connection) check(d sdk.Description) []fault.Field {
	var problems []fault.Field
	normalised, msg := normaliseURL(c.URL)
	if msg != "" {
		problems = append(problems, fault.Field{Location: "body.url", Code: fault.FieldInvalid, Message: msg})
	}
	c.URL = normalised
	if c.TLS.CAPEM != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(c.TLS.CAPEM)) {
		problems = append(problems, fault.Field{Location: "body.tls.ca_pem", Code: fault.FieldInvalid, Message: "This holds no certificate in PEM form."})
	}
	return append(problems, checkSettings(d, c.Settings, c.Secrets)...)
}

// checkSettings validates settings and secrets against the one schema that
// declares both, and blames each where it was typed.
func checkSettings(d sdk.Description, settings map[string]any, secrets map[string]string) []fault.Field {
	all := maps.Clone(settings)
	if all == nil {
		all = map[string]any{}
	}
	var problems []fault.Field
	for name, value := range secrets {
		if p, ok := d.SettingsSchema.Property(name); ok && p.Secret {
			all[name] = value
			continue
		}
		problems = append(problems, fault.Field{Location: "body.secrets." + name, Code: fault.FieldUnknown, Message: "This server type has no secret of this name."})
	}
	for name := range settings {
		if p, ok := d.SettingsSchema.Property(name); ok && p.Secret {
			delete(all, name)
			if s, ok := secrets[name]; ok {
				all[name] = s
			}
			problems = append(problems, fault.Field{Location: "body.settings." + name, Code: fault.FieldUnknown, Message: "This is a secret: it belongs into secrets."})
		}
	}
	for _, p := range d.SettingsSchema.Check(all) {
		where := "body.settings."
		if q, ok := d.SettingsSchema.Property(p.Field); ok && q.Secret {
			where = "body.secrets."
		}
		problems = append(problems, fault.Field{Location: where + p.Field, Code: p.Code, Message: p.Message})
	}
	return problems
}

func secretNames(d sdk.Description) []string {
	var names []string
	for _, p := range d.SettingsSchema.Properties {
		if p.Secret {
			names = append(names, p.Name)
		}
	}
	return names
}

// normaliseURL gives the URL as plugins get it, or what is wrong with it. The
// message never repeats the URL, which may hold a password.
func normaliseURL(raw string) (normalised, problem string) {
	const want = "Want an http or https URL such as http://jellyfin:8096"
	u, err := url.Parse(strings.TrimSpace(raw))
	switch {
	case err != nil || u.Opaque != "" || u.Hostname() == "":
		return raw, "This is no URL. " + want + "."
	case u.Scheme != "http" && u.Scheme != "https":
		return raw, want + "."
	case u.User != nil:
		return raw, "A URL with a user or password in it is refused. " + want + ", and put credentials into secrets."
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return raw, "A URL with a query or fragment is refused. " + want + "."
	}
	u.Host = strings.ToLower(u.Host)
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = ""
	return u.String(), ""
}

// checkName gives the name in NFC and what is wrong with it.
func checkName(raw string) (string, []fault.Field) {
	name := norm.NFC.String(strings.TrimSpace(raw))
	at := func(code, msg string) []fault.Field {
		return []fault.Field{{Location: "body.name", Code: code, Message: msg}}
	}
	switch {
	case name == "":
		return name, at(fault.FieldRequired, "A name is required.")
	case utf8.RuneCountInString(name) > maxName:
		return name, at(fault.FieldTooLong, "The name may have at most 100 characters.")
	case strings.ContainsFunc(name, unicode.IsControl):
		return name, at(fault.FieldPattern, "The name may not hold control characters.")
	}
	return name, nil
}

// checkPublicURL normalises the public URL, if there is one.
func checkPublicURL(raw *string) (*string, []fault.Field) {
	if raw == nil || *raw == "" {
		return nil, nil
	}
	u, problem := normaliseURL(*raw)
	if problem != "" {
		return nil, []fault.Field{{Location: "body.public_url", Code: fault.FieldInvalid, Message: problem}}
	}
	return &u, nil
}
