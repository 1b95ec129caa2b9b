package jellyfintest

import (
	"net/http"
	"slices"
	"time"
)

// updatePolicy replaces a user's policy. The order of the checks is the real
// server's.
func updatePolicy(c *call) reply {
	id := c.pathID()
	posted := decodePolicy(c.decode("newPolicy"), c.p)
	if len(c.errs) == 0 && c.p.providersChecked {
		if posted.AuthenticationProviderId == "" {
			c.errs.required("AuthenticationProviderId")
		}
		if posted.PasswordResetProviderId == "" {
			c.errs.required("PasswordResetProviderId")
		}
	}
	if r, bad := c.invalid(); bad {
		return r
	}
	if id == zeroID {
		return thrown(http.StatusBadRequest)
	}
	e := c.st.entries[id]
	if e == nil {
		switch {
		case !c.p.nullUserBreaks:
			return c.p.problem(http.StatusNotFound)
		case posted.IsAdministrator && !posted.IsDisabled:
			return thrown(http.StatusBadRequest) // nothing looks at the user until the update itself
		default:
			return thrown(http.StatusInternalServerError)
		}
	}
	current := e.rec.Load()
	switch {
	case !posted.IsAdministrator && current.policy.IsAdministrator && c.st.admins == 1:
		return said(http.StatusForbidden, "There must be at least one user in the system with administrative access.")
	case posted.IsDisabled && current.policy.IsAdministrator:
		return said(http.StatusForbidden, "Administrators cannot be disabled.")
	case posted.IsDisabled && !current.policy.IsDisabled && c.st.enabled == 1:
		return said(http.StatusForbidden, "There must be at least one enabled user in the system.")
	}
	if posted.IsDisabled && !current.policy.IsDisabled {
		c.commit(func() { c.st.revokeAll(id, c.who.token) }) // even if the update then fails
	}
	switch {
	case posted.nullList:
		return thrown(http.StatusBadRequest)
	case posted.nullSchedules, e.ghost():
		return thrown(http.StatusInternalServerError)
	}
	return c.storePolicy(e, current, posted)
}

func (c *call) storePolicy(e *entry, current *user, posted postedPolicy) reply {
	policy := posted.Policy
	c.st.number(&policy, current.id)
	next := *current
	next.policy = &policy

	missingProvider := policy.AuthenticationProviderId == "" || policy.PasswordResetProviderId == ""
	if missingProvider || c.meets(Conflict) {
		// The save fails, yet where users are cached the change shows there.
		if c.p.cached {
			c.st.put(e, &next, false)
		}
		return thrown(http.StatusInternalServerError)
	}
	c.commit(func() { c.st.put(e, &next, true) })
	if c.meets(RevertPolicy) {
		c.st.reverts = append(c.st.reverts, revert{at: c.s.now().Add(c.fault.Delay), id: current.id, policy: current.policy})
		if c.fault.Delay == 0 {
			c.s.revertDue()
		}
	}
	return empty(http.StatusNoContent)
}

// number gives a policy's schedules their ids; those of the input are ignored.
func (st *state) number(y *Policy, userID string) {
	for i := range y.AccessSchedules {
		st.schedules++
		y.AccessSchedules[i].ID, y.AccessSchedules[i].UserID = st.schedules, userID
	}
}

// revert is an old policy that is about to come back: another request had read
// the whole user before, and writes it after.
type revert struct {
	at     time.Time
	id     string
	policy *Policy
}

// revertDue lets overdue reverts happen. The lock is held.
func (s *Server) revertDue() {
	if len(s.state.reverts) == 0 {
		return
	}
	now := s.now()
	s.state.reverts = slices.DeleteFunc(s.state.reverts, func(r revert) bool {
		if now.Before(r.at) {
			return false
		}
		if e := s.state.entries[r.id]; e != nil {
			s.state.change(e, func(u *user) { u.policy = r.policy })
		}
		return true
	})
}
