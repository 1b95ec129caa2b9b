package jellyfin

import (
	"context"
	"net/http"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// The time of a creation is shared out, so that enough is left to look at what
// went wrong and to undo it: of the whole, this much may have passed when the
// account must be there, and when it must have its access.
const (
	createTime  = time.Minute // when the caller sets none
	createShare = 0.55
	applyShare  = 0.8
)

// CreateUser makes an account and gives it its access: create, policy, read
// back. When a later step fails, the account is deleted again.
func (c *client) CreateUser(ctx context.Context, req sdk.CreateUserRequest) (sdk.CreateUserResponse, error) {
	var none sdk.CreateUserResponse
	cr, o, err := c.prepare(ctx, req)
	if err != nil {
		return none, sdk.AsUndone(err) // nothing was asked of the server but reads
	}
	defer cr.over()
	r, err := cr.create(ctx)
	if err != nil {
		return none, err
	}
	if r, err = cr.give(ctx, r, o); err != nil {
		return none, err
	}
	return sdk.CreateUserResponse{User: r.toSDK()}, nil
}

// prepare refuses all that can be known to fail before anything is written.
func (c *client) prepare(ctx context.Context, req sdk.CreateUserRequest) (*creation, overlay, error) {
	began := time.Now()
	if req.Link != nil {
		return nil, nil, unsupported("link", "is not how Jellyfin's accounts are made: they have a name and a password")
	}
	if err := checkPassword(req.Password); err != nil {
		return nil, nil, err
	}
	s, err := c.ready(ctx)
	if err != nil {
		return nil, nil, err
	}
	o, err := allowed(s.version, req)
	if err != nil { // perhaps only by the version before the last upgrade
		if s, err = c.current(ctx); err == nil {
			o, err = allowed(s.version, req)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if err := c.checkLibraries(ctx, req.Grant.Libraries, false); err != nil {
		return nil, nil, err
	}
	over, err := c.creating.take(ctx, fold(req.Username))
	if err != nil {
		return nil, nil, err
	}
	absent, err := c.absent(ctx, req.Username)
	if err != nil {
		over()
		return nil, nil, err
	}
	until, ok := ctx.Deadline()
	if !ok {
		until = began.Add(createTime)
	}
	return &creation{
		client: c, server: s, name: req.Username, password: req.Password, absent: absent, over: over, began: began, until: until,
	}, o, nil
}

// allowed gives the policy for what a version allows. A creation goes by the version
// that was known last, since it has no request to spare: an upgrade only adds to what is
// allowed, but for names that the server then refuses itself.
func allowed(v version, req sdk.CreateUserRequest) (overlay, error) {
	if err := checkName(v, req.Username); err != nil {
		return nil, err
	}
	return grantOverlay(v, req.Grant)
}

// absent says whether a list of less than a minute ago shows that nobody had the
// name. A name that it shows as taken is confirmed by reading that user.
func (c *client) absent(ctx context.Context, name string) (bool, error) {
	ids, ok := c.names.known(name, c.now().Add(-namesTTL))
	if !ok {
		return false, nil
	}
	_, err := c.namesakes(ctx, name, ids)
	switch {
	case err == nil:
		return false, nameTaken()
	case sdk.ReasonOf(err) == sdk.ReasonNotFound:
		return true, nil
	default:
		return false, err
	}
}

func nameTaken() *sdk.Error {
	e := sdk.Errorf(sdk.ReasonUsernameTaken, "Jellyfin has a user of this name")
	e.Fields = []sdk.FieldProblem{{Field: "username", Code: "taken", Message: "Choose another username."}}
	return e
}

// creation is one account on its way into being.
type creation struct {
	*client

	server   server
	name     string
	password string
	absent   bool // nobody had the name, less than a minute ago
	over     func()
	began    time.Time
	until    time.Time
}

// before gives a context that ends when this share of the time has passed.
func (cr *creation) before(ctx context.Context, share float64) (context.Context, context.CancelFunc) {
	return context.WithDeadline(ctx, cr.began.Add(time.Duration(float64(cr.until.Sub(cr.began))*share)))
}

// create makes the account, with the policy that the server gives everybody: it
// ignores one in the request.
func (cr *creation) create(ctx context.Context) (record, error) {
	short, cancel := cr.before(ctx, createShare)
	defer cancel()
	body, err := cr.do(short, request{
		method: http.MethodPost, path: "/Users/New", auth: cr.withKey(),
		body: struct{ Name, Password string }{cr.name, cr.password},
	})
	var r record
	if err == nil {
		if r, err = decodeRecord(body); err == nil {
			cr.names.note(cr.now(), r.Name, r.id, false)
			return r, nil
		}
	}
	if settled := cr.refusal(err); settled {
		return record{}, sdk.AsUndone(cr.whyRefused(ctx, err))
	}
	return record{}, cr.resolve(ctx, err)
}

// give sets the access of the new account, checks what came of it, and takes the
// account back when that is not what was asked.
func (cr *creation) give(ctx context.Context, r record, o overlay) (record, error) {
	short, cancel := cr.before(ctx, applyShare)
	defer cancel()
	got, err := cr.apply(short, r, o)
	if err == nil {
		if err = cr.asAsked(got); err == nil {
			return got, nil
		}
	}
	if undone := cr.undo(ctx, r.id); undone != nil {
		return record{}, cr.leftBehind(err, undone)
	}
	return record{}, sdk.AsUndone(err)
}

// asAsked checks what no policy says. An account without a password, which is
// what the server makes of a lost write, would let anybody in.
func (cr *creation) asAsked(r record) error {
	switch {
	case r.Name != cr.name:
		return sdk.Errorf(sdk.ReasonAccessNotApplied, "Jellyfin gave the account another name than was asked for")
	case cr.server.version.tellsPassword() && r.HasPassword != nil && !*r.HasPassword:
		return sdk.Errorf(sdk.ReasonAccessNotApplied, "Jellyfin did not keep the account's password")
	default:
		return nil
	}
}
