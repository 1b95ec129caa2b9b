package plextest

import (
	"errors"
	"fmt"
	"slices"
)

// Why a share cannot be made or changed; v1 and v2 word each in their own way.
var (
	errSelfInvite = errors.New("plextest: the owner invites himself")
	errDuplicate  = errors.New("plextest: shared already")
	errSection    = errors.New("plextest: not a plex.tv section id of this server")
	errLimit      = errors.New("plextest: too many people on this server")
	errNeedsPass  = errors.New("plextest: the setting needs the owner's Plex Pass")
	errUnknown    = errors.New("plextest: nobody has this name")
	errRefused    = errors.New("plextest: an empty list is refused")
)

// invitation is a request to share, from either API.
type invitation struct {
	server         *Server
	invited        *Account // nil for an address that nobody has
	email          string
	sections       []int64 // empty: all, with those to come
	settings       *Settings
	skipFriendship bool
}

// invitee finds who is meant by an id, or else by a username or e-mail.
func (f *Fake) invitee(owner *Account, id string, address string) (*Account, string, error) {
	var a *Account
	if id != "" && id != "0" {
		a = f.findAccount(id)
		if a == nil || fmt.Sprint(a.ID) != id {
			return nil, "", errUnknown
		}
	} else if a = f.byAddress(address); a == nil {
		if !isEmail(address) {
			return nil, "", errUnknown
		}
		return nil, address, nil
	}
	if a.Restricted && !f.sameHome(owner.ID, a.ID) {
		return nil, "", errUnknown
	}
	return a, "", nil
}

func isEmail(s string) bool {
	i := slices.Index([]byte(s), '@')
	return i > 0 && i < len(s)-1
}

// share makes a share: pending, or accepted at once if the two are connected.
func (f *Fake) share(in invitation) (*share, error) {
	owner := f.account(in.server.spec.Owner)
	var invitedID int64
	if in.invited != nil {
		invitedID = in.invited.ID
	}
	old := f.occupying(in.server, invitedID, in.email)
	switch {
	case invitedID == owner.ID:
		return nil, errSelfInvite
	case old != nil && old.State != ShareLeft:
		return nil, errDuplicate
	case !in.server.hasSections(in.sections):
		return nil, errSection
	case f.people(in.server) >= f.switches.ShareLimit:
		return nil, errLimit
	case in.settings != nil && !f.storeSettings(owner, invitedID, in.email, *in.settings):
		return nil, errNeedsPass
	}
	if old != nil {
		old.State, old.DeletedAt = ShareDeleted, f.now()
	}
	s := &share{server: in.server, Share: Share{
		ID: f.random.id(8), Server: in.server.spec.MachineIdentifier, Owner: owner.ID, InvitedID: invitedID, InvitedEmail: in.email,
		State: SharePending, Sections: slices.Clone(in.sections), AllLibraries: len(in.sections) == 0,
		SkipFriendship: in.skipFriendship, InviteToken: f.random.token(),
		InvitedAt: f.now(), VisibleAt: f.now().Add(f.switches.InviteDelay),
	}}
	f.shares = append(f.shares, s)
	if f.isConnected(owner.ID, invitedID) {
		f.accept(s)
	}
	return s, nil
}

// occupying finds the row that stands in the way of another share.
func (f *Fake) occupying(server *Server, invited int64, email string) *share {
	for _, s := range f.shares {
		same := invited != 0 && s.InvitedID == invited || sameText(s.InvitedEmail, email)
		if s.server == server && same && (s.State != ShareDeleted || s.Orphan) {
			return s
		}
	}
	return nil
}

func (f *Fake) people(server *Server) int {
	n := 0
	for _, s := range f.shares {
		if s.server == server && s.live() {
			n++
		}
	}
	return n
}

func (f *Fake) accept(s *share) {
	s.State, s.AcceptedAt, s.AccessToken = ShareAccepted, f.now(), f.random.token()
	if !s.SkipFriendship && !f.account(s.InvitedID).Restricted {
		f.friends[friendship(s.Owner, s.InvitedID)] = true
	}
	f.connected[pair{s.Owner, s.InvitedID}] = true
	f.tellServer(s)
}

// checkSections says whether an update to these libraries is possible.
func (f *Fake) checkSections(s *share, ids []int64) error {
	switch {
	case !s.server.hasSections(ids):
		return errSection
	case len(ids) == 0 && f.switches.EmptyUpdate == "refuse":
		return errRefused
	}
	return nil
}

