package jellyfin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// maxReply bounds every reply but the list of users, which is read as it comes.
const maxReply = 16 << 20

// client speaks to one Jellyfin server.
type client struct {
	base         *url.URL
	key          string
	externalID   string // as last confirmed, normalised; empty before the first test
	installation string
	http         http.Client
	log          *slog.Logger
	now          func() time.Time
	waits        waits
	writes       gate
	identity     identity
	libraries    libraryIDs
	names        nameIndex
	users        turns // changes of one user, one after the other
	creating     turns // creations of one name, likewise
}

var (
	_ sdk.MediaClient      = (*client)(nil)
	_ sdk.UserReader       = (*client)(nil)
	_ sdk.Provisioner      = (*client)(nil)
	_ sdk.Suspender        = (*client)(nil)
	_ sdk.AccessSetter     = (*client)(nil)
	_ sdk.PermissionSetter = (*client)(nil)
	_ sdk.PasswordSetter   = (*client)(nil)
	_ sdk.PasswordVerifier = (*client)(nil)
	_ sdk.SessionReader    = (*client)(nil)
)

// Close has nothing to release: the HTTP client belongs to who opened this one.
func (c *client) Close() error { return nil }

// request is one call of Jellyfin's API.
type request struct {
	method string
	path   string
	query  url.Values
	body   any // sent as JSON; nil for none
	// auth is the value of the Authorization header: the key's unless a sign-in
	// says who it is, and empty for what anybody may ask.
	auth string
	// noContent: success is 204. A 200 is then somebody else's answer.
	noContent bool
	// persist: sent again also when the server cannot be reached or a proxy fails.
	persist bool
}

// withKey authorises with the API key. Only this header is sent: the others are
// off by default from 12 on, and a key in the query lands in proxies' logs. The
// server decodes the value as a URL's.
func (c *client) withKey() string { return `MediaBrowser Token="` + headerValue(c.key) + `"` }

func headerValue(s string) string {
	return strings.ReplaceAll(url.PathEscape(s), "+", "%2B")
}

// send makes the HTTP request. The caller closes the body of the response.
func (c *client) send(ctx context.Context, rq request) (*http.Response, error) {
	u := c.base.JoinPath(rq.path)
	u.RawQuery = rq.query.Encode()
	var body io.Reader
	if rq.body != nil {
		b, err := json.Marshal(rq.body)
		if err != nil {
			return nil, sdk.Errorf(sdk.ReasonInternal, "the request for Jellyfin cannot be written: %w", err)
		}
		body = bytes.NewReader(b)
	}
	hr, err := http.NewRequestWithContext(ctx, rq.method, u.String(), body)
	if err != nil {
		return nil, sdk.Errorf(sdk.ReasonInternal, "the request for Jellyfin cannot be made: %w", err)
	}
	hr.Header.Set("Accept", "application/json")
	hr.Header.Set("User-Agent", "Zondarr-Jellyfin/"+pluginVersion)
	if body != nil {
		hr.Header.Set("Content-Type", "application/json")
	}
	if rq.auth != "" {
		hr.Header.Set("Authorization", rq.auth)
	}
	if ctx.Err() != nil {
		return nil, ended(ctx, "the time was up before the server was asked")
	}
	if rq.method != http.MethodGet {
		if err := c.writes.enter(ctx); err != nil {
			return nil, err
		}
		defer c.writes.leave()
	}
	resp, err := c.http.Do(hr)
	if err != nil {
		c.identity.forget() // whatever answers next may be another server
		return nil, unreachable(ctx, err)
	}
	return resp, nil
}

// do makes a request and reads a successful reply. Anything else is an *sdk.Error.
func (c *client) do(ctx context.Context, rq request) ([]byte, error) {
	resp, err := c.send(ctx, rq)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	switch {
	case err != nil:
		return nil, brokenOff(ctx, resp, err)
	case len(body) > maxReply:
		return nil, nonsense(resp, "Jellyfin's answer is larger than any that it should give")
	}
	return body, c.judge(rq, resp, body)
}

// judge says whether a reply is the success that the request hoped for.
func (c *client) judge(rq request, resp *http.Response, body []byte) error {
	switch {
	case resp.StatusCode == http.StatusNoContent && rq.noContent:
		return nil
	case resp.StatusCode == http.StatusOK && !rq.noContent:
		return c.judgeJSON(rq, resp, len(body) > 0)
	case resp.StatusCode/100 == 2:
		return nonsense(resp, "something answered in Jellyfin's place: its address filter, or a proxy in front of it")
	}
	if resp.StatusCode == http.StatusUnauthorized {
		c.identity.forget()
	}
	return refused(rq, resp, body)
}

// judgeJSON tells the server's replies from web pages and from the empty 200 of
// 10.8's address filter.
func (c *client) judgeJSON(rq request, resp *http.Response, some bool) error {
	switch {
	case isJSON(resp.Header) && some:
		return nil
	case !some:
		return nonsense(resp, "the answer is empty: Jellyfin's address filter (Dashboard → Networking) may block Zondarr, or a proxy swallows the answer")
	case rq.auth == "":
		e := nonsense(resp, "a web page answers at this URL, not Jellyfin's API; if Jellyfin has a base URL (Dashboard → Networking), the URL must end with it")
		e.Reason, e.Retryable = sdk.ReasonWrongProduct, false
		e.Fields = []sdk.FieldProblem{{Field: "url", Code: "wrong_product", Message: "Enter the address at which Jellyfin opens in the browser, without /web."}}
		return e
	default:
		return nonsense(resp, "a web page came instead of Jellyfin's answer, probably from a proxy in front of it")
	}
}

func isJSON(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}

// read makes a request and decodes its JSON reply.
func (c *client) read(ctx context.Context, rq request, out any) error {
	body, err := c.retried(ctx, rq)
	if err != nil {
		return err
	}
	return decode(body, out)
}

func decode(body []byte, out any) error {
	if err := json.Unmarshal(body, out); err != nil {
		// The decoder's words may quote the reply.
		e := sdk.Errorf(sdk.ReasonServerError, "Jellyfin's answer is not what its API promises")
		e.Err = err
		return e
	}
	return nil
}

// retried is do for requests that may be sent twice. It sends them again after the
// 500 of a locked database, which lasts a moment mostly, and after the time that
// the server asks to wait, if that is short. Other failures are the caller's to see at once.
func (c *client) retried(ctx context.Context, rq request) ([]byte, error) {
	for _, wait := range c.waits.retry {
		body, err := c.do(ctx, rq)
		again, after := worthAgain(err, rq.persist)
		if !again || !pause(ctx, max(wait, after)) {
			return body, err
		}
		c.log.DebugContext(ctx, "asking Jellyfin again", "method", rq.method, "path", rq.path, "error", err)
	}
	return c.do(ctx, rq)
}

// longestWait is how long a server may ask to wait before the caller is told
// instead.
const longestWait = 10 * time.Second

func worthAgain(err error, persist bool) (again bool, after time.Duration) {
	e, ok := errors.AsType[*sdk.Error](err)
	if !ok {
		return false, 0
	}
	if e.RetryAfter > longestWait {
		return false, 0
	}
	return threw(err) || e.Kind() == sdk.ReasonRateLimited || persist && e.Retryable, e.RetryAfter
}
