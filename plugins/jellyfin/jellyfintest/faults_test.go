package jellyfintest

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"
)

const newBob = `{"Name":"bob","Password":"pw"}`

func TestFaultStatuses(t *testing.T) {
	met := func(f Fault, method, path string) func(d *double) answer {
		return func(d *double) answer {
			d.AddFault(f)
			return d.try(d.t.Context(), method, path, "", nil)
		}
	}
	anonymous := func(f Fault, path string) func(d *double) answer {
		return func(d *double) answer {
			d.AddFault(f)
			return d.try(d.t.Context(), "GET", path, "", map[string]string{})
		}
	}
	starting := Fault{Action: Starting}
	run(t, []row{
		{name: "Locked", act: met(Fault{Action: Locked}, "GET", "/Users"), want: all("500 A")},
		{name: "Blocked", act: met(Fault{Action: Blocked}, "GET", "/Users"), want: since109("200 empty", "503")},
		{name: "Empty", act: met(Fault{Action: Empty}, "GET", "/Users"), want: all("200 empty")},
		{name: "Unauthorized", act: met(Fault{Action: Unauthorized}, "GET", "/Users"), want: all("401")},
		{name: "Starting", act: met(starting, "GET", "/Users"), want: all("503 html")},
		{name: "StartingAnonymous", act: anonymous(starting, "/Users"), want: since1011("401", "503 html")},
		{name: "StartingUnknownRoute", act: met(starting, "GET", "/Nowhere"), want: all("503 html")},
		{name: "StartingPing", act: met(starting, "GET", "/System/Ping"), want: since1011("200 B Jellyfin Server", "503 html")},
		{name: "StartingPublicInfo", act: anonymous(starting, "/System/Info/Public"), want: since1011("503 html", "200")},
	})
	each(t, Config{}, func(d *double) {
		d.AddFault(starting)
		if a := d.try(t.Context(), "GET", "/Users", "", nil); a.header.Get("Retry-After") != since1011("", "005")[d.column] {
			d.t.Fatal(a.header)
		}
		health := d.try(t.Context(), "GET", "/health", "", map[string]string{})
		if d.column >= 2 {
			if health.status != 200 || health.body != "Degraded" {
				d.t.Fatalf("%+v", health)
			}
			// The stand-in says that the wizard is not done, whatever is true.
			if m := d.try(t.Context(), "GET", "/System/Info/Public", "", map[string]string{}).members(d.t); m["startupWizardCompleted"] != false || m["version"] != d.Version() {
				d.t.Fatal(m)
			}
		} else {
			d.check(health, "503 html")
		}
		d.ClearFaults()
		d.check(d.do("GET", "/Users", ""), "200")
	})
}

func TestFaultRedirect(t *testing.T) {
	each(t, Config{BasePath: "jf"}, func(d *double) {
		d.AddFault(Fault{Action: Redirect, Path: "/System/Info/Public"})
		a := d.do("GET", "/System/Info/Public", "")
		if a.status != 302 || a.header.Get("Location") != "/jf/web/" {
			d.t.Fatalf("%+v", a)
		}
	})
}

func TestFaultProxy(t *testing.T) {
	each(t, Config{}, func(d *double) {
		d.AddFault(Fault{Action: HTML, Path: "/Users"})
		d.AddFault(Fault{Action: HTML, Path: "/Auth/Providers", Status: 504})
		d.AddFault(Fault{Action: RateLimited, Path: "/Sessions", RetryAfter: 7})
		for path, status := range map[string]int{"/Users": 200, "/Auth/Providers": 504, "/Sessions": 429} {
			a := d.try(t.Context(), "GET", path, "", nil)
			if a.status != status || a.header.Get("Content-Type") != "text/html" || a.header.Get("Server") != "nginx" {
				d.t.Fatalf("%s: %+v", path, a)
			}
			if (a.header.Get("Retry-After") == "7") != (status == 429) {
				d.t.Fatalf("%s: %+v", path, a.header)
			}
		}
	})
}

