package plextest

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// ServerSpec seeds a media server. Fields left zero are filled in.
type ServerSpec struct {
	MachineIdentifier string    `json:"machine_identifier"` // 40 hex digits
	ID                int64     `json:"id"`                 // plex.tv's number for it
	Owner             int64     `json:"owner"`              // account id
	Name              string    `json:"name"`
	Version           string    `json:"version"`
	Sections          []Section `json:"sections"`
	// Unclaimed servers belong to nobody: local requests need no token.
	Unclaimed bool `json:"unclaimed,omitempty"`
	// OpenNetwork is "allowed without auth": any token is taken for the owner's.
	OpenNetwork bool `json:"open_network,omitempty"`
	// Lag is how late the server learns of a changed share.
	Lag time.Duration `json:"lag,omitempty"`
	// Addr is the listen address; empty means a free port on 127.0.0.1.
	Addr string `json:"addr,omitempty"`
}

// Section is a library. Its plex.tv id is never equal to a key.
type Section struct {
	ID    int64  `json:"id"`  // plex.tv: 9 digits
	Key   string `json:"key"` // media server: "1", "2", …
	Title string `json:"title"`
	Type  string `json:"type"` // movie, show, artist, photo
	UUID  string `json:"uuid"`
	// Hidden keeps the section from plex.tv for so long after it was added.
	Hidden time.Duration `json:"hidden,omitempty"`

	appearsAt time.Time
}

// Server is one media server of a Fake.
type Server struct {
	f          *Fake
	spec       ServerSpec
	identity   string // what the server itself says; else its machine identifier
	url        string
	ownerToken string
	createdAt  time.Time
	localUsers []int64
	sessions   []Session
	transient  map[string]transientToken
}

// AddServer registers a media server with plex.tv and, once the Fake is
// started, opens its port.
func (f *Fake) AddServer(spec ServerSpec) (*Server, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.account(spec.Owner) == nil && !spec.Unclaimed {
		return nil, ErrNoAccount
	}
	spec.MachineIdentifier = cmp.Or(spec.MachineIdentifier, f.random.hex(40))
	if f.server(spec.MachineIdentifier) != nil {
		return nil, fmt.Errorf("plextest: a server %s exists", spec.MachineIdentifier)
	}
	if spec.ID == 0 {
		spec.ID = f.random.id(7)
	}
	spec.Name = cmp.Or(spec.Name, "Plex")
	spec.Version = cmp.Or(spec.Version, "1.43.2.10687-563d026ea")
	sections := spec.Sections
	spec.Sections = nil
	s := &Server{f: f, spec: spec, ownerToken: f.random.token(), createdAt: f.now(), transient: map[string]transientToken{}}
	for _, section := range sections {
		s.addSection(section)
	}
	if f.started {
		var err error
		if s.url, err = f.listen(spec.Addr, s.Handler()); err != nil {
			return nil, err
		}
	}
	f.servers = append(f.servers, s)
	return s, nil
}

// MustAddServer is AddServer for seeds that cannot fail; it panics if they do.
func (f *Fake) MustAddServer(spec ServerSpec) *Server {
	s, err := f.AddServer(spec)
	if err != nil {
		panic(err)
	}
	return s
}

// Servers lists the media servers.
func (f *Fake) Servers() []*Server {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.servers)
}

// Server finds a media server by its machine identifier; nil when unknown.
func (f *Fake) Server(machineIdentifier string) *Server {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.server(machineIdentifier)
}

func (f *Fake) server(machineIdentifier string) *Server {
	for _, s := range f.servers {
		if s.spec.MachineIdentifier == machineIdentifier {
			return s
		}
	}
	return nil
}

// ID is the machine identifier that plex.tv knows.
func (s *Server) ID() string { return s.spec.MachineIdentifier }

// URL is the base URL; empty before Start.
func (s *Server) URL() string {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	return s.url
}

// Spec is the server as it is now, with its sections.
func (s *Server) Spec() ServerSpec {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	out := s.spec
	out.Sections = slices.Clone(s.spec.Sections)
	return out
}

// Sections lists the libraries.
func (s *Server) Sections() []Section { return s.Spec().Sections }

// Section finds a library by its title; it panics when there is none.
func (s *Server) Section(title string) Section {
	for _, section := range s.Sections() {
		if section.Title == title {
			return section
		}
	}
	panic("plextest: no section " + title)
}

// OwnerToken is the owner's per-server token, as his resources list shows it.
func (s *Server) OwnerToken() string {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	return s.ownerToken
}

// AddSection adds a library and gives it back complete.
func (s *Server) AddSection(section Section) Section {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	return s.addSection(section)
}

// RemoveSection deletes a library; shares lose it.
func (s *Server) RemoveSection(id int64) {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	s.spec.Sections = slices.DeleteFunc(s.spec.Sections, func(x Section) bool { return x.ID == id })
}

