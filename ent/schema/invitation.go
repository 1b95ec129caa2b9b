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

// codeAlphabet is every character of a stored code.
const codeAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

// Invitation is a code that grants access to one or more media servers (R2.3).
type Invitation struct{ ent.Schema }

// Fields of the Invitation.
func (Invitation) Fields() []ent.Field {
	return slices.Concat([]ent.Field{
		id(),
		field.String("code").NotEmpty().Immutable().Unique().
			Comment("Stored in upper case."),
		field.String("label").Default(""),
		field.String("note").Optional().Nillable(),
		field.Time("expires_at").Optional().Nillable(),
		field.Int("max_uses").Optional().Nillable().
			Comment("NULL is unlimited."),
		field.Int("use_count").Default(0),
		field.Int("duration_days").Optional().Nillable(),
		field.Enum("on_expiry").Values(expiryDisable, expiryDelete).Default(expiryDisable),
		field.Enum("email").Values("off", "optional", "required").Default("optional"),
		field.Bool("enabled").Default(true),
		field.UUID("profile_id", uuid.UUID{}).Optional().Nillable(),
		field.String("created_by").Default("system").Immutable().
			Comment("api_key:<id>, admin:<id> or system."),
	}, times())
}

// Edges of the Invitation. Deleting one deletes no users (R2.8).
func (Invitation) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("profile", Profile.Type).Ref("invitations").Field("profile_id").Unique(),
		edge.To("servers", InvitationServer.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("identities", Identity.Type).Annotations(entsql.OnDelete(entsql.SetNull)),
		edge.To("users", User.Type).Annotations(entsql.OnDelete(entsql.SetNull)),
		edge.To("redemptions", Redemption.Type).Annotations(entsql.OnDelete(entsql.SetNull)),
		edge.To("links", Link.Type).Annotations(entsql.OnDelete(entsql.SetNull)),
	}
}

// Indexes of the Invitation.
func (Invitation) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("created_at", "id"),
		index.Fields("enabled", "created_at", "id"),
		index.Fields("profile_id", "created_at", "id"),
		index.Fields("created_by", "created_at", "id"),
		index.Fields("expires_at", "id"),
	}
}

// Annotations of the Invitation.
func (s Invitation) Annotations() []schema.Annotation {
	return []schema.Annotation{checks("invitations", s.Fields(), map[string]string{
		// What is left of a code once the alphabet is taken away: nothing.
		"code":          "length(code) >= 4 AND length(code) <= 64 AND ltrim(code, '" + codeAlphabet + "') = ''",
		"max_uses":      "max_uses IS NULL OR max_uses >= 1",
		"use_count":     "use_count >= 0 AND (max_uses IS NULL OR use_count <= max_uses)",
		"duration_days": "duration_days IS NULL OR duration_days >= 1",
	})}
}
