//go:build unix && !linux

package pluginhost

import (
	"os"
	"syscall"
	"time"
)

// changeTime is read where the system has one field for it; here the time that a
// file was first seen unchanged stands in.
func changeTime(*syscall.Stat_t) time.Time { return time.Time{} }

// openForWriting is not known here.
func openForWriting(*os.File) bool { return false }
