package redeem

import (
	"context"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/redemptionstep"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
)

// knownAccounts refuses linked accounts that have access to a server of the plan
// already, before anything is done; and gives the identity that a linked account
// belongs to, which the new users will join.
func (s *Service) knownAccounts(ctx context.Context, tx *db.Tx, p plan, links map[string]link) (*uuid.UUID, error) {
	var person *uuid.UUID
	for realm, l := range links {
		// An account is known by a step that made it a user, or by a user whose
		// server calls it by the same id.
		made, err := tx.RedemptionStep.Query().Where(redemptionstep.LinkedAccountID(l.accountID), redemptionstep.UserIDNotNil()).All(ctx)
		if err != nil {
			return nil, database.Wrap("list", entityStep, err)
		}
		ids := make([]uuid.UUID, len(made))
		for i, st := range made {
			ids[i] = *st.UserID
		}
		users, err := s.Identities.HoldersTx(ctx, tx, ids, l.accountID)
		if err != nil {
			return nil, err
		}
		for _, u := range users {
			desc, err := s.Clients.Describe(u.ServerType)
			if err != nil || desc.Realm != realm {
				continue // the same text, and another world's id
			}
			for _, t := range p.targets {
				if t.live() && t.offer.ServerID == u.ServerID {
					e := fault.New(fault.Conflict, fault.CodeAlreadyMember, "You already have access to %s. Nothing was changed, and your invitation was not used up.", t.offer.Name)
					e.Server = &fault.Server{ID: t.offer.ServerID.String(), Name: t.offer.Name}
					return nil, e
				}
			}
			if person != nil && *person == u.IdentityID {
				continue
			}
			// An admin may have switched this person off; another code does not undo that.
			err = s.Identities.JoinTx(ctx, tx, u.IdentityID)
			if fault.CodeOf(err) == fault.CodeForbidden {
				return nil, fault.New(fault.Forbidden, fault.CodeForbidden, accessEnded)
			}
			if err != nil {
				return nil, err
			}
			person = &u.IdentityID
		}
	}
	return person, nil
}

const accessEnded = "Your access was ended here. Ask whoever invited you."
