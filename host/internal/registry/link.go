package registry

import (
	"context"
	"encoding/json"

	"github.com/zondarr/zondarr/sdk"
)

// BeginLink implements sdk.AccountLinker.
func (c *client) BeginLink(ctx context.Context, req sdk.BeginLinkRequest) (sdk.BeginLinkResponse, error) {
	return as(ctx, c, verbBeginLink, nil, func(ctx context.Context, m sdk.AccountLinker) (sdk.BeginLinkResponse, error) {
		return m.BeginLink(ctx, req)
	})
}

// PollLink implements sdk.AccountLinker.
func (c *client) PollLink(ctx context.Context, req sdk.PollLinkRequest) (sdk.PollLinkResponse, error) {
	return as(ctx, c, verbPollLink, stateSecrets(req.State), func(ctx context.Context, m sdk.AccountLinker) (sdk.PollLinkResponse, error) {
		return m.PollLink(ctx, req)
	})
}

// EndLink implements sdk.AccountLinker.
func (c *client) EndLink(ctx context.Context, req sdk.EndLinkRequest) (sdk.EndLinkResponse, error) {
	return as(ctx, c, verbEndLink, stateSecrets(req.State), func(ctx context.Context, m sdk.AccountLinker) (sdk.EndLinkResponse, error) {
		return m.EndLink(ctx, req)
	})
}

// stateSecrets gives what must not be logged of a link's opaque state: the whole
// and, since most plugins keep JSON in it, every text inside.
func stateSecrets(state []byte) []string {
	if len(state) == 0 {
		return nil
	}
	secrets := []string{string(state)}
	var decoded any
	if json.Unmarshal(state, &decoded) == nil {
		secrets = collectTexts(secrets, decoded)
	}
	return secrets
}

func collectTexts(out []string, v any) []string {
	switch v := v.(type) {
	case string:
		// Shorter texts are flags and names, not tokens; hiding them would make
		// the log unreadable.
		if len(v) >= 8 {
			out = append(out, v)
		}
	case []any:
		for _, e := range v {
			out = collectTexts(out, e)
		}
	case map[string]any:
		for _, e := range v {
			out = collectTexts(out, e)
		}
	}
	return out
}
