//go:build unix && !linux

package pluginhost

import "syscall"

// Elsewhere than on Linux a plugin notices the end of the host by its stdin.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func awaitExit(int) bool { return false }

func reapGroup(int) {}

func limitProcess(int, Rlimits) error { return nil }
