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

// Profile is a named set of choices that an invitation starts from.
type Profile struct{ ent.Schema }

// Fields of the Profile.
func (Profile) Fields() []ent.Field {
	return slices.Concat([]ent.Field{
		id(),
		field.String("name").NotEmpty().Unique(),
		field.String("label").Default("").
			Comment("The label of the invitations made from it."),
		field.String("note").Optional().Nillable(),
		field.Int("expires_after_days").Optional().Nillable().
			Comment("How long an invitation made from it is valid; NULL is for ever."),
		// No default: with one, a create could not say NULL.
		field.Int("max_uses").Optional().Nillable().
			Comment("NULL is unlimited."),
		field.Int("duration_days").Optional().Nillable(),
		field.Enum("on_expiry").Values(expiryDisable, expiryDelete).Default(expiryDisable),
		field.Enum("email").Values("off", "optional", "required").Default("optional"),
		field.Bool("is_default").Default(false),
		field.String("created_by").Default("system").Immutable(),
	}, times())
}

// Edges of the Profile.
func (Profile) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("servers", ProfileServer.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("invitations", Invitation.Type).Annotations(entsql.OnDelete(entsql.SetNull)),
	}
}

// Indexes of the Profile.
func (Profile) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("created_at", "id"),
		// At most one profile is the default.
		index.Fields("is_default").Unique().Annotations(entsql.IndexWhere("is_default = true")),
	}
}

// Annotations of the Profile.
func (s Profile) Annotations() []schema.Annotation {
	return []schema.Annotation{checks("profiles", s.Fields(), map[string]string{
		"max_uses":           "max_uses IS NULL OR max_uses >= 1",
		"duration_days":      "duration_days IS NULL OR duration_days >= 1",
		"expires_after_days": "expires_after_days IS NULL OR expires_after_days >= 1",
	})}
}

// ProfileServer is one server of a profile and what is granted there.
type ProfileServer struct{ ent.Schema }

// Fields of the ProfileServer.
func (ProfileServer) Fields() []ent.Field {
	return slices.Concat([]ent.Field{
		id(),
		field.UUID("profile_id", uuid.UUID{}).Immutable(),
		field.UUID("server_id", uuid.UUID{}).Immutable(),
	}, grant(), []ent.Field{
		field.Int("position").Default(0),
	})
}

// Edges of the ProfileServer.
func (ProfileServer) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("profile", Profile.Type).Ref("servers").Field("profile_id").Unique().Required().Immutable(),
		edge.From("server", MediaServer.Type).Ref("profile_servers").Field("server_id").Unique().Required().Immutable(),
		edge.To("libraries", ProfileLibrary.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes of the ProfileServer.
func (ProfileServer) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("profile_id", "server_id").Unique(),
		index.Fields("server_id"),
	}
}

// Annotations of the ProfileServer.
func (s ProfileServer) Annotations() []schema.Annotation {
	return []schema.Annotation{checks("profile_servers", s.Fields(), nil)}
}

// ProfileLibrary is one library of a profile's grant; rows exist exactly where the
// access is "only".
type ProfileLibrary struct{ ent.Schema }

// Fields of the ProfileLibrary.
func (ProfileLibrary) Fields() []ent.Field {
	return []ent.Field{
		id(),
		field.UUID("profile_server_id", uuid.UUID{}).Immutable(),
		field.UUID("library_id", uuid.UUID{}).Immutable(),
	}
}

// Edges of the ProfileLibrary.
func (ProfileLibrary) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("profile_server", ProfileServer.Type).Ref("libraries").Field("profile_server_id").Unique().Required().Immutable(),
		edge.From("library", Library.Type).Ref("profile_libraries").Field("library_id").Unique().Required().Immutable(),
	}
}

// Indexes of the ProfileLibrary.
func (ProfileLibrary) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("profile_server_id", "library_id").Unique(),
		index.Fields("library_id"),
	}
}

// Annotations of the ProfileLibrary.
func (ProfileLibrary) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Table("profile_libraries")}
}
