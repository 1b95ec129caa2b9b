package sdkplugin_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

// crowd lists users who are made as they are listed.
type crowd struct {
	stub
	list func(ctx context.Context, yield func(sdk.User) error) error
}

func (c *crowd) ListUsers(ctx context.Context, _ sdk.ListUsersRequest, yield func(sdk.User) error) error {
	return c.list(ctx, yield)
}

func listing(t testing.TB, list func(ctx context.Context, yield func(sdk.User) error) error) sdktest.Client {
	p := &stubPlugin{
		describe: func(d *sdk.Description) { d.Client = (*crowd)(nil) },
		open:     func(context.Context, sdk.OpenRequest) (sdk.MediaClient, error) { return &crowd{list: list}, nil },
	}
	return sdktest.Connect(t, p).Client(ref("one"))
}

// person gives one of many users, of a usual size.
func person(i int) sdk.User {
	return sdk.User{
		ID: fmt.Sprintf("%032x", i), Username: fmt.Sprintf("person-%d", i), Kind: "user", Status: sdk.StatusActive,
		Libraries:   &sdk.LibraryAccess{Mode: sdk.LibraryOnly, IDs: []string{"11111111111111111111111111111111", "22222222222222222222222222222222"}},
		Permissions: map[string]sdk.Tri{sdk.PermissionDownload: sdk.Allow, sdk.PermissionStream: sdk.Deny, sdk.PermissionLiveTV: sdk.Allow},
		Limits:      map[string]int64{sdk.LimitMaxSessions: 3},
		CreatedAt:   time.Unix(1700000000, 0).UTC(), LastActiveAt: time.Unix(1700000000+int64(i), 0).UTC(),
	}
}

func count(ctx context.Context, c sdktest.Client) (int, error) {
	n := 0
	err := c.ListUsers(ctx, sdk.ListUsersRequest{}, func(sdk.User) error { n++; return nil })
	return n, err
}

// R3.11: 100,000 users in flat memory, on both sides (which share this process).
func TestHugeList(t *testing.T) {
	const users = 100_000
	c := listing(t, func(_ context.Context, yield func(sdk.User) error) error {
		for i := range users {
			if err := yield(person(i)); err != nil {
				return err
			}
		}
		return nil
	})
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n, most := 0, uint64(0)
	err := c.ListUsers(t.Context(), sdk.ListUsersRequest{}, func(u sdk.User) error {
		if n%10_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc-min(before.HeapAlloc, now.HeapAlloc))
		}
		n++
		return nil
	})
	if err != nil || n != users {
		t.Fatalf("%d users and %v", n, err)
	}
	if most > 16<<20 {
		t.Errorf("the list took %d KiB", most>>10)
	}
	t.Logf("at most %d KiB", most>>10)
}

// A slow host holds up the plugin, which so holds no list.
func TestListWaitsForItsReader(t *testing.T) {
	var made atomic.Int64
	c := listing(t, func(_ context.Context, yield func(sdk.User) error) error {
		for i := range 100_000 {
			made.Add(1)
			if err := yield(person(i)); err != nil {
				return err
			}
		}
		return nil
	})
	stop := errors.New("stop")
	err := c.ListUsers(t.Context(), sdk.ListUsersRequest{}, func(sdk.User) error {
		time.Sleep(100 * time.Millisecond)
		return stop
	})
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
	if n := made.Load(); n > 20_000 {
		t.Errorf("%d users were made while the reader slept", n)
	}
}

