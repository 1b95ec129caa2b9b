package jellyfin

import (
	"context"
	"net/http"

	"github.com/zondarr/zondarr/sdk"
)

// ListSessions gives the sessions that Jellyfin counts as active. Its own filter
// by age is not used: 10.8 ignores it, and our clock is not the server's.
func (c *client) ListSessions(ctx context.Context, _ sdk.ListSessionsRequest) (sdk.ListSessionsResponse, error) {
	if _, err := c.ready(ctx); err != nil {
		return sdk.ListSessionsResponse{}, err
	}
	var items []struct {
		ID               string `json:"Id"`
		UserID           string `json:"UserId"`
		UserName         string
		Client           string
		DeviceName       string
		RemoteEndPoint   string
		LastActivityDate string
		IsActive         *bool
		NowPlayingItem   *struct {
			Name       string
			SeriesName string
		}
	}
	if err := c.read(ctx, request{method: http.MethodGet, path: "/Sessions", auth: c.withKey()}, &items); err != nil {
		return sdk.ListSessionsResponse{}, err
	}
	sessions := make([]sdk.Session, 0, len(items))
	for _, item := range items {
		user, known := parseID(item.UserID)
		idle := item.IsActive != nil && !*item.IsActive && item.NowPlayingItem == nil
		if !known || idle { // a program's own session, or one that is over
			continue
		}
		s := sdk.Session{
			ID: item.ID, UserID: user.String(), Username: item.UserName, Client: item.Client, Device: item.DeviceName,
			RemoteAddr: item.RemoteEndPoint, LastActiveAt: instant(item.LastActivityDate),
		}
		if p := item.NowPlayingItem; p != nil {
			s.NowPlaying = p.Name
			if p.SeriesName != "" {
				s.NowPlaying = p.SeriesName + ": " + p.Name
			}
		}
		sessions = append(sessions, s)
	}
	return sdk.ListSessionsResponse{Sessions: sessions}, nil
}
