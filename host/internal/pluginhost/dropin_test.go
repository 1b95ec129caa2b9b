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

func TestDisableAndEnable(t *testing.T) {
	for _, origin := range []string{"installation", "directory"} {
		t.Run(origin, func(t *testing.T) {
			h := newHouse(t)
			if origin == "installation" {
				drop(t, h.install, "media", variant{})
				h.start()
			} else {
				h.start()
				drop(t, h.dir, "media", variant{})
				h.await("media", StateAwaitingApproval)
				h.approve("media")
			}
			s, err := h.Disable(t.Context(), "media", "admin:test")
			if err != nil || s.State != StateDisabled || s.PID != 0 || s.ErrorCode != CodeDisabled || s.ServerType != "media" {
				t.Errorf("it is %+v, %v", s, err)
			}
			if typ, err := h.registry.Type("media"); err != nil || typ.Available {
				t.Errorf("its type is %+v, %v", typ, err)
			}
			_, err = h.Restart(t.Context(), "media", "admin:test")
			if f := fault.As(err); f == nil || f.Kind != fault.Conflict {
				t.Errorf("Restart gives %v", err)
			}
			// It stays so, and its type listed, after a restart of the host.
			h = h.again().start()
			if s := h.await("media", StateDisabled); s.Version != "1" {
				t.Errorf("after a restart it is %+v", s)
			}
			if typ, err := h.registry.Type("media"); err != nil || typ.Available || !typ.Description.Has(sdk.CapProvision) {
				t.Errorf("after a restart its type is %+v, %v", typ, err)
			}
			s, err = h.Approve(t.Context(), "media", h.status("media").SHA256, "admin:other")
			if err != nil || s.State != StateReady || s.ApprovedBy != "admin:other" {
				t.Errorf("approved, it is %+v, %v", s, err)
			}
			if _, err := h.get(server("media", 1), "bob"); err != nil {
				t.Error(err)
			}
		})
	}
}

// Approvals are of a name and a hash, in the database: they outlive the host.
func TestApprovalOutlivesTheHost(t *testing.T) {
	h := newHouse(t)
	h.start()
	drop(t, h.dir, "media", variant{})
	h.await("media", StateAwaitingApproval)
	approved := h.approve("media")
	h = h.again().start()
	s := h.await("media", StateReady)
	if !s.ApprovedAt.Equal(approved.ApprovedAt) || s.ApprovedBy != "admin:test" || s.SHA256 != approved.SHA256 {
		t.Errorf("it is %+v", s)
	}
	// Under another name the same content is another plugin.
	dropFile(t, h.dir, "twin", variant{}.binary())
	h.await("twin", StateAwaitingApproval)
}

// What another replica decided is seen here.
func TestApprovalOfAnotherReplica(t *testing.T) {
	h := newHouse(t)
	h.start()
	drop(t, h.dir, "media", variant{})
	s := h.await("media", StateAwaitingApproval)
	must(t, h.records.approve(t.Context(), "media", approval{
		sha256: s.SHA256, fileName: s.FileName, origin: OriginDirectory, approvedAt: time.Now().UTC().Truncate(time.Microsecond), approvedBy: "admin:there",
	}))
	if s := h.await("media", StateReady); s.ApprovedBy != "admin:there" {
		t.Errorf("it is %+v", s)
	}
	must(t, h.records.disable(t.Context(), "media", approval{sha256: s.SHA256, origin: OriginDirectory}))
	h.await("media", StateDisabled)
}

// A damaged copy in the store is made again, and without its file refused.
func TestDamagedStore(t *testing.T) {
	h := newHouse(t)
	h.start()
	drop(t, h.dir, "media", variant{})
	h.await("media", StateAwaitingApproval)
	s := h.approve("media")
	damage := func() {
		copied := h.store.path(s.SHA256, s.FileName)
		must(t, os.Chmod(copied, 0o700))
		must(t, os.WriteFile(copied+".new", []byte("#!/bin/sh\ntouch "+h.dir+"/pwned\n"), 0o700))
		must(t, os.Rename(copied+".new", copied))
	}
	damage()
	must(t, syscall.Kill(s.PID, syscall.SIGKILL))
	eventually(t, "it runs again", func() bool { return h.status("media").Restarts == 1 })
	drop(t, h.dir, "media", variant{Version: "2"})
	eventually(t, "it is pending", func() bool { return h.status("media").Pending != nil })
	damage()
	must(t, syscall.Kill(h.status("media").PID, syscall.SIGKILL))
	// Nothing that was approved is left; what lies there was not.
	h.await("media", StateAwaitingApproval)
	if len(h.logs.lines("is damaged")) == 0 {
		t.Error("the log does not say why")
	}
	if _, err := os.Stat(filepath.Join(h.dir, "pwned")); err == nil {
		t.Error("the damaged copy ran")
	}
}

