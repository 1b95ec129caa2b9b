package identity

import (
	"context"

	"github.com/zondarr/zondarr/ent/db/user"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/secret"
)

// Sealed gives the plugin state of every suspended account, to be sealed under
// another key.
func (s *Service) Sealed(ctx context.Context) ([]secret.Value, error) {
	rows, err := s.DB.Ent.User.Query().Where(user.PluginStateNotNil()).Order(user.ByID()).
		Select(user.FieldID, user.FieldPluginState).All(ctx)
	if err != nil {
		return nil, database.Wrap("list", entityUser, err)
	}
	values := make([]secret.Value, len(rows))
	for i, row := range rows {
		values[i] = secret.Value{
			Name: "the plugin state of user " + row.ID.String(), Context: stateContext(User{ID: row.ID}), Sealed: row.PluginState,
			Replace: func(ctx context.Context, sealed []byte) (bool, error) {
				n, err := s.DB.Ent.User.Update().Where(user.ID(row.ID), user.PluginState(row.PluginState)).
					SetPluginState(sealed).Modify(database.KeepUpdatedAt).Save(ctx)
				return n == 1, database.Wrap("update", entityUser, err)
			},
		}
	}
	return values, nil
}
