package plextest

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// FaultKind names what happens to a request that a [Fault] matches.
type FaultKind string

// The kinds of faults. Those that say "instead" never reach the handler, so
// nothing is changed; the others happen after the handler has committed.
const (
	FaultGone         FaultKind = "gone"         // instead: 410 with the notice of a removed endpoint
	FaultRateLimit    FaultKind = "rateLimit"    // instead: 429, code 1003, Retry-After if set
	FaultDown         FaultKind = "down"         // instead: 503 with an empty body
	FaultStatus       FaultKind = "status"       // instead: Status, with Body if set
	FaultHTML         FaultKind = "htmlError"    // instead: an HTML page with Status (502), as from an edge proxy
	FaultMaintenance  FaultKind = "maintenance"  // instead: 503 as a media server that is starting says it
	FaultDropRequest  FaultKind = "dropRequest"  // instead: the connection is closed
	FaultDropResponse FaultKind = "dropResponse" // after the commit: the connection is closed
	FaultHang         FaultKind = "hang"         // before the handler: waits for Release, then goes on
	FaultHangResponse FaultKind = "hangResponse" // after the commit: waits for Release, then answers
	FaultSlowBody     FaultKind = "slowBody"     // after the commit: sends half of the body, waits for Release or Delay, sends the rest
	FaultTruncate     FaultKind = "truncate"     // after the commit: sends half of the body, then closes the connection
)

func (k FaultKind) known() bool {
	switch k {
	case FaultGone, FaultRateLimit, FaultDown, FaultStatus, FaultHTML, FaultMaintenance, FaultDropRequest,
		FaultDropResponse, FaultHang, FaultHangResponse, FaultSlowBody, FaultTruncate:
		return true
	}
	return false
}

// Fault breaks requests that match it. Zero fields match everything; the
// oldest fault that matches wins.
type Fault struct {
	ID     int       `json:"id"`
	Kind   FaultKind `json:"kind"`
	Target string    `json:"target,omitempty"` // "cloud" or a machine identifier
	Method string    `json:"method,omitempty"`
	// Path is matched by segments: "*" is one segment, a final "**" any rest.
	Path string `json:"path,omitempty"`
	// From is the first matching request that is broken, counted from 1.
	From int `json:"from,omitempty"`
	// Times is how many are broken; 0 means all until the fault is cleared.
	Times int `json:"times,omitempty"`

	Status     int           `json:"status,omitempty"`
	Body       string        `json:"body,omitempty"`
	RetryAfter string        `json:"retry_after,omitempty"` // header value; none when empty
	Delay      time.Duration `json:"delay,omitempty"`       // real time, for slowBody
}

type liveFault struct {
	Fault
	seen, hit int
	waiting   int
	released  chan struct{}
	open      bool // released is still open
}

// AddFault arms a fault and gives its id.
func (f *Fake) AddFault(fault Fault) int {
	if !fault.Kind.known() {
		panic("plextest: no fault kind " + string(fault.Kind))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lastFault++
	fault.ID = f.lastFault
	f.faults = append(f.faults, &liveFault{Fault: fault, released: make(chan struct{}), open: true})
	return fault.ID
}

// Release lets requests go on that wait on the fault; later ones do not wait.
func (f *Fake) Release(id int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, lf := range f.faults {
		if lf.ID == id {
			lf.release()
		}
	}
}

// ClearFaults removes every fault and lets go whatever waits on one.
func (f *Fake) ClearFaults() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, lf := range f.faults {
		lf.release()
	}
	f.faults = nil
}

// Faults lists the armed faults.
func (f *Fake) Faults() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]Fault, len(f.faults))
	for i, lf := range f.faults {
		out[i] = lf.Fault
	}
	return out
}

// FaultHits says how many requests a fault has broken so far.
func (f *Fake) FaultHits(id int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, lf := range f.faults {
		if lf.ID == id {
			return lf.hit
		}
	}
	return 0
}

// FaultWaiting says how many requests hang on a fault now. A client that gave
// up is no longer counted once the Fake has noticed.
func (f *Fake) FaultWaiting(id int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, lf := range f.faults {
		if lf.ID == id {
			return lf.waiting
		}
	}
	return 0
}

// hang waits until the fault is released or limit (if any) has passed; false
// when the client left first.
func (f *Fake) hang(ctx context.Context, lf *liveFault, limit time.Duration) bool {
	count := func(n int) {
		f.mu.Lock()
		defer f.mu.Unlock()
		lf.waiting += n
	}
	count(1)
	defer count(-1)
	var late <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-lf.released:
	case <-late:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

func (lf *liveFault) release() {
	if lf.open {
		lf.open = false
		close(lf.released)
	}
}

// strike gives the fault that breaks this request, if any.
func (f *Fake) strike(target, method, path string) *liveFault {
	for _, lf := range f.faults {
		if !lf.matches(target, method, path) {
			continue
		}
		lf.seen++
		if lf.seen < lf.From || (lf.Times > 0 && lf.hit >= lf.Times) {
			continue
		}
		lf.hit++
		return lf
	}
	return nil
}

func (lf *liveFault) matches(target, method, path string) bool {
	return (lf.Target == "" || lf.Target == target) &&
		(lf.Method == "" || strings.EqualFold(lf.Method, method)) &&
		(lf.Path == "" || matchPath(lf.Path, path))
}

func matchPath(pattern, path string) bool {
	want := strings.Split(strings.Trim(pattern, "/"), "/")
	got := strings.Split(strings.Trim(path, "/"), "/")
	for i, w := range want {
		if w == "**" {
			return true
		}
		if i >= len(got) || (w != "*" && w != got[i]) {
			return false
		}
	}
	return len(want) == len(got)
}

// instead gives the answer of a fault that keeps the request from its handler.
func (lf *liveFault) instead() (reply, bool) {
	status := func(other int) int {
		if lf.Status != 0 {
			return lf.Status
		}
		return other
	}
	switch lf.Kind {
	case FaultGone:
		return gone(), true
	case FaultRateLimit:
		r := errorsV2(http.StatusTooManyRequests, codeRateLimited, "API rate limit exceeded")
		if lf.RetryAfter != "" {
			r = r.withHeader("Retry-After", lf.RetryAfter)
		}
		return r, true
	case FaultDown:
		return reply{status: http.StatusServiceUnavailable, forms: asIs}, true
	case FaultStatus:
		return reply{status: status(http.StatusInternalServerError), forms: asIs, contentType: "text/plain", raw: []byte(lf.Body)}, true
	case FaultHTML:
		s := status(http.StatusBadGateway)
		return html(s, http.StatusText(s)), true
	case FaultMaintenance:
		return reply{
			status: http.StatusServiceUnavailable, forms: alwaysXML,
			body: el("Response", at("code", strconv.Itoa(http.StatusServiceUnavailable)), at("title", "Maintenance"),
				at("status", "Plex Media Server is currently running startup maintenance tasks.")),
		}, true
	case FaultDropRequest, FaultDropResponse, FaultHang, FaultHangResponse, FaultSlowBody, FaultTruncate:
	}
	return reply{}, false
}
