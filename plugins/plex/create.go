package plex

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// takeBackLimit bounds the undoing of a share, which goes on when the call's own
// time is over.
const takeBackLimit = 30 * time.Second

// acceptByHand tells an invitee what is left to do.
const acceptByHand = "Plex has sent you an invitation. Accept it in the mail, or in Plex under Settings → Manage Library Access."

// CreateUser shares the server with the linked account, accepts for it, and reads
// back that it has exactly the grant. Whatever can be known to fail is refused
// before anything is written; what differs afterwards is taken back.
func (c *client) CreateUser(ctx context.Context, req sdk.CreateUserRequest) (sdk.CreateUserResponse, error) {
	libraries, err := selectionOf(req.Grant.Libraries)
	if err != nil {
		return sdk.CreateUserResponse{}, err
	}
	asked, err := wishesOf(req.Grant.Permissions, req.Grant.Limits, req.Grant.Options)
	if err != nil {
		return sdk.CreateUserResponse{}, err
	}
	guest, err := c.guestOf(req)
	if err != nil {
		return sdk.CreateUserResponse{}, err
	}
	over, err := c.turns.take(ctx, req.Link.ID)
	if err != nil {
		return sdk.CreateUserResponse{}, sdk.AsUndone(err)
	}
	defer over()
	r, who, set, err := c.prepare(ctx, guest, req.Link.ID, libraries, asked)
	if err != nil {
		return sdk.CreateUserResponse{}, sdk.AsUndone(err) // nothing was asked of Plex but reads
	}
	sh, err := c.invite(ctx, r, who, libraries, set.to)
	if sdk.ReasonOf(err) == sdk.ReasonAmbiguous {
		return sdk.CreateUserResponse{}, err
	} else if err != nil {
		return sdk.CreateUserResponse{}, sdk.AsUndone(err) // refused, or never sent
	}
	sh, err = c.settle(ctx, r, sh, guest, libraries, set.to)
	if err != nil {
		return sdk.CreateUserResponse{}, c.undo(ctx, r, who, set, err)
	}
	u, err := sh.userWithState()
	out := sdk.CreateUserResponse{User: u}
	if !sh.Accepted {
		out.Message = acceptByHand
	}
	return out, err
}

// prepare refuses all that can be known to fail before anything is written, and
// gives what is needed to share.
func (c *client) prepare(ctx context.Context, guest principal, id string, libraries selection, asked wishes) (roster, invitee, change, error) {
	r, who, err := c.admit(ctx, guest, id, asked)
	if err != nil {
		return roster{}, invitee{}, change{}, err
	}
	asked = asked.orDefaults()
	if _, home := r.member(who.id); asked.liveTV == sdk.Allow && !home {
		return roster{}, invitee{}, change{}, needsHome()
	}
	if err := c.exist(ctx, r, libraries); err != nil {
		return roster{}, invitee{}, change{}, err
	}
	set, err := c.settingsFor(ctx, r, who, nil, asked)
	return r, who, set, err
}

// guestOf takes the invitee's sign-in out of a request.
func (c *client) guestOf(req sdk.CreateUserRequest) (principal, error) {
	if req.Link == nil || req.Link.Realm != realm || !digits(req.Link.ID) {
		return principal{}, invalid("link", sdk.ProblemRequired, "a Plex account must be linked: Plex has no accounts with a password of this server")
	}
	link, err := readLink(req.Link.State)
	if err != nil {
		return principal{}, err
	}
	if link.Token == "" {
		return principal{}, linkExpired()
	}
	return link.principal(), nil
}

// admit makes sure that the account may be given access: that the sign-in is
// really its own, that it can accept, that it is not the owner's, and that it
// has no access yet.
func (c *client) admit(ctx context.Context, guest principal, id string, asked wishes) (roster, invitee, error) {
	machine, err := c.meet(ctx)
	if err != nil {
		return roster{}, invitee{}, err
	}
	owner, err := c.account(ctx, c.owner)
	if err != nil {
		return roster{}, invitee{}, err
	}
	if id == string(owner.ID) {
		return roster{}, invitee{}, ownerProtected()
	}
	person, err := c.account(ctx, guest)
	if err != nil {
		return roster{}, invitee{}, err
	}
	switch {
	case string(person.ID) != id:
		return roster{}, invitee{}, sdk.Errorf(sdk.ReasonLinkExpired, "the sign-in at Plex belongs to another account; sign in again")
	case person.Confirmed != nil && !bool(*person.Confirmed):
		return roster{}, invitee{}, notReady()
	case bool(person.Restricted):
		return roster{}, invitee{}, sdk.Errorf(sdk.ReasonAccountNotReady, "a managed Plex user cannot accept a server; sign in with a full Plex account")
	case asked.download == sdk.Allow && !owner.passHolder():
		return roster{}, invitee{}, needsPass()
	}
	r, err := c.roster(ctx, machine, owner)
	if err != nil {
		return roster{}, invitee{}, err
	}
	return r, invitee{id: id}, r.free(person)
}

// free refuses an account that has a share already, accepted or pending, as a
// friend or in the owner's Home, by id or by an address that was invited before
// it had an account.
func (r roster) free(person account) error {
	if sh, ok := r.share(string(person.ID)); ok {
		if sh.Accepted {
			return alreadyMember("this Plex server is shared with the account already")
		}
		return alreadyMember("this Plex server was offered to the account already; the invitation waits to be accepted in Plex")
	}
	if _, ok := pick(r.shares, func(sh share) bool {
		return sh.Who.id == "" && (strings.EqualFold(sh.Who.email, person.Email) || strings.EqualFold(sh.Who.email, person.Username))
	}); ok {
		return alreadyMember("this Plex server was offered to the account's e-mail address already; the invitation waits to be accepted in Plex")
	}
	return nil
}

