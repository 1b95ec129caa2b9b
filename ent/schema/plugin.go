package schema

import (
	"encoding/json"
	"slices"

	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// sha256Check: 64 lower-case hexadecimal digits.
const sha256Check = "length(sha256) = 64 AND ltrim(sha256, '0123456789abcdef') = ''"

// PluginBinary is what is known of one executable by its hash: what reading the file
// told, and what the plugin said of itself when it ran, so that forms can be drawn while
// it is down.
type PluginBinary struct{ ent.Schema }

// Fields of the PluginBinary.
func (PluginBinary) Fields() []ent.Field {
	return slices.Concat([]ent.Field{
		id(),
		field.String("sha256").Immutable().Unique(),
		field.Int64("size_bytes"),
		field.JSON("build", json.RawMessage{}).Optional().
			Comment("The build information in the file, read without running it."),
		field.String("server_type").Optional().Nillable().
			Comment("NULL until it ran."),
		field.JSON("description", json.RawMessage{}).Optional().
			Comment("The answer to Describe; NULL until it ran."),
	}, times())
}

// Annotations of the PluginBinary.
func (s PluginBinary) Annotations() []schema.Annotation {
	return []schema.Annotation{checks("plugin_binaries", s.Fields(), map[string]string{
		"sha256":     sha256Check,
		"size_bytes": "size_bytes >= 0",
	})}
}

// PluginApproval is what an admin decided about one binary under one plugin name. A
// plugin is disabled by name: the mark is set on every row of that name.
type PluginApproval struct{ ent.Schema }

// Fields of the PluginApproval.
func (PluginApproval) Fields() []ent.Field {
	return slices.Concat([]ent.Field{
		id(),
		field.String("name").NotEmpty().Immutable(),
		field.String("sha256").Immutable(),
		field.String("file_name").Default(""),
		field.Enum("origin").Values("installation", "directory", "store"),
		field.Time("approved_at").Optional().Nillable(),
		field.String("approved_by").Optional().Nillable(),
		field.Bool("disabled").Default(false),
	}, times())
}

// Indexes of the PluginApproval.
func (PluginApproval) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("name", "sha256").Unique(),
		index.Fields("sha256"),
	}
}

// Annotations of the PluginApproval.
func (s PluginApproval) Annotations() []schema.Annotation {
	return []schema.Annotation{checks("plugin_approvals", s.Fields(), map[string]string{
		"sha256": sha256Check,
	})}
}