// setSections replaces the libraries of a share. A pending invite keeps those
// that it was sent with, whatever is written.
func (f *Fake) setSections(s *share, ids []int64) {
	if s.State != ShareAccepted {
		return
	}
	s.Sections, s.AllLibraries = slices.Clone(ids), len(ids) == 0 && f.switches.EmptyUpdate != "none"
	f.tellServer(s)
}

// unshare takes a share back; the friendship stays.
func (f *Fake) unshare(s *share) {
	if s.State == ShareAccepted && f.switches.UsersLag > 0 {
		f.ghosts = append(f.ghosts, ghost{s.Owner, s.InvitedID, s, f.now().Add(f.switches.UsersLag)})
	}
	s.State, s.DeletedAt, s.Orphan, s.AccessToken = ShareDeleted, f.now(), false, ""
	f.tellServer(s)
}

// cancel withdraws a pending invite; with OrphanRow its v1 row stays behind.
func (f *Fake) cancel(s *share) {
	f.unshare(s)
	s.Orphan = f.switches.OrphanRow
}

// sever ends everything between an owner and an account: shares, settings,
// friendship. False if there was nothing.
func (f *Fake) sever(owner, account int64) bool {
	found := f.friends[friendship(owner, account)] || f.connected[pair{owner, account}]
	if found && f.switches.UsersLag > 0 {
		f.ghosts = append(f.ghosts, ghost{owner, account, nil, f.now().Add(f.switches.UsersLag)})
	}
	for _, s := range f.shares {
		if s.Owner == owner && s.InvitedID == account && (s.State != ShareDeleted || s.Orphan) {
			f.unshare(s)
			found = true
		}
	}
	delete(f.friends, friendship(owner, account))
	delete(f.connected, pair{owner, account})
	delete(f.settings, keyFor(owner, account, ""))
	return found
}

// ShareSpec seeds a share with [Fake.AddShare].
type ShareSpec struct {
	Server         string   `json:"server"`  // machine identifier
	Invited        string   `json:"invited"` // account id, username or e-mail
	Sections       []int64  `json:"sections"`
	AllLibraries   bool     `json:"all_libraries"` // must be said: no sections alone is an error
	Settings       Settings `json:"settings"`
	SkipFriendship bool     `json:"skip_friendship"`
	Accepted       bool     `json:"accepted"` // accept at once, also when not connected
}

// AddShare makes a share as its owner would and, if asked, accepts it.
func (f *Fake) AddShare(spec ShareSpec) (Share, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	server := f.server(spec.Server)
	if server == nil || server.spec.Unclaimed {
		return Share{}, fmt.Errorf("plextest: no server %s", spec.Server)
	}
	if (len(spec.Sections) == 0) != spec.AllLibraries {
		return Share{}, errors.New("plextest: either sections or all libraries")
	}
	owner := f.account(server.spec.Owner)
	id := ""
	if a := f.findAccount(spec.Invited); a != nil {
		id = fmt.Sprint(a.ID)
	}
	invited, email, err := f.invitee(owner, id, spec.Invited)
	if err == nil && invited == nil && spec.Accepted {
		err = ErrNoAccount
	}
	if err != nil {
		return Share{}, err
	}
	s, err := f.share(invitation{
		server: server, invited: invited, email: email, sections: spec.Sections,
		settings: &spec.Settings, skipFriendship: spec.SkipFriendship,
	})
	if err != nil {
		return Share{}, err
	}
	if spec.Accepted && s.State == SharePending {
		f.accept(s)
	}
	return f.snapshot(s), nil
}

// MustAddShare is AddShare for seeds that cannot fail; it panics if they do.
func (f *Fake) MustAddShare(spec ShareSpec) Share {
	s, err := f.AddShare(spec)
	if err != nil {
		panic(err)
	}
	return s
}

// Unshare deletes a share as its owner would from Plex's own pages.
func (f *Fake) Unshare(shareID int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.shares {
		if s.ID == shareID && s.State != ShareDeleted {
			f.unshare(s)
			return true
		}
	}
	return false
}

// Accept is the invitee who accepts by hand, from Plex's own pages.
func (f *Fake) Accept(shareID int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.shares {
		if s.ID == shareID && s.State == SharePending && s.InvitedID != 0 {
			f.accept(s)
			return true
		}
	}
	return false
}
