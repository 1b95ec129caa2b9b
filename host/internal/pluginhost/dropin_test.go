package pluginhost

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/registry"
	"github.com/zondarr/zondarr/sdk"
)

// R4.1, R4.8: a dropped file is found within 3 s with the product's times, is
// listed with what reading it tells, does not run, and runs once it is approved,
// while other plugins serve.
func TestDropInWhileServing(t *testing.T) {
	h := newHouse(t, withPolicy(func(p *Policy) {
		d := DefaultPolicy()
		p.ScanEvery, p.Settle, p.RecordsEvery = d.ScanEvery, d.Settle, d.RecordsEvery
	}))
	drop(t, h.install, "alpha", variant{})
	h.start()
	stop := make(chan struct{})
	served := make(chan int)
	go func() {
		n := 0
		defer func() { served <- n }()
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := h.get(server("alpha", 1), "bob"); err != nil {
				t.Errorf("a call to another plugin: %v", err)
			}
			n++
		}
	}()
	dropped := time.Now()
	drop(t, h.dir, "media", variant{Version: "2.0"})
	s := h.await("media", StateAwaitingApproval)
	if took := time.Since(dropped); took > 3*time.Second {
		t.Errorf("it was found after %s", took)
	}
	if s.Origin != OriginDirectory || s.FileName != "zondarr-plugin-media" || len(s.SHA256) != 64 || s.SizeBytes < 1<<20 || s.Build == nil ||
		s.Build.GoVersion == "" || s.ServerType != "" || s.Version != "" || s.PID != 0 || !s.ApprovedAt.IsZero() {
		t.Errorf("it is %+v", s)
	}
	if _, err := h.registry.Type("media"); err == nil {
		t.Error("its type is known before it ran")
	}
	if left := processesBelow(h.dir); len(left) > 0 {
		t.Error("it runs")
	}
	s = h.approve("media")
	if s.State != StateReady || s.Version != "2.0" || s.ServerType != "media" || s.ApprovedBy != "admin:test" || s.ApprovedAt.IsZero() {
		t.Errorf("approved, it is %+v", s)
	}
	if u, err := h.get(server("media", 1), "bob"); err != nil || u.Username != "2.0" {
		t.Errorf("%+v, %v", u, err)
	}
	close(stop)
	if n := <-served; n == 0 {
		t.Error("the other plugin did not serve")
	}
}

// A slow copy is never taken for a finished file, however slow.
func TestSlowCopyIsNeverHashed(t *testing.T) {
	h := newHouse(t)
	h.start()
	whole := variant{}.binary()
	path := filepath.Join(h.dir, filePrefix+"media")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	must(t, err)
	for i := range 6 {
		part := whole[i*len(whole)/6 : (i+1)*len(whole)/6]
		_, err := f.Write(part)
		must(t, err)
		time.Sleep(5 * h.policy.Settle)
		if s := h.status("media"); s.SHA256 != "" || s.State != "" {
			t.Fatalf("after part %d it is %+v", i, s)
		}
	}
	must(t, f.Close())
	s := h.await("media", StateAwaitingApproval)
	if sum, _, _ := hashOf(strings.NewReader(string(whole))); s.SHA256 != sum {
		t.Errorf("the hash is %s, want %s", s.SHA256, sum)
	}
}

