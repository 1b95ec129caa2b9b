package redeem

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	linkrow "github.com/zondarr/zondarr/ent/db/link"
	"github.com/zondarr/zondarr/ent/db/predicate"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/invitation"
	"github.com/zondarr/zondarr/sdk"
)

const entityLink = "link"

// LinkState is how a sign-in at a realm stands, as the invitee sees it.
type LinkState string

// The states of a link.
const (
	LinkPending  LinkState = "pending"
	LinkApproved LinkState = "approved"
	LinkDenied   LinkState = "denied"
	LinkExpired  LinkState = "expired"
	LinkFailed   LinkState = "failed"
)

// Link is one sign-in of an invitee at a realm. One link serves every server of
// that realm in the invitation. Approval alone redeems nothing.
type Link struct {
	// Code and ID, 128 random bits as text, make the address at which it is polled.
	Code         string
	ID           string
	Realm        string
	ServerIDs    []uuid.UUID
	State        LinkState
	AuthorizeURL string
	UserCode     *string
	// AccountName is who signed in, once approved.
	AccountName *string
	ErrorCode   string
	Message     string
	PollAfter   time.Duration
	ExpiresAt   time.Time
}

// link is an approved link in the hand of a redemption.
type link struct {
	id           uuid.UUID
	accountID    string
	accountName  string
	accountEmail string
	state        []byte
}

// BeginLink starts a sign-in at a realm that servers of the invitation need.
func (s *Service) BeginLink(ctx context.Context, code, realm string, caller Caller) (Link, error) {
	if err := s.admits(ctx); err != nil {
		return Link{}, err
	}
	offer, err := s.Invitations.Check(ctx, code)
	if err != nil {
		return Link{}, err
	}
	if err := offer.State.Err(); err != nil {
		return Link{}, err
	}
	servers := s.plan(offer).serversOf(realm)
	if realm == "" || len(servers) == 0 {
		return Link{}, fault.InvalidInput(fault.Field{
			Location: "body.realm", Code: fault.FieldUnsupported, Message: "No server of this invitation wants such an account.",
		})
	}
	linker, err := s.linker(ctx, servers[0])
	if err != nil {
		return Link{}, linkFault(err)
	}
	req := sdk.BeginLinkRequest{}
	if s.BaseURL != "" {
		req.ReturnURL = s.BaseURL + "/j/" + offer.Code
	}
	called, cancel := context.WithTimeout(ctx, s.Policy.Read)
	defer cancel()
	resp, err := linker.BeginLink(called, req)
	if err != nil {
		return Link{}, linkFault(err)
	}
	id, now := uuid.Must(uuid.NewV7()), s.Now()
	sealed, err := s.Box.Seal(linkContext(id), resp.State)
	if err != nil {
		return Link{}, err
	}
	expires := database.Micro(resp.ExpiresAt)
	if expires.Before(now) || expires.Sub(now) > s.Policy.LinkLife {
		expires = now.Add(s.Policy.LinkLife)
	}
	row, err := inTx(ctx, s, "link", func(ctx context.Context, tx *db.Tx) (*db.Link, error) {
		c := tx.Link.Create().SetID(id).SetPublicID(publicID()).SetCode(offer.Code).SetInvitationID(offer.InvitationID).SetRealm(realm).
			SetServerID(servers[0]).SetSealedState(sealed).SetAuthorizeURL(resp.AuthorizeURL).SetPollAfterMs(pollAfter(resp.PollAfter)).
			SetExpiresAt(expires).SetClientAddress(caller.Address).SetCreatedAt(now).SetUpdatedAt(now)
		if resp.UserCode != "" {
			c.SetUserCode(resp.UserCode)
		}
		row, err := c.Save(ctx)
		return row, database.Wrap("create", entityLink, err)
	})
	if err != nil {
		return Link{}, err
	}
	return toLink(row, servers), nil
}

// pollAfter bounds what a plugin asks for, in milliseconds.
func pollAfter(d time.Duration) int {
	return int(min(max(d, time.Second), 30*time.Second) / time.Millisecond)
}

