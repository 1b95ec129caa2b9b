package plextest

import (
	"slices"
	"time"
)

const maxHomeSize = 15

// home is a Plex Home: its admin and up to fourteen others.
type home struct {
	id      int64
	admin   int64
	members []int64 // with the admin
	invites []homeInvite
}

type homeInvite struct {
	id      int64
	invited int64
	email   string // when nobody has that address yet
	sentAt  time.Time
}

// AddHome makes an account the admin of a home and adds members to it.
func (f *Fake) AddHome(admin int64, members ...int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := f.ensureHome(admin)
	for _, m := range members {
		if f.homeOf(m) == nil {
			h.members = append(h.members, m)
		}
	}
}

// AddManagedUser makes a managed user in the admin's home.
func (f *Fake) AddManagedUser(admin int64, title string) Account {
	f.mu.Lock()
	h := f.ensureHome(admin)
	f.mu.Unlock()
	a := f.MustAddAccount(Account{Title: title, Restricted: true})
	f.mu.Lock()
	defer f.mu.Unlock()
	h.members = append(h.members, a.ID)
	return a
}

// AcceptHome lets an invited account join the home of the admin.
func (f *Fake) AcceptHome(admin, account int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.joinHome(admin, account)
}

// HomeMembers lists the accounts of the admin's home, the admin first.
func (f *Fake) HomeMembers(admin int64) []int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range f.homes {
		if h.admin == admin {
			return slices.Clone(h.members)
		}
	}
	return nil
}

func (f *Fake) homeOf(account int64) *home {
	for _, h := range f.homes {
		if slices.Contains(h.members, account) {
			return h
		}
	}
	return nil
}

func (f *Fake) sameHome(a, b int64) bool {
	h := f.homeOf(a)
	return h != nil && slices.Contains(h.members, b)
}

func (f *Fake) ensureHome(admin int64) *home {
	if h := f.homeOf(admin); h != nil {
		return h
	}
	h := &home{id: f.random.id(7), admin: admin, members: []int64{admin}}
	f.homes = append(f.homes, h)
	return h
}

func (f *Fake) joinHome(admin, account int64) bool {
	for _, h := range f.homes {
		if h.admin != admin || f.homeOf(account) != nil || len(h.members) >= maxHomeSize {
			continue
		}
		for i, invite := range h.invites {
			if invite.invited == account {
				h.invites = slices.Delete(h.invites, i, i+1)
				h.members = append(h.members, account)
				return true
			}
		}
	}
	return false
}
