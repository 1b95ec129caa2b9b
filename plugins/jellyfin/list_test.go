package jellyfin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/zondarr/zondarr/plugins/jellyfin/jellyfintest"
	"github.com/zondarr/zondarr/sdk"
)

// R3.11: one request, every user, and what each may do.
func TestListUsers(t *testing.T) {
	eachVersion(t, func(t *testing.T, u *upstream, c *client) {
		u.AddUsers("user", 1000)
		u.AddUser("bob", password, func(p *jellyfintest.Policy) {
			p.EnableAllFolders, p.EnabledFolders, p.IsDisabled = false, []string{u.movies}, true
		})
		seen := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		if err := u.SetLastActivity("bob", seen, seen.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		users := map[string]sdk.User{}
		if err := c.ListUsers(t.Context(), sdk.ListUsersRequest{}, func(u sdk.User) error { users[u.Username] = u; return nil }); err != nil {
			t.Fatal(err)
		}
		if len(users) != 1002 || u.CountRequests("GET", "") != 2 {
			t.Errorf("%d users in %d requests", len(users), u.CountRequests("GET", ""))
		}
		bob := users["bob"]
		if bob.Status != sdk.StatusSuspended || bob.Libraries.Mode != sdk.LibraryOnly || bob.LastActiveAt != seen.Add(time.Hour) || !*bob.SignedIn {
			t.Errorf("bob is %+v", bob)
		}
		if one := must(c.GetUser(t.Context(), sdk.GetUserRequest{ID: bob.ID}))(t).User; fmt.Sprint(one.Permissions, one.Limits, one.Status) != fmt.Sprint(bob.Permissions, bob.Limits, bob.Status) {
			t.Errorf("read alone, bob is %+v", one)
		}
		if !users["admin"].Protected || *users["user000007"].SignedIn || !users["user000007"].LastActiveAt.IsZero() {
			t.Errorf("admin is %+v", users["admin"])
		}
	})
}

// A list that does not come to its end is never taken for the whole.
func TestListThatIsCut(t *testing.T) {
	for name, f := range map[string]struct {
		fault jellyfintest.Fault
		want  sdk.Reason
	}{
		"CutInside":  {jellyfintest.Fault{Path: "/Users", Action: jellyfintest.CutBody, Bytes: 4000}, sdk.ReasonServerError},
		"CutAtStart": {jellyfintest.Fault{Path: "/Users", Action: jellyfintest.CutBody, Bytes: 1}, sdk.ReasonServerError},
		"Cut":        {jellyfintest.Fault{Path: "/Users", Action: jellyfintest.Cut}, sdk.ReasonUnavailable},
		"Empty":      {jellyfintest.Fault{Path: "/Users", Action: jellyfintest.Empty}, sdk.ReasonServerError},
		"HTML":       {jellyfintest.Fault{Path: "/Users", Action: jellyfintest.HTML}, sdk.ReasonServerError},
		"Locked":     {jellyfintest.Fault{Path: "/Users", Action: jellyfintest.Locked}, sdk.ReasonServerError},
		"LockedOnce": {jellyfintest.Fault{Path: "/Users", Action: jellyfintest.Locked, Count: 2}, ""},
		"Slow":       {jellyfintest.Fault{Path: "/Users", Action: jellyfintest.Slow, Delay: 5 * time.Millisecond, Bytes: 1000}, sdk.ReasonTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			u := start(t, jellyfintest.Config{})
			c := u.open()
			u.AddUsers("user", 200)
			u.AddFault(f.fault)
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			n := 0
			err := c.ListUsers(ctx, sdk.ListUsersRequest{}, func(sdk.User) error { n++; return nil })
			if f.want == "" {
				if err != nil || n != 201 {
					t.Errorf("%d users, %v", n, err)
				}
				return
			}
			wantReason(t, err, f.want)
			if c.names.list != nil {
				t.Error("a list that was cut became the index")
			}
		})
	}
}

