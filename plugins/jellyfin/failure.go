package jellyfin

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"syscall"

	"github.com/zondarr/zondarr/sdk"
)

// shape is the form of a reply's body. Jellyfin's errors come in three, and what
// a proxy says in none of them.
type shape int

const (
	bare   shape = iota // no body
	thrown              // text: an exception reached the top
	spoken              // JSON: a string or a problem
	page                // anything else: a proxy's, or Jellyfin's while it starts
)

// refusal is the reply behind an error, for the code that must tell replies of
// one reason apart.
type refusal struct {
	status int
	shape  shape
}

func (r *refusal) Error() string { return fmt.Sprintf("HTTP %d", r.status) }

// refusedWith says that the server answered with this status, in JSON or with an
// exception: its own answer, not a proxy's.
func refusedWith(err error, status int) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && r.status == status && (r.shape == spoken || r.shape == thrown)
}

// threw says that the server itself failed while it worked on the request, and
// has ended doing so.
func threw(err error) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && r.status == http.StatusInternalServerError && r.shape == thrown
}

// errNotSent marks a request that never reached the server.
var errNotSent = errors.New("not sent")

func notSent(e *sdk.Error) *sdk.Error {
	e.Err = fmt.Errorf("%w: %w", errNotSent, e.Err)
	return e
}

// thrownText is what an exception leaves in production, whatever it was. The
// status is all there is to learn.
const thrownText = "Error processing request."

func shapeOf(resp *http.Response, body []byte) shape {
	switch {
	case len(body) == 0:
		return bare
	case isJSON(resp.Header):
		return spoken
	case strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") && string(bytes.TrimSpace(body)) == thrownText:
		return thrown
	default:
		return page
	}
}

// refused turns a reply that is no success into the error it stands for. No word
// of the reply gets into it.
func refused(rq request, resp *http.Response, body []byte) *sdk.Error {
	e := sdk.UpstreamError(resp)
	r := &refusal{status: resp.StatusCode, shape: shapeOf(resp, body)}
	e.Err = r
	say := func(reason sdk.Reason, words string) {
		e.Reason, e.Retryable = reason, reason.Transient()
		e.Message = fmt.Sprintf("%s (HTTP %d)", words, resp.StatusCode)
	}
	switch status := resp.StatusCode; {
	case status/100 == 3:
		e.Message, e.Fields = redirected(resp)
	case status == http.StatusBadRequest && r.shape == thrown:
		say(sdk.ReasonInvalid, "Jellyfin refuses the request")
		e.Source = sdk.SourceRequest
	case status == http.StatusBadRequest && r.shape == spoken:
		say(sdk.ReasonInternal, "Jellyfin does not understand the plugin's request")
	case status == http.StatusUnauthorized && (rq.auth == "" || r.shape == page):
		say(e.Reason, "something in front of Jellyfin asks for a sign-in of its own")
	case status == http.StatusUnauthorized:
		say(e.Reason, "Jellyfin does not accept the API key: it is mistyped or was deleted, or a proxy takes the Authorization header away")
		e.Fields = []sdk.FieldProblem{{Field: "secrets." + apiKey, Code: "rejected", Message: "Make a new key in Jellyfin under Dashboard → API Keys."}}
	case status == http.StatusForbidden && r.shape == page:
		say(e.Reason, "something in front of Jellyfin refuses Zondarr")
	case status == http.StatusForbidden && r.shape == spoken:
		say(sdk.ReasonProtected, "Jellyfin does not let this account be changed that way")
	case status == http.StatusForbidden:
		say(e.Reason, "the key is not an administrator's, or may not be used from Zondarr's address")
		e.Fields = []sdk.FieldProblem{{Field: "secrets." + apiKey, Code: "not_admin", Message: "Make a key in Jellyfin under Dashboard → API Keys; such a key may do everything."}}
	case status == http.StatusNotFound && rq.auth == "":
		say(sdk.ReasonWrongProduct, "there is no Jellyfin at this URL; if it has a base URL (Dashboard → Networking), the URL must end with it")
		e.Fields = []sdk.FieldProblem{{Field: "url", Code: "wrong_product", Message: "Enter the address at which Jellyfin opens in the browser, without /web."}}
	case status == http.StatusNotFound && r.shape == spoken && strings.HasPrefix(rq.path, "/Users/"):
		say(sdk.ReasonNotFound, "Jellyfin has no such user")
		e.Source = sdk.SourceRequest
	case status == http.StatusInternalServerError && r.shape == thrown:
		say(e.Reason, "Jellyfin failed while working on it; during a library scan its database may be locked")
	case status == http.StatusServiceUnavailable && starting(resp, r.shape, body):
		say(sdk.ReasonStarting, "Jellyfin is starting")
	case status == http.StatusServiceUnavailable && r.shape == bare:
		say(e.Reason, "Jellyfin's address filter (Dashboard → Networking) blocks Zondarr, or something in front of it does")
	}
	return e
}

