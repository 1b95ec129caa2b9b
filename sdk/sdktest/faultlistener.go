package sdktest

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// pageWords stand in for the text of an error page: nobody may see them again.
const pageWords = "words-of-the-upstream-page"

// retryAfter is what the listener asks to wait, in seconds.
const retryAfter = 7

// faultKind is a way in which a media server fails, whatever it is asked.
type faultKind struct {
	name    string
	reasons []sdk.Reason // of which each failure has one
	serve   func(f *fault, w http.ResponseWriter, r *http.Request)
	tls     bool
	refused bool
	slow    bool // it ends by the caller's deadline
	hung    bool // and cancelling closes the connection
	// gone: a call about one user may take it for "there is no such user".
	gone bool
	wait time.Duration // what the failure must carry as RetryAfter
}

// fault is a listener that fails.
type fault struct {
	url    string
	server *httptest.Server
	hits   atomic.Int64
	// waiting counts requests that are being held; let counts those whose caller hung
	// up.
	waiting, let atomic.Int64
	closing      chan struct{}
}

func (f *fault) reached() int64 { return f.hits.Load() }

func (f *fault) close() {
	close(f.closing)
	if f.server != nil {
		f.server.CloseClientConnections()
		f.server.Close()
	}
}

func newFault(kind faultKind) (*fault, error) {
	f := &fault{closing: make(chan struct{})}
	if kind.refused {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		f.url = "http://" + lis.Addr().String()
		return f, lis.Close()
	}
	f.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.hits.Add(1)
		_, _ = io.Copy(io.Discard, r.Body) // or nobody notices that the caller hangs up
		kind.serve(f, w, r)
	}))
	f.server.Config.ErrorLog = log.New(io.Discard, "", 0) // refused certificates are the point
	if kind.tls {
		f.server.StartTLS()
	} else {
		f.server.Start()
	}
	f.url = f.server.URL
	return f, nil
}

// hold keeps a request until its caller hangs up.
func (f *fault) hold(r *http.Request) {
	f.waiting.Add(1)
	select {
	case <-r.Context().Done():
		f.let.Add(1)
	case <-f.closing:
	}
}

func kindStatus(code int, reasons ...sdk.Reason) faultKind {
	return faultKind{name: fmt.Sprintf("HTTP %d", code), reasons: reasons, serve: func(_ *fault, w http.ResponseWriter, _ *http.Request) {
		if code == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", fmt.Sprint(retryAfter))
		}
		http.Error(w, pageWords, code)
	}}
}

// faultKinds gives every way to fail, with the reasons that it may have.
func faultKinds() []faultKind {
	late := []sdk.Reason{sdk.ReasonTimeout, sdk.ReasonUnavailable, sdk.ReasonStarting}
	notFound := kindStatus(404, sdk.ReasonEndpointGone, sdk.ReasonWrongProduct, sdk.ReasonVersionUnsupported, sdk.ReasonServerError)
	notFound.gone = true
	rateLimited := kindStatus(429, sdk.ReasonRateLimited)
	rateLimited.wait = retryAfter * time.Second
	return []faultKind{
		kindStatus(401, sdk.ReasonCredentialsRejected, sdk.ReasonNotAdmin),
		kindStatus(403, sdk.ReasonCredentialsRejected, sdk.ReasonNotAdmin),
		notFound,
		rateLimited,
		kindStatus(500, sdk.ReasonServerError, sdk.ReasonUnavailable, sdk.ReasonStarting),
		{name: "a body that never ends", slow: true, reasons: append(late, sdk.ReasonServerError), serve: func(f *fault, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for {
				if _, err := w.Write([]byte(" ")); err != nil {
					return
				}
				_ = http.NewResponseController(w).Flush()
				select {
				case <-tick.C:
				case <-r.Context().Done():
					return
				case <-f.closing:
					return
				}
			}
		}},
		{name: "refused connections", refused: true, reasons: []sdk.Reason{sdk.ReasonUnavailable, sdk.ReasonStarting}},
		{name: "a certificate that is not trusted", tls: true, reasons: []sdk.Reason{sdk.ReasonUnavailable}, serve: func(_ *fault, w http.ResponseWriter, _ *http.Request) {
			http.Error(w, pageWords, http.StatusOK)
		}},
		{name: "HTML instead of JSON", reasons: []sdk.Reason{sdk.ReasonWrongProduct, sdk.ReasonServerError, sdk.ReasonEndpointGone}, serve: func(_ *fault, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, "<!doctype html><title>%s</title><p>Sign in", pageWords)
		}},
		{name: "no answer", slow: true, hung: true, reasons: late, serve: func(f *fault, _ http.ResponseWriter, r *http.Request) { f.hold(r) }},
	}
}
