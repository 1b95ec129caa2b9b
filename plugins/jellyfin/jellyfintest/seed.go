package jellyfintest

import (
	"fmt"
	"slices"
	"strings"
)

// AddLibrary makes a library and gives its id.
func (s *Server) AddLibrary(l Library) string {
	s.lock()
	defer s.mu.Unlock()
	return s.state.addLibrary(l).ID
}

// RemoveLibrary deletes a library by id or name. Policies keep its id, as in
// the real server.
func (s *Server) RemoveLibrary(idOrName string) error {
	s.lock()
	defer s.mu.Unlock()
	before := len(s.state.libraries)
	s.state.libraries = slices.DeleteFunc(s.state.libraries, func(l *Library) bool {
		return l.ID == idOrName || strings.EqualFold(l.Name, idOrName)
	})
	if len(s.state.libraries) == before {
		return fmt.Errorf("library %q: %w", idOrName, ErrNotFound)
	}
	return nil
}

// Libraries gives all libraries, views included.
func (s *Server) Libraries() []Library {
	s.lock()
	defer s.mu.Unlock()
	all := make([]Library, 0, len(s.state.libraries))
	for _, l := range s.state.libraries {
		all = append(all, *l)
	}
	return all
}

// ScanLibraries gives unscanned libraries their ids.
func (s *Server) ScanLibraries() {
	s.lock()
	defer s.mu.Unlock()
	for _, l := range s.state.libraries {
		l.Unscanned = false
	}
}

// AddProvider registers another authentication provider, such as LDAP's.
func (s *Server) AddProvider(p Provider) {
	s.lock()
	defer s.mu.Unlock()
	s.state.providers = append(s.state.providers, p)
}

// SetItemCounts sets what GET /Items/Counts answers.
func (s *Server) SetItemCounts(n ItemCounts) {
	s.lock()
	defer s.mu.Unlock()
	s.state.counts = n
}

// SetQuickConnect switches quick connect on or off. It begins switched on.
func (s *Server) SetQuickConnect(on bool) {
	s.lock()
	defer s.mu.Unlock()
	s.state.quickOn = on
}

// PendingPIN gives the PIN that ForgotPassword made for a user, which the real
// server writes to a file.
func (s *Server) PendingPIN(idOrName string) (string, bool) {
	s.lock()
	defer s.mu.Unlock()
	if e := s.state.find(idOrName); e != nil {
		for pin, id := range s.state.pins {
			if id == e.rec.Load().id {
				return pin, true
			}
		}
	}
	return "", false
}
