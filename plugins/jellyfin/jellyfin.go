package jellyfin

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// pluginVersion is what Describe and the sign-in header say.
const pluginVersion = "1.0.0"

// apiKey is the secret's name in the settings schema.
const apiKey = "api_key"

// Plugin serves Jellyfin. The zero value is ready to use.
type Plugin struct{}

// New gives the plugin.
func New() Plugin { return Plugin{} }

var _ sdk.Plugin = Plugin{}

// Describe says the most that Jellyfin can do: what version 12 does.
func (Plugin) Describe() sdk.Description {
	d := sdk.Description{
		Name:        "jellyfin",
		Version:     pluginVersion,
		ServerType:  "jellyfin",
		DisplayName: "Jellyfin",
		Homepage:    "https://jellyfin.org",
		Client:      (*client)(nil),
		Limits:      limitInfos(),
		UserKinds: []sdk.UserKindInfo{
			{Name: kindUser, Label: "User"},
			{Name: kindAdmin, Label: "Administrator", Protected: true},
		},
		SettingsSchema: sdk.Schema{Properties: []sdk.Property{{
			Name: apiKey, Type: sdk.TypeString, Title: "API key", Required: true, Secret: true, MaxLength: 256,
			Description: "Made in Jellyfin under Dashboard → API Keys.",
		}}},
		JoinFlow:     sdk.JoinPassword,
		AccountRules: accountRules(v12),
		Traits: sdk.Traits{
			LibraryModes:      []sdk.LibraryMode{sdk.LibraryAll, sdk.LibraryNone, sdk.LibraryOnly},
			AllIncludesFuture: true,
			SuspendNote:       "Suspending signs the person out everywhere. " + lyricsNote,
			LibraryNote: "Collections and playlists show what they hold from the libraries that a person may see. " +
				"The channels of extensions come with all libraries and go with them. " + lyricsNote,
		},
		// Jellyfin hashes passwords and rewrites whole users, each for tenths of
		// a second, and locks its database meanwhile.
		CallLimits: sdk.CallLimits{MaxConcurrent: 4},
	}
	for _, p := range permissions {
		d.Permissions = append(d.Permissions, p.info)
	}
	return d
}

// lyricsNote is the one thing that a change here can take away unseen.
const lyricsNote = "Jellyfin does not tell who may manage lyrics, so a change made here turns that permission off."

// Open makes a client. It asks the server nothing.
func (Plugin) Open(_ context.Context, req sdk.OpenRequest) (sdk.MediaClient, error) {
	key := strings.TrimSpace(req.Server.Secrets[apiKey])
	if key == "" {
		err := sdk.Errorf(sdk.ReasonInvalid, "the server has no API key")
		err.Fields = []sdk.FieldProblem{{Field: "secrets." + apiKey, Code: "required", Message: "Make a key in Jellyfin under Dashboard → API Keys and enter it here."}}
		return nil, err
	}
	base, err := url.Parse(strings.TrimRight(req.Server.URL, "/"))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		e := sdk.Errorf(sdk.ReasonInvalid, "the server's URL is no http or https URL")
		e.Fields = []sdk.FieldProblem{{Field: "url", Code: "invalid", Message: "Enter the address at which Jellyfin opens in the browser, without /web."}}
		return nil, e
	}
	c := &client{
		base:         base,
		key:          key,
		externalID:   normalID(req.Server.ExternalID),
		installation: req.Server.InstallationID,
		http:         http.Client{},
		log:          req.Logger,
		now:          time.Now,
		waits:        defaultWaits(),
		writes:       make(gate, writesInFlight),
		identity:     identity{reading: make(gate, 1), known: confirmed(req.Server)},
		names:        nameIndex{listing: make(gate, 1)},
	}
	if req.HTTP != nil {
		c.http = *req.HTTP
	}
	// A redirect means that the base URL is wrong; followed, a POST would become
	// a GET of a web page that answers 200.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}
