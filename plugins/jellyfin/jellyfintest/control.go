package jellyfintest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// controlPrefix is where other processes set the server up and look into it.
// It lies outside the base path, meets no fault and is not in the request log.
const controlPrefix = "/_control"

// controlRoutes is the set-up API for other processes, in JSON:
//
//	GET    /_control/state              version, id, counts, an API key to use
//	POST   /_control/state              {"server_id": …, "quick_connect": bool}
//	POST   /_control/restart            Server.Restart
//	GET    /_control/users              all users with their stored policies
//	GET    /_control/users/{name}       one user, by name or id
//	POST   /_control/users              {"name", "password", "admin", "policy": {…}}
//	POST   /_control/users/bulk         {"prefix", "count"}
//	POST   /_control/users/{name}/policy    members to change, unchecked
//	POST   /_control/users/{name}/sign-in   {"password"} → 204, or 403 and why not
//	DELETE /_control/users/{name}
//	POST   /_control/keys               {"name"} → {"key"}
//	DELETE /_control/keys/{key}
//	GET    /_control/libraries
//	POST   /_control/libraries          a Library → {"id"}
//	DELETE /_control/libraries/{name}   by name or id
//	POST   /_control/faults             a fault; "delay" is a text such as "200ms"
//	GET    /_control/faults             {"hits"}
//	DELETE /_control/faults
//	POST   /_control/release            let go of what hangs
//	GET    /_control/requests           {"count", "requests"}; ?method= and ?path= count those alone
//	DELETE /_control/requests
//	GET    /_control/sessions
//	POST   /_control/sessions           a Session → {"id"}
func (s *Server) controlRoutes() http.Handler {
	mux := http.NewServeMux()
	on := func(pattern string, handle func(r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			v, err := handle(r)
			writeControl(w, v, err)
		})
	}
	on("GET "+controlPrefix+"/state", s.controlState)
	on("POST "+controlPrefix+"/state", s.controlSetState)
	on("POST "+controlPrefix+"/restart", func(*http.Request) (any, error) { s.Restart(); return nil, nil })
	on("GET "+controlPrefix+"/users", func(*http.Request) (any, error) { return s.Users(), nil })
	on("POST "+controlPrefix+"/users", s.controlAddUser)
	on("POST "+controlPrefix+"/users/bulk", s.controlAddUsers)
	on("GET "+controlPrefix+"/users/{name}", s.controlUser)
	on("DELETE "+controlPrefix+"/users/{name}", func(r *http.Request) (any, error) {
		return nil, s.RemoveUser(r.PathValue("name"))
	})
	on("POST "+controlPrefix+"/users/{name}/policy", s.controlSetPolicy)
	on("POST "+controlPrefix+"/users/{name}/sign-in", s.controlSignIn)
	on("POST "+controlPrefix+"/keys", s.controlAddKey)
	on("DELETE "+controlPrefix+"/keys/{key}", func(r *http.Request) (any, error) {
		s.DeleteAPIKey(r.PathValue("key"))
		return nil, nil
	})
	on("GET "+controlPrefix+"/libraries", func(*http.Request) (any, error) { return s.Libraries(), nil })
	on("POST "+controlPrefix+"/libraries", s.controlAddLibrary)
	on("DELETE "+controlPrefix+"/libraries/{name}", func(r *http.Request) (any, error) {
		return nil, s.RemoveLibrary(r.PathValue("name"))
	})
	on("POST "+controlPrefix+"/faults", s.controlAddFault)
	on("GET "+controlPrefix+"/faults", func(*http.Request) (any, error) {
		return map[string]int{"hits": s.FaultHits()}, nil
	})
	on("DELETE "+controlPrefix+"/faults", func(*http.Request) (any, error) { s.ClearFaults(); return nil, nil })
	on("POST "+controlPrefix+"/release", func(*http.Request) (any, error) { s.Release(); return nil, nil })
	on("GET "+controlPrefix+"/requests", s.controlRequests)
	on("DELETE "+controlPrefix+"/requests", func(*http.Request) (any, error) { s.ResetRequests(); return nil, nil })
	on("GET "+controlPrefix+"/sessions", func(*http.Request) (any, error) { return s.Sessions(), nil })
	on("POST "+controlPrefix+"/sessions", s.controlAddSession)
	return mux
}

// errRefused marks a sign-in that would fail.
var errRefused = errors.New("refused")

func writeControl(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case err == nil && v == nil:
		w.WriteHeader(http.StatusNoContent)
	case err == nil:
		_ = json.NewEncoder(w).Encode(v) // a caller that went away needs no answer
	default:
		status := http.StatusBadRequest
		if errors.Is(err, ErrNotFound) {
			status = http.StatusNotFound
		} else if errors.Is(err, errRefused) {
			status = http.StatusForbidden
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
	}
}

func readControl[T any](r *http.Request) (T, error) {
	var v T
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields() // a misspelt member must not pass for a set-up
	if err := d.Decode(&v); err != nil {
		return v, fmt.Errorf("body: %w", err)
	}
	return v, nil
}

func (s *Server) controlState(*http.Request) (any, error) {
	state := map[string]any{
		"version": s.Version(), "server_id": s.ID(), "users": s.UserCount(),
		"libraries": len(s.Libraries()), "requests": s.RequestCount(), "url": s.URL(),
	}
	s.lock()
	defer s.mu.Unlock()
	if len(s.state.keys) > 0 {
		state["api_key"] = s.state.keys[0].token
	}
	return state, nil
}

