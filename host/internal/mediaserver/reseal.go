package mediaserver

import (
	"context"

	"github.com/zondarr/zondarr/ent/db/mediaserver"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/secret"
)

// Sealed gives the secrets of every server, to be sealed under another key.
func (s *Service) Sealed(ctx context.Context) ([]secret.Value, error) {
	rows, err := s.DB.Ent.MediaServer.Query().Where(mediaserver.SecretsNotNil()).Order(mediaserver.ByID()).
		Select(mediaserver.FieldID, mediaserver.FieldSecrets).All(ctx)
	if err != nil {
		return nil, database.Wrap("list", entity, err)
	}
	values := make([]secret.Value, len(rows))
	for i, row := range rows {
		values[i] = secret.Value{
			Name: "the secrets of server " + row.ID.String(), Context: sealContext(row.ID), Sealed: row.Secrets,
			Replace: func(ctx context.Context, sealed []byte) (bool, error) {
				n, err := s.DB.Ent.MediaServer.Update().Where(mediaserver.ID(row.ID), mediaserver.Secrets(row.Secrets)).
					SetSecrets(sealed).Modify(database.KeepUpdatedAt).Save(ctx)
				return n == 1, database.Wrap("update", entity, err)
			},
		}
	}
	return values, nil
}
