package registry

import (
	"context"

	"github.com/zondarr/zondarr/sdk"
	"github.com/zondarr/zondarr/sdk/sdkplugin"
)

// BeginLink implements sdk.AccountLinker.
func (c *client) BeginLink(ctx context.Context, req sdk.BeginLinkRequest) (sdk.BeginLinkResponse, error) {
	return as(ctx, c, verbBeginLink, nil, func(ctx context.Context, m sdk.AccountLinker) (sdk.BeginLinkResponse, error) {
		return m.BeginLink(ctx, req)
	})
}

// PollLink implements sdk.AccountLinker.
func (c *client) PollLink(ctx context.Context, req sdk.PollLinkRequest) (sdk.PollLinkResponse, error) {
	return as(ctx, c, verbPollLink, sdkplugin.StateSecrets(req.State), func(ctx context.Context, m sdk.AccountLinker) (sdk.PollLinkResponse, error) {
		return m.PollLink(ctx, req)
	})
}

// EndLink implements sdk.AccountLinker.
func (c *client) EndLink(ctx context.Context, req sdk.EndLinkRequest) (sdk.EndLinkResponse, error) {
	return as(ctx, c, verbEndLink, sdkplugin.StateSecrets(req.State), func(ctx context.Context, m sdk.AccountLinker) (sdk.EndLinkResponse, error) {
		return m.EndLink(ctx, req)
	})
}
