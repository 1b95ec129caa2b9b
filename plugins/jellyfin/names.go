package jellyfin

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

const (
	// namesTTL is how long a list tells who is there.
	namesTTL = time.Minute
	// changesTTL is how long own changes are kept for lists that are under way:
	// longer than any list may take.
	changesTTL = 5 * time.Minute
)

// nameIndex knows who was there when the last full list began, and what this
// client changed since. It keeps a hash per folded name, so that a hundred
// thousand users cost a few megabytes; whoever uses an id reads the user, which
// settles a collision.
type nameIndex struct {
	listing gate // one lists, the others use what it found

	mu      sync.Mutex
	seed    maphash.Seed
	list    *names
	changes []nameChange
}

// names is one full list.
type names struct {
	at   time.Time // when it began: what came later may be missing
	seed maphash.Seed
	ids  map[uint64]guid
	more map[uint64][]guid // further users of the same folded name
}

// nameChange is a creation or a deletion of this client's.
type nameChange struct {
	at   time.Time
	hash uint64
	id   guid
	gone bool
}

// begin makes an empty list, to be filled and installed.
func (x *nameIndex) begin(now time.Time) *names {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.seed == (maphash.Seed{}) {
		x.seed = maphash.MakeSeed()
	}
	return &names{at: now, seed: x.seed, ids: map[uint64]guid{}}
}

func (n *names) add(name string, id guid) { n.put(maphash.String(n.seed, fold(name)), id) }

func (n *names) put(hash uint64, id guid) {
	first, taken := n.ids[hash]
	switch {
	case !taken:
		n.ids[hash] = id
	case first != id && !slices.Contains(n.more[hash], id):
		if n.more == nil {
			n.more = map[uint64][]guid{}
		}
		n.more[hash] = append(n.more[hash], id)
	}
}

func (n *names) drop(hash uint64, id guid) {
	rest := slices.DeleteFunc(n.of(hash), func(have guid) bool { return have == id })
	delete(n.ids, hash)
	delete(n.more, hash)
	for _, have := range rest {
		n.put(hash, have)
	}
}

func (n *names) of(hash uint64) []guid {
	first, ok := n.ids[hash]
	if !ok {
		return nil
	}
	return append([]guid{first}, n.more[hash]...)
}

// install makes a complete list the one in use, with this client's changes since
// it began.
func (x *nameIndex) install(n *names) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.list != nil && x.list.at.After(n.at) {
		return
	}
	for _, ch := range x.changes {
		if !ch.at.Before(n.at) {
			n.apply(ch)
		}
	}
	x.list = n
}

func (n *names) apply(ch nameChange) {
	if ch.gone {
		n.drop(ch.hash, ch.id)
	} else {
		n.put(ch.hash, ch.id)
	}
}

// note keeps a creation or deletion of this client's.
func (x *nameIndex) note(now time.Time, name string, id guid, gone bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.seed == (maphash.Seed{}) {
		x.seed = maphash.MakeSeed()
	}
	x.changes = slices.DeleteFunc(x.changes, func(ch nameChange) bool { return now.Sub(ch.at) > changesTTL })
	ch := nameChange{at: now, hash: maphash.String(x.seed, fold(name)), id: id, gone: gone}
	x.changes = append(x.changes, ch)
	if x.list != nil {
		x.list.apply(ch)
	}
}

// known gives who had the name when the last list began, and whether that was
// after since: an older list says nothing.
func (x *nameIndex) known(name string, since time.Time) (ids []guid, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.list == nil || x.list.at.Before(since) {
		return nil, false
	}
	return x.list.of(maphash.String(x.seed, fold(name))), true
}

// lookUp finds the users of a name, as the server folds it: the one spelt the same
// first. The list that it uses began after the given time; one is made when there
// is none, shared by whoever waits for it. Nobody of the name is ReasonNotFound.
func (c *client) lookUp(ctx context.Context, name string, since time.Time) ([]record, error) {
	ids, ok := c.names.known(name, since)
	if !ok {
		var err error
		if ids, err = c.listFor(ctx, name, since); err != nil {
			return nil, err
		}
	}
	return c.namesakes(ctx, name, ids)
}

func (c *client) listFor(ctx context.Context, name string, since time.Time) ([]guid, error) {
	if err := c.names.listing.enter(ctx); err != nil {
		return nil, err
	}
	defer c.names.listing.leave()
	if ids, ok := c.names.known(name, since); ok { // made while this call waited
		return ids, nil
	}
	if err := c.eachUser(ctx, func(*account) error { return nil }); err != nil {
		return nil, err
	}
	ids, _ := c.names.known(name, since)
	return ids, nil
}

// namesakes reads the users that may have the name, and gives those that do.
func (c *client) namesakes(ctx context.Context, name string, ids []guid) ([]record, error) {
	var found []record
	for _, id := range ids {
		r, err := c.user(ctx, id)
		switch {
		case sdk.ReasonOf(err) == sdk.ReasonNotFound:
		case err != nil:
			return nil, err
		case r.Name == name:
			found = slices.Insert(found, 0, r)
		case fold(r.Name) == fold(name):
			found = append(found, r)
		}
	}
	if len(found) == 0 {
		return nil, noSuchUser()
	}
	return found, nil
}

// FindUser looks a user up by name, in a list as young as the request asks.
func (c *client) FindUser(ctx context.Context, req sdk.FindUserRequest) (sdk.FindUserResponse, error) {
	if req.Username == "" {
		return sdk.FindUserResponse{}, invalid("username", "Jellyfin's users are found by name.")
	}
	var u sdk.User
	began := c.now()
	err := c.reading(ctx, func() error {
		found, err := c.lookUp(ctx, req.Username, began.Add(-min(max(req.MaxAge, 0), namesTTL)))
		if err == nil {
			u = found[0].toSDK()
		}
		return err
	})
	if e, ok := errors.AsType[*sdk.Error](err); ok && e.Kind() == sdk.ReasonNotFound {
		_, fresh := c.names.known(req.Username, began)
		e.Stale = !fresh
	}
	return sdk.FindUserResponse{User: u}, err
}
