// Package redeem turns an invitation into accounts: on all of its servers, or on
// none. It is a use-case: it calls the nouns invitation and identity, and owns
// the tables of redemptions, their steps, and the links of accounts that live
// elsewhere.
//
// A redemption is a saga. One transaction takes a use of the invitation and
// writes a step for each server (in_progress). Outside of any transaction each
// server is asked for its account, in parallel, and what happened is written
// down before anything else happens. One last transaction records the person and
// the accounts (completed). When anything fails, one transaction gives the use
// back and turns the redemption to undoing; then exactly what it created is
// deleted, in reverse, and it is failed. So the ledger always balances:
//
//	use_count = completed + in_progress
//
// and no account exists on a server that no row knows.
//
// (Where one account is all there is to make, it is written down by that last
// transaction itself, which would follow at once: each one is a sync of the disk.)
//
// Everything is durable before the call that it describes, so that a host may
// die at any point. A redemption in hand carries a lease with a fence; every
// transition is conditional on the state and the fence. Whoever finds a lease
// that lapsed goes on: forward when every account is recorded, back otherwise,
// since the password is kept nowhere but in the memory of the host that was
// asked.
//
// A create whose outcome is not known (no answer, a 5xx, a dead process) is
// looked for after its deadline, and twice more, before it counts as absent. It
// is deleted only when it is beyond doubt ours: see notOurs. What is in doubt is
// left alone, and an admin decides (needs_attention).
//
// The package knows neither HTTP nor any plugin by name.
package redeem

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/identity"
	"github.com/zondarr/zondarr/host/internal/invitation"
	"github.com/zondarr/zondarr/sdk"
)

// Service redeems invitations. It is made as a struct literal with every
// exported field set, then started.
type Service struct {
	DB          *database.DB
	Invitations *invitation.Service
	Identities  *identity.Service
	Servers     servers
	Clients     clients
	Box         sealer
	Pause       pause
	Policy      Policy
	// Owner names this process among the hosts of the database.
	Owner string
	// BaseURL is the public address of this installation, for links that send a
	// browser back; empty when none is known.
	BaseURL string
	Log     *slog.Logger
	// Now gives the time in UTC, in microseconds.
	Now func() time.Time
	// Time gives the time by which leases and waits are measured, which all hosts
	// of one database share. Nil is the database's own.
	Time func(ctx context.Context, tx *db.Tx) (time.Time, error)

	// tap is called around every transaction; tests make a host die there.
	tap func(point string) error

	life lifecycle
}

// servers opens the sealed secrets of a media server.
type servers interface {
	Ref(ctx context.Context, id uuid.UUID) (sdk.ServerRef, error)
}

// clients is what the package needs of the registry. A client implements every
// optional interface; what the plugin does not declare answers unsupported.
type clients interface {
	Client(ctx context.Context, ref sdk.ServerRef) (sdk.MediaClient, error)
	Describe(serverType string) (sdk.Description, error)
}

type sealer interface {
	Seal(context string, plaintext []byte) ([]byte, error)
	Open(context string, sealed []byte) ([]byte, error)
	MAC(parts ...string) []byte
	SameMAC(mac []byte, parts ...string) bool
}

type pause interface {
	On(ctx context.Context) (bool, error)
}

// Policy holds every time and limit of the package.
type Policy struct {
	// Wait is how long Join waits for the end before it answers in_progress.
	Wait time.Duration
	// Parallel is how many servers of one redemption are worked on at once.
	Parallel int
	// Lease is how long a redemption in hand stays in hand; it is renewed each
	// third of it.
	Lease time.Duration
	// Read and Write are the deadlines of calls to a media server.
	Read, Write time.Duration
	// NameAge is how old a plugin's list may be by which a name is free before its
	// account is created. The server itself refuses a name that was taken since;
	// only, when the outcome of that create is unknown, an admin is asked about an
	// account that is found (sdk.Error.Stale).
	NameAge time.Duration
	// Looks are the waits, after a create's deadline, at which an account of
	// unknown outcome is looked for again. It counts as absent after the last.
	Looks []time.Duration
	// RetryFirst is the wait after the first failure to undo; it doubles up to
	// RetryMost.
	RetryFirst, RetryMost time.Duration
	// Stale is the age beyond which a step is not undone without an admin.
	Stale time.Duration
	// Sweep is how often unfinished redemptions are looked for.
	Sweep time.Duration
	// KeyLife is how long an idempotency key is kept.
	KeyLife time.Duration
	// LinkLife is how long an approved link can be used.
	LinkLife time.Duration
	// LinkEnd is how long the end of a link is tried before it is given up.
	LinkEnd time.Duration
}

// DefaultPolicy gives what the product uses.
func DefaultPolicy() Policy {
	return Policy{
		Wait: 20 * time.Second, Parallel: 4, Lease: time.Minute, Read: 15 * time.Second, Write: time.Minute, NameAge: time.Minute,
		Looks:      []time.Duration{time.Minute, 10 * time.Minute},
		RetryFirst: 2 * time.Second, RetryMost: 10 * time.Minute, Stale: 24 * time.Hour, Sweep: 5 * time.Second,
		KeyLife: 24 * time.Hour, LinkLife: 30 * time.Minute, LinkEnd: 24 * time.Hour,
	}
}

// lifecycle is what a started service holds.
type lifecycle struct {
	mu      sync.Mutex
	started bool
	// base ends the work that is in hand; sweeping ends the loop that looks for
	// more.
	base    context.Context //nolint:containedctx // the life of the service's own goroutines, not of a call
	endBase context.CancelFunc
	// waits ends those who wait in Join for the end of a redemption.
	waits      context.Context //nolint:containedctx // as base
	endWaits   context.CancelFunc
	endSweep   context.CancelFunc
	wake       chan struct{}
	work       sync.WaitGroup
	inHand     map[uuid.UUID]*run
	sweepEnded chan struct{}
}
