package jellyfintest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Session is what a device is doing.
type Session struct {
	// ID is made by AddSession.
	ID string `json:"id"`
	// User is an id or a name; empty for a session of nobody.
	User string `json:"user"`
	// Client, Device, DeviceID and Version describe the app.
	Client   string `json:"client"`
	Device   string `json:"device"`
	DeviceID string `json:"device_id"`
	Version  string `json:"version"`
	// LastActivity is now when it is zero.
	LastActivity time.Time `json:"last_activity,omitzero"`
	// Playing is a title; empty when nothing plays.
	Playing string `json:"playing"`
	// Messages are the texts that were sent to it, and Stops how often it was
	// told to stop.
	Messages []string `json:"messages"`
	Stops    int      `json:"stops"`
}

// AddSession makes a session without a token and gives its id.
func (s *Server) AddSession(n Session) (string, error) {
	s.lock()
	defer s.mu.Unlock()
	sess := &session{
		id: randomHex(16), userID: zeroID, client: n.Client, device: n.Device, deviceID: n.DeviceID,
		version: n.Version, remote: "127.0.0.1", activity: n.LastActivity, playing: n.Playing,
	}
	if sess.activity.IsZero() {
		sess.activity = s.now()
	}
	if n.User != "" {
		e := s.state.find(n.User)
		if e == nil {
			return "", fmt.Errorf("user %q: %w", n.User, ErrNotFound)
		}
		sess.userID, sess.userName = e.rec.Load().id, e.rec.Load().name
	}
	s.state.sessions[sess.id] = sess
	return sess.id, nil
}

// Sessions gives all sessions, by id. User holds the user's id.
func (s *Server) Sessions() []Session {
	s.lock()
	defer s.mu.Unlock()
	var all []Session
	for _, n := range s.state.sessions {
		all = append(all, Session{
			ID: n.id, User: n.userID, Client: n.client, Device: n.device, DeviceID: n.deviceID, Version: n.version,
			LastActivity: n.activity, Playing: n.playing, Messages: slices.Clone(n.messages), Stops: n.stops,
		})
	}
	slices.SortFunc(all, func(a, b Session) int { return strings.Compare(a.ID, b.ID) })
	return all
}
