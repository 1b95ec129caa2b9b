package mediaserver

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/sdk"
)

// SyncLibraries reads the libraries of a server and applies what changed (R6.2).
// A library that vanished is marked missing, never deleted, so that invitations
// keep naming it and say so. Nothing is marked on an error or an empty list. A
// failed call is an error and leaves a failed run behind.
func (s *Service) SyncLibraries(ctx context.Context, id uuid.UUID) (SyncRun, error) {
	for {
		run, err := s.syncLibraries(ctx, id)
		if !errors.Is(err, errRevisionMoved) {
			return run, err
		}
	}
}

func (s *Service) syncLibraries(ctx context.Context, id uuid.UUID) (SyncRun, error) {
	server, sealed, err := s.load(ctx, s.DB.Ent, id)
	if err != nil {
		return SyncRun{}, err
	}
	ref, err := s.ref(server, sealed)
	if err != nil {
		return SyncRun{}, err
	}
	started := s.Now()
	t := target{id: id.String(), name: server.Name, plugin: s.pluginOf(server.ServerType)}
	facts, err := s.connect(ctx, ref, t)
	if err == nil {
		err = sameServer(ref, facts, t)
	}
	var libraries []sdk.Library
	if err == nil {
		libraries, err = s.listLibraries(ctx, ref, t)
	}
	if keepErr := s.keepHealth(ctx, server, facts, err); keepErr != nil {
		return SyncRun{}, errors.Join(err, keepErr)
	}
	if err != nil {
		_, recordErr := database.WithTx(ctx, s.DB, func(ctx context.Context, tx *db.Tx) (SyncRun, error) {
			return recordRun(ctx, tx, id, nil, err, started, s.Now())
		})
		return SyncRun{}, errors.Join(err, recordErr)
	}
	return database.WithTx(ctx, s.DB, func(ctx context.Context, tx *db.Tx) (SyncRun, error) {
		counts, err := applyLibraries(ctx, tx, id, server.Revision, libraries, s.Now())
		if err != nil {
			return SyncRun{}, err
		}
		return recordRun(ctx, tx, id, counts, nil, started, s.Now())
	})
}

func (s *Service) listLibraries(ctx context.Context, ref sdk.ServerRef, t target) ([]sdk.Library, error) {
	client, err := s.Registry.Client(ctx, ref)
	if err != nil {
		return nil, t.asFault(err)
	}
	res, err := client.ListLibraries(ctx, sdk.ListLibrariesRequest{})
	if err != nil {
		return nil, t.asFault(err)
	}
	return res.Libraries, nil
}

// keepHealth stores how a call to a server went, unless the server was changed
// meanwhile: then what was learned is of no use.
func (s *Service) keepHealth(ctx context.Context, server Server, facts sdk.ServerFacts, callErr error) error {
	now := s.Now()
	h := Health{State: HealthOK, Since: now, CheckedAt: &now}
	if callErr != nil {
		state, f := healthOf(callErr)
		if f == nil {
			return nil // ours, not the server's
		}
		h.State, h.ErrorCode, h.Message = state, &f.Code, &f.Message
	}
	if h.State == server.Health.State {
		h.Since = server.Health.Since
	}
	_, err := database.WithTx(ctx, s.DB, func(ctx context.Context, tx *db.Tx) (struct{}, error) {
		return struct{}{}, storeHealth(ctx, tx, server, h, facts, callErr == nil, now)
	})
	return err
}

// syncError keeps what a failed run says to an admin.
func syncError(err error) (code, message string, retryable bool) {
	f := fault.As(err)
	if f == nil {
		return fault.CodeInternal, "Something went wrong on our side.", false
	}
	return f.Code, f.Message, f.Retryable
}

// libraryChange is what one library needs.
type libraryChange struct {
	known  *Library
	remote sdk.Library
}

// compare sorts what a sync found into what must be written. The same external
// id twice in one answer counts once.
func compare(known []Library, remote []sdk.Library) (changes []libraryChange, gone []Library, counts map[string]int64) {
	counts = map[string]int64{"added": 0, "renamed": 0, "gone": 0, "unchanged": 0}
	byID := make(map[string]*Library, len(known))
	for i := range known {
		byID[known[i].ExternalID] = &known[i]
	}
	seen := make(map[string]bool, len(remote))
	for _, r := range remote {
		if r.ID == "" || seen[r.ID] {
			continue
		}
		seen[r.ID] = true
		k := byID[r.ID]
		switch {
		case k == nil:
			counts["added"]++
		case k.Name != r.Name:
			counts["renamed"]++
		case k.MissingSince != nil:
			counts["added"]++
		case k.Type != string(r.Type):
			counts["unchanged"]++
		default:
			counts["unchanged"]++
			continue
		}
		changes = append(changes, libraryChange{known: k, remote: r})
	}
	if len(seen) == 0 {
		return changes, nil, counts
	}
	for _, k := range known {
		if !seen[k.ExternalID] && k.MissingSince == nil {
			gone = append(gone, k)
			counts["gone"]++
		}
	}
	return changes, gone, counts
}

// applyLibraries writes what was read of the server as it was at a revision, or gives
// errRevisionMoved: by now another server may have replaced it.
func applyLibraries(ctx context.Context, tx *db.Tx, serverID uuid.UUID, revision int64, remote []sdk.Library, now time.Time) (map[string]int64, error) {
	// First, since it locks the server's row: of two syncs at once the second
	// waits, and then compares with what the first has written.
	if err := markSynced(ctx, tx, serverID, revision, now); err != nil {
		return nil, err
	}
	known, err := librariesOf(ctx, tx.Client(), serverID)
	if err != nil {
		return nil, err
	}
	changes, gone, counts := compare(known, remote)
	return counts, writeLibraries(ctx, tx, serverID, changes, gone, now)
}

// replaceLibraries applies what another media server has. Those of the one before
// are missing even if the new one lists none, unless it has them too.
func replaceLibraries(ctx context.Context, tx *db.Tx, serverID uuid.UUID, revision int64, remote []sdk.Library, now time.Time) error {
	if err := markAllMissing(ctx, tx, serverID, now); err != nil {
		return err
	}
	_, err := applyLibraries(ctx, tx, serverID, revision, remote, now)
	return err
}
