package redeem

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/redemption"
	"github.com/zondarr/zondarr/ent/db/redemptionstep"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/identity"
	"github.com/zondarr/zondarr/sdk"
)

// work makes the accounts of a new redemption and records them, or takes back
// what it made. ctx ends when the host stops, or loses the lease.
func (s *Service) work(ctx context.Context, r *run) {
	failed := s.provision(ctx, r)
	r.password = ""
	if ctx.Err() != nil {
		return
	}
	if failed == nil {
		if failed = s.finish(ctx, r.redemption, r.hold, r.parts); failed == nil {
			return
		}
	}
	ends := make([]end, len(r.parts))
	for i, j := range r.parts {
		ends[i] = j.end()
	}
	if s.turnBack(ctx, r.redemption, r.hold, *failed, ends) {
		s.takeBack(ctx, r.hold)
	}
}

// provision asks every server for its account. What the invitee would notice (a
// mail) comes last, one after another, when all else has worked. It gives the
// failure to tell, that of the first server in the invitation's order.
func (s *Service) provision(ctx context.Context, r *run) *Failure {
	var first, last []*part
	for _, j := range r.parts {
		switch {
		case j.step.State == StepSkipped:
		case j.step.noticed:
			last = append(last, j)
		default:
			first = append(first, j)
		}
	}
	// Seen before the servers are asked side by side: from then on each part is
	// its own goroutine's.
	if both := slices.Concat(first, last); len(both) == 1 {
		r.alone = both[0].link == nil
	}
	var failed atomic.Bool
	one := func(j *part) {
		if failed.Load() || ctx.Err() != nil {
			return // not begun: nothing to take back
		}
		if s.create(ctx, r, j); j.failure != nil {
			failed.Store(true)
		}
	}
	if len(first) == 1 {
		one(first[0])
	} else {
		var all sync.WaitGroup
		turns := make(chan struct{}, max(1, s.Policy.Parallel))
		for _, j := range first {
			all.Go(func() {
				turns <- struct{}{}
				defer func() { <-turns }()
				one(j)
			})
		}
		all.Wait()
	}
	for _, j := range last {
		one(j)
	}
	for _, j := range r.parts {
		if j.failure != nil {
			return j.failure
		}
	}
	return nil
}

// create makes one account, and leaves in the part how it went.
func (s *Service) create(ctx context.Context, r *run, j *part) {
	fail := func(err error) {
		j.failure = failureOf(err, j.step.ServerName, j.step.Username)
		s.Log.WarnContext(ctx, "account not made", "redemption", r.id, "server", j.step.ServerName, "code", j.failure.ErrorCode, "error", err)
	}
	p, err := s.provisioner(ctx, *j.step.ServerID)
	if err != nil {
		fail(err)
		return
	}
	// Looked up before anything is asked for: an account that is found later is
	// ours only if it was not there now. What a kept list says is enough to go on,
	// since the server refuses a name that was taken since, and proves nothing later.
	found, err := s.find(ctx, p, j.step, s.Policy.NameAge)
	if err == nil && s.Policy.NameAge > 0 {
		// A list that is not fresh may still have what is gone since: an earlier
		// attempt that was taken back.
		found, err = s.find(ctx, p, j.step, 0)
	}
	e, _ := errors.AsType[*sdk.Error](err)
	j.step.absentBefore = e != nil && e.Kind() == sdk.ReasonNotFound && !e.Stale
	switch {
	case err == nil && j.link != nil && found.Protected:
		fail(sdk.Errorf(sdk.ReasonProtected, "the account is the owner's or an administrator's"))
		return
	case err == nil && j.link != nil:
		fail(sdk.Errorf(sdk.ReasonAlreadyMember, "the account has access already"))
		return
	case err == nil:
		fail(sdk.Errorf(sdk.ReasonUsernameTaken, "the name is taken"))
		return
	case sdk.ReasonOf(err) != sdk.ReasonNotFound:
		fail(err)
		return
	}
	// The deadline is set before it is written down: a host that stood still for
	// longer must not send a create that others have already looked for.
	sending, cancel := context.WithTimeout(ctx, s.Policy.Write)
	defer cancel()
	marked := time.Now().Round(0) // by the wall clock
	if err := s.durably(ctx, func() error { return s.markCreating(ctx, r.hold, j) }); err != nil {
		fail(err)
		return
	}
	if time.Now().Round(0).Sub(marked) >= s.Policy.Write {
		// The machine slept: the context's clock stood still with it.
		fail(&sdk.Error{Reason: sdk.ReasonUnavailable, Source: sdk.SourceHost, Retryable: true, Message: "not sent: too late"})
		return
	}
	req := sdk.CreateUserRequest{
		OperationID: j.step.operationID.String(), DisplayName: ptr(r.redemption.DisplayName), Email: ptr(r.redemption.Email),
		Grant: j.asked, Link: j.link,
	}
	if j.link == nil {
		req.Username, req.Password = j.step.Username, r.password
	}
	resp, err := p.CreateUser(sending, req)
	if err == nil && resp.User.ID == "" {
		err = sdk.Errorf(sdk.ReasonAmbiguous, "the plugin gave an account without an id")
	}
	if err != nil {
		j.ambiguous = !nothingMade(err)
		fail(err)
		return
	}
	j.account, j.created = resp.User, true
	if resp.Message != "" {
		j.step.notice = &resp.Message
	}
	if d := j.differs(); d != "" {
		fail(sdk.Errorf(sdk.ReasonAccessNotApplied, "%s", d))
	} else if r.alone {
		// The one account that was to be made: the transaction that completes the
		// redemption comes next and writes it down. A host that dies before leaves
		// a create of unknown outcome, as one that dies before the answer does.
		j.step.State, j.step.ExternalID = StepDone, &j.account.ID
		return
	}
	if err := s.durably(ctx, func() error { return s.markDone(ctx, r.hold, j) }); err != nil {
		fail(err)
	}
}

