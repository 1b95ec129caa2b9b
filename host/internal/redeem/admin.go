package redeem

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/predicate"
	"github.com/zondarr/zondarr/ent/db/redemption"
	"github.com/zondarr/zondarr/ent/db/redemptionstep"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/identity"
	"github.com/zondarr/zondarr/host/internal/page"
	"github.com/zondarr/zondarr/sdk"
)

// Filter narrows a list of redemptions; empty fields match all.
type Filter struct {
	InvitationID  []uuid.UUID
	ServerID      []uuid.UUID
	IdentityID    []uuid.UUID
	State         []State
	CreatedAfter  *time.Time
	CreatedBefore *time.Time
	// Query is a case-insensitive part of code, username, e-mail or display name.
	Query string
}

var redemptions = page.List[*db.Redemption]{
	Default: "-created_at",
	ID:      func(r *db.Redemption) uuid.UUID { return r.ID },
	Fields: map[string]page.Field[*db.Redemption]{
		"created_at": {Column: redemption.FieldCreatedAt, Kind: page.Time, Value: func(r *db.Redemption) any { return r.CreatedAt }},
	},
}

// List gives one page of redemptions.
func (s *Service) List(ctx context.Context, f Filter, req page.Request) (page.Page[Redemption], error) {
	q, err := redemptions.Open(req, f)
	if err != nil {
		return page.Page[Redemption]{}, err
	}
	rows, err := withSteps(s.DB.Ent.Redemption.Query().Where(f.predicates()...).Where(q.Apply).Limit(q.Fetch())).All(ctx)
	if err != nil {
		return page.Page[Redemption]{}, database.Wrap("list", entity, err)
	}
	return page.Of(q, rows, toRedemption), nil
}

func (f Filter) predicates() []predicate.Redemption {
	var ps []predicate.Redemption
	if len(f.InvitationID) > 0 {
		ps = append(ps, redemption.InvitationIDIn(f.InvitationID...))
	}
	if len(f.ServerID) > 0 {
		ps = append(ps, redemption.HasStepsWith(redemptionstep.ServerIDIn(f.ServerID...)))
	}
	if len(f.IdentityID) > 0 {
		ps = append(ps, redemption.IdentityIDIn(f.IdentityID...))
	}
	if len(f.State) > 0 {
		states := make([]redemption.State, len(f.State))
		for i, state := range f.State {
			states[i] = redemption.State(state)
		}
		ps = append(ps, redemption.StateIn(states...))
	}
	if f.CreatedAfter != nil {
		ps = append(ps, redemption.CreatedAtGT(database.Micro(*f.CreatedAfter)))
	}
	if f.CreatedBefore != nil {
		ps = append(ps, redemption.CreatedAtLT(database.Micro(*f.CreatedBefore)))
	}
	if f.Query != "" {
		ps = append(ps, redemption.Or(redemption.CodeContainsFold(f.Query), redemption.UsernameContainsFold(f.Query),
			redemption.EmailContainsFold(f.Query), redemption.DisplayNameContainsFold(f.Query)))
	}
	return ps
}

// Get gives one redemption.
func (s *Service) Get(ctx context.Context, id uuid.UUID) (Redemption, error) {
	r, err := load(ctx, s.DB.Ent, id)
	if db.IsNotFound(err) {
		return r, fault.Missing(entity, id.String())
	}
	return r, err
}

// Retry goes on at once with a redemption that waits to be undone, or that an
// admin was asked about: what was too old, or in doubt, is looked at again.
func (s *Service) Retry(ctx context.Context, id uuid.UUID) (Redemption, error) {
	if err := s.admits(ctx); err != nil {
		return Redemption{}, err
	}
	r, h, err := s.takeForAdmin(ctx, id)
	if err != nil {
		return Redemption{}, err
	}
	err = s.transition(ctx, "retry now", h, []State{Undoing, NeedsAttention}, func(ctx context.Context, tx *db.Tx, now time.Time) error {
		for _, st := range r.Steps {
			if st.State != StepUndoing && st.State != StepNeedsAttention {
				continue
			}
			next := now
			if st.ExternalID == nil && st.deadline != nil && st.deadline.After(now) {
				next = *st.deadline // until then it may still be made
			}
			err := oneStep(tx, st.id).SetState(redemptionstep.StateUndoing).SetNextAttemptAt(next).SetUpdatedAt(s.Now()).Exec(ctx)
			if err != nil {
				return database.Wrap("update", entityStep, err)
			}
		}
		return database.Wrap("update", entity, one(tx, id).SetState(redemption.StateUndoing).ClearNextAttemptAt().SetUpdatedAt(s.Now()).Exec(ctx))
	})
	if err != nil {
		s.letGo(ctx, h)
		return Redemption{}, inOtherHands(err)
	}
	s.resume(ctx, r, h)
	return s.Get(ctx, id)
}

