package jellyfintest

import (
	"errors"
	"testing"
	"time"
)

// What a test can do behind the server's back shows over HTTP.
func TestSeed(t *testing.T) {
	each(t, Config{Admin: "owner", AdminPassword: "secret"}, func(d *double) {
		if err := d.SignIn("owner", "secret"); err != nil {
			d.t.Fatal(err)
		}
		id := d.AddUser("bob", "pw")
		seen := time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)
		if err := errors.Join(
			d.SetPassword("BOB", "new"),
			d.SetLastActivity(id, seen, seen.Add(time.Hour)),
			d.RenameUser("bob", "robert"),
		); err != nil {
			d.t.Fatal(err)
		}
		m := d.do("GET", "/Users/"+id, "").members(d.t)
		if m["Name"] != "robert" || m["LastLoginDate"] != "2026-01-02T03:04:05.0000006Z" || m["LastActivityDate"] != "2026-01-02T04:04:05.0000006Z" {
			d.t.Fatal(m)
		}
		d.token("robert", "new", "dev")
		for _, err := range []error{
			d.SetPassword("bob", "x"), d.SetPolicy("bob", func(*Policy) {}), d.RemoveUser("bob"), d.RemoveUserRow("bob"),
			d.RemoveLibrary("none"), d.SignIn("bob", "x"),
		} {
			if !errors.Is(err, ErrNotFound) {
				d.t.Fatal(err)
			}
		}
		if _, err := d.SignInDevice("bob", "dev"); !errors.Is(err, ErrNotFound) {
			d.t.Fatal(err)
		}
		d.SetID(someID)
		if d.bare("GET", "/System/Info/Public", "").members(d.t)["Id"] != someID {
			d.t.Fatal("the id stayed")
		}
	})
}

func TestTakenNamePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("two users of one name")
		}
	}()
	s := New(Config{})
	s.AddUser("bob", "")
	s.AddUser("bob", "")
}

// A user who is deleted while the password is being checked gets no token, and
// the counts of administrators and enabled users stay right.
func TestDeletedMeanwhile(t *testing.T) {
	s := New(Config{})
	s.AddUser("bob", "", func(y *Policy) { y.LoginAttemptsBeforeLockout = 1 })
	e := s.state.find("bob")
	if err := s.RemoveUser("bob"); err != nil {
		t.Fatal(err)
	}
	s.state.countFailure(e)
	if s.state.enabled != 1 || s.state.admins != 1 {
		t.Fatal(s.state.enabled, s.state.admins)
	}
}

// 10.9.0 to 10.9.3 told /System/Info to anybody.
func TestInfoForAll(t *testing.T) {
	for version, want := range map[string]string{"10.9.0": "200", "10.9.3": "200", "10.9.4": "401"} {
		d := newDouble(t, Config{Version: version})
		d.check(d.bare("GET", "/System/Info", ""), want)
	}
}
