//go:build soak

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/zondarr/zondarr/plugins/jellyfin/jellyfintest"
)

// TestSoakCrash: 200 redemptions by 16 clients while the host and its plugins
// are killed at random. Afterwards the ledger balances, every account on the
// media server is known to a row, nothing that was there before was touched, and
// who was told that it worked can sign in.
func TestSoakCrash(t *testing.T) {
	const redemptions, clients = 200, 16
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))

	jellyfin := jellyfintest.New(jellyfintest.Config{})
	films := jellyfin.AddLibrary(jellyfintest.Library{Name: "Films", Type: "movies"})
	before := jellyfin.AddUser("friend0", "their own password")
	// A slow server, on which a change arrives also when whoever asked is dead.
	for _, path := range []string{"/Users/New", "/Users/*/Policy"} {
		jellyfin.AddFault(jellyfintest.Fault{Method: "POST", Path: path, Action: jellyfintest.Delay, Delay: 700 * time.Millisecond})
	}
	if err := jellyfin.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(jellyfin.Close)
	c := &crashing{installed: newInstalled(filepath.Join(t.TempDir(), "data"), "ZONDARR_JOIN_RATE=off", "ZONDARR_LOG_LEVEL=warn")}
	if err := c.setUp(); err != nil {
		t.Fatal(err)
	}
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.stop(syscall.SIGKILL) })

	server := c.must(t, "POST", "/api/v1/servers", fmt.Sprintf(`{"name":"home","server_type":"jellyfin","url":%q,"secrets":{"api_key":%q}}`, jellyfin.URL(), jellyfin.CreateAPIKey("zondarr")), "id")
	library := c.must(t, "GET", "/api/v1/servers/"+server+"/libraries", "", "items.0.id")
	created := c.must(t, "POST", "/api/v1/invitations", fmt.Sprintf(`{"max_uses":null,"servers":[{"server_id":%q,"libraries":{"access":"only","library_ids":[%q]}}]}`, server, library), "")
	code, err := at([]byte(created), "code")
	if err != nil {
		t.Fatal(err)
	}
	invitation, err := at([]byte(created), "id")
	if err != nil {
		t.Fatal(err)
	}

	// The killer.
	done := make(chan struct{})
	var killer sync.WaitGroup
	killer.Go(func() { c.killAtRandom(t, random, done) })

	// The clients: each name once, tried until an answer is certain.
	var next atomic.Int64
	var told sync.Map // username → status of the answer
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for {
				n := next.Add(1)
				if n > redemptions {
					return
				}
				name := fmt.Sprintf("guest%03d", n)
				told.Store(name, c.redeem(code, name))
			}
		})
	}
	all.Wait()
	close(done)
	killer.Wait()
	c.settle(t)

	// The balance.
	completed := c.count(t, "/api/v1/redemptions?state=completed")
	attention := c.count(t, "/api/v1/redemptions?state=needs_attention")
	used := c.must(t, "GET", "/api/v1/invitations/"+invitation, "", "use_count")
	if used != fmt.Sprint(completed) {
		t.Errorf("use_count is %s, and %d redemptions are completed", used, completed)
	}
	known := c.names(t, "/api/v1/users")
	doubtful := c.names(t, "/api/v1/redemptions?state=needs_attention")
	for _, u := range jellyfin.Users() {
		switch {
		case u.Name == "admin", u.ID == before:
		case known[u.Name] == 0 && doubtful[u.Name] == 0:
			t.Errorf("the account %s is known to no row", u.Name)
		case known[u.Name] > 0 && (u.Policy.EnableAllFolders || len(u.Policy.EnabledFolders) != 1 || u.Policy.EnabledFolders[0] != films):
			t.Errorf("the account %s has another access: %+v", u.Name, u.Policy.EnabledFolders)
		}
	}
	for name := range known {
		if _, there := jellyfin.User(name); !there {
			t.Errorf("the user %s has no account", name)
		}
	}
	if jellyfin.SignIn("friend0", "their own password") != nil {
		t.Error("an account that was there before was touched")
	}
	succeeded := 0
	told.Range(func(name, status any) bool {
		if status.(int) != 201 {
			return true
		}
		succeeded++
		if err := jellyfin.SignIn(name.(string), "correct horse"); err != nil {
			t.Errorf("%v was told 201 and cannot sign in: %v", name, err)
		}
		return true
	})
	if c.hostKills < 5 || c.pluginKills < 5 {
		t.Errorf("only %d host kills and %d plugin kills: the test proves little", c.hostKills, c.pluginKills)
	}
	t.Logf("%d of %d told 201, %d completed, %d need attention, %d host kills, %d plugin kills", succeeded, redemptions, completed, attention, c.hostKills, c.pluginKills)
}

