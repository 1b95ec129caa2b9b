package jellyfin

import (
	"slices"
	"strings"
	"testing"

	"github.com/zondarr/zondarr/plugins/jellyfin/jellyfintest"
	"github.com/zondarr/zondarr/sdk"
)

func TestSetPassword(t *testing.T) {
	eachVersion(t, func(t *testing.T, u *upstream, c *client) {
		id := u.AddUser("bob", password)
		_, err := c.SetPassword(t.Context(), sdk.SetPasswordRequest{ID: id, Password: "another one"})
		if u.Version() == "10.8.13" {
			wantReason(t, err, sdk.ReasonUnsupported)
			if !strings.Contains(err.Error(), "needs Jellyfin 10.9") {
				t.Error(err)
			}
			if u.SignIn("bob", password) != nil {
				t.Error("the password has changed")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if u.SignIn("bob", "another one") != nil || u.SignIn("bob", password) == nil {
			t.Error("the password is not the new one")
		}
		if n := u.CountRequests("POST", "/Users/Password"); n != 1 {
			t.Errorf("the documented path was called %d times", n)
		}
		_, err = c.SetPassword(t.Context(), sdk.SetPasswordRequest{ID: strings.Repeat("ab", 16), Password: "another one"})
		wantReason(t, err, sdk.ReasonNotFound)
	})
}

// On 10.8 an administrator's token does what a key cannot.
func TestSetPasswordWithATokenOn10_8(t *testing.T) {
	u := start(t, jellyfintest.Config{Version: "10.8.13"})
	u.useToken("admin")
	c := u.open()
	f := must(testConnection(t, c))(t)
	if !slices.Contains(f.Capabilities, sdk.CapSetPassword) || len(f.Warnings) != 1 || !strings.Contains(f.Warnings[0], "sign-in") {
		t.Errorf("facts are %+v", f)
	}
	id := u.AddUser("bob", password)
	must(c.SetPassword(t.Context(), sdk.SetPasswordRequest{ID: id, Password: "another one"}))(t)
	if err := u.SignIn("bob", "another one"); err != nil {
		t.Error(err)
	}
}

func TestSetPasswordLockedOnce(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	id := u.AddUser("bob", password)
	u.AddFault(jellyfintest.Fault{Method: "POST", Path: "/Users/Password", Action: jellyfintest.Locked, Count: 1})
	must(c.SetPassword(t.Context(), sdk.SetPasswordRequest{ID: id, Password: "another one"}))(t)
}

// Accounts of a sign-in extension keep their password elsewhere.
func TestSetPasswordKeptElsewhere(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	u.AddProvider(jellyfintest.Provider{Name: "LDAP", ID: "Ldap.Provider", Foreign: true, Passwords: map[string]string{"bob": password}})
	id := u.AddUser("bob", "", func(p *jellyfintest.Policy) { p.AuthenticationProviderId = "Ldap.Provider" })
	_, err := c.SetPassword(t.Context(), sdk.SetPasswordRequest{ID: id, Password: "another one"})
	wantReason(t, err, sdk.ReasonUnsupported)
	// A change of such an account keeps its provider.
	must(c.Suspend(t.Context(), sdk.SuspendRequest{ID: id}))(t)
	must(c.Resume(t.Context(), sdk.ResumeRequest{ID: id}))(t)
	if err := u.SignIn("bob", password); err != nil {
		t.Error(err)
	}
}

func TestVerifyPassword(t *testing.T) {
	eachVersion(t, func(t *testing.T, u *upstream, c *client) {
		id := u.AddUser("bob", password)
		u.AddUser("blank", "")
		for _, row := range []struct {
			name, password string
			ok             bool
		}{
			{"bob", password, true}, {"BOB", password, true}, {"bob", "wrong", false}, {"bob", "", false},
			{"nobody", password, false}, {"", password, false}, {"blank", "", false},
		} {
			got := must(c.VerifyPassword(t.Context(), sdk.VerifyPasswordRequest{Username: row.name, Password: row.password}))(t)
			if got.OK != row.ok || row.ok && got.UserID != id {
				t.Errorf("%q %q: %+v", row.name, row.password, got)
			}
		}
		if have := mustHave(t, u, id); have.Tokens != 0 {
			t.Errorf("%d sessions are left", have.Tokens)
		}
		got := must(c.GetUser(t.Context(), sdk.GetUserRequest{ID: id}))(t).User
		if got.SignedIn == nil || !*got.SignedIn || got.LastActiveAt.IsZero() {
			t.Errorf("the sign-in is not told: %+v", got)
		}
	})
}

func TestVerifyPasswordFaults(t *testing.T) {
	for _, f := range []struct {
		fault jellyfintest.Fault
		want  sdk.Reason
	}{
		{jellyfintest.Fault{Path: "/Users/AuthenticateByName", Action: jellyfintest.Locked}, sdk.ReasonServerError},
		{jellyfintest.Fault{Path: "/Users/AuthenticateByName", Action: jellyfintest.HTML, Status: 401}, sdk.ReasonCredentialsRejected},
		{jellyfintest.Fault{Path: "/Users/AuthenticateByName", Action: jellyfintest.HTML, Status: 403}, sdk.ReasonNotAdmin},
		{jellyfintest.Fault{Path: "/Users/AuthenticateByName", Action: jellyfintest.HTML}, sdk.ReasonServerError},
		{jellyfintest.Fault{Path: "/Users/AuthenticateByName", Action: jellyfintest.Cut}, sdk.ReasonUnavailable},
		{jellyfintest.Fault{Path: "/Sessions/Logout", Action: jellyfintest.Locked}, ""}, // the verdict stands
	} {
		u := start(t, jellyfintest.Config{})
		c := u.open()
		u.AddUser("bob", password)
		u.AddFault(f.fault)
		resp, err := c.VerifyPassword(t.Context(), sdk.VerifyPasswordRequest{Username: "bob", Password: password})
		if f.want == "" {
			if err != nil || !resp.OK {
				t.Errorf("%+v: %+v, %v", f.fault, resp, err)
			}
			continue
		}
		wantReason(t, err, f.want)
	}
}
