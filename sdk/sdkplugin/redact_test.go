package sdkplugin_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

// A secret is found in a text and in a log line, however it was quoted.
func TestSpellings(t *testing.T) {
	const secret = "canary\"key\"<1>\u00fc?\u007f~>"
	raw := []byte(secret)
	plain, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	var logger sdkLogger
	plugin := &stubPlugin{open: func(_ context.Context, req sdk.OpenRequest) (sdk.MediaClient, error) {
		logger = req.Logger
		return &stub{}, nil
	}}
	c := sdktest.Connect(t, plugin, sdkplugin.LogTo(&log)).Client(
		sdk.ServerRef{ID: "x", URL: "http://media.example", Secrets: map[string]string{"api_key": secret}})
	if err := ops["ListSessions"](t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for name, form := range map[string]string{
		"bare": secret, "in a query": url.QueryEscape(secret), "in a path": url.PathEscape(secret), "in JSON": strings.Trim(string(plain), `"`),
		"quoted by Go": fmt.Sprintf("%q", secret), "quoted by Go in ASCII": fmt.Sprintf("%+q", secret),
		"base64": base64.StdEncoding.EncodeToString(raw), "unpadded base64": base64.RawStdEncoding.EncodeToString(raw),
		"base64 for URLs": base64.URLEncoding.EncodeToString(raw), "unpadded base64 for URLs": base64.RawURLEncoding.EncodeToString(raw),
	} {
		form = strings.Trim(form, `"`)
		if got := sdkplugin.Redact("before "+form+" after", []string{secret}); got != "before "+sdkplugin.Redacted+" after" {
			t.Errorf("%s: the text is %q", name, got)
		}
		log.Reset()
		logger.InfoContext(t.Context(), "before "+form+" after")
		line, ok := sdkplugin.ParseLogLine(log.Bytes())
		if !ok || line.Message != "before "+sdkplugin.Redacted+" after" {
			t.Errorf("%s: the log says %s", name, log.String())
		}
	}
}
