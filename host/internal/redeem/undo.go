package redeem

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/redemption"
	"github.com/zondarr/zondarr/ent/db/redemptionstep"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/sdk"
)

// end is what becomes of a step when its redemption turns back.
type end struct {
	step    Step
	state   StepState
	failure *Failure
}

// end gives what becomes of a step that this host worked on.
func (j *part) end() end {
	e := end{step: j.step, failure: j.failure}
	switch {
	case j.step.State == StepSkipped:
		e.state = StepSkipped
	case j.created, j.ambiguous:
		e.state = StepUndoing
		if j.created {
			e.step.ExternalID = &j.account.ID
		}
	case j.failure != nil:
		e.state = StepFailed
	default:
		e.state = StepSkipped // another server failed before it was begun
	}
	return e
}

// endOf gives what becomes of a step of which only the stored state is known.
func (s *Service) endOf(st Step) end {
	e := end{step: st}
	switch st.State {
	case StepDone, StepCreating, StepUndoing:
		e.state = StepUndoing
		if s.Now().Sub(st.UpdatedAt) >= s.Policy.Stale {
			e.state, e.failure = StepNeedsAttention, stale(st)
		}
	case StepPending:
		e.state = StepSkipped
	default:
		e.state = st.State
	}
	return e
}

func stale(st Step) *Failure {
	return &Failure{
		ErrorCode: fault.CodeInterrupted, Message: st.ServerName + ": this attempt was interrupted.",
		Detail: "the last thing known of this account is too old to act upon without you: a restored backup may know less than the media server",
	}
}

// turnBack is the transaction that decides to take everything back: the use is
// given back, and the redemption is undoing, or failed where there is nothing to
// undo. It says whether the redemption is still in hand and has something to
// undo.
func (s *Service) turnBack(ctx context.Context, r Redemption, h hold, why Failure, ends []end) bool {
	undoing := false
	err := s.durably(ctx, func() error {
		return s.transition(ctx, "turn back", h, []State{InProgress}, func(ctx context.Context, tx *db.Tx, now time.Time) error {
			var err error
			undoing, err = s.writeEnds(ctx, tx, r, why, ends, now)
			return err
		})
	})
	if err != nil && !errors.Is(err, errLost) {
		s.Log.ErrorContext(ctx, "redemption not turned back; whoever takes it over does", "redemption", r.ID, "error", err)
	}
	return err == nil && undoing
}

func (s *Service) writeEnds(ctx context.Context, tx *db.Tx, r Redemption, why Failure, ends []end, now time.Time) (undoing bool, err error) {
	attention := false
	for _, e := range ends {
		u := oneStep(tx, e.step.id).SetState(redemptionstep.State(e.state)).SetUpdatedAt(s.Now())
		setStepFailure(u, e.failure)
		switch e.state {
		case StepUndoing:
			undoing = true
			u.SetNextAttemptAt(now)
			if e.step.ExternalID != nil {
				// Known here, and perhaps not written down yet.
				u.SetExternalID(*e.step.ExternalID)
			} else if until := e.step.deadline; until != nil && until.After(now) {
				u.SetNextAttemptAt(*until) // until then it may still be made
			}
		case StepNeedsAttention:
			attention = true
		case StepFailed, StepSkipped:
			u.SetReleasedAt(s.Now())
		default:
		}
		if err := u.Exec(ctx); err != nil {
			return false, database.Wrap("update", entityStep, err)
		}
	}
	if r.InvitationID != nil {
		if err := s.Invitations.ReleaseTx(ctx, tx, *r.InvitationID); err != nil {
			return false, err
		}
	}
	if err := s.releaseLinks(ctx, tx, r.ID, ends); err != nil {
		return false, err
	}
	u := one(tx, r.ID).SetUpdatedAt(s.Now()).
		SetErrorCode(why.ErrorCode).SetErrorMessage(why.Message).SetErrorDetail(why.Detail).SetErrorRetryable(why.Retryable)
	switch {
	case undoing:
		u.SetState(redemption.StateUndoing)
	case attention:
		u.SetState(redemption.StateNeedsAttention).ClearLeaseOwner().ClearLeaseUntil()
	default:
		u.SetState(redemption.StateFailed).SetFinishedAt(s.Now()).ClearLeaseOwner().ClearLeaseUntil()
	}
	return undoing, database.Wrap("update", entity, u.Exec(ctx))
}

