package jellyfintest

import "testing"

const (
	mayNot   = "403 B User is not allowed to update the password."
	wrongOld = "403 B Invalid user or password entered."
)

// passwordPath is the form that a version documents.
func passwordPath(d *double, id string) string {
	if d.column == 0 {
		return "/Users/" + id + "/Password"
	}
	return "/Users/Password?userId=" + id
}

func TestPassword(t *testing.T) {
	byKey := func(name, body string) func(d *double) answer {
		return func(d *double) answer {
			d.AddUser("bob", "old")
			return d.do("POST", passwordPath(d, d.user(name).ID), body)
		}
	}
	// by sends as a user (eve or the admin) about bob, themselves or nobody.
	by := func(who, whom, body string, edit ...func(*Policy)) func(d *double) answer {
		return func(d *double) answer {
			d.AddUser("bob", "old")
			d.AddUser("eve", "old", edit...)
			d.AddAdmin("root", "old", edit...)
			return d.as(d.token(who, "old", "dev"), "POST", passwordPath(d, d.user(whom).ID), body)
		}
	}
	noPrefs := func(y *Policy) { y.EnableUserPreferenceAccess = false }
	is := func(name, password string) func(d *double) {
		return func(d *double) {
			d.t.Helper()
			if err := d.SignIn(name, password); err != nil {
				d.t.Fatal(err)
			}
		}
	}
	onlySince109 := func(d *double, then func(d *double)) {
		if d.column > 0 {
			then(d)
		}
	}
	run(t, []row{
		{name: "Key", act: byKey("bob", `{"NewPw":"new"}`), want: since109("500 A", "204"), then: func(d *double) {
			onlySince109(d, is("bob", "new"))
		}},
		{name: "KeyWrongOldIsNotAsked", act: byKey("bob", `{"NewPw":"new","CurrentPw":"wrong"}`), want: since109("500 A", "204")},
		{name: "KeyIgnoresCurrentPassword", act: byKey("bob", `{"NewPw":"new","CurrentPassword":"x"}`), want: since109("500 A", "204")},
		{name: "KeyReset", act: byKey("bob", `{"ResetPassword":true}`), want: since109("500 A", "204"), then: func(d *double) {
			onlySince109(d, is("bob", "")) // §0.5: a reset blanks
		}},
		{name: "KeyEmpty", act: byKey("bob", `{"NewPw":""}`), want: since109("500 A", "204"), then: func(d *double) {
			onlySince109(d, is("bob", ""))
		}},
		{name: "KeyAdminEmpty", act: byKey("admin", `{"NewPw":""}`), want: since109("500 A", "400 A")},
		{name: "KeyAdminBlank", act: byKey("admin", `{"NewPw":" "}`), want: since109("500 A", "400 A")},
		{name: "KeyAdminReset", act: byKey("admin", `{"ResetPassword":true}`), want: since109("500 A", "400 A")},
		{name: "KeyWithoutUser", act: func(d *double) answer { return d.do("POST", "/Users/Password", `{"NewPw":"x"}`) }, want: since109("400 C userId", "400 A")},
		{name: "KeyHiddenForm", act: func(d *double) answer {
			return d.do("POST", "/Users/"+d.AddUser("bob", "old")+"/Password", `{"NewPw":"new"}`)
		}, want: since109("500 A", "204")},
		{name: "KeyUnknownUser", act: func(d *double) answer { return d.do("POST", passwordPath(d, someID), `{"NewPw":"x"}`) }, want: since109("500 A", "404 C")},
		{name: "AdminUnknownUser", act: func(d *double) answer {
			return d.as(d.token("admin", "admin-password", "dev"), "POST", passwordPath(d, someID), `{"NewPw":"x"}`)
		}, want: want{"404 B User not found", "404 C", "404 C", "404 C", "404 C"}},
		{name: "BadBody", act: func(d *double) answer {
			return d.as(d.token("admin", "admin-password", "dev"), "POST", passwordPath(d, someID), `{"ResetPassword":"x"}`)
		}, want: all("400 C $.ResetPassword,request")},

		{name: "SelfWithOld", act: by("eve", "eve", `{"CurrentPw":"old","NewPw":"new"}`), want: all("204"), then: is("eve", "new")},
		{name: "SelfWithoutOld", act: by("eve", "eve", `{"NewPw":"new"}`), want: all(wrongOld)},
		{name: "SelfWrongOld", act: by("eve", "eve", `{"CurrentPw":"wrong","NewPw":"new"}`), want: all(wrongOld), then: func(d *double) {
			if n := d.user("eve").Policy.InvalidLoginAttemptCount; n != 1 {
				d.t.Fatal(n, "failed tries")
			}
			is("eve", "old")(d)
		}},
		{name: "SelfBlank", act: by("eve", "eve", `{"CurrentPw":"old","NewPw":" "}`), want: all("204"), then: is("eve", " ")},
		{name: "Other", act: by("eve", "bob", `{"CurrentPw":"old","NewPw":"new"}`), want: all(mayNot)},
		{name: "SelfWithoutPreferenceAccess", act: by("eve", "eve", `{"CurrentPw":"old","NewPw":"new"}`, noPrefs), want: all(mayNot)},
		{name: "AdminOther", act: by("root", "bob", `{"NewPw":"new"}`), want: all("204"), then: is("bob", "new")},
		{name: "AdminSelfWithoutOld", act: by("root", "root", `{"NewPw":"new"}`), want: since109("204", wrongOld)},
		{name: "AdminSelfWithOld", act: by("root", "root", `{"CurrentPw":"old","NewPw":"new"}`), want: all("204"), then: is("root", "new")},
		{name: "AdminSelfEmpty", act: by("root", "root", `{"CurrentPw":"old","NewPw":""}`), want: since109("204", "400 A")},
		{name: "AdminOtherWithoutPreferenceAccess", act: by("root", "bob", `{"NewPw":"new"}`, noPrefs), want: since109(mayNot, "204")},
		{name: "Anonymous", act: func(d *double) answer { return d.bare("POST", passwordPath(d, someID), `{}`) }, want: all("401")},

		{name: "EasyPassword", act: func(d *double) answer {
			d.AddUser("bob", "old")
			return d.as(d.token("bob", "old", "dev"), "POST", "/Users/"+d.user("bob").ID+"/EasyPassword", `{"NewPw":"1"}`)
		}, want: want{"204", "403", "403", "403", "404"}},
	})
}

