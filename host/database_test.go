package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

// In the wrong folder, or with the wrong URL, a command that works on what is there
// finds nothing, says where it looked, and makes nothing.
func TestCommandsNeedTheirDatabase(t *testing.T) {
	folder := t.TempDir()
	nowhere := "sqlite://" + filepath.Join(folder, "data", "zondarr.db")
	empty := hosttest.URL(t, database.Postgres)
	for _, url := range []string{nowhere, empty} {
		for _, args := range [][]string{
			{"backup", filepath.Join(t.TempDir(), "backup.db")}, {"secret", "rotate"}, {"api-key", "list"},
			{"api-key", "revoke", "019b0000-0000-7000-8000-000000000000"}, {"database", "copy", "--to", hosttest.URL(t, database.SQLite)},
			{"database", "copy", "--undo"}, {"database", "copy", "--undo", "--yes"},
		} {
			if url == empty && args[0] == "backup" {
				continue // pg_dump says it
			}
			code, out, problem := command(t, url, []string{"ZONDARR_SECRET_KEY_PREVIOUS=" + keyB, "ZONDARR_DATA_DIR=" + filepath.Join(folder, "data")}, args...)
			if code != 1 || out != "" || !strings.Contains(problem, "there is no Zondarr database at "+database.Display(url)) || !strings.Contains(problem, "ZONDARR_DATA_DIR") {
				t.Errorf("%q: %d, %q, %s", args, code, out, problem)
			}
		}
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("it was made: %v, %v", left, err)
	}
	// The first key may come before the first start; that there was nothing is said.
	code, key, problem := command(t, nowhere, nil, "api-key", "create", "--name", "me")
	if code != 0 || !strings.HasPrefix(key, "zdr_") || strings.Count(key, "\n") != 1 || !strings.Contains(problem, "There was no database at "+nowhere) {
		t.Errorf("the first key: %d, %q, %s", code, key, problem)
	}
	if code, _, problem := command(t, nowhere, nil, "api-key", "create", "--name", "you"); code != 0 || problem != "" {
		t.Errorf("the second key: %d, %s", code, problem)
	}
	if out := succeeds(t, nowhere, nil, "api-key", "list"); strings.Count(out, "\n") != 3 {
		t.Errorf("the keys are %s", out)
	}
}

// A move is taken back by whoever insists, and what it did not do is said.
func TestMoveIsTakenBack(t *testing.T) {
	hosttest.EachDialect(t, func(t *testing.T, dialect database.Dialect) {
		from, to := hosttest.URL(t, dialect), hosttest.URL(t, dialect)
		rows := filled(t, from)
		undo := []string{"database", "copy", "--undo"}
		for _, args := range [][]string{undo, append(undo, "--yes")} {
			if out := succeeds(t, from, nil, args...); !strings.Contains(out, "nothing to do") {
				t.Errorf("%q before a move: %s", args, out)
			}
		}
		succeeds(t, from, nil, "database", "copy", "--to", to)
		if out := succeeds(t, from, nil, undo...); !strings.Contains(out, "was moved to "+database.Display(to)) || !strings.Contains(out, "--yes") {
			t.Errorf("without --yes it says %s", out)
		}
		if code, _, problem := command(t, from, nil, "serve", "--addr", "127.0.0.1:0"); code != 1 || !strings.Contains(problem, "was moved to") {
			t.Errorf("--undo alone undid it: %d, %s", code, problem)
		}
		if out := succeeds(t, from, nil, append(undo, "--yes")...); !strings.Contains(out, "Taken back") || !strings.Contains(out, database.Display(to)) {
			t.Errorf("with --yes it says %s", out)
		}
		allOpen(t, opened(t, from), newBox(t, keyA, ""), rows)
	})
	for _, args := range [][]string{{"--to", "sqlite:///a.db", "--undo"}, {"--to", "sqlite:///a.db", "--yes"}, {"--yes"}} {
		if code, _, problem := command(t, hosttest.URL(t, database.SQLite), nil, append([]string{"database", "copy"}, args...)...); code != 2 {
			t.Errorf("%q: %d, %s", args, code, problem)
		}
	}
}