// nothingMade says that a failed create left nothing behind, beyond doubt: it
// was never sent, or the plugin says so by its reason.
func nothingMade(err error) bool {
	e, ok := errors.AsType[*sdk.Error](err)
	if !ok {
		return false
	}
	if e.Undone {
		return true
	}
	if e.Origin() == sdk.SourceHost {
		return e.Kind() == sdk.ReasonUnavailable
	}
	if e.Retryable || e.Kind().Transient() {
		return false
	}
	switch e.Kind() {
	case sdk.ReasonAmbiguous, sdk.ReasonInternal:
		return false
	default:
		// A reason of a later version of the contract says nothing of what was made.
		return slices.Contains(sdk.Reasons(), e.Kind())
	}
}

func (s *Service) provisioner(ctx context.Context, serverID uuid.UUID) (sdk.Provisioner, error) {
	c, err := s.client(ctx, serverID)
	if err != nil {
		return nil, err
	}
	p, ok := c.(sdk.Provisioner)
	if !ok {
		return nil, sdk.Errorf(sdk.ReasonUnsupported, "the server type makes no accounts")
	}
	return p, nil
}

func (s *Service) client(ctx context.Context, serverID uuid.UUID) (sdk.MediaClient, error) {
	ref, err := s.Servers.Ref(ctx, serverID)
	if err != nil {
		return nil, err
	}
	return s.Clients.Client(ctx, ref)
}

// find looks a step's account up, on data of that age at most.
func (s *Service) find(ctx context.Context, p sdk.Provisioner, st Step, age time.Duration) (sdk.User, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Policy.Read)
	defer cancel()
	req := sdk.FindUserRequest{Username: st.Username, MaxAge: age}
	if st.linkedAccountID != nil {
		req = sdk.FindUserRequest{AccountID: *st.linkedAccountID, MaxAge: age}
	}
	resp, err := p.FindUser(ctx, req)
	return resp.User, err
}

// markCreating writes down that the create is about to be sent.
func (s *Service) markCreating(ctx context.Context, h hold, j *part) error {
	err := s.transition(ctx, "creating", h, []State{InProgress}, func(ctx context.Context, tx *db.Tx, now time.Time) error {
		deadline := now.Add(s.Policy.Write)
		j.step.deadline = &deadline
		return database.Wrap("update", entityStep, oneStep(tx, j.step.id).
			SetState(redemptionstep.StateCreating).SetAbsentBefore(j.step.absentBefore).SetDeadlineAt(deadline).AddAttempts(1).SetUpdatedAt(s.Now()).Exec(ctx))
	})
	if err == nil {
		j.step.State = StepCreating
	}
	return err
}

// markDone writes down the account that was made.
func (s *Service) markDone(ctx context.Context, h hold, j *part) error {
	err := s.transition(ctx, "done", h, []State{InProgress}, func(ctx context.Context, tx *db.Tx, _ time.Time) error {
		u := oneStep(tx, j.step.id).SetState(redemptionstep.StateDone).SetExternalID(j.account.ID).
			SetNillableNotice(j.step.notice).SetUpdatedAt(s.Now())
		if j.account.Username != "" {
			u.SetUsername(j.account.Username)
		}
		setStepFailure(u, j.failure)
		return database.Wrap("update", entityStep, u.Exec(ctx))
	})
	if err == nil {
		j.step.State, j.step.ExternalID = StepDone, &j.account.ID
	}
	return err
}

