package jellyfintest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// session is what a signed-in device is doing. It lives in memory only.
type session struct {
	id       string
	userID   string
	userName string
	client   string
	device   string
	deviceID string
	version  string
	remote   string
	activity time.Time
	playing  string // the title; empty when nothing plays
	messages []string
	stops    int
}

func newSession(d *device, u *user, remote string, now time.Time) *session {
	return &session{
		id: randomHex(16), userID: u.id, userName: u.name, client: d.client, device: d.name,
		deviceID: d.deviceID, version: d.version, remote: remote, activity: now,
	}
}

// sessionOf gives the session of a sign-in; a new one when there is none.
func (st *state) sessionOf(d *device, remote string) *session {
	if s, ok := st.sessions[d.sessionID]; ok {
		s.device, s.version = d.name, d.version
		return s
	}
	u := &user{id: d.userID}
	if e := st.entries[d.userID]; e != nil {
		u = e.rec.Load()
	}
	s := newSession(d, u, remote, d.activity)
	d.sessionID = s.id
	st.sessions[s.id] = s
	return s
}

func (s *session) encode(e *encoder, st *state) {
	e.open()
	e.key("PlayState")
	e.open()
	e.boolean("CanSeek", s.playing != "")
	e.boolean("IsPaused", false)
	e.boolean("IsMuted", false)
	e.str("RepeatMode", "RepeatNone")
	e.str("PlaybackOrder", "Default")
	e.close()
	e.strs("AdditionalUsers", nil)
	e.key("Capabilities")
	st.encodeCapabilities(e, s.deviceID)
	e.str("RemoteEndPoint", s.remote)
	e.strs("PlayableMediaTypes", nil)
	e.str("Id", s.id)
	e.str("UserId", s.userID)
	e.optStr("UserName", s.userName)
	e.str("Client", s.client)
	e.date("LastActivityDate", s.activity)
	e.date("LastPlaybackCheckIn", time.Time{})
	e.str("DeviceName", s.device)
	if s.playing != "" {
		e.key("NowPlayingItem")
		e.open()
		e.str("Name", s.playing)
		e.str("ServerId", st.serverID)
		e.str("Id", hashID(s.playing))
		e.boolean("IsFolder", false)
		e.str("Type", "Movie")
		e.str("MediaType", "Video")
		e.close()
	}
	e.str("DeviceId", s.deviceID)
	e.str("ApplicationVersion", s.version)
	e.boolean("IsActive", true)
	e.boolean("SupportsMediaControl", false)
	e.boolean("SupportsRemoteControl", false)
	e.key("NowPlayingQueue")
	e.openList()
	e.closeList()
	e.key("NowPlayingQueueFullItems")
	e.openList()
	e.closeList()
	e.boolean("HasCustomDeviceName", false)
	e.str("ServerId", st.serverID)
	e.strs("SupportedCommands", nil)
	e.close()
}

func (st *state) encodeCapabilities(e *encoder, deviceID string) {
	persistent, told := st.features[deviceID]
	e.open()
	e.strs("PlayableMediaTypes", nil)
	e.strs("SupportedCommands", nil)
	e.boolean("SupportsMediaControl", false)
	e.boolean("SupportsPersistentIdentifier", persistent || !told)
	e.close()
}

// listSessions shows what the caller may see: 10.8 shows everybody everything.
func listSessions(c *call) reply {
	controller, byController := c.queryID("controllableByUserId")
	seconds := 0
	if text := c.query["activewithinseconds"]; text != "" {
		var err error
		if seconds, err = strconv.Atoi(text); err != nil {
			c.errs.add("activeWithinSeconds", "The value '"+text+"' is not valid.")
		}
	}
	if r, bad := c.invalid(); bad {
		return r
	}
	now, deviceID := c.s.now(), c.query["deviceid"]
	filterByTime := seconds > 0 && (c.p.ownSessionsOnly || byController)
	var shown []*session
	for _, s := range c.st.sessions {
		own := s.userID == c.who.id()
		switch {
		case c.p.ownSessionsOnly && !c.who.admin() && !own:
		case deviceID != "" && s.deviceID != deviceID:
		case filterByTime && now.Sub(s.activity) > time.Duration(seconds)*time.Second:
		case byController && !c.st.controls(controller, s):
		default:
			shown = append(shown, s)
		}
	}
	slices.SortFunc(shown, func(a, b *session) int { // latest first
		if n := b.activity.Compare(a.activity); n != 0 {
			return n
		}
		return strings.Compare(a.id, b.id)
	})
	return encoded(func(e *encoder) {
		e.openList()
		for _, s := range shown {
			s.encode(e, c.st)
		}
		e.closeList()
	})
}

// controls says whether a user may control a session.
func (st *state) controls(userID string, s *session) bool {
	e := st.entries[userID]
	if e == nil {
		return false
	}
	policy := e.rec.Load().policy
	switch s.userID {
	case userID:
		return true
	case zeroID:
		return policy.EnableSharedDeviceControl
	default:
		return policy.EnableRemoteControlOfOtherUsers
	}
}

// logout ends the caller's token. An API key ends nothing by it.
func logout(c *call) reply {
	if d := c.who.device; d != nil {
		c.commit(func() { c.st.revoke(d) })
	}
	return empty(http.StatusNoContent)
}

// setCapabilities lets a client say whether its device id lasts.
func setCapabilities(c *call) reply {
	persistent := c.queryBool("supportsPersistentIdentifier")
	if r, bad := c.invalid(); bad {
		return r
	}
	return c.storeCapabilities(persistent == nil || *persistent)
}

func setFullCapabilities(c *call) reply {
	persistent := true
	c.decode("capabilities").boolean("SupportsPersistentIdentifier", &persistent)
	if r, bad := c.invalid(); bad {
		return r
	}
	return c.storeCapabilities(persistent)
}

func (c *call) storeCapabilities(persistent bool) reply {
	if c.who.device == nil {
		return thrown(http.StatusBadRequest) // a key has no session
	}
	c.commit(func() { c.st.features[c.who.device.deviceID] = persistent })
	return empty(http.StatusNoContent)
}

func commandSession(c *call) reply {
	command := c.param("command")
	known := []string{"Stop", "Pause", "Unpause", "NextTrack", "PreviousTrack", "Seek", "Rewind", "FastForward", "PlayPause"}
	i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, command) })
	if i < 0 {
		c.errs.add("command", "The value '"+command+"' is not valid.")
		return c.p.validation(c.errs)
	}
	s := c.st.sessions[c.param("sessionId")]
	if s == nil {
		return thrown(http.StatusNotFound)
	}
	c.commit(func() {
		if known[i] == "Stop" {
			s.stops++
			s.playing = ""
		}
	})
	return empty(http.StatusNoContent)
}

func messageSession(c *call) reply {
	d := c.decode("command")
	text := d.str("Text")
	d.str("Header")
	var timeout *int
	d.optInteger("TimeoutMs", &timeout)
	if len(c.errs) == 0 && !c.unsupported && (text == nil || *text == "") {
		c.errs.required("Text")
	}
	if r, bad := c.invalid(); bad {
		return r
	}
	s := c.st.sessions[c.param("sessionId")]
	if s == nil {
		return thrown(http.StatusNotFound)
	}
	c.commit(func() { s.messages = append(s.messages, *text) })
	return empty(http.StatusNoContent)
}
