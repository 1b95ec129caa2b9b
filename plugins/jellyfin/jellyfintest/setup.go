package jellyfintest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// User is an account as the server has it, for a test to look at.
type User struct {
	ID            string        `json:"id"`
	Name          string        `json:"name"`
	HasPassword   bool          `json:"has_password"`
	Policy        Policy        `json:"policy"`
	Configuration Configuration `json:"configuration"`
	// LastLogin and LastActivity are zero when there was none.
	LastLogin    time.Time `json:"last_login,omitzero"`
	LastActivity time.Time `json:"last_activity,omitzero"`
	// Tokens is how many devices are signed in.
	Tokens int `json:"tokens"`
	// HasAvatar says whether there is a picture.
	HasAvatar bool `json:"has_avatar"`
	// Ghost says that the user lost a name race and is in memory only.
	Ghost bool `json:"ghost"`
}

// ErrNotFound says that there is no such user, library or session.
var ErrNotFound = errors.New("jellyfintest: not found")

// AddUser makes an account with the policy of a new user, changed by edit, and
// gives its id. The name is not checked, so that accounts of an older version
// can be there; it panics if the name is taken.
func (s *Server) AddUser(name, password string, edit ...func(*Policy)) string {
	u := s.withPassword(s.newUser(name), password)
	policy := u.policy // new, so nobody else's
	for _, fn := range edit {
		fn(policy)
	}
	s.lock()
	defer s.mu.Unlock()
	s.state.number(policy, u.id)
	if s.state.conflicts(name, nil) {
		panic(fmt.Sprintf("jellyfintest: user name %q is taken", name))
	}
	s.state.insert(u, true)
	return u.id
}

// AddAdmin makes an account with the rights that the wizard's has.
func (s *Server) AddAdmin(name, password string, edit ...func(*Policy)) string {
	return s.AddUser(name, password, append([]func(*Policy){(*Policy).asFirst}, edit...)...)
}

// AddUsers makes n accounts prefix000000, prefix000001, … without passwords
// and with one shared policy: a hundred thousand take about a second.
func (s *Server) AddUsers(prefix string, n int) {
	s.lock()
	defer s.mu.Unlock()
	policy, config := s.profile.newUserPolicy(), defaultConfiguration()
	for i := range n {
		name := fmt.Sprintf("%s%06d", prefix, i)
		if s.state.conflicts(name, nil) {
			panic(fmt.Sprintf("jellyfintest: user name %q is taken", name))
		}
		s.state.insert(&user{id: randomHex(16), name: name, policy: policy, config: config}, true)
	}
}

// Users gives all accounts, by name.
func (s *Server) Users() []User {
	s.lock()
	defer s.mu.Unlock()
	order := s.state.byName()
	all := make([]User, 0, len(order))
	for _, e := range order {
		all = append(all, s.state.look(e))
	}
	return all
}

// UserCount says how many accounts there are.
func (s *Server) UserCount() int {
	s.lock()
	defer s.mu.Unlock()
	return len(s.state.entries)
}

// User finds an account by id or by name, in any case.
func (s *Server) User(idOrName string) (User, bool) {
	s.lock()
	defer s.mu.Unlock()
	e := s.state.find(idOrName)
	if e == nil {
		return User{}, false
	}
	return s.state.look(e), true
}

func (st *state) find(idOrName string) *entry {
	if id, ok := parseID(idOrName); ok && st.entries[id] != nil {
		return st.entries[id]
	}
	if found := st.named(idOrName); len(found) > 0 {
		return found[0]
	}
	return nil
}

func (st *state) look(e *entry) User {
	u := e.rec.Load()
	config := *u.config
	return User{
		ID: u.id, Name: u.name, HasPassword: u.hash != nil, Policy: u.policy.clone(), Configuration: config,
		LastLogin: u.login, LastActivity: u.activity, Tokens: len(st.byUser[u.id]), HasAvatar: u.avatar != "", Ghost: e.ghost(),
	}
}

// SetPolicy changes a user's policy behind everybody's back: nothing is
// checked, no token is revoked.
func (s *Server) SetPolicy(idOrName string, edit func(*Policy)) error {
	return s.edit(idOrName, func(u *user) {
		policy := u.policy.clone()
		edit(&policy)
		s.state.number(&policy, u.id)
		u.policy = &policy
	})
}

