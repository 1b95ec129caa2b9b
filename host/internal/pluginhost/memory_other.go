//go:build unix && !linux

package pluginhost

// residentBytes is not known here.
func residentBytes(int) int64 { return 0 }
