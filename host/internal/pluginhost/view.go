//go:build unix

package pluginhost

import (
	"context"
)

// atRest needs e.mu.
func (e *entry) atRest() bool {
	switch e.status.state {
	case StateVerifying, StateStarting, StateDraining, "":
		return false
	default:
		return true
	}
}

// public gives the status as it is shown.
func (e *entry) public() Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	now, p := e.host.now(), e.host.policy
	want := e.target()
	s := Status{
		Name: e.name, State: e.status.state, StateSince: e.status.since, ErrorCode: e.status.code, Message: e.status.message,
		PID: e.status.pid, StartedAt: e.status.startedAt, Restarts: max(e.status.starts-1, 0),
		CrashLooping: e.crashes.looping(p, now),
	}
	if s.State == "" { // its keeper has not had a turn
		s.State, s.StateSince, s.ErrorCode, s.Message = want.state, now.UTC(), want.code, want.message
		if want.art != nil {
			s.State = StateVerifying
		}
	}
	if c := e.crashes.last; c != nil {
		crash := *c
		s.LastCrash = &crash
	}
	if s.PID != 0 {
		s.MemoryBytes = residentBytes(s.PID)
	}
	e.describeBinary(&s, want)
	if f := e.file; f != nil && f.refused != nil && s.State == StateReady && s.Message == "" {
		s.ErrorCode, s.Message = f.refused.code, "The approved version runs, but the file that lies there now is not taken. "+f.refused.message
	}
	return s
}

// describeBinary fills in what is known of the binary that runs or should, or of
// the file. It needs e.mu.
func (e *entry) describeBinary(s *Status, want target) {
	art := want.art
	if e.status.pid != 0 && e.status.art != nil {
		art = e.status.art
	}
	switch f := e.file; {
	case art != nil:
		s.Origin, s.FileName, s.SHA256, s.SizeBytes, s.Build = art.origin, art.fileName, art.sha256, art.size, art.build
	case f != nil:
		s.Origin, s.FileName, s.SHA256, s.SizeBytes, s.Build = f.origin, f.fileName, f.sha256, f.size, f.build
	default:
		s.Origin = OriginStore
		if n := len(e.approvals); n > 0 {
			s.FileName, s.SHA256 = e.approvals[n-1].fileName, e.approvals[n-1].sha256
			if b := e.host.binary(s.SHA256); b != nil {
				s.SizeBytes, s.Build = b.size, b.build
			}
		}
	}
	switch {
	case e.file != nil:
		s.Origin = e.file.origin
	case s.Origin == OriginDirectory:
		s.Origin = OriginStore
	}
	d := e.known[s.SHA256]
	if b := e.host.binary(s.SHA256); d == nil && b != nil {
		d = b.declaration
	}
	if d != nil {
		s.Version, s.SDKVersion, s.ProtocolVersion, s.ServerType = d.Description.Version, d.SDKVersion, d.ProtocolVersion, d.Description.ServerType
	}
	if a := e.approvalOf(s.SHA256); a != nil {
		s.ApprovedAt, s.ApprovedBy = a.approvedAt, a.approvedBy
	}
	if f := e.file; f != nil && f.refused == nil && f.sha256 != s.SHA256 && f.origin == OriginDirectory {
		s.Pending = &Pending{SHA256: f.sha256, SizeBytes: f.size, FoundAt: f.foundAt, Build: f.build}
	}
}

// addMisfits tells which stored servers a pending version would no longer serve.
func (h *Host) addMisfits(ctx context.Context, e *entry, s *Status) {
	if s.Pending == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	before, after := h.lastDeclaration(ctx, e), h.recall(ctx, e, s.Pending.SHA256)
	if before == nil || after == nil {
		return
	}
	stored, err := h.stored(ctx)
	if err != nil {
		h.log.Warn("the stored servers could not be read", "error", err)
		return
	}
	s.Pending.Misfits = misfits(before.Description, after.Description, stored)
}
