package identity

import (
	"context"
	"fmt"

	"github.com/zondarr/zondarr/ent/db/user"
	"github.com/zondarr/zondarr/host/internal/database"
)

// resealer seals again under the current key (package secret).
type resealer interface {
	Reseal(context string, sealed []byte) (resealed []byte, changed bool, err error)
}

// Reseal seals the plugin state of every suspended account under the current key
// and gives how many it changed. It can be stopped and begun again.
func (s *Service) Reseal(ctx context.Context, box resealer) (int, error) {
	rows, err := s.DB.Ent.User.Query().Where(user.PluginStateNotNil()).Order(user.ByID()).All(ctx)
	if err != nil {
		return 0, database.Wrap("list", entityUser, err)
	}
	done := 0
	for _, row := range rows {
		sealed, changed, err := box.Reseal(stateContext(s.toUser(row)), row.PluginState)
		if err != nil {
			return done, fmt.Errorf("reseal the plugin state of user %s: %w", row.ID, err)
		}
		if !changed {
			continue
		}
		n, err := s.DB.Ent.User.Update().Where(user.ID(row.ID), user.PluginState(row.PluginState)).SetPluginState(sealed).SetUpdatedAt(row.UpdatedAt).Save(ctx)
		if err != nil {
			return done, database.Wrap("update", entityUser, err)
		}
		done += n
	}
	return done, nil
}
