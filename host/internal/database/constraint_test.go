package database_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/zondarr/zondarr/ent/db/migrate"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

// The rules of the rows are in the database, not only in code: written past ent, each
// is refused by its name, on both.
func TestChecksHoldInTheDatabase(t *testing.T) {
	// Table, and what makes a stored row break a rule; the constraint that says so.
	type breach struct{ table, set, check string }
	breaches := []breach{
		{"invitations", "code = 'abcd'", "invitations_code"},
		{"invitations", "code = 'ABC'", "invitations_code"},
		{"invitations", "code = 'AB CD'", "invitations_code"},
		{"invitations", "code = 'ÄBCD'", "invitations_code"},
		{"invitations", "code = '" + strings.Repeat("A", 65) + "'", "invitations_code"},
		{"invitations", "max_uses = 0, use_count = 0", "invitations_max_uses"},
		{"invitations", "use_count = -1", "invitations_use_count"},
		{"invitations", "max_uses = 3, use_count = 4", "invitations_use_count"},
		{"invitations", "duration_days = 0", "invitations_duration_days"},
		{"profiles", "max_uses = 0", "profiles_max_uses"},
		{"profiles", "duration_days = -1", "profiles_duration_days"},
		{"profiles", "expires_after_days = 0", "profiles_expires_after_days"},
		{"media_servers", "revision = 0", "media_servers_revision"},
		{"redemptions", "duration_days = 0", "redemptions_duration_days"},
		{"redemptions", "lease_fence = -1", "redemptions_lease_fence"},
		{"redemption_steps", "attempts = -1", "redemption_steps_attempts"},
		{"links", "poll_after_ms = -1", "links_poll_after_ms"},
		{"leases", "fence = 0", "leases_fence"},
		{"plugin_binaries", "sha256 = 'abc'", "plugin_binaries_sha256"},
		{"plugin_binaries", "size_bytes = -1", "plugin_binaries_size_bytes"},
		{"plugin_approvals", "sha256 = '" + strings.Repeat("Z", 64) + "'", "plugin_approvals_sha256"},
	}
	// Every enumeration is one.
	for _, table := range migrate.Tables {
		for _, c := range table.Columns {
			if len(c.Enums) > 0 {
				breaches = append(breaches, breach{table.Name, c.Name + " = 'nonsense'", table.Name + "_" + c.Name})
			}
		}
	}
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		hosttest.Fill(t, d, 1)
		proven := map[string]bool{}
		for _, b := range breaches {
			_, err := d.Ent.ExecContext(t.Context(), "UPDATE "+b.table+" SET "+b.set)
			err = database.Wrap("update", b.table, err)
			var e *database.Error
			if !errors.Is(err, database.ErrInvalid) || !errors.As(err, &e) {
				t.Errorf("UPDATE %s SET %s: %v", b.table, b.set, err)
				continue
			}
			name, hash, _ := cutLast(e.Constraint(), "_")
			if name != b.check || len(hash) != 8 {
				t.Errorf("UPDATE %s SET %s: refused by %s, want %s_<hash>", b.table, b.set, e.Constraint(), b.check)
			}
			proven[e.Constraint()] = true
		}
		for _, table := range migrate.Tables {
			if table.Annotation == nil {
				continue
			}
			for _, name := range slices.Sorted(maps.Keys(table.Annotation.Checks)) {
				if !proven[name] {
					t.Errorf("nothing proves %s", name)
				}
			}
		}
	})
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// What is unique is so in the database, and told by its columns on both.
func TestUniqueHoldsInTheDatabase(t *testing.T) {
	want := map[string]bool{ // every unique index: a new one must be named here
		"api_keys(prefix)":  true,
		"invitations(code)": true,
		"invitation_libraries(invitation_server_id,library_id)": true,
		"invitation_servers(invitation_id,server_id)":           true,
		"libraries(server_id,external_id)":                      true,
		"links(public_id)":                                      true,
		"media_servers(server_type,external_server_id)":         true,
		"plugin_approvals(name,sha256)":                         true,
		"plugin_binaries(sha256)":                               true,
		"profiles(is_default)":                                  true, // where it is true
		"profiles(name)":                                        true,
		"profile_libraries(profile_server_id,library_id)":       true,
		"profile_servers(profile_id,server_id)":                 true,
		"redemptions(code,idempotency_key)":                     true,
		"redemptions(public_id)":                                true,
		"redemption_steps(redemption_id,server_id)":             true,
		"redemption_steps(server_id,username_folded)":           true, // while it is not released
		"users(server_id,external_id)":                          true,
	}
	have := map[string]bool{}
	columns := map[string][]string{}
	tables := map[string]string{}
	for _, table := range migrate.Tables {
		add := func(names ...string) {
			key := table.Name + "(" + strings.Join(names, ",") + ")"
			have[key], columns[key], tables[key] = true, names, table.Name
		}
		for _, c := range table.Columns {
			if c.Unique {
				add(c.Name)
			}
		}
		for _, index := range table.Indexes {
			if index.Unique {
				var names []string
				for _, c := range index.Columns {
					names = append(names, c.Name)
				}
				add(names...)
			}
		}
	}
	if !maps.Equal(have, want) {
		t.Errorf("the schema has %v, want %v", slices.Sorted(maps.Keys(have)), slices.Sorted(maps.Keys(want)))
	}

	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		ids := hosttest.Fill(t, d, 2)
		refer(t, d, ids)
		for _, statement := range []string{ // partial indexes see these rows
			"UPDATE redemption_steps SET released_at = NULL, username_folded = id",
			"UPDATE redemptions SET idempotency_key = id",
		} {
			if d.Dialect == database.Postgres {
				statement = strings.ReplaceAll(statement, "= id", "= id::text")
			}
			if _, err := d.Ent.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(have)) {
			// The second row takes what the first has.
			var set []string
			for _, c := range columns[key] {
				set = append(set, fmt.Sprintf("%s = (SELECT %s FROM %s WHERE id = $1)", c, c, tables[key]))
			}
			if key == "profiles(is_default)" {
				set = []string{"is_default = (1 = 1)"}
			}
			statement := fmt.Sprintf("UPDATE %s SET %s WHERE id = $2", tables[key], strings.Join(set, ", "))
			args := []any{ids[tables[key]][0], ids[tables[key]][1]}
			if key == "profiles(is_default)" {
				statement, args = "UPDATE profiles SET is_default = (1 = 1)", nil
			}
			_, err := d.Ent.ExecContext(t.Context(), statement, args...)
			err = database.Wrap("update", tables[key], err)
			if !database.ConflictOn(err, tables[key], columns[key]...) {
				t.Errorf("%s: %v", key, err)
			}
		}
	})
}

