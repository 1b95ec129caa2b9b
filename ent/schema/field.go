package schema

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"github.com/google/uuid"
)

// id is the primary key of every entity that has no natural one. Version 7 keeps the
// inserts append-ordered and the ids of one host in order of creation.
func id() ent.Field {
	return field.UUID("id", uuid.UUID{}).Default(newID).Immutable()
}

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// times are the two stamps that a mutable entity carries.
func times() []ent.Field {
	return []ent.Field{createdAt(), updatedAt()}
}

func createdAt() ent.Field {
	return field.Time("created_at").Default(now).Immutable()
}

func updatedAt() ent.Field {
	return field.Time("updated_at").Default(now).UpdateDefault(now)
}

// now is the clock of the defaults: UTC, in the precision that both databases keep.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// Enumerations that several entities share.
const (
	accessAll  = "all"
	accessNone = "none"
	accessOnly = "only"

	expiryDisable = "disable"
	expiryDelete  = "delete"
)

// grant is what one row gives on one server. Library access has no default: access that
// nobody asked for must never be given (R2.6). A permission that is absent is unset.
func grant() []ent.Field {
	return append([]ent.Field{
		field.Enum("library_access").Values(accessAll, accessNone, accessOnly),
	}, grantDetails()...)
}

func grantDetails() []ent.Field {
	return []ent.Field{
		field.JSON("permissions", map[string]string{}).Default(noText).
			Comment("Name to allow or deny; an absent name is unset."),
		field.JSON("limits", map[string]int64{}).Default(noNumbers).
			Comment("Name to number in the unit that the server type declares; 0 is no limit, absent is unset."),
		field.JSON("options", map[string]any{}).Default(noValues).
			Comment("What only this server type has, by its options schema."),
	}
}

// failure is how something went wrong, for two readers: the message is for the person
// at the other end, the detail for the admin.
func failure() []ent.Field {
	return []ent.Field{
		field.String("error_code").Optional().Nillable(),
		field.String("error_message").Optional().Nillable(),
		field.String("error_detail").Optional().Nillable(),
		field.Bool("error_retryable").Default(false),
	}
}

// Defaults of the JSON columns: functions, since a map would be shared by all rows.
func noText() map[string]string   { return map[string]string{} }
func noNumbers() map[string]int64 { return map[string]int64{} }
func noValues() map[string]any    { return map[string]any{} }
