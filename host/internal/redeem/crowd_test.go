package redeem

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

// A crowd at one invitation gets exactly as many accounts as it has uses, also
// when two hosts share the work.
func TestCrowdAtOneInvitation(t *testing.T) {
	clients, uses := 1000, 100
	if testing.Short() {
		clients, uses = 60, 20
	}
	for _, tc := range []struct {
		name    string
		dialect database.Dialect
		hosts   int
	}{{"sqlite", database.SQLite, 1}, {"postgres", database.Postgres, 1}, {"postgres two hosts", database.Postgres, 2}} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, hosttest.NewDB(t, tc.dialect), sdktest.NewFake(), "home")
			var services []*Service
			for range tc.hosts {
				// This is about counting, not about how long a busy machine takes.
				services = append(services, w.start(func(s *Service) { s.Policy.Wait = 2 * time.Minute }))
			}
			inv, before := w.invite(&uses, "home"), w.all()
			var completed, exhausted atomic.Int32
			together(clients, func(i int) {
				res, err := services[i%len(services)].Join(t.Context(), inv.Code, Request{Username: fmt.Sprintf("bob%d", i), Password: goodPassword}, "", Caller{})
				switch {
				case err == nil && res.State == Completed:
					completed.Add(1)
				case fault.CodeOf(err) == fault.CodeInvitationExhausted:
					exhausted.Add(1)
				default:
					t.Errorf("client %d: %+v, %v", i, res, err)
				}
			})
			if int(completed.Load()) != uses || int(exhausted.Load()) != clients-uses {
				t.Errorf("%d accounts, %d refused; want %d and %d", completed.Load(), exhausted.Load(), uses, clients-uses)
			}
			if n := len(w.fakes["home"].Users()) - len(before["home"]); n != uses {
				t.Errorf("the media server has %d new accounts, want %d", n, uses)
			}
			if err := w.balanced(before); err != nil {
				t.Error(err)
			}
		})
	}
}
