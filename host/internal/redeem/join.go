package redeem

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/redemption"
	"github.com/zondarr/zondarr/ent/db/redemptionstep"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
)

// run is a redemption in the memory of the host that works on it.
type run struct {
	hold
	redemption Redemption
	password   string
	parts      []*part
	// alone says that one account is made, with a password.
	alone bool
	// done is closed when this host has done what it can for now.
	done chan struct{}
}

// Join redeems a code. It waits up to Policy.Wait for the end: a Result that is
// completed, or one in progress that can be polled, or the error of what did not
// work, in words for the invitee. A client that goes away cancels nothing.
//
// With an idempotency key the same request gives the same redemption for
// Policy.KeyLife; the same key with other fields is idempotency_key_reused.
func (s *Service) Join(ctx context.Context, code string, req Request, idempotencyKey string, caller Caller) (Result, error) {
	offer, err := s.Invitations.Check(ctx, code)
	if err != nil {
		return Result{}, err
	}
	key, err := checkKey(idempotencyKey)
	if err != nil {
		return Result{}, err
	}
	if result, ok, err := s.again(ctx, offer.Code, key, req); err != nil || ok {
		return result, err
	}
	if err := s.admits(ctx); err != nil {
		return Result{}, err
	}
	if err := offer.State.Err(); err != nil {
		return Result{}, err
	}
	// Judged before the transaction, which is exclusive on SQLite: what cannot
	// work must not make others wait. It is judged again within.
	p := s.plan(offer)
	if err := p.possible(); err != nil {
		return Result{}, err
	}
	if _, err := p.check(req); err != nil {
		return Result{}, err
	}
	if err := s.askAbout(ctx, offer.Code, req.LinkIDs); err != nil {
		return Result{}, err
	}
	r, err := s.begin(ctx, p, req, key, caller)
	if err != nil {
		// The same request may have come twice at once, and the other been first:
		// it has the key, and perhaps the last use, the link or the name.
		if result, ok, err := s.again(ctx, offer.Code, key, req); err != nil || ok {
			return result, err
		}
		return Result{}, beginError(err, p)
	}
	if !s.launch(ctx, r) {
		// The host stops at this very moment: recovery takes the use back.
		return Result{}, stopping()
	}
	return s.await(ctx, r.redemption)
}

// admits refuses new work where it would be lost or do harm.
func (s *Service) admits(ctx context.Context) error {
	if !s.running() {
		return stopping()
	}
	paused, err := s.Pause.On(ctx)
	if err != nil {
		return err
	}
	if paused {
		return fault.New(fault.Unavailable, fault.CodePaused, "New accounts cannot be made at the moment. Your invitation is still good; try again later.")
	}
	return nil
}

func stopping() error {
	e := fault.New(fault.Unavailable, fault.CodeStarting, "The service is restarting. Nothing was created, and your invitation is still good. Try again in a moment.")
	e.Retryable, e.RetryAfter = true, 5*time.Second
	return e
}

// begin is the first transaction: a use is taken, and everything is written down
// that will be done.
func (s *Service) begin(ctx context.Context, seen plan, req Request, key *string, caller Caller) (*run, error) {
	mac := s.Box.MAC(said(seen.offer.Code, req)...)
	return inTx(ctx, s, "begin", func(ctx context.Context, tx *db.Tx) (*run, error) {
		offer, err := s.Invitations.ReserveTx(ctx, tx, seen.offer)
		if err != nil {
			return nil, err
		}
		p := s.plan(offer)
		if err := p.possible(); err != nil {
			return nil, err
		}
		req, err := p.check(req)
		if err != nil {
			return nil, err
		}
		red := Redemption{
			ID: uuid.Must(uuid.NewV7()), InvitationID: &offer.InvitationID, Code: offer.Code, PublicID: publicID(), State: InProgress,
			Username: req.Username, Email: req.Email, DisplayName: req.DisplayName, ClientAddress: caller.Address,
			CorrelationID: caller.CorrelationID, CreatedAt: s.Now(), durationDays: offer.DurationDays, onExpiry: offer.OnExpiry,
			fence: 1, requestMAC: mac,
		}
		links, err := s.claimLinks(ctx, tx, p, req.LinkIDs)
		if err != nil {
			return nil, err
		}
		if red.IdentityID, err = s.knownAccounts(ctx, tx, p, links); err != nil {
			return nil, err
		}
		parts := p.parts(req, links)
		if red.Username == "" {
			red.Username = firstName(parts)
		}
		now, err := s.now(ctx, tx)
		if err != nil {
			return nil, err
		}
		if err := insert(ctx, tx, red, key, s.Owner, now.Add(s.Policy.Lease), parts); err != nil {
			return nil, err
		}
		// What insert could not know yet: who claimed the links.
		if err := s.bindLinks(ctx, tx, links, red.ID); err != nil {
			return nil, err
		}
		return &run{
			hold: hold{red.ID, red.fence}, redemption: red, password: req.Password, parts: parts, done: make(chan struct{}),
		}, nil
	})
}

