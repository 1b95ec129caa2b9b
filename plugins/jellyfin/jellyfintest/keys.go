package jellyfintest

import (
	"net/http"
	"slices"
	"time"
)

// apiKey belongs to nobody and never expires.
type apiKey struct {
	token   string
	name    string
	created time.Time
	used    time.Time
}

func (st *state) addKey(token, name string, now time.Time) {
	st.keys = append(st.keys, &apiKey{token: token, name: name, created: now})
}

func (st *state) removeKey(token string) {
	st.keys = slices.DeleteFunc(st.keys, func(k *apiKey) bool { return k.token == token })
}

// listKeys shows all keys, in clear.
func listKeys(c *call) reply {
	return encoded(func(e *encoder) {
		e.queryResult(len(c.st.keys), func(i int) {
			k := c.st.keys[i]
			e.open()
			e.integer("Id", 0)
			e.str("AccessToken", k.token)
			e.str("DeviceId", "")
			e.str("AppName", k.name)
			e.str("AppVersion", "")
			e.str("DeviceName", "")
			e.str("UserId", zeroID)
			e.boolean("IsActive", true)
			e.date("DateCreated", k.created)
			e.date("DateLastActivity", time.Time{})
			e.close()
		})
	})
}

// createKey makes a key and does not say it: clients look for it in the list.
func createKey(c *call) reply {
	app := c.query["app"]
	if app == "" {
		c.errs.required("app")
		return c.p.validation(c.errs)
	}
	c.commit(func() { c.st.addKey(randomHex(16), app, c.s.now()) })
	return empty(http.StatusNoContent)
}

func deleteKey(c *call) reply {
	c.commit(func() { c.st.removeKey(c.param("key")) })
	return empty(http.StatusNoContent)
}
