package pluginhost

// runRole is what the test binary does when it is started as another process.
func runRole(role string) int {
	return 2
}
