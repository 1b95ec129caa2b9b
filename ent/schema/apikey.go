package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// APIKey opens the management API. Only a hash of it is stored, found by its prefix.
type APIKey struct{ ent.Schema }

// Fields of the APIKey.
func (APIKey) Fields() []ent.Field {
	return []ent.Field{
		id(),
		field.String("name").NotEmpty(),
		field.String("prefix").NotEmpty().Immutable().Unique().
			Comment("The public part of the key, by which it is found."),
		field.Bytes("hash").NotEmpty().Immutable().Sensitive(),
		field.String("created_by").Default("system").Immutable(),
		field.Time("last_used_at").Optional().Nillable(),
		field.Time("revoked_at").Optional().Nillable(),
		createdAt(),
	}
}

// Indexes of the APIKey.
func (APIKey) Indexes() []ent.Index {
	return []ent.Index{index.Fields("created_at", "id")}
}

// Annotations of the APIKey.
func (s APIKey) Annotations() []schema.Annotation {
	return []schema.Annotation{checks("api_keys", s.Fields(), nil)}
}
