package redeem

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/redemption"
	"github.com/zondarr/zondarr/ent/db/redemptionstep"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/grant"
	"github.com/zondarr/zondarr/sdk"
)

const (
	entity     = "redemption"
	entityStep = "redemption_step"
)

// errLost says that the redemption is no longer in this host's hand: another
// took it over, or moved it on. Whoever gets it stops, and changes nothing.
var errLost = errors.New("the redemption is in other hands")

// hold is a redemption in hand: the fence is the proof.
type hold struct {
	id    uuid.UUID
	fence int64
}

// inTx is the only way in which this package writes.
func inTx[T any](ctx context.Context, s *Service, point string, fn func(ctx context.Context, tx *db.Tx) (T, error)) (T, error) {
	var zero T
	if s.tap != nil {
		if err := s.tap("before " + point); err != nil {
			return zero, err
		}
	}
	v, err := database.WithTx(ctx, s.DB, fn)
	if err == nil && s.tap != nil {
		if err := s.tap("after " + point); err != nil {
			return zero, err
		}
	}
	return v, err
}

// now is the time by which leases and waits are measured; tx may be nil.
func (s *Service) now(ctx context.Context, tx *db.Tx) (time.Time, error) {
	if s.Time != nil {
		return s.Time(ctx, tx)
	}
	return s.DB.Time(ctx, tx)
}

// transition moves a redemption that is in hand, and stands in one of the given
// states, in one transaction: first the row is locked by the conditional update,
// which is also the proof, then fn does the rest.
func (s *Service) transition(ctx context.Context, point string, h hold, from []State, fn func(ctx context.Context, tx *db.Tx, now time.Time) error) error {
	_, err := inTx(ctx, s, point, func(ctx context.Context, tx *db.Tx) (struct{}, error) {
		n, err := tx.Redemption.Update().Where(h.held(from)...).SetUpdatedAt(s.Now()).Save(ctx)
		if err != nil {
			return struct{}{}, database.Wrap("update", entity, err)
		}
		if n == 0 {
			return struct{}{}, errLost
		}
		now, err := s.now(ctx, tx)
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, fn(ctx, tx, now)
	})
	return err
}

