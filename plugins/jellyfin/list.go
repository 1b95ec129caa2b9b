package jellyfin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/zondarr/zondarr/sdk"
)

const (
	// maxListed bounds the list of users: two million of them.
	maxListed = 4 << 30
	// maxAccount bounds one user in it. A real one is 2 KB; access schedules,
	// tags and folders can make it longer.
	maxAccount = 4 << 20
)

// ListUsers reads all users in one request, since Jellyfin knows no pages, and
// passes each on as it arrives.
func (c *client) ListUsers(ctx context.Context, _ sdk.ListUsersRequest, yield func(sdk.User) error) error {
	return c.reading(ctx, func() error {
		return c.eachUser(ctx, func(a *account) error { return yield(a.toSDK()) })
	})
}

// eachUser calls fn for every user. A complete list becomes the index of names.
func (c *client) eachUser(ctx context.Context, fn func(*account) error) error {
	names := c.names.begin(c.now())
	resp, err := c.openList(ctx)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body := &pieces{r: bufio.NewReaderSize(resp.Body, 64<<10), left: maxAccount}
	if err := decodeList(body, func(a *account) error {
		id, ok := parseID(a.ID)
		if !ok || a.Name == "" {
			return errNoUser
		}
		if err := c.recognise(ctx, a); err != nil {
			return err
		}
		names.add(a.Name, id)
		return fn(a)
	}); err != nil {
		return listBroke(ctx, resp, body, err)
	}
	if _, err := c.ready(ctx); err != nil { // an empty list may be anybody's
		return err
	}
	c.names.install(names)
	return nil
}

// openList asks for the list, and again when the database was locked. Nothing
// was passed on by then.
func (c *client) openList(ctx context.Context) (*http.Response, error) {
	rq := request{method: http.MethodGet, path: "/Users", auth: c.withKey()}
	ctx = sdk.WithResponseLimit(ctx, maxListed)
	for attempt := 0; ; attempt++ {
		resp, err := c.send(ctx, rq)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode == http.StatusOK && isJSON(resp.Header) {
			return resp, nil
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
		resp.Body.Close()
		if err != nil {
			return nil, brokenOff(ctx, resp, err)
		}
		err = c.judge(rq, resp, body)
		if err == nil { // judge asks for what was asked above, and must not be believed twice
			err = nonsense(resp, "Jellyfin's answer is no list of users")
		}
		if !threw(err) || attempt >= len(c.waits.retry) || !pause(ctx, c.waits.retry[attempt]) {
			return nil, err
		}
	}
}

var (
	errNoUser  = errors.New("an element is no user")
	errTooLong = errors.New("one user is larger than any should be")
)

// yielded marks an error that the list's reader returned.
type yielded struct{ error }

func (y yielded) Unwrap() error { return y.error }

// decodeList reads a JSON array of users, one at a time. Nil means that the
// array was there to its end.
func decodeList(body *pieces, fn func(*account) error) error {
	dec := json.NewDecoder(body)
	if t, err := dec.Token(); err != nil {
		return err
	} else if t != json.Delim('[') {
		return errNoUser
	}
	for dec.More() {
		var a account
		body.next()
		if err := dec.Decode(&a); err != nil {
			return err
		}
		if err := fn(&a); errors.Is(err, errNoUser) {
			return err
		} else if err != nil {
			return yielded{err}
		}
	}
	_, err := dec.Token() // the closing bracket, or where the list was cut
	return err
}

// listBroke says why a list did not come to its end.
func listBroke(ctx context.Context, resp *http.Response, body *pieces, err error) error {
	if y, ok := errors.AsType[yielded](err); ok {
		return y.error
	}
	if body.failed != nil && !errors.Is(body.failed, errTooLong) {
		return brokenOff(ctx, resp, body.failed)
	}
	e := nonsense(resp, "Jellyfin's list of users is not what its API promises, or was cut")
	e.Err = err
	return e
}

// pieces is a body that is decoded piece by piece: it bounds each piece, not the
// whole, and remembers a failed read.
type pieces struct {
	r      io.Reader
	left   int
	failed error
}

// next begins a new piece.
func (p *pieces) next() { p.left = maxAccount }

func (p *pieces) Read(b []byte) (int, error) {
	if p.left == 0 {
		if p.failed == nil {
			p.failed = errTooLong
		}
		return 0, p.failed
	}
	n, err := p.r.Read(b[:min(len(b), p.left)])
	p.left -= n
	if err != nil && !errors.Is(err, io.EOF) {
		p.failed = err
	}
	return n, err
}
