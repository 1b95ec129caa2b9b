package pluginhost

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// changeTime gives when a file's content or rights last changed: unlike its
// modification time, nobody can set it.
func changeTime(st *syscall.Stat_t) time.Time { return time.Unix(st.Ctim.Unix()) }

// openForWriting says whether somebody has the file open for writing, so that a
// slow copy is never taken for a finished one. The kernel grants a read lease
// only where nobody does; file systems without leases do not tell.
func openForWriting(f *os.File) bool {
	conn, err := f.SyscallConn()
	if err != nil {
		return false
	}
	busy := false
	err = conn.Control(func(fd uintptr) {
		_, err := unix.FcntlInt(fd, unix.F_SETLEASE, unix.F_RDLCK)
		busy = errors.Is(err, unix.EAGAIN)
		if err == nil {
			// At once: whoever opens the file for writing waits for us.
			_, _ = unix.FcntlInt(fd, unix.F_SETLEASE, unix.F_UNLCK)
		}
	})
	return err == nil && busy
}
