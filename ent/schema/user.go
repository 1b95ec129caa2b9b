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

// User is one account on one media server, owned by an identity (R2.5).
type User struct{ ent.Schema }

// Fields of the User.
func (User) Fields() []ent.Field {
	return slices.Concat([]ent.Field{
		id(),
		field.UUID("identity_id", uuid.UUID{}),
		field.UUID("server_id", uuid.UUID{}).Immutable(),
		field.String("external_id").NotEmpty(),
		field.String("username"),
		field.String("username_folded").
			Comment("The username as it is compared: folded, so that case does not tell two people apart."),
		field.String("email").Optional().Nillable(),
		field.String("kind").Default("user"),
		field.Bool("protected").Default(false).
			Comment("Administrators, the owner and the account that Zondarr itself uses: never written to."),
		field.Bool("enabled").Default(true).
			Comment("What we want; status is what the server said last."),
		field.Enum("status").Values("active", "suspended", "pending", "missing", "unknown").Default("unknown"),
		field.Time("expires_at").Optional().Nillable(),
		field.Enum("on_expiry").Values(expiryDisable, expiryDelete).Default(expiryDisable),
		field.Enum("library_access").Values(accessAll, accessNone, accessOnly).Optional().Nillable().
			Comment("The access that Zondarr last set or read; NULL where the server does not tell."),
		field.JSON("libraries", map[string]string{}).Optional().
			Comment("Under access only: the external id of each library to Zondarr's id, empty where it knows none."),
		field.JSON("permissions", map[string]string{}).Optional(),
		field.JSON("limits", map[string]int64{}).Optional(),
		field.JSON("options", map[string]any{}).Optional(),
		field.Time("access_read_at").Optional().Nillable(),
		field.Bytes("plugin_state").Optional().Sensitive().
			Comment("Sealed; kept while the account is suspended, for the plugin that resumes it."),
		field.Enum("origin").Values("redemption", "import", "manual"),
		field.UUID("invitation_id", uuid.UUID{}).Optional().Nillable(),
		field.UUID("redemption_id", uuid.UUID{}).Optional().Nillable(),
		field.Time("last_active_at").Optional().Nillable(),
		field.Time("last_seen_at").Optional().Nillable(),
	}, times())
}

// Edges of the User.
func (User) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("identity", Identity.Type).Ref("users").Field("identity_id").Unique().Required(),
		edge.From("server", MediaServer.Type).Ref("users").Field("server_id").Unique().Required().Immutable(),
		edge.From("invitation", Invitation.Type).Ref("users").Field("invitation_id").Unique(),
		edge.From("redemption", Redemption.Type).Ref("users").Field("redemption_id").Unique(),
		edge.To("redemption_steps", RedemptionStep.Type).Annotations(entsql.OnDelete(entsql.SetNull)),
	}
}

// Indexes of the User.
func (User) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("server_id", "external_id").Unique(),
		index.Fields("server_id", "username_folded"),
		index.Fields("created_at", "id"),
		index.Fields("username", "id"),
		index.Fields("identity_id", "created_at", "id"),
		// Without it SQLite, which may know nothing of how many rows there are, looks for an
		// identity's user on a server among all of the server's.
		index.Fields("identity_id", "server_id"),
		index.Fields("server_id", "created_at", "id"),
		index.Fields("invitation_id", "created_at", "id"),
		index.Fields("redemption_id"),
		index.Fields("enabled", "created_at", "id"),
		index.Fields("status", "created_at", "id"),
		index.Fields("origin", "created_at", "id"),
		index.Fields("expires_at", "id"),
		// What the expiry sweep looks for: few among the many that have ended long ago.
		index.Fields("on_expiry", "status", "expires_at"),
	}
}

// Annotations of the User.
func (s User) Annotations() []schema.Annotation {
	return []schema.Annotation{checks("users", s.Fields(), nil)}
}