// SetPassword gives a user another password; an empty one means none.
func (s *Server) SetPassword(idOrName, password string) error {
	return s.edit(idOrName, func(u *user) { *u = *s.withPassword(u, password) })
}

// SetLastActivity says when a user was last seen, and last signed in.
func (s *Server) SetLastActivity(idOrName string, login, activity time.Time) error {
	return s.edit(idOrName, func(u *user) { u.login, u.activity = login, activity })
}

// RenameUser gives a user another name, unchecked.
func (s *Server) RenameUser(idOrName, name string) error {
	return s.edit(idOrName, func(u *user) { u.name = name })
}

func (s *Server) edit(idOrName string, fn func(u *user)) error {
	s.lock()
	defer s.mu.Unlock()
	e := s.state.find(idOrName)
	if e == nil {
		return fmt.Errorf("user %q: %w", idOrName, ErrNotFound)
	}
	s.state.change(e, fn)
	return nil
}

// RemoveUser deletes an account and signs it out, as an administrator would
// in the server's own pages. No rule protects the last one.
func (s *Server) RemoveUser(idOrName string) error {
	s.lock()
	defer s.mu.Unlock()
	e := s.state.find(idOrName)
	if e == nil {
		return fmt.Errorf("user %q: %w", idOrName, ErrNotFound)
	}
	s.state.revokeAll(e.rec.Load().id, "")
	s.state.remove(e)
	return nil
}

// RemoveUserRow deletes an account and leaves its tokens, as a damaged
// database has it.
func (s *Server) RemoveUserRow(idOrName string) error {
	s.lock()
	defer s.mu.Unlock()
	e := s.state.find(idOrName)
	if e == nil {
		return fmt.Errorf("user %q: %w", idOrName, ErrNotFound)
	}
	s.state.remove(e)
	return nil
}

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

// Session is what a device is doing.
type Session struct {
	// ID is made by AddSession.
	ID string `json:"id"`
	// User is an id or a name; empty for a session of nobody.
	User string `json:"user"`
	// Client, Device, DeviceID and Version describe the app.
	Client   string `json:"client"`
	Device   string `json:"device"`
	DeviceID string `json:"device_id"`
	Version  string `json:"version"`
	// LastActivity is now when it is zero.
	LastActivity time.Time `json:"last_activity,omitzero"`
	// Playing is a title; empty when nothing plays.
	Playing string `json:"playing"`
	// Messages are the texts that were sent to it, and Stops how often it was
	// told to stop.
	Messages []string `json:"messages"`
	Stops    int      `json:"stops"`
}

// AddSession makes a session without a token and gives its id.
func (s *Server) AddSession(n Session) (string, error) {
	s.lock()
	defer s.mu.Unlock()
	sess := &session{
		id: randomHex(16), userID: zeroID, client: n.Client, device: n.Device, deviceID: n.DeviceID,
		version: n.Version, remote: "127.0.0.1", activity: n.LastActivity, playing: n.Playing,
	}
	if sess.activity.IsZero() {
		sess.activity = s.now()
	}
	if n.User != "" {
		e := s.state.find(n.User)
		if e == nil {
			return "", fmt.Errorf("user %q: %w", n.User, ErrNotFound)
		}
		sess.userID, sess.userName = e.rec.Load().id, e.rec.Load().name
	}
	s.state.sessions[sess.id] = sess
	return sess.id, nil
}

// Sessions gives all sessions, by id. User holds the user's id.
func (s *Server) Sessions() []Session {
	s.lock()
	defer s.mu.Unlock()
	var all []Session
	for _, n := range s.state.sessions {
		all = append(all, Session{
			ID: n.id, User: n.userID, Client: n.client, Device: n.device, DeviceID: n.deviceID, Version: n.version,
			LastActivity: n.activity, Playing: n.playing, Messages: slices.Clone(n.messages), Stops: n.stops,
		})
	}
	slices.SortFunc(all, func(a, b Session) int { return strings.Compare(a.ID, b.ID) })
	return all
}
