package sdktest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"github.com/zondarr/zondarr/sdk"
)

func (s *FakeServer) createLocked(w http.ResponseWriter, body json.RawMessage, lie Lie) {
	var in fakeNewUser
	if json.Unmarshal(body, &in) != nil {
		refuse(w, http.StatusBadRequest, sdk.ReasonInvalid, "what was sent is no user")
		return
	}
	u := &fakeUser{password: in.Password}
	u.Username, u.DisplayName, u.Email = in.Username, in.DisplayName, in.Email
	u.Kind, u.Status, u.Libraries = "user", sdk.StatusActive, &sdk.LibraryAccess{Mode: sdk.LibraryNone}
	if in.LinkID != "" {
		link := s.realm.get(in.LinkID, in.LinkToken)
		if link.Status != sdk.LinkApproved {
			refuse(w, http.StatusConflict, sdk.ReasonLinkExpired, "the link is over")
			return
		}
		if s.byAccountLocked(link.Account.ID) != nil {
			refuse(w, http.StatusConflict, sdk.ReasonAlreadyMember, "the account has access already")
			return
		}
		u.Username, u.Email, u.DisplayName, u.accountID = link.Account.Username, link.Account.Email, link.Account.DisplayName, link.Account.ID
	}
	switch {
	case u.Username == "":
		refuse(w, http.StatusBadRequest, sdk.ReasonUsernameInvalid, "a username is needed")
		return
	case in.LinkID == "" && len(in.Password) < 8:
		refuse(w, http.StatusBadRequest, sdk.ReasonPasswordRejected, "the password is too short")
		return
	case s.byNameLocked(u.Username) != nil:
		refuse(w, http.StatusConflict, sdk.ReasonUsernameTaken, "the username is taken")
		return
	}
	if lie == LieInactive {
		u.Status = sdk.StatusSuspended
	}
	u.cannot = lie == LieNoSignIn
	s.addLocked(u)
	u.PluginState = []byte("state of " + u.ID)
	shown := u.clone()
	if lie == LieStoreNothing {
		delete(s.users, u.ID)
	}
	writeJSON(w, http.StatusCreated, shown)
}

// setLocked answers with the changed user; under a lie it stores something else.
func (s *FakeServer) setLocked(w http.ResponseWriter, path, id string, body json.RawMessage, lie Lie) {
	stored := s.users[id]
	if stored == nil {
		if lie == LieStoreNothing { // it goes on lying about the user that it did not make
			writeJSON(w, http.StatusOK, sdk.User{ID: id, Status: sdk.StatusActive})
			return
		}
		s.answerLocked(w, nil)
		return
	}
	if stored.Protected {
		refuse(w, http.StatusForbidden, sdk.ReasonProtected, "administrators are not changed")
		return
	}
	u := *stored
	u.User = stored.clone()
	if !s.applyLocked(w, &u, path, body, lie) {
		return
	}
	shown := u.clone()
	if lie != LieStoreNothing && lie != LieRevert {
		s.users[id] = &u
	}
	writeJSON(w, http.StatusOK, shown)
}

// applyLocked changes u, or refuses and says false.
func (s *FakeServer) applyLocked(w http.ResponseWriter, u *fakeUser, path string, body json.RawMessage, lie Lie) bool {
	var access sdk.LibraryAccess
	var policy fakePolicy
	var text string
	var into any = &text
	switch path {
	case "/users/*/libraries":
		into = &access
	case "/users/*/policy":
		into = &policy
	}
	if json.Unmarshal(body, into) != nil {
		refuse(w, http.StatusBadRequest, sdk.ReasonInvalid, "what was sent makes no sense")
		return false
	}
	switch path {
	case "/users/*/libraries":
		if s.unknownLocked(access.IDs) != "" {
			refuse(w, http.StatusBadRequest, sdk.ReasonLibraryNotFound, "there is no such library")
			return false
		}
		if lie == LieIgnoreKey && len(access.IDs) > 0 {
			access.IDs = access.IDs[:len(access.IDs)-1]
		}
		u.Libraries = &access
	case "/users/*/policy":
		u.apply(policy, lie)
	case "/users/*/status":
		u.Status = sdk.Status(text)
	case "/users/*/password":
		if len(text) < 8 {
			refuse(w, http.StatusBadRequest, sdk.ReasonPasswordRejected, "the password is too short")
			return false
		}
		u.password = text
	}
	return true
}

func (u *fakeUser) apply(p fakePolicy, lie Lie) {
	ignored := lie != LieIgnoreKey // one key is, at most
	keep := func() bool {
		if ignored {
			return true
		}
		ignored = true
		return false
	}
	for _, name := range slices.Sorted(maps.Keys(p.Permissions)) {
		if p.Permissions[name] != sdk.Unset && keep() {
			u.Permissions = set(u.Permissions, name, p.Permissions[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Limits)) {
		if keep() {
			u.Limits = set(u.Limits, name, p.Limits[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Options)) {
		if keep() {
			u.Options = set(u.Options, name, p.Options[name])
		}
	}
}

func set[V any](m map[string]V, name string, v V) map[string]V {
	if m == nil {
		m = map[string]V{}
	}
	m[name] = v
	return m
}

func (s *FakeServer) deleteLocked(w http.ResponseWriter, id string, lie Lie) {
	u := s.users[id]
	switch {
	case u == nil:
		s.answerLocked(w, nil)
	case u.Protected:
		refuse(w, http.StatusForbidden, sdk.ReasonProtected, "administrators are not deleted")
	default:
		if lie != LieStoreNothing && lie != LieRevert {
			delete(s.users, id)
		}
		writeJSON(w, http.StatusOK, struct{}{})
	}
}
