package api

import (
	"context"
)

// Paused says whether background work is held back, and what it would do.
type Paused struct {
	Paused  bool         `json:"paused" doc:"While true no redemption begins, and unfinished ones, expiry and other background work touch no media server."`
	Intents []PausedWork `json:"intents" nullable:"false" doc:"What background work would do now, at most 2,000 entries."`
}

// PausedWork is one thing that background work would do to one account.
type PausedWork struct {
	Kind         string  `json:"kind" doc:"redemption or expiry."`
	Would        string  `json:"would" doc:"record_account, delete_account, look_for_account, needs_attention; disable or delete."`
	Username     string  `json:"username"`
	ServerID     *string `json:"server_id"`
	ServerName   string  `json:"server_name"`
	RedemptionID *string `json:"redemption_id"`
	UserID       *string `json:"user_id"`
}

// getPause shows what a restored or cloned instance would do, before an admin
// lets it.
func (a *API) getPause(ctx context.Context, _ *struct{}) (*body[Paused], error) {
	on, err := a.Pause.On(ctx)
	if err != nil {
		return nil, err
	}
	redemptions, err := a.Redemptions.Pending(ctx)
	if err != nil {
		return nil, err
	}
	expiries, err := a.Identities.Pending(ctx)
	if err != nil {
		return nil, err
	}
	out := Paused{Paused: on, Intents: []PausedWork{}}
	for _, i := range redemptions {
		out.Intents = append(out.Intents, PausedWork{
			Kind: "redemption", Would: string(i.Would), Username: i.Username, ServerID: idText(i.ServerID), ServerName: i.ServerName,
			RedemptionID: idText(&i.RedemptionID),
		})
	}
	for _, i := range expiries {
		out.Intents = append(out.Intents, PausedWork{
			Kind: "expiry", Would: i.Would, Username: i.Username, ServerID: idText(&i.ServerID), ServerName: i.ServerName, UserID: idText(&i.UserID),
		})
	}
	return ok(out), nil
}

func (a *API) resume(ctx context.Context, _ *NoBody) (*body[Paused], error) {
	was, err := a.Pause.Lift(ctx)
	if err != nil {
		return nil, err
	}
	if was {
		a.Logger.InfoContext(ctx, "resumed", "by", actor(ctx))
	}
	return ok(Paused{Intents: []PausedWork{}}), nil
}