// A copy that broke off is told as such, and heals when it is finished.
func TestBrokenCopyHeals(t *testing.T) {
	h := newHouse(t)
	h.start()
	whole := variant{}.binary()
	path := dropFile(t, h.dir, "media", whole[:5<<20])
	if s := h.await("media", StateFailed); s.ErrorCode != CodeIncomplete || s.SHA256 != "" {
		t.Errorf("it is %+v", s)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.Write(whole[5<<20:])
	must(t, errors.Join(err, f.Close()))
	h.await("media", StateAwaitingApproval)
}

// A changed file waits for approval while the approved version goes on; approving
// it replaces the process.
func TestChangedFileWaits(t *testing.T) {
	h := newHouse(t)
	h.start()
	drop(t, h.dir, "media", variant{Version: "1"})
	h.await("media", StateAwaitingApproval)
	first := h.approve("media")

	path := drop(t, h.dir, "media", variant{Version: "2"})
	eventually(t, "it is pending", func() bool { return h.status("media").Pending != nil })
	s := h.status("media")
	if s.State != StateReady || s.PID != first.PID || s.SHA256 != first.SHA256 || s.Version != "1" ||
		s.Pending.SHA256 == s.SHA256 || s.Pending.SizeBytes == 0 || s.Pending.FoundAt.IsZero() || s.Pending.Build == nil {
		t.Errorf("it is %+v, pending %+v", s, s.Pending)
	}
	if u, err := h.get(server("media", 1), "bob"); err != nil || u.Username != "1" {
		t.Errorf("%+v, %v", u, err)
	}
	// Even a crash leads back to the approved version.
	must(t, syscall.Kill(s.PID, syscall.SIGKILL))
	eventually(t, "it runs again", func() bool { return h.status("media").Restarts == 1 })
	if u, err := h.get(server("media", 1), "bob"); err != nil || u.Username != "1" {
		t.Errorf("%+v, %v", u, err)
	}

	// What was looked at is what is approved, or nothing.
	_, err := h.Approve(t.Context(), "media", s.SHA256, "admin:test")
	if fault.CodeOf(err) != fault.CodePluginChanged || fault.As(err).Kind != fault.Conflict {
		t.Errorf("approving the old hash: %v", err)
	}
	must(t, os.WriteFile(path+".tmp", variant{Version: "3"}.binary(), 0o755))
	must(t, os.Rename(path+".tmp", path))
	_, err = h.Approve(t.Context(), "media", s.Pending.SHA256, "admin:test")
	if fault.CodeOf(err) != fault.CodePluginChanged {
		t.Errorf("approving what was there a moment ago: %v", err)
	}

	eventually(t, "the third is pending", func() bool {
		p := h.status("media").Pending
		return p != nil && p.SHA256 != s.Pending.SHA256
	})
	s = h.approve("media")
	if s.State != StateReady || s.Version != "3" || s.Pending != nil {
		t.Errorf("approved, it is %+v", s)
	}
	if u, err := h.get(server("media", 1), "bob"); err != nil || u.Username != "3" {
		t.Errorf("%+v, %v", u, err)
	}
	eventually(t, "one process is left", func() bool { return len(processesBelow(h.config.DataDir)) == 1 })
}

// A version that stored servers could not use is refused before it takes over,
// and from then on listed with what it would hurt.
func TestVersionThatHurtsIsRefused(t *testing.T) {
	stored := server("media", 7)
	for _, test := range []struct {
		name    string
		variant variant
		problem string
	}{
		{"LosesCapabilities", variant{Version: "2", Minimal: true}, "provision"},
		{"WantsAnotherSetting", variant{Version: "2", Required: "region"}, "region"},
		{"ServesAnotherType", variant{Version: "2", ServerType: "else"}, "serves the type else"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHouse(t, func(c *Config) {
				c.StoredServers = func(context.Context) ([]sdk.ServerRef, error) {
					return []sdk.ServerRef{stored, server("foreign", 8)}, nil
				}
			})
			h.start()
			drop(t, h.dir, "media", variant{Version: "1"})
			h.await("media", StateAwaitingApproval)
			before := h.approve("media")
			drop(t, h.dir, "media", test.variant)
			eventually(t, "it is pending", func() bool { return h.status("media").Pending != nil })
			_, err := h.Approve(t.Context(), "media", h.status("media").Pending.SHA256, "admin:test")
			f := fault.As(err)
			if f == nil || f.Kind != fault.Conflict || f.Code != fault.CodeCapabilityUnsupported || !strings.Contains(f.Message, test.problem) ||
				!strings.Contains(f.Message, stored.ID) || strings.Contains(f.Message, server("foreign", 8).ID) {
				t.Errorf("the error is %v", err)
			}
			s := h.status("media")
			if s.State != StateReady || s.PID != before.PID || s.Version != "1" || s.Pending == nil {
				t.Errorf("it is %+v", s)
			}
			if m := s.Pending.Misfits; len(m) != 1 || m[0].ServerID != stored.ID || !strings.Contains(strings.Join(m[0].Problems, " "), test.problem) {
				t.Errorf("the misfits are %+v", m)
			}
			if u, err := h.get(stored, "bob"); err != nil || u.Username != "1" {
				t.Errorf("%+v, %v", u, err)
			}
			// It was not approved: not after a restart of the host either.
			h = h.again().start()
			if s := h.await("media", StateReady); s.Version != "1" || s.Pending == nil {
				t.Errorf("after a restart it is %+v", s)
			}
		})
	}
}

// A version that claims another plugin's server type is refused and not recorded,
// also while that plugin is down: approved, it would lose its place at the next
// start.
func TestVersionThatClaimsATakenTypeIsRefused(t *testing.T) {
	h := newHouse(t, withPolicy(func(p *Policy) { p.BackoffMin, p.BackoffMax = time.Hour, time.Hour }))
	h.start()
	drop(t, h.dir, "media", variant{Version: "1"})
	drop(t, h.dir, "other", variant{})
	h.await("media", StateAwaitingApproval)
	h.approve("media")
	h.await("other", StateAwaitingApproval)
	must(t, syscall.Kill(h.approve("other").PID, syscall.SIGKILL))
	h.await("other", StateBackingOff)
	drop(t, h.dir, "media", variant{Version: "2", ServerType: "other"})
	eventually(t, "it is pending", func() bool { return h.status("media").Pending != nil })
	pending := h.status("media").Pending.SHA256
	_, err := h.Approve(t.Context(), "media", pending, "admin:test")
	if f := fault.As(err); f == nil || f.Kind != fault.Conflict || f.Code != fault.CodeConflict || f.Plugin != "media" ||
		!strings.Contains(f.Message, "other") {
		t.Errorf("the error is %v", err)
	}
	all, err := h.records.load(t.Context())
	must(t, err)
	if slices.ContainsFunc(all["media"], func(a approval) bool { return a.sha256 == pending }) {
		t.Errorf("it is recorded all the same: %+v", all["media"])
	}
	h = h.again().start()
	if s := h.await("media", StateReady); s.Version != "1" {
		t.Errorf("after a restart it is %+v", s)
	}
}

