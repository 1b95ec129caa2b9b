package redeem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
	"github.com/zondarr/zondarr/host/internal/identity"
	"github.com/zondarr/zondarr/host/internal/invitation"
	"github.com/zondarr/zondarr/host/internal/job"
	"github.com/zondarr/zondarr/host/internal/mediaserver"
	"github.com/zondarr/zondarr/sdk/sdktest"
)

// A real backup is taken in the middle of a redemption, which is then completed.
// The restored instance is paused, tells what it would do, and touches nobody;
// resumed after a day it still deletes nothing by itself.
func TestBackupInMidRedemption(t *testing.T) {
	for _, servers := range [][]string{{"home"}, {"home", "attic"}} {
		t.Run(fmt.Sprint(len(servers)), func(t *testing.T) {
			virtualOn(t, database.SQLite, sdktest.NewFake(), servers, func(t *testing.T, w *world) {
				file := filepath.Join(t.TempDir(), "backup.db")
				s, inv := w.service(slowly), w.invite(new(2), servers...)
				var once sync.Once
				s.tap = serial(func(point string) error {
					if point == "before complete" {
						once.Do(func() {
							if err := w.backup(context.WithoutCancel(t.Context()), file); err != nil {
								t.Error(err)
							}
						})
					}
					return nil
				})
				s.Start(t.Context())
				if res, err := s.Join(t.Context(), inv.Code, bob, "", Caller{}); err != nil || res.State != Completed {
					t.Fatalf("got %+v, %v", res, err)
				}
				s.Stop(t.Context())
				before := fmt.Sprint(accounts(w))

				restored := w.restored(file)
				if paused, err := restored.pause.On(t.Context()); err != nil || !paused {
					t.Fatalf("the restored instance is not paused: %v", err)
				}
				next := restored.start(slowly)
				time.Sleep(12 * time.Hour)
				if intents, err := next.Pending(t.Context()); err != nil || len(intents) != len(servers) || intents[0].Username != "bob" {
					t.Errorf("what it would do: %+v, %v", intents, err)
				}
				if got := fmt.Sprint(accounts(w)); got != before {
					t.Errorf("paused, it changed %s into %s", before, got)
				}
				time.Sleep(13 * time.Hour)
				if _, err := restored.pause.Lift(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(48 * time.Hour)
				if got := fmt.Sprint(accounts(w)); got != before {
					t.Errorf("resumed, it changed %s into %s", before, got)
				}
				if r := restored.only(); r.State == InProgress || r.State == Failed {
					t.Errorf("resumed, the redemption is %s, and the account is there", r.State)
				}
			})
		})
	}
}

// backup writes a backup of the world's database, which is SQLite.
func (w *world) backup(ctx context.Context, file string) error {
	rows, err := w.db.Ent.QueryContext(ctx, "SELECT file FROM pragma_database_list WHERE name = 'main'")
	if err != nil {
		return err
	}
	defer rows.Close()
	var path string
	for rows.Next() {
		if err := rows.Scan(&path); err != nil {
			return err
		}
	}
	keys := func(context.Context, database.Getter) (string, error) { return "keys", nil }
	return errors.Join(rows.Err(), database.Backup(ctx, database.Options{URL: "sqlite://" + path}, file, keys))
}

// restored gives the world of a host that was restored from a backup.
func (w *world) restored(file string) *world {
	w.t.Helper()
	opts := database.Options{URL: "sqlite://" + filepath.Join(w.t.TempDir(), "restored.db")}
	if _, err := database.Restore(w.t.Context(), opts, file, func(context.Context, database.Getter) error { return nil }); err != nil {
		w.t.Fatal(err)
	}
	d, err := database.Open(w.t.Context(), opts)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = d.Close() })
	r := *w
	r.db, r.pause = d, &job.Pause{DB: d}
	r.servers = &mediaserver.Service{DB: d, Registry: w.plugins, Box: w.box, InstallationID: "installation-of-a-test", Now: database.Now}
	r.invitations = &invitation.Service{DB: d, Types: w.plugins, Now: database.Now}
	r.identities = &identity.Service{DB: d, Servers: r.servers, Clients: w.plugins, Box: w.box, Pause: r.pause, Log: w.log, Now: database.Now}
	return &r
}

// accounts gives what every media server has, in text.
func accounts(w *world) map[string][]string {
	out := map[string][]string{}
	for name, users := range w.all() {
		for _, u := range users {
			out[name] = append(out[name], fmt.Sprintf("%s %s %+v", u.ID, u.Username, essence(u)))
		}
	}
	return out
}

// A password is in no row and no line of the log, whatever becomes of the
// redemption.
func TestPasswordIsKeptNowhere(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		w := newWorld(t, d, sdktest.NewFake(), "home")
		var lines bytes.Buffer
		w.log = slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
		s, inv := w.service(), w.invite(nil, "home")
		s.Start(t.Context())
		const password = "Tr0ub4dor&3-canary"
		if _, err := s.Join(t.Context(), inv.Code, Request{Username: "bob", Password: password}, "key", Caller{}); err != nil {
			t.Fatal(err)
		}
		// The second time the name is taken, which the admin reads in detail.
		_, err := s.Join(t.Context(), inv.Code, Request{Username: "bob", Password: password}, "other", Caller{})
		if err == nil || strings.Contains(err.Error(), password) {
			t.Errorf("got %v", err)
		}
		s.Stop(t.Context())
		if !w.fakes["home"].SignsIn("bob", password) {
			t.Error("the password never arrived")
		}
		for table, rows := range hosttest.Dump(t, d) {
			if strings.Contains(strings.Join(rows, "\n"), password) {
				t.Errorf("the password is in %s", table)
			}
		}
		if lines.Len() == 0 || strings.Contains(lines.String(), password) {
			t.Errorf("the log: %s", lines.String())
		}
	})
}
