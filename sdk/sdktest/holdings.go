package sdktest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// holdings are what a plugin could leak: goroutines where it runs in this process,
// threads where it is a program, and open files.
type holdings struct {
	threads, files int
	unit           string
}

func (h holdings) String() string {
	return fmt.Sprintf("%d %s and %d open files", h.threads, h.unit, h.files)
}

// holdings counts; it says false where the system does not tell.
func (s *Subject) holdings() (holdings, bool) {
	if s.program == nil {
		s.mu.Lock()
		for key, d := range s.opened { // what the kit itself would keep
			d.shut()
			delete(s.opened, key)
		}
		s.mu.Unlock()
		return holdings{runtime.NumGoroutine(), entries("/proc/self/fd"), "goroutines"}, true
	}
	dir := filepath.Join("/proc", s.program.process.ID())
	h := holdings{entries(filepath.Join(dir, "task")), entries(filepath.Join(dir, "fd")), "threads"}
	return h, h.threads > 0
}

// goroutines ends a program and counts what it had: one in Go shows them all when it
// is told to quit. It gives 0 where that cannot be done.
func (p *program) goroutines(logs *locked) int {
	if p.process.cmd.Process.Signal(syscall.SIGQUIT) != nil || !p.process.exited(5*time.Second) {
		return 0
	}
	return strings.Count(logs.String(), "\ngoroutine ")
}

func entries(dir string) int {
	names, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	return len(names)
}
