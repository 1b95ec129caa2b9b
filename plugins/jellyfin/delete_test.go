package jellyfin

import (
	"strings"
	"sync"
	"testing"

	"github.com/zondarr/zondarr/plugins/jellyfin/jellyfintest"
	"github.com/zondarr/zondarr/sdk"
)

// R3.4: deleting is idempotent, in every form of an id and on every version.
func TestDelete(t *testing.T) {
	eachVersion(t, func(t *testing.T, u *upstream, c *client) {
		id := u.AddUser("bob", password)
		dashed := strings.ToUpper(id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:])
		if must(c.DeleteUser(t.Context(), sdk.DeleteUserRequest{ID: dashed}))(t).AlreadyGone {
			t.Error("there was nothing to delete")
		}
		for _, gone := range []string{id, "nobody", "", strings.Repeat("0", 32)} {
			if !must(c.DeleteUser(t.Context(), sdk.DeleteUserRequest{ID: gone}))(t).AlreadyGone {
				t.Errorf("%q was deleted", gone)
			}
		}
		if u.UserCount() != 1 {
			t.Errorf("%d users are left", u.UserCount())
		}
	})
}

func TestDeleteFaults(t *testing.T) {
	for name, f := range map[string]struct {
		fault jellyfintest.Fault
		want  sdk.Reason // empty for success
	}{
		"LockedOnce":        {jellyfintest.Fault{Action: jellyfintest.Locked, Count: 1}, ""},
		"LockedAfterCommit": {jellyfintest.Fault{Action: jellyfintest.Locked, Count: 1, AfterCommit: true}, ""},
		"Locked":            {jellyfintest.Fault{Action: jellyfintest.Locked}, sdk.ReasonServerError},
		"Empty":             {jellyfintest.Fault{Action: jellyfintest.Empty}, sdk.ReasonServerError},
		"HTML":              {jellyfintest.Fault{Action: jellyfintest.HTML}, sdk.ReasonServerError},
		"HTMLNotFound":      {jellyfintest.Fault{Action: jellyfintest.HTML, Status: 404}, sdk.ReasonEndpointGone},
		"Cut":               {jellyfintest.Fault{Action: jellyfintest.Cut}, sdk.ReasonUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			eachVersion(t, func(t *testing.T, u *upstream, c *client) {
				id := u.AddUser("bob", password)
				f.fault.Method, f.fault.Path = "DELETE", "/Users/*"
				u.AddFault(f.fault)
				_, err := c.DeleteUser(t.Context(), sdk.DeleteUserRequest{ID: id})
				if f.want != "" {
					wantReason(t, err, f.want)
					return
				}
				if err != nil {
					t.Error(err)
				}
				if _, there := u.User(id); there {
					t.Error("the user is there")
				}
			})
		})
	}
}

// A proxy's "not found" is not the server's: the account may well be there.
func TestNotFoundOfAProxyIsNotBelieved(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	id := u.AddUser("bob", password)
	must(c.ready(t.Context()))(t)
	u.AddFault(jellyfintest.Fault{Action: jellyfintest.HTML, Status: 404})
	_, err := c.DeleteUser(t.Context(), sdk.DeleteUserRequest{ID: id})
	wantReason(t, err, sdk.ReasonEndpointGone)
	_, err = c.GetUser(t.Context(), sdk.GetUserRequest{ID: id})
	wantReason(t, err, sdk.ReasonEndpointGone)
}

func TestDeleteOfOneUserAtOnce(t *testing.T) {
	eachVersion(t, func(t *testing.T, u *upstream, c *client) {
		id := u.AddUser("bob", password)
		var wg sync.WaitGroup
		var mu sync.Mutex
		deleted := 0
		for range 8 {
			wg.Go(func() {
				resp, err := c.DeleteUser(t.Context(), sdk.DeleteUserRequest{ID: id})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				} else if !resp.AlreadyGone {
					deleted++
				}
			})
		}
		wg.Wait()
		if deleted != 1 {
			t.Errorf("%d callers deleted the user", deleted)
		}
	})
}
