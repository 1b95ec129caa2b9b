package sdktest

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"

	"github.com/zondarr/zondarr/sdk"
)

// Headers of the fake media server's own protocol. They let it know which verb of the
// contract a request belongs to, and whether it is the verb's first or last.
const (
	opHeader    = "X-Fake-Op"
	firstHeader = "X-Fake-First"
	lastHeader  = "X-Fake-Last"
	trustHeader = "X-Fake-Trust" // on a response: do not compare it with what was asked
)

// The bodies of the protocol.
type (
	fakeProblem struct {
		Error     sdk.Reason
		Source    sdk.Source
		Message   string
		Retryable bool
		WaitMS    int64
		Committed bool
		Stale     bool
		Fields    []sdk.FieldProblem
	}
	fakeNewUser struct {
		Username, DisplayName, Email, Password string
		LinkID, LinkToken                      string
	}
	fakePolicy struct {
		Permissions map[string]sdk.Tri
		Limits      map[string]int64
		Options     map[string]any
	}
	fakeSignIn struct{ Username, Password string }
	fakePage   struct{ Users []sdk.User }
)

// ServeHTTP is the media server's API.
func (s *FakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op, first, last := r.Header.Get(opHeader), r.Header.Get(firstHeader) != "", r.Header.Get(lastHeader) != ""
	s.mu.Lock()
	s.requests++
	s.mu.Unlock()
	body, err := io.ReadAll(r.Body) // or nobody notices that the caller hangs up
	if err != nil {
		return
	}
	f := s.strike(op, first, last)
	if !f.Commit && f.Answer == nil && s.goWrong(w, r, f) {
		return
	}
	answer := httptest.NewRecorder()
	s.route(answer, r, body, f)
	if (f.Commit || f.Answer != nil) && answer.Code < 300 {
		if s.goWrong(w, r, f) {
			return
		}
		if f.Answer != nil {
			s.change(answer, f.Answer)
		}
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes()) // the caller may have gone
}

// goWrong does a fault's hanging, waiting and failing; it says whether the request is
// over.
func (s *FakeServer) goWrong(w http.ResponseWriter, r *http.Request, f Fault) bool {
	if f.Hook != nil {
		f.Hook()
	}
	if f.Delay > 0 {
		s.wait(f.Delay)
	}
	if f.Hang {
		select {
		case <-r.Context().Done():
		case <-s.closed:
		}
		return true
	}
	if f.Err != nil {
		status := http.StatusConflict
		if f.Err.UpstreamStatus >= 400 {
			status = f.Err.UpstreamStatus
		}
		writeJSON(w, status, fakeProblem{
			Error: f.Err.Kind(), Source: f.Err.Source, Message: f.Err.Message, Retryable: f.Err.Retryable,
			WaitMS: f.Err.RetryAfter.Milliseconds(), Committed: f.Commit, Stale: f.Err.Stale, Fields: f.Err.Fields,
		})
		return true
	}
	return false
}

// change changes the user of an answer, and marks it as not to be compared.
func (s *FakeServer) change(answer *httptest.ResponseRecorder, change func(*sdk.User)) {
	var u sdk.User
	if json.Unmarshal(answer.Body.Bytes(), &u) != nil || u.ID == "" {
		return
	}
	change(&u)
	answer.Body.Reset()
	_ = json.NewEncoder(answer.Body).Encode(u) // a user always encodes
	answer.Header().Set(trustHeader, "1")
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the caller may have gone
}

func refuse(w http.ResponseWriter, status int, reason sdk.Reason, message string) {
	writeJSON(w, status, fakeProblem{Error: reason, Message: message})
}