// takeForAdmin takes a redemption in hand that waits to be undone or resolved.
func (s *Service) takeForAdmin(ctx context.Context, id uuid.UUID) (Redemption, hold, error) {
	r, err := s.Get(ctx, id)
	if err != nil {
		return r, hold{}, err
	}
	if r.State.Finished() {
		return r, hold{}, fault.New(fault.Conflict, fault.CodeRedemptionFinished, "This redemption is %s; there is nothing left to do.", r.State)
	}
	h, mine, err := s.take(ctx, r, Undoing, NeedsAttention)
	if err == nil && !mine {
		err = errLost
	}
	if err != nil {
		return r, h, inOtherHands(err)
	}
	// Read again, now that nobody else can change it.
	r, err = s.Get(ctx, id)
	return r, h, err
}

// inOtherHands tells an admin that somebody is at work.
func inOtherHands(err error) error {
	if err != errLost { //nolint:errorlint // it is made here, and passed as it is
		return err
	}
	e := fault.New(fault.Conflict, fault.CodeRedemptionInFlight, "This redemption is being worked on. Look again in a moment.")
	e.Retryable, e.RetryAfter = true, 5*time.Second
	return e
}

// Action is how an admin resolves a step that needs attention.
type Action string

// The actions.
const (
	// DeleteAccount deletes the account from the media server.
	DeleteAccount Action = "delete_account"
	// KeepAccount leaves the account there and records it as a user.
	KeepAccount Action = "keep_account"
	// Forget leaves the account there, if there is one, and lets the name go.
	Forget Action = "forget"
)

// Resolve ends a step that needs attention, as an admin decides. Deleting wants
// the username to confirm. The use of the invitation was given back before.
//
// While the instance is paused every unfinished redemption can be resolved: an
// admin who has seen what recovery would do (Pending), and does not want it,
// decides instead. The redemption's other steps are then the admin's too.
func (s *Service) Resolve(ctx context.Context, id, serverID uuid.UUID, action Action, confirmUsername string) (Redemption, error) {
	switch action {
	case DeleteAccount, KeepAccount, Forget:
	default:
		return Redemption{}, fault.InvalidInput(fault.Field{
			Location: "body.action", Code: fault.FieldInvalid, Message: "One of: delete_account, keep_account, forget.",
		})
	}
	if !s.running() {
		return Redemption{}, stopping()
	}
	paused, err := s.Pause.On(ctx)
	if err != nil {
		return Redemption{}, err
	}
	r, err := s.Get(ctx, id)
	if err != nil {
		return Redemption{}, err
	}
	if _, err := r.stepFor(serverID, action, confirmUsername); err != nil {
		return Redemption{}, err
	}
	if paused {
		if err := s.handOver(ctx, r); err != nil {
			return Redemption{}, inOtherHands(err)
		}
	}
	r, h, err := s.takeForAdmin(ctx, id)
	if err != nil {
		return Redemption{}, err
	}
	// It goes on although the client goes away, and ends with the lease.
	held, stop := s.keep(context.WithoutCancel(ctx), h)
	defer stop()
	err = s.resolve(held, r, h, serverID, action, confirmUsername)
	if serr := s.settle(held, h); err == nil {
		err = serr
	}
	if err != nil {
		return Redemption{}, inOtherHands(err)
	}
	s.nudge()
	return s.Get(ctx, id)
}

// handOver leaves it to an admin what becomes of the accounts of an unfinished
// redemption: whatever recovery would undo needs attention instead.
func (s *Service) handOver(ctx context.Context, r Redemption) error {
	if r.State != InProgress && r.State != Undoing {
		return nil
	}
	h, mine, err := s.take(ctx, r, r.State)
	if err == nil && !mine {
		err = errLost
	}
	if err != nil {
		return err
	}
	ends := make([]end, len(r.Steps))
	for i, st := range r.Steps {
		if ends[i] = s.endOf(st); ends[i].state == StepUndoing {
			ends[i].state, ends[i].failure = StepNeedsAttention, doubt(st, "the instance was paused when you took over")
		}
	}
	if r.State == InProgress {
		s.turnBack(ctx, r, h, *interrupted(), ends)
		return nil
	}
	for _, e := range ends {
		if e.state != StepNeedsAttention || e.step.State == StepNeedsAttention {
			continue
		}
		if err := s.setStep(ctx, h, e.step, e.state, e.failure); err != nil {
			return err
		}
	}
	return s.settle(ctx, h)
}

