package database_test

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/lib/pq"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

// filledAt makes a database with rows and gives what they are.
func filledAt(t *testing.T, at database.Options) map[string][]string {
	t.Helper()
	d := open(t, at)
	defer closed(t, d)
	hosttest.Fill(t, d, 2)
	return hosttest.Dump(t, d)
}

func isMoved(t *testing.T, at database.Options, unfinished bool) {
	t.Helper()
	d, err := database.Open(t.Context(), at)
	var moved *database.MovedError
	if !errors.As(err, &moved) || moved.Unfinished != unfinished {
		t.Errorf("the source opens: %v; want it moved, unfinished %v", err, unfinished)
	}
	if err == nil {
		closed(t, d)
	}
}

// Wherever a move is killed, the source stays refused, and the same command again ends
// it: with one instance, complete.
func TestCopyIsKilled(t *testing.T) {
	hosttest.EachDialect(t, func(t *testing.T, dialect database.Dialect) {
		for point, complete := range map[string]bool{"marked": false, "copied": false, "committed": true} {
			t.Run(point, func(t *testing.T) {
				from, to := database.Options{URL: hosttest.URL(t, dialect)}, database.Options{URL: hosttest.URL(t, dialect)}
				elsewhere := database.Options{URL: hosttest.URL(t, dialect)}
				want := filledAt(t, from)
				cmd := exec.CommandContext(t.Context(), os.Args[0])
				cmd.Env = append(os.Environ(), "TEST_KILL_COPY_AT="+point, "TEST_KILL_COPY_FROM="+from.URL, "TEST_KILL_COPY_TO="+to.URL)
				var said bytes.Buffer
				cmd.Stderr = &said
				err := cmd.Run()
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
					t.Fatalf("it was not killed: %v, %s", err, &said)
				}

				isMoved(t, from, true)
				var moved *database.MovedError
				if _, err := database.Copy(t.Context(), from, elsewhere); !errors.As(err, &moved) || !moved.Unfinished {
					t.Errorf("moved to a second place: %v", err)
				}
				copied, err := database.Copy(t.Context(), from, to)
				if err != nil || (len(copied) == 0) != complete {
					t.Fatalf("again: %d tables, %v", len(copied), err)
				}
				isMoved(t, from, false)
				d := open(t, to)
				defer closed(t, d)
				if _, err := d.Get(t.Context(), database.KeyMovingTo); !errors.Is(err, database.ErrNotFound) {
					t.Errorf("the mark of the source arrived: %v", err)
				}
				if err := d.Unset(t.Context(), database.KeyMovedFrom); err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(hosttest.Dump(t, d), want) {
					t.Error("what arrived is not what was sent")
				}
			})
		}
	})
}