func (s *Server) controlSetState(r *http.Request) (any, error) {
	in, err := readControl[struct {
		ServerID     *string `json:"server_id"`
		QuickConnect *bool   `json:"quick_connect"`
	}](r)
	if err != nil {
		return nil, err
	}
	if in.ServerID != nil {
		s.SetID(*in.ServerID)
	}
	if in.QuickConnect != nil {
		s.SetQuickConnect(*in.QuickConnect)
	}
	return nil, nil
}

func (s *Server) controlUser(r *http.Request) (any, error) {
	u, ok := s.User(r.PathValue("name"))
	if !ok {
		return nil, ErrNotFound
	}
	return u, nil
}

func (s *Server) controlAddUser(r *http.Request) (any, error) {
	in, err := readControl[struct {
		Name     string          `json:"name"`
		Password string          `json:"password"`
		Admin    bool            `json:"admin"`
		Policy   json.RawMessage `json:"policy"`
	}](r)
	if err != nil {
		return nil, err
	}
	if _, taken := s.User(in.Name); taken || in.Name == "" {
		return nil, fmt.Errorf("user name %q is empty or taken", in.Name)
	}
	overlay, err := policyOverlay(in.Policy)
	if err != nil {
		return nil, err
	}
	add := s.AddUser
	if in.Admin {
		add = s.AddAdmin
	}
	return map[string]string{"id": add(in.Name, in.Password, overlay)}, nil
}

// policyOverlay changes the members that the JSON text has.
func policyOverlay(text json.RawMessage) (func(*Policy), error) {
	if len(text) == 0 {
		return func(*Policy) {}, nil
	}
	if err := json.Unmarshal(text, new(Policy)); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	return func(y *Policy) { _ = json.Unmarshal(text, y) }, nil // was read once above
}

func (s *Server) controlAddUsers(r *http.Request) (any, error) {
	in, err := readControl[struct {
		Prefix string `json:"prefix"`
		Count  int    `json:"count"`
	}](r)
	if err != nil {
		return nil, err
	}
	if _, taken := s.User(in.Prefix + "000000"); taken {
		return nil, fmt.Errorf("prefix %q is taken", in.Prefix)
	}
	s.AddUsers(in.Prefix, in.Count)
	return nil, nil
}

func (s *Server) controlSetPolicy(r *http.Request) (any, error) {
	text, err := readControl[json.RawMessage](r)
	if err != nil {
		return nil, err
	}
	overlay, err := policyOverlay(text)
	if err != nil {
		return nil, err
	}
	return nil, s.SetPolicy(r.PathValue("name"), overlay)
}

func (s *Server) controlSignIn(r *http.Request) (any, error) {
	in, err := readControl[struct {
		Password string `json:"password"`
	}](r)
	if err != nil {
		return nil, err
	}
	if err := s.SignIn(r.PathValue("name"), in.Password); err != nil {
		if errors.Is(err, ErrNotFound) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	return nil, nil
}

func (s *Server) controlAddKey(r *http.Request) (any, error) {
	in, err := readControl[struct {
		Name string `json:"name"`
	}](r)
	if err != nil {
		return nil, err
	}
	return map[string]string{"key": s.CreateAPIKey(in.Name)}, nil
}

func (s *Server) controlAddLibrary(r *http.Request) (any, error) {
	in, err := readControl[Library](r)
	if err != nil {
		return nil, err
	}
	return map[string]string{"id": s.AddLibrary(in)}, nil
}

func (s *Server) controlAddFault(r *http.Request) (any, error) {
	in, err := readControl[struct {
		Method      string `json:"method"`
		Path        string `json:"path"`
		Skip        int    `json:"skip"`
		Count       int    `json:"count"`
		Action      Action `json:"action"`
		AfterCommit bool   `json:"after_commit"`
		Delay       string `json:"delay"`
		RetryAfter  int    `json:"retry_after"`
		Status      int    `json:"status"`
		Bytes       int    `json:"bytes"`
		Rival       string `json:"rival"`
		Restart     bool   `json:"until_restart"`
	}](r)
	if err != nil {
		return nil, err
	}
	var delay time.Duration
	if in.Delay != "" {
		if delay, err = time.ParseDuration(in.Delay); err != nil {
			return nil, fmt.Errorf("delay: %w", err)
		}
	}
	f := Fault{
		Method: in.Method, Path: in.Path, Skip: in.Skip, Count: in.Count, Action: in.Action, AfterCommit: in.AfterCommit,
		Delay: delay, RetryAfter: in.RetryAfter, Status: in.Status, Bytes: in.Bytes, Rival: in.Rival, UntilRestart: in.Restart,
	}
	if !f.Action.known() {
		return nil, fmt.Errorf("action %q is unknown", f.Action)
	}
	s.AddFault(f)
	return nil, nil
}

func (s *Server) controlRequests(r *http.Request) (any, error) {
	method, path := r.URL.Query().Get("method"), r.URL.Query().Get("path")
	if method != "" || path != "" {
		return map[string]int{"count": s.CountRequests(method, path)}, nil
	}
	return map[string]any{"count": s.RequestCount(), "requests": s.Requests()}, nil
}

func (s *Server) controlAddSession(r *http.Request) (any, error) {
	in, err := readControl[Session](r)
	if err != nil {
		return nil, err
	}
	id, err := s.AddSession(in)
	if err != nil {
		return nil, err
	}
	return map[string]string{"id": id}, nil
}