// "The second POST of a policy fails, after it was stored."
func TestFaultAddressing(t *testing.T) {
	each(t, Config{}, func(d *double) {
		id := d.AddUser("bob", "")
		d.AddFault(Fault{Method: "post", Path: "/users/*/policy", Skip: 1, Count: 1, Action: Locked, AfterCommit: true})
		d.check(d.setPolicy(id, map[string]any{"MaxActiveSessions": 1}), "204")
		d.check(d.setPolicy(id, map[string]any{"MaxActiveSessions": 2}), "500 A")
		if n := d.user("bob").Policy.MaxActiveSessions; n != 2 {
			d.t.Fatal("not stored:", n)
		}
		if n := d.FaultHits(); n != 1 {
			d.t.Fatal(n, "hits")
		}
		d.check(d.setPolicy(id, map[string]any{"MaxActiveSessions": 3}), "204")

		d.AddFault(Fault{Method: "POST", Path: "/Users/*/Policy", Count: 2, Action: Locked})
		for range 2 {
			d.check(d.setPolicy(id, map[string]any{"MaxActiveSessions": 4}), "500 A")
		}
		if n := d.user("bob").Policy.MaxActiveSessions; n != 3 {
			d.t.Fatal("stored:", n)
		}
		d.check(d.setPolicy(id, map[string]any{"MaxActiveSessions": 4}), "204")
	})
}

func TestFaultCut(t *testing.T) {
	each(t, Config{}, func(d *double) {
		d.AddFault(Fault{Method: "POST", Path: "/Users/New", Count: 1, Action: Cut})
		if a := d.try(t.Context(), "POST", "/Users/New", newBob, nil); a.err == nil || d.UserCount() != 1 {
			d.t.Fatal(a, d.UserCount())
		}
		d.AddFault(Fault{Method: "POST", Path: "/Users/New", Count: 1, Action: Cut, AfterCommit: true})
		if a := d.try(t.Context(), "POST", "/Users/New", newBob, nil); a.err == nil || d.UserCount() != 2 {
			d.t.Fatal(a, d.UserCount())
		}
		d.AddFault(Fault{Path: "/Users", Count: 1, Action: CutBody, Bytes: 100})
		a := d.try(t.Context(), "GET", "/Users", "", nil)
		if a.status != 200 || !errors.Is(a.err, io.ErrUnexpectedEOF) || len(a.body) != 100 {
			d.t.Fatalf("%+v", a)
		}
		last := d.Requests()
		if q := last[len(last)-1]; q.Status != 200 || q.ResponseBytes != 100 {
			d.t.Fatalf("%+v", q)
		}
		if last[0].Status != 0 {
			d.t.Fatalf("%+v", last[0])
		}
	})
}

func TestFaultHang(t *testing.T) {
	each(t, Config{}, func(d *double) {
		// Until the client gives up: nothing is stored.
		d.AddFault(Fault{Path: "/Users/New", Count: 1, Action: Hang})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		if a := d.try(ctx, "POST", "/Users/New", newBob, nil); !errors.Is(a.err, context.DeadlineExceeded) || d.UserCount() != 1 {
			d.t.Fatal(a.err, d.UserCount())
		}
		// Until it is let go: all goes on.
		d.AddFault(Fault{Path: "/Users/New", Skip: 0, Count: 1, Action: Hang})
		done := make(chan answer, 1)
		go func() { done <- d.try(context.Background(), "POST", "/Users/New", newBob, nil) }()
		for d.FaultHits() < 2 {
			time.Sleep(time.Millisecond)
		}
		select {
		case a := <-done:
			d.t.Fatal("answered:", a)
		case <-time.After(20 * time.Millisecond):
		}
		d.Release()
		d.check(<-done, "200")
		// After the commit, the client gives up on what is stored.
		d.ClearFaults()
		id := d.user("bob").ID
		d.AddFault(Fault{Method: "DELETE", Count: 1, Action: Hang, AfterCommit: true})
		ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if a := d.try(ctx, "DELETE", "/Users/"+id, "", nil); a.err == nil || d.UserCount() != 1 {
			d.t.Fatal(a, d.UserCount())
		}
	})
}

// A change that arrives after the client has gone.
func TestFaultDelay(t *testing.T) {
	each(t, Config{}, func(d *double) {
		d.AddFault(Fault{Path: "/Users/New", Count: 1, Action: Delay, Delay: 60 * time.Millisecond})
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Millisecond)
		defer cancel()
		if a := d.try(ctx, "POST", "/Users/New", newBob, nil); a.err == nil || d.UserCount() != 1 {
			d.t.Fatal(a, d.UserCount())
		}
		deadline := time.Now().Add(5 * time.Second)
		for d.UserCount() != 2 {
			if time.Now().After(deadline) {
				d.t.Fatal("the late create never came")
			}
			time.Sleep(time.Millisecond)
		}
	})
}

