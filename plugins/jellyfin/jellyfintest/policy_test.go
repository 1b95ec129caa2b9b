package jellyfintest

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const (
	lastAdmin   = "403 B There must be at least one user in the system with administrative access."
	adminOff    = "403 B Administrators cannot be disabled."
	lastEnabled = "403 B There must be at least one enabled user in the system."
)

func TestPolicyChecks(t *testing.T) {
	set := func(change map[string]any) func(d *double) answer {
		return func(d *double) answer { return d.setPolicy(d.AddUser("bob", "pw"), change) }
	}
	onAdmin := func(change map[string]any) func(d *double) answer {
		return func(d *double) answer { return d.setPolicy(d.user("admin").ID, change) }
	}
	unknown := func(body string) func(d *double) answer {
		return func(d *double) answer { return d.do("POST", "/Users/"+someID+"/Policy", body) }
	}
	const ids = `"AuthenticationProviderId":"a","PasswordResetProviderId":"b"`
	run(t, []row{
		{name: "OK", act: set(nil), want: all("204")},
		{name: "UnknownMember", act: set(map[string]any{"EnableTimeTravel": true}), want: all("204")},

		// 1
		{name: "NoAuthenticationProvider", act: set(map[string]any{"AuthenticationProviderId": nil}), want: since109("500 A", "400 C AuthenticationProviderId")},
		{name: "EmptyAuthenticationProvider", act: set(map[string]any{"AuthenticationProviderId": ""}), want: since109("500 A", "400 C AuthenticationProviderId")},
		{name: "NoResetProvider", act: set(map[string]any{"PasswordResetProviderId": nil}), want: since109("500 A", "400 C PasswordResetProviderId")},
		{name: "NoProviders", act: func(d *double) answer {
			return d.do("POST", "/Users/"+d.AddUser("bob", "")+"/Policy", "{}")
		}, want: since109("500 A", "400 C AuthenticationProviderId,PasswordResetProviderId")},
		{name: "NoProvidersUnknownUser", act: unknown(`{}`), want: since109("500 A", "400 C AuthenticationProviderId,PasswordResetProviderId")},

		// 2
		{name: "UnknownUser", act: unknown(`{` + ids + `}`), want: since109("500 A", "404 C")},
		{name: "UnknownUserAdmin", act: unknown(`{` + ids + `,"IsAdministrator":true}`), want: since109("400 A", "404 C")},
		{name: "UnknownUserAdminDisabled", act: unknown(`{` + ids + `,"IsAdministrator":true,"IsDisabled":true}`), want: since109("500 A", "404 C")},

		// 3, 4, 5
		{name: "DemoteLastAdmin", act: onAdmin(map[string]any{"IsAdministrator": false}), want: all(lastAdmin)},
		{name: "DemoteAndDisableLastAdmin", act: onAdmin(map[string]any{"IsAdministrator": false, "IsDisabled": true}), want: all(lastAdmin)},
		{name: "DisableLastAdmin", act: onAdmin(map[string]any{"IsDisabled": true}), want: all(adminOff)},
		{name: "DemoteAndDisableAdmin", act: func(d *double) answer {
			return d.setPolicy(d.AddAdmin("root", "pw"), map[string]any{"IsAdministrator": false, "IsDisabled": true})
		}, want: all(adminOff)},
		{name: "DemoteAdmin", act: func(d *double) answer {
			return d.setPolicy(d.AddAdmin("root", "pw"), map[string]any{"IsAdministrator": false})
		}, want: all("204")},
		{name: "DisableLastEnabled", act: func(d *double) answer {
			id := d.AddUser("bob", "")
			if err := d.SetPolicy("admin", func(y *Policy) { y.IsDisabled = true }); err != nil {
				d.t.Fatal(err)
			}
			return d.setPolicy(id, map[string]any{"IsDisabled": true})
		}, want: all(lastEnabled)},
		{name: "Disable", act: set(map[string]any{"IsDisabled": true}), want: all("204")},

		// 6
		{name: "NullTags", act: nullMember("BlockedTags"), want: all("400 A")},
		{name: "NullFolders", act: nullMember("EnabledFolders"), want: all("400 A")},
		{name: "NullChannels", act: nullMember("EnabledChannels"), want: all("400 A")},
		{name: "NullDevices", act: nullMember("EnabledDevices"), want: all("400 A")},
		{name: "NullDeletionFolders", act: nullMember("EnableContentDeletionFromFolders"), want: all("400 A")},
		{name: "NullAllowedTags", act: nullMember("AllowedTags"), want: since109("204", "400 A")}, // unknown to 10.8
		{name: "NullSchedules", act: nullMember("AccessSchedules"), want: all("500 A")},
		{name: "NullUnrated", act: nullMember("BlockUnratedItems"), want: all("204")},
		{name: "NullBlockedChannels", act: nullMember("BlockedChannels"), want: all("204")},

		{name: "Anonymous", act: func(d *double) answer { return d.bare("POST", "/Users/"+someID+"/Policy", "{}") }, want: all("401")},
		{name: "NotAdmin", act: func(d *double) answer {
			d.AddUser("eve", "pw")
			return d.as(d.token("eve", "pw", "dev"), "POST", "/Users/"+d.user("eve").ID+"/Policy", "{}")
		}, want: all("403")},
	})
}

