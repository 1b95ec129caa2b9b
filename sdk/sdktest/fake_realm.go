package sdktest

import (
	"fmt"
	"sync"

	"github.com/zondarr/zondarr/sdk"
)

// fakeRealm is the place where the linked accounts of a Fake's servers live.
type fakeRealm struct {
	mu    sync.Mutex
	next  int
	links map[string]*fakeLink // by id
}

type fakeLink struct {
	ID      string
	Token   string
	Status  sdk.LinkStatus
	Account sdk.LinkedAccount
}

func newFakeRealm() *fakeRealm { return &fakeRealm{links: map[string]*fakeLink{}} }

func (r *fakeRealm) begin() fakeLink {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	l := &fakeLink{ID: fmt.Sprintf("link-%d", r.next), Token: fmt.Sprintf("link-token-%08d", r.next), Status: sdk.LinkPending}
	r.links[l.ID] = l
	return *l
}

// get gives a link whose token is known; an unknown or ended one is expired.
func (r *fakeRealm) get(id, token string) fakeLink {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.links[id]; l != nil && l.Token == token {
		return *l
	}
	return fakeLink{ID: id, Token: token, Status: sdk.LinkExpired}
}

func (r *fakeRealm) end(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.links, id)
}

func (r *fakeRealm) set(id string, status sdk.LinkStatus, account sdk.LinkedAccount) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.links[id]
	if l == nil {
		return false
	}
	l.Status, l.Account = status, account
	return true
}

// Links gives the ids of the links that were begun and have not ended: what a
// BeginLink answered as UserCode.
func (f *Fake) Links() []string {
	f.mu.Lock()
	realm := f.realm
	f.mu.Unlock()
	if realm == nil {
		return nil
	}
	realm.mu.Lock()
	defer realm.mu.Unlock()
	ids := make([]string, 0, len(realm.links))
	for id := range realm.links {
		ids = append(ids, id)
	}
	return ids
}

// Approve does what a person does at the realm: it proves that the link with the
// given user code belongs to an account. It says whether there is such a link.
func (f *Fake) Approve(userCode string, account sdk.LinkedAccount) bool {
	account.Realm = FakeRealm
	f.mu.Lock()
	realm := f.realm
	f.mu.Unlock()
	return realm != nil && realm.set(userCode, sdk.LinkApproved, account)
}

// Deny says no at the realm.
func (f *Fake) Deny(userCode string) bool {
	f.mu.Lock()
	realm := f.realm
	f.mu.Unlock()
	return realm != nil && realm.set(userCode, sdk.LinkDenied, sdk.LinkedAccount{})
}