// An author who fills the same map and slice for each user gets each user through as it
// was when it was handed over.
func TestUsersAreCopied(t *testing.T) {
	const users = 700
	c := listing(t, func(_ context.Context, yield func(sdk.User) error) error {
		limits, permissions, ids, state, signedIn := map[string]int64{}, map[string]sdk.Tri{}, make([]string, 1), make([]byte, 1), false
		for i := range users {
			clear(limits)
			clear(permissions)
			limits[sdk.LimitMaxSessions], permissions[sdk.PermissionDownload] = int64(i), sdk.TriOf(i%2 == 0)
			ids[0], state[0], signedIn = fmt.Sprint(i), byte(i), i%2 == 0
			u := sdk.User{
				ID: fmt.Sprint(i), Status: sdk.StatusActive, Limits: limits, Permissions: permissions,
				Libraries: &sdk.LibraryAccess{Mode: sdk.LibraryOnly, IDs: ids}, PluginState: state, SignedIn: &signedIn,
			}
			if i%5 == 0 { // says nothing of them: what the one before said must not show
				u.Limits, u.Permissions, u.Libraries, u.PluginState, u.SignedIn = nil, nil, nil, nil, nil
			}
			if err := yield(u); err != nil {
				return err
			}
		}
		return nil
	})
	n := 0
	err := c.ListUsers(t.Context(), sdk.ListUsersRequest{}, func(u sdk.User) error {
		i := n
		n++
		want := sdk.User{ID: fmt.Sprint(i), Status: sdk.StatusActive}
		if i%5 != 0 {
			even := i%2 == 0
			want.Limits, want.Permissions = map[string]int64{sdk.LimitMaxSessions: int64(i)}, map[string]sdk.Tri{sdk.PermissionDownload: sdk.TriOf(even)}
			want.Libraries, want.PluginState, want.SignedIn = &sdk.LibraryAccess{Mode: sdk.LibraryOnly, IDs: []string{fmt.Sprint(i)}}, []byte{byte(i)}, &even
		}
		if !reflect.DeepEqual(u, want) {
			return fmt.Errorf("user %d came as %+v", i, u)
		}
		return nil
	})
	if err != nil || n != users {
		t.Errorf("%d users, %v", n, err)
	}
}

func TestCutLists(t *testing.T) {
	broke := sdk.Errorf(sdk.ReasonUnavailable, "the connection broke")
	for _, tt := range []struct {
		name   string
		list   func(ctx context.Context, yield func(sdk.User) error) error
		reason sdk.Reason
		users  int
	}{
		{"complete", func(_ context.Context, yield func(sdk.User) error) error { return yield(person(1)) }, "", 1},
		{"empty", func(context.Context, func(sdk.User) error) error { return nil }, "", 0},
		{"broken in the middle", func(_ context.Context, yield func(sdk.User) error) error {
			for i := range 1200 {
				if err := yield(person(i)); err != nil {
					return err
				}
			}
			return broke
		}, sdk.ReasonUnavailable, 1000},
		{"a user without an id, swallowed", func(_ context.Context, yield func(sdk.User) error) error {
			_ = yield(sdk.User{Status: sdk.StatusActive})
			return nil
		}, sdk.ReasonInternal, 0},
		{"panics", func(_ context.Context, yield func(sdk.User) error) error { panic("no") }, sdk.ReasonInternal, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, err := count(t.Context(), listing(t, tt.list))
			if sdk.ReasonOf(err) != tt.reason || n != tt.users {
				t.Errorf("%d users and %v, want %d and %q", n, err, tt.users, tt.reason)
			}
		})
	}
}

// Users with much in them make smaller messages, not a failure.
func TestListOfLargeUsers(t *testing.T) {
	ids := strings.Split(strings.Repeat("an-id-of-a-library ", 4000), " ")
	c := listing(t, func(_ context.Context, yield func(sdk.User) error) error {
		for i := range 600 {
			u := person(i)
			u.Libraries.IDs = ids
			if err := yield(u); err != nil {
				return err
			}
		}
		return nil
	})
	if n, err := count(t.Context(), c); n != 600 || err != nil {
		t.Errorf("%d users and %v", n, err)
	}
}

func TestYieldAfterTheEnd(t *testing.T) {
	late := make(chan error, 1)
	c := listing(t, func(_ context.Context, yield func(sdk.User) error) error {
		go func() {
			time.Sleep(50 * time.Millisecond)
			late <- yield(person(1))
		}()
		return nil
	})
	if n, err := count(t.Context(), c); n != 0 || err != nil {
		t.Errorf("%d users and %v", n, err)
	}
	if err := <-late; err == nil {
		t.Error("a late user was taken")
	}
}