// A version that does not start leaves the one before where it was.
func TestVersionThatDoesNotStartIsRefused(t *testing.T) {
	h := newHouse(t, withPolicy(func(p *Policy) { p.StartTimeout = time.Second }))
	h.start()
	drop(t, h.dir, "media", variant{Version: "1"})
	h.await("media", StateAwaitingApproval)
	before := h.approve("media")
	for _, mode := range []string{"garbage", "silent", "exit:1"} {
		drop(t, h.dir, "media", variant{Version: "2", Mode: mode})
		old := h.status("media").Pending
		eventually(t, "it is pending", func() bool {
			p := h.status("media").Pending
			return p != nil && (old == nil || p.SHA256 != old.SHA256)
		})
		_, err := h.Approve(t.Context(), "media", h.status("media").Pending.SHA256, "admin:test")
		if f := fault.As(err); f == nil || f.Code != fault.CodePluginUnavailable || f.Plugin != "media" {
			t.Errorf("%s: %v", mode, err)
		}
		if s := h.status("media"); s.State != StateReady || s.PID != before.PID || s.Version != "1" {
			t.Errorf("%s: it is %+v", mode, s)
		}
	}
}

// Removing the file stops the plugin, in order; the same file back is approved
// already.
func TestRemovedFile(t *testing.T) {
	h := newHouse(t)
	h.start()
	path := drop(t, h.dir, "media", variant{})
	h.await("media", StateAwaitingApproval)
	h.approve("media")
	answer := make(chan error, 1)
	go func() {
		_, err := h.get(server("media", 1), "slow:700ms")
		answer <- err
	}()
	eventually(t, "the call is in flight", func() bool { return h.entries["media"].calls() == 1 })
	must(t, os.Remove(path))
	h.await("media", StateDraining)
	if err := <-answer; err != nil {
		t.Errorf("the call in flight: %v", err)
	}
	s := h.await("media", StateDisabled)
	if s.ErrorCode != CodeFileRemoved || s.Origin != OriginStore || s.PID != 0 || s.Version != "1" {
		t.Errorf("it is %+v", s)
	}
	_, err := h.get(server("media", 1), "bob")
	down, _ := errors.AsType[*registry.PluginDownError](err)
	if down == nil || !strings.Contains(down.Reason, "removed") {
		t.Errorf("the error is %v", err)
	}

	// An admin may have it run from the store all the same, also tomorrow.
	s, err = h.Approve(t.Context(), "media", s.SHA256, "admin:test")
	if err != nil || s.State != StateReady || s.Origin != OriginStore {
		t.Errorf("approved without its file it is %+v, %v", s, err)
	}
	h = h.again().start()
	if s := h.await("media", StateReady); s.Origin != OriginStore {
		t.Errorf("after a restart it is %+v", s)
	}
	drop(t, h.dir, "media", variant{})
	eventually(t, "it is in the directory", func() bool { return h.status("media").Origin == OriginDirectory })
	if s := h.status("media"); s.State != StateReady || s.Pending != nil || s.Restarts != 0 {
		t.Errorf("with its file back it is %+v", s)
	}
}

// A file that was never approved is forgotten with it.
func TestRemovedUnapprovedFile(t *testing.T) {
	h := newHouse(t)
	h.start()
	path := drop(t, h.dir, "media", variant{})
	h.await("media", StateAwaitingApproval)
	must(t, os.Remove(path))
	eventually(t, "it is forgotten", func() bool { return len(h.List()) == 0 })
	_, err := h.Get("media")
	if f := fault.As(err); f == nil || f.Kind != fault.NotFound || f.Resource == nil || f.Resource.Type != "plugin" || f.Resource.ID != "media" {
		t.Errorf("the error is %v", err)
	}
}

// Approvals are of a name and a hash, in the database: they outlive the host.
// What another replica decided is seen here.
// A damaged copy in the store is made again, and without its file refused.
// One server type has one plugin: the installation's own first, then by time of
// approval; disabling the holder frees the type.
// A name is unique across directories, the installation's first.
// An upgrade in the installation's own directory needs no approval.
// Disable calls off a start that is under way.
