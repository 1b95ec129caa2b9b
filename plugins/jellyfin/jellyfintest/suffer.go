package jellyfintest

import (
	"net/http"
	"time"
)

// suffer answers a request that meets a fault.
func (s *Server) suffer(c *call, out *output, path string, seen *Request) {
	f := c.fault
	if !f.AfterCommit {
		if r, instead := s.instead(c); instead {
			out.write(r)
			return
		}
		if !c.interrupt() {
			return
		}
	}
	r := s.answer(c, path, seen)
	if f.AfterCommit {
		if other, instead := s.instead(c); instead {
			out.write(other)
			return
		}
		if !c.interrupt() {
			return
		}
	}
	switch f.Action {
	case Slow:
		out.piece = max(f.Bytes, 1)
		if f.Bytes == 0 {
			out.piece = 64
		}
		out.pace = func() bool { return c.wait(f.Delay) }
	case CutBody:
		out.cutAfter = int64(max(f.Bytes, 1))
	}
	out.write(r)
}

// instead gives the answer that takes the place of the real one.
func (s *Server) instead(c *call) (reply, bool) {
	switch c.fault.Action {
	case Locked:
		return thrown(http.StatusInternalServerError), true
	case Redirect:
		return s.toWebClient(), true
	case Blocked:
		if s.profile.blockedIs200 {
			return empty(http.StatusOK), true
		}
		return empty(http.StatusServiceUnavailable), true
	case Empty:
		return empty(http.StatusOK), true
	case Unauthorized:
		return empty(http.StatusUnauthorized), true
	case HTML:
		status := c.fault.Status
		if status == 0 {
			status = http.StatusOK
		}
		return page(status, "An answer from the proxy in front.", true), true
	case RateLimited:
		r := page(http.StatusTooManyRequests, "Too many requests.", true)
		r.header = map[string]string{"Retry-After": itoa(max(c.fault.RetryAfter, 1))}
		return r, true
	default:
		return reply{}, false
	}
}

// interrupt cuts, hangs or delays. False means that nothing more is to be done.
func (c *call) interrupt() bool {
	switch c.fault.Action {
	case Cut:
		panic(http.ErrAbortHandler) // the sanctioned way to cut a connection
	case Hang:
		select {
		case <-c.freed:
		case <-c.r.Context().Done():
			return false
		}
	case Delay:
		timer := time.NewTimer(c.fault.Delay)
		defer timer.Stop()
		select { // not the client's context: the change happens all the same
		case <-timer.C:
		case <-c.freed:
		}
	}
	return true
}

// wait pauses; false means that the client has gone.
func (c *call) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.freed:
	case <-c.r.Context().Done():
		return false
	}
	return true
}
