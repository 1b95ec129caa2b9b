package jellyfintest

import (
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// output writes one reply with the headers and the framing of the real server.
type output struct {
	w       http.ResponseWriter
	r       *http.Request
	began   time.Time
	status  int   // as sent; 0 when the connection was cut before
	written int64 // body bytes as sent, compressed or not

	pace     func() bool // called between pieces; false stops
	piece    int         // bytes between calls of pace
	cutAfter int64       // cut the connection after so many body bytes; negative: never
}

var zippers = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed) // the level is a valid constant
	return z
}}

func (o *output) write(r reply) {
	h := o.w.Header()
	if r.foreign {
		h.Set("Server", "nginx")
	} else {
		h.Set("Server", "Kestrel")
		h.Set("X-Response-Time-ms", strconv.FormatFloat(float64(time.Since(o.began))/float64(time.Millisecond), 'f', 4, 64))
	}
	for name, value := range r.header {
		h.Set(name, value)
	}
	o.status = r.status
	if r.body == nil && r.stream == nil {
		o.w.WriteHeader(r.status)
		return
	}
	camel := r.contentType == typeJSON && strings.Contains(strings.ToLower(o.r.Header.Get("Accept")), `profile="camelcase"`)
	if camel {
		h.Set("Content-Type", `application/json; profile="CamelCase"; charset=utf-8`)
	} else {
		h.Set("Content-Type", r.contentType)
	}
	var to io.Writer = bodyWriter{o}
	if !r.foreign && acceptsGzip(o.r) {
		h.Set("Content-Encoding", "gzip")
		h.Add("Vary", "Accept-Encoding")
		z := zippers.Get().(*gzip.Writer)
		z.Reset(to)
		defer zippers.Put(z)
		defer func() { _ = z.Close() }() // fails only when the client has gone
		to = z
	}
	o.w.WriteHeader(r.status)
	// Flushing before the end makes the body chunked, as Kestrel's are.
	_ = http.NewResponseController(o.w).Flush()

	send := func(b []byte) error {
		_, err := to.Write(b)
		return err
	}
	switch {
	case r.stream == nil && camel:
		_ = send(camelCase(r.body)) // a client that went away needs no answer
	case r.stream == nil:
		_ = send(r.body)
	case camel:
		var whole []byte
		_ = r.stream(func(b []byte) error { whole = append(whole, b...); return nil })
		_ = send(camelCase(whole))
	default:
		_ = r.stream(send)
	}
}

func acceptsGzip(r *http.Request) bool {
	for _, name := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		if coding, _, _ := strings.Cut(strings.TrimSpace(name), ";"); strings.EqualFold(coding, "gzip") {
			return true
		}
	}
	return false
}

// bodyWriter sends the body, slowly or not to the end if a fault says so.
type bodyWriter struct{ o *output }

func (b bodyWriter) Write(p []byte) (int, error) {
	o, total := b.o, 0
	for len(p) > 0 {
		n := len(p)
		if o.piece > 0 {
			n = min(n, o.piece)
		}
		if left := o.cutAfter - o.written; o.cutAfter > 0 {
			n = min(n, int(left))
		}
		m, err := o.w.Write(p[:n])
		o.written += int64(m)
		total += m
		if err != nil {
			return total, err
		}
		if o.cutAfter > 0 && o.written >= o.cutAfter {
			_ = http.NewResponseController(o.w).Flush()
			panic(http.ErrAbortHandler) // the sanctioned way to cut a connection
		}
		p = p[n:]
		if o.pace != nil {
			_ = http.NewResponseController(o.w).Flush()
			if !o.pace() {
				return total, io.ErrClosedPipe
			}
		}
	}
	return total, nil
}
