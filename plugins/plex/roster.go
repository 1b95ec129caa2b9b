package plex

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/zondarr/zondarr/sdk"
)

// roster is everybody who has to do with one server, read at one time.
type roster struct {
	machine string
	owner   account
	// shares of this server, pending and accepted.
	shares []share
	// elsewhere are the shares of the owner's other servers. They are never
	// written to, but their people's permissions are the same set.
	elsewhere []share
	// narrow says that the list which tells about them is gone.
	narrow bool
	// leftovers are rows of withdrawn invites that only the older list has. They
	// give nobody access, but stand in the way of a new invite. See sortOut.
	leftovers []share
	members   []member
}

// roster reads the lists. The newer list of pending shares is read before that
// of accepted ones, so that somebody who accepts meanwhile is in one of them at
// least; and the older list is read too, since a list that plex.tv cuts short
// must not make people disappear.
func (c *client) roster(ctx context.Context, machine string, owner account) (roster, error) {
	r := roster{machine: machine, owner: owner}
	pending, errPending := c.sharesV2(ctx, "/api/v2/shared_servers/owned/pending")
	if errPending != nil && !goneOrAbsent(errPending) {
		return r, errPending
	}
	accepted, errAccepted := c.sharesV2(ctx, "/api/v2/shared_servers/owned/accepted")
	if errAccepted != nil && !goneOrAbsent(errAccepted) {
		return r, errAccepted
	}
	older, errOlder := c.sharesV1(ctx, machine)
	if errOlder != nil && !goneOrAbsent(errOlder) {
		return r, errOlder
	}
	newer := errPending == nil && errAccepted == nil
	switch {
	case !newer && errOlder != nil:
		return r, firstGone(errPending, errAccepted, errOlder)
	case !newer:
		c.log.WarnContext(ctx, "plex.tv no longer offers the newer lists of shares; the older one is used")
	}
	r.narrow = errAccepted != nil
	r.collect(pending, accepted, older, newer)
	if err := c.sortOut(ctx, &r); err != nil {
		return r, err
	}

	members, err := c.members(ctx, owner)
	if err != nil {
		return r, err
	}
	r.members = members
	for i, sh := range r.shares {
		if m, ok := r.member(sh.Who.id); ok {
			r.shares[i].Home, r.shares[i].Managed = true, bool(m.Restricted)
			r.shares[i].Title = cmp.Or(sh.Title, m.title())
		}
	}
	return r, nil
}

// collect puts the lists together. A share in two of them is one share.
func (r *roster) collect(pending, accepted, older []share, newer bool) {
	byID := map[string]int{}
	add := func(sh share) {
		list := &r.shares
		if sh.Machine != r.machine {
			list = &r.elsewhere
		}
		if i, seen := byID[sh.ID]; seen {
			(*list)[i] = sh
			return
		}
		byID[sh.ID] = len(*list)
		*list = append(*list, sh)
	}
	for _, sh := range pending {
		sh.Accepted = false
		add(sh)
	}
	for _, sh := range accepted {
		sh.Accepted = true
		add(sh)
	}
	for _, sh := range older {
		if _, seen := byID[sh.ID]; seen {
			continue
		}
		if newer && !sh.Accepted {
			r.leftovers = append(r.leftovers, sh)
			continue
		}
		add(sh)
	}
}

// widened adds, where the lists tell about one server only, who uses another one of
// the owner. Without knowing that, nothing may be written that holds there too.
func (c *client) widened(ctx context.Context, r roster) (roster, error) {
	if !r.narrow {
		return r, nil
	}
	rows, err := c.connections(ctx)
	if err != nil {
		return r, err
	}
	for _, row := range rows {
		for _, s := range row.Servers {
			if s.Machine != r.machine {
				r.elsewhere = append(r.elsewhere, share{ID: s.ShareID, Machine: s.Machine, Who: invitee{id: row.ID}, Accepted: true})
			}
		}
	}
	r.narrow = false
	return r, nil
}

// firstGone gives the error that names a removed endpoint.
func firstGone(errs ...error) error {
	for _, err := range errs {
		if gone(err) {
			return err
		}
	}
	return errs[len(errs)-1]
}

