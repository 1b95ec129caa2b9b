package api

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/sdk"
)

// full is a world with several of everything that is listed.
func full(w *world) (servers []string) {
	w.t.Helper()
	for range 4 {
		w.home.AddLibrary("Music", sdk.LibraryMusic)
	}
	servers = append([]string{w.addServer()}, w.addServers("attic", "cellar", "garden", "hall")...)
	for i, id := range servers {
		for n := range 2 {
			body := object{"label": fmt.Sprintf("Label %c", 'a'+(i*2+n)%4), "max_uses": 1 + n}
			if i%2 == 0 {
				body["expires_at"] = fmt.Sprintf("20%d-01-01T00:00:00+02:00", 40+i)
			}
			w.invite(id, body)
		}
		w.post("/api/v1/profiles", object{"name": fmt.Sprintf("profile %d", 9-i), "servers": []any{everything(id)}}).want(http.StatusCreated)
		w.post("/api/v1/api-keys", object{"name": "key"}).want(http.StatusCreated)
		inv := w.invite(id, object{"label": "redeemed", "duration_days": 30})
		w.post("/api/v1/join/"+inv["code"].(string), object{"username": fmt.Sprintf("bob%d", 5-i), "password": "correct horse"}).want(http.StatusCreated)
	}
	return servers
}

// sortsOf asks a list what it can be sorted by.
func (w *world) sortsOf(path string) []string {
	w.t.Helper()
	p := w.get(path+"?sort=nothing").refused(http.StatusBadRequest, fault.CodeInvalidInput)
	names := strings.TrimSuffix(strings.TrimPrefix(p.Errors[0].Message, "This list sorts by "), ".")
	return strings.Split(names, ", ")
}

// all follows a list to its end.
func (w *world) all(path string, query url.Values) []object {
	w.t.Helper()
	var out []object
	for range 100 {
		a := w.get(path + "?" + query.Encode())
		items := a.items()
		out = append(out, items...)
		next := a.object()["next_cursor"]
		if next == nil {
			return out
		}
		if n := query.Get("limit"); n != "" && n != fmt.Sprint(len(items)) {
			w.t.Errorf("%s: a page of %d before the end, of %s", path, len(items), n)
		}
		query.Set("cursor", next.(string))
	}
	w.t.Fatalf("%s never ends", path)
	return nil
}

func ids(items []object) []string {
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = item["id"].(string)
	}
	return out
}

// Page by page, every list gives every item once, in the order of each sort.
func TestListsGiveEachItemOnceInOrder(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		servers := full(w)
		sorts := 0
		eachOperation(t, func(t *testing.T, d *document, op operation) {
			if !slices.ContainsFunc(op.params, func(p parameter) bool { return p.name == "cursor" }) {
				return
			}
			w := w.in(t)
			op.path = strings.Replace(op.path, "{id}", servers[0], 1) // of the lists, libraries alone have a parent
			want := ids(w.get(op.path + "?limit=200").items())
			slices.Sort(want)
			if len(want) < 5 {
				t.Fatalf("only %d items", len(want))
			}
			for _, name := range w.sortsOf(op.path) {
				for _, sort := range []string{name, "-" + name} {
					for _, limit := range []string{"1", "2", "3", "4"} {
						items := w.all(op.path, url.Values{"sort": {sort}, "limit": {limit}})
						if !slices.IsSortedFunc(items, by(sort)) {
							t.Errorf("sort=%s limit=%s: not in order: %v", sort, limit, column(items, name))
						}
						got := ids(items)
						slices.Sort(got)
						if !slices.Equal(got, want) {
							t.Errorf("sort=%s limit=%s: %d items, want %d", sort, limit, len(got), len(want))
						}
					}
					sorts++
				}
			}
			// A cursor belongs to its sort and its filters.
			cursor := w.get(op.path + "?limit=1").object()["next_cursor"].(string)
			w.get(op.path+"?limit=1&sort=created_at&cursor="+cursor).refused(http.StatusBadRequest, fault.CodeInvalidCursor)
			for _, p := range op.params {
				if p.name == "q" {
					w.get(op.path+"?limit=1&q=x&cursor="+cursor).refused(http.StatusBadRequest, fault.CodeInvalidCursor)
				}
			}
			w.get(op.path + "?limit=7&cursor=" + cursor).want(http.StatusOK) // another size is no other list
		})
		if sorts < 38 {
			t.Errorf("only %d sorts", sorts)
		}
	})
}

func column(items []object, name string) []any {
	out := make([]any, len(items))
	for i, item := range items {
		out[i] = item[name]
	}
	return out
}

// by compares items as a sort says: null is the greatest, ties go by id.
func by(sort string) func(a, b object) int {
	name, descending := strings.CutPrefix(sort, "-")
	return func(a, b object) int {
		c := cmp.Or(compare(a[name], b[name]), cmp.Compare(a["id"].(string), b["id"].(string)))
		if descending {
			return -c
		}
		return c
	}
}