// serversOf gives the servers of a plan that a link of the realm serves.
func (p plan) serversOf(realm string) []uuid.UUID {
	var out []uuid.UUID
	for _, t := range p.targets {
		if t.live() && t.realm() == realm {
			out = append(out, t.offer.ServerID)
		}
	}
	return out
}

func (s *Service) linker(ctx context.Context, serverID uuid.UUID) (sdk.AccountLinker, error) {
	c, err := s.client(ctx, serverID)
	if err != nil {
		return nil, err
	}
	l, ok := c.(sdk.AccountLinker)
	if !ok {
		return nil, sdk.Errorf(sdk.ReasonUnsupported, "the server type links no accounts")
	}
	return l, nil
}

func linkFault(err error) error {
	f := failureOf(err, "The sign-in service", "")
	if f.ErrorCode == fault.CodeCapabilityUnsupported {
		f.Message = "Signing in is not possible at the moment. Ask whoever invited you."
	}
	return &fault.Error{Kind: kindOf(f.ErrorCode), Code: f.ErrorCode, Message: f.Message, Detail: f.Detail, Retryable: f.Retryable, Err: err}
}

// PollLink tells how a sign-in stands, and asks the realm when it is time to.
func (s *Service) PollLink(ctx context.Context, code, id string) (Link, error) {
	row, err := s.DB.Ent.Link.Query().Where(linkrow.PublicID(id)).Only(ctx)
	if db.IsNotFound(err) || err == nil && !invitation.Means(code, row.Code) {
		return Link{}, noLink()
	}
	if err != nil {
		return Link{}, database.Wrap("get", entityLink, err)
	}
	var servers []uuid.UUID
	if offer, err := s.Invitations.Check(ctx, row.Code); err == nil {
		servers = s.plan(offer).serversOf(row.Realm)
	}
	if row, err = s.ask(ctx, row); err != nil {
		return Link{}, err
	}
	out := toLink(row, servers)
	if out.State == LinkPending && !s.Now().Before(row.ExpiresAt) {
		out.State = LinkExpired // the sweep writes it down
	}
	return out, nil
}

func noLink() error {
	return fault.New(fault.NotFound, fault.CodeLinkNotFound, "There is no such sign-in for this invitation. Start again.")
}

// ask polls the realm about a link that is pending, at most once in the time that it
// asked for, however many browsers wait and hosts there are.
func (s *Service) ask(ctx context.Context, row *db.Link) (*db.Link, error) {
	now := s.Now()
	if row.State != linkrow.StatePending || row.ServerID == nil || row.SealedState == nil || !now.Before(row.ExpiresAt) {
		return row, nil
	}
	n, err := s.DB.Ent.Link.Update().Where(linkrow.ID(row.ID), linkrow.StateEQ(linkrow.StatePending),
		linkrow.UpdatedAtLTE(now.Add(-time.Duration(row.PollAfterMs)*time.Millisecond))).SetUpdatedAt(now).Save(ctx)
	if err != nil || n == 0 {
		return row, database.Wrap("update", entityLink, err)
	}
	linker, err := s.linker(ctx, *row.ServerID)
	if err == nil {
		var state []byte
		if state, err = s.Box.Open(linkContext(row.ID), row.SealedState); err != nil {
			return nil, err
		}
		called, cancel := context.WithTimeout(ctx, s.Policy.Read)
		defer cancel()
		var resp sdk.PollLinkResponse
		if resp, err = linker.PollLink(called, sdk.PollLinkRequest{State: state}); err == nil {
			return s.told(ctx, row, resp)
		}
	}
	f := failureOf(err, "The sign-in service", "")
	s.Log.WarnContext(ctx, "sign-in not asked about", "realm", row.Realm, "error", err)
	if f.Retryable && sdk.ReasonOf(err) != sdk.ReasonLinkExpired {
		return row, nil // it is asked again at the next poll
	}
	state := linkrow.StateFailed
	if sdk.ReasonOf(err) == sdk.ReasonLinkExpired {
		state = linkrow.StateExpired
	}
	return s.updatePending(ctx, row, func(u *db.LinkUpdate) {
		u.SetState(state).SetErrorCode(f.ErrorCode).SetErrorMessage(f.Message).SetErrorDetail(f.Detail)
	})
}

