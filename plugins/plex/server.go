package plex

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/zondarr/zondarr/sdk"
)

// introduction bounds how long a call waits for the media server to say who it
// is, when the rest of the call is plex.tv's business.
const introduction = 3 * time.Second

// identity is what a media server tells anybody.
type identity struct {
	Machine string `json:"machineIdentifier"`
	Version string `json:"version"`
	Claimed *flag  `json:"claimed"`
}

// identity asks who is at the address, without any credential.
func (c *client) identity(ctx context.Context) (identity, error) {
	out, err := c.wire.send(ctx, request{
		method: http.MethodGet, at: atServer, path: "/identity", once: true,
		as: principal{clientID: c.owner.clientID},
	})
	if err != nil {
		return identity{}, c.notIntroduced(err)
	}
	var answer struct {
		Container identity `json:"MediaContainer"`
	}
	if out.json(&answer) != nil || answer.Container.Machine == "" {
		return identity{}, notPlex(out.status)
	}
	return answer.Container, nil
}

// notIntroduced says why nobody said who they are. A Plex server tells that to
// anybody, so a refusal comes from something else.
func (c *client) notIntroduced(err error) error {
	switch s := status(err); {
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		reason := sdk.ReasonCredentialsRejected
		if s == http.StatusForbidden {
			reason = sdk.ReasonNotAdmin
		}
		out := sdk.Errorf(reason, "something before the Plex server asks for a sign-in of its own (HTTP %d); let Zondarr reach the server without it", s)
		out.UpstreamStatus = s
		return out
	case s >= 300 && s < 500 && s != http.StatusTooManyRequests && s != http.StatusRequestTimeout:
		return notPlex(s)
	}
	return err
}

func notPlex(status int) error {
	err := sdk.Errorf(sdk.ReasonWrongProduct, "something answers at this address, but it is not a Plex Media Server (HTTP %d)", status)
	err.UpstreamStatus = status
	err.Fields = []sdk.FieldProblem{{Field: "url", Code: "wrong_product", Message: "There is no Plex Media Server at this address."}}
	return err
}

func (c *client) wrongServer() error {
	err := sdk.Errorf(sdk.ReasonWrongServer, "the Plex server at this address is not the one that was confirmed: its machine identifier is another. Nothing was sent to it and nothing was changed")
	err.Fields = []sdk.FieldProblem{{Field: "url", Code: "wrong_server", Message: "Another Plex Media Server answers at this address."}}
	return err
}

// introduced gives the machine identifier of the server at the address, which
// has said itself who it is, and is the confirmed one if there is one. Calls that
// send a token there need this.
func (c *client) introduced(ctx context.Context) (string, error) {
	who, err := c.identity(ctx)
	if err == nil && c.ref.ExternalID != "" && who.Machine != c.ref.ExternalID {
		err = c.wrongServer()
	}
	return who.Machine, err
}

// meet gives the machine identifier that a call to plex.tv is about. Another
// server at the address than the confirmed one stops the call. A server that does
// not answer does not: shares live at plex.tv, and a person must not keep access
// because the server sleeps. Nothing may be sent to the address after this.
func (c *client) meet(ctx context.Context) (string, error) {
	confirmed := c.ref.ExternalID
	if confirmed == "" {
		return c.introduced(ctx)
	}
	short, cancel := context.WithTimeout(ctx, introduction)
	defer cancel()
	_, err := c.introduced(short)
	switch {
	case sdk.ReasonOf(err) == sdk.ReasonWrongServer:
		return "", err
	case ctx.Err() != nil:
		return "", outOfTime()
	}
	return confirmed, nil
}

// resource is a device of an account, as plex.tv lists it.
type resource struct {
	Name        string `json:"name"`
	Machine     string `json:"clientIdentifier"`
	Owned       flag   `json:"owned"`
	AccessToken string `json:"accessToken"`
}

// ownedResource finds the media server among what the token's account can
// reach, and refuses one that belongs to somebody else.
func (c *client) ownedResource(ctx context.Context, machine string) (resource, error) {
	out, err := c.wire.send(ctx, request{
		method: http.MethodGet, at: atCloud, path: "/api/v2/resources", as: c.owner, always: true,
		query: url.Values{"includeHttps": {"1"}, "includeRelay": {"1"}, "includeIPv6": {"1"}},
	})
	if err != nil {
		return resource{}, err
	}
	var all []resource
	if err := out.json(&all); err != nil {
		return resource{}, err
	}
	for _, r := range all {
		if r.Machine != machine {
			continue
		}
		if !r.Owned {
			return resource{}, notOwner("the token belongs to somebody whom this server is shared with; the token of the server's owner is needed")
		}
		return r, nil
	}
	return resource{}, notOwner("plex.tv does not list this server for the account of the token; the token of the server's owner is needed")
}

func notOwner(message string) error {
	err := sdk.Errorf(sdk.ReasonNotAdmin, "%s", message)
	err.Fields = []sdk.FieldProblem{{Field: "secrets.token", Code: "not_owner", Message: "This token is not the one of the server's owner."}}
	return err
}

// local gives who speaks to the media server: the owner, with the token that
// plex.tv made for this one server. The account's own token never goes there.
func (c *client) local(ctx context.Context, machine string) (principal, error) {
	r, err := c.ownedResource(ctx, machine)
	if err != nil {
		return principal{}, err
	}
	if r.AccessToken == "" {
		return principal{}, sdk.Errorf(sdk.ReasonServerError, "plex.tv gives no token for this server; sign the server out of Plex and in again")
	}
	return principal{token: r.AccessToken, clientID: c.owner.clientID}, nil
}

// serverRoot is what a media server tells whoever has a valid token.
type serverRoot struct {
	Name    string `json:"friendlyName"`
	Machine string `json:"machineIdentifier"`
	Version string `json:"version"`
}

func (c *client) serverRoot(ctx context.Context, as principal) (serverRoot, error) {
	out, err := c.wire.send(ctx, request{method: http.MethodGet, at: atServer, path: "/", as: as, always: true})
	if err != nil {
		return serverRoot{}, err
	}
	var answer struct {
		Container serverRoot `json:"MediaContainer"`
	}
	if err := out.json(&answer); err != nil {
		return serverRoot{}, err
	}
	return answer.Container, nil
}