func (s *FakeServer) route(w http.ResponseWriter, r *http.Request, body json.RawMessage, f Fault) {
	lie := f.Lie
	if r.Method == http.MethodGet && r.URL.Path == "/info" {
		s.mu.Lock()
		defer s.mu.Unlock()
		writeJSON(w, http.StatusOK, s.facts)
		return
	}
	s.mu.Lock()
	key := s.key
	s.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+key {
		refuse(w, http.StatusUnauthorized, sdk.ReasonCredentialsRejected, "the API key is not valid")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	path, id := r.URL.Path, ""
	if rest, ok := strings.CutPrefix(path, "/users/"); ok {
		id, rest, _ = strings.Cut(rest, "/")
		path = strings.TrimSuffix("/users/*/"+rest, "/")
	} else if rest, ok := strings.CutPrefix(path, "/links/"); ok {
		id, path = rest, "/links/*"
	}
	switch r.Method + " " + path {
	case "GET /me":
		writeJSON(w, http.StatusOK, struct{}{})
	case "GET /libraries":
		writeJSON(w, http.StatusOK, s.libraries)
	case "GET /users":
		s.listLocked(w, r)
	case "GET /find":
		s.findLocked(w, r, f.Stale)
	case "GET /users/*":
		s.answerLocked(w, s.users[id])
	case "POST /users":
		s.createLocked(w, body, lie)
	case "PUT /users/*/libraries", "PATCH /users/*/policy", "PUT /users/*/status", "PUT /users/*/password":
		s.setLocked(w, path, id, body, lie)
	case "DELETE /users/*":
		s.deleteLocked(w, id, lie)
	case "POST /sign-in":
		s.signInLocked(w, body)
	case "GET /sessions":
		writeJSON(w, http.StatusOK, s.sessions)
	case "POST /links":
		writeJSON(w, http.StatusOK, s.realm.begin())
	case "GET /links/*":
		writeJSON(w, http.StatusOK, s.realm.get(id, r.URL.Query().Get("token")))
	case "DELETE /links/*":
		s.realm.end(id)
		writeJSON(w, http.StatusOK, struct{}{})
	default:
		http.NotFound(w, r)
	}
}

func (s *FakeServer) answerLocked(w http.ResponseWriter, u *fakeUser) {
	if u == nil {
		refuse(w, http.StatusNotFound, sdk.ReasonNotFound, "there is no such user")
		return
	}
	writeJSON(w, http.StatusOK, u.clone())
}

func (s *FakeServer) listLocked(w http.ResponseWriter, r *http.Request) {
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	after := r.URL.Query().Get("after")
	ids := slices.Sorted(maps.Keys(s.users))
	at, found := slices.BinarySearch(ids, after)
	if found {
		at++
	}
	page := fakePage{Users: []sdk.User{}}
	for _, id := range ids[at:min(len(ids), at+cmp.Or(limit, 500))] {
		page.Users = append(page.Users, s.users[id].clone())
	}
	writeJSON(w, http.StatusOK, page)
}

func (s *FakeServer) findLocked(w http.ResponseWriter, r *http.Request, stale bool) {
	q := r.URL.Query()
	if stale && q.Get("max_age") != "" {
		writeJSON(w, http.StatusNotFound, fakeProblem{Error: sdk.ReasonNotFound, Message: "there was no such user", Stale: true})
		return
	}
	if account := q.Get("account"); account != "" {
		s.answerLocked(w, s.byAccountLocked(account))
		return
	}
	s.answerLocked(w, s.byNameLocked(q.Get("username")))
}

func (s *FakeServer) signInLocked(w http.ResponseWriter, body json.RawMessage) {
	var in fakeSignIn
	if json.Unmarshal(body, &in) != nil {
		refuse(w, http.StatusBadRequest, sdk.ReasonInvalid, "what was sent is no sign-in")
		return
	}
	u := s.signsInLocked(in.Username, in.Password)
	if u == nil {
		writeJSON(w, http.StatusOK, sdk.VerifyPasswordResponse{})
		return
	}
	writeJSON(w, http.StatusOK, sdk.VerifyPasswordResponse{OK: true, UserID: u.ID})
}

// memoryTransport hands requests to a FakeServer without a network. As over one, the
// server goes on when its caller has gone.
type memoryTransport struct{ server *FakeServer }

// RoundTrip does one request.
func (t memoryTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	select {
	case <-t.server.closed:
		e := sdk.Errorf(sdk.ReasonUnavailable, "the server refuses connections")
		e.Source = sdk.SourceUpstream
		return nil, e
	default:
	}
	handlerCtx, gone := context.WithCancel(context.WithoutCancel(ctx))
	r := req.Clone(handlerCtx)
	if r.Body == nil {
		r.Body = http.NoBody
	}
	done := make(chan *http.Response, 1)
	t.server.live.Go(func() {
		rec := httptest.NewRecorder()
		t.server.ServeHTTP(rec, r)
		done <- rec.Result()
	})
	select {
	case resp := <-done:
		gone()
		if ctx.Err() != nil { // it hung until its caller had gone
			return nil, ctx.Err()
		}
		return resp, nil
	case <-ctx.Done():
		gone()
		return nil, ctx.Err()
	}
}
