package plextest

import (
	"encoding/hex"
	"math/rand/v2"
)

const tokenAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

// random hands out ids and tokens that look like Plex's and never repeat
// within one Fake. It is deterministic: nothing here protects anything.
type random struct {
	rng  *rand.Rand
	ids  map[int64]bool
	text map[string]bool
}

func newRandom(seed uint64) *random {
	return &random{rng: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)), ids: map[int64]bool{}, text: map[string]bool{}}
}

// id gives an unused number with the given count of digits.
func (r *random) id(digits int) int64 {
	low := int64(1)
	for range digits - 1 {
		low *= 10
	}
	for {
		n := low + r.rng.Int64N(low*9)
		if !r.ids[n] {
			r.ids[n] = true
			return n
		}
	}
}

func (r *random) word(n int, alphabet string) string {
	for {
		b := make([]byte, n)
		for i := range b {
			b[i] = alphabet[r.rng.IntN(len(alphabet))]
		}
		if s := string(b); !r.text[s] {
			r.text[s] = true
			return s
		}
	}
}

func (r *random) token() string { return r.word(20, tokenAlphabet) }

// hex gives n hexadecimal digits.
func (r *random) hex(n int) string {
	b := make([]byte, n/2)
	for i := range b {
		b[i] = byte(r.rng.UintN(256))
	}
	return hex.EncodeToString(b)
}

// guid gives a value in the shape of a UUID.
func (r *random) guid() string {
	h := r.hex(32)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
