package plextest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// ControlHandler lets another process do what the methods of Fake do, under
// /_fake/. Bodies and answers are JSON; durations may be written "2s"; people
// are named by id, username or e-mail. It trusts every caller, and two of its
// paths show secrets on purpose: /_fake/tokens and /_fake/secrets, for tests
// that sign in or that look for leaks.
func (f *Fake) ControlHandler() http.Handler {
	mux := http.NewServeMux()
	on := func(pattern string, h controlHandler) { mux.Handle(pattern, h) }

	on("GET /_fake/{$}", f.ctlOverview)
	on("POST /_fake/reset", func(*controlCall) (any, error) { return nil, f.Reset() })
	on("POST /_fake/advance", f.ctlAdvance)
	on("GET /_fake/switches", func(*controlCall) (any, error) { return f.Switches(), nil })
	on("PATCH /_fake/switches", f.ctlSwitches)

	on("GET /_fake/accounts", func(*controlCall) (any, error) { return f.Accounts(), nil })
	on("POST /_fake/accounts", f.ctlAddAccount)
	on("PATCH /_fake/accounts/{key}", f.ctlEditAccount)
	on("POST /_fake/accounts/{key}/tokens", f.ctlToken)
	on("DELETE /_fake/accounts/{key}/tokens", f.ctlSignOut)
	on("POST /_fake/friends", f.ctlFriends)
	on("POST /_fake/homes/{key}/members", f.ctlHomeMember)
	on("POST /_fake/homes/{key}/managed", f.ctlManaged)
	on("POST /_fake/homes/{key}/accept", f.ctlAcceptHome)

	on("GET /_fake/servers", func(*controlCall) (any, error) { return f.ctlServers(), nil })
	on("POST /_fake/servers", f.ctlAddServer)
	on("PATCH /_fake/servers/{mid}", f.ctlEditServer)
	on("POST /_fake/servers/{mid}/sections", f.ctlAddSection)
	on("DELETE /_fake/servers/{mid}/sections/{id}", f.ctlRemoveSection)
	on("PUT /_fake/servers/{mid}/identity", f.ctlIdentity)
	on("POST /_fake/servers/{mid}/sessions", f.ctlAddSession)
	on("GET /_fake/servers/{mid}/access/{key}", f.ctlAccess)

	on("GET /_fake/pins", func(*controlCall) (any, error) { return orEmpty(f.Pins()), nil })
	on("POST /_fake/pins/{code}/approve", f.ctlApprove)
	on("POST /_fake/pins/{code}/deny", func(c *controlCall) (any, error) { return nil, f.Deny(c.r.PathValue("code")) })

	on("GET /_fake/shares", f.ctlShares)
	on("POST /_fake/shares", f.ctlAddShare)
	on("DELETE /_fake/shares/{id}", func(c *controlCall) (any, error) { return c.done(f.Unshare(c.id())) })
	on("POST /_fake/shares/{id}/accept", func(c *controlCall) (any, error) { return c.done(f.Accept(c.id())) })
	on("POST /_fake/shares/{id}/leave", func(c *controlCall) (any, error) { return c.done(f.Leave(c.id())) })

	on("GET /_fake/faults", func(*controlCall) (any, error) { return f.Faults(), nil })
	on("POST /_fake/faults", f.ctlAddFault)
	on("DELETE /_fake/faults", func(*controlCall) (any, error) { f.ClearFaults(); return nil, nil })
	on("GET /_fake/faults/{id}/hits", func(c *controlCall) (any, error) { return f.FaultHits(int(c.id())), nil })
	on("GET /_fake/faults/{id}/waiting", func(c *controlCall) (any, error) { return f.FaultWaiting(int(c.id())), nil })
	on("POST /_fake/faults/{id}/release", func(c *controlCall) (any, error) { f.Release(int(c.id())); return nil, nil })

	on("GET /_fake/requests", f.ctlRequests)
	on("DELETE /_fake/requests", func(*controlCall) (any, error) { f.ClearRequests(); return nil, nil })
	on("GET /_fake/devices", func(*controlCall) (any, error) { return f.Devices(), nil })
	on("GET /_fake/tokens", func(*controlCall) (any, error) { return f.Tokens(), nil })
	on("GET /_fake/secrets", func(*controlCall) (any, error) { return orEmpty(f.Secrets()), nil })
	return mux
}

// controlHandler gives what to answer; nil without an error is 204.
type controlHandler func(*controlCall) (any, error)

type controlCall struct {
	r    *http.Request
	body []byte
}

var errNoSuch = errors.New("plextest: no such thing")

func (h controlHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var out any
	if err == nil {
		out, err = h(&controlCall{r: r, body: body})
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	switch {
	case errors.Is(err, errNoSuch), errors.Is(err, ErrNoAccount), errors.Is(err, ErrPinNotFound):
		w.WriteHeader(http.StatusNotFound)
		out = map[string]string{"error": err.Error()}
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
		out = map[string]string{"error": err.Error()}
	case out == nil:
		w.WriteHeader(http.StatusNoContent)
		return
	}
	json.NewEncoder(w).Encode(out) //nolint:errcheck // a caller that left is no error here
}

// read decodes the body onto v, which may hold values that stay. Unknown
// fields are errors, so that a typo in a script does not pass silently.
func (c *controlCall) read(v any) error {
	if len(c.body) == 0 {
		return nil
	}
	var tree any
	if err := json.Unmarshal(c.body, &tree); err != nil {
		return fmt.Errorf("plextest: the body is not JSON: %w", err)
	}
	spellDurations(tree)
	if err := strictDecode(jsonValue(tree), v); err != nil {
		return fmt.Errorf("plextest: the body does not fit: %w", err)
	}
	return nil
}

func (c *controlCall) id() int64 {
	n, _ := strconv.ParseInt(c.r.PathValue("id"), 10, 64)
	return n
}

func (c *controlCall) done(found bool) (any, error) {
	if !found {
		return nil, errNoSuch
	}
	return nil, nil
}

// spellDurations turns "2s" into nanoseconds wherever a duration is expected.
func spellDurations(tree any) {
	switch tree := tree.(type) {
	case map[string]any:
		for name, v := range tree {
			text, isText := v.(string)
			switch name {
			case "invite_delay", "device_delay", "users_lag", "pin_ttl", "lag", "hidden", "delay", "duration":
				if d, err := time.ParseDuration(text); isText && err == nil {
					tree[name] = int64(d)
				}
			default:
				spellDurations(v)
			}
		}
	case []any:
		for _, v := range tree {
			spellDurations(v)
		}
	}
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
