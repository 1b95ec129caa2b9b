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

// Identity is one person, known to Zondarr, who owns accounts on media servers (R2.4).
type Identity struct{ ent.Schema }

// Fields of the Identity.
func (Identity) Fields() []ent.Field {
	return slices.Concat([]ent.Field{
		id(),
		field.String("display_name"),
		field.String("email").Optional().Nillable(),
		field.String("note").Optional().Nillable(),
		field.Bool("enabled").Default(true),
		field.Time("expires_at").Optional().Nillable().
			Comment("Set by an admin only; a user ends at the earlier of its own expiry and this one."),
		field.UUID("invitation_id", uuid.UUID{}).Optional().Nillable(),
	}, times())
}

// Edges of the Identity. Deleting one deletes its users (R2.8).
func (Identity) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("invitation", Invitation.Type).Ref("identities").Field("invitation_id").Unique(),
		edge.To("users", User.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("redemptions", Redemption.Type).Annotations(entsql.OnDelete(entsql.SetNull)),
	}
}

// Indexes of the Identity.
func (Identity) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("created_at", "id"),
		index.Fields("display_name", "id"),
		index.Fields("enabled", "created_at", "id"),
		index.Fields("invitation_id", "created_at", "id"),
		index.Fields("expires_at", "id"),
	}
}

// Annotations of the Identity.
func (s Identity) Annotations() []schema.Annotation {
	return []schema.Annotation{checks("identities", s.Fields(), nil)}
}
