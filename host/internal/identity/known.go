package identity

import (
	"context"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/user"
	"github.com/zondarr/zondarr/host/internal/database"
)

// Known says whether an account of a server is a user, by its external id.
func (s *Service) Known(ctx context.Context, serverID uuid.UUID, externalID string) (bool, error) {
	known, err := s.DB.Ent.User.Query().Where(user.ServerID(serverID), user.ExternalID(externalID)).Exist(ctx)
	return known, database.Wrap("get", entityUser, err)
}

// IsKnown says that CreateTx failed since an account is a user already.
func IsKnown(err error) bool {
	return database.ConflictOn(err, user.Table, user.FieldServerID, user.FieldExternalID)
}

// HoldersTx gives the users with these ids, and those whose server calls them by
// the external id, in the caller's transaction.
func (s *Service) HoldersTx(ctx context.Context, tx *db.Tx, ids []uuid.UUID, externalID string) ([]User, error) {
	rows, err := withServer(tx.User.Query().Where(user.Or(user.IDIn(ids...), user.ExternalID(externalID)))).
		Order(user.ByCreatedAt(), user.ByID()).All(ctx)
	if err != nil {
		return nil, database.Wrap("list", entityUser, err)
	}
	out := make([]User, len(rows))
	for i, row := range rows {
		out[i] = s.toUser(row)
	}
	return out, nil
}
