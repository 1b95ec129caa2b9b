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

// Redemption is one attempt to turn an invitation into users on all of its servers. It
// outlives its invitation, and keeps the code.
type Redemption struct{ ent.Schema }

// Fields of the Redemption.
func (Redemption) Fields() []ent.Field {
	return slices.Concat([]ent.Field{
		id(),
		field.UUID("invitation_id", uuid.UUID{}).Optional().Nillable(),
		field.String("code").NotEmpty().Immutable(),
		field.String("public_id").NotEmpty().Immutable().Unique().
			Comment("128 random bits as text: what the invitee polls."),
		field.Enum("state").Values("in_progress", "completed", "undoing", "failed", "needs_attention").Default("in_progress"),
		field.String("username").Default(""),
		field.String("email").Optional().Nillable(),
		field.String("display_name").Optional().Nillable(),
		field.UUID("identity_id", uuid.UUID{}).Optional().Nillable(),
		field.String("client_address").Default(""),
		field.Int("duration_days").Optional().Nillable().
			Comment("Copied when the use was taken; later edits of the invitation do not reach it."),
		field.Enum("on_expiry").Values(expiryDisable, expiryDelete).Default(expiryDisable),
		field.String("idempotency_key").Optional().Nillable().
			Comment("Set to NULL when it is no longer kept."),
		field.Bytes("request_mac").Optional().Sensitive(),
		field.String("lease_owner").Optional().Nillable(),
		field.Int64("lease_fence").Default(0).
			Comment("Rises with every taking of the lease; every transition is conditional on it."),
		field.Time("lease_until").Optional().Nillable(),
		field.Time("next_attempt_at").Optional().Nillable(),
		field.String("correlation_id").Default(""),
		field.Time("finished_at").Optional().Nillable(),
	}, failure(), times())
}

// Edges of the Redemption.
func (Redemption) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("invitation", Invitation.Type).Ref("redemptions").Field("invitation_id").Unique(),
		edge.From("identity", Identity.Type).Ref("redemptions").Field("identity_id").Unique(),
		edge.To("steps", RedemptionStep.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("users", User.Type).Annotations(entsql.OnDelete(entsql.SetNull)),
		edge.To("links", Link.Type).Annotations(entsql.OnDelete(entsql.SetNull)),
	}
}

// Indexes of the Redemption.
func (Redemption) Indexes() []ent.Index {
	return []ent.Index{
		// NULLs differ from each other, so a key that is no longer kept claims nothing.
		index.Fields("code", "idempotency_key").Unique(),
		index.Fields("created_at", "id"),
		index.Fields("invitation_id", "created_at", "id"),
		index.Fields("identity_id", "created_at", "id"),
		index.Fields("state", "created_at", "id"),
		// What recovery looks for: unfinished work, few among many.
		index.Fields("lease_until").Annotations(entsql.IndexWhere("finished_at IS NULL")),
	}
}

// Annotations of the Redemption.
func (s Redemption) Annotations() []schema.Annotation {
	return []schema.Annotation{checks("redemptions", s.Fields(), map[string]string{
		"duration_days": "duration_days IS NULL OR duration_days >= 1",
		"lease_fence":   "lease_fence >= 0",
	})}
}
