package redeem

import (
	"cmp"
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/host/internal/invitation"
	"github.com/zondarr/zondarr/sdk"
)

// Preview is what an invitee sees of a code before typing anything. It holds no
// internal address, label, note or count.
type Preview struct {
	Code  string
	State invitation.State
	// ErrorCode and Message say why the code cannot be redeemed; empty when it can.
	ErrorCode    string
	Message      string
	ExpiresAt    *time.Time
	DurationDays *int
	Servers      []PreviewServer
	Fields       []Field
	Links        []PreviewLink
}

// PreviewServer is one server of an invitation, as the invitee sees it.
type PreviewServer struct {
	ServerID   uuid.UUID
	Name       string
	ServerType string
	// DisplayName is what people call the type.
	DisplayName string
	JoinFlow    sdk.JoinFlow
	// Realm is where the account lives; empty for the password flow.
	Realm string
	// Available is false for a server that is switched off, and skipped.
	Available bool
	// Libraries names them; nil for all there are.
	Libraries []string
}

// PreviewLink is a sign-in that is needed before the code can be redeemed.
type PreviewLink struct {
	Realm     string
	Label     string
	ServerIDs []uuid.UUID
}

// Preview tells what a code gives and what it asks for, or
// invitation_not_found. A code that cannot be redeemed says so in its state.
func (s *Service) Preview(ctx context.Context, code string) (Preview, error) {
	offer, err := s.Invitations.Check(ctx, code)
	if err != nil {
		return Preview{}, err
	}
	p := s.plan(offer)
	out := Preview{
		Code: offer.Code, State: offer.State, ErrorCode: offer.State.ErrorCode(), Message: offer.State.Message(),
		ExpiresAt: offer.ExpiresAt, DurationDays: offer.DurationDays, Fields: p.fields(), Links: []PreviewLink{},
		Servers: make([]PreviewServer, len(p.targets)),
	}
	for i, t := range p.targets {
		out.Servers[i] = PreviewServer{
			ServerID: t.offer.ServerID, Name: t.offer.Name, ServerType: t.offer.Type, DisplayName: cmp.Or(t.description.DisplayName, t.offer.Type),
			JoinFlow: t.abilities.JoinFlow, Realm: t.realm(), Available: t.live() && t.described, Libraries: t.libraryNames(),
		}
	}
	for _, realm := range p.realms() {
		out.Links = append(out.Links, PreviewLink{Realm: realm, Label: p.labelOf(realm), ServerIDs: p.serversOf(realm)})
	}
	return out, nil
}

// libraryNames gives the names of the libraries that are left, and nil for all.
func (t planned) libraryNames() []string {
	if t.offer.Grant.Access == sdk.LibraryAll {
		return nil
	}
	names := []string{}
	for _, l := range t.offer.Libraries {
		if !l.Missing {
			names = append(names, l.Name)
		}
	}
	return names
}