// One server type has one plugin: the installation's own first, then by time of
// approval; disabling the holder frees the type.
func TestServerTypeIsTaken(t *testing.T) {
	h := newHouse(t)
	h.start()
	for _, name := range []string{"first", "second"} {
		drop(t, h.dir, name, variant{ServerType: "media", Version: name})
		h.await(name, StateAwaitingApproval)
		h.approve(name)
	}
	s := h.await("second", StateFailed)
	if s.ErrorCode != CodeServerTypeTaken || !strings.Contains(s.Message, "first") || s.PID != 0 {
		t.Errorf("the second is %+v", s)
	}
	if u, err := h.get(server("media", 1), "bob"); err != nil || u.Username != "first" || h.status("first").Restarts != 0 {
		t.Errorf("%+v, %v", u, err)
	}
	// The same after a restart, whoever starts faster.
	h = h.again().start()
	h.await("first", StateReady)
	h.await("second", StateFailed)
	if _, err := h.Disable(t.Context(), "first", "admin:test"); err != nil {
		t.Fatal(err)
	}
	h.await("second", StateReady)
	if u, err := h.get(server("media", 1), "bob"); err != nil || u.Username != "second" {
		t.Errorf("%+v, %v", u, err)
	}
	// Who is enabled again comes later now.
	if s := h.approve("first"); s.State != StateFailed || s.ErrorCode != CodeServerTypeTaken {
		t.Errorf("the first is %+v", s)
	}
	// The installation's own comes first, whenever it comes.
	drop(t, h.install, "own", variant{ServerType: "media", Version: "own"})
	h.await("own", StateReady)
	if s := h.await("second", StateFailed); s.ErrorCode != CodeServerTypeTaken || !strings.Contains(s.Message, "own") {
		t.Errorf("the second is %+v", s)
	}
	if u, err := h.get(server("media", 1), "bob"); err != nil || u.Username != "own" {
		t.Errorf("%+v, %v", u, err)
	}
}

// A name is unique across directories, the installation's first.
func TestNameIsUnique(t *testing.T) {
	h := newHouse(t)
	drop(t, h.install, "media", variant{Version: "own"})
	drop(t, h.dir, "media", variant{Version: "dropped"})
	h.start()
	time.Sleep(5 * h.policy.ScanEvery)
	s := h.status("media")
	if s.Origin != OriginInstallation || s.Version != "own" || s.Pending != nil || len(h.List()) != 1 {
		t.Errorf("it is %+v", s)
	}
	if lines := h.logs.lines("another directory comes first"); len(lines) != 1 {
		t.Errorf("the log says %v", lines)
	}
}

// An upgrade in the installation's own directory needs no approval.
func TestInstallationUpgrade(t *testing.T) {
	h := newHouse(t)
	drop(t, h.install, "media", variant{Version: "1"})
	h.start()
	drop(t, h.install, "media", variant{Version: "2"})
	eventually(t, "the new version", func() bool { s := h.status("media"); return s.Version == "2" && s.State == StateReady })
	// One that does not run leaves the one before.
	drop(t, h.install, "media", variant{Version: "3", Mode: "garbage"})
	eventually(t, "it is refused", func() bool { return h.status("media").ErrorCode == CodeReplaceFailed })
	if u, err := h.get(server("media", 1), "bob"); err != nil || u.Username != "2" {
		t.Errorf("%+v, %v", u, err)
	}
	drop(t, h.install, "media", variant{Version: "4"})
	eventually(t, "the next version", func() bool {
		s := h.status("media")
		return s.Version == "4" && s.State == StateReady && s.ErrorCode == ""
	})
}

func TestRescanFindsAtOnce(t *testing.T) {
	h := newHouse(t, withPolicy(func(p *Policy) { p.ScanEvery = time.Hour; p.Settle = time.Millisecond }))
	h.start()
	drop(t, h.dir, "media", variant{})
	time.Sleep(5 * time.Millisecond)
	list, err := h.Rescan(t.Context())
	if err != nil || !slices.ContainsFunc(list, func(s Status) bool { return s.Name == "media" && s.State == StateAwaitingApproval }) {
		t.Errorf("%+v, %v", list, err)
	}
}

// Disable calls off a start that is under way.
func TestDisableDuringStart(t *testing.T) {
	h := newHouse(t)
	h.start()
	drop(t, h.install, "media", variant{Mode: "slow:5s"})
	h.await("media", StateStarting)
	started := time.Now()
	s, err := h.Disable(t.Context(), "media", "admin:test")
	if err != nil || s.State != StateDisabled || time.Since(started) > 3*time.Second {
		t.Errorf("%+v, %v after %s", s, err, time.Since(started))
	}
	if len(processesBelow(h.install)) != 0 {
		t.Error("the process is left")
	}
}

func TestRestartReplacesTheProcess(t *testing.T) {
	h := newHouse(t)
	drop(t, h.install, "media", variant{})
	h.start()
	before := h.status("media")
	s, err := h.Restart(t.Context(), "media", "admin:test")
	if err != nil || s.State != StateReady || s.PID == before.PID {
		t.Errorf("%+v, %v", s, err)
	}
	eventually(t, "one process is left", func() bool { return len(processesBelow(h.install)) == 1 })
	_, err = h.Restart(t.Context(), "nobody", "admin:test")
	if fault.CodeOf(err) != fault.CodeNotFound {
		t.Errorf("the error is %v", err)
	}
}
