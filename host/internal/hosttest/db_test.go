package hosttest_test

import (
	"testing"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
	hosttest.EachDialect(t, func(t *testing.T, dialect database.Dialect) {
		one, two := hosttest.NewDB(t, dialect), hosttest.NewDB(t, dialect)
		one.Ent.Instance.Create().SetID("mine").SetValue([]byte("1")).ExecX(t.Context())
		if n := two.Ent.Instance.Query().CountX(t.Context()); n != 0 {
			t.Fatalf("the other database has %d rows of mine", n)
		}
		if n := one.Ent.Instance.Query().CountX(t.Context()); n != 1 {
			t.Fatalf("my database has %d rows, want 1", n)
		}
	})
}

func TestURLIsEmpty(t *testing.T) {
	hosttest.EachDialect(t, func(t *testing.T, dialect database.Dialect) {
		at := hosttest.URL(t, dialect)
		status, err := database.MigrationStatus(t.Context(), database.Options{URL: at})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range status {
			if m.AppliedAt != nil {
				t.Errorf("migration %d is applied", m.Version)
			}
		}
		d, err := database.Open(t.Context(), database.Options{URL: at})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
