package redeem

import (
	"context"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/mediaserver"
	"github.com/zondarr/zondarr/ent/db/predicate"
	"github.com/zondarr/zondarr/ent/db/redemption"
	"github.com/zondarr/zondarr/ent/db/redemptionstep"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/fault"
	"github.com/zondarr/zondarr/host/internal/invitation"
)

// Result tells how a redemption goes, by the code and the public id that Join
// gave. One that did not work is a Result that says so, not an error.
func (s *Service) Result(ctx context.Context, code, publicID string) (Result, error) {
	row, err := s.answer(ctx, redemption.PublicID(publicID))
	if db.IsNotFound(err) {
		return Result{}, fault.Missing(entity, publicID)
	}
	if err != nil {
		return Result{}, database.Wrap("get", entity, err)
	}
	if !invitation.Means(code, row.Code) {
		return Result{}, fault.Missing(entity, publicID)
	}
	return s.toResult(row), nil
}

// result gives the answer of Join: the error of what did not work.
func (s *Service) result(ctx context.Context, id uuid.UUID) (Result, error) {
	row, err := s.answer(ctx, redemption.ID(id))
	if err != nil {
		return Result{}, database.Wrap("get", entity, err)
	}
	out := s.toResult(row)
	if out.State == InProgress || out.State == Completed {
		return out, nil
	}
	return out, toRedemption(row).asFault()
}

func (s *Service) answer(ctx context.Context, which predicate.Redemption) (*db.Redemption, error) {
	return s.DB.Ent.Redemption.Query().Where(which).WithSteps(func(q *db.RedemptionStepQuery) {
		q.Order(redemptionstep.ByPosition(), redemptionstep.ByID()).WithUser()
		q.WithServer(targetColumns)
	}).Only(ctx)
}

func (s *Service) toResult(row *db.Redemption) Result {
	r := toRedemption(row)
	out := Result{Code: r.Code, PublicID: r.PublicID, State: r.State, Users: []ResultUser{}, Failed: []ResultFailure{}, Message: r.told()}
	if r.Error != nil {
		out.ErrorCode = r.Error.ErrorCode
	}
	for i, st := range r.Steps {
		stored := row.Edges.Steps[i]
		if u := stored.Edges.User; u != nil && st.State == StepDone {
			out.Users = append(out.Users, ResultUser{
				ServerID: u.ServerID, ServerName: st.ServerName, ServerType: st.ServerType, Username: u.Username, Status: string(u.Status),
				SignInURL: s.signInURL(stored.Edges.Server, st.ServerType), Message: st.notice, ExpiresAt: database.MicroOf(u.ExpiresAt),
			})
		}
		if f := st.Error; f != nil && f.ErrorCode != fault.CodeUndoFailed { // which is the admin's concern
			out.Failed = append(out.Failed, ResultFailure{ServerID: st.ServerID, ServerName: st.ServerName, ErrorCode: f.ErrorCode, Message: f.Message})
		}
	}
	return out
}

// signInURL is the server's public address, else the type's own; where the host
// reaches the server is never told.
func (s *Service) signInURL(server *db.MediaServer, serverType string) *string {
	if server != nil && server.PublicURL != nil {
		return server.PublicURL
	}
	if desc, err := s.Clients.Describe(serverType); err == nil && desc.DefaultPublicURL != "" {
		return &desc.DefaultPublicURL
	}
	return nil
}

// targetColumns leaves the sealed secrets of servers where they are.
func targetColumns(q *db.MediaServerQuery) {
	q.Select(mediaserver.FieldID, mediaserver.FieldName, mediaserver.FieldServerType, mediaserver.FieldPublicURL)
}