func (c *client) sharesV2(ctx context.Context, path string) ([]share, error) {
	out, err := c.wire.send(ctx, request{method: http.MethodGet, at: atClients, path: path, as: c.owner, always: true})
	if err != nil {
		return nil, err
	}
	return decodeShares(out)
}

func (c *client) sharesV1(ctx context.Context, machine string) ([]share, error) {
	out, err := c.wire.send(ctx, request{
		method: http.MethodGet, at: atCloud, path: "/api/servers/{}/shared_servers", args: []string{machine}, as: c.owner,
	})
	if err != nil {
		return nil, err
	}
	return decodeSharesV1(out, machine)
}

// share finds the share of a person by external id; an accepted one first.
func (r roster) share(id string) (share, bool) {
	return pick(r.shares, func(sh share) bool { return sh.is(id) })
}

// registered refuses the e-mail address of somebody who was invited by it and has
// made an account since. The share is known by the account's id from then on, so
// an address that has none is no proof that the person has no access.
func (r roster) registered(id string) error {
	if _, ok := r.share(id); ok || !emailLike(id) {
		return nil
	}
	if _, ok := pick(r.shares, func(sh share) bool { return strings.EqualFold(sh.Email, id) }); ok {
		return sdk.Errorf(sdk.ReasonInvalid,
			"the invited person has a Plex account now and is known by its account id instead of the e-mail address; sync the users and use the new entry")
	}
	return nil
}

// named finds the share of a person by username or e-mail, as Plex folds them.
func (r roster) named(name string) (share, bool) {
	return pick(r.shares, func(sh share) bool {
		return sh.Username != "" && strings.EqualFold(sh.Username, name) || sh.Email != "" && strings.EqualFold(sh.Email, name) ||
			sh.Managed && strings.EqualFold(sh.Title, name)
	})
}

func pick(list []share, want func(share) bool) (share, bool) {
	found, ok := share{}, false
	for _, sh := range list {
		if want(sh) && (!ok || sh.Accepted && !found.Accepted) {
			found, ok = sh, true
		}
	}
	return found, ok
}

func (r roster) member(id string) (member, bool) {
	i := slices.IndexFunc(r.members, func(m member) bool { return string(m.ID) == id })
	if i < 0 {
		return member{}, false
	}
	return r.members[i], true
}

// otherServer finds a share of another server of the owner with the same person.
func (r roster) otherServer(who invitee) (share, bool) {
	return pick(r.elsewhere, func(sh share) bool { return sh.is(who.key()) })
}

// isOwner says whether an external id is that of the server's owner, or an invited
// address the owner's own.
func (r roster) isOwner(id string) bool {
	return id == string(r.owner.ID) || emailLike(id) && strings.EqualFold(id, r.owner.Email)
}

// about reads what most calls need: the server, its owner, everybody on it.
func (c *client) about(ctx context.Context) (roster, error) {
	machine, err := c.meet(ctx)
	if err != nil {
		return roster{}, err
	}
	owner, err := c.account(ctx, c.owner)
	if err != nil {
		return roster{}, err
	}
	return c.roster(ctx, machine, owner)
}

// begin starts a call that changes what a person has: it waits for the person's
// turn, which over ends, reads everybody, and refuses the owner, and an id that is
// no longer the person's.
func (c *client) begin(ctx context.Context, id string) (r roster, over func(), err error) {
	over, err = c.turns.take(ctx, id)
	if err != nil {
		return roster{}, nil, err
	}
	if r, err = c.about(ctx); err == nil && r.isOwner(id) {
		err = ownerProtected()
	} else if err == nil {
		err = r.registered(id)
	}
	if err != nil {
		over()
		return roster{}, nil, err
	}
	return r, over, nil
}

// again reads the lists once more.
func (c *client) again(ctx context.Context, r roster) (roster, error) {
	return c.roster(ctx, r.machine, r.owner)
}

func noUser() error {
	return sdk.Errorf(sdk.ReasonNotFound, "this Plex server is shared with nobody of this id")
}

func ownerProtected() error {
	return sdk.Errorf(sdk.ReasonProtected, "this is the account that owns the Plex server; it already has everything and is never changed")
}
