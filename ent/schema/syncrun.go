package schema

import (
	"slices"

	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"
)

// SyncRun is one comparison of a media server with what Zondarr knows of it.
type SyncRun struct{ ent.Schema }

// Fields of the SyncRun.
func (SyncRun) Fields() []ent.Field {
	return slices.Concat([]ent.Field{
		id(),
		field.UUID("server_id", uuid.UUID{}).Immutable(),
		field.Enum("scope").Values("libraries", "users").Immutable(),
		field.Enum("state").Values("running", "completed", "failed").Default("running"),
		field.Bool("dry_run").Default(false).Immutable(),
		field.JSON("counts", map[string]int64{}).Default(noNumbers),
		field.Time("started_at").Default(now).Immutable(),
		field.Time("finished_at").Optional().Nillable(),
	}, failure())
}

// Edges of the SyncRun.
func (SyncRun) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("server", MediaServer.Type).Ref("sync_runs").Field("server_id").Unique().Required().Immutable(),
	}
}

// Indexes of the SyncRun.
func (SyncRun) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("server_id", "started_at", "id"),
		index.Fields("started_at", "id"),
	}
}

// Annotations of the SyncRun.
func (s SyncRun) Annotations() []schema.Annotation {
	return []schema.Annotation{checks("sync_runs", s.Fields(), nil)}
}
