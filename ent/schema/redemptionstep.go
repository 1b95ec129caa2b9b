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

// RedemptionStep is what one redemption does on one server: its durable state, and a
// copy of the grant as it stood when the use was taken. It outlives its server, and
// keeps the server's name.
type RedemptionStep struct{ ent.Schema }

// Fields of the RedemptionStep.
func (RedemptionStep) Fields() []ent.Field {
	return slices.Concat([]ent.Field{
		id(),
		field.UUID("redemption_id", uuid.UUID{}).Immutable(),
		field.UUID("server_id", uuid.UUID{}).Optional().Nillable(),
		field.String("server_name"),
		field.String("server_type"),
		field.Enum("state").
			Values("pending", "creating", "done", "skipped", "failed", "undoing", "undone", "needs_attention").
			Default("pending"),
		field.UUID("operation_id", uuid.UUID{}).Default(newID).
			Comment("Given to the plugin with the create, so that one attempt can be told from another."),
		field.Time("deadline_at").Optional().Nillable(),
		field.String("username").Default(""),
		field.String("username_folded").Optional().Nillable().
			Comment("NULL where the server chooses the name; it then claims none."),
		field.Time("released_at").Optional().Nillable().
			Comment("NULL while the step holds its username on its server."),
		field.String("external_id").Optional().Nillable(),
		field.String("linked_account_id").Optional().Nillable(),
		field.UUID("link_id", uuid.UUID{}).Optional().Nillable(),
		field.Bool("absent_before").Optional().Nillable().
			Comment("Whether the name was looked up before the create and found to be free."),
	}, grant(), []ent.Field{
		field.JSON("libraries", map[string]string{}).Default(noText).
			Comment("Under access only: the external id of each library to Zondarr's id."),
		field.String("join_flow").Default(""),
		field.Bool("noticed").Default(true).
			Comment("Whether the invitee sees the creation at once (a mail), so that it runs last."),
		field.Int("position").Default(0),
		field.UUID("user_id", uuid.UUID{}).Optional().Nillable(),
		field.String("notice").Optional().Nillable().
			Comment("What is left for the invitee to do, in the words of the media server's plugin."),
		field.Int("attempts").Default(0),
		field.Time("next_attempt_at").Optional().Nillable(),
	}, failure(), times())
}

// Edges of the RedemptionStep.
func (RedemptionStep) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("redemption", Redemption.Type).Ref("steps").Field("redemption_id").Unique().Required().Immutable(),
		edge.From("server", MediaServer.Type).Ref("redemption_steps").Field("server_id").Unique(),
		edge.From("user", User.Type).Ref("redemption_steps").Field("user_id").Unique(),
		edge.From("link", Link.Type).Ref("steps").Field("link_id").Unique(),
	}
}

// Indexes of the RedemptionStep.
func (RedemptionStep) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("redemption_id", "server_id").Unique(),
		// A username on a server belongs to one live step at a time.
		index.Fields("server_id", "username_folded").Unique().Annotations(entsql.IndexWhere("released_at IS NULL")),
		index.Fields("server_id", "created_at", "id"),
		index.Fields("user_id"),
		index.Fields("link_id"),
		index.Fields("server_id", "external_id"),
	}
}

// Annotations of the RedemptionStep.
func (s RedemptionStep) Annotations() []schema.Annotation {
	return []schema.Annotation{checks("redemption_steps", s.Fields(), map[string]string{
		"attempts": "attempts >= 0",
	})}
}
