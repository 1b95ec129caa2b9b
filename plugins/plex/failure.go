package plex

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// statusTokenExpired is plex.tv's own status for a token whose time is over.
const statusTokenExpired = 498

// refused is what Plex answered. Its text is read to tell one refusal from
// another and shown to nobody.
type refused struct {
	status int
	code   int
	text   string
}

func (r *refused) Error() string {
	if r.code != 0 {
		return fmt.Sprintf("HTTP %d, code %d", r.status, r.code)
	}
	return fmt.Sprintf("HTTP %d", r.status)
}

func (r *refused) says(words ...string) bool {
	text := strings.ToLower(r.text)
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// answer gives what Plex said, or nil when it said nothing.
func answer(err error) *refused {
	r, _ := errors.AsType[*refused](err)
	return r
}

// status gives the HTTP status of a refusal, or 0.
func status(err error) int {
	if r := answer(err); r != nil {
		return r.status
	}
	return 0
}

// absent says that Plex knows no such thing.
func absent(err error) bool { return status(err) == http.StatusNotFound }

// gone says that Plex no longer has the endpoint, so that an older one may do.
func gone(err error) bool {
	s := status(err)
	return s == http.StatusGone || s == http.StatusMethodNotAllowed
}

// goneOrAbsent is for calls on things that exist: there, not found also means
// that the endpoint is no more.
func goneOrAbsent(err error) bool { return gone(err) || absent(err) }

// declined says that Plex understood and said no: nothing was done.
func declined(err error) bool {
	switch status(err) {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusConflict, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// unknown says that a write may or may not have happened.
func unknown(err error) bool {
	if neverSent(err) {
		return false
	}
	switch sdk.ReasonOf(err) {
	case sdk.ReasonUnavailable, sdk.ReasonTimeout, sdk.ReasonServerError:
		return true
	}
	return false
}

// neverSent says that no connection was made.
func neverSent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// refusal gives the failure that an answer stands for, in words of our own.
func refusal(r request, resp *http.Response, body []byte) error {
	said := parseRefusal(body)
	said.status = resp.StatusCode
	fail := func(reason sdk.Reason, format string, args ...any) *sdk.Error {
		err := sdk.Errorf(reason, format, args...)
		err.Source, err.UpstreamStatus, err.Err = sdk.SourceUpstream, said.status, said
		err.RetryAfter = sdk.RetryAfter(resp.Header, time.Now())
		return err
	}
	switch s := said.status; {
	case s == http.StatusUnauthorized || s == statusTokenExpired:
		reason, text := unauthorized(r)
		return fail(reason, text+" (%s)", said)
	case s == http.StatusForbidden && r.at == atServer:
		return fail(sdk.ReasonNotAdmin, "the Plex server accepts the token, but not for %s: it is not the owner's", r.name())
	case s == http.StatusForbidden:
		return fail(sdk.ReasonNotAdmin, "plex.tv does not allow %s with this token (%s)", r.name(), said)
	case s == http.StatusNotFound && r.always:
		return fail(sdk.ReasonEndpointGone, "%s no longer knows %s (HTTP 404); a newer version of this plugin may be needed", r.at, r.name())
	case s == http.StatusNotFound:
		return fail(sdk.ReasonNotFound, "%s does not know what was asked for with %s (%s)", r.at, r.name(), said)
	case s == http.StatusGone:
		return fail(sdk.ReasonEndpointGone, "%s removed the endpoint %s (HTTP 410); a newer version of this plugin may be needed", r.at, r.name())
	case s == http.StatusMethodNotAllowed:
		return fail(sdk.ReasonEndpointGone, "%s no longer offers %s (HTTP 405); a newer version of this plugin may be needed", r.at, r.name())
	case s == http.StatusTooManyRequests:
		return fail(sdk.ReasonRateLimited, "%s asks for fewer calls (HTTP 429); try again in a few minutes", r.at)
	case s == http.StatusServiceUnavailable && r.at == atServer:
		return fail(sdk.ReasonStarting, "the Plex server is starting or in maintenance (HTTP 503)")
	case s == http.StatusRequestTimeout || s == http.StatusGatewayTimeout:
		return fail(sdk.ReasonTimeout, "%s did not answer in time (HTTP %d)", r.at, s)
	case s == http.StatusBadGateway || s == http.StatusServiceUnavailable:
		return fail(sdk.ReasonUnavailable, "%s is not available at the moment (HTTP %d)", r.at, s)
	case s >= 500:
		return fail(sdk.ReasonServerError, "%s failed at %s (HTTP %d)", r.at, r.name(), s)
	case s < 400 && r.at == atServer:
		return fail(sdk.ReasonWrongProduct, "%s answers %s with a redirect elsewhere (HTTP %d)", r.at, r.name(), s)
	case s < 400:
		return fail(sdk.ReasonServerError, "%s answers %s with a redirect elsewhere (HTTP %d)", r.at, r.name(), s)
	default:
		return fail(sdk.ReasonInvalid, "%s refused %s (%s)", r.at, r.name(), said)
	}
}

// unauthorized says whose sign-in it is that does not hold.
func unauthorized(r request) (sdk.Reason, string) {
	switch {
	case r.as.token == "":
		return sdk.ReasonCredentialsRejected, r.at.String() + " wants a sign-in for " + r.name() + ", which needs none"
	case r.as.invitee:
		return sdk.ReasonLinkExpired, "the sign-in at Plex has ended; sign in again"
	case r.at == atServer:
		return sdk.ReasonCredentialsRejected, "the Plex server does not accept the token that plex.tv gives for it; sign the server out of Plex and in again"
	default:
		return sdk.ReasonCredentialsRejected, "plex.tv does not accept the token: it was signed out, replaced or has expired; enter a new one"
	}
}

// parseRefusal reads the shapes in which Plex refuses: v2 errors as JSON or XML,
// the older <Response> and <errors><error>text</error></errors>. Anything else,
// like a proxy's page, says nothing.
func parseRefusal(body []byte) *refused {
	var v2 struct {
		Errors []struct {
			Code    number `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(body, &v2) == nil {
		if len(v2.Errors) == 0 {
			return &refused{}
		}
		return &refused{code: int(v2.Errors[0].Code), text: v2.Errors[0].Message}
	}
	var v1 struct {
		XMLName xml.Name
		Status  string `xml:"status,attr"`
		Errors  []struct {
			Code    string `xml:"code,attr"`
			Message string `xml:"message,attr"`
			Text    string `xml:",chardata"`
		} `xml:"error"`
	}
	if xml.Unmarshal(body, &v1) != nil {
		return &refused{}
	}
	switch {
	case v1.XMLName.Local == "Response":
		return &refused{text: v1.Status}
	case v1.XMLName.Local == "errors" && len(v1.Errors) > 0:
		var code number
		_ = code.parse(v1.Errors[0].Code) // a code that is no number is no code
		return &refused{code: int(code), text: v1.Errors[0].Message + v1.Errors[0].Text}
	default:
		return &refused{}
	}
}

// unreached is the failure of an exchange that brought no whole answer.
func unreached(r request, err error) error {
	reason := sdk.ReasonUnavailable
	if inner, ok := errors.AsType[*sdk.Error](err); ok {
		reason = inner.Kind()
	} else if timedOut(err) {
		reason = sdk.ReasonTimeout
	}
	var out *sdk.Error
	switch reason {
	case sdk.ReasonTimeout:
		out = sdk.Errorf(reason, "%s did not answer %s in time", r.at, r.name())
	case sdk.ReasonServerError:
		out = sdk.Errorf(reason, "the answer of %s to %s is too large", r.at, r.name())
		out.Retryable = false
	default:
		out = sdk.Errorf(sdk.ReasonUnavailable, "%s could not be reached: %s", r.at, reachWords(r.at, err))
	}
	out.Source, out.Err = sdk.SourceUpstream, err
	return out
}

func timedOut(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout() || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// outOfTime is the failure of a call whose own time is over.
func outOfTime() *sdk.Error {
	return sdk.Errorf(sdk.ReasonTimeout, "plex.tv did not get it done in time")
}

// reachWords tells the usual causes apart without the text of the error, which
// holds addresses.
func reachWords(at origin, err error) string {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		if at == atServer {
			return "its certificate is not valid for this address; use the https://….plex.direct address of the server, or http"
		}
		return "its certificate is not valid"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return "it does not speak https at this address"
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "its name cannot be resolved"
	}
	if neverSent(err) {
		return "the connection was refused or there is no route"
	}
	return "the connection broke off"
}
