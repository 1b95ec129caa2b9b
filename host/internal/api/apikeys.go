package api

import (
	"context"
	"time"

	"github.com/zondarr/zondarr/host/internal/auth"
)

// APIKey is a key to the management API, without its secret.
type APIKey struct {
	ID         string     `json:"id" format:"uuid"`
	Name       string     `json:"name"`
	Prefix     string     `json:"prefix" doc:"The start of the key, to tell keys apart."`
	CreatedBy  Actor      `json:"created_by"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at" doc:"To the minute."`
	RevokedAt  *time.Time `json:"revoked_at"`
}

// NewAPIKey is a key that was just made.
type NewAPIKey struct {
	APIKey
	Key string `json:"key" doc:"The key itself. It is told this once and stored nowhere."`
}

func toAPIKey(k auth.APIKey, names map[string]string) APIKey {
	return APIKey{
		ID: k.ID.String(), Name: k.Name, Prefix: k.Prefix, CreatedBy: toActor(k.CreatedBy, names), CreatedAt: k.CreatedAt.UTC(),
		LastUsedAt: inUTC(k.LastUsedAt), RevokedAt: inUTC(k.RevokedAt),
	}
}

func (a *API) listAPIKeys(ctx context.Context, in *PageParams) (*body[List[APIKey]], error) {
	p, err := a.Keys.List(ctx, in.request())
	if err != nil {
		return nil, err
	}
	makers := make([]string, len(p.Items))
	for i, k := range p.Items {
		makers[i] = k.CreatedBy
	}
	names, err := a.Keys.Names(ctx, makers...)
	if err != nil {
		return nil, err
	}
	return listOf(p, func(k auth.APIKey) APIKey { return toAPIKey(k, names) }), nil
}

func (a *API) getAPIKey(ctx context.Context, in *IDParam) (*body[APIKey], error) {
	k, err := a.Keys.Get(ctx, in.id())
	if err != nil {
		return nil, err
	}
	names, err := a.Keys.Names(ctx, k.CreatedBy)
	return ok(toAPIKey(k, names)), err
}

// APIKeyCreate is a new key.
type APIKeyCreate struct {
	Name string `json:"name" minLength:"1" maxLength:"100"`
}

func (a *API) createAPIKey(ctx context.Context, in *struct{ Body APIKeyCreate }) (*created[NewAPIKey], error) {
	k, text, err := a.Keys.Create(ctx, in.Body.Name, actor(ctx))
	if err != nil {
		return nil, err
	}
	names, err := a.Keys.Names(ctx, k.CreatedBy)
	if err != nil {
		return nil, err
	}
	return &created[NewAPIKey]{Location: "/api/v1/api-keys/" + k.ID.String(), Body: NewAPIKey{APIKey: toAPIKey(k, names), Key: text}}, nil
}

func (a *API) revokeAPIKey(ctx context.Context, in *IDParam) (*none, error) {
	return nil, a.Keys.Revoke(ctx, in.id())
}