// askAbout asks the realms about links that are about to be redeemed and that
// nobody has seen approved yet: the invitee may be faster than the poll.
func (s *Service) askAbout(ctx context.Context, code string, publicIDs []string) error {
	if len(publicIDs) == 0 {
		return nil
	}
	rows, err := s.DB.Ent.Link.Query().Where(linkrow.PublicIDIn(publicIDs...), linkrow.Code(code), linkrow.StateEQ(linkrow.StatePending)).All(ctx)
	if err != nil {
		return database.Wrap("list", entityLink, err)
	}
	for _, row := range rows {
		if _, err := s.ask(ctx, row); err != nil {
			return err
		}
	}
	return nil
}

// told writes down what the realm said.
func (s *Service) told(ctx context.Context, row *db.Link, resp sdk.PollLinkResponse) (*db.Link, error) {
	if len(resp.State) == 0 && resp.Status != sdk.LinkApproved {
		resp.State = nil
	}
	var sealed []byte
	if resp.State != nil {
		var err error
		if sealed, err = s.Box.Seal(linkContext(row.ID), resp.State); err != nil {
			return nil, err
		}
	}
	return s.updatePending(ctx, row, func(u *db.LinkUpdate) {
		if sealed != nil {
			u.SetSealedState(sealed)
		}
		switch resp.Status {
		case sdk.LinkApproved:
			if resp.Account == nil || resp.Account.ID == "" {
				u.SetState(linkrow.StateFailed).SetErrorCode(fault.CodeServerError).
					SetErrorMessage("The sign-in did not say who you are. Start again.").SetErrorDetail("the plugin approved a link without an account")
				return
			}
			u.SetState(linkrow.StateApproved).SetAccountID(resp.Account.ID).SetAccountName(resp.Account.Username).
				SetExpiresAt(s.Now().Add(s.Policy.LinkLife))
			if resp.Account.Email != "" {
				u.SetAccountEmail(resp.Account.Email)
			}
		case sdk.LinkDenied:
			u.SetState(linkrow.StateDenied)
		case sdk.LinkExpired:
			u.SetState(linkrow.StateExpired)
		default:
		}
	})
}

// updatePending changes a link that is still pending, and gives it as it is then.
func (s *Service) updatePending(ctx context.Context, row *db.Link, change func(*db.LinkUpdate)) (*db.Link, error) {
	return inTx(ctx, s, "link", func(ctx context.Context, tx *db.Tx) (*db.Link, error) {
		u := tx.Link.Update().Where(linkrow.ID(row.ID), linkrow.StateEQ(linkrow.StatePending)).SetUpdatedAt(s.Now())
		change(u)
		if _, err := u.Save(ctx); err != nil {
			return nil, database.Wrap("update", entityLink, err)
		}
		row, err := tx.Link.Get(ctx, row.ID)
		return row, database.Wrap("get", entityLink, err)
	})
}

func toLink(row *db.Link, servers []uuid.UUID) Link {
	out := Link{
		Code: row.Code, ID: row.PublicID, Realm: row.Realm, ServerIDs: slices.Clone(servers), State: LinkState(row.State), AuthorizeURL: row.AuthorizeURL,
		UserCode: row.UserCode, PollAfter: time.Duration(row.PollAfterMs) * time.Millisecond, ExpiresAt: row.ExpiresAt.UTC(),
	}
	switch row.State {
	case linkrow.StateClaimed:
		out.State = LinkApproved
	case linkrow.StateConsumed:
		out.State, out.ErrorCode, out.Message = LinkExpired, fault.CodeLinkUsed, "This sign-in has been used."
	case linkrow.StateDenied:
		out.Message = "The sign-in was refused."
	case linkrow.StateExpired:
		out.Message = "The sign-in took too long. Start again."
	default:
	}
	if out.State == LinkApproved {
		out.AccountName = row.AccountName
	}
	if row.ErrorCode != nil && out.State != LinkApproved && out.ErrorCode == "" && row.ErrorMessage != nil && row.State != linkrow.StateConsumed {
		out.ErrorCode, out.Message = *row.ErrorCode, *row.ErrorMessage
	}
	return out
}