func (s *Service) resolve(ctx context.Context, r Redemption, h hold, serverID uuid.UUID, action Action, confirm string) error {
	st, err := r.stepFor(serverID, action, confirm)
	if err != nil {
		return err
	}
	if st.State != StepNeedsAttention {
		return fault.New(fault.Conflict, fault.CodeRedemptionFinished, "Nothing is left to decide for this server: its step is %s.", st.State)
	}
	if action == Forget {
		return s.setStep(ctx, h, st, StepFailed, forgotten(st))
	}
	p, err := s.provisioner(ctx, serverID)
	if err != nil {
		return adminFault(err, st)
	}
	found, err := s.read(ctx, p, st)
	switch {
	case sdk.ReasonOf(err) == sdk.ReasonNotFound && action == DeleteAccount:
		return s.setStep(ctx, h, st, StepUndone, nil)
	case err != nil:
		return adminFault(err, st)
	case action == KeepAccount:
		return s.keepAccount(ctx, r, h, st, found)
	case found.Protected:
		return protected(st)
	case found.Username != "" && identity.Fold(found.Username) != identity.Fold(confirm):
		return fault.New(fault.Conflict, fault.CodeConflict, "The account is called %s by now, and may be somebody else's. Delete it on %s yourself if it must go, and forget it here.", found.Username, st.ServerName)
	}
	if owned, err := s.hasRow(ctx, st, found.ID); err != nil || owned {
		if err != nil {
			return err
		}
		return ownedAlready()
	}
	if err := s.deleteUser(ctx, p, found.ID); err != nil {
		if sdk.ReasonOf(err) == sdk.ReasonProtected {
			return protected(st)
		}
		return adminFault(err, st)
	}
	return s.setStep(ctx, h, st, StepUndone, nil)
}

// stepFor gives the step that an admin decides about, if the decision is whole.
func (r Redemption) stepFor(serverID uuid.UUID, action Action, confirm string) (Step, error) {
	st, ok := r.step(serverID)
	switch {
	case !ok:
		return st, fault.Missing("redemption step", serverID.String())
	case confirm != st.Username && (action == DeleteAccount || confirm != ""):
		return st, fault.InvalidInput(fault.Field{
			Location: "body.confirm_username", Code: fault.FieldConflict, Message: "Type the username of the account to confirm.",
		})
	}
	return st, nil
}

func (r Redemption) step(serverID uuid.UUID) (Step, bool) {
	for _, st := range r.Steps {
		if st.ServerID != nil && *st.ServerID == serverID {
			return st, true
		}
	}
	return Step{}, false
}

// read gives the account of a step: by its id where that is recorded, else by
// its name.
func (s *Service) read(ctx context.Context, p sdk.Provisioner, st Step) (sdk.User, error) {
	if st.ExternalID == nil {
		return s.find(ctx, p, st, 0)
	}
	u, err := s.tell(ctx, st)
	if sdk.ReasonOf(err) == sdk.ReasonUnsupported {
		return sdk.User{ID: *st.ExternalID, Username: st.Username}, nil
	}
	return u, err
}

// keepAccount records an account that an admin wants to keep.
func (s *Service) keepAccount(ctx context.Context, r Redemption, h hold, st Step, found sdk.User) error {
	err := s.transition(ctx, "keep", h, []State{Undoing, NeedsAttention}, func(ctx context.Context, tx *db.Tx, _ time.Time) error {
		st.State = StepDone
		p := restored(st)
		p.account = found
		created, err := s.recordUsers(ctx, tx, r, []*part{p})
		if err != nil {
			return err
		}
		return database.Wrap("update", entity, one(tx, r.ID).SetIdentityID(created.IdentityID).SetUpdatedAt(s.Now()).Exec(ctx))
	})
	if identity.IsKnown(err) {
		return ownedAlready().Wrap(err)
	}
	return err
}

func ownedAlready() *fault.Error {
	return fault.New(fault.Conflict, fault.CodeAlreadyMember, "A user of Zondarr, or another redemption, has this account. Forget it here instead.")
}

// forgotten is what is told of an account that an admin left as it is.
func forgotten(st Step) *Failure {
	return &Failure{
		ErrorCode: fault.CodeInterrupted, Message: "What was begun on " + st.ServerName + " was left as it is. Ask whoever invited you.",
		Detail: "forgotten by an admin: an account may be there that no user of Zondarr stands for",
	}
}

func protected(st Step) error {
	e := fault.New(fault.Conflict, fault.CodeProtectedAccount, "The account is protected on %s (an administrator or owner) and is never deleted.", st.ServerName)
	e.Server = &fault.Server{ID: st.ServerID.String(), Name: st.ServerName}
	return e
}

// adminFault puts a failed call into words for an admin, who may read the
// plugin's own.
func adminFault(err error, st Step) error {
	if f := fault.As(err); f != nil {
		return f
	}
	f := failureOf(err, st.ServerName, st.Username)
	e := &fault.Error{Kind: kindOf(f.ErrorCode), Code: f.ErrorCode, Message: st.ServerName + ": " + sentence(f.Detail), Retryable: f.Retryable, Err: err}
	if st.ServerID != nil {
		e.Server = &fault.Server{ID: st.ServerID.String(), Name: st.ServerName}
	}
	if e.Code == fault.CodePluginUnavailable {
		e.Plugin = st.ServerType
	}
	return e
}