// exist makes sure that plex.tv knows every library that is asked for.
func (c *client) exist(ctx context.Context, r roster, libraries selection) error {
	if libraries.all {
		return nil
	}
	known := func(list []section) bool {
		return !slices.ContainsFunc(libraries.ids, func(id string) bool {
			return !slices.ContainsFunc(list, func(s section) bool { return string(s.ID) == id })
		})
	}
	list, err := c.sections(ctx, r.machine, known)
	if err != nil {
		return err
	}
	if !known(list) {
		return noLibrary()
	}
	return nil
}

// change is a set of sharing settings to write, and the one to put back when what
// it was written for fails.
type change struct{ to, from sharing }

// settingsFor gives the full set of sharing settings to write for a person who
// has no share of this server. Filters and flags that Plex keeps are kept, as they
// are now: what the owner changed while somebody was suspended counts more than
// what was saved before. Saved ones come back if Plex has none, or an empty set,
// which is how it looks when it forgot them. Since the set also holds on the
// owner's other servers, it is not changed for somebody who uses one.
func (c *client) settingsFor(ctx context.Context, r roster, who invitee, saved *sharing, asked wishes) (change, error) {
	r, err := c.widened(ctx, r)
	if err != nil {
		return change{}, err
	}
	live := sharing{}
	other, elsewhere := r.otherServer(who)
	if elsewhere && other.Set != nil {
		live = *other.Set
	} else if who.id != "" {
		live, _, err = c.readSharing(ctx, who.id)
	}
	if err != nil {
		return change{}, err
	}
	base := live
	if saved != nil && !elsewhere && live.empty() {
		base = *saved
	}
	if _, home := r.member(who.id); elsewhere && !home {
		asked = asked.withoutHome()
	}
	want := asked.apply(base)
	if held := want.against(base); elsewhere && held != "" {
		return change{}, sdk.Errorf(sdk.ReasonAccessNotApplied,
			"the person uses another server of the owner and %s there; Plex keeps one setting for both. Ask for the same here, or change it in Plex first. Nothing was changed", held)
	}
	return change{to: want, from: live}, nil
}

// settle brings a new share to its end: accepted if that can be done, with the
// libraries and settings that were asked for, as read back.
func (c *client) settle(ctx context.Context, r roster, sh share, guest principal, libraries selection, set sharing) (share, error) {
	if !libraries.matches(sh) {
		return sh, notApplied("the libraries")
	}
	accepted := false
	if !sh.Accepted && guest.token != "" {
		var err error
		if accepted, err = c.acceptFor(ctx, guest, r.owner, sh); err != nil {
			return sh, err
		}
	}
	last := len(looks()) - 1
	for n, wait := range looks() {
		if !c.wire.pause(ctx, wait) {
			break
		}
		now, err := c.await(ctx, r, sh.Who)
		if err != nil {
			return sh, err
		}
		sh = now
		wrong := c.wrong(sh, libraries, set)
		switch {
		case len(wrong) == 0 && (sh.Accepted || !accepted || n == last):
			return sh, nil
		case len(wrong) == 0: // accepted, but not shown as such yet
		case n == last:
			return sh, notApplied(strings.Join(wrong, ", "))
		case n == 0:
			// The call that shares does not always take the settings.
			if err := c.writeSharing(ctx, sh.Who, set); err != nil && !declined(err) {
				return sh, err
			}
		}
	}
	return sh, outOfTime()
}

// wrong names what a share has that was not asked for.
func (c *client) wrong(sh share, libraries selection, set sharing) []string {
	var out []string
	if !libraries.matches(sh) {
		out = append(out, "the libraries")
	}
	if sh.Set != nil {
		return append(out, set.differences(*sh.Set)...)
	}
	if sh.Download != set.AllowSync {
		out = append(out, "downloads")
	}
	if sh.Tuners != set.AllowTuners {
		out = append(out, "live TV")
	}
	return out
}

func notApplied(what string) error {
	return sdk.Errorf(sdk.ReasonAccessNotApplied, "plex.tv shared the server, but not as it was asked: %s differ", what)
}

// undo takes a new share back, with the settings that were written for it, and
// gives the error that led here; when that does not work either, somebody must look.
func (c *client) undo(ctx context.Context, r roster, who invitee, set change, cause error) error {
	ctx, cancel := detached(ctx, takeBackLimit)
	defer cancel()
	if err := c.takeBack(ctx, r, who); err != nil {
		out := sdk.Errorf(sdk.ReasonAmbiguous, "the server was shared, that did not end well, and the share could not be taken back; it must be looked up")
		out.Source, out.Err = sdk.SourceUpstream, errors.Join(cause, err)
		return out
	}
	if len(set.to.differences(set.from)) == 0 {
		return sdk.AsUndone(cause)
	}
	// Plex knows no settings for people whom nothing connects with the owner.
	if err := c.writeSharing(ctx, who, set.from); err != nil && !absent(err) {
		out := sdk.Errorf(sdk.ReasonOf(cause), "%v. The share was taken back, but what the person is allowed could not be put back; look at the person in Plex", cause)
		out.Source, out.Err = sdk.SourceUpstream, errors.Join(cause, err)
		return out
	}
	return sdk.AsUndone(cause)
}
