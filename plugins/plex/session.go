package plex

import (
	"cmp"
	"context"
	"net/http"

	"github.com/zondarr/zondarr/sdk"
)

// playing is one stream in the media server's list.
type playing struct {
	Title            string `json:"title"`
	GrandparentTitle string `json:"grandparentTitle"`
	SessionKey       ident  `json:"sessionKey"`
	User             struct {
		ID    ident  `json:"id"`
		Title string `json:"title"`
	} `json:"User"`
	Player struct {
		Title         string `json:"title"`
		Product       string `json:"product"`
		Device        string `json:"device"`
		Address       string `json:"address"`
		RemoteAddress string `json:"remotePublicAddress"`
	} `json:"Player"`
	Session struct {
		ID string `json:"id"`
	} `json:"Session"`
}

// localOwner is the media server's own number for its owner.
const localOwner = "1"

// ListSessions gives who is watching, as the media server itself tells it.
func (c *client) ListSessions(ctx context.Context, _ sdk.ListSessionsRequest) (sdk.ListSessionsResponse, error) {
	machine, err := c.introduced(ctx)
	if err != nil {
		return sdk.ListSessionsResponse{}, err
	}
	owner, err := c.account(ctx, c.owner)
	if err != nil {
		return sdk.ListSessionsResponse{}, err
	}
	as, err := c.local(ctx, machine)
	if err != nil {
		return sdk.ListSessionsResponse{}, err
	}
	out, err := c.wire.send(ctx, request{method: http.MethodGet, at: atServer, path: "/status/sessions", as: as, always: true})
	if err != nil {
		return sdk.ListSessionsResponse{}, err
	}
	list, err := decodeSessions(out)
	if err != nil {
		return sdk.ListSessionsResponse{}, err
	}
	sessions := make([]sdk.Session, 0, len(list))
	for _, p := range list {
		sessions = append(sessions, p.session(owner, c))
	}
	return sdk.ListSessionsResponse{Sessions: sessions}, nil
}

func decodeSessions(r reply) ([]playing, error) {
	var answer struct {
		Container *struct {
			Metadata []playing `json:"Metadata"`
		} `json:"MediaContainer"`
	}
	if err := r.json(&answer); err != nil {
		return nil, err
	}
	if answer.Container == nil {
		return nil, r.unreadable()
	}
	return answer.Container.Metadata, nil
}

func (p playing) session(owner account, c *client) sdk.Session {
	s := sdk.Session{
		ID: cmp.Or(p.Session.ID, string(p.SessionKey)), UserID: string(p.User.ID), Username: p.User.Title,
		Client: p.Player.Product, Device: cmp.Or(p.Player.Title, p.Player.Device),
		RemoteAddr: cmp.Or(p.Player.RemoteAddress, p.Player.Address), NowPlaying: p.Title, LastActiveAt: c.now().UTC(),
	}
	if p.User.ID == localOwner {
		s.UserID = string(owner.ID)
	}
	if p.GrandparentTitle != "" {
		s.NowPlaying = p.GrandparentTitle + " – " + p.Title
	}
	return s
}
