package pluginhost

import (
	"math/rand/v2"
	"time"

	"github.com/zondarr/zondarr/host/internal/registry"
)

// Policy holds the times and limits of the plugin host, so that a test can set
// them. DefaultPolicy gives what the product uses; a zero Policy does not work.
//
// A few are fixed on purpose, since no setting would serve anybody: how long the
// database may take (recordTimeout), how often the first look at a directory is
// repeated within twice Settle (patientScan), how long the secret of a single call
// is taken out of the log (scrubFor), and in the registry how long a process is
// mistrusted whose connection broke (suspicion) and a server's limits are
// remembered without a call (limitKeep).
type Policy struct {
	// Calls are the times and limits of calls to plugins.
	Calls registry.CallPolicy

	// ScanEvery is how often the plugin directories are looked at, and
	// RecordsEvery how often the approvals in the database are, which another
	// replica may have changed.
	ScanEvery    time.Duration
	RecordsEvery time.Duration
	// Settle is how long a file must not have changed before it is read.
	Settle time.Duration
	// MaxFile is how large a plugin's file may be, in bytes; a larger one is
	// refused unread.
	MaxFile int64

	// StartTimeout is how long a process may take from exec to its description,
	// and DescribeTimeout how long Describe alone may take.
	StartTimeout    time.Duration
	DescribeTimeout time.Duration
	// StartWait bounds Host.Start, ActionWait how long an admin's action waits
	// to see its effect.
	StartWait  time.Duration
	ActionWait time.Duration

	// HealthEvery is the time between two health checks, HealthTimeout the
	// deadline of one; a process that fails HealthFailures in a row is killed.
	HealthEvery    time.Duration
	HealthTimeout  time.Duration
	HealthFailures int

	// BackoffMin doubles with each crash up to BackoffMax; up to the fraction
	// BackoffJitter is taken off at random. HealthyAfter is how long a process
	// must live for the count to start again.
	BackoffMin    time.Duration
	BackoffMax    time.Duration
	BackoffJitter float64
	HealthyAfter  time.Duration
	// CrashLoop crashes within CrashWindow are shown as crash-looping.
	CrashLoop   int
	CrashWindow time.Duration

	// DrainTimeout is how long calls in flight may take once their process is
	// to go, StopGrace how long the process may take to end when asked, at most
	// 2 s, after which go-plugin kills it in any case, and PipeGrace how long its
	// output is read after it ended, if somebody else still holds the pipes.
	DrainTimeout time.Duration
	StopGrace    time.Duration
	PipeGrace    time.Duration

	// OutputTail is how much of the last output a crash record keeps, in bytes,
	// and OutputLine how much of one line is logged.
	OutputTail int
	OutputLine int
	// OutputRate bounds how fast a plugin's output is read, in bytes a second:
	// one that floods is slowed down, not the host.
	OutputRate int
	// LogRate and LogBurst bound how many of its lines are logged a second.
	LogRate  float64
	LogBurst int

	// Rlimits are set on each process.
	Rlimits Rlimits
}

// Rlimits are the resource limits of a plugin process. Core dumps are always
// off, since they would hold secrets; the address space is never limited, since
// the Go runtime reserves far more than it uses.
type Rlimits struct {
	// OpenFiles is the number of descriptors; 0 leaves what the host has.
	OpenFiles uint64
	// Data is the size of the data segment in bytes, which on Linux counts
	// every private writable page that is mapped; 0 leaves what the host has.
	Data uint64
}

// maxStopGrace is how long go-plugin waits for a process that it asked to end.
const maxStopGrace = 2 * time.Second

// DefaultPolicy gives what the product uses.
func DefaultPolicy() Policy {
	return Policy{
		Calls:     registry.DefaultCallPolicy(),
		ScanEvery: time.Second, RecordsEvery: 10 * time.Second, Settle: time.Second, MaxFile: 1 << 30,
		StartTimeout: 10 * time.Second, DescribeTimeout: 5 * time.Second, StartWait: 15 * time.Second, ActionWait: 15 * time.Second,
		HealthEvery: 15 * time.Second, HealthTimeout: 2 * time.Second, HealthFailures: 3,
		BackoffMin: 250 * time.Millisecond, BackoffMax: 30 * time.Second, BackoffJitter: 0.25, HealthyAfter: time.Minute,
		CrashLoop: 5, CrashWindow: 10 * time.Minute,
		DrainTimeout: 30 * time.Second, StopGrace: maxStopGrace, PipeGrace: 250 * time.Millisecond,
		OutputTail: 64 << 10, OutputLine: 8 << 10, OutputRate: 8 << 20, LogRate: 50, LogBurst: 500,
		Rlimits: Rlimits{OpenFiles: 1024, Data: 1 << 30},
	}
}

// backoff gives the wait before the next start after a number of crashes in a
// row, at least 1: BackoffMin doubled with each, at most BackoffMax, less the
// jitter.
func (p Policy) backoff(crashes int) time.Duration {
	wait := p.BackoffMin
	for range crashes - 1 {
		if wait *= 2; wait >= p.BackoffMax {
			break
		}
	}
	wait = min(wait, p.BackoffMax)
	//nolint:gosec // jitter needs no secret randomness
	return wait - time.Duration(p.BackoffJitter*rand.Float64()*float64(wait))
}
