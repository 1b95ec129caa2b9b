package database_test

import (
	"testing"

	"github.com/zondarr/zondarr/ent/db/invitation"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

// A part of a text is found whatever the case of its letters, those beyond ASCII
// included, on both databases.
func TestContainsFoldKnowsAllLetters(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		d.Ent.Invitation.Create().SetCode("ABCD").SetLabel("CAFÉ Größe ЖУК 100%").SetCreatedBy("system").ExecX(t.Context())
		for part, want := range map[string]int{
			"CAFÉ": 1, "café": 1, "GRÖSSE": 0, "GRÖ": 1, "größe": 1, "жук": 1, "Жук": 1, "fé g": 1, "CAFE": 0, "0%": 1, "C_F": 0, "": 1,
		} {
			if got := d.Ent.Invitation.Query().Where(invitation.LabelContainsFold(part)).CountX(t.Context()); got != want {
				t.Errorf("%q is found %d times, want %d", part, got, want)
			}
		}
		// What is no text stays as it is.
		if n := d.Ent.Invitation.Query().Where(invitation.NoteContainsFold("x")).CountX(t.Context()); n != 0 {
			t.Errorf("a note that is not there is found %d times", n)
		}
	})
}