// starting recognises the page that the server shows until it is up: up to 10.10
// its own, later that of a small stand-in. A proxy's page says neither.
func starting(resp *http.Response, s shape, body []byte) bool {
	if s != page || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		return false
	}
	if resp.Header.Get("Retry-After") == "005" { // as the stand-in writes it
		return true
	}
	text := bytes.ToLower(body)
	return bytes.Contains(text, []byte("jellyfin")) && (bytes.Contains(text, []byte("loading")) || bytes.Contains(text, []byte("starting"))) ||
		bytes.Contains(text, []byte("server is loading"))
}

var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]{1,64}){1,4}$`)

// redirected says what a redirect tells about the URL: mostly that the base path
// is missing, or that the address wants https.
func redirected(resp *http.Response) (string, []sdk.FieldProblem) {
	words := fmt.Sprintf("the server redirects elsewhere (HTTP %d)", resp.StatusCode)
	fix := "Enter the address at which Jellyfin opens in the browser, without /web."
	if to, err := resp.Location(); err == nil {
		base, isWeb := strings.CutSuffix(strings.TrimSuffix(strings.TrimSuffix(to.Path, "index.html"), "/"), "/web")
		switch {
		case to.Scheme == "https" && resp.Request != nil && resp.Request.URL.Scheme == "http":
			words += ": it wants https"
			fix = "Enter the URL with https."
		case isWeb && plainPath.MatchString(base):
			words += ": Jellyfin's base URL is " + base
			fix = "Let the URL end with " + base + "."
		}
	}
	return words, []sdk.FieldProblem{{Field: "url", Code: "redirect", Message: fix}}
}

// nonsense is a reply that the server's API does not know.
func nonsense(resp *http.Response, words string) *sdk.Error {
	e := sdk.Errorf(sdk.ReasonServerError, "%s (HTTP %d)", words, resp.StatusCode)
	e.UpstreamStatus = resp.StatusCode
	return e
}

// brokenOff is a reply that began and did not end.
func brokenOff(ctx context.Context, resp *http.Response, err error) *sdk.Error {
	var e *sdk.Error
	if timedOut(ctx, err) {
		e = sdk.Errorf(sdk.ReasonTimeout, "Jellyfin's answer did not end in time")
	} else {
		e = sdk.Errorf(sdk.ReasonServerError, "Jellyfin's answer broke off")
	}
	e.Err, e.UpstreamStatus = err, resp.StatusCode
	return e
}

// unreachable is a request without a reply.
func unreachable(ctx context.Context, err error) *sdk.Error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // without the URL
	}
	op, _ := errors.AsType[*net.OpError](err)
	dns, noName := errors.AsType[*net.DNSError](err)
	words, before := "", true // before: nothing was sent
	switch {
	case noName && dns.IsNotFound:
		words = "the server's name is not known"
	case noName:
		words = "the server's name cannot be looked up"
	case untrusted(err):
		words = "the server's certificate is not trusted; it must be valid for this name, or its authority entered with the server"
	case notTLS(err):
		words = "the server does not speak https on this port"
	case op != nil && op.Op == "dial" && errors.Is(err, syscall.ECONNREFUSED):
		words = "nothing listens at this address"
	case op != nil && op.Op == "dial" && !timedOut(ctx, err):
		words = "the server cannot be reached"
	default:
		before = op != nil && op.Op == "dial"
	}
	var e *sdk.Error
	switch {
	case words != "":
		e = sdk.Errorf(sdk.ReasonUnavailable, "%s", words)
	case timedOut(ctx, err):
		e = sdk.Errorf(sdk.ReasonTimeout, "Jellyfin did not answer in time")
	default:
		e = sdk.Errorf(sdk.ReasonUnavailable, "the connection broke before Jellyfin answered")
	}
	e.Source, e.Err = sdk.SourceUpstream, err
	if before {
		return notSent(e)
	}
	return e
}

// unanswered says that no reply came, or that there was no time for one: then there
// is none to be told from another server's.
func unanswered(err error) bool {
	e, ok := errors.AsType[*sdk.Error](err)
	return ok && e.UpstreamStatus == 0 && (e.Kind() == sdk.ReasonUnavailable || e.Kind() == sdk.ReasonTimeout)
}

func timedOut(ctx context.Context, err error) bool {
	n, ok := errors.AsType[net.Error](err)
	return ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) || ok && n.Timeout()
}

func untrusted(err error) bool {
	_, a := errors.AsType[*tls.CertificateVerificationError](err)
	_, b := errors.AsType[x509.UnknownAuthorityError](err)
	_, c := errors.AsType[x509.HostnameError](err)
	return a || b || c
}

func notTLS(err error) bool {
	_, a := errors.AsType[tls.RecordHeaderError](err)
	return a || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}
