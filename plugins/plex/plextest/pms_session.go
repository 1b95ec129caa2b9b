package plextest

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
)

// Session is somebody who watches something.
type Session struct {
	ID      string `json:"id"`
	Account int64  `json:"account"` // plex.tv id
	Title   string `json:"title"`
	Player  string `json:"player"`
	Remote  bool   `json:"remote"`
	Kbps    int    `json:"kbps"`
}

// AddSession starts a session and gives it back with its id.
func (s *Server) AddSession(session Session) Session {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	session.ID = cmp.Or(session.ID, s.f.random.hex(24))
	s.sessions = append(s.sessions, session)
	return session
}

// Sessions lists the running sessions.
func (s *Server) Sessions() []Session {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	return slices.Clone(s.sessions)
}

func (c *call) listSessions() reply {
	var items []*element
	for i, session := range c.server.sessions {
		location := "lan"
		if session.Remote {
			location = "wan"
		}
		id, name := fmt.Sprint(session.Account), ""
		if a := c.f.account(session.Account); a != nil {
			name = a.Title
		}
		if session.Account == c.server.spec.Owner {
			id = "1" // the owner's local id
		}
		items = append(items, el("Video",
			at("key", fmt.Sprintf("/library/metadata/%d", i+1)), at("ratingKey", fmt.Sprint(i+1)), at("sessionKey", fmt.Sprint(i+1)),
			at("title", session.Title), at("type", "movie"),
		).one("User", el("User", at("id", id), at("title", name), at("thumb", ""))).
			one("Player", el("Player", at("machineIdentifier", "player"), at("state", "playing"), at("title", session.Player))).
			one("Session", el("Session", at("id", session.ID), at("bandwidth", session.Kbps), at("location", location))))
	}
	root := el("MediaContainer", at("size", len(items)))
	return okPMS(root.with(children{key: "Metadata", items: items, hide: true}))
}

func (c *call) terminateSession() reply {
	id := c.query("sessionId")
	if a := c.f.account(c.server.spec.Owner); a == nil || !c.f.hasPass(a) {
		return html(http.StatusUnauthorized, "Unauthorized")
	}
	if id == "" {
		return html(http.StatusForbidden, "Forbidden")
	}
	for i, session := range c.server.sessions {
		if session.ID == id {
			c.server.sessions = slices.Delete(c.server.sessions, i, i+1)
			return okPMS(el("MediaContainer", at("size", 0)))
		}
	}
	return html(http.StatusNotFound, "Not Found")
}