// Once it is marked nobody can open the source, and whoever was there before stops the
// move, which then gives the source back as it was.
func TestCopyBesideAReplica(t *testing.T) {
	from, to := database.Options{URL: hosttest.URL(t, database.Postgres)}, database.Options{URL: hosttest.URL(t, database.SQLite)}
	want := filledAt(t, from)
	dsn, err := database.PostgresDSN(from.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, point := range []string{"marked", "copied"} {
		connector, err := pq.NewConnector(dsn)
		if err != nil {
			t.Fatal(err)
		}
		replica := sql.OpenDB(connector)
		copied, err := database.CopyInSteps(t.Context(), from, to, func(reached string) {
			if reached == point {
				isMoved(t, from, true)
				if err := replica.PingContext(t.Context()); err != nil { // one that began before the mark
					t.Error(err)
				}
			}
		})
		if !errors.Is(err, database.ErrInUse) || copied != nil {
			t.Errorf("%s: %v", point, err)
		}
		if err := replica.Close(); err != nil {
			t.Error(err)
		}
		d, target := open(t, from), open(t, to)
		if !reflect.DeepEqual(hosttest.Dump(t, d), want) {
			t.Errorf("%s: the source changed", point)
		}
		if n := target.Ent.User.Query().CountX(t.Context()); n != 0 {
			t.Errorf("%s: %d users arrived", point, n)
		}
		closed(t, d)
		closed(t, target)
	}
}

// A target that has become an instance of its own meanwhile is not taken for the copy.
func TestCopyAfterATargetWasServed(t *testing.T) {
	from, to := database.Options{URL: hosttest.URL(t, database.SQLite)}, database.Options{URL: hosttest.URL(t, database.SQLite)}
	want := filledAt(t, from)
	_, err := database.CopyInSteps(t.Context(), from, to, func(reached string) {
		if reached == "marked" {
			d := open(t, database.Options{URL: to.URL, Beside: true})
			d.Ent.Invitation.Create().SetCode("HERE").ExecX(t.Context())
			closed(t, d)
		}
	})
	if !errors.Is(err, database.ErrNotEmpty) {
		t.Errorf("copied: %v", err)
	}
	d := open(t, from)
	defer closed(t, d)
	if !reflect.DeepEqual(hosttest.Dump(t, d), want) {
		t.Error("the source changed")
	}
}

// A value that is read as nothing would be lost, and the checksums would agree.
func TestCopyLosesNoUnknownValue(t *testing.T) {
	for _, unknown := range []any{new(any(3.14)), new(any(true)), new(sql.NullFloat64), nil} {
		if v, err := database.Scanned(unknown); err == nil {
			t.Errorf("%T became %v", unknown, v)
		}
	}
	var none any
	if v, err := database.Scanned(&none); v != nil || err != nil {
		t.Errorf("NULL became %v, %v", v, err)
	}
}

// What must be there and is not is said, and nothing is made in its place.
func TestMustExist(t *testing.T) {
	hosttest.EachDialect(t, func(t *testing.T, dialect database.Dialect) {
		at := database.Options{URL: hosttest.URL(t, dialect), MustExist: true}
		to := database.Options{URL: hosttest.URL(t, database.SQLite)}
		file := strings.TrimPrefix(at.URL, "sqlite://")
		for name, attempt := range map[string]func() error{
			"Open": func() error { _, err := database.Open(t.Context(), at); return err },
			"Open beside": func() error {
				_, err := database.Open(t.Context(), database.Options{URL: at.URL, MustExist: true, Beside: true})
				return err
			},
			"Copy":     func() error { _, err := database.Copy(t.Context(), at, to); return err },
			"TakeBack": func() error { _, err := database.TakeBack(t.Context(), at); return err },
		} {
			var missing *database.MissingError
			if err := attempt(); !errors.As(err, &missing) || !strings.Contains(err.Error(), "ZONDARR_DATABASE_URL") {
				t.Errorf("%s: %v", name, err)
			} else if dialect == database.SQLite && missing.At != at.URL {
				t.Errorf("%s looked at %s", name, missing.At)
			}
			if _, err := os.Stat(file + ".lock"); dialect == database.SQLite && err == nil {
				t.Errorf("%s left a lock", name)
			}
		}
		for _, path := range []string{file, strings.TrimPrefix(to.URL, "sqlite://")} {
			if _, err := os.Stat(path); err == nil {
				t.Errorf("%s was made", path)
			}
		}
		filledAt(t, database.Options{URL: at.URL})
		closed(t, open(t, at))
	})
}

// Alone is about those that were opened with another key.
func TestAlone(t *testing.T) {
	hosttest.EachDialect(t, func(t *testing.T, dialect database.Dialect) {
		at := hosttest.URL(t, dialect)
		mine := open(t, database.Options{URL: at, Key: "aaaaaaaa"})
		defer closed(t, mine)
		if err := mine.Alone(t.Context()); err != nil {
			t.Fatal(err)
		}
		if dialect == database.SQLite {
			return // the file lock keeps others away: TestSecondHostIsRefused
		}
		long := "&application_name=" + strings.Repeat("replica", 12)
		same := []database.Options{{URL: at, Key: "aaaaaaaa"}, {URL: at + "&application_name=replica", Key: "aaaaaaaa"}, {URL: at + long, Key: "aaaaaaaa"}}
		for _, opts := range same {
			other := open(t, opts)
			if err := mine.Alone(t.Context()); err != nil {
				t.Errorf("beside one with the same key: %v", err)
			}
			closed(t, other)
		}
		for _, opts := range []database.Options{{URL: at}, {URL: at, Key: "bbbbbbbb"}, {URL: at + "&application_name=replica-2", Key: "bbbbbbbb"}, {URL: at + long, Key: "bbbbbbbb"}} {
			other := open(t, opts)
			if err := mine.Alone(t.Context()); !errors.Is(err, database.ErrInUse) {
				t.Errorf("beside one with another key: %v", err)
			}
			closed(t, other)
		}
	})
}