func TestListStopsWithItsReader(t *testing.T) {
	u := start(t, jellyfintest.Config{})
	c := u.open()
	u.AddUsers("user", 100)
	stop := errors.New("enough")
	n := 0
	err := c.ListUsers(t.Context(), sdk.ListUsersRequest{}, func(sdk.User) error {
		if n++; n == 10 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || n != 10 {
		t.Errorf("%d users, %v", n, err)
	}
}

// Lists that only look like one.
func TestListOfSomethingElse(t *testing.T) {
	id := strings.Repeat("ab", 16)
	for _, body := range []string{
		`{}`, `null`, `[{"Name":"bob"}]`, `[{"Id":"` + id + `"}]`, `[1]`, `["x"]`, `[`, `[{"Name":"bob","Id":"` + id + `"}`, `[{"Name":"bob","Id":"` + id + `"},]`,
		`[{"Name":"bob","Id":"` + id + `","Policy":{"IsDisabled":"perhaps"}}]`,
		`[{"Name":"` + strings.Repeat("b", 2*maxAccount) + `","Id":"` + id + `"}]`,
	} {
		err := decodeList(&pieces{r: strings.NewReader(body), left: maxAccount}, func(a *account) error {
			if _, ok := parseID(a.ID); !ok || a.Name == "" {
				return errNoUser
			}
			return nil
		})
		if err == nil {
			t.Errorf("%.60s is a list of users", body)
		}
	}
}

// sampleUser is a user as 10.11 writes it, with marks in place of name and id.
func sampleUser(tb testing.TB) string {
	tb.Helper()
	s := jellyfintest.New(jellyfintest.Config{APIKey: "k"})
	s.AddUser("SAMPLE", "")
	rec := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodGet, "/Users", nil)
	req.Header.Set("Authorization", `MediaBrowser Token="k"`)
	s.ServeHTTP(rec, req)
	var all []json.RawMessage
	if err := json.Unmarshal(rec.Body.Bytes(), &all); err != nil {
		tb.Fatal(err)
	}
	u, ok := s.User("SAMPLE")
	if !ok {
		tb.Fatal("there is no sample")
	}
	return strings.Replace(string(all[len(all)-1]), u.ID, "SAMPLE_ID", 1)
}

func listOf(sample string, n int) []byte {
	var b bytes.Buffer
	b.WriteByte('[')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		one := strings.Replace(sample, `"SAMPLE"`, fmt.Sprintf(`"user%06d"`, i), 1)
		b.WriteString(strings.Replace(one, "SAMPLE_ID", fmt.Sprintf("%032x", i+1), 1))
	}
	b.WriteByte(']')
	return b.Bytes()
}

// Memory does not grow with the number of users, but for the index: a few dozen
// bytes each.
func TestListInFlatMemory(t *testing.T) {
	const n = 20_000
	body := listOf(sampleUser(t), n)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	x := nameIndex{listing: make(gate, 1)}
	list := x.begin(time.Now())
	before, i, most := heap(), 0, uint64(0)
	err := decodeList(&pieces{r: bytes.NewReader(body), left: maxAccount}, func(a *account) error {
		list.add(a.Name, idOf(t, a.ID))
		if i++; i%5000 == 0 {
			most = max(most, heap()-before)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if most > 100*n+1<<20 {
		t.Errorf("%d bytes are held for %d users", most, n)
	}
	runtime.KeepAlive(list)
	runtime.KeepAlive(body)
}

func FuzzDecodeList(f *testing.F) {
	f.Add(listOf(sampleUser(f), 2))
	f.Add([]byte(`[]`))
	f.Add([]byte(`[{"Name":"a","Id":"00112233445566778899aabbccddeeff","LastLoginDate":"0001-01-01T00:00:00.0000000Z","Policy":null}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var names []string
		err := decodeList(&pieces{r: bytes.NewReader(data), left: maxAccount}, func(a *account) error {
			u := a.toSDK()
			if u.Libraries != nil && (u.Libraries.Mode == sdk.LibraryOnly) != (len(u.Libraries.IDs) > 0) {
				t.Errorf("libraries are %+v", u.Libraries)
			}
			names = append(names, a.Name)
			return nil
		})
		var all []account
		whole := json.Unmarshal(data, &all)
		if err == nil && whole == nil && len(all) != len(names) {
			t.Errorf("%d users one by one, %d at once", len(names), len(all))
		}
		if whole == nil && all != nil && err != nil {
			t.Errorf("a good list was refused: %v", err)
		}
	})
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add([]byte(strings.Replace(sampleUser(f), "SAMPLE_ID", "00112233445566778899aabbccddeeff", 1)))
	f.Add([]byte(`{"Name":"a","Id":"x","Policy":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeRecord(data)
		if err != nil {
			if sdk.ReasonOf(err) != sdk.ReasonServerError {
				t.Errorf("reason is %q", sdk.ReasonOf(err))
			}
			return
		}
		o := overlay{"IsDisabled": true, "EnabledFolders": []string{}}
		p, err := o.over(r.raw)
		if err != nil {
			t.Fatal(err)
		}
		if o.lostIn(p) != "" {
			t.Error("an overlay does not hold")
		}
		for member, raw := range r.raw {
			if _, own := o[member]; !own && string(p[member]) != string(raw) {
				t.Errorf("%s has changed", member)
			}
		}
	})
}

func FuzzParseVersion(f *testing.F) {
	for _, v := range append(versions, "", "10", "10.8", "1.2.3.4", "x.y.z", "-1.0.0") {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := parseVersion(s)
		if err == nil && (!v.atLeast(v) || v.short() == "") {
			t.Errorf("%q is %+v", s, v)
		}
	})
}
