package identity

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/identity"
	"github.com/zondarr/zondarr/ent/db/user"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/grant"
	"github.com/zondarr/zondarr/sdk"
)

// New is a person with accounts that exist already on their servers.
type New struct {
	// IdentityID names the identity that the accounts join; nil makes one.
	IdentityID  *uuid.UUID
	DisplayName string
	Email       *string
	// InvitationID is where a new identity came from.
	InvitationID *uuid.UUID
	Users        []NewUser
}

// NewUser is one account that exists on its server.
type NewUser struct {
	ServerID uuid.UUID
	// Account is what the server said of it.
	Account sdk.User
	// Asked is the grant that was given, Libraries names its libraries: external
	// id to Zondarr's id.
	Asked     sdk.Grant
	Libraries map[string]string
	// ReadAt is when the server said it; nil when nobody asked.
	ReadAt       *time.Time
	ExpiresAt    *time.Time
	OnExpiry     string
	Origin       string
	InvitationID *uuid.UUID
	RedemptionID *uuid.UUID
}

// Created names what CreateTx made; UserIDs are in the order of New.Users.
type Created struct {
	IdentityID uuid.UUID
	UserIDs    []uuid.UUID
}

// CreateTx stores a person's accounts in the caller's transaction. Another user
// with the same external id on the same server is database.ErrConflict; an
// identity that cannot be joined is refused as by JoinTx.
func (s *Service) CreateTx(ctx context.Context, tx *db.Tx, n New) (Created, error) {
	out := Created{UserIDs: make([]uuid.UUID, len(n.Users))}
	now := s.Now()
	if n.IdentityID != nil {
		if err := s.JoinTx(ctx, tx, *n.IdentityID); err != nil {
			return out, err
		}
		out.IdentityID = *n.IdentityID
	} else {
		row, err := tx.Identity.Create().SetDisplayName(n.DisplayName).SetNillableEmail(n.Email).
			SetNillableInvitationID(n.InvitationID).SetCreatedAt(now).SetUpdatedAt(now).Save(ctx)
		if err != nil {
			return out, database.Wrap("create", "identity", err)
		}
		out.IdentityID = row.ID
	}
	rows := make([]*db.UserCreate, len(n.Users))
	for i, u := range n.Users {
		rows[i] = s.newUser(tx, out.IdentityID, u, now)
	}
	stored, err := tx.User.CreateBulk(rows...).Save(ctx)
	if err != nil {
		return out, database.Wrap("create", "user", err)
	}
	for i, row := range stored {
		out.UserIDs[i] = row.ID
	}
	return out, nil
}

// JoinTx makes sure that accounts may join an identity, and holds it as it is until
// the transaction ends: whoever changes or deletes it meanwhile waits, and sees
// what joined. It is fault.NotFound where there is none, and fault.Forbidden where
// the person was switched off or has expired.
func (s *Service) JoinTx(ctx context.Context, tx *db.Tx, id uuid.UUID) error {
	for range maxAttempts {
		row, err := tx.Identity.Get(ctx, id)
		if db.IsNotFound(err) {
			return fault.Missing(entity, id.String())
		}
		if err != nil {
			return database.Wrap("get", entity, err)
		}
		if s.toIdentity(row).State != StateActive {
			return fault.New(fault.Forbidden, fault.CodeForbidden, "This person's access was ended.")
		}
		n, err := tx.Identity.Update().Where(identity.ID(id), identity.UpdatedAt(row.UpdatedAt)).SetUpdatedAt(s.after(row.UpdatedAt)).Save(ctx)
		if err != nil || n == 1 {
			return database.Wrap("lock", entity, err)
		}
	}
	return changedMeanwhile(entity, id.String())
}

func (s *Service) newUser(tx *db.Tx, identityID uuid.UUID, u NewUser, now time.Time) *db.UserCreate {
	c := tx.User.Create().SetIdentityID(identityID).SetServerID(u.ServerID).
		SetExternalID(u.Account.ID).SetUsername(u.Account.Username).SetUsernameFolded(Fold(u.Account.Username)).
		SetProtected(u.Account.Protected).SetStatus(statusOf(u.Account.Status)).
		SetNillableExpiresAt(u.ExpiresAt).SetOnExpiry(user.OnExpiry(u.OnExpiry)).SetOrigin(user.Origin(u.Origin)).
		SetNillableInvitationID(u.InvitationID).SetNillableRedemptionID(u.RedemptionID).
		SetNillableAccessReadAt(u.ReadAt).SetNillableLastSeenAt(u.ReadAt).SetCreatedAt(now).SetUpdatedAt(now)
	if u.Account.Kind != "" {
		c.SetKind(u.Account.Kind)
	}
	if u.Account.Email != "" {
		c.SetEmail(u.Account.Email)
	}
	if !u.Account.LastActiveAt.IsZero() {
		c.SetLastActiveAt(database.Micro(u.Account.LastActiveAt))
	}
	if u.Asked.Libraries.Mode != "" {
		c.SetLibraryAccess(user.LibraryAccess(u.Asked.Libraries.Mode))
	}
	c.SetLibraries(u.Libraries).SetPermissions(grant.Words(merged(u.Asked.Permissions, u.Account.Permissions))).
		SetLimits(merged(u.Asked.Limits, u.Account.Limits)).SetOptions(merged(u.Asked.Options, u.Account.Options))
	return c
}

// merged gives what was asked for, with what the server said laid over it.
func merged[V any](asked, told map[string]V) map[string]V {
	out := make(map[string]V, len(asked)+len(told))
	for _, m := range []map[string]V{asked, told} {
		for name, v := range m {
			out[name] = v
		}
	}
	return out
}

func statusOf(s sdk.Status) user.Status {
	switch s {
	case sdk.StatusActive:
		return user.StatusActive
	case sdk.StatusSuspended:
		return user.StatusSuspended
	case sdk.StatusPending:
		return user.StatusPending
	default:
		return user.StatusUnknown
	}
}
