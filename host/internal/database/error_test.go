package database_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
	"modernc.org/sqlite"
	"pgregory.net/rapid"

	"github.com/zondarr/zondarr/ent/db"
	"github.com/zondarr/zondarr/ent/db/apikey"
	"github.com/zondarr/zondarr/ent/db/invitation"
	"github.com/zondarr/zondarr/ent/db/library"
	"github.com/zondarr/zondarr/host/internal/database"
	"github.com/zondarr/zondarr/host/internal/hosttest"
)

var kinds = []error{database.ErrNotFound, database.ErrConflict, database.ErrReference, database.ErrInvalid, database.ErrUnavailable}

// isOnly says whether err is of exactly this kind (nil: of none).
func isOnly(t *testing.T, err, kind error) {
	t.Helper()
	for _, k := range kinds {
		if errors.Is(err, k) != (k == kind) { //nolint:errorlint // the sentinels themselves
			t.Errorf("errors.Is(%q, %v) is %v", err, k, errors.Is(err, k))
		}
	}
}

// driverError says whether the error of the driver is still within.
func driverError(err error) bool {
	var a *pq.Error
	var b *sqlite.Error
	return errors.As(err, &a) || errors.As(err, &b)
}

// P9, R5.6: each kind of failure, made for real, says operation and entity, tells
// itself apart, and keeps the original.
func TestErrorKinds(t *testing.T) {
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		ctx := t.Context()
		inv := d.Ent.Invitation.Create().SetCode("TAKEN").SaveX(ctx)
		srv := newServer(t, d, "one")
		lib := d.Ent.Library.Create().SetServerID(srv.ID).SetExternalID("x").SetName("Films").SetLibraryType("movies").SaveX(ctx)

		t.Run("NotFound", func(t *testing.T) {
			_, err := d.Ent.Invitation.Get(ctx, uuid.New())
			err = database.Wrap("get", "invitation", err)
			isOnly(t, err, database.ErrNotFound)
			if !db.IsNotFound(err) {
				t.Error("the original is gone")
			}
		})
		t.Run("ConflictOnOneColumn", func(t *testing.T) {
			err := database.Wrap("create", "invitation", d.Ent.Invitation.Create().SetCode(inv.Code).Exec(ctx))
			isOnly(t, err, database.ErrConflict)
			if !database.ConflictOn(err, invitation.Table, invitation.FieldCode) || database.ConflictOn(err, invitation.Table, invitation.FieldLabel) {
				t.Errorf("ConflictOn does not tell the column: %v", err)
			}
			if !driverError(err) || !db.IsConstraintError(err) {
				t.Error("the original is gone")
			}
		})
		t.Run("ConflictOnTwoColumns", func(t *testing.T) {
			err := database.Wrap("create", "library",
				d.Ent.Library.Create().SetServerID(srv.ID).SetExternalID(lib.ExternalID).SetName("x").SetLibraryType("movies").Exec(ctx))
			isOnly(t, err, database.ErrConflict)
			if !database.ConflictOn(err, library.Table, library.FieldServerID, library.FieldExternalID) {
				t.Errorf("ConflictOn does not tell the columns: %v", err)
			}
		})
		t.Run("ConflictOnTheKey", func(t *testing.T) {
			err := database.Wrap("create", "invitation", d.Ent.Invitation.Create().SetID(inv.ID).SetCode("OTHER").Exec(ctx))
			isOnly(t, err, database.ErrConflict)
			if !database.ConflictOn(err, invitation.Table, invitation.FieldID) {
				t.Errorf("ConflictOn does not tell the key: %v", err)
			}
		})
		t.Run("Reference", func(t *testing.T) {
			err := database.Wrap("create", "library",
				d.Ent.Library.Create().SetServerID(uuid.New()).SetExternalID("y").SetName("x").SetLibraryType("movies").Exec(ctx))
			isOnly(t, err, database.ErrReference)
			if !driverError(err) {
				t.Error("the original is gone")
			}
		})
		t.Run("InvalidByACheck", func(t *testing.T) {
			err := database.Wrap("update", "invitation", d.Ent.Invitation.UpdateOne(inv).SetMaxUses(1).SetUseCount(2).Exec(ctx))
			isOnly(t, err, database.ErrInvalid)
			var e *database.Error
			if !errors.As(err, &e) || !strings.HasPrefix(e.Constraint(), "invitations_use_count_") {
				t.Errorf("the check is not named: %v", err)
			}
			if !driverError(err) {
				t.Error("the original is gone")
			}
		})
		t.Run("InvalidByEnt", func(t *testing.T) {
			err := database.Wrap("create", "API key", d.Ent.APIKey.Create().SetName("").SetPrefix("p").SetHash([]byte{1}).Exec(ctx))
			isOnly(t, err, database.ErrInvalid)
			var e *db.ValidationError
			if !errors.As(err, &e) || e.Name != apikey.FieldName {
				t.Error("the original is gone")
			}
		})
		t.Run("Cancelled", func(t *testing.T) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			_, err := d.Ent.Invitation.Get(ctx, inv.ID)
			err = database.Wrap("get", "invitation", err)
			isOnly(t, err, nil) // nobody asks any more; the database is well
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the original is gone: %v", err)
			}
		})
		t.Run("OutOfTime", func(t *testing.T) {
			ctx, cancel := context.WithTimeout(ctx, time.Nanosecond)
			defer cancel()
			<-ctx.Done()
			_, err := d.Ent.Invitation.Get(ctx, inv.ID)
			err = database.Wrap("get", "invitation", err)
			isOnly(t, err, database.ErrUnavailable)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the original is gone: %v", err)
			}
		})
		t.Run("AnythingElse", func(t *testing.T) {
			_, err := d.Ent.ExecContext(ctx, "DELETE FROM nowhere")
			isOnly(t, database.Wrap("read", "nonsense", err), nil)
		})
	})
}

