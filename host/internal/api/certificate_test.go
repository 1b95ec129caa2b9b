package api

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"testing"
)

// certificate is a certificate in PEM form.
func certificate(t testing.TB) string {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}
