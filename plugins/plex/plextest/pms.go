package plextest

import (
	"net/http"
	"strconv"
	"time"
)

// pmsRole is what a media server takes a caller for.
type pmsRole int

const (
	pmsNobody pmsRole = iota
	pmsFriend
	pmsOwner
)

// Handler answers for this media server. It needs no Start.
func (s *Server) Handler() http.Handler {
	mux := s.routes()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.f.serve(w, r, s.spec.MachineIdentifier, mux, &call{server: s}, func(*http.Request) reply {
			return html(http.StatusNotFound, "Not Found")
		})
	})
}

// routes is the whole surface of a media server.
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	handle := func(pattern string, h handler) { mux.Handle(pattern, endpoint(h)) }
	handle("GET /identity", (*call).identity)
	handle("GET /{$}", viewer((*call).serverRoot))
	handle("GET /library", owner((*call).library))
	handle("GET /library/sections", viewer((*call).librarySections))
	handle("GET /library/sections/all", viewer((*call).librarySections))
	handle("GET /accounts", owner((*call).localAccounts))
	handle("GET /accounts/{id}", owner((*call).localAccount))
	handle("GET /status/sessions", owner((*call).listSessions))
	handle("POST /status/sessions/terminate", owner((*call).terminateSession))
	handle("GET /status/sessions/terminate", owner((*call).terminateSession)) // clients in the wild use GET
	handle("GET /security/token", (*call).securityToken)
	handle("POST /security/token", (*call).securityToken)
	handle("GET /myplex/account", owner((*call).myPlexAccount))
	return mux
}

// viewer wraps what any valid token may read.
func viewer(h handler) handler {
	return func(c *call) reply {
		if c.identify(); c.role == pmsNobody {
			return pmsUnauthorized(c.r)
		}
		return h(c)
	}
}

// owner wraps what only the owner may do.
func owner(h handler) handler {
	return func(c *call) reply {
		switch c.identify(); c.role {
		case pmsOwner:
			return h(c)
		case pmsFriend:
			return html(http.StatusForbidden, "Forbidden")
		case pmsNobody:
		}
		return pmsUnauthorized(c.r)
	}
}

func pmsUnauthorized(r *http.Request) reply {
	if r.URL.Path != "/" {
		return html(http.StatusUnauthorized, "Unauthorized")
	}
	out := html(http.StatusUnauthorized, "Unauthorized")
	out.raw = []byte(`<html><head><script>window.location = window.location.href.match(/(^.+\/)[^\/]*$/)[1] + 'web/index.html';</script>` +
		`<title>Unauthorized</title></head><body><h1>401 Unauthorized</h1></body></html>`)
	return out
}

// identify decides what the server takes the caller for.
func (c *call) identify() {
	s := c.server
	value := plexHeader(c.r, "Token")
	if s.spec.Unclaimed || s.spec.OpenNetwork {
		c.role = pmsOwner
		return
	}
	if temporary, found := s.transient[value]; found && s.f.now().Before(temporary.until) {
		value = temporary.token
	}
	c.role, c.viewer = s.roleOf(value)
	if c.viewer != nil {
		c.viewer.seenAt = s.f.now()
		s.remember(c.viewer.InvitedID)
	}
}

func (s *Server) roleOf(value string) (pmsRole, *share) {
	if value == "" {
		return pmsNobody, nil
	}
	if value == s.ownerToken {
		return pmsOwner, nil
	}
	f := s.f
	for _, sh := range f.shares {
		if sh.server != s {
			continue
		}
		if v, open := sh.presentView(); open && v.token == value {
			return pmsFriend, sh
		}
	}
	t := f.findToken(value)
	if t == nil || t.JWT && !f.switches.JWTOnPMS {
		return pmsNobody, nil
	}
	if t.Account == s.spec.Owner && (f.check(t) == tokenLive || f.switches.StaleTokenOnPMS) {
		return pmsOwner, nil
	}
	if sh := f.acceptedShare(s, t.Account); sh != nil && f.switches.FriendTokenOnPMS && f.check(t) == tokenLive {
		if _, open := sh.presentView(); open {
			return pmsFriend, sh
		}
	}
	return pmsNobody, nil
}

