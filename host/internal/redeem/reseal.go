package redeem

import (
	"context"

	linkrow "github.com/zondarr/zondarr/ent/db/link"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/secret"
)

// Sealed gives the state of every link that has not ended, to be sealed under
// another key.
func (s *Service) Sealed(ctx context.Context) ([]secret.Value, error) {
	rows, err := s.DB.Ent.Link.Query().Where(linkrow.SealedStateNotNil()).Order(linkrow.ByID()).
		Select(linkrow.FieldID, linkrow.FieldSealedState).All(ctx)
	if err != nil {
		return nil, database.Wrap("list", entityLink, err)
	}
	values := make([]secret.Value, len(rows))
	for i, row := range rows {
		values[i] = secret.Value{
			Name: "the state of link " + row.ID.String(), Context: linkContext(row.ID), Sealed: row.SealedState,
			Replace: func(ctx context.Context, sealed []byte) (bool, error) {
				n, err := s.DB.Ent.Link.Update().Where(linkrow.ID(row.ID), linkrow.SealedState(row.SealedState)).
					SetSealedState(sealed).Modify(database.KeepUpdatedAt).Save(ctx)
				return n == 1, database.Wrap("update", entityLink, err)
			},
		}
	}
	return values, nil
}