// nullMember posts a policy with one member set to null.
func nullMember(name string) func(d *double) answer {
	return func(d *double) answer {
		id := d.AddUser("bob", "")
		policy := d.policyOf(id)
		policy[name] = nil
		return d.do("POST", "/Users/"+id+"/Policy", encodeJSON(policy))
	}
}

// The table of members: what an omitted one is worth, what a new user has,
// and that a value given is kept.
func TestPolicyMembers(t *testing.T) {
	type member struct {
		name            string
		since           int // column of the first version that knows it
		omitted, fresh  any
		given, readBack any // readBack nil: as given
	}
	const folder, channel = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
	none := []any{}
	members := []member{
		{name: "IsAdministrator", omitted: false, fresh: false, given: true},
		{name: "IsHidden", omitted: true, fresh: true, given: false},
		{name: "IsDisabled", omitted: false, fresh: false, given: true},
		{name: "EnableContentDownloading", omitted: true, fresh: true, given: false},
		{name: "EnableMediaPlayback", omitted: true, fresh: true, given: false},
		{name: "EnableAudioPlaybackTranscoding", omitted: true, fresh: true, given: false},
		{name: "EnableVideoPlaybackTranscoding", omitted: true, fresh: true, given: false},
		{name: "EnablePlaybackRemuxing", omitted: true, fresh: true, given: false},
		{name: "ForceRemoteSourceTranscoding", omitted: false, fresh: false, given: true},
		{name: "EnableSyncTranscoding", omitted: true, fresh: true, given: false},
		{name: "EnableMediaConversion", omitted: true, fresh: true, given: false},
		{name: "EnablePublicSharing", omitted: true, fresh: true, given: false},
		{name: "EnableLiveTvAccess", omitted: true, fresh: true, given: false},
		{name: "EnableLiveTvManagement", omitted: true, given: false}, // fresh differs: see below
		{name: "EnableRemoteAccess", omitted: true, fresh: true, given: false},
		{name: "RemoteClientBitrateLimit", omitted: 0.0, fresh: 0.0, given: 8000000.0},
		{name: "MaxActiveSessions", omitted: 0.0, fresh: 0.0, given: 3.0},
		{name: "LoginAttemptsBeforeLockout", omitted: -1.0, fresh: -1.0, given: 5.0},
		{name: "LoginAttemptsBeforeLockout", omitted: -1.0, fresh: -1.0, given: 0.0, readBack: 3.0},
		{name: "InvalidLoginAttemptCount", omitted: 0.0, fresh: 0.0, given: 2.0},
		{name: "EnableContentDeletion", omitted: false, fresh: false, given: true},
		{name: "EnableContentDeletionFromFolders", omitted: none, fresh: none, given: []any{folder}},
		{name: "EnableAllFolders", omitted: true, fresh: true, given: false},
		{name: "EnabledFolders", omitted: none, fresh: none, given: []any{"01234567-89ab-cdef-0123-456789abcdef"}, readBack: []any{folder}},
		{name: "EnableAllChannels", omitted: true, fresh: true, given: false},
		{name: "EnabledChannels", omitted: none, fresh: none, given: []any{channel}},
		{name: "EnableAllDevices", omitted: true, fresh: true, given: false},
		{name: "EnabledDevices", omitted: none, fresh: none, given: []any{"a", "b"}},
		{name: "BlockedMediaFolders", omitted: none, fresh: none, given: []any{folder}, readBack: none},
		{name: "BlockedChannels", omitted: none, fresh: none, given: []any{channel}, readBack: none},
		{name: "MaxParentalRating", given: 10.0},
		{name: "MaxParentalSubRating", since: 2, given: 1.0},
		{name: "BlockUnratedItems", omitted: none, fresh: none, given: []any{"Movie", "Other"}},
		{name: "BlockedTags", omitted: none, fresh: none, given: []any{"a", "b,c"}, readBack: []any{"a", "b", "c"}},
		{name: "AllowedTags", since: 1, omitted: none, fresh: none, given: []any{"x,y"}, readBack: []any{"x", "y"}},
		{name: "EnableUserPreferenceAccess", omitted: true, fresh: true, given: false},
		{name: "EnableRemoteControlOfOtherUsers", omitted: false, fresh: false, given: true},
		{name: "EnableSharedDeviceControl", omitted: true, fresh: true, given: false},
		{name: "EnableCollectionManagement", since: 1, omitted: false, fresh: false, given: true},
		{name: "EnableSubtitleManagement", since: 1, omitted: false, fresh: false, given: true},
		{name: "EnableLyricManagement", since: 1, omitted: false, fresh: false, given: true, readBack: false},
		{name: "SyncPlayAccess", omitted: "CreateAndJoinGroups", fresh: "CreateAndJoinGroups", given: "JoinGroups"},
		{name: "AuthenticationProviderId", omitted: DefaultAuthenticationProvider, fresh: DefaultAuthenticationProvider, given: "Other"},
		{name: "PasswordResetProviderId", omitted: DefaultPasswordResetProvider, fresh: DefaultPasswordResetProvider, given: "Other"},
	}
	each(t, Config{}, func(d *double) {
		required := map[string]any{"AuthenticationProviderId": DefaultAuthenticationProvider, "PasswordResetProviderId": DefaultPasswordResetProvider}
		var known []string
		for i, m := range members {
			name := fmt.Sprint("u", i)
			var fresh map[string]any
			created := d.do("POST", "/Users/New", `{"Name":"`+name+`"}`).members(d.t)
			fresh = created["Policy"].(map[string]any)
			id := created["Id"].(string)
			there := d.column >= m.since
			if there {
				known = append(known, m.name)
			}
			expect := func(what string, got map[string]any, want any) {
				d.t.Helper()
				value, present := got[m.name]
				if !there || want == nil {
					if present {
						d.t.Fatalf("%s %s is %v, want it absent", what, m.name, value)
					}
					return
				}
				if !reflect.DeepEqual(value, want) {
					d.t.Fatalf("%s %s is %v, want %v", what, m.name, value, want)
				}
			}
			if m.name == "EnableLiveTvManagement" {
				m.fresh = d.column < 3 // false for new users from 10.11.7 on
			}
			expect("new", fresh, m.fresh)

			body := maps.Clone(required)
			body[m.name] = m.given
			d.check(d.do("POST", "/Users/"+id+"/Policy", encodeJSON(body)), "204")
			want := m.given
			if m.readBack != nil {
				want = m.readBack
			}
			expect("given", d.policyOf(id), want)

			// Left out, it falls back to the class, not to what was stored.
			d.check(d.do("POST", "/Users/"+id+"/Policy", encodeJSON(required)), "204")
			expect("omitted", d.policyOf(id), m.omitted)
		}
		known = append(known, "AccessSchedules") // its own test
		for name := range d.policyOf(d.user("u0").ID) {
			if !slices.Contains(known, name) {
				d.t.Fatalf("%s is in no row", name)
			}
		}
	})
}