// What a row holds stays out of the errors about it, whatever it ran into.
func TestErrorsHoldNoValues(t *testing.T) {
	const value = "WHAT-NOBODY-MAY-READ"
	hosttest.EachDB(t, func(t *testing.T, d *database.DB) {
		ctx := t.Context()
		srv := newServer(t, d, value)
		server := func() *db.MediaServerCreate {
			return d.Ent.MediaServer.Create().SetName(value).SetServerType("jellyfin").SetURL("http://" + value).
				SetSettings(map[string]any{value: value}).SetSecrets([]byte(value)).SetExternalServerID(value)
		}
		identity := d.Ent.Identity.Create().SetDisplayName(value).SetEmail(value).SaveX(ctx)
		user := func() *db.UserCreate {
			return d.Ent.User.Create().SetIdentityID(identity.ID).SetServerID(srv.ID).SetExternalID(value).SetUsername(value).
				SetUsernameFolded(value).SetOrigin("manual").SetPluginState([]byte(value))
		}
		user().ExecX(ctx)
		for name, err := range map[string]error{
			"Conflict":  server().Exec(ctx),
			"Check":     server().SetExternalServerID(value + "2").SetRevision(-1).Exec(ctx),
			"Conflict2": user().Exec(ctx),
			"Reference": user().SetExternalID(value + "2").SetIdentityID(uuid.New()).Exec(ctx),
			"NUL":       user().SetExternalID(value + "\x00").SetUsername("\xff" + value).SetIdentityID(uuid.New()).Exec(ctx),
			"NotFound":  func() error { _, err := d.Ent.Instance.Get(ctx, value); return err }(),
		} {
			if err == nil {
				t.Errorf("%s: nothing went wrong", name)
			} else if text := fmt.Sprintf("%v %+v", err, database.Wrap("create", "row", err)); strings.Contains(text, value) {
				t.Errorf("%s: %s", name, text)
			}
		}
	})
}

func TestClosedIsUnavailable(t *testing.T) {
	hosttest.EachDialect(t, func(t *testing.T, dialect database.Dialect) {
		d, err := database.Open(t.Context(), database.Options{URL: hosttest.URL(t, dialect)})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		isOnly(t, d.Ping(t.Context()), database.ErrUnavailable)
		_, err = database.WithTx(t.Context(), d, func(context.Context, *db.Tx) (int, error) { return 0, nil })
		isOnly(t, err, database.ErrUnavailable)
	})
}

// R8.4: a server that goes away is told as such, and the pool recovers when it is back
// (another one under the same URL would do; here it only goes away).
func TestServerGoneIsUnavailable(t *testing.T) {
	at, stop, err := hosttest.StartPostgres(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d, err := database.Open(t.Context(), database.Options{URL: at})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	defer closed(t, d)
	if err := d.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	stop()
	for range 3 { // the connection that breaks, and those that cannot be made
		isOnly(t, d.Ping(t.Context()), database.ErrUnavailable)
		_, err := database.WithTx(t.Context(), d, func(ctx context.Context, tx *db.Tx) (int, error) {
			return 0, tx.Instance.Create().SetID("k").SetValue([]byte("v")).Exec(ctx)
		})
		isOnly(t, err, database.ErrUnavailable)
	}
	if _, err := database.Open(t.Context(), database.Options{URL: at}); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("open: %v", err)
	}
}

// P9: whatever the original, it is within, with the words of the operation around it;
// wrapped again it stays as it is.
func TestWrapKeepsTheOriginal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		op, entity := rapid.String().Draw(t, "op"), rapid.String().Draw(t, "entity")
		original := rapid.SampledFrom([]error{
			io.EOF, context.Canceled, context.DeadlineExceeded, errors.New("plain"),
			&pq.Error{Code: "23505", Table: "t", Constraint: "c"}, &pq.Error{Code: "40001"}, &pq.Error{Code: "XX000"},
		}).Draw(t, "original")
		err := original
		for range rapid.IntRange(0, 3).Draw(t, "depth") {
			err = fmt.Errorf("around: %w", err)
		}
		wrapped := database.Wrap(op, entity, err)
		var e *database.Error
		if !errors.As(wrapped, &e) || e.Op != op || e.Entity != entity || !errors.Is(wrapped, original) {
			t.Fatalf("%v does not hold %v", wrapped, original)
		}
		if text := wrapped.Error(); !strings.Contains(text, op) || !strings.Contains(text, entity) || !strings.Contains(text, original.Error()) {
			t.Fatalf("%q does not say it all", text)
		}
		if again := database.Wrap("other", "thing", fmt.Errorf("more: %w", wrapped)); errors.As(again, &e) && e.Op != op {
			t.Fatalf("wrapped twice: %v", again)
		}
	})
	if database.Wrap("op", "entity", nil) != nil {
		t.Error("nil became an error")
	}
}

func newServer(t *testing.T, d *database.DB, name string) *db.MediaServer {
	t.Helper()
	return d.Ent.MediaServer.Create().SetName(name).SetServerType("jellyfin").SetURL("http://" + name).
		SetExternalServerID(name).SaveX(t.Context())
}

func closed(t *testing.T, d *database.DB) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
