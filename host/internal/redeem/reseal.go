package redeem

import (
	"context"
	"fmt"

	linkrow "github.com/zondarr/zondarr/ent/db/link"
	"github.com/zondarr/zondarr/host/internal/database"
)

// resealer seals again under the current key (package secret).
type resealer interface {
	Reseal(context string, sealed []byte) (resealed []byte, changed bool, err error)
}

// Reseal seals the state of every link that has not ended under the current key
// and gives how many it changed. It can be stopped and begun again.
func (s *Service) Reseal(ctx context.Context, box resealer) (int, error) {
	rows, err := s.DB.Ent.Link.Query().Where(linkrow.EndedAtIsNil()).Order(linkrow.ByID()).All(ctx)
	if err != nil {
		return 0, database.Wrap("list", entityLink, err)
	}
	done := 0
	for _, row := range rows {
		if len(row.SealedState) == 0 {
			continue
		}
		sealed, changed, err := box.Reseal(linkContext(row.ID), row.SealedState)
		if err != nil {
			return done, fmt.Errorf("reseal the state of link %s: %w", row.ID, err)
		}
		if !changed {
			continue
		}
		n, err := s.DB.Ent.Link.Update().Where(linkrow.ID(row.ID), linkrow.SealedState(row.SealedState)).SetSealedState(sealed).SetUpdatedAt(row.UpdatedAt).Save(ctx)
		if err != nil {
			return done, database.Wrap("update", entityLink, err)
		}
		done += n
	}
	return done, nil
}