// EnableLyricManagement is stored, yet GET denies it: reading, changing and
// writing back revokes it.
func TestLyricQuirk(t *testing.T) {
	stored := since109("false", "true")
	each(t, Config{}, func(d *double) {
		id := d.AddUser("bob", "")
		d.check(d.setPolicy(id, map[string]any{"EnableLyricManagement": true}), "204")
		if got := fmt.Sprint(d.user("bob").Policy.EnableLyricManagement); got != stored[d.column] {
			d.t.Fatal("stored", got)
		}
		d.check(d.setPolicy(id, nil), "204")
		if d.user("bob").Policy.EnableLyricManagement {
			d.t.Fatal("it survived a read-modify-write")
		}
	})
}

func TestAccessSchedules(t *testing.T) {
	each(t, Config{}, func(d *double) {
		id := d.AddUser("bob", "")
		schedule := map[string]any{"DayOfWeek": 7, "StartHour": 8.5, "EndHour": "20", "Id": 99, "UserId": someID}
		d.check(d.setPolicy(id, map[string]any{"AccessSchedules": []any{schedule}}), "204")
		got := d.policyOf(id)["AccessSchedules"].([]any)[0].(map[string]any)
		want := map[string]any{"Id": 1.0, "UserId": id, "DayOfWeek": "Everyday", "StartHour": 8.5, "EndHour": 20.0}
		if !reflect.DeepEqual(got, want) {
			d.t.Fatal(got)
		}
		for _, bad := range []string{`{"DayOfWeek":"Someday"}`, `{"StartHour":"x"}`, `5`} {
			policy := d.policyOf(id)
			policy["AccessSchedules"] = []any{json.RawMessage(bad)}
			if a := d.do("POST", "/Users/"+id+"/Policy", encodeJSON(policy)); a.status != 400 {
				d.t.Fatal(bad, a)
			}
		}
	})
}

