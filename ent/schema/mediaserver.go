package schema

import (
	"encoding/json"
	"slices"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// MediaServer is one Jellyfin, Plex, … instance that Zondarr manages accounts on (R2.1).
type MediaServer struct{ ent.Schema }

// Fields of the MediaServer.
func (MediaServer) Fields() []ent.Field {
	return slices.Concat([]ent.Field{
		id(),
		field.String("name").NotEmpty(),
		field.String("server_type").NotEmpty().Immutable(),
		field.String("url").NotEmpty().
			Comment("Where the plugin reaches the server; never shown to invitees."),
		field.String("public_url").Optional().Nillable().
			Comment("Where people sign in."),
		field.String("external_server_id").NotEmpty().
			Comment("The media server's own id, compared at every test."),
		field.JSON("settings", map[string]any{}).Default(noValues),
		field.Bytes("secrets").Optional().Sensitive().
			Comment("One sealed JSON map of the fields that the settings schema marks secret."),
		field.JSON("tls", json.RawMessage{}).Optional(),
		field.JSON("facts", json.RawMessage{}).Optional().
			Comment("What the connection test told last."),
		field.Bool("enabled").Default(true),
		field.Int64("revision").Default(1).
			Comment("Rises with every change that a plugin must see."),
		field.Enum("health_state").
			Values("unknown", "ok", "unreachable", "unauthorized", "wrong_server", "settings_invalid", "plugin_unavailable").
			Default("unknown"),
		field.Time("health_since").Default(now),
		field.Time("health_checked_at").Optional().Nillable(),
		field.String("health_error_code").Optional().Nillable(),
		field.String("health_message").Optional().Nillable(),
		field.Time("libraries_synced_at").Optional().Nillable(),
	}, times())
}

// Edges of the MediaServer. Deleting one deletes its libraries and its users' records (R2.8).
func (MediaServer) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("libraries", Library.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("users", User.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("invitation_servers", InvitationServer.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("profile_servers", ProfileServer.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("sync_runs", SyncRun.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("redemption_steps", RedemptionStep.Type).Annotations(entsql.OnDelete(entsql.SetNull)),
		edge.To("links", Link.Type).Annotations(entsql.OnDelete(entsql.SetNull)),
	}
}

// Indexes of the MediaServer.
func (MediaServer) Indexes() []ent.Index {
	return []ent.Index{
		// One server is managed through one row, or two rows would undo each other's work.
		index.Fields("server_type", "external_server_id").Unique(),
		index.Fields("created_at", "id"),
		index.Fields("name", "id"),
		index.Fields("enabled", "created_at", "id"),
	}
}

// Annotations of the MediaServer.
func (s MediaServer) Annotations() []schema.Annotation {
	return []schema.Annotation{checks("media_servers", s.Fields(), map[string]string{
		"revision": "revision >= 1",
	})}
}
