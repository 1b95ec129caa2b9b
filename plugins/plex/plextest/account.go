package plextest

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Account is a plex.tv account, or a managed user of a home. Fields left zero
// are filled in by [Fake.AddAccount].
type Account struct {
	ID           int64     `json:"id"`   // 8 digits
	UUID         string    `json:"uuid"` // 16 hex digits
	Username     string    `json:"username"`
	Title        string    `json:"title"`
	Email        string    `json:"email"`
	FriendlyName string    `json:"friendly_name,omitempty"`
	Unconfirmed  bool      `json:"unconfirmed,omitempty"` // the e-mail was never verified: cannot accept
	NoPassword   bool      `json:"no_password,omitempty"`
	PlexPass     bool      `json:"plex_pass,omitempty"`
	CreatedAt    time.Time `json:"created_at"`

	// Managed users only.
	Restricted         bool   `json:"restricted,omitempty"`
	RestrictionProfile string `json:"restriction_profile,omitempty"` // little_kid, older_kid, teen

	// PIN guards the switch to this home user; four digits, never written out.
	PIN string `json:"-"`
}

// AddAccount registers an account and gives it back complete. Invites that
// wait for its e-mail address are bound to it. A username or address that is
// taken is an error.
func (f *Fake) AddAccount(a Account) (Account, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, other := range f.accounts {
		if a.ID != 0 && other.ID == a.ID || sameText(other.Username, a.Username) || sameText(other.Email, a.Email) {
			return Account{}, fmt.Errorf("plextest: an account like %q exists", cmp.Or(a.Username, a.Email))
		}
	}
	if a.ID == 0 {
		a.ID = f.random.id(8)
	}
	f.random.ids[a.ID] = true
	a.UUID = cmp.Or(a.UUID, f.random.hex(16))
	if !a.Restricted {
		a.Username = cmp.Or(a.Username, a.Title, fmt.Sprintf("user%d", a.ID))
		a.Email = cmp.Or(a.Email, strings.ToLower(strings.ReplaceAll(a.Username, " ", "."))+"@example.com")
	}
	a.Title = cmp.Or(a.Title, a.Username)
	if a.CreatedAt.IsZero() {
		a.CreatedAt = f.now().AddDate(-1, 0, 0)
	}
	added := &a
	f.accounts = append(f.accounts, added)
	f.bindInvites(added)
	return a, nil
}

// MustAddAccount is AddAccount for seeds that cannot clash; it panics if they do.
func (f *Fake) MustAddAccount(a Account) Account {
	added, err := f.AddAccount(a)
	if err != nil {
		panic(err)
	}
	return added
}

// Account finds an account by id, username or e-mail.
func (f *Fake) Account(key string) (Account, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.findAccount(key); a != nil {
		return *a, true
	}
	return Account{}, false
}

// Accounts lists every account in the order of their registration.
func (f *Fake) Accounts() []Account {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]Account, len(f.accounts))
	for i, a := range f.accounts {
		out[i] = *a
	}
	return out
}

// Edit changes an account (a new name, a verified address, a lost Plex Pass).
func (f *Fake) Edit(id int64, change func(*Account)) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.account(id)
	if a != nil {
		change(a)
		a.ID = id
	}
	return a != nil
}

func (f *Fake) account(id int64) *Account {
	for _, a := range f.accounts {
		if a.ID == id {
			return a
		}
	}
	return nil
}

func (f *Fake) findAccount(key string) *Account {
	for _, a := range f.accounts {
		if sameText(a.Username, key) || sameText(a.Email, key) || key != "" && key == fmt.Sprint(a.ID) {
			return a
		}
	}
	return nil
}

// byAddress finds who is invited by an e-mail address or a username.
func (f *Fake) byAddress(key string) *Account {
	for _, a := range f.accounts {
		if sameText(a.Username, key) || sameText(a.Email, key) {
			return a
		}
	}
	return nil
}

func sameText(a, b string) bool { return a != "" && strings.EqualFold(a, b) }

func (f *Fake) hasPass(a *Account) bool { return a.PlexPass && !f.switches.NoPlexPass }

func (a *Account) thumb() string { return "https://plex.tv/users/" + a.UUID + "/avatar" }