// A username on a server is held by one live step, and free once it is released.
func TestUsernameIsHeldByOneLiveStep(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		ctx := t.Context()
		srv := newServer(t, d, "one")
		step := func(name *string) (uuid.UUID, error) {
			r := d.Ent.Redemption.Create().SetCode("CODE").SetPublicID(uuid.NewString()).SaveX(ctx)
			s, err := d.Ent.RedemptionStep.Create().SetRedemptionID(r.ID).SetServerID(srv.ID).SetServerName("one").
				SetServerType("jellyfin").SetLibraryAccess("all").SetNillableUsernameFolded(name).Save(ctx)
			if err != nil {
				return uuid.Nil, database.Wrap("create", "redemption step", err)
			}
			return s.ID, nil
		}
		bob := "bob"
		first, err := step(&bob)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := step(&bob); !database.ConflictOn(err, "redemption_steps", "server_id", "username_folded") {
			t.Fatalf("the name was taken twice: %v", err)
		}
		d.Ent.RedemptionStep.UpdateOneID(first).SetReleasedAt(database.Now()).ExecX(ctx)
		if _, err := step(&bob); err != nil {
			t.Fatalf("the name is still held: %v", err)
		}
		for range 2 { // who has no name yet holds none
			if _, err := step(nil); err != nil {
				t.Fatal(err)
			}
		}
	})
}
