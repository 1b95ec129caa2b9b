package pluginhost

import (
	"errors"
	"syscall"
	"time"

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

// reapGroup takes the dead of a group that the host has inherited: it does where it
// is the first process of a container. The kernel keeps the group's number as
// long as it has members.
func reapGroup(group int) {
	for range 20 {
		pid, err := unix.Wait4(-group, nil, unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.EINTR), pid > 0:
		case err != nil:
			return // the usual case: it has no such child
		default:
			time.Sleep(10 * time.Millisecond)
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
