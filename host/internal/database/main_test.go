package database_test

import (
	"context"
	"os"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/zondarr/zondarr/host/internal/database"
)

func TestMain(m *testing.M) {
	if point := os.Getenv("TEST_KILL_COPY_AT"); point != "" {
		copyAndDie(point)
	}
	if what := os.Getenv("TEST_KILL"); what != "" {
		backUpOrRestore(what)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("database/sql.(*DB).connectionOpener"))
}

// copyAndDie is the whole life of a process that TestCopyIsKilled starts.
func copyAndDie(point string) {
	_, err := database.CopyInSteps(context.Background(), database.Options{URL: os.Getenv("TEST_KILL_COPY_FROM")}, database.Options{URL: os.Getenv("TEST_KILL_COPY_TO")},
		func(reached string) {
			if reached == point {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {} // it is on its way
			}
		})
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error())
	}
	os.Exit(1)
}