func compare(a, b any) int {
	if a == nil || b == nil {
		return cmp.Compare(b2i(a == nil), b2i(b == nil))
	}
	switch x := a.(type) {
	case float64:
		return cmp.Compare(x, b.(float64))
	case string:
		if utcTime.MatchString(x) {
			one, _ := time.Parse(time.RFC3339, x)
			two, _ := time.Parse(time.RFC3339, b.(string))
			return one.Compare(two)
		}
		return cmp.Compare(x, b.(string))
	}
	panic(fmt.Sprintf("%T is not sorted by", a))
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestFilters(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		servers := full(w)
		w.patch("/api/v1/servers/"+servers[4], object{"enabled": false}).want(http.StatusOK)
		off := w.get("/api/v1/invitations?q=label%20a").items()[0]["id"].(string)
		w.patch("/api/v1/invitations/"+off, object{"enabled": false}).want(http.StatusOK)
		profile := w.get("/api/v1/profiles").items()[0]["id"].(string)
		made := w.post("/api/v1/invitations", object{"profile_id": profile}).want(http.StatusCreated).str("id")
		actor := "api_key:" + w.get("/api/v1/invitations/" + made).object()["created_by"].(object)["id"].(string)
		is := func(path string, want any) func(object) bool {
			return func(o object) bool { return fmt.Sprint(at(o, strings.Split(path, ".")...)) == fmt.Sprint(want) }
		}
		has := func(server string) func(object) bool {
			return func(o object) bool {
				return slices.ContainsFunc(o["servers"].([]any), func(s any) bool { return at(s, "server_id") == server })
			}
		}
		holds := func(part string, members ...string) func(object) bool {
			return func(o object) bool {
				return slices.ContainsFunc(members, func(m string) bool { return strings.Contains(strings.ToLower(fmt.Sprint(o[m])), part) })
			}
		}
		or := func(a, b func(object) bool) func(object) bool { return func(o object) bool { return a(o) || b(o) } }
		and := func(a, b func(object) bool) func(object) bool { return func(o object) bool { return a(o) && b(o) } }
		redemption := w.get("/api/v1/redemptions").items()[2]
		moment := redemption["created_at"].(string)
		before := func(name string) func(object) bool {
			return func(o object) bool { return o[name] != nil && compare(o[name], moment) < 0 }
		}
		for _, tc := range []struct {
			path, query string
			match       func(object) bool
			// none says that nothing at all matches.
			none bool
		}{
			{"servers", "enabled=true", is("enabled", true), false},
			{"servers", "enabled=false", is("enabled", false), false},
			{"servers", "server_type=fake", is("server_type", "fake"), false},
			{"servers", "server_type=fake&server_type=plex", is("server_type", "fake"), false},
			{"servers", "server_type=plex", is("server_type", "plex"), true},
			{"servers", "q=CELL", holds("cell", "name"), false},
			{"servers", "q=a&enabled=true", and(holds("a", "name"), is("enabled", true)), false},
			{"servers", "q=%25", holds("%", "name"), true},
			{"servers", "q=_", holds("_", "name"), true},
			{"invitations", "state=disabled", is("state", "disabled"), false},
			{"invitations", "state=active&state=exhausted", or(is("state", "active"), is("state", "exhausted")), false},
			{"invitations", "state=no_server", is("state", "no_server"), false},
			{"invitations", "state=expired", is("state", "expired"), true},
			{"invitations", "server_id=" + servers[0] + "&server_id=" + servers[1], or(has(servers[0]), has(servers[1])), false},
			{"invitations", "server_id=" + servers[0] + "&state=active", and(has(servers[0]), is("state", "active")), false},
			{"invitations", "profile_id=" + profile, is("profile_id", profile), false},
			{"invitations", "created_by=" + url.QueryEscape(actor), is("created_by.kind", "api_key"), false},
			{"invitations", "created_by=system", is("created_by.kind", "system"), true},
			{"invitations", "q=REDEEMED", holds("redeemed", "label", "note", "code"), false},
			{"profiles", "q=PROFILE%209", holds("profile 9", "name", "label"), false},
			{"redemptions", "state=completed", is("state", "completed"), false},
			{"redemptions", "state=failed", is("state", "failed"), true},
			{"redemptions", "invitation_id=" + redemption["invitation_id"].(string), is("invitation_id", redemption["invitation_id"]), false},
			{"redemptions", "identity_id=" + redemption["identity_id"].(string), is("identity_id", redemption["identity_id"]), false},
			{"redemptions", "q=BOB1", holds("bob1", "username", "code", "email", "display_name"), false},
			{"redemptions", "created_before=" + url.QueryEscape(moment), before("created_at"), false},
			{"users", "server_id=" + servers[3], is("server_id", servers[3]), false},
			{"users", "identity_id=" + redemption["identity_id"].(string), is("identity_id", redemption["identity_id"]), false},
			{"users", "enabled=false", is("enabled", false), true},
			{"users", "origin=redemption", is("origin", "redemption"), false},
			{"users", "origin=import&origin=manual", is("origin", "import"), true},
			{"users", "status=active", is("status", "active"), false},
			{"users", "expires_before=2020-01-01T00:00:00Z", is("id", ""), true},
			{"users", "q=OB3", holds("ob3", "username", "email"), false},
			{"identities", "state=active", is("state", "active"), false},
			{"identities", "state=disabled&state=expired", is("state", "disabled"), true},
			{"identities", "server_id=" + servers[2], func(o object) bool { return at(o["users"].([]any)[0], "server_id") == servers[2] }, false},
			{"identities", "q=BOB4", holds("bob4", "display_name", "email", "note"), false},
		} {
			path := "/api/v1/" + tc.path
			var want []string
			for _, item := range w.get(path + "?limit=200").items() {
				if tc.match(item) {
					want = append(want, item["id"].(string))
				}
			}
			query, err := url.ParseQuery(tc.query)
			if err != nil {
				t.Fatal(err)
			}
			query.Set("limit", "2")
			got := ids(w.all(path, query))
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) || (len(want) == 0) != tc.none {
				t.Errorf("%s?%s: %d items, want %d", tc.path, tc.query, len(got), len(want))
			}
		}
	})
}
