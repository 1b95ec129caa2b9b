package plex

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/url"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// pollAfter is the least time between two looks at a pin: plex.tv wants no more
// than one a second.
const pollAfter = 2 * time.Second

// defaultPinLife is how long a pin lives when plex.tv does not say.
const defaultPinLife = 15 * time.Minute

// link is a sign-in at Plex. It is all that is known of one, so that any replica
// can go on with it.
type link struct {
	Version  int    `json:"v"`
	ClientID string `json:"client"`
	Pin      ident  `json:"pin"`
	Code     string `json:"code"`
	// Token is the invitee's, once approved.
	Token string `json:"token,omitempty"`
}

const linkVersion = 1

func readLink(state []byte) (link, error) {
	var l link
	if json.Unmarshal(state, &l) != nil || l.Version != linkVersion || !headerSafe(l.ClientID+l.Token) || l.ClientID == "" || !digits(string(l.Pin)) {
		return link{}, invalid("link", sdk.ProblemInvalid, "the sign-in at Plex cannot be read; start it again")
	}
	return l, nil
}

func (l link) state() ([]byte, error) {
	data, err := json.Marshal(l)
	if err != nil {
		return nil, sdk.Errorf(sdk.ReasonInternal, "the sign-in at Plex could not be kept")
	}
	return data, nil
}

func (l link) principal() principal {
	return principal{token: l.Token, clientID: l.ClientID, invitee: true}
}

func linkExpired() error {
	return sdk.Errorf(sdk.ReasonLinkExpired, "the sign-in at Plex has expired or was not finished; sign in again")
}

// pin is a sign-in as plex.tv tells it.
type pin struct {
	ID        ident  `json:"id"`
	Code      string `json:"code"`
	AuthToken string `json:"authToken"`
	ExpiresIn number `json:"expiresIn"`
	ExpiresAt stamp  `json:"expiresAt"`
}

// BeginLink asks plex.tv for a pin that the invitee approves in the browser. The
// client identifier is this sign-in's own: plex.tv keeps one token per account
// and identifier, so a shared one would let a second sign-in end the first.
func (c *client) BeginLink(ctx context.Context, req sdk.BeginLinkRequest) (sdk.BeginLinkResponse, error) {
	l := link{Version: linkVersion, ClientID: clientID(c.ref.InstallationID, "link "+rand.Text())}
	out, err := c.wire.send(ctx, request{
		method: http.MethodPost, at: atCloud, path: "/api/v2/pins", query: url.Values{"strong": {"true"}}, as: l.principal(), once: true, always: true,
	})
	if err != nil {
		return sdk.BeginLinkResponse{}, err
	}
	var p pin
	if err := out.json(&p); err != nil {
		return sdk.BeginLinkResponse{}, err
	}
	if !digits(string(p.ID)) || p.Code == "" {
		return sdk.BeginLinkResponse{}, out.unreadable()
	}
	l.Pin, l.Code = p.ID, p.Code
	state, err := l.state()
	if err != nil {
		return sdk.BeginLinkResponse{}, err
	}
	return sdk.BeginLinkResponse{
		State: state, AuthorizeURL: c.authorizeURL(l, req.ReturnURL), PollAfter: pollAfter, ExpiresAt: p.expiry(c.now()),
	}, nil
}

func (p pin) expiry(now time.Time) time.Time {
	switch {
	case p.ExpiresIn > 0:
		return now.Add(time.Duration(p.ExpiresIn) * time.Second).UTC()
	case p.ExpiresAt.at.After(now):
		return p.ExpiresAt.at
	default:
		return now.Add(defaultPinLife).UTC()
	}
}

// authorizeURL is the page of the Plex app that asks the person. What it needs
// stands behind the #, so it reaches no server's log.
func (c *client) authorizeURL(l link, returnURL string) string {
	q := url.Values{"clientID": {l.ClientID}, "code": {l.Code}, "context[device][product]": {"Zondarr"}}
	if returnURL != "" {
		q.Set("forwardUrl", returnURL)
	}
	return c.appURL + "/auth#?" + q.Encode()
}

