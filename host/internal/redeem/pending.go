package redeem

import (
	"context"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/redemption"
	"github.com/zondarr/zondarr/host/internal/database"
)

// Intent is what recovery will do on one media server, once the instance is not
// paused: what an admin sees before resuming.
type Intent struct {
	RedemptionID uuid.UUID
	Code         string
	Username     string
	ServerID     *uuid.UUID
	ServerName   string
	Would        Would
}

// Would is one thing that recovery does.
type Would string

// What recovery does.
const (
	// WouldRecord records an account that was made; nothing is changed there.
	WouldRecord Would = "record_account"
	// WouldDelete deletes an account by its recorded id.
	WouldDelete Would = "delete_account"
	// WouldLookFor looks for an account of unknown outcome, and deletes it if it
	// is beyond doubt ours.
	WouldLookFor Would = "look_for_account"
	// WouldAsk leaves the account alone and asks an admin.
	WouldAsk Would = "needs_attention"
)

// maxIntents bounds the list: what cannot be read by a person need not be complete.
const maxIntents = 1000

// Pending tells what recovery would do now, oldest first.
func (s *Service) Pending(ctx context.Context) ([]Intent, error) {
	rows, err := withSteps(s.DB.Ent.Redemption.Query().Where(
		redemption.FinishedAtIsNil(), redemption.StateIn(redemption.StateInProgress, redemption.StateUndoing),
	).Order(db.Asc(redemption.FieldCreatedAt)).Limit(maxIntents)).All(ctx)
	if err != nil {
		return nil, database.Wrap("list", entity, err)
	}
	out := []Intent{}
	for _, row := range rows {
		r := toRedemption(row)
		forward := r.State == InProgress && r.complete()
		for _, st := range r.Steps {
			would := s.would(st)
			if forward && would != "" {
				would = WouldRecord
			}
			if would == "" {
				continue
			}
			out = append(out, Intent{RedemptionID: r.ID, Code: r.Code, Username: st.Username, ServerID: st.ServerID, ServerName: st.ServerName, Would: would})
		}
	}
	return out, nil
}

func (s *Service) would(st Step) Would {
	e := s.endOf(st)
	switch {
	case e.state == StepNeedsAttention && st.State != StepNeedsAttention:
		return WouldAsk
	case e.state != StepUndoing:
		return ""
	case st.ExternalID != nil:
		return WouldDelete
	default:
		return WouldLookFor
	}
}

// complete says that every account is recorded, so that the redemption can be
// finished forward.
func (r Redemption) complete() bool {
	done := 0
	for _, st := range r.Steps {
		switch {
		case st.State == StepSkipped:
		case st.State != StepDone, st.ExternalID == nil, st.ServerID == nil, st.Error != nil:
			return false
		default:
			done++
		}
	}
	return done > 0
}
