package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
)

// Instance is what one installation knows of itself, by key: its id, the sealed value
// that shows a wrong secret key, whether it is paused, where it moved to.
type Instance struct{ ent.Schema }

// Fields of the Instance.
func (Instance) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("key").NotEmpty().Immutable(),
		field.Bytes("value").Sensitive(),
		updatedAt(),
	}
}

// Annotations of the Instance.
func (s Instance) Annotations() []schema.Annotation {
	return []schema.Annotation{checks("instance", s.Fields(), nil)}
}

// Lease is the right of one host, for a while, to do what only one may do.
type Lease struct{ ent.Schema }

// Fields of the Lease.
func (Lease) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("name").NotEmpty().Immutable(),
		field.String("owner"),
		field.Int64("fence").Default(1).
			Comment("Rises whenever the owner changes."),
		field.Time("until").
			Comment("In database time."),
	}
}

// Annotations of the Lease.
func (s Lease) Annotations() []schema.Annotation {
	return []schema.Annotation{checks("leases", s.Fields(), map[string]string{
		"fence": "fence >= 1",
	})}
}
