package sdkplugin

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Redacted stands where a secret stood.
const Redacted = "[redacted]"

const (
	// minSecret is the shortest text that is treated as a secret: replacing
	// shorter ones would spoil innocent words and protect nothing.
	minSecret = 4
	// maxText bounds the words of one failure or field, in bytes.
	maxText = 2048
)

// redactor takes secrets out of text, in each of their Spellings. In a line of JSON only
// the quoted forms of those are looked for: a secret may hold the very characters that
// JSON is made of.
type redactor struct{ inText, inLine *strings.Replacer }

func newRedactor(secrets []string) redactor {
	var texts, lines []string
	for _, s := range secrets {
		if len(s) < minSecret {
			continue
		}
		for _, form := range Spellings(s) {
			texts = append(texts, form)
			lines = append(lines, quote(form, false), quote(form, true))
		}
	}
	return redactor{replacer(texts), replacer(lines)}
}

// Spellings gives the forms in which a secret may be printed: as it is, quoted for a URL,
// for JSON or by Go, and in base64. Some may be the same.
func Spellings(secret string) []string {
	inner := func(quoted string) string { return quoted[1 : len(quoted)-1] }
	return []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret),
		quote(secret, false), quote(secret, true), inner(strconv.Quote(secret)), inner(strconv.QuoteToASCII(secret)),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawStdEncoding.EncodeToString([]byte(secret)),
		base64.URLEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
	}
}

// quote gives what JSON writes between the quotes of a string.
func quote(s string, html bool) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(html)
	_ = enc.Encode(s) // a string always encodes
	return strings.TrimSuffix(b.String()[1:], "\"\n")
}

func replacer(forms []string) *strings.Replacer {
	if forms == nil {
		return nil
	}
	// The longest first: a secret that begins with another must vanish whole.
	slices.SortFunc(forms, func(a, b string) int { return cmp.Or(len(b)-len(a), cmp.Compare(a, b)) })
	pairs := make([]string, 0, 2*len(forms))
	for _, f := range slices.Compact(forms) {
		pairs = append(pairs, f, Redacted)
	}
	return strings.NewReplacer(pairs...)
}

// text gives s without secrets, valid and bounded.
func (r redactor) text(s string) string {
	if r.inText != nil {
		s = r.inText.Replace(s)
	}
	s = strings.ToValidUTF8(s, "�")
	if len(s) > maxText {
		cut := maxText
		for !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return s
}

// Redact gives a text without the secrets, in each of their Spellings, valid and at most
// 2 KiB long. Secrets of less than 4 bytes stay: replacing them would spoil innocent words
// and protect nothing.
func Redact(text string, secrets []string) string { return newRedactor(secrets).text(text) }

// StateSecrets gives the secrets inside a link's opaque state: the whole of it
// and, where it is JSON, each text in it.
func StateSecrets(state []byte) []string {
	if len(state) == 0 {
		return nil
	}
	secrets := []string{string(state)}
	var v any
	if json.Unmarshal(state, &v) == nil {
		secrets = appendTexts(secrets, v)
	}
	return secrets
}

func appendTexts(texts []string, v any) []string {
	const shortest = 8 // "pending" and other words of a state are no secrets
	switch v := v.(type) {
	case string:
		if len(v) >= shortest {
			texts = append(texts, v)
		}
	case []any:
		for _, x := range v {
			texts = appendTexts(texts, x)
		}
	case map[string]any:
		for _, x := range v {
			texts = appendTexts(texts, x)
		}
	}
	return texts
}
