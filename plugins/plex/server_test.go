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

// A redirect is never followed, whatever client the host gives: the token would go
// along to another host.
func TestNoRedirectIsFollowed(t *testing.T) {
	r := newRig(t)
	followed := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed++ }))
	defer other.Close()
	redirect := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	defer redirect.Close()
	transport := &http.Transport{DisableKeepAlives: true}
	given := &http.Client{Transport: transport}
	for name, client := range map[string]*http.Client{"none": nil, "given": given} {
		for _, skipVerify := range []bool{false, true} {
			c := r.open(func(req *sdk.OpenRequest) {
				req.HTTP, req.Server.URL, req.Server.TLS.SkipVerify = client, redirect.URL, skipVerify
				req.Server.Settings["cloud_url"], req.Server.Settings["clients_url"] = redirect.URL, redirect.URL
			})
			_, err := c.GetUser(t.Context(), sdk.GetUserRequest{ID: "1"})
			r.want(err, sdk.ReasonServerError, "redirect")
			_, err = c.TestConnection(t.Context(), sdk.TestConnectionRequest{})
			r.want(err, sdk.ReasonWrongProduct)
			if followed > 0 {
				t.Errorf("client %s: a redirect was followed", name)
			}
		}
	}
	if given.CheckRedirect != nil {
		t.Error("the host's own client was changed")
	}
	http.DefaultClient.CloseIdleConnections()
}
