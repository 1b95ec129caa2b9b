package plex

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// Version of the plugin.
const Version = "1.0.0"

// Where Plex lives, unless a setting says otherwise.
const (
	defaultCloudURL   = "https://plex.tv"
	defaultClientsURL = "https://clients.plex.tv"
	defaultAppURL     = "https://app.plex.tv"
)

// realm is where Plex accounts live; one sign-in serves every Plex server.
const realm = "plex"

// The kinds of users.
const (
	kindOwner   = "owner"
	kindFriend  = "friend"
	kindHome    = "home"
	kindManaged = "managed"
)

// plugin serves every Plex server of the host.
type plugin struct {
	turns *turns
	// sleep is the waiting between two looks at plex.tv.
	sleep func(context.Context, time.Duration) error
}

// New gives the Plex plugin.
func New() sdk.Plugin { return plugin{turns: newTurns(), sleep: sleep} }

// Describe says what a Plex server can do at most.
func (plugin) Describe() sdk.Description {
	return sdk.Description{
		Name:             "plex",
		Version:          Version,
		ServerType:       "plex",
		DisplayName:      "Plex",
		Homepage:         "https://www.plex.tv",
		DefaultPublicURL: defaultAppURL,
		Client:           (*client)(nil),
		Permissions: []sdk.PermissionInfo{
			{
				Name: sdk.PermissionDownload, Label: "Download", Default: sdk.Deny,
				Help: "Needs the owner's Plex Pass. Plex keeps this once per person, for all servers of the owner.",
			},
			{
				Name: sdk.PermissionLiveTV, Label: "Live TV", Default: sdk.Deny,
				Help: "Plex offers Live TV to members of the owner's Plex Home only. Anybody else is refused who is to have it.",
			},
		},
		UserKinds: []sdk.UserKindInfo{
			{Name: kindOwner, Label: "Owner", Protected: true},
			{Name: kindFriend, Label: "Friend"},
			{Name: kindHome, Label: "Home member"},
			{Name: kindManaged, Label: "Managed user"},
		},
		SettingsSchema: settingsSchema(),
		JoinFlow:       sdk.JoinLinkedAccount,
		Realm:          realm,
		RealmLabel:     "Plex",
		AccountRules:   accountRules(),
		Traits: sdk.Traits{
			SuspendEmulated:   true,
			SuspendNote:       "Plex cannot disable a person: the share is removed and made again later. If the two accounts are no longer connected by then, the person must accept again. Content filters that the owner sets in Plex meanwhile stay; where Plex has none left, those from before come back. Some Plex apps have shown a Home member without any share every library; such a member is better removed from the Home.",
			LibraryModes:      libraryModes(),
			AllIncludesFuture: true,
			LibraryNote:       "A library that was taken away may stay visible in an open app for some minutes.",
			CreationNoticed:   true,
		},
		CallLimits: sdk.CallLimits{MaxConcurrent: 4, MaxPerSecond: 5},
	}
}

func settingsSchema() sdk.Schema {
	endpoint := func(name, title, description, value string) sdk.Property {
		return sdk.Property{
			Name: name, Type: sdk.TypeString, Title: title, Description: description,
			Endpoint: true, Default: value, Format: "uri", MaxLength: 500,
		}
	}
	return sdk.Schema{Properties: []sdk.Property{
		{
			Name: "token", Type: sdk.TypeString, Title: "Plex token", Required: true, Secret: true, MinLength: 1, MaxLength: 4096,
			Description: "The X-Plex-Token of the account that owns the server.",
		},
		endpoint("cloud_url", "plex.tv address", "Leave as it is, unless plex.tv is reached through a proxy of your own.", defaultCloudURL),
		endpoint("clients_url", "clients.plex.tv address", "Leave as it is, unless plex.tv is reached through a proxy of your own.", defaultClientsURL),
		endpoint("app_url", "Plex app address", "Where people sign in to Plex in their browser.", defaultAppURL),
	}}
}

// accountRules: the account lives at plex.tv, so an invitee types nothing here.
func accountRules() sdk.AccountRules {
	unused := sdk.FieldRule{Use: sdk.FieldUnused}
	return sdk.AccountRules{Username: unused, Password: unused, Email: unused}
}

// libraryModes are what a share can express: it cannot be without libraries.
func libraryModes() []sdk.LibraryMode { return []sdk.LibraryMode{sdk.LibraryAll, sdk.LibraryOnly} }

// Open makes the client for one media server. It calls nobody.
func (p plugin) Open(_ context.Context, req sdk.OpenRequest) (sdk.MediaClient, error) {
	var problems []sdk.FieldProblem
	token := strings.TrimSpace(req.Server.Secrets["token"])
	switch {
	case token == "":
		problems = append(problems, sdk.FieldProblem{Field: "secrets.token", Code: sdk.ProblemRequired, Message: "The Plex token is missing."})
	case !headerSafe(token):
		problems = append(problems, sdk.FieldProblem{Field: "secrets.token", Code: sdk.ProblemInvalid, Message: "A Plex token has no blanks or special characters in it."})
	}
	endpoint := func(name, fallback string) string {
		text := strings.TrimRight(req.Server.String(name, fallback), "/")
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			problems = append(problems, sdk.FieldProblem{
				Field: "settings." + name, Code: sdk.ProblemInvalid, Message: "This must be an http or https address without a user, query or fragment.",
			})
		}
		return text
	}
	installation := req.Server.InstallationID
	w := &wire{
		cloudURL:   endpoint("cloud_url", defaultCloudURL),
		clientsURL: endpoint("clients_url", defaultClientsURL),
		serverURL:  req.Server.URL,
		server:     withoutRedirects(req.HTTP),
		timeout:    callTimeout,
		sleep:      p.sleep,
	}
	c := &client{
		wire: w, ref: req.Server, turns: p.turns, log: req.Logger, now: time.Now,
		appURL: endpoint("app_url", defaultAppURL),
		owner:  principal{token: token, clientID: clientID(installation, "server")},
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	w.cloud, c.closeCloud = cloudClient(w.server, req.Server.TLS)
	if len(problems) > 0 {
		err := sdk.Errorf(sdk.ReasonInvalid, "the settings of the Plex server are not valid: %s", problems[0].Message)
		err.Fields = problems
		return nil, err
	}
	return c, nil
}

// withoutRedirects gives a client like the host's that follows no redirect: the
// token would go along, to whatever host the answer names.
func withoutRedirects(given *http.Client) *http.Client {
	out := http.Client{}
	if given != nil {
		out = *given
	}
	out.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &out
}

// cloudClient gives the HTTP client for plex.tv. It is the server's own, but for
// one case: an admin who accepts any certificate from the media server has not
// said so of plex.tv, where the account's token goes.
func cloudClient(server *http.Client, tls sdk.TLSOptions) (*http.Client, func()) {
	if !tls.SkipVerify {
		return server, func() {}
	}
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return server, func() {}
	}
	transport = transport.Clone()
	return withoutRedirects(&http.Client{Transport: transport}), transport.CloseIdleConnections
}

func headerSafe(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
