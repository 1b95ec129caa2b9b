package jellyfin

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// identityTTL is how long a server is believed to be the one that it said it is, and
// of the version that it said. A connection that fails or a key that is refused ends it
// at once.
const identityTTL = 5 * time.Minute

// server is what a server says of itself to anybody.
type server struct {
	id         string
	name       string
	product    string
	saidAs     string // its version, as it says it
	version    version
	wizardDone bool
}

// confirmed is the server as the host has met it, with an empty id when it has not,
// or when its version says nothing.
func confirmed(ref sdk.ServerRef) server {
	v, err := parseVersion(ref.Version)
	if err != nil || !v.atLeast(v10_8) {
		return server{}
	}
	return server{id: normalID(ref.ExternalID), saidAs: ref.Version, version: v, wizardDone: true}
}

// identity is the server behind the URL, asked now and then.
type identity struct {
	reading gate // one asks, the others wait for the answer

	mu      sync.Mutex
	known   server
	at      time.Time // of the last proof of who is there; zero: not known now
	said    time.Time // of its version; zero: the host's word, unused so far
	doubted bool      // it may have been upgraded or replaced: only its own word counts
}

func (i *identity) forget() {
	i.mu.Lock()
	i.at, i.doubted = time.Time{}, true
	i.mu.Unlock()
}

// expected says whether a reply with the confirmed id is enough to know the server:
// the rest is known from before.
func (i *identity) expected() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.known.id != "" && !i.doubted
}

// seen keeps that the expected server has answered. That proves who it is, and nothing
// of its version.
func (i *identity) seen(now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.known.id == "" || i.doubted {
		return
	}
	if i.at.IsZero() || now.Sub(i.at) >= identityTTL {
		i.at = now
	}
	if i.said.IsZero() {
		i.said = now
	}
}

// fresh gives the server, and whether it is known who is there. Its version may be an
// old one.
func (i *identity) fresh(now time.Time) (server, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.known, !i.at.IsZero() && now.Sub(i.at) < identityTTL
}

// current is fresh, the version included.
func (i *identity) current(now time.Time) (server, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.known, !i.at.IsZero() && now.Sub(i.at) < identityTTL && now.Sub(i.said) < identityTTL
}

func (i *identity) keep(s server, at time.Time) {
	i.mu.Lock()
	i.known, i.at, i.said, i.doubted = s, at, at, false
	i.mu.Unlock()
}

// ready makes sure, before anything is written, that the URL leads to the Jellyfin
// server that it led to before, and to a version that is understood. No credential
// is sent for it.
func (c *client) ready(ctx context.Context) (server, error) {
	return c.known(ctx, c.identity.fresh)
}

// current is ready for what depends on the version: replies do not tell that the
// server was upgraded.
func (c *client) current(ctx context.Context) (server, error) {
	return c.known(ctx, c.identity.current)
}

func (c *client) known(ctx context.Context, enough func(now time.Time) (server, bool)) (server, error) {
	if s, ok := enough(c.now()); ok {
		return s, nil
	}
	if err := c.identity.reading.enter(ctx); err != nil {
		return server{}, err
	}
	defer c.identity.reading.leave()
	if s, ok := enough(c.now()); ok {
		return s, nil
	}
	return c.identify(ctx)
}

// reading makes a call that begins by reading users. Each of them names its server,
// so that the reply of one that was met before says who answers, and no request is
// spent on asking first. What names nobody, such as an empty list or a refusal, is
// believed only once the server has said who it is.
func (c *client) reading(ctx context.Context, read func() error) error {
	if c.externalID == "" || !c.identity.expected() {
		if _, err := c.ready(ctx); err != nil {
			return err
		}
		return read()
	}
	err := read()
	if _, known := c.identity.fresh(c.now()); known || ctx.Err() != nil || unanswered(err) || sdk.ReasonOf(err) == sdk.ReasonWrongServer {
		return err
	}
	if _, unknown := c.ready(ctx); unknown != nil {
		return unknown
	}
	return err
}

// recognise compares the server that a user names with the one that was confirmed.
func (c *client) recognise(ctx context.Context, a *account) error {
	switch {
	case c.externalID == "":
		return nil
	case a.ServerID == "":
		_, err := c.ready(ctx)
		return err
	case normalID(a.ServerID) != c.externalID:
		c.identity.forget()
		return wrongServer()
	default:
		c.identity.seen(c.now())
		return nil
	}
}

// identify asks the server who it is. Nothing secret is sent.
func (c *client) identify(ctx context.Context) (server, error) {
	asked := c.now()
	var info struct {
		ServerName             string
		Version                string
		ProductName            string
		ID                     string `json:"Id"`
		StartupWizardCompleted bool
	}
	if err := c.read(ctx, request{method: http.MethodGet, path: "/System/Info/Public"}, &info); err != nil {
		return server{}, err
	}
	c.identity.forget() // unless what was said stands the test
	s := server{id: normalID(info.ID), name: info.ServerName, product: info.ProductName, saidAs: info.Version, wizardDone: info.StartupWizardCompleted}
	if !strings.HasPrefix(s.product, "Jellyfin") {
		words := "the server at this URL is not Jellyfin"
		if s.product == "" && strings.HasPrefix(s.saidAs, "4.") {
			words = "the server at this URL is Emby, not Jellyfin"
		}
		return server{}, blameURL(sdk.Errorf(sdk.ReasonWrongProduct, "%s", words), "wrong_product")
	}
	v, err := parseVersion(s.saidAs)
	if err != nil {
		return server{}, sdk.Errorf(sdk.ReasonVersionUnsupported, "the server says a version that is not understood: %w", err)
	}
	if s.version = v; !v.atLeast(v10_8) {
		return server{}, sdk.Errorf(sdk.ReasonVersionUnsupported, "this is Jellyfin %s; Zondarr needs 10.8 or newer", v.short())
	}
	// While it starts, a stand-in answers that the wizard is not done, whatever
	// is true. So that says little, and such an answer is not kept.
	booting := !s.wizardDone
	switch {
	case s.id == "" && booting:
		return server{}, sdk.Errorf(sdk.ReasonStarting, "Jellyfin is starting")
	case s.id == "":
		return server{}, sdk.Errorf(sdk.ReasonServerError, "the server does not say its id")
	case c.externalID != "" && s.id != c.externalID:
		return server{}, wrongServer()
	case !booting:
		c.identity.keep(s, asked)
	}
	return s, nil
}

func wrongServer() *sdk.Error {
	return blameURL(sdk.Errorf(sdk.ReasonWrongServer, "another Jellyfin server answers at this URL than the one that was confirmed: it has another server id"), "wrong_server")
}

func blameURL(e *sdk.Error, code string) *sdk.Error {
	e.Source = sdk.SourceUpstream
	e.Fields = []sdk.FieldProblem{{Field: "url", Code: code, Message: "Check that the URL leads to the right server."}}
	return e
}
