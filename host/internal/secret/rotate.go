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

// Rotate seals every value again that is not under the current key, and gives how
// many it replaced. It can be stopped and begun again, and leaves alone what somebody
// changes meanwhile: that is under the current key already. One that opens under
// neither key ends it, with its name and ErrWrongKey.
func (b *Box) Rotate(ctx context.Context, values []Value) (replaced int, err error) {
	for _, v := range values {
		if b.Current(v.Sealed) {
			continue
		}
		plaintext, err := b.Open(v.Context, v.Sealed)
		if err != nil {
			return replaced, fmt.Errorf("%s: %w", v.Name, err)
		}
		sealed, err := b.Seal(v.Context, plaintext)
		if err != nil {
			return replaced, fmt.Errorf("%s: %w", v.Name, err)
		}
		ok, err := v.Replace(ctx, sealed)
		if err != nil {
			return replaced, fmt.Errorf("%s: %w", v.Name, err)
		}
		if ok {
			replaced++
		}
	}
	return replaced, nil
}
