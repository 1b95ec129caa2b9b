package sdktest

import (
	"maps"
	"slices"
	"strings"

	"github.com/zondarr/zondarr/sdk"
)

// clone gives a user that shares nothing with the stored one.
func (u *fakeUser) clone() sdk.User {
	out := u.User
	if u.Libraries != nil {
		access := *u.Libraries
		access.IDs = slices.Clone(access.IDs)
		out.Libraries = &access
	}
	out.Permissions, out.Limits, out.Options = maps.Clone(u.Permissions), maps.Clone(u.Limits), maps.Clone(u.Options)
	out.PluginState = slices.Clone(u.PluginState)
	if u.SignedIn != nil {
		signedIn := *u.SignedIn
		out.SignedIn = &signedIn
	}
	return out
}

func (s *FakeServer) byNameLocked(username string) *fakeUser {
	for _, u := range s.users {
		if strings.EqualFold(u.Username, username) {
			return u
		}
	}
	return nil
}

func (s *FakeServer) byAccountLocked(id string) *fakeUser {
	for _, u := range s.users {
		if id != "" && u.accountID == id {
			return u
		}
	}
	return nil
}

func (s *FakeServer) signsInLocked(username, password string) *fakeUser {
	u := s.byNameLocked(username)
	if u == nil || u.password == "" || u.password != password || u.Status != sdk.StatusActive || u.cannot {
		return nil
	}
	return u
}

// unknownLocked gives an id that is no library, or "".
func (s *FakeServer) unknownLocked(ids []string) string {
	for _, id := range ids {
		if !slices.ContainsFunc(s.libraries, func(l sdk.Library) bool { return l.ID == id }) {
			return id
		}
	}
	return ""
}
