package pluginhost

import (
	"net/url"
	"slices"
	"strings"
)

// inheritedNames are what a plugin gets of the host's environment; nothing else
// is, whatever it is called.
var inheritedNames = []string{"PATH", "TZ", "LANG", "GOMEMLIMIT", "GOMAXPROCS", "SSL_CERT_FILE", "SSL_CERT_DIR"}

// inherited picks what a plugin gets of an environment.
func inherited(environ []string) []string {
	var out []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if slices.Contains(inheritedNames, name) || isProxy(name) {
			out = append(out, kv)
		}
	}
	return out
}

func isProxy(name string) bool { return strings.HasSuffix(strings.ToUpper(name), "_PROXY") }

// proxyPasswords gives the secrets that the environment of a plugin does hold.
func proxyPasswords(environ []string) []string {
	var out []string
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if !isProxy(name) {
			continue
		}
		if u, err := url.Parse(value); err == nil && u.User != nil {
			if password, ok := u.User.Password(); ok {
				out = append(out, password)
			}
		}
	}
	return out
}
