package sdkplugin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// Bounds of an author's HTTP calls. The whole of a call is bounded by the deadline
// of its context, which the host sets; requestTimeout stands in for it where an
// author has taken it away (context.WithoutCancel, to undo something).
const (
	requestTimeout   = 2 * time.Minute
	dialTimeout      = 5 * time.Second
	handshakeTimeout = 5 * time.Second
	idleConnTimeout  = 90 * time.Second
	maxIdleConns     = 8
	maxHeaderBytes   = 256 << 10
	// maxResponseBytes bounds one body where sdk.WithResponseLimit says nothing.
	maxResponseBytes = 64 << 20
)

// NewHTTPClient gives the client that OpenRequest.HTTP holds for a server, and what
// closes its connections. Its failures are *sdk.Error inside the *url.Error that
// net/http wraps around them; it follows no redirect.
func NewHTTPClient(ref sdk.ServerRef, userAgent string) (*http.Client, func(), error) {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: ref.TLS.SkipVerify, //nolint:gosec // the admin's explicit choice for this server
	}
	if ref.TLS.CAPEM != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM([]byte(ref.TLS.CAPEM)) {
			e := sdk.Errorf(sdk.ReasonInvalid, "the trusted certificates hold no certificate in PEM form")
			e.Fields = []sdk.FieldProblem{{Field: "tls.ca_pem", Code: "invalid", Message: "Certificates in PEM form."}}
			return nil, nil, e
		}
		config.RootCAs = pool
	}
	base := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    handshakeTimeout,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    maxIdleConns,
		IdleConnTimeout:        idleConnTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
	client := &http.Client{
		Transport:     &transport{base: base, userAgent: userAgent, timeout: requestTimeout},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return client, base.CloseIdleConnections, nil
}

// transport names failures in the words of the contract, and bounds bodies and what
// has no deadline.
type transport struct {
	base      http.RoundTripper
	userAgent string
	timeout   time.Duration
}

// RoundTrip does one request.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.userAgent != "" && req.Header.Get("User-Agent") == "" {
		req = req.Clone(req.Context())
		req.Header.Set("User-Agent", t.userAgent)
	}
	cancel := func() {}
	if _, bounded := req.Context().Deadline(); !bounded {
		var ctx context.Context
		ctx, cancel = context.WithTimeout(req.Context(), t.timeout)
		req = req.WithContext(ctx)
	}
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		defer cancel()
		return nil, upstreamError(req.Context(), err)
	}
	limit := sdk.ResponseLimit(req.Context())
	if limit <= 0 {
		limit = maxResponseBytes
	}
	resp.Body = &body{ReadCloser: resp.Body, req: req, left: limit, limit: limit, cancel: cancel}
	return resp, nil
}

// CloseIdleConnections lets http.Client's method of that name reach the base.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// body is a response's body with a limit.
type body struct {
	io.ReadCloser
	req         *http.Request
	left, limit int64
	cancel      func()
}

// Close ends the response.
func (b *body) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// Read reads at most one byte beyond the limit, to tell an end from an excess.
func (b *body) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, tooLarge(b.limit)
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return max(0, n-1), tooLarge(b.limit)
	}
	if err != nil && err != io.EOF { //nolint:errorlint // io.EOF is passed on bare, by the contract of io.Reader
		err = upstreamError(b.req.Context(), err)
	}
	return n, err
}

func tooLarge(limit int64) error {
	e := sdk.Errorf(sdk.ReasonServerError, "the server's answer is larger than %s", size(limit))
	e.Source = sdk.SourceUpstream
	e.Retryable = false
	return e
}

func size(n int64) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}
