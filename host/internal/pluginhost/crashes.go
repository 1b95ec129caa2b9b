package pluginhost

import (
	"slices"
	"time"
)

// crashes is what is remembered of a plugin's crashes.
type crashes struct {
	inRow int         // since it was last healthy for long enough
	times []time.Time // within the policy's window
	last  *Crash
}

// add counts a crash of a process that had lived for some time.
func (c *crashes) add(p Policy, lived time.Duration, crash *Crash, now time.Time) {
	if lived >= p.HealthyAfter {
		c.inRow = 0
	}
	c.inRow++
	c.times = append(c.times, now)
	c.last = crash
	c.forget(p, now)
}

func (c *crashes) forget(p Policy, now time.Time) {
	c.times = slices.DeleteFunc(c.times, func(t time.Time) bool { return now.Sub(t) > p.CrashWindow })
}

// looping says whether there were too many of them lately.
func (c *crashes) looping(p Policy, now time.Time) bool {
	n := 0
	for _, t := range c.times {
		if now.Sub(t) <= p.CrashWindow {
			n++
		}
	}
	return n >= p.CrashLoop
}

// reset forgets all but the last record: an admin said to try again.
func (c *crashes) reset() { c.inRow, c.times = 0, nil }
