package identity

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/identity"
	"github.com/zondarr/zondarr/ent/db/predicate"
	"github.com/zondarr/zondarr/ent/db/user"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/grant"
)

// Bounds of one sweep.
const (
	sweepBatch   = 500
	sweepServers = 4 // at once
)

// Expire does what on_expiry says to every account that has ended: it is the
// work of a leased job that runs more often than once a minute. An account whose
// server is down is tried again at the next run, and the others of that server
// wait with it. Paused, it does nothing.
func (s *Service) Expire(ctx context.Context) error {
	if paused, err := s.Pause.On(ctx); err != nil || paused {
		return err
	}
	ids, err := s.due(ctx, 0)
	if err != nil {
		return err
	}
	var failed error
	down := map[uuid.UUID]bool{}
	for batch := range slices.Chunk(ids, sweepBatch) {
		rows, err := withServer(s.DB.Ent.User.Query().Where(user.IDIn(batch...))).All(ctx)
		if err != nil {
			return errors.Join(failed, database.Wrap("list", entityUser, err))
		}
		due := make([]User, len(rows))
		for i, row := range rows {
			due[i] = s.toUser(row)
		}
		failed = errors.Join(failed, s.expireAll(ctx, due, down))
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return failed
}

// due gives the ids of users that have ended and for whom something is left to
// do, at most so many of each kind; 0 for all. Each query is one range of an
// index: those that ended long ago, and are suspended, are not read.
func (s *Service) due(ctx context.Context, most int) ([]uuid.UUID, error) {
	now := s.Now()
	working := user.StatusIn(user.StatusActive, user.StatusPending, user.StatusUnknown)
	// Named although it is all there are: it is how the index is found.
	anyStatus := user.StatusIn(user.StatusActive, user.StatusPending, user.StatusUnknown, user.StatusSuspended, user.StatusMissing)
	disable, remove := user.OnExpiryEQ(user.OnExpiryDisable), user.OnExpiryEQ(user.OnExpiryDelete)
	var out []uuid.UUID
	for _, which := range []predicate.User{
		user.And(disable, working, user.ExpiresAtLTE(now)),
		user.And(remove, anyStatus, user.ExpiresAtLTE(now)),
		ofExpired(now),
	} {
		q := s.DB.Ent.User.Query().Where(user.Protected(false), which)
		if most > 0 {
			q.Limit(most)
		}
		ids, err := q.IDs(ctx)
		if err != nil {
			return nil, database.Wrap("list", entityUser, err)
		}
		out = append(out, ids...)
	}
	slices.SortFunc(out, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(out), nil
}

// ofExpired is true for the users of people who have expired, and for whom
// something is left to do. The people are a list, and the rest is hidden in a
// CASE, so that every database begins with those few people; it would read all
// active users instead.
func ofExpired(now time.Time) predicate.User {
	return func(s *sql.Selector) {
		people := sql.Table(identity.Table)
		s.Where(sql.And(
			sql.In(s.C(user.FieldIdentityID), sql.Select(people.C(identity.FieldID)).From(people).Where(sql.LTE(people.C(identity.FieldExpiresAt), now))),
			sql.P(func(b *sql.Builder) {
				b.WriteString("CASE WHEN " + s.C(user.FieldOnExpiry) + " = ").Arg(user.OnExpiryDelete)
				b.WriteString(" OR "+s.C(user.FieldStatus)+" NOT IN (").Args(user.StatusSuspended, user.StatusMissing).WriteString(") THEN 1 ELSE 0 END = 1")
			}),
		))
	}
}

// expireAll works on several servers at once, and on each one account at a time.
func (s *Service) expireAll(ctx context.Context, due []User, down map[uuid.UUID]bool) error {
	byServer := map[uuid.UUID][]User{}
	for _, u := range due {
		byServer[u.ServerID] = append(byServer[u.ServerID], u)
	}
	var mu sync.Mutex
	var failed error
	var all sync.WaitGroup
	turns := make(chan struct{}, sweepServers)
	for server, users := range byServer {
		if down[server] {
			continue
		}
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			err, isDown := s.expireOn(ctx, users)
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
			down[server] = isDown
		})
	}
	all.Wait()
	return failed
}

