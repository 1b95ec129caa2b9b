package jellyfintest

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// state is everything the server knows. It is guarded by Server.mu.
type state struct {
	profile *profile

	serverID   string
	serverName string
	wizardDone bool

	entries map[string]*entry // users by id
	names   map[string][]*entry
	order   []*entry // by name; nil when users came, went or were renamed
	admins  int      // users that are administrators
	enabled int      // users that are not disabled

	keys      []*apiKey
	devices   map[string]*device   // by token
	byUser    map[string][]*device // by user id
	sessions  map[string]*session  // by session id
	features  map[string]bool      // device id → keeps its id; see capabilities
	libraries []*Library
	prefs     map[string]*displayPrefs
	quick     map[string]*quickRequest // by secret
	quickOn   bool
	pins      map[string]string // PIN → user id
	counts    ItemCounts
	providers []Provider
	reverts   []revert
	schedules int // last id given to an access schedule
}

// entry is the place of one user. Its record is replaced, never changed, so
// that a list can be written out while users change.
type entry struct {
	rec   atomic.Pointer[user]
	saved *user // what is on disk; nil for a ghost
	gone  bool  // deleted; what still holds the entry changes nothing
}

// ghost says that the user lives in the cache alone: it lost a name race.
func (e *entry) ghost() bool { return e.saved == nil }

// user is one account as of one moment. Immutable.
type user struct {
	id       string
	name     string
	salt     [16]byte
	hash     []byte // nil: no password
	policy   *Policy
	config   *Configuration
	login    time.Time
	activity time.Time
	avatar   string // image tag
}

func newState(p *profile, cfg Config) state {
	return state{
		profile:    p,
		serverID:   cfg.ServerID,
		serverName: cfg.ServerName,
		wizardDone: !cfg.FirstRun,
		entries:    map[string]*entry{},
		names:      map[string][]*entry{},
		devices:    map[string]*device{},
		byUser:     map[string][]*device{},
		sessions:   map[string]*session{},
		features:   map[string]bool{},
		prefs:      map[string]*displayPrefs{},
		quick:      map[string]*quickRequest{},
		quickOn:    true,
		pins:       map[string]string{},
		providers:  []Provider{{Name: "Default", ID: DefaultAuthenticationProvider}},
	}
}

// named finds users whose name is the same but for case.
func (st *state) named(name string) []*entry { return st.names[st.profile.fold(name)] }

// conflicts says whether the database refuses the name: another stored user
// has the same index key.
func (st *state) conflicts(name string, except *entry) bool {
	key := st.profile.indexKey(name)
	return slices.ContainsFunc(st.named(name), func(e *entry) bool {
		return e != except && !e.ghost() && st.profile.indexKey(e.saved.name) == key
	})
}

// insert adds a user. Unsaved, it is a ghost.
func (st *state) insert(u *user, save bool) *entry {
	e := &entry{}
	e.rec.Store(u)
	if save {
		e.saved = u
	}
	st.entries[u.id] = e
	key := st.profile.fold(u.name)
	st.names[key] = append(st.names[key], e)
	st.order = nil
	st.count(u, +1)
	return e
}

// put replaces a user's record; save says whether that reached the disk.
func (st *state) put(e *entry, u *user, save bool) {
	if e.gone {
		return // deleted while the password was being hashed
	}
	old := e.rec.Load()
	st.count(old, -1)
	st.count(u, +1)
	if old.name != u.name {
		st.unname(e, old.name)
		key := st.profile.fold(u.name)
		st.names[key] = append(st.names[key], e)
		st.order = nil
	}
	e.rec.Store(u)
	if save {
		e.saved = u
	}
}

// change replaces a user's record by one that fn changed, and saves it.
func (st *state) change(e *entry, fn func(u *user)) *user {
	u := *e.rec.Load()
	fn(&u)
	st.put(e, &u, true)
	return &u
}

// remove deletes a user's row, and nothing else.
func (st *state) remove(e *entry) {
	u := e.rec.Load()
	e.gone = true
	st.count(u, -1)
	st.unname(e, u.name)
	delete(st.entries, u.id)
	st.order = nil
}

func (st *state) unname(e *entry, name string) {
	key := st.profile.fold(name)
	rest := slices.DeleteFunc(st.names[key], func(have *entry) bool { return have == e })
	if len(rest) == 0 {
		delete(st.names, key)
		return
	}
	st.names[key] = rest
}

func (st *state) count(u *user, by int) {
	if u.policy.IsAdministrator {
		st.admins += by
	}
	if !u.policy.IsDisabled {
		st.enabled += by
	}
}

// byName gives all users in order of name. The slice is never changed again,
// so that a caller may read it without the lock.
func (st *state) byName() []*entry {
	if st.order != nil || len(st.entries) == 0 {
		return st.order
	}
	type named struct {
		key string
		e   *entry
	}
	all := make([]named, 0, len(st.entries))
	for _, e := range st.entries {
		all = append(all, named{st.profile.fold(e.rec.Load().name), e})
	}
	slices.SortFunc(all, func(a, b named) int {
		if c := strings.Compare(a.key, b.key); c != 0 {
			return c
		}
		return strings.Compare(a.e.rec.Load().id, b.e.rec.Load().id)
	})
	st.order = make([]*entry, len(all))
	for i := range all {
		st.order[i] = all[i].e
	}
	return st.order
}

func (st *state) restart() {
	for _, e := range st.entries {
		if e.ghost() {
			st.remove(e)
		} else {
			st.put(e, e.saved, true)
		}
	}
	clear(st.sessions)
	clear(st.quick)
	clear(st.features)
}
