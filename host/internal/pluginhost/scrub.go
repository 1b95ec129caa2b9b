package pluginhost

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

// scrubber takes every secret that was lent to one plugin out of what that
// plugin writes, also where it was quoted for a URL, for JSON or for base64. It
// outlives the process: a restarted plugin may print what the one before knew.
type scrubber struct {
	mu       sync.Mutex
	lent     map[string]time.Time // until when; zero for ever
	swept    time.Time            // when those of calls were forgotten last
	replacer *strings.Replacer    // nil when a secret came or went
	now      func() time.Time
}

const (
	// scrubFor is how long the secret of a single call is remembered after it was
	// lent last: at least, since they are forgotten together and only while others
	// are lent. Those of servers always are.
	scrubFor = 10 * time.Minute
	// scrubLeast is the length of the shortest text that is taken out: a shorter
	// one stands in ordinary words by chance, and blanking those would garble the
	// log and tell it.
	scrubLeast = 4
)

func newScrubber() *scrubber {
	return &scrubber{lent: map[string]time.Time{}, now: time.Now}
}

// keep remembers secrets for as long as the host runs.
func (s *scrubber) keep(secrets ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range secrets {
		s.add(secret, time.Time{})
	}
}

// lend remembers the secrets of one call.
func (s *scrubber) lend(secrets ...string) {
	if len(secrets) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, secret := range secrets {
		s.add(secret, now.Add(scrubFor))
	}
	if now.Sub(s.swept) >= scrubFor {
		maps.DeleteFunc(s.lent, func(_ string, until time.Time) bool { return !until.IsZero() && until.Before(now) })
		s.swept, s.replacer = now, nil
	}
}

func (s *scrubber) add(secret string, until time.Time) {
	// Output is scrubbed line by line.
	for line := range strings.Lines(secret) {
		line = strings.TrimRight(line, "\r\n")
		if len(line) < scrubLeast {
			continue
		}
		old, known := s.lent[line]
		if !known {
			s.replacer = nil
		}
		if !known || !old.IsZero() {
			s.lent[line] = until
		}
	}
}

// text gives a text without the secrets, in valid UTF-8.
func (s *scrubber) text(text string) string {
	s.mu.Lock()
	if s.replacer == nil {
		s.replacer = s.build()
	}
	r := s.replacer
	s.mu.Unlock()
	return strings.ToValidUTF8(r.Replace(text), "\uFFFD")
}

// head gives the first n bytes of a text without the secrets. No more than maxLine
// bytes are looked at: a secret that is cut there lies beyond what is given.
func (s *scrubber) head(text string, n int) string {
	clean := s.text(text[:min(len(text), maxLine)])
	if len(clean) > n {
		clean = strings.ToValidUTF8(clean[:n], "") + "…"
	}
	return clean
}

func (s *scrubber) build() *strings.Replacer {
	var all []string
	for secret := range s.lent {
		all = append(all, sdkplugin.Spellings(secret)...)
	}
	// The longest first: a secret that begins with another must vanish whole.
	slices.SortFunc(all, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	pairs := make([]string, 0, 2*len(all))
	for _, form := range slices.Compact(all) {
		pairs = append(pairs, form, sdkplugin.Redacted)
	}
	return strings.NewReplacer(pairs...)
}