func (s *Service) expireOn(ctx context.Context, users []User) (failed error, down bool) { //nolint:revive // what happened, then what follows from it
	for _, u := range users {
		if ctx.Err() != nil {
			return failed, false
		}
		err := s.expire(ctx, u)
		switch fault.CodeOf(err) {
		case "":
			continue
		case fault.CodeServerUnreachable, fault.CodePluginUnavailable, fault.CodeServerRateLimited, fault.CodeServerCredentialsRejected, fault.CodeServerWrongServer:
			s.Log.WarnContext(ctx, "expired accounts wait for their server", "server", u.ServerName, "error", err)
			return failed, true
		case fault.CodeProtectedAccount, fault.CodeCapabilityUnsupported, fault.CodeAccessNotApplied, fault.CodeServerError:
			s.Log.WarnContext(ctx, "expired account left as it is", "server", u.ServerName, "user", u.ID, "error", err)
		default:
			failed = errors.Join(failed, err)
		}
	}
	return failed, false
}

// expire suspends or deletes one account, unless its expiry was moved meanwhile.
func (s *Service) expire(ctx context.Context, listed User) error {
	u, person, err := s.user(ctx, listed.ID)
	if fault.CodeOf(err) == fault.CodeNotFound {
		return nil
	}
	if err != nil || !expired(u, person, s.Now()) {
		return err
	}
	if u.Protected {
		return nil
	}
	if u.OnExpiry == grant.ExpiryDelete {
		if err := s.remove(ctx, u); err != nil {
			return err
		}
		s.Log.InfoContext(ctx, "expired account deleted", "server", u.ServerName, "username", u.Username)
		return s.forget(ctx, u)
	}
	told, err := s.read(ctx, u)
	if fault.CodeOf(err) == fault.CodeNotFound {
		return nil // written down as missing
	}
	if err != nil {
		return err
	}
	told, kept, ok, err := s.suspend(ctx, u, person, told)
	if err != nil {
		return err
	}
	if ok {
		ok, err = s.change(ctx, kept, person, func(q *db.UserUpdate) { s.seen(q, told) })
	}
	if err == nil && !ok {
		// Somebody changed it while it was suspended: if that was an extension,
		// the change saw an account that worked.
		return s.settle(ctx, u.ID)
	}
	if err == nil {
		s.Log.InfoContext(ctx, "expired account disabled", "server", u.ServerName, "username", u.Username)
	}
	return err
}

// settle makes the server agree with a user as it is stored, after a change that was
// overtaken by another.
func (s *Service) settle(ctx context.Context, id uuid.UUID) error {
	for attempt := range maxAttempts {
		stepBack(ctx, attempt)
		u, person, err := s.user(ctx, id)
		if fault.CodeOf(err) == fault.CodeNotFound {
			return nil
		}
		if err != nil {
			return err
		}
		if ok, err := s.bring(ctx, u, u, person, true); ok || err != nil {
			return err
		}
	}
	return changedMeanwhile(entityUser, id.String())
}

// Intent is what the expiry sweep will do to one account, once the instance is not
// paused: what an admin sees before resuming.
type Intent struct {
	UserID     uuid.UUID
	Username   string
	ServerID   uuid.UUID
	ServerName string
	// Would is "disable" or "delete".
	Would string
}

// maxIntents bounds the list: what cannot be read by a person need not be complete.
const maxIntents = 1000

// Pending tells what the sweep would do now.
func (s *Service) Pending(ctx context.Context) ([]Intent, error) {
	ids, err := s.due(ctx, maxIntents)
	if err != nil {
		return nil, err
	}
	ids = ids[:min(len(ids), maxIntents)]
	rows, err := withServer(s.DB.Ent.User.Query().Where(user.IDIn(ids...))).Order(user.ByID()).All(ctx)
	if err != nil {
		return nil, database.Wrap("list", entityUser, err)
	}
	out := make([]Intent, len(rows))
	for i, row := range rows {
		u := s.toUser(row)
		out[i] = Intent{UserID: u.ID, Username: u.Username, ServerID: u.ServerID, ServerName: u.ServerName, Would: u.OnExpiry}
	}
	return out, nil
}