func firstName(parts []*part) string {
	for _, j := range parts {
		if j.step.Username != "" {
			return j.step.Username
		}
	}
	return ""
}

// beginError gives the words for what the first transaction ran into.
func beginError(err error, p plan) error {
	if database.ConflictOn(err, redemptionstep.Table, redemptionstep.FieldServerID, redemptionstep.FieldUsernameFolded) {
		e := fault.New(fault.Conflict, fault.CodePreviousAttemptUnfinished, "An attempt with this account is not finished yet. Wait a few minutes, then try again.")
		if p.asksName() {
			e.Message = "An attempt with this name is not finished yet. Wait a few minutes, or choose another name."
			e.Fields = blame("body.username", fault.FieldConflict, e.Message)
		}
		e.Retryable, e.RetryAfter, e.Err = true, time.Minute, err
		return e
	}
	return err
}

// publicID gives 128 random bits as text.
func publicID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func checkKey(key string) (*string, error) {
	if key == "" {
		return nil, nil
	}
	if len(key) > 255 || strings.ContainsFunc(key, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
		return nil, fault.InvalidInput(fault.Field{
			Location: "header.Idempotency-Key", Code: fault.FieldInvalid, Message: "At most 255 printable ASCII characters.",
		})
	}
	return &key, nil
}

// said is all of a request but the password: what a MAC knows it again by.
func said(code string, req Request) []string {
	links := slices.Sorted(slices.Values(req.LinkIDs))
	return append([]string{"redemption", code, req.Username, ptr(req.Email), ptr(req.DisplayName)}, links...)
}

// again answers a request that came before with the same key, and says whether it did.
func (s *Service) again(ctx context.Context, code string, key *string, req Request) (Result, bool, error) {
	if key == nil {
		return Result{}, false, nil
	}
	known, ok, err := s.replay(ctx, code, *key, req)
	if err != nil || !ok {
		return Result{}, false, err
	}
	result, err := s.await(ctx, known)
	return result, true, err
}

// replay finds the redemption of a key that is still kept.
func (s *Service) replay(ctx context.Context, code, key string, req Request) (Redemption, bool, error) {
	row, err := withSteps(s.DB.Ent.Redemption.Query().Where(redemption.Code(code), redemption.IdempotencyKey(key))).Only(ctx)
	if db.IsNotFound(err) {
		return Redemption{}, false, nil
	}
	if err != nil {
		return Redemption{}, false, database.Wrap("get", entity, err)
	}
	r := toRedemption(row)
	if s.Now().Sub(r.CreatedAt) >= s.Policy.KeyLife {
		return Redemption{}, false, s.forgetKeys(ctx, redemption.ID(r.ID))
	}
	if !s.Box.SameMAC(r.requestMAC, said(code, req)...) {
		return Redemption{}, false, fault.New(fault.Conflict, fault.CodeIdempotencyKeyReused, "This idempotency key was used for another request.")
	}
	return r, true, nil
}

// await waits for the end of a redemption, here or on another host, and gives
// the answer as it is stored.
func (s *Service) await(ctx context.Context, r Redemption) (Result, error) {
	bounded, cancel := context.WithTimeout(ctx, s.Policy.Wait)
	defer cancel()
	defer s.hurried(cancel)()
	if mine := s.handed(r.ID); mine != nil {
		select {
		case <-mine.done:
		case <-bounded.Done():
		}
	} else {
		s.watch(bounded, r)
	}
	// The client may be gone, and the answer is read all the same: a handler that
	// still can, tells it.
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	result, err := s.result(ctx, r.ID)
	if errors.Is(err, database.ErrUnavailable) {
		// What is not known is still in progress: the address to poll tells later.
		return Result{Code: r.Code, PublicID: r.PublicID, State: InProgress}, nil
	}
	return result, err
}

// watch waits for another host's redemption to leave in_progress.
func (s *Service) watch(ctx context.Context, r Redemption) {
	poll := time.NewTicker(250 * time.Millisecond)
	defer poll.Stop()
	for r.State == InProgress {
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
		}
		if now, err := load(ctx, s.DB.Ent, r.ID); err == nil {
			r = now
		}
	}
}

func ptr(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
