package jellyfin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/zondarr/zondarr/plugins/jellyfin/jellyfintest"
	"github.com/zondarr/zondarr/sdk"
)

func TestListSessions(t *testing.T) {
	eachVersion(t, func(t *testing.T, u *upstream, c *client) {
		id := u.AddUser("bob", password)
		want := must(u.AddSession(jellyfintest.Session{User: "bob", Client: "Jellyfin Web", Device: "Firefox", Playing: "Alien"}))(t)
		must(u.AddSession(jellyfintest.Session{Client: "A program"}))(t)
		got := must(c.ListSessions(t.Context(), sdk.ListSessionsRequest{}))(t).Sessions
		if len(got) != 1 {
			t.Fatalf("sessions are %+v", got)
		}
		s := got[0]
		if s.ID != want || s.UserID != id || s.Username != "bob" || s.Client != "Jellyfin Web" || s.Device != "Firefox" || s.NowPlaying != "Alien" || s.LastActiveAt.IsZero() || s.RemoteAddr == "" {
			t.Errorf("the session is %+v", s)
		}
	})
}

// What is over by the server's own clock is left out; what plays is not.
func TestSessionsThatAreOver(t *testing.T) {
	user := strings.Repeat("ab", 16)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		body := `{"ServerName":"x","Version":"10.11.6","ProductName":"Jellyfin Server","Id":"` + user + `","StartupWizardCompleted":true}`
		if r.URL.Path == "/Sessions" {
			body = `[{"Id":"a","UserId":"` + user + `","IsActive":false},` +
				`{"Id":"b","UserId":"` + user + `","IsActive":false,"NowPlayingItem":{"Name":"Pilot","SeriesName":"Lost"}},` +
				`{"Id":"c","UserId":"` + user + `"}]`
		}
		_, _ = w.Write([]byte(body))
	}))
	defer srv.Close()
	c := openAt(t, sdk.ServerRef{URL: srv.URL, Secrets: map[string]string{apiKey: "k"}})
	got := must(c.ListSessions(t.Context(), sdk.ListSessionsRequest{}))(t).Sessions
	if len(got) != 2 || got[0].ID != "b" || got[0].NowPlaying != "Lost: Pilot" || got[1].ID != "c" {
		t.Errorf("sessions are %+v", got)
	}
}