// durably tries a write again while the database is away, for as long as ctx
// lasts: what happened on a media server must be written down.
func (s *Service) durably(ctx context.Context, write func() error) error {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		err := write()
		if !errors.Is(err, database.ErrUnavailable) || ctx.Err() != nil {
			return err
		}
		s.Log.WarnContext(ctx, "the database is away; trying again", "error", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

func withSteps(q *db.RedemptionQuery) *db.RedemptionQuery {
	return q.WithSteps(func(q *db.RedemptionStepQuery) {
		q.Order(redemptionstep.ByPosition(), redemptionstep.ByID())
	})
}

func load(ctx context.Context, c *db.Client, id uuid.UUID) (Redemption, error) {
	row, err := withSteps(c.Redemption.Query().Where(redemption.ID(id))).Only(ctx)
	if err != nil {
		return Redemption{}, database.Wrap("get", entity, err)
	}
	return toRedemption(row), nil
}

func insert(ctx context.Context, tx *db.Tx, r Redemption, key *string, owner string, until time.Time, parts []*part) error {
	create := tx.Redemption.Create().SetID(r.ID).SetNillableInvitationID(r.InvitationID).SetCode(r.Code).SetPublicID(r.PublicID).
		SetState(redemption.StateInProgress).SetUsername(r.Username).SetNillableEmail(r.Email).SetNillableDisplayName(r.DisplayName).
		SetNillableIdentityID(r.IdentityID).SetClientAddress(r.ClientAddress).SetNillableDurationDays(r.durationDays).
		SetOnExpiry(redemption.OnExpiry(r.onExpiry)).SetNillableIdempotencyKey(key).
		SetLeaseOwner(owner).SetLeaseFence(r.fence).SetLeaseUntil(until).SetCorrelationID(r.CorrelationID).
		SetCreatedAt(r.CreatedAt).SetUpdatedAt(r.CreatedAt)
	if key != nil {
		create.SetRequestMAC(r.requestMAC)
	}
	if err := create.Exec(ctx); err != nil {
		return database.Wrap("create", entity, err)
	}
	rows := make([]*db.RedemptionStepCreate, len(parts))
	for i, j := range parts {
		st := j.step
		c := tx.RedemptionStep.Create().SetID(st.id).SetRedemptionID(r.ID).SetNillableServerID(st.ServerID).
			SetServerName(st.ServerName).SetServerType(st.ServerType).SetState(redemptionstep.State(st.State)).
			SetOperationID(st.operationID).SetUsername(st.Username).SetNillableUsernameFolded(j.claim).
			SetNillableLinkedAccountID(st.linkedAccountID).SetNillableLinkID(st.linkID).
			SetLibraryAccess(redemptionstep.LibraryAccess(st.grant.Access)).SetPermissions(st.grant.Permissions).
			SetLimits(st.grant.Limits).SetOptions(st.grant.Options).SetLibraries(st.libraries).
			SetJoinFlow(string(j.planned.abilities.JoinFlow)).SetNoticed(st.noticed).SetPosition(st.position).
			SetCreatedAt(r.CreatedAt).SetUpdatedAt(r.CreatedAt)
		if st.State == StepSkipped {
			c.SetReleasedAt(r.CreatedAt)
		}
		if f := st.Error; f != nil {
			c.SetErrorCode(f.ErrorCode).SetErrorMessage(f.Message).SetErrorDetail(f.Detail).SetErrorRetryable(f.Retryable)
		}
		rows[i] = c
	}
	return database.Wrap("create", entityStep, tx.RedemptionStep.CreateBulk(rows...).Exec(ctx))
}

// one and oneStep update a row by its id; ent's UpdateOneID reads it back, which
// nobody here needs.
func one(tx *db.Tx, id uuid.UUID) *db.RedemptionUpdate {
	return tx.Redemption.Update().Where(redemption.ID(id))
}

func oneStep(tx *db.Tx, id uuid.UUID) *db.RedemptionStepUpdate {
	return tx.RedemptionStep.Update().Where(redemptionstep.ID(id))
}

func setStepFailure(u *db.RedemptionStepUpdate, f *Failure) {
	if f == nil {
		return
	}
	u.SetErrorCode(f.ErrorCode).SetErrorMessage(f.Message).SetErrorDetail(f.Detail).SetErrorRetryable(f.Retryable)
}

func toRedemption(row *db.Redemption) Redemption {
	r := Redemption{
		ID: row.ID, InvitationID: row.InvitationID, Code: row.Code, PublicID: row.PublicID, State: State(row.State),
		Username: row.Username, Email: row.Email, DisplayName: row.DisplayName, IdentityID: row.IdentityID,
		ClientAddress: row.ClientAddress, CorrelationID: row.CorrelationID,
		Error:     failure(row.ErrorCode, row.ErrorMessage, row.ErrorDetail, row.ErrorRetryable),
		CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(), FinishedAt: database.MicroOf(row.FinishedAt),
		durationDays: row.DurationDays, onExpiry: string(row.OnExpiry), fence: row.LeaseFence, nextAttemptAt: database.MicroOf(row.NextAttemptAt),
		requestMAC: row.RequestMAC,
		Steps:      make([]Step, len(row.Edges.Steps)),
	}
	for i, st := range row.Edges.Steps {
		r.Steps[i] = toStep(st)
	}
	return r
}

func toStep(row *db.RedemptionStep) Step {
	g := grant.Grant{
		Access: sdk.LibraryMode(row.LibraryAccess), Permissions: row.Permissions, Limits: row.Limits, Options: row.Options,
	}
	for _, id := range row.Libraries {
		if id, err := uuid.Parse(id); err == nil {
			g.LibraryIDs = append(g.LibraryIDs, id)
		}
	}
	slices.SortFunc(g.LibraryIDs, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	return Step{
		ServerID: row.ServerID, ServerName: row.ServerName, ServerType: row.ServerType, State: StepState(row.State),
		Username: row.Username, ExternalID: row.ExternalID, UserID: row.UserID, Attempts: row.Attempts,
		NextAttemptAt: database.MicroOf(row.NextAttemptAt), UpdatedAt: row.UpdatedAt.UTC(),
		Error: failure(row.ErrorCode, row.ErrorMessage, row.ErrorDetail, row.ErrorRetryable),
		id:    row.ID, operationID: row.OperationID, deadline: database.MicroOf(row.DeadlineAt), linkedAccountID: row.LinkedAccountID,
		linkID: row.LinkID, absentBefore: row.AbsentBefore != nil && *row.AbsentBefore, grant: g.Normalize(), libraries: row.Libraries,
		noticed: row.Noticed, position: row.Position, notice: row.Notice,
	}
}

func failure(code, message, detail *string, retryable bool) *Failure {
	if code == nil {
		return nil
	}
	f := &Failure{ErrorCode: *code, Retryable: retryable}
	if message != nil {
		f.Message = *message
	}
	if detail != nil {
		f.Detail = *detail
	}
	return f
}