// crashing is an installation whose host goes away and comes back.
type crashing struct {
	*installed
	mu                     sync.RWMutex // held for reading by calls, for writing by a restart
	hostKills, pluginKills int
}

func (c *crashing) killAtRandom(t *testing.T, random *rand.Rand, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-time.After(time.Duration(200+random.IntN(1300)) * time.Millisecond):
		}
		if random.IntN(3) > 0 {
			pids, err := c.plugins()
			if err != nil || len(pids) == 0 {
				continue
			}
			_ = syscall.Kill(pids[random.IntN(len(pids))], syscall.SIGKILL) // it may have ended by itself
			c.pluginKills++
			continue
		}
		if err := c.stop(syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		c.hostKills++
		time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
		c.mu.Lock()
		if err := c.start(); err != nil {
			t.Error(err)
		}
		c.mu.Unlock()
	}
}

// redeem tries until an answer is certain, with one idempotency key, and gives
// its status; 0 when there was none.
func (c *crashing) redeem(code, name string) int {
	for range 40 {
		c.mu.RLock()
		base := *c.installed
		c.mu.RUnlock()
		status, answer, err := base.call(context.Background(), "POST", "/api/v1/join/"+code,
			fmt.Sprintf(`{"username":%q,"password":"correct horse"}`, name), "Idempotency-Key", name)
		if err == nil && status == 202 {
			if status = c.poll(answer); status != 0 {
				return status
			}
			return 0
		}
		if err == nil && status != 503 {
			return status
		}
		time.Sleep(100 * time.Millisecond)
	}
	return 0
}

// poll asks a while how a redemption goes on.
func (c *crashing) poll(answer []byte) int {
	path, err := at(answer, "status_url")
	if err != nil {
		return 0
	}
	for range 50 {
		c.mu.RLock()
		base := *c.installed
		c.mu.RUnlock()
		_, answer, err := base.call(context.Background(), "GET", path, "")
		if state, _ := at(answer, "state"); err == nil && state == "completed" {
			return 201
		} else if err == nil && state == "failed" {
			return 409
		}
		time.Sleep(200 * time.Millisecond)
	}
	return 0
}

// settle waits until no redemption is under way: an account of unknown outcome
// is looked for until ten minutes after its deadline.
func (c *crashing) settle(t *testing.T) {
	deadline := time.Now().Add(20 * time.Minute)
	for {
		n := c.count(t, "/api/v1/redemptions?state=in_progress&state=undoing")
		if n == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d redemptions are still under way", n)
		}
		time.Sleep(time.Second)
	}
}

// must makes a call that has to work and gives a value of the answer, or all of
// it.
func (c *crashing) must(t *testing.T, method, path, body, value string) string {
	t.Helper()
	status, answer, err := c.call(t.Context(), method, path, body)
	if err != nil || status >= 300 {
		t.Fatalf("%s %s answers %d, %v: %s", method, path, status, err, answer)
	}
	if value == "" {
		return string(answer)
	}
	v, err := at(answer, value)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// names counts the usernames of a whole list.
func (c *crashing) names(t *testing.T, path string) map[string]int {
	t.Helper()
	out := map[string]int{}
	for cursor := ""; ; {
		u, err := url.Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		q.Set("limit", "200")
		if cursor != "" {
			q.Set("cursor", cursor)
		}
		u.RawQuery = q.Encode()
		var list struct {
			Items []struct {
				Username string `json:"username"`
			} `json:"items"`
			NextCursor *string `json:"next_cursor"`
		}
		if err := json.Unmarshal([]byte(c.must(t, "GET", u.String(), "", "")), &list); err != nil {
			t.Fatal(err)
		}
		for _, i := range list.Items {
			out[i.Username]++
		}
		if list.NextCursor == nil {
			return out
		}
		cursor = *list.NextCursor
	}
}

func (c *crashing) count(t *testing.T, path string) int {
	t.Helper()
	n := 0
	for _, k := range c.names(t, path) {
		n += k
	}
	return n
}
