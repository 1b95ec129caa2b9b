package sdk

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// UpstreamError gives the failure that a media server's HTTP status stands for,
// with the status and, where the server sent one, the time that it asked to wait.
// It reads nothing of the body. Products that use a status in their own way map
// it before they come here: 404 is ReasonEndpointGone, since a user that is not
// found is known to whoever asked for it.
func UpstreamError(resp *http.Response) *Error {
	e := Errorf(ReasonServerError, "the server answered HTTP %d", resp.StatusCode)
	e.Source = SourceUpstream
	e.UpstreamStatus = resp.StatusCode
	e.RetryAfter = RetryAfter(resp.Header, time.Now())
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized:
		e.Reason, e.Message = ReasonCredentialsRejected, "the server rejected the credentials (HTTP 401)"
	case code == http.StatusForbidden:
		e.Reason, e.Message = ReasonNotAdmin, "the server accepted the credentials but refused the call (HTTP 403)"
	case code == http.StatusNotFound, code == http.StatusMethodNotAllowed, code == http.StatusGone:
		e.Reason, e.Message = ReasonEndpointGone, "the server does not know the call (HTTP "+strconv.Itoa(code)+")"
	case code == http.StatusTooManyRequests:
		e.Reason, e.Message = ReasonRateLimited, "the server asks for fewer calls (HTTP 429)"
	case code == http.StatusRequestTimeout, code == http.StatusGatewayTimeout:
		e.Reason, e.Message = ReasonTimeout, "the server did not answer in time (HTTP "+strconv.Itoa(code)+")"
	case code == http.StatusBadGateway:
		e.Reason, e.Message = ReasonUnavailable, "the proxy before the server cannot reach it (HTTP 502)"
	case code == http.StatusServiceUnavailable:
		e.Reason, e.Message = ReasonUnavailable, "the server is not available (HTTP 503)"
	case code >= 300 && code < 400:
		e.Reason, e.Message = ReasonWrongProduct, "the server redirects elsewhere (HTTP "+strconv.Itoa(code)+")"
	}
	e.Retryable = e.Reason.Transient()
	return e
}

// RetryAfter gives what the header of that name asks to wait, at most a day, or 0.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	const most = 24 * time.Hour
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	var wait time.Duration
	if s, err := strconv.ParseInt(v, 10, 64); err == nil {
		wait = time.Duration(min(s, int64(most/time.Second))) * time.Second
	} else if t, err := http.ParseTime(v); err == nil {
		wait = t.Sub(now)
	}
	return max(0, min(wait, most))
}

// plainError shows an error without the address of the request that it comes
// from: a *url.Error prints the query, where some products want their key.
type plainError struct{ err error }

func (p plainError) Error() string {
	text := p.err.Error()
	if u, ok := errors.AsType[*url.Error](p.err); ok {
		text = strings.ReplaceAll(text, u.Error(), u.Err.Error())
		text = strings.ReplaceAll(text, u.URL, "the server")
	}
	return text
}

func (p plainError) Unwrap() error { return p.err }
