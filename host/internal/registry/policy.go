package registry

import "time"

// CallPolicy holds the times and limits that a call keeps to; suspicion and
// limitKeep are fixed.
type CallPolicy struct {
	// ReadyWait is how long a call waits in all for a plugin that is starting or
	// coming back.
	ReadyWait time.Duration
	// Test, Read, List and Write are the deadlines of the verbs, from the moment
	// a call is sent. ListIdle ends a list of which no user came for so long.
	Test, Read, List, ListIdle, Write time.Duration
	// QueueWait is how long a call waits for its turn at one server.
	QueueWait time.Duration
	// MaxConcurrent is how many calls one server takes at once when its type
	// declares nothing.
	MaxConcurrent int
	// Retries is how often a call that may be repeated is sent again after the
	// process under it died.
	Retries int
}

// DefaultCallPolicy gives what the product uses.
func DefaultCallPolicy() CallPolicy {
	return CallPolicy{
		ReadyWait: 2 * time.Second,
		Test:      10 * time.Second, Read: 15 * time.Second, List: 120 * time.Second, ListIdle: 10 * time.Second, Write: 60 * time.Second,
		QueueWait: 60 * time.Second, MaxConcurrent: 4, Retries: 1,
	}
}