// takeBack undoes what is due of a redemption in hand, the last account first,
// and settles what comes of it.
func (s *Service) takeBack(ctx context.Context, h hold) {
	r, err := load(ctx, s.DB.Ent, h.id)
	if err == nil {
		var now time.Time
		if now, err = s.now(ctx, nil); err == nil {
			for _, st := range slices.Backward(r.Steps) {
				due := st.NextAttemptAt == nil || !st.NextAttemptAt.After(now)
				if st.State == StepUndoing && due && ctx.Err() == nil {
					s.undo(ctx, h, st)
				}
			}
			err = s.durably(ctx, func() error { return s.settle(ctx, h) })
		}
	}
	if err != nil && !errors.Is(err, errLost) && ctx.Err() == nil {
		s.Log.ErrorContext(ctx, "undoing a redemption was interrupted; it goes on when the lease lapses", "redemption", h.id, "error", err)
	}
}

// settle ends the redemption when all its steps have ended, or plans the next
// attempt, and gives it out of hand.
func (s *Service) settle(ctx context.Context, h hold) error {
	return s.transition(ctx, "settle", h, []State{Undoing, NeedsAttention}, func(ctx context.Context, tx *db.Tx, now time.Time) error {
		rows, err := tx.RedemptionStep.Query().Where(redemptionstep.RedemptionID(h.id)).All(ctx)
		if err != nil {
			return database.Wrap("list", entityStep, err)
		}
		u := one(tx, h.id).SetUpdatedAt(s.Now()).ClearLeaseOwner().ClearLeaseUntil()
		state := Failed
		next := now.Add(s.Policy.RetryMost)
		for _, row := range rows {
			switch row.State {
			case redemptionstep.StateUndoing:
				state = Undoing
				if row.NextAttemptAt == nil {
					next = now
				} else if row.NextAttemptAt.Before(next) {
					next = *row.NextAttemptAt
				}
			case redemptionstep.StateNeedsAttention:
				if state == Failed {
					state = NeedsAttention
				}
			default:
			}
		}
		u.SetState(redemption.State(state))
		switch state {
		case Undoing:
			u.SetNextAttemptAt(next)
		case Failed:
			u.SetFinishedAt(s.Now()).ClearNextAttemptAt()
		default:
			u.ClearNextAttemptAt()
		}
		return database.Wrap("update", entity, u.Exec(ctx))
	})
}

// undo takes one account back, if it is beyond doubt ours.
func (s *Service) undo(ctx context.Context, h hold, st Step) {
	err := s.undoStep(ctx, h, st)
	switch {
	case err == nil, errors.Is(err, errLost), ctx.Err() != nil:
		return
	}
	f := failureOf(err, st.ServerName, st.Username)
	s.Log.WarnContext(ctx, "account not taken back; trying again later", "redemption", h.id, "server", st.ServerName, "attempt", st.Attempts, "error", err)
	if err := s.durably(ctx, func() error { return s.retryStep(ctx, h, st, f) }); err != nil && !errors.Is(err, errLost) {
		s.Log.ErrorContext(ctx, "failure not written down", "redemption", h.id, "error", err)
	}
}

