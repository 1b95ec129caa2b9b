package jellyfin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// undoTime is what taking an account back may take when the call was cancelled,
// and the least that it gets when the call's time is up.
const (
	undoTime    = 10 * time.Second
	undoAtLeast = 900 * time.Millisecond
)

// refusal says whether the failure of a creation leaves no doubt that no account
// was made: the request was never sent, or it was turned away before any work.
// An exception (500) may come after the account was stored; a page or a broken
// connection says nothing at all.
func (cr *creation) refusal(err error) bool {
	if errors.Is(err, errNotSent) {
		return true
	}
	r, ok := errors.AsType[*refusal](err)
	switch {
	case !ok:
		return false
	case r.status/100 == 3 || r.status/100 == 4 && r.status != http.StatusRequestTimeout:
		return true
	case r.status == http.StatusServiceUnavailable:
		return sdk.ReasonOf(err) == sdk.ReasonStarting || r.shape == bare
	default:
		return false
	}
}

// whyRefused tells a taken name from a bad one. The server's refusal is the same
// for both, so a list decides.
func (cr *creation) whyRefused(ctx context.Context, err error) error {
	if !refusedWith(err, http.StatusBadRequest) {
		return err
	}
	_, looked := cr.lookUp(ctx, cr.name, cr.now())
	switch {
	case looked == nil:
		return nameTaken()
	case sdk.ReasonOf(looked) == sdk.ReasonNotFound:
		e := sdk.Errorf(sdk.ReasonUsernameInvalid, "Jellyfin refuses this username, and nobody has it")
		e.Fields = []sdk.FieldProblem{{Field: "username", Code: "rejected", Message: "Choose another username."}}
		return e
	default: // the form was checked before, so that being taken is what is left
		cr.log.WarnContext(ctx, "Jellyfin refused a username, and its users could not be listed to see why", "error", looked)
		return nameTaken()
	}
}

// resolve finds out what became of a creation whose answer is no answer. It
// deletes the account only if that is provably the one that it made, since the
// name may have been somebody's all along; when in doubt it says so, and the host
// looks again later.
func (cr *creation) resolve(ctx context.Context, cause error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return cr.ambiguous(cause, nil)
	}
	over := threw(cause) // the server is done with it; nothing comes late
	looks := []time.Duration{0, cr.waits.late}
	if over {
		looks = []time.Duration{cr.waits.settle, cr.waits.late}
	}
	signedIn := false // perhaps: the answer to our own sign-in was lost
	for _, wait := range looks {
		if !pause(ctx, wait) {
			break
		}
		found, err := cr.lookUp(ctx, cr.name, cr.now())
		switch {
		case sdk.ReasonOf(err) == sdk.ReasonNotFound && over:
			return sdk.AsUndone(cause) // it is not there, and will not be
		case sdk.ReasonOf(err) == sdk.ReasonNotFound:
			continue
		case err != nil:
			return cr.ambiguous(cause, err)
		case signedIn && !asNew(found[0]):
			return cr.ambiguous(cause, nil)
		case signedIn: // that it was used may be by ourselves
		case over && len(found) > 1:
			return nameTaken() // a lost race: 10.8 and 10.9 show its loser until they restart
		case inUse(found[0]):
			return nameTaken() // names are unique, so that the creation has failed
		}
		mine, err := cr.made(ctx, found[0], over)
		switch {
		case mine:
			if undone := cr.undo(ctx, found[0].id); undone != nil {
				return cr.leftBehind(cause, undone)
			}
			return sdk.AsUndone(cause)
		case err != nil:
			cr.log.WarnContext(ctx, "it could not be seen whose account this is", "user", found[0].id.String(), "error", err)
			signedIn = signedIn || !errors.Is(err, errNotSent)
		case over:
			return cr.ambiguous(cause, nil)
		}
	}
	return cr.ambiguous(cause, nil)
}

// asNew says that nobody has set the account up since it was made. Such an account
// is never locked by a wrong password, and Jellyfin itself keeps its password.
func asNew(r record) bool {
	p := &r.Policy
	lockout, told := r.raw["LoginAttemptsBeforeLockout"]
	return !p.IsAdministrator && !p.IsDisabled && p.EnableAllFolders != nil && *p.EnableAllFolders &&
		(!told || holds(lockout, int64(-1))) &&
		(p.AuthenticationProviderID == "" || p.AuthenticationProviderID == defaultProvider)
}

// inUse says that somebody has signed in to the account or has set it up: then it
// is not one that was made a moment ago.
func inUse(r record) bool { return !asNew(r) || !r.lastActive().IsZero() }

// made says whether an account that nobody uses comes from this creation, beyond
// doubt: less than a minute ago it was not there, and it opens with the password
// that was chosen. After an exception, one without a password counts too: the
// server writes it second, and whoever else was faster by a moment has theirs by
// now. Up to 11 the server tells; on 12 such an account opens to an empty one. An
// error says that no clear answer came.
func (cr *creation) made(ctx context.Context, r record, over bool) (bool, error) {
	if !cr.absent || r.Name != cr.name {
		return false, nil
	}
	tells := cr.server.version.tellsPassword()
	if over && tells && r.HasPassword != nil && !*r.HasPassword {
		return true, nil
	}
	id, ok, err := cr.signIn(ctx, cr.name, cr.password)
	if err == nil && !ok && over && !tells {
		id, ok, err = cr.signIn(ctx, cr.name, "")
	}
	return ok && id == r.id, err
}

// undo deletes the account, whatever became of the call: until then it may see
// everything. What cannot be deleted is at least disabled.
func (cr *creation) undo(ctx context.Context, id guid) error {
	left := max(time.Until(cr.until), undoAtLeast)
	if ctx.Err() != nil {
		left = min(left, undoTime)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), left)
	defer cancel()
	short, done := context.WithTimeout(ctx, left*3/4)
	defer done()
	err := cr.remove(short, id, cr.name, cr.server.version, true)
	if err == nil {
		return nil
	}
	if r, readErr := cr.user(ctx, id); readErr == nil {
		if writeErr := cr.writePolicy(ctx, r, overlay{"IsDisabled": true, "EnableAllFolders": false, "EnabledFolders": []string{}}); writeErr == nil {
			cr.log.WarnContext(ctx, "an account that could not be taken back was disabled", "user", id.String())
		}
	} else if sdk.ReasonOf(readErr) == sdk.ReasonNotFound {
		return nil
	}
	return err
}

// leftBehind is the failure of a creation whose account could not be taken back.
func (cr *creation) leftBehind(cause, undone error) error {
	e := sdk.Errorf(sdk.ReasonAmbiguous, "the account could not be set up, and then not be deleted: %v", undone)
	e.Err, e.UpstreamStatus = cause, statusOf(cause)
	return e
}

// ambiguous is the failure of a creation of which it is not known whether it
// left an account.
func (cr *creation) ambiguous(cause, looked error) error {
	e := sdk.Errorf(sdk.ReasonAmbiguous, "it is not known whether Jellyfin made the account: %v", cause)
	if looked != nil {
		e.Message += "; looking for it failed: " + looked.Error()
	}
	e.Err, e.UpstreamStatus = cause, statusOf(cause)
	return e
}

func statusOf(err error) int {
	if e, ok := errors.AsType[*sdk.Error](err); ok {
		return e.UpstreamStatus
	}
	return 0
}
