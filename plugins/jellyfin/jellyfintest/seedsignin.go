package jellyfintest

import "fmt"

// SignIn says whether a name and a password would be let in: nil, or why not.
// Nothing is counted and no session comes of it.
func (s *Server) SignIn(name, password string) error {
	s.lock()
	found := s.state.named(name)
	if len(found) == 0 {
		s.mu.Unlock()
		return fmt.Errorf("user %q: %w", name, ErrNotFound)
	}
	u := found[0].rec.Load()
	provider, known := s.state.providerOf(u)
	s.mu.Unlock()

	switch {
	case u.policy.IsDisabled:
		return fmt.Errorf("jellyfintest: user %q is disabled", name)
	case !known:
		return fmt.Errorf("jellyfintest: user %q has an unknown authentication provider", name)
	case provider.Foreign && (provider.Passwords[u.name] == "" || provider.Passwords[u.name] != password),
		!provider.Foreign && !s.matches(u, password):
		return fmt.Errorf("jellyfintest: wrong password for user %q", name)
	}
	return nil
}

// SignInDevice signs a user in on a device without asking for the password,
// and gives the token.
func (s *Server) SignInDevice(idOrName, deviceID string) (token string, err error) {
	s.lock()
	defer s.mu.Unlock()
	e := s.state.find(idOrName)
	if e == nil {
		return "", fmt.Errorf("user %q: %w", idOrName, ErrNotFound)
	}
	now := s.now()
	d := &device{
		token: randomHex(16), userID: e.rec.Load().id, deviceID: deviceID,
		client: "Jellyfin Web", name: "Firefox", version: s.profile.version.String(), created: now, activity: now,
	}
	s.state.addDevice(d)
	s.state.sessionOf(d, "127.0.0.1")
	return d.token, nil
}

// CreateAPIKey makes a key under a name.
func (s *Server) CreateAPIKey(name string) string {
	s.lock()
	defer s.mu.Unlock()
	token := randomHex(16)
	s.state.addKey(token, name, s.now())
	return token
}

// DeleteAPIKey revokes a key.
func (s *Server) DeleteAPIKey(key string) {
	s.lock()
	defer s.mu.Unlock()
	s.state.removeKey(key)
}
