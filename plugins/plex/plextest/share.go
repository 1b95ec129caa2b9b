package plextest

import (
	"slices"
	"time"
)

// ShareState is where a share stands.
type ShareState string

// The states of a share.
const (
	SharePending  ShareState = "pending"
	ShareAccepted ShareState = "accepted"
	ShareLeft     ShareState = "left"    // the invitee walked away
	ShareDeleted  ShareState = "deleted" // the owner took it back
)

// Share is one server shared with one person, as an inspection shows it.
type Share struct {
	ID             int64      `json:"id"`
	Server         string     `json:"server"` // machine identifier
	Owner          int64      `json:"owner"`
	InvitedID      int64      `json:"invited_id"` // 0: nobody has the address yet
	InvitedEmail   string     `json:"invited_email,omitempty"`
	State          ShareState `json:"state"`
	Sections       []int64    `json:"sections"` // plex.tv ids; not meaningful with AllLibraries
	AllLibraries   bool       `json:"all_libraries"`
	Settings       Settings   `json:"settings"`
	SkipFriendship bool       `json:"skip_friendship,omitempty"`
	Orphan         bool       `json:"orphan,omitempty"` // cancelled, but its v1 row remained
	InvitedAt      time.Time  `json:"invited_at"`
	AcceptedAt     time.Time  `json:"accepted_at,omitzero"`
	VisibleAt      time.Time  `json:"visible_at"` // to the invitee
	LeftAt         time.Time  `json:"left_at,omitzero"`
	DeletedAt      time.Time  `json:"deleted_at,omitzero"`
	InviteToken    string     `json:"-"`
	AccessToken    string     `json:"-"` // empty until accepted
}

type share struct {
	Share
	server *Server
	seenAt time.Time
	views  []view // what the media server has been or will be told, oldest first
}

// view is a share as a media server sees it. An empty token is no access.
type view struct {
	at       time.Time
	token    string
	sections []int64
	all      bool
}

// ghost keeps a removed friend or share in /api/users for a while.
type ghost struct {
	owner, user int64
	share       *share // nil for the person alone
	until       time.Time
}

func (s *share) live() bool { return s.State == SharePending || s.State == ShareAccepted }

// Shares lists every share ever made, also deleted ones, oldest first.
func (f *Fake) Shares() []Share {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]Share, len(f.shares))
	for i, s := range f.shares {
		out[i] = f.snapshot(s)
	}
	return out
}

// LiveShares lists the pending and accepted shares, oldest first.
func (f *Fake) LiveShares() []Share {
	return slices.DeleteFunc(f.Shares(), func(s Share) bool { return s.State != SharePending && s.State != ShareAccepted })
}

// ShareOf gives the live share of a server with an account.
func (f *Fake) ShareOf(server string, account int64) (Share, bool) {
	for _, s := range f.LiveShares() {
		if s.Server == server && s.InvitedID == account {
			return s, true
		}
	}
	return Share{}, false
}

func (f *Fake) snapshot(s *share) Share {
	out := s.Share
	out.Sections = slices.Clone(s.Sections)
	out.Settings = f.settingsOf(keyFor(s.Owner, s.InvitedID, s.InvitedEmail))
	return out
}

// Access gives the titles of the libraries that an account can open on a
// server right now, and whether it has access at all.
func (f *Fake) Access(server string, account int64) ([]string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.server(server)
	if s == nil {
		return nil, false
	}
	if s.spec.Owner == account {
		return titles(s.spec.Sections), true
	}
	for _, sh := range f.shares {
		if sh.server == s && sh.InvitedID == account {
			if v, open := sh.presentView(); open {
				return titles(sh.opened(v)), true
			}
		}
	}
	return nil, false
}

func titles(sections []Section) []string {
	out := make([]string, len(sections))
	for i, s := range sections {
		out[i] = s.Title
	}
	return out
}

// Leave is the invitee who walks away from a share.
func (f *Fake) Leave(shareID int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.shares {
		if s.ID == shareID && s.State == ShareAccepted {
			s.State, s.LeftAt, s.AccessToken = ShareLeft, f.now(), ""
			f.tellServer(s)
			return true
		}
	}
	return false
}

// Friends says whether two accounts are friends.
func (f *Fake) Friends(a, b int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.friends[friendship(a, b)]
}

// Befriend makes two accounts friends.
func (f *Fake) Befriend(a, b int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.friends[friendship(a, b)] = true
}

func (f *Fake) isConnected(owner, account int64) bool {
	return account != 0 &&
		(f.friends[friendship(owner, account)] || f.sameHome(owner, account) || f.connected[pair{owner, account}])
}

func (f *Fake) acceptedShare(s *Server, account int64) *share {
	for _, sh := range f.shares {
		if sh.server == s && sh.InvitedID == account && sh.State == ShareAccepted {
			return sh
		}
	}
	return nil
}

// tellServer queues the present state of a share for its media server, which
// learns of it after its lag.
func (f *Fake) tellServer(s *share) {
	s.views = append(s.views, view{at: f.now(), token: s.AccessToken, sections: slices.Clone(s.Sections), all: s.AllLibraries})
}

// presentView is what the media server goes by now.
func (s *share) presentView() (view, bool) {
	now := s.server.f.now()
	for _, v := range slices.Backward(s.views) {
		if !now.Before(v.at.Add(s.server.spec.Lag)) {
			return v, v.token != ""
		}
	}
	return view{}, false
}

// shared lists the sections of a share that plex.tv knows.
func (s *share) shared() []Section {
	return slices.DeleteFunc(s.server.published(), func(x Section) bool {
		return !s.AllLibraries && !slices.Contains(s.Sections, x.ID)
	})
}

// opened lists the sections that the media server shows for a view. A home
// member with an explicit empty set is shown everything, a known trap.
func (s *share) opened(v view) []Section {
	f := s.server.f
	all := v.all || len(v.sections) == 0 && f.sameHome(s.Owner, s.InvitedID)
	return slices.DeleteFunc(slices.Clone(s.server.spec.Sections), func(x Section) bool {
		return !all && !slices.Contains(v.sections, x.ID)
	})
}

// bindInvites gives waiting invites to the account that now has their address.
func (f *Fake) bindInvites(a *Account) {
	for _, s := range f.shares {
		if s.InvitedID != 0 || !sameText(s.InvitedEmail, a.Email) {
			continue
		}
		old := keyFor(s.Owner, 0, s.InvitedEmail)
		if set := f.settings[old]; set != nil {
			f.settings[keyFor(s.Owner, a.ID, "")] = set
			delete(f.settings, old)
		}
		s.InvitedID, s.InvitedEmail = a.ID, ""
		s.VisibleAt = f.now().Add(f.switches.InviteDelay)
	}
	for _, h := range f.homes {
		for i := range h.invites {
			if h.invites[i].invited == 0 && sameText(h.invites[i].email, a.Email) {
				h.invites[i].invited, h.invites[i].email = a.ID, ""
			}
		}
	}
}
