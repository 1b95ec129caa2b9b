package database_test

import (
	"maps"
	"testing"

	"github.com/zondarr/zondarr/ent/db/migrate"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

// R2.8, and what follows from it: how many rows of each table are left when one of two
// is deleted, where the i-th rows refer to each other. What is not named keeps both.
func TestDeleteRules(t *testing.T) {
	tests := map[string]map[string]int{
		// Its libraries and its users' records go; what happened there is remembered.
		"media_servers": {
			"media_servers": 1, "libraries": 1, "users": 1, "sync_runs": 1, "invitation_servers": 1,
			"invitation_libraries": 1, "profile_servers": 1, "profile_libraries": 1,
		},
		"libraries":  {"libraries": 1, "invitation_libraries": 1, "profile_libraries": 1},
		"identities": {"identities": 1, "users": 1},
		// No users, no identities, no redemptions.
		"invitations": {"invitations": 1, "invitation_servers": 1, "invitation_libraries": 1},
		"profiles":    {"profiles": 1, "profile_servers": 1, "profile_libraries": 1},
		"users":       {"users": 1},
		"redemptions": {"redemptions": 1, "redemption_steps": 1},
		"links":       {"links": 1},
		"sync_runs":   {"sync_runs": 1},
		"api_keys":    {"api_keys": 1},
	}
	hosttest.EachDialect(t, func(t *testing.T, dialect database.Dialect) {
		for table, changed := range tests {
			t.Run(table, func(t *testing.T) {
				d := hosttest.NewDB(t, dialect)
				ids := hosttest.Fill(t, d, 2)
				refer(t, d, ids)
				if _, err := d.Ent.ExecContext(t.Context(), "DELETE FROM "+table+" WHERE id = $1", ids[table][0]); err != nil {
					t.Fatal(err)
				}
				want := map[string]int{}
				for _, t := range migrate.Tables {
					want[t.Name] = 2
				}
				maps.Copy(want, changed)
				for name, rows := range hosttest.Dump(t, d) {
					if len(rows) != want[name] {
						t.Errorf("%d rows left in %s, want %d", len(rows), name, want[name])
					}
				}
			})
		}
	})
}

// refer fills in the references that may be NULL and that Fill left so.
func refer(t *testing.T, d *database.DB, ids map[string][]any) {
	t.Helper()
	for _, table := range migrate.Tables {
		for _, fk := range table.ForeignKeys {
			for i, id := range ids[table.Name] {
				if _, err := d.Ent.ExecContext(t.Context(), "UPDATE "+table.Name+" SET "+fk.Columns[0].Name+" = $1 WHERE id = $2",
					ids[fk.RefTable.Name][i], id); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
