package sdkplugin

import (
	"maps"
	"slices"
	"sync"
)

// secretSet knows what must not leave the process: the secrets of one server, for
// the life of its client, and those of the calls in flight.
type secretSet struct {
	mu     sync.Mutex
	counts map[string]int
	made   *redactor // nil after a change
}

func newSecretSet(secrets map[string]string) *secretSet {
	s := &secretSet{counts: make(map[string]int, len(secrets))}
	for _, v := range secrets {
		s.counts[v]++
	}
	return s
}

// hold adds the secrets of a call; drop takes them away again.
func (s *secretSet) hold(secrets []string) {
	if len(secrets) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range secrets {
		s.counts[v]++
	}
	s.made = nil
}

func (s *secretSet) drop(secrets []string) {
	if len(secrets) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range secrets {
		if s.counts[v]--; s.counts[v] <= 0 {
			delete(s.counts, v)
		}
	}
	s.made = nil
}

func (s *secretSet) redactor() redactor {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made == nil {
		r := newRedactor(slices.Sorted(maps.Keys(s.counts)))
		s.made = &r
	}
	return *s.made
}

func (s *secretSet) redactLine(line []byte) []byte {
	r := s.redactor()
	if r.inLine == nil {
		return line
	}
	return []byte(r.inLine.Replace(string(line)))
}
