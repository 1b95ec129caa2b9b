package pluginhost

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/sdk"
)

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
			if f := fault.As(err); f == nil || f.Kind != fault.Conflict || f.Code != fault.CodeConflict {
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

// Approvals that were read before a decision was made here do not undo it.
func TestOldReadingUndoesNothing(t *testing.T) {
	h := newHouse(t)
	h.start()
	drop(t, h.dir, "media", variant{})
	h.await("media", StateAwaitingApproval)
	old := h.reload(t.Context())
	h.approve("media")
	e := h.entries["media"]
	e.update(e.file, true, old)
	if s := h.status("media"); s.State != StateReady || s.ApprovedAt.IsZero() {
		t.Errorf("it is %+v", s)
	}
}

// Approvals that were read while a decision was being written, and so lack it, do
// not undo it either.
func TestReadingDuringADecisionUndoesNothing(t *testing.T) {
	h := newHouse(t, withPolicy(func(p *Policy) { p.RecordsEvery = time.Hour })) // the readings are those below
	h.start()
	drop(t, h.dir, "media", variant{})
	h.await("media", StateAwaitingApproval)
	h.approve("media")
	e := h.entries["media"]
	a, _ := e.mark()
	for _, decision := range []struct {
		write   func() error
		enabled bool
	}{
		{func() error { return h.records.disable(t.Context(), "media", a) }, false},
		{func() error { return h.records.approve(t.Context(), "media", a) }, true},
	} {
		var read *snapshot
		must(t, h.decide(t.Context(), e, func() error {
			read = h.reload(t.Context())
			return decision.write()
		}))
		e.update(e.file, true, read)
		e.mu.Lock()
		want := e.target()
		e.mu.Unlock()
		if enabled := want.art != nil; enabled != decision.enabled {
			t.Errorf("enabled is %t, decided was %t", enabled, decision.enabled)
		}
	}
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

// Two plugins of one content have each a copy: mending one leaves the other.
func TestCopiesOfOneContent(t *testing.T) {
	h := newHouse(t)
	h.start()
	content := []byte("#!/bin/sh\nexit 3\n")
	for _, name := range []string{"one", "two"} {
		dropFile(t, h.dir, name, content)
		h.await(name, StateAwaitingApproval)
		h.approve(name)
	}
	one := h.status("one")
	other := h.store.path(one.SHA256, filePrefix+"two")
	must(t, os.Remove(h.dir+"/"+filePrefix+"two"))
	mine := h.store.path(one.SHA256, one.FileName)
	must(t, os.WriteFile(mine+".new", []byte("#!/bin/sh\nexit 4\n"), 0o700))
	must(t, os.Rename(mine+".new", mine))
	eventually(t, "it is made again", func() bool {
		b, err := os.ReadFile(mine)
		return err == nil && string(b) == string(content)
	})
	if _, err := os.Stat(other); err != nil {
		t.Errorf("the copy of the other is gone: %v", err)
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

// Who waits for a server type hears that it is free also when the holder's file is
// removed from the installation.
func TestServerTypeOfARemovedPluginIsFree(t *testing.T) {
	h := newHouse(t)
	own := drop(t, h.install, "own", variant{ServerType: "media", Version: "own"})
	h.start()
	drop(t, h.dir, "second", variant{ServerType: "media", Version: "second"})
	h.await("second", StateAwaitingApproval)
	h.approve("second")
	h.await("second", StateFailed)
	must(t, os.Remove(own))
	h.await("second", StateReady)
	if u, err := h.get(server("media", 1), "bob"); err != nil || u.Username != "second" {
		t.Errorf("%+v, %v", u, err)
	}
	if lines := h.logs.lines("Zondarr is stopping"); len(lines) > 0 {
		t.Errorf("the log says %v", lines)
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
	h := newHouse(t, withPolicy(func(p *Policy) { p.ScanEvery = time.Hour; p.Settle = 300 * time.Millisecond }))
	h.start()
	drop(t, h.dir, "media", variant{})
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
