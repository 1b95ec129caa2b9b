package hosttest

import (
	"context"
	"reflect"
	"slices"

	"entgo.io/ent"
	"entgo.io/ent/dialect/sql/schema"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/migrate"
)

// Entity makes and reads the rows of one table without knowing its type, for tests
// that hold for all of them.
type Entity struct {
	Table *schema.Table
	// New starts a row: its fields are set by name, then it is saved.
	New func(*db.Client) Row
	// Get reads a row by its id.
	Get func(ctx context.Context, c *db.Client, id any) (any, error)
}

// Row is one row being made.
type Row struct {
	Set  func(field string, value any) error
	Save func(context.Context) (any, error)
}

// Entities is every entity, each after those that it refers to.
func Entities() []Entity {
	all := []Entity{
		entity(migrate.APIKeysTable, func(c *db.Client) *db.APIKeyClient { return c.APIKey }),
		entity(migrate.IdentitiesTable, func(c *db.Client) *db.IdentityClient { return c.Identity }),
		entity(migrate.InstanceTable, func(c *db.Client) *db.InstanceClient { return c.Instance }),
		entity(migrate.InvitationsTable, func(c *db.Client) *db.InvitationClient { return c.Invitation }),
		entity(migrate.InvitationLibrariesTable, func(c *db.Client) *db.InvitationLibraryClient { return c.InvitationLibrary }),
		entity(migrate.InvitationServersTable, func(c *db.Client) *db.InvitationServerClient { return c.InvitationServer }),
		entity(migrate.LeasesTable, func(c *db.Client) *db.LeaseClient { return c.Lease }),
		entity(migrate.LibrariesTable, func(c *db.Client) *db.LibraryClient { return c.Library }),
		entity(migrate.LinksTable, func(c *db.Client) *db.LinkClient { return c.Link }),
		entity(migrate.MediaServersTable, func(c *db.Client) *db.MediaServerClient { return c.MediaServer }),
		entity(migrate.PluginApprovalsTable, func(c *db.Client) *db.PluginApprovalClient { return c.PluginApproval }),
		entity(migrate.PluginBinariesTable, func(c *db.Client) *db.PluginBinaryClient { return c.PluginBinary }),
		entity(migrate.ProfilesTable, func(c *db.Client) *db.ProfileClient { return c.Profile }),
		entity(migrate.ProfileLibrariesTable, func(c *db.Client) *db.ProfileLibraryClient { return c.ProfileLibrary }),
		entity(migrate.ProfileServersTable, func(c *db.Client) *db.ProfileServerClient { return c.ProfileServer }),
		entity(migrate.RedemptionsTable, func(c *db.Client) *db.RedemptionClient { return c.Redemption }),
		entity(migrate.RedemptionStepsTable, func(c *db.Client) *db.RedemptionStepClient { return c.RedemptionStep }),
		entity(migrate.SyncRunsTable, func(c *db.Client) *db.SyncRunClient { return c.SyncRun }),
		entity(migrate.UsersTable, func(c *db.Client) *db.UserClient { return c.User }),
	}
	return parentsFirst(all)
}

// parentsFirst sorts entities so that each comes after the ones that it refers to.
func parentsFirst(all []Entity) []Entity {
	var sorted []Entity
	placed := map[*schema.Table]bool{}
	for len(sorted) < len(all) {
		for _, e := range all {
			ready := !placed[e.Table] && !slices.ContainsFunc(e.Table.ForeignKeys, func(fk *schema.ForeignKey) bool {
				return !placed[fk.RefTable]
			})
			if ready {
				sorted = append(sorted, e)
				placed[e.Table] = true
			}
		}
	}
	return sorted
}

// The shape that all of ent's clients and builders have.
type (
	client[B, T, K any] interface {
		Create() B
		Get(context.Context, K) (*T, error)
	}
	builder[B any, M mutation, T, K any] interface {
		Mutation() M
		SetID(K) B
		Save(context.Context) (*T, error)
	}
	mutation interface {
		SetField(string, ent.Value) error
	}
)

func entity[C client[B, T, K], B builder[B, M, T, K], M mutation, T, K any](table *schema.Table, of func(*db.Client) C) Entity {
	return Entity{
		Table: table,
		New: func(c *db.Client) Row {
			b := of(c).Create()
			return Row{
				Set: func(field string, value any) error {
					if field == table.PrimaryKey[0].Name {
						b.SetID(value.(K))
						return nil
					}
					return b.Mutation().SetField(field, typed[T](field, value))
				},
				Save: func(ctx context.Context) (any, error) { return b.Save(ctx) },
			}
		},
		Get: func(ctx context.Context, c *db.Client, id any) (any, error) { return of(c).Get(ctx, id.(K)) },
	}
}

// typed is the value under the type that the row has for it: an enumeration has one of
// its own.
func typed[T any](column string, value any) any {
	text, ok := value.(string)
	if !ok {
		return value
	}
	want := reflect.TypeOf(fieldOf(reflect.ValueOf(new(T)).Elem(), column))
	if want.Kind() == reflect.Pointer {
		want = want.Elem()
	}
	return reflect.ValueOf(text).Convert(want).Interface()
}
