package plextest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const redacted = "[redacted]"

// Request is one request that reached a listener, without secrets: no token,
// pin or code is in it, wherever it was sent.
type Request struct {
	Seq      int       `json:"seq"` // from 1
	At       time.Time `json:"at"`
	Target   string    `json:"target"` // "cloud" or a machine identifier
	Method   string    `json:"method"`
	Path     string    `json:"path"`
	Query    string    `json:"query,omitempty"`
	ClientID string    `json:"client_id,omitempty"`
	Account  int64     `json:"account,omitempty"` // whose token was sent; 0 if none or unknown
	Product  string    `json:"product,omitempty"`
	Accept   string    `json:"accept,omitempty"`
	Body     string    `json:"body,omitempty"`
	Status   int       `json:"status"` // 0 while it hangs, or when the connection was dropped before the handler
}

// Requests gives the log, oldest first.
func (f *Fake) Requests() []Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

// ClearRequests empties the log.
func (f *Fake) ClearRequests() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = nil
}

func (f *Fake) record(target string, r *http.Request, body []byte) int {
	seq := 1
	if n := len(f.requests); n > 0 {
		seq = f.requests[n-1].Seq + 1
	}
	f.requests = append(f.requests, Request{
		Seq: seq, At: f.now(), Target: target, Method: r.Method, Path: f.redact(r.URL.Path),
		Query: f.redact(redactQuery(r.URL.Query())), ClientID: plexHeader(r, "Client-Identifier"),
		Account: f.accountOfSecret(plexHeader(r, "Token")), Product: plexHeader(r, "Product"),
		Accept: r.Header.Get("Accept"), Body: f.redact(string(body)),
	})
	return seq
}

func (f *Fake) answered(seq, status int) {
	for i := len(f.requests) - 1; i >= 0; i-- {
		if f.requests[i].Seq == seq {
			f.requests[i].Status = status
			return
		}
	}
}

func redactQuery(q url.Values) string {
	for name := range q {
		switch strings.ToLower(name) {
		case "x-plex-token", "code", "pin", "currentpin", "devicejwt", "password":
			q.Set(name, redacted)
		}
	}
	return q.Encode()
}

// redact blanks every secret that the Fake has ever made.
func (f *Fake) redact(s string) string {
	if s == "" {
		return s
	}
	for _, secret := range f.secrets() {
		s = strings.ReplaceAll(s, secret, redacted)
	}
	return s
}

// Secrets lists every token, pin code, invite token and transient token that
// exists or existed: what must never show up in anybody's log or database.
func (f *Fake) Secrets() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.secrets()
}

func (f *Fake) secrets() []string {
	var out []string
	for _, t := range f.tokens {
		out = append(out, t.Value)
	}
	for _, p := range f.pins {
		if p.strong { // four characters would blank ordinary words
			out = append(out, p.code)
		}
	}
	for _, s := range f.shares {
		out = append(out, s.InviteToken)
		for _, v := range s.views {
			if v.token != "" {
				out = append(out, v.token)
			}
		}
	}
	for _, s := range f.servers {
		out = append(out, s.ownerToken)
		for value := range s.transient {
			out = append(out, value)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// accountOfSecret finds whose token this is, live or dead.
func (f *Fake) accountOfSecret(value string) int64 {
	if value == "" {
		return 0
	}
	for _, t := range f.tokens {
		if t.Value == value {
			return t.Account
		}
	}
	for _, s := range f.servers {
		if s.ownerToken == value {
			return s.spec.Owner
		}
	}
	for _, s := range f.shares {
		for _, v := range s.views {
			if v.token == value {
				return s.InvitedID
			}
		}
	}
	return 0
}
