package sdkplugin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"syscall"

	"github.com/zondarr/zondarr/sdk"
)

// upstreamError names a failed HTTP exchange in the words of the contract. The
// texts are ours: what net/http says may repeat the address, or what the server
// sent. The cause stays reachable by errors.Is and errors.As.
func upstreamError(ctx context.Context, err error) error {
	if e, ok := errors.AsType[*sdk.Error](err); ok {
		return e
	}
	reason, text := describe(ctx, err)
	return &sdk.Error{Reason: reason, Source: sdk.SourceUpstream, Message: text, Retryable: reason.Transient(), Err: err}
}

func describe(ctx context.Context, err error) (sdk.Reason, string) {
	// net/http gives the cause of a context's end in several dresses; the context
	// itself is the one to ask.
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return sdk.ReasonTimeout, "the call was cancelled before the server answered"
	case ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded):
		return sdk.ReasonTimeout, "the server did not answer in time"
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsTimeout {
			return sdk.ReasonTimeout, "the server's name was not resolved in time"
		}
		return sdk.ReasonUnavailable, "the server's name cannot be resolved"
	}
	if text := describeTLS(err); text != "" {
		return sdk.ReasonUnavailable, text
	}
	if n, ok := errors.AsType[net.Error](err); ok && n.Timeout() {
		return sdk.ReasonTimeout, "the server did not answer in time"
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return sdk.ReasonUnavailable, "the server refuses connections"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return sdk.ReasonUnavailable, "there is no route to the server"
	}
	return sdk.ReasonUnavailable, "the connection to the server broke"
}

func describeTLS(err error) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the server's certificate is signed by an authority that is not trusted"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "the server's certificate is for another name"
	}
	if c, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if c.Reason == x509.Expired {
			return "the server's certificate has expired or is not valid yet"
		}
		return "the server's certificate is not valid"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the server's certificate cannot be verified"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the server does not speak TLS there"
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return "the server refuses the TLS connection"
	}
	return ""
}
