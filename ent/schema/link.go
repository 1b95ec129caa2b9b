package schema

import (
	"slices"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"
)

// Link is one sign-in of an invitee at a realm (plex, …), so that their account there
// can be given access. It stays claimed by one redemption, and is consumed once.
type Link struct{ ent.Schema }

// Fields of the Link.
func (Link) Fields() []ent.Field {
	return slices.Concat([]ent.Field{
		id(),
		field.String("public_id").NotEmpty().Immutable().Unique().
			Comment("128 random bits as text: what the invitee polls."),
		field.String("code").NotEmpty().Immutable(),
		field.UUID("invitation_id", uuid.UUID{}).Optional().Nillable(),
		field.String("realm").NotEmpty().Immutable(),
		field.UUID("server_id", uuid.UUID{}).Optional().Nillable().
			Comment("The server whose plugin drives the link."),
		field.Enum("state").
			Values("pending", "approved", "denied", "expired", "failed", "claimed", "consumed").
			Default("pending"),
		field.Bytes("sealed_state").Optional().Sensitive().
			Comment("What the plugin needs to go on, sealed; NULL once the link is ended."),
		field.String("account_id").Optional().Nillable(),
		field.String("account_name").Optional().Nillable(),
		field.String("account_email").Optional().Nillable(),
		field.String("authorize_url").Default(""),
		field.String("user_code").Optional().Nillable(),
		field.Int("poll_after_ms").Default(0),
		field.Time("expires_at"),
		field.UUID("claimed_by", uuid.UUID{}).Optional().Nillable().
			Comment("The redemption that holds the link."),
		field.String("client_address").Default(""),
		field.Time("attempted_at").Optional().Nillable().
			Comment("When somebody last tried to undo the sign-in upstream."),
		field.Time("ended_at").Optional().Nillable().
			Comment("When the sign-in was undone upstream."),
	}, failure(), times())
}

// Edges of the Link.
func (Link) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("invitation", Invitation.Type).Ref("links").Field("invitation_id").Unique(),
		edge.From("server", MediaServer.Type).Ref("links").Field("server_id").Unique(),
		edge.From("redemption", Redemption.Type).Ref("links").Field("claimed_by").Unique(),
		edge.To("steps", RedemptionStep.Type).Annotations(entsql.OnDelete(entsql.SetNull)),
	}
}

// Indexes of the Link.
func (Link) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("invitation_id"),
		index.Fields("server_id"),
		index.Fields("claimed_by"),
		// What the sweeper looks for: links that nobody has ended yet.
		index.Fields("expires_at").Annotations(entsql.IndexWhere("ended_at IS NULL")),
	}
}

// Annotations of the Link.
func (s Link) Annotations() []schema.Annotation {
	return []schema.Annotation{checks("links", s.Fields(), map[string]string{
		"poll_after_ms": "poll_after_ms >= 0",
	})}
}