// PollLink asks whether the person has approved, and whose account it is.
func (c *client) PollLink(ctx context.Context, req sdk.PollLinkRequest) (sdk.PollLinkResponse, error) {
	l, err := readLink(req.State)
	if err != nil {
		return sdk.PollLinkResponse{}, err
	}
	if l.Token == "" {
		p, err := c.pin(ctx, l)
		switch {
		case absent(err):
			return sdk.PollLinkResponse{Status: sdk.LinkExpired, State: req.State}, nil
		case err != nil:
			return sdk.PollLinkResponse{}, err
		case p.AuthToken == "":
			return sdk.PollLinkResponse{Status: sdk.LinkPending, State: req.State}, nil
		}
		l.Token = p.AuthToken
	}
	a, err := c.account(ctx, l.principal())
	if sdk.ReasonOf(err) == sdk.ReasonLinkExpired {
		return sdk.PollLinkResponse{Status: sdk.LinkExpired, State: req.State}, nil
	}
	if err != nil {
		return sdk.PollLinkResponse{}, err
	}
	state, err := l.state()
	if err != nil {
		return sdk.PollLinkResponse{}, err
	}
	return sdk.PollLinkResponse{Status: sdk.LinkApproved, State: state, Account: &sdk.LinkedAccount{
		Realm: realm, ID: string(a.ID), Username: cmp.Or(a.Username, a.Email, a.Title), DisplayName: a.displayName(), Email: a.Email,
	}}, nil
}

func (c *client) pin(ctx context.Context, l link) (pin, error) {
	out, err := c.wire.send(ctx, request{
		method: http.MethodGet, at: atCloud, path: "/api/v2/pins/{}", args: []string{string(l.Pin)},
		as: principal{clientID: l.ClientID, invitee: true}, once: true,
	})
	if err != nil {
		return pin{}, err
	}
	var p pin
	if err := out.json(&p); err != nil {
		return pin{}, err
	}
	if p.AuthToken != "" && !headerSafe(p.AuthToken) {
		return pin{}, out.unreadable()
	}
	return p, nil
}

// EndLink signs the invitee out again, also one who approved after the last
// poll, and removes the entry from the account's list of devices if it shows
// there already.
func (c *client) EndLink(ctx context.Context, req sdk.EndLinkRequest) (sdk.EndLinkResponse, error) {
	l, err := readLink(req.State)
	if err != nil {
		return sdk.EndLinkResponse{}, err
	}
	if l.Token == "" {
		p, err := c.pin(ctx, l)
		if err != nil && !absent(err) {
			return sdk.EndLinkResponse{}, err
		}
		if l.Token = p.AuthToken; l.Token == "" {
			return sdk.EndLinkResponse{}, nil
		}
	}
	c.forgetDevice(ctx, l)
	_, err = c.wire.send(ctx, request{
		method: http.MethodDelete, at: atCloud, path: "/api/v2/users/signout", as: l.principal(), repeat: true,
	})
	if sdk.ReasonOf(err) == sdk.ReasonLinkExpired || absent(err) { // signed out already
		return sdk.EndLinkResponse{}, nil
	}
	return sdk.EndLinkResponse{}, err
}

// forgetDevice is a courtesy: signing out leaves an entry in the person's list
// of devices, and a new one takes seconds to show up there. Failing changes
// nothing.
func (c *client) forgetDevice(ctx context.Context, l link) {
	out, err := c.wire.send(ctx, request{method: http.MethodGet, at: atCloud, path: "/devices.xml", as: l.principal(), once: true})
	if err != nil {
		return
	}
	var answer struct {
		XMLName xml.Name `xml:"MediaContainer"`
		Devices []struct {
			ID       string `xml:"id,attr"`
			ClientID string `xml:"clientIdentifier,attr"`
		} `xml:"Device"`
	}
	if out.xml(&answer) != nil {
		return
	}
	for _, d := range answer.Devices {
		if d.ClientID == l.ClientID && digits(d.ID) {
			_, _ = c.wire.send(ctx, request{
				method: http.MethodDelete, at: atCloud, path: "/devices/{}.xml", args: []string{d.ID}, as: l.principal(), once: true,
			})
		}
	}
}
