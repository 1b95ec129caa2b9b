package jellyfintest

import (
	"errors"
	"fmt"
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
