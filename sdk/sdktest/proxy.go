package sdktest

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"

	"github.com/zondarr/zondarr/sdk"
)

// proxies stand between a plugin and a simulated media server, one for each address that
// the plugin calls. Together they count requests, fail one of them, and remember what was
// sent to the server itself.
type proxies struct {
	servers   []*httptest.Server
	transport *http.Transport

	mu      sync.Mutex
	count   int
	at      int  // the request that fails; 0 for none
	after   bool // after the server has done it
	struck  bool
	keep    bool
	written strings.Builder
}

// between gives a reference that leads through proxies.
func between(ref sdk.ServerRef, desc sdk.Description) (sdk.ServerRef, *proxies) {
	p := &proxies{transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	out := ref
	out.URL = p.add(ref.URL, true)
	out.TLS = sdk.TLSOptions{}
	out.Settings = map[string]any{}
	for name, v := range ref.Settings {
		out.Settings[name] = v
		if prop, ok := desc.SettingsSchema.Property(name); ok && prop.Endpoint {
			if address, ok := v.(string); ok && address != "" {
				out.Settings[name] = p.add(address, false)
			}
		}
	}
	return out, p
}

func (p *proxies) close() {
	for _, s := range p.servers {
		s.CloseClientConnections()
		s.Close()
	}
	p.transport.CloseIdleConnections()
}

// add puts a proxy before an address, and gives its own.
func (p *proxies) add(address string, main bool) string {
	to, err := url.Parse(address)
	if err != nil {
		return address // it fails by itself
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.pass(w, r, to, main) }))
	p.servers = append(p.servers, s)
	return s.URL
}

func (p *proxies) pass(w http.ResponseWriter, r *http.Request, to *url.URL, main bool) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	fail, after := p.next(r, body, main)
	if fail && !after {
		http.Error(w, pageWords, http.StatusInternalServerError)
		return
	}
	req := r.Clone(r.Context())
	req.RequestURI = ""
	req.URL.Scheme, req.URL.Host, req.Host = to.Scheme, to.Host, to.Host
	req.URL.Path = to.Path + r.URL.Path
	if r.URL.RawPath != "" {
		req.URL.RawPath = to.EscapedPath() + r.URL.RawPath
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	resp, err := p.transport.RoundTrip(req)
	if err != nil {
		panic(http.ErrAbortHandler) // as the server would have broken off
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || fail {
		panic(http.ErrAbortHandler)
	}
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.Header().Del("Content-Length")
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(answer) // the plugin may have gone
}

// next counts a request, and says whether it fails.
func (p *proxies) next(r *http.Request, body []byte, main bool) (fail, after bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	if p.keep && main {
		p.written.WriteString(r.URL.String())
		_ = r.Header.Write(&p.written) // a builder takes everything
		p.written.Write(body)
	}
	if p.at > 0 && p.count == p.at {
		p.struck = true
		return true, p.after
	}
	return false, false
}

// arm makes the n-th request from now fail: with HTTP 500 before the server has seen it,
// or by breaking the connection after the server has done it.
func (p *proxies) arm(n int, after bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count, p.at, p.after, p.struck = 0, n, after, false
}

// disarm ends that, and says whether a request has failed.
func (p *proxies) disarm() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = 0
	return p.struck
}

// record starts keeping what is sent to the media server itself; recorded gives it.
func (p *proxies) record() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keep = true
	p.written.Reset()
}

func (p *proxies) recorded() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keep = false
	return p.written.String()
}
