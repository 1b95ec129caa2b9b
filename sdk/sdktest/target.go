package sdktest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/zondarr/zondarr/sdk"
)

// Target is a media server, real or simulated, that tier 2 may write to. It makes users
// whose names start with "zt" there, and removes them again.
type Target struct {
	// Server is the media server.
	Server sdk.ServerRef
	// Second is another one of the same type, nil for none.
	Second *sdk.ServerRef
	// Link gives a linked account that has no access yet, each time another one; nil
	// where people join by password.
	Link func() *sdk.LinkedAccount
}

// settingsFile is a Target as a file.
type settingsFile struct {
	URL      string            `json:"url"`
	Settings map[string]any    `json:"settings"`
	Secrets  map[string]string `json:"secrets"`
	TLS      struct {
		CAPEM      string `json:"ca_pem"`
		SkipVerify bool   `json:"skip_verify"`
	} `json:"tls"`
	Second *settingsFile `json:"second"`
	Link   *struct {
		Realm    string `json:"realm"`
		ID       string `json:"id"`
		Username string `json:"username"`
		Email    string `json:"email"`
		State    string `json:"state"`
	} `json:"link"`
}

// ReadTarget reads a Target from JSON:
//
//	{
//	  "url": "http://127.0.0.1:8096",
//	  "settings": {},
//	  "secrets": {"api_key": "…"},
//	  "tls": {"ca_pem": "", "skip_verify": false},
//	  "second": {"url": "…", "secrets": {}},
//	  "link": {"realm": "plex", "id": "…", "username": "…", "state": "…"}
//	}
//
// All but url may be left out. No error repeats a value.
func ReadTarget(data []byte) (*Target, error) {
	var in settingsFile
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return nil, fmt.Errorf("settings file: %q has the wrong type, want %s", t.Field, t.Type)
		}
		return nil, fmt.Errorf("settings file: %w", err)
	}
	if in.URL == "" {
		return nil, errors.New(`settings file: "url" is missing`)
	}
	t := &Target{Server: in.ref("conformance-1")}
	if in.Second != nil {
		second := in.Second.ref("conformance-2")
		t.Second = &second
	}
	if l := in.Link; l != nil {
		left := true
		t.Link = func() *sdk.LinkedAccount {
			if !left { // one account joins once
				return nil
			}
			left = false
			return &sdk.LinkedAccount{Realm: l.Realm, ID: l.ID, Username: l.Username, Email: l.Email, State: []byte(l.State)}
		}
	}
	return t, nil
}

func (f *settingsFile) ref(id string) sdk.ServerRef {
	return sdk.ServerRef{
		ID: id, Revision: 1, URL: strings.TrimRight(f.URL, "/"), Settings: f.Settings, Secrets: f.Secrets,
		TLS: sdk.TLSOptions{CAPEM: f.TLS.CAPEM, SkipVerify: f.TLS.SkipVerify}, InstallationID: "conformance",
	}
}

// Fixture starts simulated media servers for tier 3, each fresh and of its own.
type Fixture struct {
	// Start gives a media server with an administrator and at least two libraries. It
	// ends with the test.
	Start func(tb testing.TB) Upstream
}

// Upstream is a simulated media server that can be looked into.
type Upstream struct {
	// Ref is how the host would know it. Requests go through a proxy of the kit, which
	// fails at will: the kit replaces the URL and each setting that is an endpoint.
	Ref sdk.ServerRef
	// Usernames gives the accounts that exist there, looked at behind the plugin's back.
	Usernames func() []string
	// Link gives a linked account that has no access yet, each time another one; nil
	// where people join by password.
	Link func() *sdk.LinkedAccount
	// Tell makes the server tell a lie from now on (NoLie ends it), and says whether it
	// can. Nil for a server that never lies.
	Tell func(Lie) bool
	// Provoke makes, for a reason, a call that must fail with it: it brings the server
	// into the state that it takes, and gives what the call gave. The clients that open
	// gives reach the server; ref is how the kit knows it.
	Provoke map[sdk.Reason]func(ctx context.Context, open func(sdk.ServerRef) Client, ref sdk.ServerRef) error
}
