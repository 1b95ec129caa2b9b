//go:build soak

package redeem

import (
	"testing"

	"github.com/zondarr/zondarr/host/internal/database"
)

// The full set of fault schedules; `make test` runs the first of them.
func TestSoakFaultSchedules(t *testing.T) { schedules(t, database.SQLite, 1_000, 1_500) }

func TestSoakFaultSchedulesOnPostgres(t *testing.T) { schedules(t, database.Postgres, 200_000, 500) }