// An administrator who leaves out userId is not asked for the old password.
func TestPasswordOwnWithoutID(t *testing.T) {
	each(t, Config{}, func(d *double) {
		if d.column == 0 {
			return // 10.8 has no such form: TestPassword's KeyWithoutUser
		}
		d.check(d.as(d.token("admin", "admin-password", "dev"), "POST", "/Users/Password", `{"NewPw":"new"}`), "204")
		if err := d.SignIn("admin", "new"); err != nil {
			d.t.Fatal(err)
		}
	})
}

// A change signs all other devices out; a reset none.
func TestPasswordRevokes(t *testing.T) {
	each(t, Config{}, func(d *double) {
		id := d.AddUser("bob", "old")
		here, there := d.token("bob", "old", "a"), d.token("bob", "old", "b")
		admin := d.token("admin", "admin-password", "c")
		d.check(d.as(admin, "POST", passwordPath(d, id), `{"ResetPassword":true}`), "204")
		d.check(d.as(there, "GET", "/Users/Me", ""), "200")
		d.check(d.as(here, "POST", passwordPath(d, id), `{"CurrentPw":"","NewPw":"new"}`), "204")
		d.check(d.as(here, "GET", "/Users/Me", ""), "200")
		d.check(d.as(there, "GET", "/Users/Me", ""), "401")
		d.check(d.as(admin, "GET", "/Users/Me", ""), "200")
	})
}

// Users of another provider: it checks the password, and refuses to change it.
func TestForeignProvider(t *testing.T) {
	each(t, Config{}, func(d *double) {
		d.AddProvider(Provider{Name: "LDAP", ID: "Ldap", Foreign: true, Passwords: map[string]string{"bob": "ldap"}})
		id := d.AddUser("bob", "local", func(y *Policy) { y.AuthenticationProviderId = "Ldap" })
		d.check(d.login("bob", "local", "dev"), "401 A")
		d.check(d.login("bob", "ldap", "dev"), "200")
		if d.SignIn("bob", "ldap") != nil || d.SignIn("bob", "local") == nil {
			d.t.Fatal("the local password counts")
		}
		admin := d.token("admin", "admin-password", "c")
		d.check(d.as(admin, "POST", passwordPath(d, id), `{"NewPw":"new"}`), "500 A")
	})
}
