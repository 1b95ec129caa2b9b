package secret

import (
	"context"
	"fmt"
)

// Value is one sealed value and the place where it is stored.
type Value struct {
	Name    string // for an error: "the secrets of server <id>"
	Context string // as it was sealed
	Sealed  []byte
	// Replace stores another in its place, unless somebody changed it meanwhile, and says
	// whether it did.
	Replace func(ctx context.Context, sealed []byte) (bool, error)
}

// Rotate seals every value again that is not under the current key, and gives how many
// it found so and how many it replaced. One that opens under neither key ends it, with
// its name and ErrWrongKey.
//
// It leaves alone what somebody changes meanwhile, and cannot know under which key that
// is now: the values are listed again, and again, until none is found. So it can be
// stopped and begun again at any point.
func (b *Box) Rotate(ctx context.Context, values []Value) (found, replaced int, err error) {
	for _, v := range values {
		if b.Current(v.Sealed) {
			continue
		}
		found++
		plaintext, err := b.Open(v.Context, v.Sealed)
		if err != nil {
			return found, replaced, fmt.Errorf("%s: %w", v.Name, err)
		}
		sealed, err := b.Seal(v.Context, plaintext)
		if err != nil {
			return found, replaced, fmt.Errorf("%s: %w", v.Name, err)
		}
		ok, err := v.Replace(ctx, sealed)
		if err != nil {
			return found, replaced, fmt.Errorf("%s: %w", v.Name, err)
		}
		if ok {
			replaced++
		}
	}
	return found, replaced, nil
}