// remember keeps a local row for an account that has come by.
func (s *Server) remember(account int64) {
	for _, id := range s.localUsers {
		if id == account {
			return
		}
	}
	s.localUsers = append(s.localUsers, account)
}

func (s *Server) says() string {
	if s.identity != "" {
		return s.identity
	}
	return s.spec.MachineIdentifier
}

func (c *call) identity() reply {
	return okPMS(el("MediaContainer", at("size", 0), at("apiVersion", "1.2.2"), at("claimed", !c.server.spec.Unclaimed),
		at("machineIdentifier", c.server.says()), at("version", c.server.spec.Version)))
}

// serverRoot is "/". Whoever asks, myPlexUsername is the owner's name.
func (c *call) serverRoot() reply {
	s := c.server
	pass, username, mapping, signin := false, "", "unknown", "none"
	if a := c.f.account(s.spec.Owner); a != nil && !s.spec.Unclaimed {
		pass, username, mapping, signin = c.f.hasPass(a), a.Username, "mapped", "ok"
	}
	features := "session_bandwidth_restrictions,home"
	if pass {
		features += ",pass,sync,livetv,dvr"
	}
	root := el("MediaContainer",
		at("size", 2), at("allowCameraUpload", false), at("allowChannelAccess", true), at("allowMediaDeletion", true),
		at("allowSharing", true), at("allowSync", pass), at("allowTuners", pass), at("certificate", true),
		at("companionProxy", true), at("countryCode", "deu"), at("diagnostics", "logs,databases"), at("eventStream", true),
		at("friendlyName", s.spec.Name), at("livetv", 7), at("machineIdentifier", s.says()), at("multiuser", true),
		at("myPlex", !s.spec.Unclaimed), at("myPlexMappingState", mapping), at("myPlexSigninState", signin),
		at("myPlexSubscription", pass), at("myPlexUsername", username), at("ownerFeatures", features),
		at("platform", "Linux"), at("platformVersion", "6.12"), at("pushNotifications", false), at("readOnlyLibraries", false),
		at("sync", true), at("transcoderActiveVideoSessions", len(s.sessions)), at("transcoderAudio", true),
		at("transcoderVideo", true), at("updatedAt", epoch(s.createdAt)), at("updater", true),
		at("version", s.spec.Version), at("voiceSearch", true))
	directories := []string{"library", "identity"}
	if c.role == pmsOwner {
		directories = append(directories, "accounts", "butler", "statistics")
		root.attrs[0].value = len(directories)
	}
	for _, name := range directories {
		root.inline("Directory", el("Directory", at("count", 1), at("key", name), at("title", name)))
	}
	return okPMS(root)
}

// page cuts a list as the X-Plex-Container-* headers ask.
func (c *call) page(root *element, name string, items []*element) reply {
	total := len(items)
	start, _ := strconv.Atoi(plexHeader(c.r, "Container-Start"))
	start = min(max(0, start), total)
	end := total
	if size, err := strconv.Atoi(plexHeader(c.r, "Container-Size")); err == nil && size >= 0 {
		end = min(total, start+size)
	}
	items = items[start:end]
	root.attrs = append([]attribute{at("size", len(items))}, root.attrs...)
	return okPMS(root.inline(name, items...)).withHeader("X-Plex-Container-Total-Size", strconv.Itoa(total)).
		withHeader("X-Plex-Container-Start", strconv.Itoa(start))
}

type transientToken struct {
	token string
	until time.Time
}

// securityToken gives a caller a token that stands for his own for two days.
func (c *call) securityToken() reply {
	c.identify()
	value := plexHeader(c.r, "Token")
	switch {
	case c.role == pmsNobody || value == "":
		return html(http.StatusForbidden, "Forbidden")
	case c.query("type") != "delegation" || c.query("scope") != "all":
		return html(http.StatusBadRequest, "Bad Request")
	}
	name := "transient-" + c.f.random.guid()
	c.server.transient[name] = transientToken{token: value, until: c.f.now().Add(48 * time.Hour)}
	return okPMS(el("MediaContainer", at("size", 0), at("token", name)))
}

// Restart makes the server forget its transient tokens and sessions.
func (s *Server) Restart() {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	clear(s.transient)
	s.sessions = nil
}