// finish is the last transaction: the person and the accounts are recorded, and
// the redemption is completed. It gives why it could not be, so that it must be
// taken back; nil also when the redemption is in other hands or the host stops.
func (s *Service) finish(ctx context.Context, r Redemption, h hold, parts []*part) *Failure {
	err := s.durably(ctx, func() error {
		_, err := inTx(ctx, s, "complete", func(ctx context.Context, tx *db.Tx) (struct{}, error) {
			return struct{}{}, s.record(ctx, tx, r, h, parts)
		})
		return err
	})
	switch {
	case err == nil:
		s.Log.InfoContext(ctx, "invitation redeemed", "redemption", r.ID, "username", r.Username)
		if slices.ContainsFunc(parts, linked) {
			s.nudge() // the sign-in is ended at once
		}
		return nil
	case errors.Is(err, errLost), ctx.Err() != nil:
		return nil
	}
	s.Log.ErrorContext(ctx, "accounts were made and not recorded; they are taken back", "redemption", r.ID, "error", err)
	f := &Failure{
		ErrorCode: fault.CodeInternal, Message: "Something went wrong on our side while your account was made.", Detail: err.Error(), Retryable: true,
	}
	switch {
	case identity.IsKnown(err):
		f.Detail = "a server gave the id of an account that is known already: " + err.Error()
	case fault.CodeOf(err) == fault.CodeForbidden: // switched off while the account was made
		f.ErrorCode, f.Message, f.Retryable = fault.CodeForbidden, accessEnded, false
	}
	return f
}

// record writes the end of a redemption that worked. The proof that it is still
// in hand comes last here, in the update that completes it: without it all that
// was written before is rolled back.
func (s *Service) record(ctx context.Context, tx *db.Tx, r Redemption, h hold, parts []*part) error {
	created, err := s.recordUsers(ctx, tx, r, parts)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(parts, linked) {
		if err := s.consumeLinks(ctx, tx, r.ID); err != nil {
			return err
		}
	}
	now := s.Now()
	n, err := tx.Redemption.Update().Where(h.held([]State{InProgress})...).SetState(redemption.StateCompleted).
		SetIdentityID(created.IdentityID).SetFinishedAt(now).SetUpdatedAt(now).
		ClearLeaseOwner().ClearLeaseUntil().ClearNextAttemptAt().Save(ctx)
	if err == nil && n == 0 {
		return errLost
	}
	return database.Wrap("update", entity, err)
}

func linked(p *part) bool { return p.step.linkID != nil }

// recordUsers writes the person and the accounts of the parts that are done, and
// lets their names go: the users have them now.
func (s *Service) recordUsers(ctx context.Context, tx *db.Tx, r Redemption, parts []*part) (identity.Created, error) {
	now := s.Now()
	person := identity.New{
		IdentityID: r.IdentityID, DisplayName: cmp.Or(ptr(r.DisplayName), r.Username), Email: r.Email, InvitationID: r.InvitationID,
	}
	var made []*part
	for _, p := range parts {
		if p.step.State != StepDone {
			continue
		}
		made = append(made, p)
		u := identity.NewUser{
			ServerID: *p.step.ServerID, Account: p.account, Asked: p.asked, OnExpiry: r.onExpiry,
			Origin: identity.OriginRedemption, InvitationID: r.InvitationID, RedemptionID: &r.ID,
		}
		if p.account.Status != "" {
			u.ReadAt = &now
		}
		if p.asked.Libraries.Mode == sdk.LibraryOnly {
			u.Libraries = p.step.libraries
		}
		if r.durationDays != nil {
			u.ExpiresAt = new(now.Add(time.Duration(*r.durationDays) * 24 * time.Hour))
		}
		person.Users = append(person.Users, u)
	}
	created, err := s.Identities.CreateTx(ctx, tx, person)
	if err != nil {
		return created, err
	}
	for i, p := range made {
		u := oneStep(tx, p.step.id).SetState(redemptionstep.StateDone).SetExternalID(p.account.ID).SetNillableNotice(p.step.notice).
			SetUserID(created.UserIDs[i]).SetReleasedAt(now).ClearNextAttemptAt().SetUpdatedAt(now)
		if p.account.Username != "" {
			u.SetUsername(p.account.Username)
		}
		if err := u.Exec(ctx); err != nil {
			return created, database.Wrap("update", entityStep, err)
		}
	}
	return created, nil
}