func linkContext(id uuid.UUID) string { return "links:" + id.String() }

// claimLinks takes the links that a plan needs for a redemption, in its first
// transaction; bindLinks says afterwards whose they are.
func (s *Service) claimLinks(ctx context.Context, tx *db.Tx, p plan, publicIDs []string) (map[string]link, error) {
	realms := p.realms()
	if len(realms) == 0 {
		return nil, nil
	}
	var rows []*db.Link
	if len(publicIDs) > 0 {
		var err error
		rows, err = tx.Link.Query().Where(linkrow.PublicIDIn(publicIDs...), linkrow.Code(p.offer.Code)).All(ctx)
		if err != nil {
			return nil, database.Wrap("list", entityLink, err)
		}
		if len(rows) < len(slices.Compact(slices.Sorted(slices.Values(publicIDs)))) {
			return nil, noLink()
		}
	}
	now := s.Now()
	out := map[string]link{}
	for _, realm := range realms {
		ofRealm := func(r *db.Link) bool { return r.Realm == realm }
		i := slices.IndexFunc(rows, ofRealm)
		if i >= 0 && slices.ContainsFunc(rows[i+1:], ofRealm) {
			return nil, fault.InvalidInput(fault.Field{
				Location: "body.link_ids", Code: fault.FieldDuplicate, Message: "Two sign-ins at the same place. Give one of them.",
			})
		}
		if i < 0 {
			return nil, notApproved(p, realm)
		}
		row := rows[i]
		n, err := tx.Link.Update().Where(linkrow.ID(row.ID), linkrow.StateEQ(linkrow.StateApproved), linkrow.ExpiresAtGT(now)).
			SetState(linkrow.StateClaimed).SetUpdatedAt(now).Save(ctx)
		if err != nil {
			return nil, database.Wrap("update", entityLink, err)
		}
		if n == 0 {
			if row.State == linkrow.StateConsumed || row.State == linkrow.StateClaimed {
				return nil, fault.New(fault.Conflict, fault.CodeLinkUsed, "This sign-in has been used, or is being used. Sign in again.")
			}
			return nil, notApproved(p, realm)
		}
		state, err := s.Box.Open(linkContext(row.ID), row.SealedState)
		if err != nil {
			return nil, err
		}
		out[realm] = link{id: row.ID, accountID: ptr(row.AccountID), accountName: ptr(row.AccountName), accountEmail: ptr(row.AccountEmail), state: state}
	}
	return out, nil
}

func notApproved(p plan, realm string) error {
	e := fault.New(fault.Conflict, fault.CodeLinkNotApproved, "Sign in to %s first.", p.labelOf(realm))
	e.Fields = blame("body.link_ids", fault.FieldRequired, e.Message)
	return e
}

func (s *Service) bindLinks(ctx context.Context, tx *db.Tx, links map[string]link, redemptionID uuid.UUID) error {
	for _, l := range links {
		if err := tx.Link.Update().Where(linkrow.ID(l.id)).SetClaimedBy(redemptionID).SetUpdatedAt(s.Now()).Exec(ctx); err != nil {
			return database.Wrap("update", entityLink, err)
		}
	}
	return nil
}

// releaseLinks lets a redemption that did not work leave its links usable, but
// for those whose sign-in has ended at the realm.
func (s *Service) releaseLinks(ctx context.Context, tx *db.Tx, redemptionID uuid.UUID, ends []end) error {
	release := func(to linkrow.State, which ...predicate.Link) error {
		_, err := tx.Link.Update().Where(linkrow.ClaimedBy(redemptionID), linkrow.StateEQ(linkrow.StateClaimed)).Where(which...).
			SetState(to).ClearClaimedBy().SetUpdatedAt(s.Now()).Save(ctx)
		return database.Wrap("update", entityLink, err)
	}
	for _, e := range ends {
		if e.step.linkID != nil && e.failure != nil && e.failure.ErrorCode == fault.CodeLinkNotApproved {
			if err := release(linkrow.StateExpired, linkrow.ID(*e.step.linkID)); err != nil {
				return err
			}
		}
	}
	return release(linkrow.StateApproved)
}