func (s *Service) undoStep(ctx context.Context, h hold, st Step) error {
	if s.Now().Sub(st.UpdatedAt) >= s.Policy.Stale {
		return s.setStep(ctx, h, st, StepNeedsAttention, stale(st))
	}
	if st.ServerID == nil {
		return s.setStep(ctx, h, st, StepNeedsAttention, doubt(st, "the server was deleted from Zondarr"))
	}
	p, err := s.provisioner(ctx, *st.ServerID)
	if err != nil {
		return err
	}
	if st.ExternalID == nil {
		asked, err := s.now(ctx, nil)
		if err != nil {
			return err
		}
		found, err := s.find(ctx, p, st, 0)
		if sdk.ReasonOf(err) == sdk.ReasonNotFound {
			return s.absent(ctx, h, st, asked)
		}
		if err != nil {
			return err
		}
		owned, err := s.hasRow(ctx, st, found.ID)
		if err != nil {
			return err
		}
		if owned {
			// Somebody else whom Zondarr knows has the name, so that it was not free.
			return s.absent(ctx, h, st, asked)
		}
		if why := s.notOurs(st, found); why != "" {
			return s.setStep(ctx, h, st, StepNeedsAttention, doubt(st, why))
		}
		// Written down before it is deleted: from here on the id decides.
		if err := s.setExternalID(ctx, h, st, found.ID); err != nil {
			return err
		}
		st.ExternalID = &found.ID
	} else if owned, err := s.hasRow(ctx, st, *st.ExternalID); err != nil || owned {
		if err != nil {
			return err
		}
		return s.setStep(ctx, h, st, StepNeedsAttention, doubt(st, "a user of Zondarr has this account"))
	}
	err = s.deleteUser(ctx, p, *st.ExternalID)
	if sdk.ReasonOf(err) == sdk.ReasonProtected {
		return s.setStep(ctx, h, st, StepNeedsAttention, doubt(st, "the account is protected (an administrator or owner)"))
	}
	if err != nil {
		return err
	}
	return s.setStep(ctx, h, st, StepUndone, nil)
}

func (s *Service) deleteUser(ctx context.Context, p sdk.Provisioner, id string) error {
	ctx, cancel := context.WithTimeout(ctx, s.Policy.Write)
	defer cancel()
	_, err := p.DeleteUser(ctx, sdk.DeleteUserRequest{ID: id})
	return err
}

// clockSkew is how far a media server's clock may be off before an account of its
// seems older than it is.
const clockSkew = 10 * time.Minute

// notOurs gives the reason to doubt that an account of which no row knows, found
// after a create of unknown outcome, was made by that create; "" when it is beyond
// doubt. The step holds the name's claim for as long as it is not released.
func (s *Service) notOurs(st Step, found sdk.User) string {
	switch {
	case !st.absentBefore:
		return "the account may have been there before this attempt: nobody had just looked"
	case found.Protected:
		return "the account is protected (an administrator or owner)"
	case st.deadline != nil && !found.CreatedAt.IsZero() && found.CreatedAt.Before(st.deadline.Add(-s.Policy.Write-clockSkew)):
		return "the account is older than this attempt"
	case found.SignedIn != nil && *found.SignedIn:
		return "somebody has signed in to the account"
	case found.SignedIn == nil && st.linkedAccountID == nil:
		return "the server does not tell whether somebody has signed in to the account"
	}
	return ""
}

// hasRow says whether a user, or another redemption's step, has an external id.
func (s *Service) hasRow(ctx context.Context, st Step, externalID string) (bool, error) {
	known, err := s.Identities.Known(ctx, *st.ServerID, externalID)
	if err != nil || known {
		return known, err
	}
	known, err = s.DB.Ent.RedemptionStep.Query().Where(redemptionstep.ServerID(*st.ServerID), redemptionstep.ExternalID(externalID),
		redemptionstep.IDNEQ(st.id), redemptionstep.ReleasedAtIsNil()).Exist(ctx)
	return known, database.Wrap("get", entityStep, err)
}

func doubt(st Step, why string) *Failure {
	return &Failure{
		ErrorCode: fault.CodeInterrupted, Message: "Your account on " + st.ServerName + " could not be taken back yet.",
		Detail: "left alone, and for you to decide: " + why,
	}
}

