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

// InvitationServer is one server of an invitation and what is granted there (R2.6).
type InvitationServer struct{ ent.Schema }

// Fields of the InvitationServer.
func (InvitationServer) Fields() []ent.Field {
	return slices.Concat([]ent.Field{
		id(),
		field.UUID("invitation_id", uuid.UUID{}).Immutable(),
		field.UUID("server_id", uuid.UUID{}).Immutable(),
	}, grant(), []ent.Field{
		field.Int("position").Default(0),
	})
}

// Edges of the InvitationServer.
func (InvitationServer) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("invitation", Invitation.Type).Ref("servers").Field("invitation_id").Unique().Required().Immutable(),
		edge.From("server", MediaServer.Type).Ref("invitation_servers").Field("server_id").Unique().Required().Immutable(),
		edge.To("libraries", InvitationLibrary.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes of the InvitationServer.
func (InvitationServer) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("invitation_id", "server_id").Unique(),
		index.Fields("server_id"),
	}
}

// Annotations of the InvitationServer.
func (s InvitationServer) Annotations() []schema.Annotation {
	return []schema.Annotation{checks("invitation_servers", s.Fields(), nil)}
}

// InvitationLibrary is one library of an invitation's grant; rows exist exactly where
// the access is "only".
type InvitationLibrary struct{ ent.Schema }

// Fields of the InvitationLibrary.
func (InvitationLibrary) Fields() []ent.Field {
	return []ent.Field{
		id(),
		field.UUID("invitation_server_id", uuid.UUID{}).Immutable(),
		field.UUID("library_id", uuid.UUID{}).Immutable(),
	}
}

// Edges of the InvitationLibrary.
func (InvitationLibrary) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("invitation_server", InvitationServer.Type).Ref("libraries").Field("invitation_server_id").Unique().Required().Immutable(),
		edge.From("library", Library.Type).Ref("invitation_libraries").Field("library_id").Unique().Required().Immutable(),
	}
}

// Indexes of the InvitationLibrary.
func (InvitationLibrary) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("invitation_server_id", "library_id").Unique(),
		index.Fields("library_id"),
	}
}

// Annotations of the InvitationLibrary.
func (InvitationLibrary) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Table("invitation_libraries")}
}