// SetIdentity makes the server answer with another machine identifier than
// the one plex.tv knows, as after a reinstallation; "" undoes it.
func (s *Server) SetIdentity(machineIdentifier string) {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	s.identity = machineIdentifier
}

// Change edits a server; its machine identifier and sections stay.
func (s *Server) Change(change func(*ServerSpec)) {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	id, sections := s.spec.MachineIdentifier, s.spec.Sections
	change(&s.spec)
	s.spec.MachineIdentifier, s.spec.Sections = id, sections
}

func (s *Server) addSection(section Section) Section {
	if section.ID == 0 {
		section.ID = s.f.random.id(9)
	}
	if section.Key == "" {
		highest := 0
		for _, other := range s.spec.Sections {
			n, _ := strconv.Atoi(other.Key)
			highest = max(highest, n)
		}
		section.Key = strconv.Itoa(highest + 1)
	}
	section.Type = cmp.Or(section.Type, "movie")
	section.UUID = cmp.Or(section.UUID, s.f.random.guid())
	section.appearsAt = s.f.now().Add(section.Hidden)
	s.spec.Sections = append(s.spec.Sections, section)
	return section
}

// published lists the sections that plex.tv has learnt of.
func (s *Server) published() []Section {
	var out []Section
	for _, section := range s.spec.Sections {
		if !s.f.now().Before(section.appearsAt) {
			out = append(out, section)
		}
	}
	return out
}

func (s *Server) hasSections(ids []int64) bool {
	for _, id := range ids {
		if !slices.ContainsFunc(s.published(), func(x Section) bool { return x.ID == id }) {
			return false
		}
	}
	return true
}

// host is the address that plex.tv publishes for the server.
func (s *Server) host() (name string, port int) {
	u, err := url.Parse(s.url)
	if err != nil || u.Host == "" {
		return "127.0.0.1", 32400
	}
	port, _ = strconv.Atoi(u.Port())
	return u.Hostname(), port
}

// ownServer finds the server of the path, which must be the caller's.
func (c *call) ownServer() *Server {
	s := c.f.server(c.r.PathValue("mid"))
	if s == nil || s.spec.Unclaimed || s.spec.Owner != c.who.ID {
		return nil
	}
	return s
}

func (c *call) serverV2() reply {
	s := c.ownServer()
	if s == nil {
		if other := c.f.server(c.r.PathValue("mid")); other != nil {
			return c.notOwner()
		}
		return notFoundV2()
	}
	sections := s.published()
	if c.f.switches.PartialSections {
		sections = sections[:min(len(sections), max(0, c.f.switches.PartialCount))]
	}
	host, port := s.host()
	return ok(el("server",
		at("name", s.spec.Name), at("address", host), at("port", port), at("version", s.spec.Version),
		at("scheme", "http"), at("synced", false), at("owned", true), at("localAddresses", host),
		at("machineIdentifier", s.spec.MachineIdentifier), at("createdAt", epoch(s.createdAt)), at("updatedAt", epoch(c.f.now())),
	).list("librarySections", libraryElements("librarySection", sections)...))
}

// notOwner is what v2 says about a server of somebody else.
func (c *call) notOwner() reply {
	switch status := c.f.switches.NotOwnerStatus; status {
	case http.StatusUnauthorized:
		return unauthenticated()
	case http.StatusForbidden:
		return errorsV2(status, codeUnauthenticated, "You do not have access to this server")
	default:
		return notFoundV2()
	}
}

func libraryElements(name string, sections []Section) []*element {
	out := make([]*element, len(sections))
	for i, section := range sections {
		key, _ := strconv.Atoi(section.Key)
		out[i] = el(name, at("id", section.ID), at("key", key), at("title", section.Title), at("type", section.Type))
	}
	return out
}

// container is the root of most v1 answers.
func container(attrs ...attribute) *element {
	return el("MediaContainer", append([]attribute{
		at("friendlyName", "myPlex"), at("identifier", "com.plexapp.plugins.myplex"),
	}, attrs...)...)
}

func (c *call) serverV1() reply {
	s := c.ownServer()
	if s == nil {
		return notFoundV1()
	}
	host, port := s.host()
	server := el("Server",
		at("name", s.spec.Name), at("address", host), at("port", port), at("version", s.spec.Version), at("scheme", "http"),
		at("host", host), at("localAddresses", host), at("machineIdentifier", s.spec.MachineIdentifier),
		at("createdAt", epoch(s.createdAt)), at("updatedAt", epoch(c.f.now())), at("owned", true), at("synced", false))
	for _, section := range s.published() {
		server.inline("Section", el("Section",
			at("id", section.ID), at("key", section.Key), at("type", section.Type), at("title", section.Title)))
	}
	return okXML(container(at("machineIdentifier", s.spec.MachineIdentifier), at("size", 1)).inline("Server", server))
}