func TestFaultSlow(t *testing.T) {
	each(t, Config{}, func(d *double) {
		d.AddFault(Fault{Path: "/System/Info/Public", Count: 1, Action: Slow, Bytes: 50, Delay: 4 * time.Millisecond})
		began := time.Now()
		a := d.do("GET", "/System/Info/Public", "")
		d.check(a, "200")
		if took := time.Since(began); took < 4*4*time.Millisecond {
			d.t.Fatal("took only", took)
		}
	})
}

// Says yes, stores nothing.
func TestFaultForget(t *testing.T) {
	each(t, Config{}, func(d *double) {
		id := d.AddUser("eve", "pw")
		d.AddFault(Fault{Action: Forget})
		d.check(d.do("POST", "/Users/New", newBob), "200")
		d.check(d.do("DELETE", "/Users/"+id, ""), "204")
		d.check(d.setPolicy(id, map[string]any{"IsDisabled": true}), "204")
		d.check(d.do("POST", "/Library/VirtualFolders?name=Films", "{}"), "204")
		d.check(d.login("eve", "pw", "dev"), "200")
		if d.UserCount() != 2 || d.user("eve").Policy.IsDisabled || d.user("eve").Tokens != 0 || len(d.Libraries()) != 0 {
			d.t.Fatalf("%+v", d.Users())
		}
	})
}

// 204, and the old policy is back: at once, or after a read back.
func TestFaultRevertPolicy(t *testing.T) {
	now := time.Now()
	each(t, Config{Now: func() time.Time { return now }}, func(d *double) {
		id := d.AddUser("bob", "pw")
		token := d.token("bob", "pw", "dev")
		d.AddFault(Fault{Method: "POST", Path: "/Users/*/Policy", Count: 1, Action: RevertPolicy})
		d.check(d.setPolicy(id, map[string]any{"IsDisabled": true}), "204")
		if d.policyOf(id)["IsDisabled"] != false {
			d.t.Fatal("not reverted")
		}
		d.check(d.as(token, "GET", "/Users/Me", ""), "401") // the token is lost all the same

		d.AddFault(Fault{Method: "POST", Path: "/Users/*/Policy", Count: 1, Action: RevertPolicy, Delay: time.Minute})
		d.check(d.setPolicy(id, map[string]any{"IsDisabled": true}), "204")
		if d.policyOf(id)["IsDisabled"] != true {
			d.t.Fatal("reverted too early")
		}
		now = now.Add(2 * time.Minute)
		if d.policyOf(id)["IsDisabled"] != false {
			d.t.Fatal("not reverted")
		}
	})
}

// A row changed meanwhile: 500; where users are cached the change shows.
func TestFaultConflict(t *testing.T) {
	shows := want{"true", "true", "true", "false", "false"}
	each(t, Config{}, func(d *double) {
		id := d.AddUser("bob", "")
		d.AddFault(Fault{Method: "POST", Path: "/Users/*/Policy", Count: 1, Action: Conflict})
		d.check(d.setPolicy(id, map[string]any{"EnableAllFolders": false}), "500 A")
		if got := d.policyOf(id)["EnableAllFolders"] == false; got != (shows[d.column] == "true") {
			d.t.Fatal("shows:", got)
		}
		d.Restart()
		if d.policyOf(id)["EnableAllFolders"] != true {
			d.t.Fatal("it was stored")
		}
	})
}

// A create that breaks between its two writes leaves an open account.
func TestFaultNoPassword(t *testing.T) {
	each(t, Config{}, func(d *double) {
		d.AddFault(Fault{Path: "/Users/New", Count: 1, Action: NoPassword})
		d.check(d.do("POST", "/Users/New", newBob), "500 A")
		if err := d.SignIn("bob", ""); err != nil {
			d.t.Fatal(err)
		}
	})
}

func TestUnknownActionPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("a fault that cannot happen was taken")
		}
	}()
	New(Config{}).AddFault(Fault{Action: "explode"})
}

// A broken cache: sign-in fails until the server is restarted.
func TestFaultUntilRestart(t *testing.T) {
	each(t, Config{}, func(d *double) {
		d.AddUser("bob", "pw")
		d.AddFault(Fault{Path: "/Users/AuthenticateByName", Action: Locked, UntilRestart: true})
		for range 3 {
			d.check(d.login("bob", "pw", "dev"), "500 A")
		}
		d.Restart()
		d.check(d.login("bob", "pw", "dev"), "200")
	})
}