// Disabling ends the user's tokens, even when the update then fails.
func TestDisableRevokes(t *testing.T) {
	each(t, Config{}, func(d *double) {
		id := d.AddUser("bob", "pw")
		token := d.token("bob", "pw", "dev")
		policy := d.policyOf(id)
		policy["IsDisabled"], policy["EnabledFolders"] = true, nil
		d.check(d.do("POST", "/Users/"+id+"/Policy", encodeJSON(policy)), "400 A")
		d.check(d.as(token, "GET", "/Users/Me", ""), "401")
		if d.user("bob").Policy.IsDisabled || d.user("bob").Tokens != 0 {
			d.t.Fatalf("%+v", d.user("bob"))
		}
		token = d.token("bob", "pw", "dev")
		d.check(d.setPolicy(id, map[string]any{"IsDisabled": true}), "204")
		d.check(d.as(token, "GET", "/Users/Me", ""), "401")
		d.check(d.setPolicy(id, map[string]any{"IsDisabled": false}), "204")
		d.check(d.as(token, "GET", "/Users/Me", ""), "401") // the token does not come back
	})
}

// 10.8 without provider ids: 500, and the change shows until the restart.
func TestFailedSaveStaysInMemory(t *testing.T) {
	shows := want{"true", "", "", "", ""}
	each(t, Config{}, func(d *double) {
		id := d.AddUser("bob", "")
		d.do("POST", "/Users/"+id+"/Policy", `{"EnableAllFolders":false}`)
		memory := fmt.Sprint(!d.user("bob").Policy.EnableAllFolders)
		if (memory == "true") != (shows[d.column] == "true") {
			d.t.Fatal("shows", memory)
		}
		d.Restart()
		if !d.user("bob").Policy.EnableAllFolders {
			d.t.Fatal("it was saved")
		}
	})
}

// An unknown provider is taken, and the user cannot sign in any more.
func TestUnknownProvider(t *testing.T) {
	each(t, Config{}, func(d *double) {
		id := d.AddUser("bob", "pw")
		d.check(d.setPolicy(id, map[string]any{"AuthenticationProviderId": "Nobody"}), "204")
		d.check(d.login("bob", "pw", "dev"), "401 A")
		if err := d.SignIn("bob", "pw"); err == nil || !strings.Contains(err.Error(), "provider") {
			d.t.Fatal(err)
		}
	})
}

// An administrator may be made without a password.
func TestAdminWithoutPassword(t *testing.T) {
	each(t, Config{}, func(d *double) {
		id := d.AddUser("bob", "")
		d.check(d.setPolicy(id, map[string]any{"IsAdministrator": true}), "204")
		if err := d.SignIn("bob", ""); err != nil {
			d.t.Fatal(err)
		}
	})
}
