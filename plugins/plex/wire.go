package plex

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

const (
	// callTimeout bounds one HTTP exchange, so that a call that hangs leaves time
	// to look at what it did.
	callTimeout = 12 * time.Second
	// maxBody bounds an answer. Plex's lists are not paged; a thousand people
	// with a hundred libraries each stay below it.
	maxBody = 32 << 20
	// attempts is how often a call is made that may be made again.
	attempts = 3
	// patience is the longest wait that a Retry-After may ask for within a call.
	patience = 8 * time.Second
)

// origin is one of the places that answer.
type origin int

const (
	atCloud   origin = iota // https://plex.tv
	atClients               // https://clients.plex.tv, the same API
	atServer                // the media server
)

// request is one call, in the terms of Plex's API.
type request struct {
	method string
	at     origin
	// path is a template: each {} is replaced by one of args, escaped. The
	// template is what errors show.
	path  string
	args  []string
	query url.Values
	as    principal
	// body is sent as JSON when it is not nil.
	body any
	// repeat says that a call other than GET may be made again when its outcome
	// is unknown.
	repeat bool
	// once says that the call is made one time, whatever happens.
	once bool
	// always says that there is no "not found": if it is, the endpoint is gone.
	always bool
}

// name is the call as an error shows it: without ids, addresses or queries.
func (r request) name() string { return r.method + " " + r.path }

// reply is the answer to a call that succeeded.
type reply struct {
	request request
	status  int
	body    []byte
}

// wire makes the HTTP calls of a client.
type wire struct {
	cloud, server                   *http.Client
	cloudURL, clientsURL, serverURL string
	timeout                         time.Duration
	sleep                           func(context.Context, time.Duration) error
}

// send makes a call and gives the answer if it is a success. Calls that may be
// made again are, when plex.tv is busy or away for a moment; being rate limited
// means that nothing was done, so that holds for every call.
func (w *wire) send(ctx context.Context, r request) (reply, error) {
	for n := 1; ; n++ {
		out, err := w.attempt(ctx, r)
		if err == nil {
			return out, nil
		}
		failure, _ := errors.AsType[*sdk.Error](err)
		again := failure.Kind() == sdk.ReasonRateLimited || neverSent(err) ||
			failure.Retryable && (r.repeat || r.method == http.MethodGet)
		wait := max(time.Second/2<<(n-1), failure.RetryAfter)
		if r.once || n == attempts || !again || wait > patience || !w.pause(ctx, wait) {
			return reply{}, err
		}
	}
}

// pause waits, and says false if the context leaves no time for that and
// something after it.
func (w *wire) pause(ctx context.Context, wait time.Duration) bool {
	if wait == 0 {
		return true
	}
	deadline, bounded := ctx.Deadline()
	if bounded && time.Until(deadline) < wait+time.Second {
		return false
	}
	return w.sleep(ctx, wait) == nil
}

func (w *wire) attempt(ctx context.Context, r request) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	httpReq, err := w.build(ctx, r)
	if err != nil {
		return reply{}, err
	}
	client := w.cloud
	if r.at == atServer {
		client = w.server
	}
	resp, err := client.Do(httpReq)
	if err != nil {
		return reply{}, unreached(r, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return reply{}, unreached(r, err)
	case len(body) > maxBody:
		return reply{}, sdk.Errorf(sdk.ReasonServerError, "the answer of %s to %s is too large", r.at, r.name())
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return reply{}, refusal(r, resp, body)
	}
	return reply{request: r, status: resp.StatusCode, body: body}, nil
}

func (w *wire) build(ctx context.Context, r request) (*http.Request, error) {
	var body io.Reader
	if r.body != nil {
		data, err := json.Marshal(r.body)
		if err != nil {
			return nil, sdk.Errorf(sdk.ReasonInternal, "the request %s could not be written", r.name())
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, w.address(r), body)
	if err != nil {
		return nil, sdk.Errorf(sdk.ReasonInternal, "the request %s could not be made", r.name())
	}
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("X-Plex-Client-Identifier", r.as.clientID)
	req.Header.Set("X-Plex-Product", "Zondarr")
	req.Header.Set("X-Plex-Version", Version)
	req.Header.Set("X-Plex-Device", "Zondarr")
	req.Header.Set("X-Plex-Device-Name", "Zondarr")
	if r.as.token != "" {
		req.Header.Set("X-Plex-Token", r.as.token)
	}
	return req, nil
}

// segment escapes a value for a path, also what a path allows but some servers
// decode: an e-mail address is an id in one of the calls.
func segment(s string) string {
	return strings.NewReplacer("@", "%40", "+", "%2B").Replace(url.PathEscape(s))
}

func (w *wire) address(r request) string {
	base := map[origin]string{atCloud: w.cloudURL, atClients: w.clientsURL, atServer: w.serverURL}[r.at]
	path := r.path
	for _, arg := range r.args {
		path = strings.Replace(path, "{}", segment(arg), 1)
	}
	if len(r.query) > 0 {
		path += "?" + r.query.Encode()
	}
	return base + path
}

// String gives the words of an error.
func (o origin) String() string {
	if o == atServer {
		return "the Plex server"
	}
	return "plex.tv"
}

// json decodes an answer.
func (r reply) json(into any) error {
	if err := json.Unmarshal(r.body, into); err != nil {
		return r.unreadable()
	}
	return nil
}

// xml decodes an answer of the older API, which is XML whatever was asked for.
func (r reply) xml(into any) error {
	if err := xml.Unmarshal(r.body, into); err != nil {
		return r.unreadable()
	}
	return nil
}

// unreadable is a success that makes no sense. The decoder's own words quote the
// answer, so they are left out.
func (r reply) unreadable() error {
	err := sdk.Errorf(sdk.ReasonServerError, "%s answered %s with something that is not its API", r.request.at, r.request.name())
	err.UpstreamStatus = r.status
	return err
}
