package jellyfintest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Request is what is kept of a request: enough to count and to check, and
// nothing secret.
type Request struct {
	Time   time.Time `json:"time"`
	Method string    `json:"method"`
	// Path is as sent, without the base path; a key in it is starred out.
	Path string `json:"path"`
	// Route is the verb and path that it matched, such as
	// "POST /Users/{userId}/Policy"; empty when none did.
	Route string `json:"route"`
	// Query names the query parameters, sorted. No values.
	Query []string `json:"query"`
	// Headers names the headers, sorted. No values.
	Headers []string `json:"headers"`
	// Status is what was answered; 0 when the connection was cut before.
	Status int `json:"status"`
	// RequestBytes and ResponseBytes count the bodies, as they went over the
	// wire.
	RequestBytes  int64 `json:"request_bytes"`
	ResponseBytes int64 `json:"response_bytes"`
}

// logSize is how many requests are kept; older ones are only counted.
const logSize = 100_000

// requestLog is guarded by Server.mu.
type requestLog struct {
	total int
	last  []Request
}

func newRequest(r *http.Request, now time.Time) *Request {
	seen := &Request{Time: now, Method: r.Method, RequestBytes: max(r.ContentLength, 0)}
	for name := range r.Header {
		seen.Headers = append(seen.Headers, name)
	}
	for name := range r.URL.Query() {
		seen.Query = append(seen.Query, name)
	}
	seen.place(r.URL.Path)
	slices.Sort(seen.Headers)
	slices.Sort(seen.Query)
	return seen
}

// place sets the path, once the base path is known to be off.
func (q *Request) place(path string) {
	q.Path = path
	if parts := segments(path); len(parts) == 3 && strings.EqualFold(parts[0], "Auth") && strings.EqualFold(parts[1], "Keys") {
		q.Path = "/Auth/Keys/***"
	}
}

func (s *Server) record(q *Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.total++
	if len(s.log.last) >= logSize {
		s.log.last = slices.Delete(s.log.last, 0, logSize/2)
	}
	s.log.last = append(s.log.last, *q)
}

// RequestCount says how many requests came since the start or ResetRequests.
// The control handler's are not counted.
func (s *Server) RequestCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.total
}

// Requests gives the last requests, oldest first: at least the last 50,000.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log.last)
}

// CountRequests says how many of the kept requests match a verb and a path
// pattern, both as in Fault.
func (s *Server) CountRequests(method, path string) int {
	f := activeFault{Fault: Fault{Method: method, Path: path}, pattern: segments(path)}
	n := 0
	for _, q := range s.Requests() {
		if f.matches(q.Method, segments(q.Path)) {
			n++
		}
	}
	return n
}

// ResetRequests forgets the requests so far.
func (s *Server) ResetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = requestLog{}
}

func itoa(n int) string { return strconv.Itoa(n) }
