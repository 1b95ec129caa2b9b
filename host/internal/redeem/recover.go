package redeem

import (
	"context"
	"errors"
	"time"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/predicate"
	"github.com/zondarr/zondarr/ent/db/redemption"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/grant"
	"github.com/zondarr/zondarr/sdk"
)

// atOnce bounds how many unfinished redemptions one sweep takes in hand.
const atOnce = 16

// due is true for redemptions that are unfinished, in nobody's hand, and not to
// be left alone until later.
func due(now time.Time) predicate.Redemption {
	return redemption.And(
		redemption.FinishedAtIsNil(),
		redemption.StateIn(redemption.StateInProgress, redemption.StateUndoing),
		free(now),
		redemption.Or(redemption.NextAttemptAtIsNil(), redemption.NextAttemptAtLTE(now)),
	)
}

// sweep takes unfinished redemptions in hand and goes on with them, ends links
// that are over, and forgets idempotency keys that are old. Paused, it does
// nothing.
func (s *Service) sweep(ctx context.Context) error {
	if paused, err := s.Pause.On(ctx); err != nil || paused {
		return err
	}
	now, err := s.now(ctx, nil)
	if err != nil {
		return err
	}
	rows, err := withSteps(s.DB.Ent.Redemption.Query().Where(due(now)).Order(db.Asc(redemption.FieldCreatedAt)).Limit(atOnce)).All(ctx)
	if err != nil {
		return database.Wrap("list", entity, err)
	}
	for _, row := range rows {
		r := toRedemption(row)
		if s.handed(r.ID) != nil {
			continue // its own lease lapsed, and its worker is about to notice
		}
		h, mine, err := s.take(ctx, r, InProgress, Undoing)
		if err != nil {
			return err
		}
		if mine {
			s.resume(ctx, r, h)
		}
	}
	return errors.Join(s.endLinks(ctx), s.forgetOldKeys(ctx))
}

// resume goes on with an unfinished redemption that this host took in hand, in a
// goroutine of the service.
func (s *Service) resume(ctx context.Context, r Redemption, h hold) {
	taken := &run{hold: h, redemption: r, done: make(chan struct{})}
	ctx = sdk.WithCorrelationID(ctx, r.CorrelationID)
	s.spawn(ctx, taken, func(ctx context.Context) {
		s.Log.InfoContext(ctx, "going on with an unfinished redemption", "redemption", r.ID, "state", r.State)
		// Read again, now that nobody else can change it.
		r, err := load(ctx, s.DB.Ent, r.ID)
		if err != nil {
			s.Log.ErrorContext(ctx, "unfinished redemption not read; trying again when the lease lapses", "redemption", h.id, "error", err)
			return
		}
		switch r.State {
		case InProgress:
			s.resumeInProgress(ctx, r, h)
		case Undoing:
			s.takeBack(ctx, h)
		default:
		}
	})
}

// resumeInProgress finishes forward if every account is recorded, and turns back
// otherwise: nobody has the password any more.
func (s *Service) resumeInProgress(ctx context.Context, r Redemption, h hold) {
	why := interrupted()
	if parts, complete := s.recorded(ctx, r); complete {
		if why = s.finish(ctx, r, h, parts); why == nil {
			return
		}
	}
	ends := make([]end, len(r.Steps))
	for i, st := range r.Steps {
		ends[i] = s.endOf(st)
	}
	if s.turnBack(ctx, r, h, *why, ends) {
		s.takeBack(ctx, h)
	}
}

func interrupted() *Failure {
	return &Failure{
		ErrorCode: fault.CodeInterrupted, Message: "The service was interrupted while your account was made. Try again.",
		Detail: "the host stopped or lost the redemption before all accounts were recorded", Retryable: true,
	}
}

// recorded gives the parts of a redemption whose every account is recorded. What
// else the server says of them is read if it can be, and not needed.
func (s *Service) recorded(ctx context.Context, r Redemption) ([]*part, bool) {
	if !r.complete() {
		return nil, false
	}
	parts := make([]*part, 0, len(r.Steps))
	for _, st := range r.Steps {
		if st.State == StepSkipped {
			continue
		}
		p := restored(st)
		if told, err := s.tell(ctx, st); err == nil && told.ID == *st.ExternalID {
			p.account = told
		}
		parts = append(parts, p)
	}
	return parts, true
}

// restored gives a part of which only the stored step is known.
func restored(st Step) *part {
	p := &part{step: st, account: sdk.User{Username: st.Username}}
	if st.ExternalID != nil {
		p.account.ID = *st.ExternalID
	}
	p.asked = sdk.Grant{
		Libraries: sdk.LibraryAccess{Mode: st.grant.Access}, Limits: st.grant.Limits, Options: st.grant.Options, Permissions: map[string]sdk.Tri{},
	}
	for name, word := range st.grant.Permissions {
		p.asked.Permissions[name] = grant.Tri(word)
	}
	return p
}

// tell reads a recorded account.
func (s *Service) tell(ctx context.Context, st Step) (sdk.User, error) {
	c, err := s.client(ctx, *st.ServerID)
	if err != nil {
		return sdk.User{}, err
	}
	reader, ok := c.(sdk.UserReader)
	if !ok {
		return sdk.User{}, sdk.Errorf(sdk.ReasonUnsupported, "the server type does not read users")
	}
	ctx, cancel := context.WithTimeout(ctx, s.Policy.Read)
	defer cancel()
	resp, err := reader.GetUser(ctx, sdk.GetUserRequest{ID: *st.ExternalID})
	return resp.User, err
}

// forgetOldKeys lets idempotency keys go after their life. Those that are older
// than the window, because no host ran, are let go when they are used again. It
// looks before it writes: an idle host keeps the writer free.
func (s *Service) forgetOldKeys(ctx context.Context) error {
	until := s.Now().Add(-s.Policy.KeyLife)
	old := redemption.And(
		redemption.CreatedAtLTE(until), redemption.CreatedAtGT(until.Add(-s.Policy.KeyLife)), redemption.IdempotencyKeyNotNil())
	some, err := s.DB.Ent.Redemption.Query().Where(old).Exist(ctx)
	if err != nil || !some {
		return database.Wrap("list", entity, err)
	}
	return s.forgetKeys(ctx, old)
}

func (s *Service) forgetKeys(ctx context.Context, which predicate.Redemption) error {
	_, err := s.DB.Ent.Redemption.Update().Where(which).ClearIdempotencyKey().ClearRequestMAC().Save(ctx)
	return database.Wrap("update", entity, err)
}
