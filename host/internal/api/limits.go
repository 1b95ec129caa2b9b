package api

import (
	"math"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/go-chi/httprate"

	"github.com/zondarr/zondarr/host/internal/fault"
)

// Limits bound what strangers may try on /join, in requests per minute; 0 means
// no limit.
type Limits struct {
	// UnknownPerClient and UnknownTotal count look-ups of codes that do not
	// exist, so that codes cannot be guessed.
	UnknownPerClient int
	UnknownTotal     int
	// RedeemPerClient and RedeemPerCode count redemptions and links begun.
	RedeemPerClient int
	RedeemPerCode   int
}

// guard counts what strangers try. It lives in memory: each replica of the host
// counts on its own.
type guard struct{ unknownClient, unknownTotal, redeemClient, redeemCode limiter }

const (
	window   = time.Minute
	everyone = "everyone"
)

func newGuard(l Limits) *guard {
	return &guard{
		unknownClient: newLimiter(l.UnknownPerClient), unknownTotal: newLimiter(l.UnknownTotal),
		redeemClient: newLimiter(l.RedeemPerClient), redeemCode: newLimiter(l.RedeemPerCode),
	}
}

// lookUp refuses a client that tried too many unknown codes, whether the code it
// tries now exists or not: otherwise the refusal would tell.
func (g *guard) lookUp(client string) error {
	if g.unknownTotal.full(everyone) {
		return unknownCodes()
	}
	return g.poll(client)
}

// poll refuses such a client only: whoever asks how something goes that was begun
// names it by an id that cannot be guessed, and waits for nobody else's tries.
func (g *guard) poll(client string) error {
	if g.unknownClient.full(client) {
		return unknownCodes()
	}
	return nil
}

func unknownCodes() error {
	return tooMany("Too many unknown codes were tried. Wait a minute, then check the code and try again.")
}

// missed counts an unknown code.
func (g *guard) missed(client string) {
	g.unknownClient.take(client)
	g.unknownTotal.take(everyone)
}

// redeem counts a redemption, or refuses it.
func (g *guard) redeem(client, code string) error {
	if !g.redeemClient.take(client) || !g.redeemCode.take(code) {
		return tooMany("Too many tries in a short time. Nothing was created and the invitation is still good: wait a minute, then try again.")
	}
	return nil
}

// limiter allows n events a window and key; with n 0 it allows all.
type limiter struct {
	n       int
	counter *httprate.RateLimiter
}

func newLimiter(n int) limiter {
	if n <= 0 {
		return limiter{}
	}
	// Without headers: they would tell a guesser how many tries are left.
	return limiter{n: n, counter: httprate.NewRateLimiter(n, window, httprate.WithResponseHeaders(httprate.ResponseHeaders{}))}
}

// full says whether one more event would be too many, and counts none.
func (l limiter) full(key string) bool {
	if l.n == 0 {
		return false
	}
	_, rate, err := l.counter.Status(key)
	return err == nil && int(math.Round(rate))+1 > l.n // the counter in memory never fails
}

// take counts an event if it is not too many, and says whether it was counted.
func (l limiter) take(key string) bool {
	return l.n == 0 || !l.counter.OnLimit(nil, &http.Request{}, key) // it writes only headers, and none are named
}

func tooMany(message string) error {
	f := fault.New(fault.RateLimited, fault.CodeRateLimited, "%s", message)
	f.Retryable, f.RetryAfter = true, window
	return f
}

// codeKey is what a code is counted under: however it was typed, it is one.
func codeKey(code string) string {
	return strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(strings.TrimSpace(code)))
}

// clientKey is what a client is counted under: its address, and for IPv6 its
// network of 64 bits, of which one client has all addresses.
func clientKey(addr netip.Addr) string {
	addr = addr.Unmap()
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.String()
		}
	}
	return addr.String()
}
