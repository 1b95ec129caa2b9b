package pluginhost

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// processAttributes make the process lead a group of its own and end with the
// host, however that ends.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitExit waits for the end of a child without reaping it, and says whether it
// could.
func awaitExit(pid int) bool {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}

// limitProcess sets the limits of a running process.
func limitProcess(pid int, l Rlimits) error {
	set := func(resource int, n uint64) error {
		return unix.Prlimit(pid, resource, &unix.Rlimit{Cur: n, Max: n}, nil)
	}
	err := set(unix.RLIMIT_CORE, 0)
	if l.OpenFiles > 0 {
		err = errors.Join(err, set(unix.RLIMIT_NOFILE, l.OpenFiles))
	}
	if l.Data > 0 {
		err = errors.Join(err, set(unix.RLIMIT_DATA, l.Data))
	}
	return err
}
