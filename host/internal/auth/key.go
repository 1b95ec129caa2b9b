// Package auth knows who may manage Zondarr: API keys, as data. It makes, lists,
// revokes and verifies them, and knows nothing of HTTP, headers or sessions.
//
// A key looks like zdr_<32 characters> and is shown once. Stored are a prefix to
// find it by and its SHA-256: the key has 192 random bits, so a fast hash is
// right, and the comparison takes constant time.
package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/apikey"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/page"
)

const (
	keyMark      = "zdr_"
	keyBytes     = 24
	prefixLength = len(keyMark) + 8
	keyLength    = len(keyMark) + keyBytes*4/3
	maxName      = 100
	// usedEvery is how exact LastUsedAt is: a write per request would cost more
	// than the request.
	usedEvery = time.Minute
	entity    = "api_key"
)

// APIKey is a key without its secret.
type APIKey struct {
	ID   uuid.UUID
	Name string
	// Prefix is the public start of the key, to tell keys apart.
	Prefix     string
	CreatedBy  string
	CreatedAt  time.Time
	LastUsedAt *time.Time
	RevokedAt  *time.Time
}

// Actor names the key where it is recorded who did something: "api_key:<id>".
func (k APIKey) Actor() string { return "api_key:" + k.ID.String() }

// Service makes and verifies API keys. Its errors are *fault.Error.
type Service struct {
	DB  *database.DB
	Log *slog.Logger
	Now func() time.Time
}

// Create makes a key and gives its text, which is stored nowhere.
func (s *Service) Create(ctx context.Context, name, createdBy string) (APIKey, string, error) {
	name = strings.TrimSpace(name)
	if name == "" || utf8.RuneCountInString(name) > maxName || strings.ContainsFunc(name, unicode.IsControl) {
		return APIKey{}, "", fault.InvalidInput(fault.Field{
			Location: "body.name", Code: fault.FieldRequired, Message: fmt.Sprintf("A key needs a name of 1 to %d characters, so that it can be told from others.", maxName),
		})
	}
	var random [keyBytes]byte
	if _, err := rand.Read(random[:]); err != nil {
		return APIKey{}, "", fmt.Errorf("random bytes for a key: %w", err)
	}
	text := keyMark + base64.RawURLEncoding.EncodeToString(random[:])
	hash := sha256.Sum256([]byte(text))
	row, err := s.DB.Ent.APIKey.Create().SetName(name).SetPrefix(text[:prefixLength]).SetHash(hash[:]).
		SetCreatedBy(createdBy).SetCreatedAt(s.Now()).Save(ctx)
	if err != nil {
		return APIKey{}, "", database.Wrap("create", entity, err)
	}
	return toKey(row), text, nil
}

// Verify gives the key of a text, or unauthenticated. It takes the same time for
// a wrong text as for a right one with the same prefix.
func (s *Service) Verify(ctx context.Context, text string) (APIKey, error) {
	refused := fault.New(fault.Unauthenticated, fault.CodeUnauthenticated, "A valid API key is required: send it as `Authorization: Bearer zdr_…`.")
	if len(text) != keyLength || !strings.HasPrefix(text, keyMark) {
		return APIKey{}, refused
	}
	row, err := s.DB.Ent.APIKey.Query().Where(apikey.Prefix(text[:prefixLength]), apikey.RevokedAtIsNil()).Only(ctx)
	if db.IsNotFound(err) {
		return APIKey{}, refused
	}
	if err != nil {
		return APIKey{}, database.Wrap("get", entity, err)
	}
	hash := sha256.Sum256([]byte(text))
	if subtle.ConstantTimeCompare(hash[:], row.Hash) != 1 {
		return APIKey{}, refused
	}
	if now := s.Now(); row.LastUsedAt == nil || now.Sub(*row.LastUsedAt) >= usedEvery {
		// A disk that is full must not keep the admin out.
		if err := s.DB.Ent.APIKey.Update().Where(apikey.ID(row.ID)).SetLastUsedAt(now).Exec(ctx); err != nil {
			s.Log.WarnContext(ctx, "the use of an API key was not noted", "key", row.ID, "error", database.Wrap("update", entity, err))
		}
	}
	return toKey(row), nil
}

// Get gives one key, a revoked one too, or not_found.
func (s *Service) Get(ctx context.Context, id uuid.UUID) (APIKey, error) {
	row, err := s.DB.Ent.APIKey.Get(ctx, id)
	if db.IsNotFound(err) {
		return APIKey{}, fault.Missing(entity, id.String())
	}
	if err != nil {
		return APIKey{}, database.Wrap("get", entity, err)
	}
	return toKey(row), nil
}

// Revoke ends a key. A revoked key stays listed, since what it did names it;
// revoking it again changes nothing.
func (s *Service) Revoke(ctx context.Context, id uuid.UUID) error {
	n, err := s.DB.Ent.APIKey.Update().Where(apikey.ID(id), apikey.RevokedAtIsNil()).SetRevokedAt(s.Now()).Save(ctx)
	if err != nil {
		return database.Wrap("update", entity, err)
	}
	if n == 1 {
		return nil
	}
	exists, err := s.DB.Ent.APIKey.Query().Where(apikey.ID(id)).Exist(ctx)
	if err != nil {
		return database.Wrap("get", entity, err)
	}
	if !exists {
		return fault.Missing(entity, id.String())
	}
	return nil
}

var lists = page.List[*db.APIKey]{
	Default: "-created_at",
	ID:      func(r *db.APIKey) uuid.UUID { return r.ID },
	Fields: map[string]page.Field[*db.APIKey]{
		"created_at": {Column: apikey.FieldCreatedAt, Kind: page.Time, Value: func(r *db.APIKey) any { return r.CreatedAt }},
	},
}

// List gives one page of keys, revoked ones too.
func (s *Service) List(ctx context.Context, req page.Request) (page.Page[APIKey], error) {
	q, err := lists.Open(req, nil)
	if err != nil {
		return page.Page[APIKey]{}, err
	}
	rows, err := s.DB.Ent.APIKey.Query().Where(q.Apply).Limit(q.Fetch()).All(ctx)
	if err != nil {
		return page.Page[APIKey]{}, database.Wrap("list", entity, err)
	}
	rows, next := q.Cut(rows)
	out := page.Page[APIKey]{Items: make([]APIKey, len(rows)), NextCursor: next}
	for i, r := range rows {
		out.Items[i] = toKey(r)
	}
	return out, nil
}

// Names gives the names of keys by actor, for showing who did something. An
// actor that is no key, or a key that is gone, is absent.
func (s *Service) Names(ctx context.Context, actors ...string) (map[string]string, error) {
	var ids []uuid.UUID
	for _, a := range actors {
		if id, err := uuid.Parse(strings.TrimPrefix(a, "api_key:")); err == nil {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := s.DB.Ent.APIKey.Query().Where(apikey.IDIn(ids...)).All(ctx)
	if err != nil {
		return nil, database.Wrap("list", entity, err)
	}
	names := make(map[string]string, len(rows))
	for _, r := range rows {
		names[toKey(r).Actor()] = r.Name
	}
	return names, nil
}

func toKey(r *db.APIKey) APIKey {
	return APIKey{
		ID: r.ID, Name: r.Name, Prefix: r.Prefix, CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt, LastUsedAt: r.LastUsedAt, RevokedAt: r.RevokedAt,
	}
}
