package sdktest

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// FakeServer is a media server in memory. It can be looked into, behind the plugin's
// back, and told to go wrong. It is safe for concurrent use.
type FakeServer struct {
	fake   *Fake
	name   string
	realm  *fakeRealm
	closed chan struct{}
	live   sync.WaitGroup // handlers that outlive their caller

	mu        sync.Mutex
	url       string
	listener  *httptest.Server
	key       string
	facts     sdk.ServerFacts
	libraries []sdk.Library
	users     map[string]*fakeUser
	sessions  []sdk.Session
	next      int
	faults    map[string]*Fault
	calls     map[string]int
	requests  int
}

type fakeUser struct {
	sdk.User
	password  string
	accountID string
	cannot    bool // sign in, whatever the password
}

func newFakeServer(f *Fake, name string, flow sdk.JoinFlow) *FakeServer {
	desc := f.Describe()
	s := &FakeServer{
		fake: f, name: name, realm: f.realm, closed: make(chan struct{}), url: "http://" + name + ".fake.test", key: FakeKey,
		libraries: []sdk.Library{{ID: "lib-1", Name: "Films", Type: sdk.LibraryMovies}, {ID: "lib-2", Name: "Series", Type: sdk.LibraryShows}},
		users:     map[string]*fakeUser{}, faults: map[string]*Fault{}, calls: map[string]int{},
	}
	s.facts = sdk.ServerFacts{
		Product: fakeProduct, Version: "1.0.0", ExternalID: "fake-" + name, Name: name, Capabilities: desc.Capabilities(),
		LibraryModes: desc.Traits.LibraryModes, JoinFlow: flow, AccountRules: fakeRules(flow),
	}
	for _, p := range desc.Permissions {
		s.facts.Permissions = append(s.facts.Permissions, p.Name)
	}
	for _, l := range desc.Limits {
		s.facts.Limits = append(s.facts.Limits, l.Name)
	}
	all := sdk.LibraryAccess{Mode: sdk.LibraryAll}
	s.AddUser(sdk.User{Username: "admin", Kind: "admin", Protected: true, Status: sdk.StatusActive, Libraries: &all}, "admin-password")
	return s
}

// URL gives the address under which plugins reach the server.
func (s *FakeServer) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.url
}

// Ref gives the reference under which a host would know the server.
func (s *FakeServer) Ref() sdk.ServerRef { return s.fake.ref(s.name, s.URL()) }

// Listen makes the server reachable over the network too, at 127.0.0.1, and gives the
// new URL. It is for plugins in other processes.
func (s *FakeServer) Listen() string {
	s.mu.Lock()
	if s.listener == nil {
		s.listener = httptest.NewServer(s)
	}
	old, url := s.url, s.listener.URL
	s.url = url
	s.mu.Unlock()
	s.fake.mu.Lock()
	defer s.fake.mu.Unlock()
	delete(s.fake.servers, old)
	s.fake.servers[url] = s
	return url
}

func (s *FakeServer) listening() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listener != nil
}

// Addr gives the network address that Listen made.
func (s *FakeServer) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listener.Listener.Addr()
}

// Close ends the server: what hangs or waits is let go.
func (s *FakeServer) Close() {
	s.mu.Lock()
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	listener := s.listener
	s.mu.Unlock()
	if listener != nil {
		listener.CloseClientConnections()
		listener.Close()
	}
	s.live.Wait()
}

// SetKey changes the API key that the server accepts.
func (s *FakeServer) SetKey(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key = key
}

// SetFacts changes what the server says of itself: its version and id, and what it
// can do.
func (s *FakeServer) SetFacts(change func(*sdk.ServerFacts)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.facts)
}

// AddLibrary adds a library and gives it with its id.
func (s *FakeServer) AddLibrary(name string, kind sdk.LibraryType) sdk.Library {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	l := sdk.Library{ID: fmt.Sprintf("lib-%d", 100+s.next), Name: name, Type: kind}
	s.libraries = append(s.libraries, l)
	return l
}

// RemoveLibrary removes a library; users keep its id in their access.
func (s *FakeServer) RemoveLibrary(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.libraries = slices.DeleteFunc(s.libraries, func(l sdk.Library) bool { return l.ID == id })
}

// Libraries gives the libraries.
func (s *FakeServer) Libraries() []sdk.Library {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.libraries)
}

// AddUser adds a user that Zondarr did not make, and gives it with its id. Kind and
// status default to an active "user" without libraries.
func (s *FakeServer) AddUser(u sdk.User, password string) sdk.User {
	s.mu.Lock()
	defer s.mu.Unlock()
	u.Kind = cmp.Or(u.Kind, "user")
	u.Status = cmp.Or(u.Status, sdk.StatusActive)
	if u.Libraries == nil {
		u.Libraries = &sdk.LibraryAccess{Mode: sdk.LibraryNone}
	}
	return s.addLocked(&fakeUser{User: u, password: password}).clone()
}

func (s *FakeServer) addLocked(u *fakeUser) *fakeUser {
	s.next++
	u.ID = fmt.Sprintf("user-%08d", s.next)
	if u.CreatedAt.IsZero() {
		u.CreatedAt = time.Now().UTC().Truncate(time.Microsecond)
	}
	if u.SignedIn == nil {
		u.SignedIn = new(bool)
	}
	s.users[u.ID] = u
	return u
}

// RemoveUser removes a user behind Zondarr's back.
func (s *FakeServer) RemoveUser(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.users, id)
}

// ChangeUser changes a user behind Zondarr's back; it says whether there is one.
func (s *FakeServer) ChangeUser(id string, change func(*sdk.User)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.users[id]
	if ok {
		change(&u.User)
	}
	return ok
}

// User gives a user as it is stored.
func (s *FakeServer) User(id string) (sdk.User, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u, ok := s.users[id]; ok {
		return u.clone(), true
	}
	return sdk.User{}, false
}

// UserByName gives a user as it is stored, whatever the case of its name.
func (s *FakeServer) UserByName(username string) (sdk.User, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.byNameLocked(username); u != nil {
		return u.clone(), true
	}
	return sdk.User{}, false
}

// Users gives every user as it is stored, the administrator too, by id.
func (s *FakeServer) Users() []sdk.User {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]sdk.User, 0, len(s.users))
	for _, u := range s.users {
		out = append(out, u.clone())
	}
	slices.SortFunc(out, func(a, b sdk.User) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// SignsIn says whether a username and a password would sign in.
func (s *FakeServer) SignsIn(username, password string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signsInLocked(username, password) != nil
}

// SetSessions says who is watching.
func (s *FakeServer) SetSessions(sessions []sdk.Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions = slices.Clone(sessions)
}

// Calls counts how often a verb was called ("CreateUser").
func (s *FakeServer) Calls(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

// Requests counts the HTTP requests of every verb.
func (s *FakeServer) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// wait waits for a time, or until the server is closed.
func (s *FakeServer) wait(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.closed:
	}
}

var _ http.Handler = (*FakeServer)(nil)
