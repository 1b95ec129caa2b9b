package jellyfintest

import (
	"net/http"
	"strings"
)

// firstUser gives the user that the wizard works on, making it when there is
// none: an administrator, with more rights than Users/New would give one.
func (c *call) firstUser() *entry {
	if order := c.st.byName(); len(order) > 0 {
		return order[0]
	}
	u := c.s.newUser("root")
	policy := u.policy.clone()
	policy.asFirst()
	u.policy = &policy
	return c.st.insert(u, true)
}

// asFirst gives what the first user has beyond a new one.
func (y *Policy) asFirst() {
	y.IsAdministrator = true
	y.EnableContentDeletion = true
	y.EnableRemoteControlOfOtherUsers = true
}

func getStartupConfiguration(c *call) reply {
	return encoded(func(e *encoder) {
		e.open()
		if c.p.castReceivers { // the name came with 10.9's newer wizard
			e.str("ServerName", c.st.serverName)
		}
		e.str("UICulture", "en-US")
		e.str("MetadataCountryCode", "US")
		e.str("PreferredMetadataLanguage", "en")
		e.close()
	})
}

func setStartupConfiguration(c *call) reply {
	name := c.decode("startupConfiguration").strOr("ServerName", "")
	if r, bad := c.invalid(); bad {
		return r
	}
	c.commit(func() {
		if name != "" {
			c.st.serverName = name
		}
	})
	return empty(http.StatusNoContent)
}

func getStartupUser(c *call) reply {
	name := c.firstUser().rec.Load().name
	return encoded(func(e *encoder) {
		e.open()
		e.str("Name", name)
		e.close()
	})
}

// setStartupUser names the first user and sets the password. Up to 10.11 it
// may do so again and again; 12 refuses once there is a password.
func setStartupUser(c *call) reply {
	d := c.decode("startupUserDto")
	name, password := d.strOr("Name", ""), d.strOr("Password", "")
	if r, bad := c.invalid(); bad {
		return r
	}
	if strings.TrimSpace(password) == "" && c.p.adminNeedsPassword {
		return said(http.StatusBadRequest, "Password must not be empty")
	}
	e := c.firstUser()
	current := e.rec.Load()
	if current.hash != nil && c.p.startupOnce {
		return empty(http.StatusForbidden)
	}
	if name != "" && !c.p.validName(name) {
		return thrown(http.StatusBadRequest)
	}
	c.commit(func() {
		c.st.change(e, func(u *user) {
			if name != "" {
				u.name = name
			}
			*u = *c.s.withPassword(u, password)
		})
	})
	return empty(http.StatusNoContent)
}

func setStartupRemoteAccess(c *call) reply {
	c.decode("startupRemoteAccessDto")
	if r, bad := c.invalid(); bad {
		return r
	}
	return empty(http.StatusNoContent)
}

func completeStartup(c *call) reply {
	c.commit(func() { c.st.wizardDone = true })
	return empty(http.StatusNoContent)
}
