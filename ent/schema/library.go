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

// Library is a content collection on a media server (R2.2). One that vanished there is
// marked missing, never deleted, so that the invitations that name it say so.
type Library struct{ ent.Schema }

// Fields of the Library.
func (Library) Fields() []ent.Field {
	return slices.Concat([]ent.Field{
		id(),
		field.UUID("server_id", uuid.UUID{}).Immutable(),
		field.String("external_id").NotEmpty().Immutable(),
		field.String("name"),
		field.String("library_type").NotEmpty(),
		field.Time("missing_since").Optional().Nillable(),
	}, times())
}

// Edges of the Library.
func (Library) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("server", MediaServer.Type).Ref("libraries").Field("server_id").Unique().Required().Immutable(),
		edge.To("invitation_libraries", InvitationLibrary.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("profile_libraries", ProfileLibrary.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes of the Library.
func (Library) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("server_id", "external_id").Unique(),
		index.Fields("server_id", "name", "id"),
		index.Fields("server_id", "created_at", "id"),
	}
}

// Annotations of the Library.
func (s Library) Annotations() []schema.Annotation {
	return []schema.Annotation{checks("libraries", s.Fields(), nil)}
}
