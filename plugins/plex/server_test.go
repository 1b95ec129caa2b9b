package plex

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/zondarr/zondarr/plugins/plex/plextest"
	"github.com/zondarr/zondarr/sdk"
)

// Whatever does not say that it is the confirmed Plex server gets no token: not
// the page of a router that has taken the address over, nor a server whose
// introduction is broken off.
func TestNoTokenWithoutIntroduction(t *testing.T) {
	r := newRig(t)
	var got []string
	router := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("X-Plex-Token") != "" {
			got = append(got, req.URL.Path)
		}
		http.Error(w, "sign in to the router", http.StatusNotFound)
	}))
	defer router.Close()
	elsewhere := r.open(func(req *sdk.OpenRequest) { req.Server.URL = router.URL })
	for name, call := range pmsCalls() {
		r.want(call(t, elsewhere), sdk.ReasonWrongProduct)
		r.fake.ClearRequests()
		r.fake.AddFault(plextest.Fault{Kind: plextest.FaultDown, Path: "/identity"})
		r.want(call(t, r.c), sdk.ReasonStarting)
		r.fake.ClearFaults()
		if seen := r.fake.Requests(); len(seen) != 1 {
			t.Errorf("%s: a server that does not introduce itself is asked more: %v", name, seen)
		}
	}
	if len(got) > 0 {
		t.Errorf("a token went to something that is no Plex server, with %v", got)
	}
}

// pmsCalls are the calls that send a token to the media server itself.
func pmsCalls() map[string]func(*testing.T, *client) error {
	return map[string]func(*testing.T, *client) error{
		"ListLibraries": func(t *testing.T, c *client) error {
			_, err := c.ListLibraries(t.Context(), sdk.ListLibrariesRequest{})
			return err
		},
		"ListSessions": func(t *testing.T, c *client) error {
			_, err := c.ListSessions(t.Context(), sdk.ListSessionsRequest{})
			return err
		},
	}
}