func (s *Service) consumeLinks(ctx context.Context, tx *db.Tx, redemptionID uuid.UUID) error {
	_, err := tx.Link.Update().Where(linkrow.ClaimedBy(redemptionID), linkrow.StateEQ(linkrow.StateClaimed)).
		SetState(linkrow.StateConsumed).SetUpdatedAt(s.Now()).Save(ctx)
	return database.Wrap("update", entityLink, err)
}

// endLinks signs out what consumed, refused and expired links obtained.
func (s *Service) endLinks(ctx context.Context) error {
	now := s.Now()
	rows, err := s.DB.Ent.Link.Query().Where(
		linkrow.EndedAtIsNil(),
		linkrow.Or(
			linkrow.StateIn(linkrow.StateConsumed, linkrow.StateDenied, linkrow.StateExpired, linkrow.StateFailed),
			linkrow.And(linkrow.StateIn(linkrow.StatePending, linkrow.StateApproved), linkrow.ExpiresAtLTE(now)),
		),
		// The first try is made at once, the others a minute apart.
		linkrow.Or(linkrow.AttemptedAtIsNil(), linkrow.AttemptedAtLTE(now.Add(-time.Minute))),
	).Order(db.Asc(linkrow.FieldExpiresAt)).Limit(atOnce).All(ctx)
	if err != nil {
		return database.Wrap("list", entityLink, err)
	}
	var all error
	for _, row := range rows {
		all = errors.Join(all, s.endLink(ctx, row))
	}
	return all
}

func (s *Service) endLink(ctx context.Context, row *db.Link) error {
	now := s.Now()
	mine := s.DB.Ent.Link.Update().Where(linkrow.ID(row.ID), linkrow.EndedAtIsNil(), linkrow.StateEQ(row.State), linkrow.UpdatedAt(row.UpdatedAt)).
		SetUpdatedAt(now).SetAttemptedAt(now)
	if row.State == linkrow.StatePending || row.State == linkrow.StateApproved {
		mine.SetState(linkrow.StateExpired) // from here on no redemption can claim it
	}
	if n, err := mine.Save(ctx); err != nil || n == 0 {
		return database.Wrap("update", entityLink, err)
	}
	err := s.signOut(ctx, row)
	if err != nil && now.Sub(row.ExpiresAt) < s.Policy.LinkEnd {
		s.Log.WarnContext(ctx, "sign-in not ended; trying again", "realm", row.Realm, "error", err)
		return nil
	}
	if err != nil {
		s.Log.ErrorContext(ctx, "sign-in not ended; given up", "realm", row.Realm, "error", err)
	}
	_, err = inTx(ctx, s, "link ended", func(ctx context.Context, tx *db.Tx) (struct{}, error) {
		err := tx.Link.Update().Where(linkrow.ID(row.ID)).SetEndedAt(now).ClearSealedState().SetUpdatedAt(now).Exec(ctx)
		return struct{}{}, database.Wrap("update", entityLink, err)
	})
	return err
}

func (s *Service) signOut(ctx context.Context, row *db.Link) error {
	if row.SealedState == nil || row.ServerID == nil {
		return nil
	}
	state, err := s.Box.Open(linkContext(row.ID), row.SealedState)
	if err != nil {
		return err
	}
	linker, err := s.linker(ctx, *row.ServerID)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.Policy.Read)
	defer cancel()
	_, err = linker.EndLink(ctx, sdk.EndLinkRequest{State: state})
	if sdk.ReasonOf(err) == sdk.ReasonLinkExpired || sdk.ReasonOf(err) == sdk.ReasonNotFound {
		return nil // it has ended by itself
	}
	return err
}
