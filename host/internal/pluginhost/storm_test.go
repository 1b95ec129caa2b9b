package pluginhost

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/zondarr/zondarr/host/internal/fault"
)

// Admins who approve, disable and restart at once, on a file that changes all the
// while: every action ends with an answer, only what was approved ever runs, and
// afterwards the plugin obeys as before.
func TestAdminsAtOnce(t *testing.T) {
	h := newHouse(t)
	h.start()
	contents := map[string][]byte{"1": variant{Version: "1"}.binary(), "2": variant{Version: "2"}.binary(), "never": variant{Version: "never"}.binary()}
	dropFile(t, h.dir, "media", contents["1"])
	h.await("media", StateAwaitingApproval)
	h.approve("media")
	never, _, err := hashFile(dropFile(t, t.TempDir(), "media", contents["never"]))
	must(t, err)

	var admins, others sync.WaitGroup
	stop := make(chan struct{})
	going := func() bool {
		select {
		case <-stop:
			return false
		default:
			return true
		}
	}
	others.Go(func() {
		for n := 0; going(); n++ {
			dropFile(t, h.dir, "media", contents[[]string{"1", "2", "never"}[n%3]])
			time.Sleep(time.Duration(60+n*37%150) * time.Millisecond)
		}
	})
	others.Go(func() {
		for going() {
			if s := h.status("media"); s.PID != 0 && s.SHA256 == never {
				t.Errorf("what nobody approved runs: %+v", s)
			}
			if u, err := h.get(server("media", 1), "bob"); err == nil && u.Username == "never" {
				t.Error("what nobody approved answers")
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	actions := 40
	if testing.Short() {
		actions = 15
	}
	for admin := range 4 {
		admins.Go(func() {
			random := rand.New(rand.NewPCG(7, uint64(admin)))
			for range actions {
				var err error
				started := time.Now()
				time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond)
				switch s := h.status("media"); random.IntN(6) {
				case 0:
					_, err = h.Disable(t.Context(), "media", "admin:test")
				case 1:
					_, err = h.Restart(t.Context(), "media", "admin:test")
				default:
					sha := s.SHA256
					if s.Pending != nil {
						sha = s.Pending.SHA256
					}
					if sha != never { // the file's hash may be yet another when it gets there
						_, err = h.Approve(t.Context(), "media", sha, "admin:test")
					}
				}
				if took := time.Since(started); took > h.policy.ActionWait*2/3 {
					t.Errorf("an action took %s: it waited for what was overtaken", took)
				}
				if err != nil && fault.As(err) == nil {
					t.Errorf("an answer without words: %v", err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { admins.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Error("an action does not end")
	}
	close(stop)
	others.Wait()

	sum, _, err := hashFile(dropFile(t, h.dir, "media", contents["2"]))
	must(t, err)
	_, err = h.Rescan(t.Context()) // waits until the file has settled
	must(t, err)
	s, err := h.Approve(t.Context(), "media", sum, "admin:test")
	if err != nil || s.State != StateReady || s.Version != "2" {
		t.Errorf("afterwards: %+v, %v", s, err)
	}
	if u, err := h.get(server("media", 1), "bob"); err != nil || u.Username != "2" {
		t.Errorf("afterwards it answers %+v, %v", u, err)
	}
}
