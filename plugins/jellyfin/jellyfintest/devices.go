package jellyfintest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// device is one sign-in: a token of one user on one device.
type device struct {
	token     string
	userID    string
	deviceID  string
	client    string
	name      string
	version   string
	created   time.Time
	activity  time.Time
	sessionID string
}

func (st *state) addDevice(d *device) {
	if _, have := st.devices[d.token]; have {
		return
	}
	st.devices[d.token] = d
	st.byUser[d.userID] = append(st.byUser[d.userID], d)
}

func (st *state) deviceOf(userID, deviceID string) *device {
	for _, d := range st.byUser[userID] {
		if d.deviceID == deviceID {
			return d
		}
	}
	return nil
}

// devicesWithID finds all sign-ins on a device; without an id, all there are.
func (st *state) devicesWithID(deviceID string) []*device {
	var found []*device
	for _, d := range st.devices {
		if deviceID == "" || d.deviceID == deviceID {
			found = append(found, d)
		}
	}
	return found
}

// revoke ends a token and its session.
func (st *state) revoke(d *device) {
	delete(st.devices, d.token)
	delete(st.sessions, d.sessionID)
	rest := slices.DeleteFunc(st.byUser[d.userID], func(have *device) bool { return have == d })
	if len(rest) == 0 {
		delete(st.byUser, d.userID)
		return
	}
	st.byUser[d.userID] = rest
}

// revokeAll ends all tokens of a user, but for one.
func (st *state) revokeAll(userID, except string) {
	for _, d := range slices.Clone(st.byUser[userID]) {
		if d.token != except {
			st.revoke(d)
		}
	}
}

// revokeDevice ends all tokens on a device; without an id, all there are.
func (st *state) revokeDevice(deviceID string) {
	for _, d := range st.devicesWithID(deviceID) {
		st.revoke(d)
	}
}

func listDevices(c *call) reply {
	userID, filtered := c.queryID("userId")
	if r, bad := c.invalid(); bad {
		return r
	}
	all := c.st.devicesWithID("")
	if filtered {
		all = slices.DeleteFunc(all, func(d *device) bool { return d.userID != userID })
	}
	slices.SortFunc(all, func(a, b *device) int { // latest first
		if n := b.activity.Compare(a.activity); n != 0 {
			return n
		}
		return strings.Compare(a.token, b.token)
	})
	return encoded(func(e *encoder) {
		e.queryResult(len(all), func(i int) {
			d := all[i]
			e.open()
			e.str("Name", d.name)
			e.str("Id", d.deviceID)
			if entry := c.st.entries[d.userID]; entry != nil {
				e.str("LastUserName", entry.rec.Load().name)
			}
			e.str("AppName", d.client)
			e.str("AppVersion", d.version)
			e.str("LastUserId", d.userID)
			e.date("DateLastActivity", d.activity)
			e.key("Capabilities")
			c.st.encodeCapabilities(e, d.deviceID)
			e.close()
		})
	})
}

func deleteDevice(c *call) reply {
	id := c.query["id"]
	if id == "" {
		c.errs.required("id")
		return c.p.validation(c.errs)
	}
	if len(c.st.devicesWithID(id)) == 0 {
		if c.p.deviceUnknown400 {
			return c.p.problem(http.StatusBadRequest)
		}
		return c.p.problem(http.StatusNotFound)
	}
	c.commit(func() { c.st.revokeDevice(id) })
	return empty(http.StatusNoContent)
}
