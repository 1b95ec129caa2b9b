package mediaserver

import (
	"context"
	"fmt"

	"github.com/zondarr/zondarr/ent/db/mediaserver"
	"github.com/zondarr/zondarr/host/internal/database"
)

// resealer seals again under the current key (package secret).
type resealer interface {
	Reseal(context string, sealed []byte) (resealed []byte, changed bool, err error)
}

// Reseal seals the secrets of every server under the current key and gives how
// many it changed. It can be stopped and begun again, and leaves alone what
// somebody changes meanwhile: that is sealed under the current key already.
func (s *Service) Reseal(ctx context.Context, box resealer) (int, error) {
	rows, err := all(ctx, s.DB.Ent)
	if err != nil {
		return 0, err
	}
	done := 0
	for _, row := range rows {
		if len(row.Secrets) == 0 {
			continue
		}
		sealed, changed, err := box.Reseal(sealContext(row.ID), row.Secrets)
		if err != nil {
			return done, fmt.Errorf("reseal the secrets of server %s: %w", row.ID, err)
		}
		if !changed {
			continue
		}
		n, err := s.DB.Ent.MediaServer.Update().Where(mediaserver.ID(row.ID), mediaserver.Secrets(row.Secrets)).SetSecrets(sealed).Save(ctx)
		if err != nil {
			return done, database.Wrap("update", entity, err)
		}
		done += n
	}
	return done, nil
}