// absent writes down that an account of unknown outcome was not there when it was
// looked for, at a time that began with asked. At the last look's time or later it
// counts as never made; how often it was looked for before does not matter.
func (s *Service) absent(ctx context.Context, h hold, st Step, asked time.Time) error {
	next, again := s.nextLook(st, asked)
	if !again {
		return s.setStep(ctx, h, st, StepUndone, nil)
	}
	return s.transition(ctx, "absent", h, []State{Undoing}, func(ctx context.Context, tx *db.Tx, _ time.Time) error {
		return database.Wrap("update", entityStep, oneStep(tx, st.id).SetNextAttemptAt(next).SetUpdatedAt(s.Now()).Exec(ctx))
	})
}

// nextLook is when an account of unknown outcome is looked for after a time, if
// that is needed: a create without a deadline was never sent.
func (s *Service) nextLook(st Step, after time.Time) (time.Time, bool) {
	if st.deadline == nil {
		return time.Time{}, false
	}
	for _, wait := range s.Policy.Looks {
		if at := st.deadline.Add(wait); at.After(after) {
			return at, true
		}
	}
	return time.Time{}, false
}

// setStep ends a step. One that needs attention keeps its name.
func (s *Service) setStep(ctx context.Context, h hold, st Step, state StepState, f *Failure) error {
	return s.transition(ctx, "step "+string(state), h, []State{Undoing, NeedsAttention}, func(ctx context.Context, tx *db.Tx, _ time.Time) error {
		u := oneStep(tx, st.id).SetState(redemptionstep.State(state)).ClearNextAttemptAt().SetUpdatedAt(s.Now())
		if state != StepNeedsAttention {
			u.SetReleasedAt(s.Now())
		}
		if state == StepUndone && st.Error != nil && st.Error.ErrorCode == fault.CodeUndoFailed {
			u.ClearErrorCode().ClearErrorMessage().ClearErrorDetail().SetErrorRetryable(false)
		}
		setStepFailure(u, f)
		return database.Wrap("update", entityStep, u.Exec(ctx))
	})
}

func (s *Service) setExternalID(ctx context.Context, h hold, st Step, id string) error {
	return s.transition(ctx, "found", h, []State{Undoing}, func(ctx context.Context, tx *db.Tx, _ time.Time) error {
		return database.Wrap("update", entityStep, oneStep(tx, st.id).SetExternalID(id).SetUpdatedAt(s.Now()).Exec(ctx))
	})
}

// retryStep plans the next attempt of a step that could not be undone.
func (s *Service) retryStep(ctx context.Context, h hold, st Step, f *Failure) error {
	return s.transition(ctx, "retry", h, []State{Undoing}, func(ctx context.Context, tx *db.Tx, now time.Time) error {
		u := oneStep(tx, st.id).AddAttempts(1).SetNextAttemptAt(now.Add(s.backoff(st.Attempts))).SetUpdatedAt(s.Now())
		if st.Error == nil {
			// Nothing is wrong with this server's part but that it is still there.
			u.SetErrorCode(fault.CodeUndoFailed).SetErrorMessage("Your account on " + st.ServerName + " is being taken back.")
		}
		// The invitee goes on reading why it failed; the admin why it is not undone.
		u.SetErrorDetail("not undone yet: " + f.Detail).SetErrorRetryable(true)
		return database.Wrap("update", entityStep, u.Exec(ctx))
	})
}

// backoff doubles from RetryFirst to RetryMost, give or take a quarter.
func (s *Service) backoff(attempts int) time.Duration {
	d := s.Policy.RetryFirst << min(max(attempts-1, 0), 20)
	if d <= 0 || d > s.Policy.RetryMost {
		d = s.Policy.RetryMost
	}
	return d - d/4 + rand.N(d/2+1) //nolint:gosec // jitter, not a secret
}
