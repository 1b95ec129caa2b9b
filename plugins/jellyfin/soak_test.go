//go:build soak

package jellyfin

import (
	"runtime"
	"testing"

	"github.com/zondarr/zondarr/plugins/jellyfin/jellyfintest"
	"github.com/zondarr/zondarr/sdk"
)

// A hundred thousand users: every one is listed, what is held of them is the index,
// and an account costs what it costs on an empty server.
func TestSoakHundredThousandUsers(t *testing.T) {
	const n = 100_000
	for _, v := range versions {
		t.Run(v, func(t *testing.T) {
			u := start(t, jellyfintest.Config{Version: v})
			u.AddUsers("user", n)
			c := u.open()
			heap := func() uint64 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return m.HeapAlloc
			}
			must(c.ready(t.Context()))(t)
			before, most, got := heap(), uint64(0), 0
			if err := c.ListUsers(t.Context(), sdk.ListUsersRequest{}, func(sdk.User) error {
				if got++; got%20_000 == 0 {
					if now := heap(); now > before {
						most = max(most, now-before)
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if got != n+1 {
				t.Errorf("%d users are listed", got)
			}
			if most > 16<<20 {
				t.Errorf("%d bytes are held", most)
			}
			t.Logf("%d KiB are held while %d users are listed", most>>10, got)
			u.ResetRequests()
			must(c.CreateUser(t.Context(), newBob(only(u.movies))))(t)
			if requests := u.RequestCount(); requests != 3 {
				t.Errorf("an account cost %d requests", requests)
			}
		})
	}
}
