package jellyfin

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/zondarr/zondarr/plugins/jellyfin/jellyfintest"
	"github.com/zondarr/zondarr/sdk"
)

// The index agrees with a plain model, whatever the order of lists, creations and
// deletions: a list that began before a change of ours still knows of it.
func TestIndexAgreesWithAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := nameIndex{listing: make(gate, 1)}
		now := time.Unix(1_000_000, 0)
		type user struct {
			name string
			id   guid
		}
		there := map[user]bool{}
		var running []struct {
			list *names
			snap map[user]bool
		}
		next := byte(0)
		name := rapid.SampledFrom([]string{"bob", "BOB", "alice", "ÉMILE", "émile"})
		t.Repeat(map[string]func(*rapid.T){
			"create": func(t *rapid.T) {
				next++
				u := user{name.Draw(t, "name"), guid{1, next}}
				there[u] = true
				x.note(now, u.name, u.id, false)
			},
			"delete": func(t *rapid.T) {
				for u := range there {
					delete(there, u)
					x.note(now, u.name, u.id, true)
					break
				}
			},
			"begin": func(*rapid.T) {
				snap := map[user]bool{}
				for u := range there {
					snap[u] = true
				}
				running = append(running, struct {
					list *names
					snap map[user]bool
				}{x.begin(now), snap})
			},
			"install": func(t *rapid.T) {
				if len(running) == 0 {
					t.Skip("no list is under way")
				}
				run := running[0]
				running = running[1:]
				for u := range run.snap {
					run.list.add(u.name, u.id)
				}
				x.install(run.list)
			},
			"tick": func(*rapid.T) { now = now.Add(time.Second) },
			"": func(t *rapid.T) {
				if x.list == nil {
					return
				}
				for _, n := range []string{"bob", "alice", "émile", "carol"} {
					ids, _ := x.known(n, time.Time{})
					var want []guid
					for u := range there {
						if fold(u.name) == fold(n) {
							want = append(want, u.id)
						}
					}
					order := func(a, b guid) int { return int(a[1]) - int(b[1]) }
					slices.SortFunc(ids, order)
					slices.SortFunc(want, order)
					if !slices.Equal(ids, want) {
						t.Fatalf("%s: %v, want %v", n, ids, want)
					}
				}
			},
		})
	})
}

func TestIndexIsAMinuteOldAtMost(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	now := time.Now()
	c.now = func() time.Time { return now }
	list(t, c)
	if _, ok := c.names.known("bob", now.Add(-namesTTL)); !ok {
		t.Error("a fresh index is not used")
	}
	now = now.Add(namesTTL + time.Second)
	if _, ok := c.names.known("bob", now.Add(-namesTTL)); ok {
		t.Error("an old index is used")
	}
}

// However many look a name up, the lists are two: the one that was under way says
// nothing to who came later.
func TestLookUpsShareAList(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	id := u.AddUser("bob", password)
	must(c.ready(t.Context()))(t)
	u.AddFault(jellyfintest.Fault{Path: "/Users", Action: jellyfintest.Hang, Count: 1})
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			found, err := c.FindUser(t.Context(), sdk.FindUserRequest{Username: "BOB"})
			if err != nil || found.User.ID != id {
				t.Errorf("%+v, %v", found, err)
			}
		})
	}
	for u.FaultHits() == 0 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond)
	u.Release()
	wg.Wait()
	if lists := u.CountRequests("GET", "/Users"); lists != 2 {
		t.Errorf("%d lists", lists)
	}
}

// A look-up may rest on what is known, if the caller says how old that may be.
func TestFindUserRestsOnWhatIsKnown(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	id := u.AddUser("bob", password)
	find := func(name string, maxAge time.Duration) (string, error) {
		found, err := c.FindUser(t.Context(), sdk.FindUserRequest{Username: name, MaxAge: maxAge})
		return found.User.ID, err
	}
	now := time.Now()
	c.now = func() time.Time { return now }
	stale := func(err error) bool { e, ok := errors.AsType[*sdk.Error](err); return ok && e.Stale }
	_, err := find("carol", time.Minute)
	if wantReason(t, err, sdk.ReasonNotFound); stale(err) {
		t.Error("what was asked now counts as old")
	}
	u.ResetRequests()
	now = now.Add(time.Millisecond)
	_, err = find("carol", time.Minute) // known, and it costs nothing
	if wantReason(t, err, sdk.ReasonNotFound); !stale(err) {
		t.Error("what was known counts as asked now")
	}
	if n := u.RequestCount(); n != 0 {
		t.Errorf("%d requests for what is known", n)
	}
	if got, err := find("bob", time.Minute); err != nil || got != id || u.CountRequests("GET", "/Users") != 0 {
		t.Errorf("found %q, %v", got, err)
	}
	u.AddUser("carol", password)
	now = now.Add(time.Millisecond)
	if _, err := find("carol", 0); err != nil { // asked now
		t.Error(err)
	}
	now = now.Add(2 * time.Minute)
	u.ResetRequests()
	if _, err := find("carol", time.Minute); err != nil || u.CountRequests("GET", "/Users") != 1 {
		t.Errorf("what is known is too old: %v", err)
	}
	// A creation after that look still costs three requests.
	u.ResetRequests()
	must(c.CreateUser(t.Context(), sdk.CreateUserRequest{Username: "dave", Password: password, Grant: only(u.movies)}))(t)
	if n := u.RequestCount(); n != 3 {
		t.Errorf("%d requests: %v", n, paths(u))
	}
}

// Where bob and BOB are two users, the one spelt the same is found.
func TestFindUserPrefersTheSpelling(t *testing.T) {
	u := start(t, jellyfintest.Config{Version: "10.11.6"})
	c := u.open()
	upper, lower := u.AddUser("BOB", password), u.AddUser("bob", password)
	for name, want := range map[string]string{"BOB": upper, "bob": lower} {
		if got := must(c.FindUser(t.Context(), sdk.FindUserRequest{Username: name}))(t).User.ID; got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if _, err := c.FindUser(t.Context(), sdk.FindUserRequest{Username: "Bob"}); err != nil {
		t.Error(err)
	}
	_, err := c.FindUser(t.Context(), sdk.FindUserRequest{AccountID: "1"})
	wantReason(t, err, sdk.ReasonInvalid)
}

// A hash that two names share costs a look, not a mistake.
func TestIndexCollision(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	u.AddUser("alice", password)
	list(t, c)
	id := idOf(t, mustHave(t, u, "alice").ID)
	c.names.list.add("bob", id) // as if bob's hash were alice's
	if _, err := c.CreateUser(t.Context(), newBob(only(u.movies))); err != nil {
		t.Error(err)
	}
}

func TestIDs(t *testing.T) {
	const plain = "00112233445566778899aabbccddeeff"
	for in, want := range map[string]string{
		plain: plain, "00112233-4455-6677-8899-AABBCCDDEEFF": plain,
		"": "", "x": "", fmt.Sprintf("%032d", 0): "", plain + "0": "", "0011223-34455-6677-8899-AABBCCDDEEFF": "",
		"00112233-4455-6677-8899-AABBCCDDEE--": "", "gg112233445566778899aabbccddeeff": "",
	} {
		g, ok := parseID(in)
		if ok != (want != "") || ok && g.String() != want {
			t.Errorf("%q is %s, %t", in, g, ok)
		}
	}
}
